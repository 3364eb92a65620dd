//! Where the values of identity keys lead.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::label::{Entry, Identity};

use super::crowd::{Crowd, Keys};
#[cfg(test)]
use super::index::narrowed;
use super::rule::{Rule, SelectorValues, Tier};

/// Where an identity value leads. The value itself stays in the rule: a table of a million machines holds numbers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) rule: u32,
    /// The place of an entry of its `machines`, or [`SELECTED`].
    pub(super) entry: u32,
}

/// Stands for a rule that selects by an identity key without `machines`.
pub(super) const SELECTED: u32 = u32::MAX;

/// Where the values of one identity key lead, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Those that stand in one place alone, as nearly all do.
    unique: HashTable<Hit>,
    /// Those that stand in several: a table of equal hashes is searched from its start for each.
    shared: HashMap<u64, Shared>,
}

/// Where a value leads that stands in several places.
#[derive(Debug, Default)]
struct Shared {
    /// Those that are looked at one by one.
    few: Vec<Hit>,
    /// Those that are found by [`super::crowd::Crowds`], sorted by the keys that they list.
    crowds: Box<[Crowd]>,
}

impl Hit {
    /// The entry of `machines`, unless its rule selects without.
    pub(super) fn entry(self, rules: &[Rule]) -> Option<&Entry> {
        rules
            .get(self.rule as usize)?
            .entries
            .get(self.entry as usize)
    }
}

impl Values {
    pub(super) fn new(rules: &[Rule], identity: Identity) -> Self {
        let hits =
            || named(rules, identity).map(|(value, hit)| (hash_of(std::iter::once(value)), hit));
        let mut hashes: Vec<u64> = hits().map(|(hash, _)| hash).collect();
        hashes.sort_unstable();
        let mut shared: HashMap<u64, Shared> = hashes
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| (pair[0], Shared::default()))
            .collect();
        let mut unique = HashTable::new();
        unique.reserve(hashes.len(), |_| {
            unreachable!("an empty table has nothing to move")
        });
        drop(hashes);
        for (hash, hit) in hits() {
            match shared.get_mut(&hash) {
                Some(shared) => shared.few.push(hit),
                // There is room for all, so nothing is hashed again.
                None => {
                    unique.insert_unique(hash, hit, |_| 0);
                }
            }
        }
        Self { unique, shared }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unique.is_empty() && self.shared.is_empty()
    }

    /// The hashes that lead to more places than this.
    pub(super) fn crowded(&self, limit: usize) -> impl Iterator<Item = u64> {
        let crowded = self.shared.iter();
        let crowded = crowded.filter(move |(_, shared)| shared.few.len() > limit);
        crowded.map(|(hash, _)| *hash)
    }

    /// Where a hash leads that is shared.
    pub(super) fn at(&self, hash: u64) -> &[Hit] {
        self.shared
            .get(&hash)
            .map_or(&[], |shared| shared.few.as_slice())
    }

    /// Puts the hits of this hash into crowds, one for each key that is given for them; those without stay.
    pub(super) fn move_out<K: Ord>(&mut self, hash: u64, key: impl Fn(&Hit) -> Option<(Keys, K)>) {
        let Some(shared) = self.shared.get_mut(&hash) else {
            return;
        };
        let mut crowds: BTreeMap<(Keys, K), Vec<Hit>> = BTreeMap::new();
        shared.few.retain(|hit| match key(hit) {
            Some(key) => {
                crowds.entry(key).or_default().push(*hit);
                false
            }
            None => true,
        });
        shared.few.shrink_to_fit();
        let crowds = crowds.into_iter().map(|((lists, _), mut hits)| {
            hits.shrink_to_fit();
            Crowd { lists, hits }
        });
        shared.crowds = crowds.collect();
    }

    /// Where a value may stand: its hash does, so each has to be looked at; and the crowds that it may be in.
    pub(super) fn stands(&self, value: &str) -> (impl Iterator<Item = &Hit>, &[Crowd]) {
        let hash = hash_of(std::iter::once(value));
        let shared = self.shared.get(&hash);
        let few = shared.into_iter().flat_map(|shared| &shared.few);
        let crowds = shared.map_or(&[][..], |shared| &shared.crowds);
        (self.unique.iter_hash(hash).chain(few), crowds)
    }

    /// All places where a value may stand, however many: not for requests.
    pub(super) fn hits(&self, value: &str) -> impl Iterator<Item = &Hit> {
        let (few, crowds) = self.stands(value);
        few.chain(crowds.iter().flat_map(|crowd| &crowd.hits))
    }
}

/// Every value of an identity key by which named rules are found: those of entries, and of selectors without entries
/// those of the strongest key.
fn named(rules: &[Rule], identity: Identity) -> impl Iterator<Item = (&str, Hit)> {
    let rules = rules.iter().zip(0_u32..);
    let rules = rules.filter(|(rule, _)| rule.tier == Tier::Named);
    rules.flat_map(move |(rule, number)| {
        let entries = rule.entries.iter().zip(0_u32..);
        let listed = entries.flat_map(move |(entry, place)| {
            let hit = Hit {
                rule: number,
                entry: place,
            };
            entry
                .identities()
                .of(identity)
                .map(move |value| (value, hit))
        });
        let selector =
            strongest(rule).filter(|(key, _)| *key == identity && rule.entries.is_empty());
        let selected = selector.into_iter().flat_map(move |(_, selector)| {
            let hit = Hit {
                rule: number,
                entry: SELECTED,
            };
            selector.values.iter().map(move |value| (&**value, hit))
        });
        listed.chain(selected)
    })
}

/// The strongest identity key that a rule selects by.
pub(super) fn strongest(rule: &Rule) -> Option<(Identity, &SelectorValues)> {
    rule.selectors
        .iter()
        .filter_map(|selector| Some((Identity::from_key(&selector.key)?, selector)))
        .min_by_key(|(identity, _)| *identity)
}

/// A hash for these tables alone.
///
/// Its seed is fixed, but so is what is in the tables: only a commit can put something there, and every hit is compared in
/// full. Whatever a machine sends, it meets what stands in the repository at one hash and nothing else.
pub(super) fn hash_of<'a>(values: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for value in values {
        value.hash(&mut hasher);
    }
    narrowed(hasher.finish())
}

/// The hash as it is; tests make it so narrow that values meet at one hash.
#[cfg(not(test))]
fn narrowed(hash: u64) -> u64 {
    hash
}
