//! Assignments that can never win.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::diagnostic::{Diagnostic, Location, lint as say};
use crate::label::Identity;
use crate::manifest::{Assignment, Locator, Machine, Part, Selector, Step};
use crate::snapshot::Tier;

use super::Subject;
use crate::compile::claim::is_possible;
use crate::compile::rank::{for_each_combination, tier, value_lists};

/// With up to so many keys all their subsets are looked up; Assignments with more are compared with every set of keys there is.
const MOST_KEYS_FOR_SUBSETS: usize = 8;

/// How many Assignments of higher rank are compared in full with one: at one combination of values there is rarely a second.
const COMPARED: usize = 16;

/// Ensure that an Assignment, and each machine it names, can be selected.
pub(super) fn never_wins(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let all = subject.manifests.assignments.iter().map(AsRef::as_ref);
    let all: Vec<&Assignment> = all.filter(|one: &&Assignment| !one.broken).collect();
    let locator = subject.locator;
    all.iter()
        .filter_map(|one| contradiction(one, locator))
        .for_each(|one| found.push(one));
    let mut ranks = all.iter().map(|one| rank(one));
    let first = ranks.next();
    // Without a difference in rank nobody outranks anybody; a fleet of machines rarely has any.
    if ranks.all(|one| Some(one) == first) {
        return;
    }
    let beaten = by_selectors(&all).into_iter().chain(by_machines(&all));
    let beaten: BTreeMap<usize, usize> = beaten.collect();
    for (loser, winner) in beaten {
        let (Some(loser), Some(winner)) = (all.get(loser), all.get(winner)) else {
            continue;
        };
        let at = selects_at(loser, locator);
        let winner_at = selects_at(winner, locator);
        found.push(say::never_wins(at, &loser.name, &winner.name, &winner_at));
    }
}

/// The lower wins, whatever else two Assignments ask for.
fn rank(assignment: &Assignment) -> (Tier, Reverse<i16>) {
    (tier(assignment), Reverse(assignment.priority))
}

fn selects_at(assignment: &Assignment, locator: &Locator<'_>) -> Location {
    let origin = &assignment.origin;
    let field = |name: &str| [Step::from("spec"), Step::from(name)];
    match assignment.selectors.first() {
        Some(selector) => locator.place(origin, &selector.steps, Part::Key),
        None if assignment.is_default => locator.place(origin, &field("isDefault"), Part::Key),
        None => locator.place(origin, &field("machines"), Part::Key),
    }
}

/// Machines whose identity the selectors beside them do not accept.
fn contradiction(assignment: &Assignment, locator: &Locator<'_>) -> Option<Diagnostic> {
    let mut selected = assignment.selectors.iter();
    if assignment.machines.is_empty()
        || !selected.any(|selector| Identity::from_key(&selector.key).is_some())
    {
        return None;
    }
    let machines = assignment.machines.iter();
    let ruled_out: Vec<Machine<'_>> = machines
        .filter(|machine| !is_possible(assignment, *machine))
        .collect();
    let first = ruled_out.first()?;
    let steps = ["spec".into(), "machines".into(), first.place.into()];
    let at = locator.place(&assignment.origin, &steps, Part::Value);
    let all = ruled_out.len() == assignment.machines.len();
    Some(say::contradicts_selectors(
        at,
        &assignment.name,
        ruled_out.len(),
        all,
    ))
}

/// Whether every machine that satisfies these selectors satisfies those of the other Assignment, too.
fn are_covered(selectors: &[Selector], by: &[Selector]) -> bool {
    by.iter().all(|wide| {
        let mut own = selectors.iter();
        own.any(|one| one.key == wide.key && are_among(&one.values, &wide.values))
    })
}

/// Whether all of some values stand in another list; both are sorted.
fn are_among(some: &[String], others: &[String]) -> bool {
    some.iter().all(|one| others.binary_search(one).is_ok())
}

/// Assignments without machines, each with one that selects all that it selects at a higher rank.
fn by_selectors(all: &[&Assignment]) -> Vec<(usize, usize)> {
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let plain = || {
        let plain = all.iter().enumerate();
        plain.filter(|(_, one)| one.machines.is_empty())
    };
    // By their keys and one combination of values for them.
    let mut takers: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut key_sets: HashSet<Vec<&str>> = HashSet::new();
    for (number, assignment) in plain() {
        let keys: Vec<&str> = assignment.selectors.iter().map(|one| &*one.key).collect();
        for_each_combination(&value_lists(assignment), |values| {
            let hash = hasher.hash_one((&keys, values));
            takers.entry(hash).or_default().push(number);
        });
        key_sets.insert(keys);
    }
    for numbers in takers.values_mut() {
        numbers.sort_unstable_by_key(|number| all.get(*number).map(|one| rank(one)));
        numbers.truncate(COMPARED);
    }
    let beats = |winner: &usize, loser: &Assignment| {
        all.get(*winner).is_some_and(|winner| {
            rank(winner) < rank(loser) && are_covered(&loser.selectors, &winner.selectors)
        })
    };
    let mut beaten = Vec::new();
    for (number, assignment) in plain() {
        let selectors = assignment.selectors.iter();
        let values: Vec<Option<&String>> = selectors.map(|one| one.values.first()).collect();
        let subsets = subsets(&assignment.selectors, &key_sets);
        let winners = subsets.into_iter().filter_map(|subset| {
            let values: Vec<&str> = subset
                .iter()
                .filter_map(|at| Some(values.get(*at)?.as_ref()?.as_str()))
                .collect();
            let own = &assignment.selectors;
            let keys: Vec<&str> = subset
                .iter()
                .filter_map(|at| Some(&*own.get(*at)?.key))
                .collect();
            let numbers = takers.get(&hasher.hash_one((&keys, values.as_slice())))?;
            numbers.iter().find(|one| beats(one, assignment)).copied()
        });
        let best = winners.min_by_key(|one| (all.get(*one).map(|one| rank(one)), *one));
        beaten.extend(best.map(|winner| (number, winner)));
    }
    beaten
}

/// The places of the selectors whose keys are all the keys of some Assignment.
fn subsets(selectors: &[Selector], key_sets: &HashSet<Vec<&str>>) -> Vec<Vec<usize>> {
    let count = selectors.len();
    let keys_at = |subset: &[usize]| -> Vec<&str> {
        let keys = subset
            .iter()
            .filter_map(|at| Some(&*selectors.get(*at)?.key));
        keys.collect()
    };
    if count <= MOST_KEYS_FOR_SUBSETS {
        let all = (0..1_usize << count).map(|bits| {
            let places = (0..count).filter(|at| bits & (1 << at) != 0);
            places.collect::<Vec<usize>>()
        });
        return all.filter(|one| key_sets.contains(&keys_at(one))).collect();
    }
    let place = |key: &&str| selectors.iter().position(|one| one.key == *key);
    let mut all: Vec<Vec<usize>> = key_sets
        .iter()
        .filter_map(|keys| keys.iter().map(place).collect())
        .collect();
    all.sort_unstable();
    all
}

/// Assignments with machines, each with one that names all of them, and no less, at a higher rank.
fn by_machines(all: &[&Assignment]) -> Vec<(usize, usize)> {
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let named = || {
        let named = all.iter().enumerate();
        named.filter(|(_, one)| !one.machines.is_empty())
    };
    // Nearly all machines are named once; those are left by their hashes alone.
    let hash = |machine: Machine<'_>| hasher.hash_one(machine.entry.identities());
    let own: Vec<(usize, Vec<u64>)> = named()
        .map(|(number, one)| (number, one.machines.iter().map(hash).collect()))
        .collect();
    let mut sorted: Vec<u64> = own.iter().flat_map(|(_, own)| own).copied().collect();
    sorted.sort_unstable();
    let repeated = sorted.windows(2).filter(|pair| pair[0] == pair[1]);
    let repeated: HashSet<u64> = repeated.map(|pair| pair[0]).collect();
    drop(sorted);
    if repeated.is_empty() {
        return Vec::new();
    }
    let mut namers: HashMap<u64, Vec<usize>> = HashMap::new();
    for (number, own) in &own {
        for one in own.iter().filter(|one| repeated.contains(one)) {
            let numbers = namers.entry(*one).or_default();
            if numbers.len() < COMPARED && numbers.last() != Some(number) {
                numbers.push(*number);
            }
        }
    }
    let mut beaten = Vec::new();
    for (number, own) in own {
        let Some(assignment) = all.get(number).copied() else {
            continue;
        };
        let mut left: Option<Vec<usize>> = None;
        for one in own {
            let namers = namers.get(&one).map_or(&[][..], Vec::as_slice);
            let winners = left.take().unwrap_or_else(|| namers.to_vec());
            let winners = winners.into_iter().filter(|winner| {
                namers.contains(winner)
                    && all.get(*winner).is_some_and(|winner| {
                        rank(winner) < rank(assignment)
                            && are_covered(&assignment.selectors, &winner.selectors)
                    })
            });
            let winners: Vec<usize> = winners.collect();
            let is_over = winners.is_empty();
            left = Some(winners);
            if is_over {
                break;
            }
        }
        let winners = left.unwrap_or_default().into_iter();
        let best = winners.min_by_key(|one| (all.get(*one).map(|one| rank(one)), *one));
        beaten.extend(best.map(|winner| (number, winner)));
    }
    beaten
}
