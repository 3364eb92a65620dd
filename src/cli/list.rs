//! `gitboot list`: what stands in a repository, in tables.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::num::NonZero;
use std::thread;

use clap::ValueEnum;
use serde_json::json;

use super::input::{Input, Loaded};
use super::table::{write_json, write_table};
use super::{Format, Outcome, print};
use crate::compile::Secrets;
use crate::label::Entry;
use crate::manifest::{Locator, Origin, Part, Profile};
use crate::snapshot::{Rule, Snapshot};

/// How many values of a selector's key are shown in a table; the rest are counted.
const SHOWN_VALUES: usize = 2;

/// Every flag of `list`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 good, 1 something could not be read, 2 manifests have errors, 64 bad usage."
)]
pub(super) struct Args {
    /// What to list
    #[arg(value_name = "WHAT")]
    what: What,
    /// How it is listed: as a table for people, or as a JSON list with an element a line
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    // Last, since the heading of its limits would cover whatever follows.
    #[command(flatten)]
    input: Input,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Profiles,
    Assignments,
    Machines,
}

/// Lists.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let loaded = args.input.load_without_ids(Secrets::Unknown)?;
    let (snapshot, diagnostics) = loaded.compile();
    let Some(snapshot) = snapshot else {
        io::stderr().write_all(diagnostics.render_human().as_bytes())?;
        return Ok(Outcome::ManifestErrors);
    };
    print::to_stdout(|out| match args.what {
        What::Profiles => profiles(out, args.format, &loaded, &snapshot),
        What::Assignments => assignments(out, args.format, &loaded, &snapshot),
        What::Machines => machines(out, args.format, &loaded, &snapshot),
    })?;
    Ok(Outcome::Good)
}

fn profiles(
    out: &mut impl Write,
    format: Format,
    loaded: &Loaded,
    snapshot: &Snapshot,
) -> io::Result<()> {
    let mut users: HashMap<&str, usize> = HashMap::new();
    for name in snapshot.rules().iter().flat_map(profiles_of) {
        *users.entry(name).or_default() += 1;
    }
    let users = |one: &Profile| users.get(one.name.as_str()).copied().unwrap_or(0);
    let all = &loaded.manifests.profiles;
    let lines = lines(loaded, all.iter().map(|one| &one.origin));
    let all = all.iter().zip(&lines);
    match format {
        Format::Human => {
            let head = ["NAME", "SCRIPT", "CONFIGS", "USED BY", "WHERE", "LABELS"];
            let row = |(one, line): (&Profile, &usize)| {
                let labels: Vec<String> =
                    one.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                [
                    one.name.clone(),
                    if one.script.is_some() { "yes" } else { "no" }.to_owned(),
                    one.configs.len().to_string(),
                    users(one).to_string(),
                    format!("{}:{line}", one.origin.path),
                    or_dash(labels.join(" ")),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|(one, line)| {
                json!({
                    "name": one.name,
                    "labels": one.labels,
                    "script": one.script.is_some(),
                    "configs": one.configs.keys().collect::<Vec<_>>(),
                    "assignments": users(one),
                    "path": one.origin.path.as_str(),
                    "line": line,
                })
            }),
        ),
    }
}

fn assignments(
    out: &mut impl Write,
    format: Format,
    loaded: &Loaded,
    snapshot: &Snapshot,
) -> io::Result<()> {
    let origins = || loaded.manifests.assignments.iter().map(|one| &one.origin);
    let lines = lines(loaded, origins());
    // Both are in the order of their names, and an Assignment that is in a tree without errors is in its snapshot.
    let all = snapshot.rules().iter().zip(origins().zip(&lines));
    match format {
        Format::Human => {
            let head = [
                "NAME",
                "TIER",
                "PRIORITY",
                "MACHINES",
                "PROFILE",
                "WHERE",
                "SELECTORS",
            ];
            let row = |(one, (origin, line)): (&Rule, (&Origin, &usize))| {
                [
                    one.name.as_ref().to_owned(),
                    one.tier.as_str().to_owned(),
                    one.priority.to_string(),
                    one.entries.len().to_string(),
                    profiles_of(one).collect::<Vec<_>>().join(","),
                    format!("{}:{line}", origin.path),
                    or_dash(short_selectors(one)),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|(one, (origin, line))| {
                let selectors: BTreeMap<_, _> = one
                    .selectors
                    .iter()
                    .map(|one| (&one.key, &one.values))
                    .collect();
                json!({
                    "name": &*one.name,
                    "tier": one.tier.as_str(),
                    "priority": one.priority,
                    "profiles": profiles_of(one).collect::<Vec<_>>(),
                    "selectors": json!(selectors),
                    "machines": one.entries.len(),
                    "path": origin.path.as_str(),
                    "line": line,
                })
            }),
        ),
    }
}

fn machines(
    out: &mut impl Write,
    format: Format,
    loaded: &Loaded,
    snapshot: &Snapshot,
) -> io::Result<()> {
    let origins = loaded.manifests.assignments.iter().map(|one| &one.origin);
    let all = snapshot.rules().iter().zip(origins);
    let all =
        all.flat_map(|(rule, origin)| rule.entries.iter().map(move |entry| (entry, rule, origin)));
    match format {
        Format::Human => {
            let head = ["NAME", "ASSIGNMENT", "PROFILE", "FILE", "IDENTITIES"];
            let row = |(entry, rule, origin): (&Entry, &Rule, &Origin)| {
                [
                    or_dash(entry.name().to_owned()),
                    rule.name.as_ref().to_owned(),
                    profiles_of(rule).collect::<Vec<_>>().join(","),
                    origin.path.as_str().to_owned(),
                    identities(entry),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|(entry, rule, origin)| {
                let mut identities: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (identity, value) in entry.identities().iter() {
                    identities.entry(identity.key()).or_default().push(value);
                }
                json!({
                    "name": Some(entry.name()).filter(|name| !name.is_empty()),
                    "identities": identities,
                    "assignment": &*rule.name,
                    "profiles": profiles_of(rule).collect::<Vec<_>>(),
                    "path": origin.path.as_str(),
                })
            }),
        ),
    }
}

/// The Profiles that an Assignment may mean.
fn profiles_of(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.choices.iter().map(|choice| &*choice.binding.profile)
}

fn identities(entry: &Entry) -> String {
    let all = entry.identities().iter();
    let all = all.map(|(identity, value)| format!("{identity}={value}"));
    all.collect::<Vec<_>>().join(" ")
}

fn short_selectors(rule: &Rule) -> String {
    let short = rule.selectors.iter().map(|one| {
        let shown: Vec<&str> = one
            .values
            .iter()
            .take(SHOWN_VALUES)
            .map(AsRef::as_ref)
            .collect();
        let values = shown.join(",");
        match one.values.len().saturating_sub(SHOWN_VALUES) {
            0 => format!("{}={values}", one.key),
            more => format!("{}={values},+{more}", one.key),
        }
    });
    short.collect::<Vec<_>>().join(" ")
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// The line of each manifest's name. Reading positions takes as long as reading the files, so each core takes some of them;
/// one file after the other, so that the positions of one alone are held.
fn lines<'m>(loaded: &Loaded, origins: impl Iterator<Item = &'m Origin>) -> Vec<usize> {
    let mut sorted: Vec<(usize, &Origin)> = origins.enumerate().collect();
    sorted.sort_by_key(|(number, origin)| (&origin.path, *number));
    let files: Vec<_> = sorted
        .chunk_by(|one, other| one.1.path == other.1.path)
        .collect();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let found = thread::scope(|scope| {
        let runs = files.chunks(files.len().div_ceil(cores).max(1));
        let runs: Vec<_> = runs
            .map(|run| scope.spawn(|| run.iter().flat_map(|file| lines_of(loaded, file)).collect()))
            .collect();
        let joined = runs.into_iter().flat_map(|run| -> Vec<(usize, usize)> {
            run.join()
                .expect("finding a place is total: it never panics")
        });
        joined.collect::<Vec<_>>()
    });
    let mut lines = vec![0; sorted.len()];
    for (number, found) in found {
        if let Some(line) = lines.get_mut(number) {
            *line = found;
        }
    }
    lines
}

/// The lines of the manifests of one file, each with the number that the manifest came with.
fn lines_of(loaded: &Loaded, file: &[(usize, &Origin)]) -> Vec<(usize, usize)> {
    let locator = Locator::new(&loaded.tree, loaded.options.budget);
    let name = ["metadata".into(), "name".into()];
    file.iter()
        .map(|(number, origin)| (*number, locator.place(origin, &name, Part::Key).line))
        .collect()
}
