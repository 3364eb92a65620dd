//! gitboot serves iPXE boot scripts and configuration files straight from a git repository.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod compile;
pub mod diagnostic;
pub mod id;
pub mod label;
pub mod manifest;
pub mod publish;
pub mod render;
pub mod snapshot;
pub mod source;
pub mod template;
pub mod tree;
