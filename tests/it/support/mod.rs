//! What several test modules need: repositories, servers and conditions to wait for.

pub(crate) mod git;
pub(crate) mod http_backend;
pub mod fixture;
