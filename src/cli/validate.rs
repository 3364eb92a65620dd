//! `gitboot validate`: the same check as before every publication, without serving.

use std::io::Write as _;

use clap::ValueEnum;

use super::input::Input;
use super::serve::boot_script;
use super::{Misuse, Outcome, secrets};
use crate::compile::Secrets;
use crate::snapshot::Snapshot;
use crate::tree::RepoPath;

/// Every flag of `validate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 good, 1 something could not be read, 2 manifests have errors, 64 bad usage."
)]
pub(super) struct Args {
    /// How diagnostics are written: for people on stderr; on stdout as one JSON document, as workflow commands of GitHub
    /// Actions, or as one SARIF document
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Let warnings count as errors
    #[arg(long)]
    strict: bool,
    /// The names of the secrets that configs may use, where the secrets themselves are not: db.password,token
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    secret_names: Vec<String>,
    /// Check this file too, as a server does that has the same flag
    #[arg(long, value_name = "FILE", value_parser = boot_script)]
    boot_script: Option<RepoPath>,
    // Last, since the heading of its limits would cover whatever follows.
    #[command(flatten)]
    input: Input,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
    Github,
    Sarif,
}

/// Checks, says what is wrong, and says so in the exit code.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let known = match args.secret_names.as_slice() {
        [] => Secrets::None,
        texts => secrets::names(texts)?,
    };
    if args.input.secrets.has_values() && !args.secret_names.is_empty() {
        let words = "`--secret-names` is for where the secrets themselves are not: leave it or `--secret-values-file` out";
        return Err(Misuse(words.to_owned()).into());
    }
    let loaded = args.input.load_without_ids(known)?;
    let (snapshot, diagnostics) = loaded.with_boot_script(args.boot_script.clone()).compile();
    let bad = diagnostics.error_count() > 0 || (args.strict && diagnostics.warning_count() > 0);
    let document = match args.format {
        Format::Human => None,
        Format::Json => Some(diagnostics.render_json()),
        Format::Github => Some(diagnostics.render_github(args.input.place()?.as_ref())),
        Format::Sarif => Some(diagnostics.render_sarif(args.input.place()?.as_ref())),
    };
    if let Some(document) = document {
        std::io::stdout().write_all(document.as_bytes())?;
    } else {
        std::io::stderr().write_all(diagnostics.render_human().as_bytes())?;
        if let Some(snapshot) = snapshot.filter(|_| !bad) {
            writeln!(std::io::stdout(), "{}", summary(&snapshot))?;
        }
    }
    Ok(if bad {
        Outcome::ManifestErrors
    } else {
        Outcome::Good
    })
}

pub(super) fn summary(snapshot: &Snapshot) -> String {
    let counts = snapshot.counts();
    let nouns = [
        (counts.profiles, "Profile"),
        (counts.assignments, "Assignment"),
        (counts.machines, "machine"),
        (counts.configs, "config"),
    ];
    let counted = nouns.map(|(count, noun)| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    });
    format!("ok: {}", counted.join(", "))
}
