//! What several test modules need: repositories, servers, fixtures and conditions to wait for.

pub(crate) mod daemon;
pub(crate) mod fixture;
pub(crate) mod git;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod http_backend;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod readme;
pub(crate) mod ssh;
pub(crate) mod sshd;
