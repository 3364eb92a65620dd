//! What the integration tests have already: repositories made with the real git and a server for them, the real binary, and
//! a client that sends exact bytes.
#![allow(dead_code, reason = "the integration tests use the rest")]

#[path = "../it/support/daemon.rs"]
pub(crate) mod daemon;
#[path = "../it/support/git.rs"]
pub(crate) mod git;
#[path = "../it/support/history.rs"]
pub(crate) mod history;
#[path = "../it/support/http.rs"]
pub(crate) mod http;
#[path = "../it/support/http_backend.rs"]
pub(crate) mod http_backend;
#[path = "../it/support/pki.rs"]
pub(crate) mod pki;
#[path = "../it/support/process.rs"]
pub(crate) mod process;
#[path = "../it/support/sshd.rs"]
pub(crate) mod sshd;
