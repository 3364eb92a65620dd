//! Small random repositories and machines, with so few values that they meet all the time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::model::{Assignment, Choice, Entry, Keys, Machine, Profile, Repository};

pub(super) const UUIDS: [&str; 3] = [
    "10000000-0000-4000-8000-00000000000a",
    "20000000-0000-4000-8000-00000000000b",
    "30000000-0000-4000-8000-00000000000c",
];
const SERIALS: [&str; 3] = ["SN1", "SN2", "SN3"];
pub(super) const MACS: [&str; 3] = [
    "52:54:00:00:00:01",
    "52:54:00:00:00:02",
    "52:54:00:00:00:03",
];
const ASSETS: [&str; 2] = ["A1", "A2"];
const BUILDARCHES: [&str; 2] = ["arm64", "x86_64"];
const SITES: [&str; 2] = ["lab", "prod"];
const RACKS: [&str; 2] = ["1", "2"];

/// The values of a key.
fn values_of(key: &str) -> Vec<&'static str> {
    match key {
        "uuid" => UUIDS.to_vec(),
        "serial" => SERIALS.to_vec(),
        "mac" => MACS.to_vec(),
        "asset" => ASSETS.to_vec(),
        "buildarch" => BUILDARCHES.to_vec(),
        "site" => SITES.to_vec(),
        _ => RACKS.to_vec(),
    }
}

/// Machines with a value of every key and any number of MACs: who exists, whatever they happen to send.
pub(super) fn complete_machines() -> Vec<Machine> {
    let mut all = vec![Machine::default()];
    for key in ["uuid", "serial", "asset", "buildarch", "site", "rack"] {
        all = all
            .into_iter()
            .flat_map(|machine| {
                values_of(key).into_iter().map(move |value| {
                    let mut machine = machine.clone();
                    machine.labels.insert(key, value);
                    machine
                })
            })
            .collect();
    }
    for mac in MACS {
        let with = all.clone().into_iter().map(|mut machine| {
            machine.macs.push(mac);
            machine
        });
        all.extend(with.collect::<Vec<_>>());
    }
    all
}

fn keys(which: &'static [&'static str], most: usize) -> impl Strategy<Value = Keys> {
    let picked = subsequence(which.to_vec(), 0..=most);
    picked.prop_flat_map(|picked| {
        let values: Vec<_> = picked
            .iter()
            .map(|key| subsequence(values_of(key), 1..=2))
            .collect();
        values.prop_map(move |values| picked.iter().copied().zip(values).collect())
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let keys = keys(&["uuid", "serial", "mac", "asset"], 3);
    let named = keys.prop_filter("a machine has an identity", |keys| !keys.is_empty());
    (named, any::<bool>()).prop_map(|(keys, named)| Entry {
        name: named.then(String::new),
        keys,
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        6 => (0..4_usize).prop_map(|number| Choice::Named(format!("p{number}"))),
        1 => select(vec!["a", "b"]).prop_map(|os| Choice::Labelled(BTreeMap::from([("os".to_owned(), os)]))),
    ]
}

const CLASS: &[&str] = &["buildarch", "site", "rack"];
const ALL: &[&str] = &[
    "uuid",
    "serial",
    "mac",
    "asset",
    "buildarch",
    "site",
    "rack",
];

fn assignment() -> impl Strategy<Value = Assignment> {
    let selects = prop_oneof![
        3 => (keys(CLASS, 2), prop::collection::vec(entry(), 1..4), Just(false)),
        1 => (keys(ALL, 2), prop::collection::vec(entry(), 1..3), Just(false)),
        2 => (keys(ALL, 3), Just(Vec::new()), Just(false)),
        3 => (keys(CLASS, 2), Just(Vec::new()), Just(false)),
        1 => (keys(CLASS, 1), Just(Vec::new()), Just(true)),
    ];
    let selects = selects.prop_filter("somebody is selected", |(selectors, machines, default)| {
        *default || !selectors.is_empty() || !machines.is_empty()
    });
    let priority = prop_oneof![3 => Just(0_i16), 1 => Just(-1), 1 => Just(1)];
    (selects, choice(), priority).prop_map(
        |((selectors, mut machines, is_default), profile, priority)| {
            for (place, machine) in machines.iter_mut().enumerate() {
                machine.name = machine.name.take().map(|_| format!("m{place}"));
            }
            Assignment {
                name: String::new(),
                profile,
                selectors,
                machines,
                is_default,
                priority,
            }
        },
    )
}

fn profile() -> impl Strategy<Value = BTreeMap<String, &'static str>> {
    let requirement = |key: &'static str| {
        let label =
            select(vec!["-", "/"]).prop_map(move |sign| format!("assignment/ipxe{sign}{key}"));
        prop::option::weighted(0.6, (label, select(values_of(key))))
    };
    (
        select(vec!["a", "b"]),
        requirement("buildarch"),
        requirement("site"),
    )
        .prop_map(|(os, one, other)| {
            let os = ("os".to_owned(), os);
            [Some(os), one, other].into_iter().flatten().collect()
        })
}

/// A class of the plainest rank, to meet others in great number.
fn class() -> impl Strategy<Value = Assignment> {
    let selectors = keys(CLASS, 2).prop_filter("somebody is selected", |keys| !keys.is_empty());
    selectors.prop_map(|selectors| Assignment {
        selectors,
        is_default: false,
        ..Assignment::default_of("p0")
    })
}

/// Up to `most` Assignments of four Profiles. Their names are in no relation to their order.
pub(super) fn repository(most: usize) -> impl Strategy<Value = Repository> {
    let names: Vec<String> = (0..most).map(|number| format!("a{number}")).collect();
    let names = Just(names).prop_shuffle();
    let assignments = prop_oneof![
        4 => prop::collection::vec(assignment(), 1..=most),
        1 => prop::collection::vec(class(), 1..=most),
    ];
    (prop::collection::vec(profile(), 4), assignments, names).prop_map(
        |(labels, mut assignments, names)| {
            let profiles = labels.into_iter().enumerate();
            let profiles = profiles
                .map(|(number, labels)| Profile {
                    name: format!("p{number}"),
                    labels,
                })
                .collect();
            for (assignment, name) in assignments.iter_mut().zip(names) {
                assignment.name = name;
            }
            Repository {
                profiles,
                assignments,
            }
        },
    )
}

/// A machine that leaves some labels out and sends its MACs in any order.
pub(super) fn machine() -> impl Strategy<Value = Machine> {
    let one = |key: &'static str, how_often: f64| {
        prop::option::weighted(
            how_often,
            select(values_of(key)).prop_map(move |value| (key, value)),
        )
    };
    let labels = (
        one("uuid", 0.6),
        one("serial", 0.5),
        one("asset", 0.3),
        one("buildarch", 0.7),
        one("site", 0.7),
        one("rack", 0.5),
    );
    let macs = subsequence(MACS.to_vec(), 0..=3).prop_shuffle();
    (labels, macs).prop_map(|((a, b, c, d, e, f), macs)| Machine {
        labels: [a, b, c, d, e, f].into_iter().flatten().collect(),
        macs,
    })
}

/// The query that a machine sends.
pub(super) fn query(machine: &Machine) -> String {
    let macs = machine.macs.iter().map(|mac| format!("mac={mac}"));
    let labels = machine
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    macs.chain(labels).collect::<Vec<_>>().join("&")
}

/// The documents of a repository, in JSON, which is YAML.
pub(super) fn documents(repository: &Repository) -> Vec<String> {
    let profiles = repository.profiles.iter().map(|one| {
        json!({
            "apiVersion": "gitboot.dev/v1alpha1",
            "kind": "Profile",
            "metadata": {"name": one.name, "labels": one.labels},
            "spec": {"ipxe": "#!ipxe\necho {{ machine.name }}\n"},
        })
    });
    let assignments = repository.assignments.iter().map(assignment_document);
    profiles
        .chain(assignments)
        .map(|one| one.to_string())
        .collect()
}

fn assignment_document(one: &Assignment) -> Value {
    let mut spec = json!({"priority": one.priority, "isDefault": one.is_default});
    match &one.profile {
        Choice::Named(name) => spec["profile"] = json!(name),
        Choice::Labelled(labels) => spec["profileSelectors"] = json!(labels),
    }
    if !one.selectors.is_empty() {
        spec["subjectSelectors"] = written(&one.selectors);
    }
    if !one.machines.is_empty() {
        let machines = one.machines.iter().map(|machine| {
            let mut entry = written(&machine.keys);
            if let Some(name) = &machine.name {
                entry["name"] = json!(name);
            }
            entry
        });
        spec["machines"] = machines.collect();
    }
    json!({
        "apiVersion": "gitboot.dev/v1alpha1",
        "kind": "Assignment",
        "metadata": {"name": one.name},
        "spec": spec,
    })
}

/// A single value is written as a scalar, which is a list of one.
fn written(keys: &Keys) -> Value {
    let entries = keys.iter().map(|(key, values)| match values.as_slice() {
        [one] => ((*key).to_owned(), json!(one)),
        more => ((*key).to_owned(), json!(more)),
    });
    Value::Object(entries.collect())
}
