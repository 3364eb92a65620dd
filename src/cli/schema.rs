//! `gitboot schema`: what an editor completes and checks manifests with.

use std::io::Write as _;

use clap::ValueEnum;

use super::Outcome;
use crate::manifest::{SchemaOf, schema};

/// Every argument of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 good, 1 stdout is closed, 64 bad usage.")]
pub(super) struct Args {
    /// Of which manifest
    #[arg(value_name = "KIND")]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// What to boot
    Profile,
    /// Who boots what
    Assignment,
    /// Either of them, as `kind` says
    All,
}

/// Prints one JSON document.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let of = match args.kind {
        Kind::Profile => SchemaOf::Profile,
        Kind::Assignment => SchemaOf::Assignment,
        Kind::All => SchemaOf::Any,
    };
    std::io::stdout().write_all(schema(of).as_bytes())?;
    Ok(Outcome::Good)
}
