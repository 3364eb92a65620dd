//! The integration tests: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod architecture;
mod cli;
mod diagnostics;
mod http;
mod ids;
mod log;
mod poll;
mod ranking;
mod serve;
mod signed;
mod source;
mod support;
mod values;
mod yaml;
