//! Those to whom the same happens, put together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::received::{Got, Part, Side};
use super::report::{
    Assigned, Change, Example, Group, Kind, Member, PartChange, PartDiff, Received, Subject,
};
use super::scan::Finding;
use super::text::{sentence, unified};
use super::who::{Class, Unit};
use crate::label::{Identity, Labels};
use crate::snapshot::Match;
use crate::template::Template;

/// The most different differences in the same parts of the same Profile that are told one by one. More of them are one
/// change that looks different for each machine, such as another address.
const MAX_APART: usize = 4;
/// How many of those that differ each in its own way are shown in full.
const VARIED_EXAMPLES: usize = 2;

/// What a group has in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'f, 's> {
    subject: Subject,
    kind: Kind,
    before: Option<Got<'s>>,
    after: Option<Got<'s>>,
    parts: &'f [(Part<'s>, Change)],
}

/// Puts the findings into groups, what matters most first.
pub(super) fn groups<'s>(
    sides: [&'s Side; 2],
    units: &[Unit<'s>],
    machines: &[Finding<'s>],
    classes: &[Finding<'s>],
) -> Vec<Group> {
    let mut all: BTreeMap<Key<'_, 's>, BTreeMap<u64, Vec<&Finding<'s>>>> = BTreeMap::new();
    for finding in machines.iter().chain(classes) {
        let key = key_of(finding);
        // Of those who move to another Profile, everybody's text differs, and in its own way.
        let is_apart = key.kind == Kind::Changed
            && key.before.map(|(name, _)| name) == key.after.map(|(name, _)| name);
        let signature = if is_apart { finding.delta.signature } else { 0 };
        let group = all.entry(key).or_default();
        group.entry(signature).or_default().push(finding);
    }
    let mut groups = Vec::new();
    for (key, apart) in all {
        if apart.len() <= MAX_APART {
            groups.extend(
                apart
                    .into_values()
                    .map(|one| group(sides, units, &key, one, false)),
            );
        } else {
            let one = apart.into_values().flatten().collect();
            groups.push(group(sides, units, &key, one, true));
        }
    }
    groups.sort_by(|one, other| {
        let rank = |group: &Group| (group.subject, group.kind, Reverse(group.count));
        let first = |group: &Group| group.members.first().cloned();
        rank(one)
            .cmp(&rank(other))
            .then_with(|| first(one).cmp(&first(other)))
    });
    groups
}

fn key_of<'f, 's>(finding: &'f Finding<'s>) -> Key<'f, 's> {
    let delta = &finding.delta;
    Key {
        subject: if finding.unit.is_some() {
            Subject::Machines
        } else {
            Subject::Classes
        },
        kind: match (delta.before, delta.after) {
            (Some(_), None) => Kind::Lost,
            (None, _) => Kind::New,
            _ => Kind::Changed,
        },
        before: delta.before,
        after: delta.after,
        parts: &delta.parts,
    }
}

fn group<'s>(
    sides: [&'s Side; 2],
    units: &[Unit<'s>],
    key: &Key<'_, 's>,
    findings: Vec<&Finding<'s>>,
    varied: bool,
) -> Group {
    let count = findings.len();
    let assignments = assignments(&findings);
    let minimal = minimal(&findings);
    let mut members: Vec<(Member, &Finding<'s>)> = findings
        .into_iter()
        .filter(|finding| minimal.contains(&first_values(&finding.class)) || finding.unit.is_some())
        .map(|finding| (member(units, finding), finding))
        .collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    let shown = if varied { VARIED_EXAMPLES } else { 1 };
    let examples = members
        .iter()
        .take(shown)
        .map(|(member, finding)| example(sides, member, finding))
        .collect();
    let received = |got: Got<'_>| Received {
        profile: got.0.to_owned(),
        tier: got.1,
    };
    Group {
        subject: key.subject,
        kind: key.kind,
        before: key.before.map(received),
        after: key.after.map(received),
        parts: key.parts.iter().map(|one| part_change(*one)).collect(),
        varied,
        count,
        members: members.into_iter().map(|(member, _)| member).collect(),
        assignments,
        examples,
    }
}

fn part_change((part, change): (Part<'_>, Change)) -> PartChange {
    PartChange {
        config: config_name(part),
        change,
    }
}

fn config_name(part: Part<'_>) -> Option<String> {
    match part {
        Part::Script => None,
        Part::Config(name) => Some(name.to_owned()),
    }
}

fn assignments(findings: &[&Finding<'_>]) -> Vec<Assigned> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.delta.assignments).or_default() += 1;
    }
    let mut all: Vec<_> = counts
        .into_iter()
        .map(|((before, after), count)| Assigned {
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            count,
        })
        .collect();
    all.sort_by_key(|one| Reverse(one.count));
    all
}

/// The classes of these findings of which no label can be left out.
fn minimal<'s>(findings: &[&Finding<'s>]) -> BTreeSet<Vec<(&'s str, &'s str)>> {
    let classes = findings.iter().filter(|finding| finding.unit.is_none());
    let all: BTreeSet<_> = classes
        .map(|finding| first_values(&finding.class))
        .collect();
    let is_minimal = |class: &&Vec<(&'s str, &'s str)>| {
        (0..class.len()).all(|left_out| {
            let mut shorter = (*class).clone();
            shorter.remove(left_out);
            !all.contains(&shorter)
        })
    };
    all.iter().filter(is_minimal).cloned().collect()
}

fn first_values<'s>(class: &Class<'s>) -> Vec<(&'s str, &'s str)> {
    let pairs = class.iter();
    pairs
        .filter_map(|(key, values)| Some((*key, *values.first()?)))
        .collect()
}

fn member(units: &[Unit<'_>], finding: &Finding<'_>) -> Member {
    let unit = finding.unit.and_then(|unit| units.get(unit));
    let mut labels = Vec::new();
    for identity in Identity::ALL {
        let values: Vec<String> = if identity == Identity::Mac {
            finding.labels.macs().map(str::to_owned).collect()
        } else {
            let value = finding.labels.get(identity.key());
            value.into_iter().map(str::to_owned).collect()
        };
        if !values.is_empty() {
            labels.push((identity.key().to_owned(), values));
        }
    }
    for (key, values) in &finding.class {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        labels.push(((*key).to_owned(), values));
    }
    Member {
        name: unit.map_or_else(String::new, |unit| unit.name.to_owned()),
        labels,
    }
}

fn example(sides: [&Side; 2], member: &Member, finding: &Finding<'_>) -> Example {
    let [base, head] = sides;
    let (before, after) = (base.find(&finding.labels), head.find(&finding.labels));
    let labels = finding.delta.shown.as_ref().unwrap_or(&finding.labels);
    let received = Both {
        sides,
        matched: [before.matched(), after.matched()],
        labels,
    };
    let parts = finding.delta.parts.iter();
    Example {
        member: member.clone(),
        made_up: made_up(labels, &finding.labels),
        diffs: parts
            .map(|(part, change)| PartDiff {
                config: config_name(*part),
                lines: received.lines(*part, *change),
            })
            .collect(),
    }
}

/// The labels that only the first has.
fn made_up(labels: &Labels, known: &Labels) -> Vec<(String, String)> {
    labels
        .iter()
        .filter(|(key, value)| known.get(key) != Some(value))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// What one machine receives from both sides.
struct Both<'e, 's> {
    sides: [&'e Side; 2],
    matched: [Option<&'e Match<'s>>; 2],
    labels: &'e Labels,
}

impl Both<'_, '_> {
    fn lines(&self, part: Part<'_>, change: Change) -> Vec<String> {
        match change {
            Change::Id => vec![sentence("the same bytes under another id")],
            Change::Template => {
                let [before, after] = self
                    .matched
                    .map(|one| one.and_then(|one| template(one, part)));
                let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                let mut lines = vec![sentence(
                    "the same for every label that was tried, but not made in the same way:",
                )];
                lines.extend(if before == after {
                    vec![sentence("other values in the same template")]
                } else {
                    unified(before.as_bytes(), after.as_bytes())
                });
                lines
            }
            Change::ContentType => {
                let types = self.matched.map(|one| content_type(one, part));
                let mut lines = vec![sentence(&format!(
                    "content type {} → {}",
                    types[0], types[1]
                ))];
                lines.extend(self.texts(part));
                lines
            }
            Change::Added | Change::Removed | Change::Text => self.texts(part),
        }
    }

    fn texts(&self, part: Part<'_>) -> Vec<String> {
        let [before, after] = [0, 1].map(|side| {
            let matched = self.matched.get(side).copied().flatten();
            let side = self.sides.get(side);
            match (matched.filter(|one| has(one, part)), side) {
                (Some(matched), Some(side)) => match side.text(matched, part, self.labels) {
                    Ok(bytes) => bytes.to_vec(),
                    Err(why) => {
                        format!("{}\n", sentence(&format!("status 500: {why}"))).into_bytes()
                    }
                },
                _ => Vec::new(),
            }
        });
        if before == after {
            return Vec::new();
        }
        unified(&before, &after)
    }
}

fn has(matched: &Match<'_>, part: Part<'_>) -> bool {
    match part {
        Part::Script => matched.script().is_some(),
        Part::Config(name) => matched.config(name).is_some(),
    }
}

fn content_type<'m>(matched: Option<&'m Match<'_>>, part: Part<'_>) -> &'m str {
    match (matched, part) {
        (Some(matched), Part::Config(name)) => matched
            .config(name)
            .map_or("none", |config| config.content_type.as_str()),
        _ => "none",
    }
}

/// The sources of the templates behind a part, one after the other.
fn template(matched: &Match<'_>, part: Part<'_>) -> Option<String> {
    let recipe = match part {
        Part::Script => matched.script_recipe()?,
        Part::Config(name) => matched.config(name)?.recipe(),
    };
    let templates = recipe.templates().into_iter();
    let sources = templates.flat_map(Template::sources);
    Some(sources.map(|source| &*source.text).collect())
}
