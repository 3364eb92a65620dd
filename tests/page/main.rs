//! The page at `/` in a real Chromium: what people see, and what a hostile machine cannot make them see.
//!
//! It needs `chromium` and `chromedriver`, so it is a target of its own; `.ci/run` installs them and runs it with
//! `cargo test --test page`.

mod browser;
mod hostile;
mod live;
mod looks;
mod site;
mod support;
