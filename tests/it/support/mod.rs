//! What several test modules need: repositories, servers and conditions to wait for.

pub mod fixture;
pub(crate) mod git;
pub(crate) mod http_backend;
