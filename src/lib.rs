//! gitboot serves iPXE boot scripts and configuration files straight from a git repository.
//!
//! | room | may look into | foreign crates that live only here |
//! |---|---|---|
//! | `main` | | |
//! | `source/` | `tree` | |
//! | `render` | `snapshot`, `template`, `label` | |
//! | `publish/` | `snapshot` | |
//! | `snapshot` | `template`, `label`, `tree` | |
//! | `template` | | |
//! | `label/` | | |
//! | `tree` | | |
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
