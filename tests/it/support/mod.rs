//! What several test modules need: repositories, servers and conditions to wait for.

pub mod git;
pub mod http_backend;
