//! The command line: every flag once, with its help, its default and its unit.

mod completions;
mod credentials;
mod demo;
mod diff;
mod environment;
mod explain;
mod health;
mod import;
mod input;
mod labels;
mod limits;
mod list;
mod man;
mod ops;
mod otlp;
mod print;
mod render;
mod schema;
mod secrets;
mod serve;
mod sockets;
mod table;
mod tftp;
mod tls;
mod units;
mod userinfo;
mod validate;
mod wait;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use environment::with_environment;

/// Serves iPXE boot scripts and configuration files straight from a git repository.
#[derive(Debug, Parser)]
#[command(name = "gitboot", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::Args>),
    /// Make an example repository, serve it, and say what to try
    Demo(Box<demo::Args>),
    /// Check manifests as the server would, without serving them
    Validate(Box<validate::Args>),
    /// Print what a machine would be sent, byte for byte
    Render(Box<render::Args>),
    /// Say which machines get something else from one revision than from another, and what
    Diff(Box<diff::Args>),
    /// Say why a machine gets what it gets
    Explain(Box<explain::Args>),
    /// List the Profiles, the Assignments or the machines
    List(Box<list::Args>),
    /// Wait until every server serves a revision
    Wait(wait::Args),
    /// Say whether the server of this machine serves, for health checks
    Health(health::Args),
    /// Print the JSON Schema of a manifest, for editors
    Schema(schema::Args),
    /// Print a script that completes commands and flags in a shell
    Completions(completions::Args),
    /// Write manifests out of what another boot server reads
    Import(Box<import::Args>),
    /// Write the manual pages, for packages
    #[command(hide = true)]
    Man(man::Args),
}

/// How a command that explains or lists prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// How a command ended when nothing stood in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good,
    /// Manifests have errors.
    ManifestErrors,
    /// No Assignment for these labels, or no script.
    NoAssignment,
    /// Something differs.
    Differs,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Good => 0,
            Outcome::ManifestErrors => 2,
            Outcome::NoAssignment => 3,
            Outcome::Differs => 4,
        })
    }
}

/// The exit code for faults of the world: network, disk, permissions.
const EXIT_WORLD: u8 = 1;

/// The exit code for bad usage or settings: `EX_USAGE` of `sysexits.h`.
const EXIT_MISUSE: u8 = 64;

/// A setting that cannot be used, beyond what clap finds out by itself. Any other error of a command is a fault of the
/// world.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// Runs the command line and says how the process is to end.
pub fn main(
    args: impl Iterator<Item = OsString>,
    vars: impl Iterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let vars: Vec<_> = vars.collect();
    let args = with_environment(&Cli::command(), args.collect(), &vars);
    match Cli::try_parse_from(args) {
        Ok(cli) => ended(run(&cli, &vars)),
        Err(error) => {
            complain(&error);
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(EXIT_MISUSE),
            }
        }
    }
}

/// Prints help, or what is wrong with a flag, which may hold what somebody should not have put there.
fn complain(error: &clap::Error) {
    let text = error.to_string();
    let shown = userinfo::hidden(&text);
    // A closed stdout or stderr changes nothing about the outcome.
    let _ = if shown == text {
        error.print()
    } else {
        write!(std::io::stderr(), "{shown}")
    };
}

fn run(cli: &Cli, vars: &[(OsString, OsString)]) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::Serve(args) => serve::run(args, vars),
        Command::Demo(args) => demo::run(args, vars),
        Command::Validate(args) => validate::run(args),
        Command::Render(args) => render::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Explain(args) => explain::run(args),
        Command::List(args) => list::run(args),
        Command::Wait(args) => wait::run(args),
        Command::Health(args) => health::run(args, vars),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args, Cli::command()),
        Command::Import(args) => import::run(args),
        Command::Man(args) => man::run(args, Cli::command()),
    }
}

fn ended(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            // A closed stderr changes nothing about the outcome.
            let shown = userinfo::hidden(&format!("{error:#}"));
            let _ = writeln!(std::io::stderr(), "error: {shown}");
            let misuse = error.downcast_ref::<Misuse>().is_some();
            ExitCode::from(if misuse { EXIT_MISUSE } else { EXIT_WORLD })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} of {}",
                    argument.get_id(),
                    command.get_name()
                );
            }
        }
    }
}
