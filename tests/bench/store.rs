//! Thousands of commits, one by one, and what the server takes of the machine meanwhile: `cargo bench --bench store`.
//!
//! It fails when something grows. `BENCH_COMMITS` (5000) makes it longer or shorter.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at the unexpected, and prints what it measures"
)]

#[path = "../it/endurance.rs"]
mod endurance;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../it/support/mod.rs"]
mod support;

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let chosen = std::env::var("BENCH_COMMITS")
        .ok()
        .map(|text| text.parse().unwrap());
    let commits = chosen.unwrap_or(if is_bench { 5000 } else { 210 });
    let endured = endurance::run(commits);
    println!("{commits} commits\n{endured}");
    endured.assert_flat();
}
