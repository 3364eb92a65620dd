//! The integration tests: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod architecture;
mod diagnostics;
mod http;
mod lag;
mod poll;
mod restart;
mod serve;
mod source;
mod state;
mod support;
