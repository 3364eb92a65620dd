//! `gitboot wait`: until a revision is served everywhere.

use std::io::Write as _;
use std::time::Duration;

use super::Outcome;
use super::units::duration;
use crate::wait::{self, End, Server, Wanted};

/// Every flag of `wait`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 every server serves the revision, 1 the time is over, 2 a server refuses it, 64 bad usage."
)]
pub(super) struct Args {
    /// An operations listener, such as http://localhost:8081; repeatable
    #[arg(long, value_name = "OPS-URL", required = true, num_args = 1.., value_parser = Server::parse)]
    server: Vec<Server>,
    /// The commit to wait for: its id, or at least 7 digits of it
    #[arg(long, value_name = "REV", value_parser = Wanted::parse)]
    revision: Wanted,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    timeout: Duration,
}

/// Waits.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match wait::wait(&args.server, &args.revision, args.timeout)? {
        End::Served => Ok(Outcome::Good),
        End::Refused {
            server,
            diagnostics,
        } => {
            let mut stderr = std::io::stderr();
            for line in diagnostics {
                writeln!(stderr, "{line}")?;
            }
            writeln!(stderr, "error: {server} refuses this revision")?;
            Ok(Outcome::ManifestErrors)
        }
        End::TimedOut { behind } => {
            anyhow::bail!("the revision is not served yet: {}", behind.join("; "))
        }
    }
}
