//! The programs that read what gitboot serves, for real: cloud-init and Ignition from Debian's packages, each on a machine of
//! its own in Linux namespaces, beside the real server.
//!
//! ```sh
//! cargo test --locked --test clients
//! ```
//!
//! It fetches Debian's packages once, into `target/tmp/clients/`, and needs root or user namespaces. Nothing of the host is
//! changed: no package is installed, and all files, mounts, names and network cards are those of a namespace that ends.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod cloud_init;
mod debian;
mod ignition;
mod machine;
mod support;
