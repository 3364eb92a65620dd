//! `/api/profiles` and `/api/assignments`: what is served, as lists, one page at a time.

use std::collections::{BTreeMap, HashMap};

use ::http::StatusCode;
use serde_json::{Value, json};

use super::reply::{Page, Reply};
use crate::label::decode_percent;
use crate::publish::Publication;
use crate::snapshot::{ListedProfile, Place, Rule, Snapshot};

/// How many elements a page has unless `limit=` says otherwise: a fleet of a hundred thousand Assignments would be tens of
/// megabytes, which nobody reads at once.
const DEFAULT_LIMIT: usize = 1000;

/// How many at most, whatever it says: a few megabytes.
const MAX_LIMIT: usize = 10_000;

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// The elements whose names come behind this one.
    after: String,
    /// How many at most.
    limit: usize,
}

pub(super) fn profiles(publication: &Publication, query: &str) -> Reply {
    let Some(snapshot) = publication.snapshot.as_deref() else {
        return starting();
    };
    let mut users: HashMap<&str, usize> = HashMap::new();
    for name in snapshot.rules().iter().flat_map(profiles_of) {
        *users.entry(name).or_default() += 1;
    }
    let all = snapshot.listed_profiles();
    page(
        "/api/profiles",
        query,
        all,
        |one| &one.name,
        |_, one| {
            let ListedProfile {
                name,
                labels,
                has_script,
                configs,
                place,
                needs: _,
            } = one;
            json!({
                "name": name,
                "labels": labels,
                "script": has_script,
                "configs": configs,
                "assignments": users.get(name.as_str()).copied().unwrap_or(0),
                "path": place.path.as_str(),
                "line": place.line,
            })
        },
    )
}

pub(super) fn assignments(publication: &Publication, query: &str) -> Reply {
    let Some(snapshot) = publication.snapshot.as_deref() else {
        return starting();
    };
    let all = Snapshot::rules(snapshot);
    let element = |number, rule: &Rule| assignment(rule, snapshot.place(number, None).as_ref());
    page("/api/assignments", query, all, |rule| &rule.name, element)
}

fn assignment(rule: &Rule, place: Option<&Place>) -> Value {
    let selectors = rule.selectors.iter();
    let selectors: BTreeMap<_, _> = selectors.map(|one| (&one.key, &one.values)).collect();
    json!({
        "name": &*rule.name,
        "tier": rule.tier.as_str(),
        "priority": rule.priority,
        "profiles": profiles_of(rule).collect::<Vec<_>>(),
        "selectors": selectors,
        "machines": rule.entries.len(),
        "path": place.map(|place| place.path.as_str()),
        "line": place.map(|place| place.line),
    })
}

/// The Profiles that an Assignment may mean.
fn profiles_of(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.choices.iter().map(|choice| &*choice.binding.profile)
}

/// A page of a list that is sorted by name. What is behind it is asked for by the last name, so that a publication between
/// two pages neither repeats nor skips what both revisions have.
fn page<T>(
    path: &str,
    query: &str,
    all: &[T],
    name: fn(&T) -> &str,
    element: impl Fn(usize, &T) -> Value,
) -> Reply {
    let Ok(Wanted { after, limit }) = Wanted::read(query) else {
        let line = "`limit` is a number from 1, and `after` a name\n";
        return Reply::line(StatusCode::BAD_REQUEST, line);
    };
    let start = all.partition_point(|one| !after.is_empty() && name(one) <= after.as_str());
    let behind = all.get(start..).unwrap_or_default();
    let shown = behind.get(..limit).unwrap_or(behind);
    let numbers = start..;
    let text = list(numbers.zip(shown).map(|(number, one)| element(number, one)));
    let next = shown.last().filter(|_| behind.len() > shown.len());
    Reply::json(text).of_page(Page {
        total: all.len(),
        next: next.map(|last| format!("{path}?after={}&limit={limit}", name(last))),
    })
}

impl Wanted {
    fn read(query: &str) -> Result<Self, std::num::ParseIntError> {
        let mut wanted = Self {
            after: String::new(),
            limit: DEFAULT_LIMIT,
        };
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some(("limit", limit)) => {
                    let limit: std::num::NonZero<usize> = limit.parse()?;
                    wanted.limit = limit.get().min(MAX_LIMIT);
                }
                Some(("after", after)) => {
                    let mut bytes = Vec::new();
                    decode_percent(after, &mut bytes);
                    wanted.after = String::from_utf8_lossy(&bytes).into_owned();
                }
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// A JSON list with one element a line, of which one at a time is held as a value.
fn list(elements: impl Iterator<Item = Value>) -> String {
    let mut text = String::from("[");
    for (number, element) in elements.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&element.to_string());
    }
    text.push_str("\n]\n");
    text
}

/// The answer as long as nothing is published.
pub(super) fn starting() -> Reply {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Reply::line(status, "nothing is published yet\n")
}
