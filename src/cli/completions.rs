//! `gitboot completions`: what a shell completes commands and flags with.

use std::io::Write as _;

use clap_complete::Shell;

use super::Outcome;

/// Every argument of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 good, 1 stdout is closed, 64 bad usage.")]
pub(super) struct Args {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script, made from the same definitions that the command line is read by.
pub(super) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "gitboot", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Outcome::Good)
}
