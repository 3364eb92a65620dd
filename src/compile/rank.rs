//! Who could be meant twice: conflicts are errors, overlaps of classes are warnings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::diagnostic::{Diagnostic, Location, ranking as say};
use crate::label::Identity;
use crate::manifest::{Assignment, Locator, Manifests, Part, Selector, Step};
use crate::snapshot::Tier;

use super::claim::{Claim, Crowd};
use super::overlap::overlaps;

/// The tier of an Assignment (contract, section 4).
pub(super) fn tier(assignment: &Assignment) -> Tier {
    if assignment.is_default {
        Tier::Default
    } else if !assignment.machines.is_empty() || identities(assignment).next().is_some() {
        Tier::Named
    } else {
        Tier::Class
    }
}

pub(super) fn check(manifests: &Manifests, locator: &Locator<'_>, found: &mut Vec<Diagnostic>) {
    let assignments = manifests
        .assignments
        .iter()
        .map(AsRef::as_ref)
        .filter(|assignment: &&Assignment| !assignment.broken)
        .collect();
    let ranking = Ranking {
        assignments,
        locator,
    };
    ranking.named_conflicts(found);
    ranking.class_conflicts(found);
    ranking.class_overlaps(found);
    ranking.anded_identities(found);
}

struct Ranking<'a> {
    assignments: Vec<&'a Assignment>,
    locator: &'a Locator<'a>,
}

/// What two must have in common to be rivals: the tier is that of the list they stand in.
fn rank(assignment: &Assignment) -> (Reverse<i16>, Reverse<usize>) {
    let keys = assignment.selectors.len() + usize::from(!assignment.machines.is_empty());
    (Reverse(assignment.priority), Reverse(keys))
}

fn identities(assignment: &Assignment) -> impl Iterator<Item = (Identity, &Selector)> {
    assignment
        .selectors
        .iter()
        .filter_map(|selector| Some((Identity::from_key(&selector.key)?, selector)))
}

impl Ranking<'_> {
    /// Ensure that no identity value is claimed twice at equal rank, where one machine could satisfy both.
    fn named_conflicts(&self, found: &mut Vec<Diagnostic>) {
        let mut told: BTreeSet<(Claim, Claim)> = BTreeSet::new();
        for ((identity, value), mut claims) in self.shared_identities() {
            claims.sort_unstable();
            let mut crowds: BTreeMap<_, Crowd<'_>> = BTreeMap::new();
            for later in claims {
                let assignment = self.assignments[later.assignment];
                let crowd = crowds.entry(rank(assignment)).or_default();
                let rival = crowd.add(later, assignment);
                if let Some(earlier) = rival.filter(|earlier| told.insert((*earlier, later))) {
                    found.push(self.conflict(earlier, later, identity, value));
                }
            }
        }
    }

    /// The identity values that are claimed more than once, with their claims. Nearly all of a million values are claimed
    /// once; those are found and left by their hashes alone.
    fn shared_identities(&self) -> BTreeMap<(Identity, &str), Vec<Claim>> {
        let hash = BuildHasherDefault::<DefaultHasher>::new();
        let mut hashes: Vec<u64> = Vec::new();
        self.each_claim(|identity, value, _| hashes.push(hash.hash_one((identity, value))));
        hashes.sort_unstable();
        let repeated = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        let repeated: HashSet<u64> = repeated.map(|pair| pair[0]).collect();
        drop(hashes);
        let mut shared: BTreeMap<(Identity, &str), Vec<Claim>> = BTreeMap::new();
        if !repeated.is_empty() {
            self.each_claim(|identity, value, claim| {
                if repeated.contains(&hash.hash_one((identity, value))) {
                    shared.entry((identity, value)).or_default().push(claim);
                }
            });
        }
        shared.retain(|_, claims| claims.len() > 1);
        shared
    }

    /// Calls back with every identity value that a named Assignment claims.
    fn each_claim<'s>(&'s self, mut each: impl FnMut(Identity, &'s str, Claim)) {
        let named = self.assignments.iter().enumerate();
        for (assignment, one) in named.filter(|(_, one)| tier(one) == Tier::Named) {
            for (identity, selector) in identities(one) {
                let entry = None;
                for value in &selector.values {
                    each(identity, value, Claim { assignment, entry });
                }
            }
            for machine in one.machines.iter() {
                let entry = Some(machine.place);
                for (identity, value) in machine.entry.identities().iter() {
                    each(identity, value, Claim { assignment, entry });
                }
            }
        }
    }

    fn conflict(
        &self,
        earlier: Claim,
        later: Claim,
        identity: Identity,
        value: &str,
    ) -> Diagnostic {
        let (first, second) = (
            self.assignments[earlier.assignment],
            self.assignments[later.assignment],
        );
        let shared = format!("{identity} `{value}`");
        say::conflict(
            self.claimed_at(later, identity, value),
            &second.name,
            &first.name,
            &shared,
            &self.claimed_at(earlier, identity, value),
        )
    }

    fn claimed_at(&self, claim: Claim, identity: Identity, value: &str) -> Location {
        let assignment = self.assignments[claim.assignment];
        let steps: Vec<Step> = match claim.entry {
            None => identities(assignment)
                .find(|(one, _)| *one == identity)
                .map_or_else(Vec::new, |(_, selector)| selector.steps.clone()),
            Some(entry) => assignment.machines.steps(entry, identity, value),
        };
        self.locator.place(&assignment.origin, &steps, Part::Value)
    }

    /// Ensure that no two classes, and no two defaults, on the same keys accept one combination of values at equal rank.
    fn class_conflicts(&self, found: &mut Vec<Diagnostic>) {
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, assignment) in self.assignments.iter().enumerate() {
            let tier = tier(assignment);
            if tier != Tier::Named {
                let keys: Vec<&str> = assignment
                    .selectors
                    .iter()
                    .map(|selector| selector.key.as_str())
                    .collect();
                groups
                    .entry((tier, assignment.priority, keys))
                    .or_default()
                    .push(number);
            }
        }
        for group in groups.values() {
            let mut taken: HashMap<Vec<&str>, usize> = HashMap::new();
            for number in group {
                let mut rival = None;
                for_each_combination(
                    &value_lists(self.assignments[*number]),
                    |values| match taken.get(values) {
                        Some(first) if rival.is_none() => rival = Some((*first, values.to_vec())),
                        Some(_) => {}
                        None => {
                            taken.insert(values.to_vec(), *number);
                        }
                    },
                );
                if let Some((first, values)) = rival {
                    found.push(self.class_conflict(first, *number, &values));
                }
            }
        }
    }

    fn class_conflict(&self, first: usize, second: usize, values: &[&str]) -> Diagnostic {
        let (one, other) = (self.assignments[second], self.assignments[first]);
        let keys = one.selectors.iter().map(|selector| selector.key.as_str());
        let pairs: Vec<String> = keys
            .zip(values)
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let shared = if pairs.is_empty() {
            "every machine that nothing else selects".to_owned()
        } else {
            format!("`{}`", pairs.join(" "))
        };
        say::conflict(
            self.selects_at(one),
            &one.name,
            &other.name,
            &shared,
            &self.selects_at(other),
        )
    }

    fn selects_at(&self, assignment: &Assignment) -> Location {
        match assignment.selectors.first() {
            Some(selector) => self
                .locator
                .place(&assignment.origin, &selector.steps, Part::Key),
            None => self.locator.place(
                &assignment.origin,
                &["spec".into(), "isDefault".into()],
                Part::Key,
            ),
        }
    }

    /// Ensure that somebody looks at classes on different keys that one machine could satisfy at equal rank.
    fn class_overlaps(&self, found: &mut Vec<Diagnostic>) {
        let mut groups: BTreeMap<_, Vec<&Assignment>> = BTreeMap::new();
        for assignment in self.assignments.iter().copied() {
            let tier = tier(assignment);
            if tier != Tier::Named {
                let group = groups.entry((tier, rank(assignment))).or_default();
                group.push(assignment);
            }
        }
        for group in groups.values() {
            for (one, others) in group.iter().zip(overlaps(group)) {
                // A pair is told at the one whose name comes later.
                if others.least.is_some_and(|other| other < one.name.as_str()) {
                    let first = others.places().filter_map(|place| group.get(place));
                    found.push(say::overlap(
                        self.selects_at(one),
                        &one.name,
                        first.map(|other| other.name.as_str()),
                        others.count,
                    ));
                }
            }
        }
    }

    /// Ensure that two identity keys in one selector are meant to be ANDed.
    fn anded_identities(&self, found: &mut Vec<Diagnostic>) {
        for assignment in self
            .assignments
            .iter()
            .filter(|one| identities(one).count() > 1)
        {
            let keys = identities(assignment).map(|(_, selector)| selector.key.as_str());
            found.push(say::identities_anded(
                self.selects_at(assignment),
                &assignment.name,
                keys,
            ));
        }
    }
}

/// The values of each of an Assignment's selectors.
pub(super) fn value_lists(assignment: &Assignment) -> Vec<&[String]> {
    let selectors = assignment.selectors.iter();
    selectors.map(|one| one.values.as_slice()).collect()
}

/// Calls back with every combination of one value per key; the manifest room bounds how many there are.
pub(super) fn for_each_combination<'s>(lists: &[&'s [String]], mut each: impl FnMut(&[&'s str])) {
    let mut picks = vec![0_usize; lists.len()];
    loop {
        let values = lists.iter().zip(&picks);
        let values: Vec<&str> = values
            .filter_map(|(list, pick)| list.get(*pick).map(String::as_str))
            .collect();
        each(&values);
        // As an odometer does: the last key that has another value moves on, those behind it start anew.
        let mut has_turned = false;
        for (pick, list) in picks.iter_mut().zip(lists).rev() {
            *pick += 1;
            if *pick < list.len() {
                has_turned = true;
                break;
            }
            *pick = 0;
        }
        if !has_turned {
            return;
        }
    }
}
