//! An `Assignment` document: who boots what.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::diagnostic::{assignment as say, document};
use crate::label::{self, Identity};

use super::fields::{Fields, Reader};
use super::locate::Step;
use super::machines::{Builder, Draft, Machines};
use super::place::{Origin, Part};
use super::profile::{FileRef, metadata, values_from};
use super::yaml::{Kind, Node, Scalar};

pub(super) const TOP_FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
pub(super) const SPEC_FIELDS: &[&str] = &[
    "profile",
    "profileName",
    "profileSelectors",
    "subjectSelectors",
    "subjectSelector",
    "machines",
    "priority",
    "isDefault",
    "values",
    "valuesFrom",
];
/// The span of priorities (contract, section 4).
pub(super) const PRIORITIES: std::ops::RangeInclusive<i64> = -1000..=1000;
/// How many combinations the value lists of one Assignment may multiply to (contract, section 4): each is an entry of the
/// index that requests are looked up in.
const MAX_COMBINATIONS: usize = 4096;
/// The longest name of a machine, that of a host name (RFC 1035, section 2.3.4).
const MAX_MACHINE_NAME_BYTES: usize = 253;

/// Who boots what.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// Which Profile.
    pub profile: ProfileChoice,
    /// What it asks of labels, sorted by key; all must hold.
    pub selectors: Vec<Selector>,
    /// The machines it names.
    pub machines: Machines,
    /// Its rank within the tier.
    pub priority: i16,
    /// Whether it is for machines that nothing else selects.
    pub is_default: bool,
    /// Values over those of the Profile.
    pub values: Map<String, Value>,
    /// Files of values under its own.
    pub values_from: Vec<FileRef>,
    /// Whether something in it is wrong, so that what follows from it need not be told.
    pub broken: bool,
}

/// How an Assignment says which Profile.
#[derive(Clone, Debug, PartialEq)]
pub enum ProfileChoice {
    /// By name.
    Named {
        /// The name.
        name: String,
        /// The way to it.
        steps: Vec<Step>,
    },
    /// By the Profile's labels, all of which must be there.
    Labelled {
        /// The labels.
        labels: BTreeMap<String, String>,
        /// The way to them.
        steps: Vec<Step>,
    },
}

/// One key of `subjectSelectors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The canonical key.
    pub key: String,
    /// The accepted values in normal form, sorted.
    pub values: Vec<String>,
    /// The way to the key.
    pub steps: Vec<Step>,
}

pub(super) fn read(node: &Node, older: bool, reader: &mut Reader<'_>) -> Option<Assignment> {
    let top = reader.fields(node, &[], "an Assignment", TOP_FIELDS)?;
    let metadata = metadata(&top, reader);
    let Some((spec, steps)) = top.get_set("spec") else {
        reader.at(&[], Part::Value, |at| {
            document::missing_field(at, "spec", "who boots what")
        });
        return None;
    };
    let spec = reader.fields(spec, &steps, "an Assignment's `spec`", SPEC_FIELDS)?;
    let profile = profile_choice(&spec, reader);
    let is_default = spec
        .get_set("isDefault")
        .and_then(|(node, steps)| reader.boolean(node, &steps, "`isDefault`"))
        .unwrap_or(false);
    let selectors = selectors(&spec, older && is_default, reader);
    let machines = machines(&spec, reader);
    let priority = spec
        .get_set("priority")
        .map_or(0, |(node, steps)| priority(node, &steps, reader));
    if !reader.is_broken() {
        check_subjects(&spec, &selectors, is_default, reader);
    }
    let (name, _) = metadata?;
    let profile = profile?;
    let values = reader.values(spec.get_set("values"));
    let values_from = values_from(&spec, reader);
    Some(Assignment {
        origin: reader.origin(),
        name,
        profile,
        selectors,
        machines,
        priority,
        is_default,
        values,
        values_from,
        broken: reader.is_broken(),
    })
}

fn profile_choice(spec: &Fields<'_>, reader: &mut Reader<'_>) -> Option<ProfileChoice> {
    let named = spec
        .aliased(reader, &["profile", "profileName"])
        .filter(|(node, ..)| !node.is_null());
    let labelled = spec.get_set("profileSelectors");
    match (named, labelled) {
        (Some((node, steps, _)), None) => {
            let name = reader.string(node, &steps, "`profile`")?;
            Some(ProfileChoice::Named { name, steps })
        }
        (None, Some((node, steps))) => {
            let labels = profile_labels(node, &steps, reader)?;
            Some(ProfileChoice::Labelled { labels, steps })
        }
        (Some(_), Some((_, steps))) => {
            reader.at(&steps, Part::Key, |at| {
                document::both_fields(at, "profile", "profileSelectors")
            });
            None
        }
        (None, None) => {
            reader.at(&spec.to("profile")[..1], Part::Key, |at| {
                document::missing_field(
                    at,
                    "profile",
                    "the name of a Profile, or `profileSelectors`, labels of one",
                )
            });
            None
        }
    }
}

fn profile_labels(
    node: &Node,
    steps: &[Step],
    reader: &mut Reader<'_>,
) -> Option<BTreeMap<String, String>> {
    let Some(entries) = node.as_map().filter(|entries| !entries.is_empty()) else {
        let found = node.description();
        reader.at(steps, Part::Key, move |at| {
            say::profile_selectors_empty(at, found)
        });
        return None;
    };
    let mut labels = BTreeMap::new();
    for (key, value) in entries {
        let mut there = steps.to_vec();
        there.push(Step::Key(key.clone()));
        if let Some(text) = reader.string(value, &there, "a label") {
            labels.insert(key.to_string(), text);
        }
    }
    Some(labels)
}

fn priority(node: &Node, steps: &[Step], reader: &mut Reader<'_>) -> i16 {
    if let Node::Scalar(Scalar {
        kind: Kind::Number(number),
        ..
    }) = node
        && let Some(value) = number.as_i64().filter(|value| PRIORITIES.contains(value))
    {
        return i16::try_from(value).expect("the span of priorities fits");
    }
    reader.at(steps, Part::Value, |at| {
        say::invalid_priority(at, *PRIORITIES.start(), *PRIORITIES.end())
    });
    0
}

fn selectors(
    spec: &Fields<'_>,
    lists_may_be_empty: bool,
    reader: &mut Reader<'_>,
) -> Vec<Selector> {
    let Some((node, steps, spelling)) =
        spec.aliased(reader, &["subjectSelectors", "subjectSelector"])
    else {
        return Vec::new();
    };
    let entries = match node.as_map() {
        Some(entries) if !entries.is_empty() => entries,
        None if !node.is_null() => {
            let found = node.description();
            reader.at(&steps, Part::Value, move |at| {
                document::wrong_type(at, "`subjectSelectors`", "a map", found)
            });
            return Vec::new();
        }
        _ => {
            reader.at(&steps, Part::Key, move |at| {
                say::empty_selectors(at, spelling)
            });
            return Vec::new();
        }
    };
    let mut all: BTreeMap<String, Selector> = BTreeMap::new();
    for (written, node) in entries {
        let mut there = steps.clone();
        there.push(Step::Key(written.clone()));
        let Some(key) = label::canonical_key(written) else {
            let written = written.clone();
            reader.at(&there, Part::Key, move |at| say::invalid_key(at, &written));
            continue;
        };
        if lists_may_be_empty && matches!(node, Node::List(items) if items.is_empty()) {
            continue;
        }
        let mut values: Vec<String> = selector_values(&key, node, &there, reader);
        values.sort();
        values.dedup();
        if let Some(first) = all.get(&key) {
            let first = last_key(&first.steps);
            let second = written.to_string();
            reader.at(&there, Part::Key, move |at| {
                say::same_key_twice(at, &first, &second)
            });
        } else if !values.is_empty() {
            all.insert(
                key.clone(),
                Selector {
                    key,
                    values,
                    steps: there,
                },
            );
        }
    }
    let combinations = all
        .values()
        .map(|one| one.values.len())
        .try_fold(1_usize, usize::checked_mul);
    if combinations.is_none_or(|count| count > MAX_COMBINATIONS) {
        reader.at(&steps, Part::Key, |at| {
            say::too_many_combinations(at, MAX_COMBINATIONS)
        });
        return Vec::new();
    }
    all.into_values().collect()
}

fn last_key(steps: &[Step]) -> String {
    match steps.last() {
        Some(Step::Key(key) | Step::Nth(key, _)) => key.to_string(),
        _ => String::new(),
    }
}

/// The values of one key, each in normal form; every one that no machine could send is an error.
fn selector_values(key: &str, node: &Node, steps: &[Step], reader: &mut Reader<'_>) -> Vec<String> {
    let items: &[Node] = match node {
        Node::List(items) => items,
        one => std::slice::from_ref(one),
    };
    if items.is_empty() || node.is_null() {
        let key = key.to_owned();
        reader.at(steps, Part::Key, move |at| say::empty_values(at, &key));
        return Vec::new();
    }
    let mut values = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut there = steps.to_vec();
        if matches!(node, Node::List(_)) {
            there.push(Step::from(index));
        }
        let what = format!("a value of `{key}`");
        let Some(text) = reader.string(item, &there, &what) else {
            continue;
        };
        match label::normalise(key, &text) {
            Ok(value) if key == "buildarch" && !label::is_buildarch(&value) => {
                reader.at(&there, Part::Value, move |at| {
                    say::unknown_buildarch(at, &text)
                });
            }
            Ok(value) => values.push(value),
            Err(rejection) => {
                let key = key.to_owned();
                reader.at(&there, Part::Value, move |at| {
                    say::rejected_value(at, &key, &text, rejection)
                });
            }
        }
    }
    values
}

fn machines(spec: &Fields<'_>, reader: &mut Reader<'_>) -> Machines {
    let Some((node, steps)) = spec.get("machines") else {
        return Machines::default();
    };
    let items = match node {
        Node::List(items) if !items.is_empty() => items,
        Node::List(_) => {
            reader.at(&steps, Part::Key, say::empty_machines);
            return Machines::default();
        }
        other if other.is_null() => {
            reader.at(&steps, Part::Key, say::empty_machines);
            return Machines::default();
        }
        other => {
            let found = other.description();
            reader.at(&steps, Part::Value, move |at| {
                document::wrong_type(at, "`machines`", "a list", found)
            });
            return Machines::default();
        }
    };
    let mut names = HashSet::new();
    let mut all = Builder::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut there = steps.clone();
        there.push(Step::from(index));
        let Some(machine) = machine(item, &there, reader) else {
            continue;
        };
        if let Some(name) = &machine.name
            && !names.insert(name.clone())
        {
            let name = name.clone();
            there.push(Step::from("name"));
            reader.at(&there, Part::Value, move |at| {
                say::machine_name_twice(at, &name)
            });
        }
        all.add(machine);
    }
    all.finish()
}

fn machine(node: &Node, steps: &[Step], reader: &mut Reader<'_>) -> Option<Draft> {
    let Some(entries) = node.as_map() else {
        let found = node.description();
        reader.at(steps, Part::Value, move |at| {
            document::wrong_type(at, "a machine", "a map", found)
        });
        return None;
    };
    let mut machine = Draft {
        line: node.line(),
        ..Draft::default()
    };
    for (written, value) in entries {
        let mut there = steps.to_vec();
        there.push(Step::Key(written.clone()));
        match &**written {
            "name" => machine.name = machine_name(value, &there, reader),
            "values" if value.is_null() => {}
            "values" => machine.values = reader.values(Some((value, there))),
            _ => {
                let Some(identity) =
                    label::canonical_key(written).and_then(|key| Identity::from_key(&key))
                else {
                    let written = written.clone();
                    reader.at(&there, Part::Key, move |at| {
                        say::unknown_machine_field(at, &written)
                    });
                    continue;
                };
                let values = selector_values(identity.key(), value, &there, reader);
                if machine.written.iter().any(|(one, _)| *one == identity) {
                    let written = written.to_string();
                    reader.at(&there, Part::Key, move |at| {
                        say::same_key_twice(at, identity.key(), &written)
                    });
                } else if !values.is_empty() {
                    machine.written.push((identity, written.clone()));
                    let values = values.into_iter().map(|value| (identity, value));
                    machine.identities.extend(values);
                }
            }
        }
    }
    let tried = entries
        .iter()
        .any(|(key, _)| !matches!(&**key, "name" | "values"));
    if machine.identities.is_empty() && !tried {
        reader.at(steps, Part::Value, say::machine_without_identity);
    }
    Some(machine)
}

fn machine_name(node: &Node, steps: &[Step], reader: &mut Reader<'_>) -> Option<Box<str>> {
    let name = reader.string(node, steps, "a machine's `name`")?;
    if name.is_empty() || name.len() > MAX_MACHINE_NAME_BYTES || name.chars().any(char::is_control)
    {
        reader.at(steps, Part::Value, |at| {
            say::invalid_machine_name(at, MAX_MACHINE_NAME_BYTES)
        });
        return None;
    }
    Some(name.into())
}

/// Ensure that an Assignment selects somebody, and that a default selects nobody by identity.
fn check_subjects(
    spec: &Fields<'_>,
    selectors: &[Selector],
    is_default: bool,
    reader: &mut Reader<'_>,
) {
    let machines = spec.get("machines");
    if !is_default {
        if selectors.is_empty() && machines.is_none() {
            reader.at(&spec.to("spec")[..1], Part::Key, |at| {
                say::selects_nobody(at)
            });
        }
        return;
    }
    if let Some((_, steps)) = machines {
        reader.at(&steps, Part::Key, |at| {
            say::default_names_machines(at, "machines")
        });
    }
    for selector in selectors
        .iter()
        .filter(|one| Identity::from_key(&one.key).is_some())
    {
        let key = selector.key.clone();
        reader.at(&selector.steps, Part::Key, move |at| {
            say::default_names_machines(at, &key)
        });
    }
}
