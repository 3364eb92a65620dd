//! `gitboot man`: the manual, for packages; see `deploy/release/`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap_mangen::Man;

use super::Outcome;

/// What pages say that they are part of.
const MANUAL: &str = "gitboot";

/// Every argument of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 good, 1 a page cannot be written, 64 bad usage.")]
pub(super) struct Args {
    /// The folder to write the pages into, one for each command
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The day that the pages bear
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "unreleased")]
    date: String,
}

/// Writes a page for each command, made from the same definitions that the command line is read by.
pub(super) fn run(args: &Args, command: clap::Command) -> anyhow::Result<Outcome> {
    // `gitboot-help.1` would explain nothing.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    pages(&command, args)?;
    Ok(Outcome::Good)
}

fn pages(command: &clap::Command, args: &Args) -> anyhow::Result<()> {
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        pages(inner, args)?;
    }
    let source = concat!("gitboot ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).date(&args.date);
    let page = page.source(source).manual(MANUAL);
    let Args { folder, .. } = args;
    page.generate_to(folder).with_context(|| {
        let path = folder.join(page.get_filename());
        format!("cannot write `{}`", path.display())
    })?;
    Ok(())
}
