//! The integration tests: one binary, one module a subject.

mod architecture;
mod http;
mod poll;
mod serve;
mod support;
