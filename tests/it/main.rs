//! The integration tests: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod architecture;
mod diagnostics;
mod hostile;
mod http;
mod manifest_cache;
mod poll;
mod serve;
mod source;
mod support;
