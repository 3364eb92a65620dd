//! What `deploy/` promises, kept with the real programs: each module runs one way to deploy gitboot.
//!
//! ```sh
//! cargo test --locked --test deploy                 # everything; it takes minutes and wants Debian's packages
//! cargo test --locked --test deploy -- kubernetes   # the tests of one module
//! ```
//!
//! Nothing of the host is changed: daemons, networks and file systems are those of namespaces and folders that end.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected may fail anywhere"
)]

mod boot;
mod ci;
mod container;
mod fleet;
mod guide;
mod kubernetes;
mod lab;
mod monitoring;
mod release;
mod support;
mod systemd;
