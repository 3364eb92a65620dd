//! Which group a machine gets: matchbox's rule in terms of ours.
//!
//! matchbox takes the group with the most selectors; among as many, the one whose `key=value` pairs come first as text, then
//! the one whose name does. We look at the tier first (does it name the machine), then at priorities, then at the number of
//! selectors. So inside a tier a priority makes ours the same; across tiers nothing does, and it is told.

use std::collections::{BTreeMap, BTreeSet};

use crate::label::Identity;

/// A group as far as ranking is concerned.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Its selectors, canonical, by key.
    pub(super) selectors: BTreeMap<String, String>,
    /// matchbox's last word: its pairs as text, then its name.
    pub(super) order: (String, String),
}

impl Ranked {
    fn is_named(&self) -> bool {
        self.selectors
            .keys()
            .any(|key| Identity::from_key(key).is_some())
    }

    /// Whether both name a machine by the same key; when they meet, by the same value too.
    fn shares_identity(&self, other: &Self) -> bool {
        Identity::ALL.into_iter().any(|identity| {
            self.selectors.contains_key(identity.key())
                && other.selectors.contains_key(identity.key())
        })
    }

    /// Whether one machine could satisfy both.
    fn meets(&self, other: &Self) -> bool {
        self.selectors.iter().all(|(key, value)| {
            other
                .selectors
                .get(key)
                .is_none_or(|another| another == value)
        })
    }

    /// Smaller is better, to matchbox.
    fn theirs(&self) -> (std::cmp::Reverse<usize>, &(String, String)) {
        (std::cmp::Reverse(self.selectors.len()), &self.order)
    }
}

/// What ranking asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ranks {
    /// The priority of each group.
    pub(super) priorities: Vec<i32>,
    /// Groups that matchbox prefers although they name no machine, with some that we prefer.
    pub(super) differs: BTreeMap<usize, BTreeSet<usize>>,
}

/// Ranks groups that are no defaults and of which no two have the same selectors.
pub(super) fn rank(groups: &[Ranked]) -> Ranks {
    let mut ranks = Ranks {
        priorities: vec![0; groups.len()],
        ..Ranks::default()
    };
    let mut by_rank: Vec<usize> = (0..groups.len()).collect();
    by_rank.sort_by(|a, b| {
        let of = |index: &usize| groups.get(*index).map(Ranked::theirs);
        of(b).cmp(&of(a))
    });
    // From the weakest up: whoever is stronger and could meet a weaker one must not rank below it.
    let index = Index::new(groups);
    let mut place = vec![0_usize; groups.len()];
    for (rank, group) in by_rank.iter().enumerate() {
        if let Some(one) = place.get_mut(*group) {
            *one = rank;
        }
    }
    for (rank, stronger) in by_rank.iter().enumerate() {
        let Some(group) = groups.get(*stronger) else {
            continue;
        };
        for weaker in index.meeting(groups, *stronger) {
            let is_weaker = place.get(weaker).is_some_and(|other| *other < rank);
            let Some(other) = groups.get(weaker).filter(|_| is_weaker) else {
                continue;
            };
            match (group.is_named(), other.is_named()) {
                (true, false) => {}
                (false, true) => {
                    if group.selectors.len() > other.selectors.len() {
                        ranks.differs.entry(*stronger).or_default().insert(weaker);
                    }
                }
                // Two names of one machine in two groups: rare enough that ours may decide by the stronger key.
                (true, true) if !group.shares_identity(other) => {}
                _ => {
                    let wins_anyway = group.selectors.len() > other.selectors.len();
                    let floor = ranks.priorities.get(weaker).copied().unwrap_or_default()
                        + i32::from(!wins_anyway);
                    if let Some(own) = ranks.priorities.get_mut(*stronger) {
                        *own = (*own).max(floor);
                    }
                }
            }
        }
    }
    ranks
}

/// Finds the groups that one machine could satisfy together, without comparing each with each.
struct Index {
    /// For each set of keys: the groups by their values.
    by_keys: BTreeMap<Vec<String>, Vec<usize>>,
}

impl Index {
    fn new(groups: &[Ranked]) -> Self {
        let mut by_keys: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for (index, group) in groups.iter().enumerate() {
            let keys = group.selectors.keys().cloned().collect();
            by_keys.entry(keys).or_default().push(index);
        }
        Self { by_keys }
    }

    /// The others that a machine of this group could satisfy.
    fn meeting(&self, groups: &[Ranked], index: usize) -> Vec<usize> {
        let Some(group) = groups.get(index) else {
            return Vec::new();
        };
        let own: Vec<String> = group.selectors.keys().cloned().collect();
        let others = self.by_keys.iter().filter(|(keys, _)| **keys != own);
        others
            .flat_map(|(_, members)| members)
            .copied()
            .filter(|other| groups.get(*other).is_some_and(|other| group.meets(other)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(all: &[&[(&str, &str)]]) -> Vec<Ranked> {
        let ranked = |(index, pairs): (usize, &&[(&str, &str)])| {
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            Ranked {
                selectors: all[index]
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                order: (pairs.join(","), format!("g{index}")),
            }
        };
        all.iter().enumerate().map(ranked).collect()
    }

    #[test]
    fn more_selectors_need_no_priority() {
        let ranks = rank(&groups(&[
            &[("mac", "a")],
            &[("mac", "a"), ("os", "installed")],
            &[("os", "installed")],
            &[("mac", "b")],
        ]));
        assert_eq!(ranks.priorities, [0, 0, 0, 0]);
        assert!(ranks.differs.is_empty());
    }

    #[test]
    fn ties_are_broken_as_matchbox_breaks_them() {
        let ranks = rank(&groups(&[
            &[("os", "x")],
            &[("region", "y")],
            &[("region", "z")],
        ]));
        assert_eq!(ranks.priorities, [1, 0, 0]);
        let ranks = rank(&groups(&[
            &[("mac", "a"), ("zone", "1")],
            &[("mac", "a"), ("os", "x")],
            &[("mac", "a"), ("os", "x"), ("row", "1")],
        ]));
        assert_eq!(ranks.priorities, [0, 1, 1]);
    }

    #[test]
    fn a_class_with_more_selectors_is_told() {
        let ranks = rank(&groups(&[&[("os", "x"), ("region", "y")], &[("mac", "a")]]));
        assert_eq!(ranks.priorities, [0, 0]);
        assert_eq!(ranks.differs, BTreeMap::from([(0, BTreeSet::from([1]))]));
    }
}
