//! `gitboot health`: whether the server of this machine serves, for health checks.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use super::units::{address, positive_duration};
use super::{Misuse, Outcome, environment};
use crate::health::{self, Question};

/// Where `serve` listens when nobody says otherwise.
const DEFAULT: &str = "[::]:8080";

/// Every flag of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 every address answers 200, 1 one does not, 64 bad usage.")]
pub(super) struct Args {
    /// An address of this machine that `gitboot serve` listens on; repeatable [default: the lines of $GITBOOT_LISTEN, else
    /// [::]:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Vec<SocketAddr>,
    /// Ask whether it has something to serve (/ready), not whether it serves (/health)
    #[arg(long)]
    ready: bool,
    /// How long each may take to answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = positive_duration)]
    timeout: Duration,
}

/// Asks all addresses.
pub(super) fn run(args: &Args, vars: &[(OsString, OsString)]) -> anyhow::Result<Outcome> {
    let question = if args.ready {
        Question::Ready
    } else {
        Question::Serving
    };
    for listening in listening(&args.listen, vars)? {
        health::ask(listening, question, args.timeout).map_err(anyhow::Error::msg)?;
    }
    Ok(Outcome::Good)
}

/// Where the server listens, as far as its flags stand in variables.
fn listening(
    given: &[SocketAddr],
    vars: &[(OsString, OsString)],
) -> Result<Vec<SocketAddr>, Misuse> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let lines = environment::values("listen", vars).unwrap_or_else(|| vec![DEFAULT.into()]);
    let parse = |line: OsString| address(&line.to_string_lossy());
    lines
        .into_iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map_err(|error| Misuse(format!("GITBOOT_LISTEN: {error}")))
}
