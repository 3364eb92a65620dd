//! gitboot serves iPXE boot scripts and configuration files straight from a git repository.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod diagnostic;
pub mod http;
pub mod label;
pub mod manifest;
pub mod observe;
pub mod poll;
pub mod publish;
pub mod render;
pub mod serve;
pub mod snapshot;
pub mod source;
pub mod template;
pub mod tree;
