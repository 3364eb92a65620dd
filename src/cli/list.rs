//! `gitboot list`: what stands in a repository, in tables.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::json;

use super::input::Input;
use super::table::{write_json, write_table};
use super::{Format, Outcome, print};
use crate::compile::Secrets;
use crate::label::Entry;
use crate::snapshot::{ListedProfile, Place, Rule, Snapshot};

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
        What::Profiles => profiles(out, args.format, &snapshot),
        What::Assignments => assignments(out, args.format, &snapshot),
        What::Machines => machines(out, args.format, &snapshot),
    })?;
    Ok(Outcome::Good)
}

fn profiles(out: &mut impl Write, format: Format, snapshot: &Snapshot) -> io::Result<()> {
    let mut users: HashMap<&str, usize> = HashMap::new();
    for name in snapshot.rules().iter().flat_map(profiles_of) {
        *users.entry(name).or_default() += 1;
    }
    let users = |one: &ListedProfile| users.get(one.name.as_str()).copied().unwrap_or(0);
    let all = snapshot.listed_profiles().iter();
    match format {
        Format::Human => {
            let head = ["NAME", "SCRIPT", "CONFIGS", "USED BY", "WHERE", "LABELS"];
            let row = |one: &ListedProfile| {
                let labels: Vec<String> =
                    one.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                [
                    one.name.clone(),
                    if one.has_script { "yes" } else { "no" }.to_owned(),
                    one.configs.len().to_string(),
                    users(one).to_string(),
                    shown(Some(&one.place)),
                    or_dash(labels.join(" ")),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|one| {
                json!({
                    "name": one.name,
                    "labels": one.labels,
                    "script": one.has_script,
                    "configs": one.configs,
                    "assignments": users(one),
                    "path": one.place.path.as_str(),
                    "line": one.place.line,
                })
            }),
        ),
    }
}

fn assignments(out: &mut impl Write, format: Format, snapshot: &Snapshot) -> io::Result<()> {
    let all = snapshot.rules().iter().enumerate();
    let all = all.map(|(number, rule)| (rule, snapshot.place(number, None)));
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
            let row = |(one, place): (&Rule, Option<Place>)| {
                [
                    one.name.as_ref().to_owned(),
                    one.tier.as_str().to_owned(),
                    one.priority.to_string(),
                    one.entries.len().to_string(),
                    profiles_of(one).collect::<Vec<_>>().join(","),
                    shown(place.as_ref()),
                    or_dash(short_selectors(one)),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|(one, place)| {
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
                    "path": place.as_ref().map(|place| place.path.as_str()),
                    "line": place.as_ref().map(|place| place.line),
                })
            }),
        ),
    }
}

fn machines(out: &mut impl Write, format: Format, snapshot: &Snapshot) -> io::Result<()> {
    let all = snapshot.rules().iter().enumerate();
    let all = all.flat_map(|(number, rule)| {
        let entries = rule.entries.iter().enumerate();
        entries.map(move |(at, entry)| (entry, rule, snapshot.place(number, Some(at))))
    });
    match format {
        Format::Human => {
            let head = ["NAME", "ASSIGNMENT", "PROFILE", "WHERE", "IDENTITIES"];
            let row = |(entry, rule, place): (&Entry, &Rule, Option<Place>)| {
                [
                    or_dash(entry.name().to_owned()),
                    rule.name.as_ref().to_owned(),
                    profiles_of(rule).collect::<Vec<_>>().join(","),
                    shown(place.as_ref()),
                    identities(entry),
                ]
            };
            write_table(out, head, all.map(row))
        }
        Format::Json => write_json(
            out,
            all.map(|(entry, rule, place)| {
                let mut identities: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (identity, value) in entry.identities().iter() {
                    identities.entry(identity.key()).or_default().push(value);
                }
                json!({
                    "name": Some(entry.name()).filter(|name| !name.is_empty()),
                    "identities": identities,
                    "assignment": &*rule.name,
                    "profiles": profiles_of(rule).collect::<Vec<_>>(),
                    "path": place.as_ref().map(|place| place.path.as_str()),
                    "line": place.as_ref().map(|place| place.line),
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

fn shown(place: Option<&Place>) -> String {
    or_dash(place.map_or_else(String::new, |one| format!("{}:{}", one.path, one.line)))
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}
