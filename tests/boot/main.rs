//! Real firmware, real iPXE and a real Linux, booted by the real server from a real repository:
//!
//! ```sh
//! cargo test --locked --release --test boot                # everything, some minutes
//! cargo test --locked --release --test boot -- disk        # the scenarios with `disk` in their names
//! ```
//!
//! Machines are QEMU's, whose user-mode network shows them this machine's loopback interface as 10.0.2.2: nothing here
//! leaves the machine or needs root. Each scenario prints what consoles and server said, and when.
//! `GITBOOT_BOOT_ACCEL=kvm` or `tcg` overrides the choice between KVM and emulation.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that meets the unexpected may fail anywhere, and says what it sees"
)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "fixtures are put together once, and read better so"
)]

mod accelerator;
mod console;
mod crowd;
mod disk;
mod initrd;
mod linux;
mod machine;
mod mirror;
mod report;
mod scenarios;
mod server;
mod site;
mod stage;
mod support;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use report::Report;
use scenarios::{ALONE, SIDE_BY_SIDE, Scenario};
use stage::Stage;

/// How many scenarios run at a time: QEMU emulates on one core, and CI machines have two.
const AT_A_TIME: usize = 2;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_wanted = |scenario: &&Scenario| {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|part| scenario.name.contains(part.as_str()))
    };
    let side_by_side: Vec<&Scenario> = SIDE_BY_SIDE.iter().filter(is_wanted).collect();
    let alone: Vec<&Scenario> = ALONE.iter().filter(is_wanted).collect();
    let count = side_by_side.len() + alone.len();
    if count == 0 {
        println!("no scenario has {wanted:?} in its name");
        return ExitCode::FAILURE;
    }

    let began = Instant::now();
    let stage = Stage::set();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "running {count} scenarios; ready in {seconds:.1}s, {:?}",
        stage.accelerator
    );
    let failed = run(&stage, &side_by_side, AT_A_TIME) + run(&stage, &alone, 1);
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "\n{} scenarios passed, {failed} failed, in {seconds:.1}s",
        count - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs scenarios, so many at a time in their order, and returns how many failed.
fn run(stage: &Stage, scenarios: &[&Scenario], at_a_time: usize) -> usize {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !play(stage, scenario) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner()
}

/// Runs one scenario in a thread of its name, which a failure then bears, and prints its report.
fn play(stage: &Stage, scenario: &Scenario) -> bool {
    let report = Report::begin(scenario.name);
    let passed = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(scenario.name.to_owned());
        let thread = thread.spawn_scoped(scope, || (scenario.play)(stage, &report));
        thread.unwrap().join().is_ok()
    });
    let verdict = if passed { "ok" } else { "FAILED" };
    let (name, seconds) = (scenario.name, report.seconds());
    // In one piece, since another scenario may end at the same time.
    println!(
        "\n{verdict} {name} ({seconds:.1}s)\n{}",
        report.text().trim_end()
    );
    passed
}
