//! Classes of equal rank that one machine could satisfy, counted without comparing each with each.
//!
//! Classes with the same keys are no business of this module. Of two sets of keys without a common key, all classes overlap.
//! Where there are common keys, classes are grouped by the values that they accept for those: thousands that differ
//! elsewhere are one group.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::manifest::Assignment;

use super::rank::for_each_combination;

/// How many of the others are named (contract, section 4).
const NAMED: usize = 3;

/// The classes that overlap with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Others<'a> {
    /// How many there are.
    pub(super) count: usize,
    /// The first of them by their places, in order; the rest is [`usize::MAX`].
    first: [usize; NAMED],
    /// The least of their names in byte order.
    pub(super) least: Option<&'a str>,
}

impl<'a> Others<'a> {
    const NONE: Self = Self {
        count: 0,
        first: [usize::MAX; NAMED],
        least: None,
    };

    fn one(place: usize, name: &'a str) -> Self {
        let mut first = [usize::MAX; NAMED];
        first[0] = place;
        Self {
            count: 1,
            first,
            least: Some(name),
        }
    }

    fn add(&mut self, other: &Self) {
        // Mostly the first are found early.
        if other.first[0] < self.first[NAMED - 1] {
            let mut all = [usize::MAX; 2 * NAMED];
            all[..NAMED].copy_from_slice(&self.first);
            all[NAMED..].copy_from_slice(&other.first);
            all.sort_unstable();
            self.first.copy_from_slice(&all[..NAMED]);
        }
        self.count += other.count;
        self.least = match (self.least, other.least) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// The places of the first of them.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let count = self.count;
        self.first.into_iter().take(count)
    }
}

/// For each class of one rank, those with other keys that one machine could satisfy, too.
pub(super) fn overlaps<'a>(group: &[&'a Assignment]) -> Vec<Others<'a>> {
    let mut by_keys: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
    for (place, one) in group.iter().enumerate() {
        let keys = one.selectors.iter().map(|one| &*one.key).collect();
        by_keys.entry(keys).or_default().push(place);
    }
    let name = |place: &usize| Some((*place, group.get(*place)?.name.as_str()));
    let wholes: Vec<Others<'_>> = by_keys
        .values()
        .map(|places| {
            let mut whole = Others::NONE;
            for (place, name) in places.iter().filter_map(name) {
                whole.add(&Others::one(place, name));
            }
            whole
        })
        .collect();
    let mut found = vec![Others::NONE; group.len()];
    for (number, (keys, places)) in by_keys.iter().enumerate() {
        let mut apart = Others::NONE;
        for (other, ((other_keys, other_places), whole)) in by_keys.iter().zip(&wholes).enumerate()
        {
            let common: Vec<&str> = keys
                .iter()
                .copied()
                .filter(|key| other_keys.binary_search(key).is_ok())
                .collect();
            if other == number {
            } else if common.is_empty() {
                apart.add(whole);
            } else {
                let crowd = Crowd::new(group, other_places, &common);
                crowd.add_to(group, places, &mut found);
            }
        }
        for place in places {
            if let Some(others) = found.get_mut(*place) {
                others.add(&apart);
            }
        }
    }
    found
}

/// The values that a class accepts for some of its keys.
type Accepted<'a> = Vec<&'a [String]>;

/// Classes with the same keys, by what they accept for those that they share with others.
struct Crowd<'a, 'c> {
    common: &'c [&'a str],
    groups: Vec<Others<'a>>,
    /// Which groups accept a combination of values.
    accepting: HashMap<Vec<&'a str>, Vec<usize>>,
}

impl<'a, 'c> Crowd<'a, 'c> {
    fn new(group: &[&'a Assignment], places: &[usize], common: &'c [&'a str]) -> Self {
        let mut numbers: HashMap<Accepted<'a>, usize> = HashMap::new();
        let mut groups: Vec<Others<'a>> = Vec::new();
        let mut accepting: HashMap<Vec<&'a str>, Vec<usize>> = HashMap::new();
        for place in places {
            let Some(one) = group.get(*place).copied() else {
                continue;
            };
            let accepted = accepted(one, common);
            let number = *numbers.entry(accepted.clone()).or_insert_with(|| {
                let number = groups.len();
                groups.push(Others::NONE);
                for_each_combination(&accepted, |values| {
                    accepting.entry(values.to_vec()).or_default().push(number);
                });
                number
            });
            if let Some(others) = groups.get_mut(number) {
                others.add(&Others::one(*place, &one.name));
            }
        }
        Self {
            common,
            groups,
            accepting,
        }
    }

    /// Adds those that overlap to each of these.
    fn add_to(&self, group: &[&'a Assignment], places: &[usize], found: &mut [Others<'a>]) {
        let mut known: HashMap<Accepted<'a>, Others<'a>> = HashMap::new();
        for place in places {
            let (Some(one), Some(others)) = (group.get(*place).copied(), found.get_mut(*place))
            else {
                continue;
            };
            let accepted = accepted(one, self.common);
            let sum = *known
                .entry(accepted)
                .or_insert_with_key(|accepted| self.overlapping(accepted));
            others.add(&sum);
        }
    }

    fn overlapping(&self, accepted: &[&'a [String]]) -> Others<'a> {
        let mut numbers: BTreeSet<usize> = BTreeSet::new();
        for_each_combination(accepted, |values| {
            numbers.extend(self.accepting.get(values).into_iter().flatten());
        });
        let mut sum = Others::NONE;
        for others in numbers
            .into_iter()
            .filter_map(|number| self.groups.get(number))
        {
            sum.add(others);
        }
        sum
    }
}

fn accepted<'a>(assignment: &'a Assignment, keys: &[&str]) -> Accepted<'a> {
    let selectors = assignment.selectors.iter();
    let wanted = selectors.filter(|one| keys.contains(&one.key.as_str()));
    wanted.map(|one| one.values.as_slice()).collect()
}
