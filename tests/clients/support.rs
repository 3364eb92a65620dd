//! What the integration tests have already: repositories made with the real git.
#![allow(dead_code, reason = "the integration tests use the rest")]

#[path = "../it/support/git.rs"]
pub(crate) mod git;
