//! What the contract says of Assignments, word by word and as slowly as it likes: no index, no hash, only loops.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The identity keys, strongest first.
pub(super) const IDENTITY_KEYS: [&str; 4] = ["uuid", "serial", "mac", "asset"];

/// Keys and the values that are accepted.
pub(super) type Keys = BTreeMap<&'static str, Vec<&'static str>>;

/// A Profile: its name and its labels.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, &'static str>,
}

/// How an Assignment says which Profile.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    Named(String),
    Labelled(BTreeMap<String, &'static str>),
}

/// An entry of `machines`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) keys: Keys,
}

#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) profile: Choice,
    pub(super) selectors: Keys,
    pub(super) machines: Vec<Entry>,
    pub(super) is_default: bool,
    pub(super) priority: i16,
}

#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) profiles: Vec<Profile>,
    pub(super) assignments: Vec<Assignment>,
}

/// What a machine says: one value a key, but any number of MACs, the booting one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) labels: BTreeMap<&'static str, &'static str>,
    pub(super) macs: Vec<&'static str>,
}

/// What a machine gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Found {
        assignment: String,
        profile: String,
        machine: Option<String>,
    },
    Unassigned,
    /// With every Assignment that holds an entry which matched and was contradicted.
    IdentityConflict(BTreeSet<String>),
    NoProfile(String),
}

/// Two that the contract calls a conflict, the one whose name is first (or whose entry is earlier) first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conflict {
    pub(super) first: String,
    pub(super) second: String,
    /// For named ones the identity values that both have; for classes one value of each key.
    pub(super) shared: BTreeSet<String>,
}

impl Machine {
    /// The values that were sent for a key.
    fn sent(&self, key: &str) -> Vec<&'static str> {
        if key == "mac" {
            self.macs.clone()
        } else {
            self.labels.get(key).copied().into_iter().collect()
        }
    }

    /// Whether one of the values was sent.
    pub(super) fn has(&self, key: &str, values: &[&str]) -> bool {
        self.sent(key).iter().any(|sent| values.contains(sent))
    }

    /// Whether all keys hold, as the keys of `subjectSelectors` are ANDed.
    pub(super) fn satisfies(&self, keys: &Keys) -> bool {
        keys.iter().all(|(key, values)| self.has(key, values))
    }

    /// Whether values were sent for a key of the entry, and none of them is the entry's.
    fn contradicts(&self, entry: &Entry) -> bool {
        let wrong = |(key, values): (&&str, &Vec<&str>)| {
            !self.sent(key).is_empty() && !self.has(key, values)
        };
        entry.keys.iter().any(wrong)
    }

    /// The keys of an entry by which it matches.
    fn matches(&self, entry: &Entry) -> Vec<&'static str> {
        let keys = entry.keys.iter();
        keys.filter(|(key, values)| self.has(key, values))
            .map(|(key, _)| *key)
            .collect()
    }
}

impl Assignment {
    /// The plain default.
    pub(super) fn default_of(profile: &str) -> Self {
        Self {
            name: "default".to_owned(),
            profile: Choice::Named(profile.to_owned()),
            selectors: Keys::new(),
            machines: Vec::new(),
            is_default: true,
            priority: 0,
        }
    }

    fn identity_selectors(&self) -> Vec<&'static str> {
        let keys = self.selectors.keys().copied();
        keys.filter(|key| IDENTITY_KEYS.contains(key)).collect()
    }

    /// 0 named, 1 class, 2 default.
    fn tier(&self) -> u8 {
        if self.is_default {
            2
        } else {
            u8::from(self.machines.is_empty() && self.identity_selectors().is_empty())
        }
    }

    fn key_count(&self) -> usize {
        self.selectors.len() + usize::from(!self.machines.is_empty())
    }

    fn standing(&self) -> (u8, i16, usize) {
        (self.tier(), self.priority, self.key_count())
    }
}

/// An Assignment, the place of one of its entries, and the step by which another one ranks before it.
pub(super) type Ranked = (String, Option<usize>, Option<&'static str>);

/// An Assignment that a machine satisfies, by one of its entries if it has any.
struct Candidate<'r> {
    assignment: &'r Assignment,
    entry: Option<usize>,
    strongest: usize,
    position: usize,
}

impl Candidate<'_> {
    /// The seven steps of "which Assignment wins". An entry's place counts within one Assignment only, where the names are
    /// equal, so it may stand behind the name.
    fn rank(&self) -> (u8, Reverse<i16>, Reverse<usize>, usize, usize, &str, usize) {
        let (tier, priority, keys) = self.assignment.standing();
        (
            tier,
            Reverse(priority),
            Reverse(keys),
            self.strongest,
            self.position,
            &self.assignment.name,
            self.entry.unwrap_or(0),
        )
    }
}

impl Repository {
    /// Who wins.
    pub(super) fn find(&self, machine: &Machine) -> Outcome {
        let (candidates, contradicted) = self.candidates(machine);
        match candidates.first() {
            Some(winner) if winner.assignment.tier() == 0 || contradicted.is_empty() => {
                self.outcome(winner, machine)
            }
            _ if !contradicted.is_empty() => Outcome::IdentityConflict(contradicted),
            _ => Outcome::Unassigned,
        }
    }

    /// All that match, best first, by their Assignment and the place of an entry, and by which step the first one ranks
    /// before them; then the Assignments with an entry that is contradicted.
    pub(super) fn order(&self, machine: &Machine) -> (Vec<Ranked>, BTreeSet<String>) {
        let (candidates, contradicted) = self.candidates(machine);
        let ranked = candidates.iter().map(|one| {
            let (a, b) = (candidates[0].rank(), one.rank());
            let steps = [
                (a.0 == b.0, "tier"),
                (a.1 == b.1, "priority"),
                (a.2 == b.2, "keys"),
                (a.3 == b.3, "identity"),
                (a.4 == b.4, "mac_order"),
                (a.5 == b.5, "name"),
                (a.6 == b.6, "entry"),
            ];
            let step = steps.into_iter().find(|(equal, _)| !equal);
            (
                one.assignment.name.clone(),
                one.entry,
                step.map(|(_, step)| step),
            )
        });
        (ranked.collect(), contradicted)
    }

    /// Who matches, best first, and whose entries are contradicted.
    fn candidates(&self, machine: &Machine) -> (Vec<Candidate<'_>>, BTreeSet<String>) {
        let mut candidates = Vec::new();
        let mut contradicted = BTreeSet::new();
        for assignment in &self.assignments {
            let selected = machine.satisfies(&assignment.selectors);
            if assignment.machines.is_empty() && selected {
                candidates.push(candidate(assignment, None, Vec::new(), machine));
            }
            for (place, entry) in assignment.machines.iter().enumerate() {
                let matched = machine.matches(entry);
                if matched.is_empty() {
                    continue;
                }
                if machine.contradicts(entry) {
                    contradicted.insert(assignment.name.clone());
                } else if selected {
                    candidates.push(candidate(assignment, Some(place), matched, machine));
                }
            }
        }
        candidates.sort_by(|a, b| a.rank().cmp(&b.rank()));
        (candidates, contradicted)
    }

    fn outcome(&self, winner: &Candidate<'_>, machine: &Machine) -> Outcome {
        let assignment = winner.assignment.name.clone();
        let left: Vec<&Profile> = match &winner.assignment.profile {
            Choice::Named(name) => {
                let named = self.profiles.iter().filter(|one| one.name == *name);
                named.collect()
            }
            Choice::Labelled(labels) => {
                let candidates = self.labelled(labels).into_iter();
                candidates.filter(|one| suits(one, machine)).collect()
            }
        };
        // Several that are left cannot be told apart by what this machine sent; then none is better than a guess.
        match left.as_slice() {
            [profile] => Outcome::Found {
                assignment,
                profile: profile.name.clone(),
                machine: winner
                    .entry
                    .and_then(|entry| winner.assignment.machines[entry].name.clone()),
            },
            _ => Outcome::NoProfile(assignment),
        }
    }

    fn labelled(&self, labels: &BTreeMap<String, &'static str>) -> Vec<&Profile> {
        let has_all = |profile: &&Profile| {
            labels
                .iter()
                .all(|(key, value)| profile.labels.get(key) == Some(value))
        };
        self.profiles.iter().filter(has_all).collect()
    }

    /// The Assignments whose `profileSelectors` mean no Profile, and those that mean several which nothing tells apart.
    pub(super) fn unclear_profiles(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut none, mut ambiguous) = (BTreeSet::new(), BTreeSet::new());
        for assignment in &self.assignments {
            let Choice::Labelled(labels) = &assignment.profile else {
                continue;
            };
            let candidates = self.labelled(labels);
            let told_apart_by = |key: &&str| {
                let values: BTreeSet<_> = candidates
                    .iter()
                    .filter_map(|one| requirement(one, key))
                    .collect();
                values.len() == candidates.len()
            };
            if candidates.is_empty() {
                none.insert(assignment.name.clone());
            } else if candidates.len() > 1 && !["buildarch", "site"].iter().any(told_apart_by) {
                ambiguous.insert(assignment.name.clone());
            }
        }
        (none, ambiguous)
    }

    /// Every pair that the contract calls a conflict.
    pub(super) fn conflicts(&self, complete: &[Machine]) -> Vec<Conflict> {
        let mut all = Vec::new();
        for (index, one) in self.assignments.iter().enumerate() {
            for other in &self.assignments[index..] {
                if one.standing() != other.standing() {
                    continue;
                }
                if one.tier() == 0 {
                    all.extend(named_conflicts(one, other, complete));
                } else if one.name != other.name {
                    all.extend(class_conflict(one, other));
                }
            }
        }
        all.sort();
        all
    }

    /// For each Assignment the others, in the order of their names, that are classes on other keys which one machine could
    /// satisfy too, at equal rank.
    pub(super) fn overlaps(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &self.assignments {
            for other in &self.assignments {
                let same_keys = one.selectors.keys().eq(other.selectors.keys());
                let excluded = one.selectors.iter().any(|(key, values)| {
                    let others = other.selectors.get(key);
                    others.is_some_and(|others| !values.iter().any(|one| others.contains(one)))
                });
                if one.tier() != 0 && one.standing() == other.standing() && !same_keys && !excluded
                {
                    all.entry(one.name.clone())
                        .or_default()
                        .push(other.name.clone());
                }
            }
        }
        for others in all.values_mut() {
            others.sort();
        }
        all
    }
}

fn candidate<'r>(
    assignment: &'r Assignment,
    entry: Option<usize>,
    mut matched: Vec<&'static str>,
    machine: &Machine,
) -> Candidate<'r> {
    // The keys of the selectors matched as well, or the Assignment would be no candidate.
    matched.extend(assignment.identity_selectors());
    let strongest = IDENTITY_KEYS.iter().position(|key| matched.contains(key));
    let position = (strongest == Some(2)).then(|| {
        let own = entry.and_then(|entry| assignment.machines[entry].keys.get("mac"));
        let values: Vec<&str> = own
            .into_iter()
            .chain(assignment.selectors.get("mac"))
            .flatten()
            .copied()
            .collect();
        let sent = machine.macs.iter();
        sent.clone().position(|mac| values.contains(mac)).unwrap()
    });
    Candidate {
        assignment,
        entry,
        strongest: strongest.unwrap_or(4),
        position: position.unwrap_or(0),
    }
}

/// The value of `assignment/ipxe-<key>`, however it is written.
fn requirement(profile: &Profile, key: &str) -> Option<&'static str> {
    let dashed = profile.labels.get(&format!("assignment/ipxe-{key}"));
    let slashed = profile.labels.get(&format!("assignment/ipxe/{key}"));
    dashed.or(slashed).copied()
}

/// Whether no `assignment/ipxe-<key>` of the Profile differs from the label `<key>` that the machine sent.
fn suits(profile: &Profile, machine: &Machine) -> bool {
    machine
        .labels
        .iter()
        .all(|(key, sent)| requirement(profile, key).is_none_or(|value| value == *sent))
}

/// What selects by identity in an Assignment: its selectors, and each entry of `machines`.
fn claims(assignment: &Assignment) -> Vec<(Option<usize>, &Keys)> {
    let selectors =
        (!assignment.identity_selectors().is_empty()).then_some((None, &assignment.selectors));
    let entries = assignment.machines.iter().enumerate();
    selectors
        .into_iter()
        .chain(entries.map(|(place, entry)| (Some(place), &entry.keys)))
        .collect()
}

fn named_conflicts(one: &Assignment, other: &Assignment, complete: &[Machine]) -> Vec<Conflict> {
    let mut all = Vec::new();
    for (place, keys) in claims(one) {
        for (other_place, other_keys) in claims(other) {
            // Within one Assignment, entries are rivals of each other; its selectors hold for all of them alike.
            if one.name == other.name
                && !matches!((place, other_place), (Some(a), Some(b)) if a < b)
            {
                continue;
            }
            let shared: BTreeSet<String> = IDENTITY_KEYS
                .iter()
                .filter_map(|key| Some((key, keys.get(key)?, other_keys.get(key)?)))
                .flat_map(|(key, values, others)| {
                    let common = values.iter().filter(|value| others.contains(value));
                    common.map(move |value| format!("{key} `{value}`"))
                })
                .collect();
            let both = |machine: &&Machine| {
                could_be(one, place, machine) && could_be(other, other_place, machine)
            };
            if !shared.is_empty() && complete.iter().any(|machine| both(&machine)) {
                let mut names = [&one.name, &other.name];
                names.sort();
                all.push(Conflict {
                    first: names[0].clone(),
                    second: names[1].clone(),
                    shared,
                });
            }
        }
    }
    all
}

/// Whether a machine with a value for every key satisfies the Assignment by this entry, or by any if it is its selectors
/// that are looked at.
fn could_be(assignment: &Assignment, place: Option<usize>, machine: &Machine) -> bool {
    let by = |entry: &Entry| !machine.matches(entry).is_empty() && !machine.contradicts(entry);
    let entry = match place {
        Some(place) => by(&assignment.machines[place]),
        None => assignment.machines.is_empty() || assignment.machines.iter().any(by),
    };
    entry && machine.satisfies(&assignment.selectors)
}

/// Classes on the same keys with a common value in each.
fn class_conflict(one: &Assignment, other: &Assignment) -> Option<Conflict> {
    if !one.selectors.keys().eq(other.selectors.keys()) {
        return None;
    }
    let common: Vec<Vec<String>> = one
        .selectors
        .iter()
        .map(|(key, values)| {
            let common = values
                .iter()
                .filter(|value| other.selectors[key].contains(value));
            common.map(|value| format!("{key}={value}")).collect()
        })
        .collect();
    let mut combinations = vec![String::new()];
    for pairs in common {
        combinations = combinations
            .iter()
            .flat_map(|before| pairs.iter().map(move |pair| format!("{before} {pair}")))
            .collect();
    }
    let shared: BTreeSet<String> = combinations
        .iter()
        .map(|one| match one.trim() {
            "" => "every machine that nothing else selects".to_owned(),
            pairs => format!("`{pairs}`"),
        })
        .collect();
    let mut names = [&one.name, &other.name];
    names.sort();
    (!shared.is_empty()).then(|| Conflict {
        first: names[0].clone(),
        second: names[1].clone(),
        shared,
    })
}
