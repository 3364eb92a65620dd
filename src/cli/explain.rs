//! `gitboot explain`: why a machine with these labels gets what it gets.

use std::io::Write as _;

use super::input::Input;
use super::{Format, Outcome, labels, print};
use crate::compile::{Secrets, provenance};
use crate::explain::Report;
use crate::render::BaseUrl;

/// Every flag of `explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the machine gets a script, 1 something could not be read or rendered, 2 manifests have \
                  errors, 3 no Assignment or no script, 64 bad usage."
)]
pub(super) struct Args {
    /// A label of the machine, such as mac=52:54:00:12:34:56; repeatable, `mac` even with different values
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// What URLs start with
    #[arg(long, value_name = "URL", default_value = "http://gitboot.invalid", value_parser = BaseUrl::parse)]
    external_url: BaseUrl,
    /// How it is explained: as text for people, or as one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    // Last, since the heading of its limits would cover whatever follows.
    #[command(flatten)]
    input: Input,
}

/// Prints the explanation.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let (labels, dropped) = labels::read(&args.label)?;
    let loaded = args.input.load(Secrets::Unknown)?;
    let (snapshot, diagnostics) = loaded.compile();
    let Some(snapshot) = snapshot else {
        std::io::stderr().write_all(diagnostics.render_human().as_bytes())?;
        return Ok(Outcome::ManifestErrors);
    };
    let explanation = snapshot.explain(&labels);
    let places = provenance(
        &loaded.tree,
        &loaded.manifests,
        &loaded.options,
        &explanation,
    );
    let report = Report::new(
        snapshot.revision(),
        (&labels, &dropped),
        &explanation,
        Some(&places),
        &args.external_url,
    );
    let text = match args.format {
        Format::Human => report.text(),
        Format::Json => report.json(),
    };
    print::to_stdout(|out| out.write_all(text.as_bytes()))?;
    match (report.outcome(), report.failure()) {
        (_, Some(why)) => anyhow::bail!("the server would answer 500: {why}"),
        ("ok", _) => Ok(Outcome::Good),
        _ => Ok(Outcome::NoAssignment),
    }
}
