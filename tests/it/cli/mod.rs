//! The command line as its users meet it: the real binary, its exit codes and what it writes to the letter.

mod completions;
mod demo;
mod diff;
mod example;
mod explain;
mod formats;
mod gate;
mod import;
mod list;
mod render;
mod schema;
mod usage;
mod validate;

use std::path::Path;

use crate::support::process::{self, Ran};

/// The root of this source tree.
fn source_tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `gitboot` at the root of this source tree.
fn run(args: &[&str]) -> Ran {
    process::run_in(source_tree(), args, &[])
}

/// A Profile and an Assignment of it, with one config.
const GOOD: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo {{ motd }} {{ labels.serial }}
  additionalConfig:
    motd: \"hello\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: disk
  machines: [{name: x1, mac: \"52:54:00:ab:cd:ef\"}]
";
