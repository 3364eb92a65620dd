//! The integration tests: one binary, one module a subject.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "fixtures are put together once, and read better so"
)]

mod architecture;
mod classes;
mod cli;
mod diagnostics;
mod endurance;
mod flows;
mod hostile;
mod http;
mod ids;
mod lag;
mod lint;
mod log;
mod manifest_cache;
mod ops;
mod otlp;
mod places;
mod poll;
mod ranking;
mod restart;
mod scenarios;
mod secrets;
mod serve;
mod signed;
mod source;
mod state;
mod support;
mod systemd;
mod tftp;
mod tls;
mod unwritable;
mod values;
mod yaml;
