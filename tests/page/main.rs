//! The page at `/` in a real Chromium: what people see, and what a hostile machine cannot make them see.
//!
//! It needs `chromium` and `chromedriver`, so it is a target of its own; `.ci/run` installs them and runs it with
//! `cargo test --test page`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod browser;
mod hostile;
mod live;
mod looks;
mod site;
mod support;
