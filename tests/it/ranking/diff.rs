//! A comparison of two random fleets against what single machines get from both.

use std::collections::BTreeSet;

use gitboot::diff::{Change, Member, Report, Revisions, Subject, compare};
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::{BaseUrl, script};
use gitboot::snapshot::{NoMatch, Snapshot, Tier};
use gitboot::tree::Revision;
use proptest::prelude::*;
use proptest::sample::Index;

use super::generate::{documents, repository};
use super::model::{IDENTITY_KEYS, Keys, Repository};
use super::{files, without_mistakes};
use crate::support::fixture::build;

/// What the scripts of HEAD say instead of what those of BASE say, by Profile.
const SCRIPTS: [&str; 4] = [
    "echo {{ machine.name }}",
    "echo new {{ machine.name }}",
    "echo {{ machine.name }}{% if labels.rack == '2' %} two{% endif %}",
    "echo {{ machine.name }} {{ labels.site }}",
];

fn compiled(repository: &Repository, scripts: &[usize]) -> Snapshot {
    let documents: Vec<String> = documents(repository)
        .into_iter()
        .enumerate()
        .map(|(number, text)| match scripts.get(number) {
            Some(script) => text.replace(SCRIPTS[0], SCRIPTS[*script]),
            None => text,
        })
        .collect();
    let (snapshot, diagnostics) = build(&files(&documents, &vec![0; documents.len()]));
    let snapshot = snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()));
    snapshot.with_revision(Revision::new("same"))
}

/// Every machine that a repository names: the identity values that it may send.
fn units(repository: &Repository) -> Vec<Keys> {
    let mut all = Vec::new();
    for assignment in &repository.assignments {
        let mut asked = assignment.selectors.clone();
        asked.retain(|key, _| IDENTITY_KEYS.contains(key));
        for entry in &assignment.machines {
            all.push(entry.keys.clone());
            let mut both = entry.keys.clone();
            for (key, values) in &asked {
                let own = both.entry(key).or_insert_with(|| values.clone());
                let shared: Vec<_> = own
                    .iter()
                    .copied()
                    .filter(|one| values.contains(one))
                    .collect();
                if !shared.is_empty() {
                    *own = shared;
                }
            }
            all.push(both);
        }
        if assignment.machines.is_empty() && !asked.is_empty() {
            all.push(asked);
        }
    }
    all
}

/// What a machine gets: its Profile and its script.
fn got(snapshot: &Snapshot, labels: &Labels) -> Option<(String, String)> {
    let base = BaseUrl::parse("http://gitboot.invalid").unwrap();
    let matched = snapshot.find(labels).ok()?;
    let text = script(&matched, labels, &base).unwrap();
    Some((
        matched.profile().to_owned(),
        String::from_utf8(text.to_vec()).unwrap(),
    ))
}

fn is_named(snapshot: &Snapshot, labels: &Labels) -> bool {
    let named = |name: &str| {
        let mut rules = snapshot.rules().iter();
        rules.any(|rule| &*rule.name == name && rule.tier == Tier::Named)
    };
    match snapshot.find(labels) {
        Ok(matched) => named(matched.assignment()),
        Err(NoMatch::IdentityConflict { .. }) => true,
        Err(NoMatch::NoProfile { assignment }) => named(assignment),
        Err(NoMatch::Unassigned) => false,
    }
}

fn members(report: &Report, subject: Subject) -> impl Iterator<Item = &Member> {
    let groups = report
        .groups
        .iter()
        .filter(move |group| group.subject == subject);
    groups.flat_map(|group| &group.members)
}

/// A machine that sends one value of each of some keys, the MACs of its list in order.
fn sample(
    unit: &Keys,
    keys: &[Index],
    class: &[(&'static str, Option<&'static str>)],
) -> Vec<(String, String)> {
    let names: Vec<_> = unit.keys().copied().collect();
    let chosen: BTreeSet<_> = keys.iter().map(|key| *key.get(&names)).collect();
    let mut pairs = Vec::new();
    for key in chosen {
        pairs.push((key.to_owned(), keys[0].get(&unit[key]).to_string()));
    }
    for (key, value) in class {
        pairs.extend(value.map(|value| ((*key).to_owned(), value.to_owned())));
    }
    pairs
}

fn labels(pairs: &[(String, String)]) -> Labels {
    let pairs = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    Labels::from_pairs(pairs, &FixedLabels::default())
        .unwrap()
        .0
}

/// Whether the report tells of this machine: by its identity where one names it, else by its class.
fn is_told(report: &Report, unit: &Keys, sent: &Labels, named: bool) -> bool {
    let in_unit = |key: &str, values: &[String]| {
        let own = unit.get(key);
        values
            .iter()
            .all(|value| own.is_some_and(|own| own.contains(&value.as_str())))
    };
    if named {
        return members(report, Subject::Machines).any(|member| {
            let mut labels = member.labels.iter();
            labels.all(|(key, values)| !IDENTITY_KEYS.contains(&&**key) || in_unit(key, values))
        });
    }
    members(report, Subject::Classes).any(|member| {
        let mut labels = member.labels.iter();
        labels.all(|(key, values)| {
            sent.get(key).is_some_and(|one| {
                values
                    .iter()
                    .any(|value| value == one || value == "<another>")
            })
        })
    })
}

fn class_labels() -> impl Strategy<Value = Vec<(&'static str, Option<&'static str>)>> {
    let one = |values: [&'static str; 2]| {
        prop::option::weighted(0.7, prop::sample::select(values.to_vec()))
    };
    (
        one(["arm64", "x86_64"]),
        one(["lab", "prod"]),
        one(["1", "2"]),
    )
        .prop_map(|(a, b, c)| vec![("buildarch", a), ("site", b), ("rack", c)])
}

/// Every member that is listed, as it would ask, with each of the values that are said to be alike.
fn listed(member: &Member) -> Vec<Labels> {
    let most = member
        .labels
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or(1);
    (0..most)
        .map(|number| {
            let mut pairs = Vec::new();
            for (key, values) in &member.labels {
                let is_mac = key == "mac";
                let chosen = values.iter().enumerate();
                let chosen = chosen.filter(|(place, _)| is_mac || *place == number % values.len());
                pairs.extend(chosen.map(|(_, value)| (key.clone(), value.clone())));
            }
            labels(&pairs)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn who_gets_something_else_is_told_of_and_nobody_else(
        base in repository(5),
        head in prop::option::of(repository(5)),
        scripts in prop::collection::vec(prop_oneof![3 => Just(0_usize), 2 => 1..4_usize], 4),
        samples in prop::collection::vec(
            (any::<Index>(), prop::collection::vec(any::<Index>(), 1..4), class_labels()), 48),
    ) {
        let base = without_mistakes(base);
        let head = head.map_or_else(|| base.clone(), without_mistakes);
        let (before, after) = (compiled(&base, &[]), compiled(&head, &scripts));
        let revisions = Revisions {
            base: ("one".to_owned(), before.revision().clone()),
            head: ("other".to_owned(), after.revision().clone()),
        };
        let report = compare(&before, &after, revisions);
        let mut units = units(&base);
        units.extend(self::units(&head));
        units.push(Keys::new());
        for (unit, keys, class) in &samples {
            let unit = unit.get(&units);
            let pairs = if unit.is_empty() { sample(unit, &[], class) } else { sample(unit, keys, class) };
            let sent = labels(&pairs);
            if got(&before, &sent) != got(&after, &sent) {
                let named = is_named(&before, &sent) || is_named(&after, &sent);
                prop_assert!(is_told(&report, unit, &sent, named), "{:?} {:#?}", pairs, report);
            }
        }
        for group in &report.groups {
            // Whether it differs may hang on a label that the machine is not known to send.
            if group.parts.iter().any(|part| part.change == Change::Template)
                || group.examples.iter().any(|example| !example.made_up.is_empty())
            {
                prop_assert!(scripts.iter().any(|script| *script > 1));
                continue;
            }
            for member in &group.members {
                for sent in listed(member) {
                    prop_assert_ne!(got(&before, &sent), got(&after, &sent), "{:?} {:#?}", member, group);
                }
            }
        }
        prop_assert_eq!(report.differs(), report.differing_machines + report.differing_classes > 0);
        prop_assert!(!compare(&before, &before, report.revisions.clone()).differs());
    }
}
