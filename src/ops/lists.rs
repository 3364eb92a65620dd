//! `/api/profiles` and `/api/assignments`: what is served, as lists.

use std::collections::{BTreeMap, HashMap};

use ::http::StatusCode;
use serde_json::{Value, json};

use super::reply::Reply;
use crate::publish::Publication;
use crate::snapshot::{ListedProfile, Rule, Snapshot};

pub(super) fn profiles(publication: &Publication) -> Reply {
    let Some(snapshot) = publication.snapshot.as_deref() else {
        return starting();
    };
    let mut users: HashMap<&str, usize> = HashMap::new();
    for name in snapshot.rules().iter().flat_map(profiles_of) {
        *users.entry(name).or_default() += 1;
    }
    list(snapshot.listed_profiles().iter().map(|one| {
        let ListedProfile {
            name,
            labels,
            has_script,
            configs,
            path,
            needs: _,
        } = one;
        json!({
            "name": name,
            "labels": labels,
            "script": has_script,
            "configs": configs,
            "assignments": users.get(name.as_str()).copied().unwrap_or(0),
            "path": path,
        })
    }))
}

pub(super) fn assignments(publication: &Publication) -> Reply {
    match publication.snapshot.as_deref() {
        Some(snapshot) => list(Snapshot::rules(snapshot).iter().map(assignment)),
        None => starting(),
    }
}

fn assignment(rule: &Rule) -> Value {
    let selectors = rule.selectors.iter();
    let selectors: BTreeMap<_, _> = selectors.map(|one| (&one.key, &one.values)).collect();
    json!({
        "name": &*rule.name,
        "tier": rule.tier.as_str(),
        "priority": rule.priority,
        "profiles": profiles_of(rule).collect::<Vec<_>>(),
        "selectors": selectors,
        "machines": rule.entries.len(),
    })
}

/// The Profiles that an Assignment may mean.
fn profiles_of(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.choices.iter().map(|choice| &*choice.binding.profile)
}

/// A JSON list with one element a line, of which one at a time is held as a value.
fn list(elements: impl Iterator<Item = Value>) -> Reply {
    let mut text = String::from("[");
    for (number, element) in elements.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&element.to_string());
    }
    text.push_str("\n]\n");
    Reply::json(text)
}

/// The answer as long as nothing is published.
pub(super) fn starting() -> Reply {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Reply::line(status, "nothing is published yet\n")
}
