//! `gitboot render`: what a machine with these labels would be sent, byte for byte.

use std::io::Write as _;

use anyhow::Context as _;

use super::input::Input;
use super::{Outcome, labels};
use crate::compile::Secrets;
use crate::label::Labels;
use crate::render::{self, BaseUrl, RenderError};
use crate::snapshot::Snapshot;

/// Every flag of `render`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 good, 1 something could not be read or rendered, 2 manifests have errors, 3 no \
                  Assignment, no script or no such config, 64 bad usage."
)]
pub(super) struct Args {
    /// A label of the machine, such as mac=52:54:00:12:34:56; repeatable, `mac` even with different values
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Print this config instead of the script
    #[arg(long, value_name = "NAME")]
    config: Option<String>,
    /// What URLs start with
    #[arg(long, value_name = "URL", default_value = "http://gitboot.invalid", value_parser = BaseUrl::parse)]
    external_url: BaseUrl,
    // Last, since the heading of its limits would cover whatever follows.
    #[command(flatten)]
    input: Input,
}

/// Prints the script or the config.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (labels, dropped) = labels::read(&args.label)?;
    for one in dropped {
        writeln!(
            std::io::stderr(),
            "warning: label `{}` is dropped: its value {}",
            one.key,
            one.reason
        )?;
    }
    let (snapshot, diagnostics) = args.input.load(Secrets::None)?.compile();
    let Some(snapshot) = snapshot else {
        std::io::stderr().write_all(diagnostics.render_human().as_bytes())?;
        return Ok(Outcome::ManifestErrors);
    };
    print(args, &snapshot, &labels)
}

fn print(args: &Args, snapshot: &Snapshot, labels: &Labels) -> anyhow::Result<Outcome> {
    let matched = match snapshot.find(labels) {
        Ok(matched) => matched,
        Err(reason) => {
            writeln!(
                std::io::stderr(),
                "error: these labels get nothing: {}",
                reason.reason()
            )?;
            return Ok(Outcome::NoAssignment);
        }
    };
    let bytes = match &args.config {
        None => render::script(&matched, labels, &args.external_url),
        Some(name) => {
            if let Some(config) = matched.config(name) {
                render::config(config, labels, &args.external_url)
            } else {
                let profile = matched.profile();
                writeln!(
                    std::io::stderr(),
                    "error: Profile `{profile}` has no config `{name}`"
                )?;
                return Ok(Outcome::NoAssignment);
            }
        }
    };
    match bytes {
        Ok(bytes) => {
            std::io::stdout()
                .write_all(&bytes)
                .context("cannot write to standard output")?;
            Ok(Outcome::Good)
        }
        Err(RenderError::NoScript) => {
            writeln!(
                std::io::stderr(),
                "error: Profile `{}` has no script",
                matched.profile()
            )?;
            Ok(Outcome::NoAssignment)
        }
        Err(RenderError::Failed(why)) => anyhow::bail!("the server would answer 500: {why}"),
    }
}
