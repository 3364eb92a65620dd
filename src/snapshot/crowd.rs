//! Identity values that stand at very many machines: the asset tag that a vendor left as it was, the MAC of a network card
//! that is passed around. Anybody may send one, so none of them may cost a look at every machine that has it.
//!
//! A machine matches an entry when, of each key that it sent and the entry lists, they have a value in common. If one of
//! these values stands in few places, the entry is found there. Entries where all of them are crowded are found here: by
//! the hash of one crowded value a key, and of one value a selector. All entries that are found by one hash match a machine
//! alike, so the best one of them is known before anybody asks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::label::{Entry, Identity, Labels};

use super::class::for_each_combination;
use super::rule::Rule;
use super::values::{Hit, Values, hash_of};

/// The most places of a value that are looked at one by one: a shared network card or two, not a shared asset tag.
pub(super) const CROWD: usize = 16;

/// How many combinations of crowded values and selector values one Assignment may be found by, over those that its size
/// explains: as many as the manifest room lets selectors multiply to. Beyond, its entries are looked at one by one.
const COMBINATIONS: usize = 4096;

/// How many combinations one hit explains: what crowded values of three keys make.
const COMBINATIONS_A_HIT: usize = 8;

/// Stands for a key that the machine did not send. No value holds control characters.
const ABSENT: &str = "\n";

/// The Assignments and entries that crowded values lead to.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    groups: Vec<Group>,
}

/// What lists and selects by the same keys.
#[derive(Debug)]
struct Group {
    /// The keys that the entries list.
    lists: Keys,
    /// The keys of the selectors.
    selects: Vec<Box<str>>,
    /// By the hash of one value (or [`ABSENT`]) per listed key and of one per selector, the best first; of one Assignment
    /// the first entry only.
    hits: HashMap<(u64, u64), Vec<Hit>>,
}

/// The hits of one value whose entries list the same keys and, of the other keys, the same crowded values: a machine that
/// sent these matches either all of them or none.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The keys that the entries list.
    pub(super) lists: Keys,
    /// One for each place.
    pub(super) hits: Vec<Hit>,
}

/// A set of identity keys, by their places in [`Identity::ALL`].
pub(super) type Keys = [bool; 4];

/// The hashes of crowded values, by identity key.
type Crowded = [HashSet<u64>; 4];

impl Crowds {
    /// Takes the crowded values of all tables, where they stand at more places than `limit`.
    pub(super) fn gather(rules: &[Rule], named: &mut [Values; 4], limit: usize) -> Self {
        let crowded: Crowded = std::array::from_fn(|key| named[key].crowded(limit).collect());
        let mut crowds = Self::default();
        if crowded.iter().all(HashSet::is_empty) {
            return crowds;
        }
        let mut hits: Vec<Hit> = named
            .iter()
            .zip(&crowded)
            .flat_map(|(values, hashes)| hashes.iter().flat_map(|hash| values.at(*hash)))
            .copied()
            .collect();
        hits.sort_unstable();
        hits.dedup();
        let mut indexed = HashSet::new();
        for hits in hits.chunk_by(|one, other| one.rule == other.rule) {
            let Some((rule, number)) = hits
                .first()
                .and_then(|hit| Some((rules.get(hit.rule as usize)?, hit.rule)))
            else {
                continue;
            };
            if let Some(found_by) = combinations(rule, hits, &crowded) {
                crowds.add(rule, found_by);
                indexed.insert(number);
            }
        }
        for group in &mut crowds.groups {
            group.sort(rules);
        }
        for (values, hashes) in named.iter_mut().zip(&crowded) {
            for hash in hashes {
                let key = |hit: &Hit| crowd_of(hit.entry(rules), &crowded);
                values.move_out(*hash, |hit| indexed.contains(&hit.rule).then(|| key(hit)));
            }
        }
        crowds
    }

    /// Calls back with what may match by crowded values alone, until the callback takes one of those that match alike.
    pub(super) fn each(&self, labels: &Labels, mut takes: impl FnMut(Hit) -> bool) {
        for group in &self.groups {
            group.each(labels, |hits| {
                for hit in hits {
                    if takes(*hit) {
                        break;
                    }
                }
            });
        }
    }

    fn add(&mut self, rule: &Rule, found_by: BTreeMap<(Keys, u64), Hit>) {
        for ((lists, listed), hit) in found_by {
            let selects = rule.selectors.iter().map(|selector| &selector.key);
            let same =
                |group: &Group| group.lists == lists && group.selects.iter().eq(selects.clone());
            let place = self.groups.iter().position(same).unwrap_or_else(|| {
                self.groups.push(Group {
                    lists,
                    selects: selects.clone().cloned().collect(),
                    hits: HashMap::new(),
                });
                self.groups.len() - 1
            });
            let group = self
                .groups
                .get_mut(place)
                .expect("it was found or just added");
            for_each_combination(rule, |selected| {
                group.hits.entry((listed, selected)).or_default().push(hit);
            });
        }
    }
}

impl Group {
    /// Puts the best first. Those of one combination differ neither in the number of their keys nor in how strong a value
    /// they match by.
    fn sort(&mut self, rules: &[Rule]) {
        for hits in self.hits.values_mut() {
            hits.sort_by_key(|hit| {
                let rule = rules.get(hit.rule as usize);
                (
                    rule.map(|rule| (Reverse(rule.priority), rule.name.as_ref())),
                    hit.entry,
                )
            });
            hits.shrink_to_fit();
        }
    }

    /// Calls back with the hits of every combination of what the machine sent: as many as it has MACs, where MACs count.
    fn each(&self, labels: &Labels, mut call: impl FnMut(&[Hit])) {
        let listed = |key: Identity| self.lists[key as usize];
        let is_sent = |key: Identity| labels.identities(key).len() > 0;
        let lists_any = Identity::ALL.into_iter().any(listed);
        if lists_any
            && !Identity::ALL
                .into_iter()
                .any(|key| listed(key) && is_sent(key))
        {
            return;
        }
        if self.selects.iter().any(|key| labels.get(key).is_none()) {
            return;
        }
        let selects_mac = self.selects.iter().any(|key| **key == *Identity::Mac.key());
        for mac in macs(labels, listed(Identity::Mac)) {
            let values = Identity::ALL.into_iter().filter(|key| listed(*key));
            let values = values.map(|key| {
                let one = match key {
                    Identity::Mac => mac,
                    _ => labels.identities(key).next(),
                };
                one.unwrap_or(ABSENT)
            });
            let listed = hash_of(values);
            for mac in macs(labels, selects_mac) {
                let values = self.selects.iter().filter_map(|key| {
                    let is_mac = **key == *Identity::Mac.key();
                    if is_mac { mac } else { labels.get(key) }
                });
                if let Some(hits) = self.hits.get(&(listed, hash_of(values))) {
                    call(hits);
                }
            }
        }
    }
}

/// The MACs that were sent, or nothing once where they do not count or there are none.
fn macs(labels: &Labels, count: bool) -> impl Iterator<Item = Option<&str>> {
    let some = if count { labels.macs().len() } else { 0 };
    let none = (some == 0).then_some(None);
    labels.macs().take(some).map(Some).chain(none)
}

/// By which crowded values an Assignment is found, for each set of keys that its entries list, and the first entry for each;
/// `None` if that is out of proportion.
fn combinations(
    rule: &Rule,
    hits: &[Hit],
    crowded: &Crowded,
) -> Option<BTreeMap<(Keys, u64), Hit>> {
    let most = COMBINATIONS + COMBINATIONS_A_HIT * hits.len();
    let lengths = rule.selectors.iter().map(|selector| selector.values.len());
    let selected = lengths.fold(1, usize::saturating_mul);
    let mut all = BTreeMap::new();
    for hit in hits {
        let entry = rule.entries.get(hit.entry as usize);
        let lists = keys_of(entry);
        let options: Vec<Vec<&str>> = Identity::ALL
            .into_iter()
            .filter(|key| lists[*key as usize])
            .map(|key| {
                let values = entry.into_iter().flat_map(|one| one.identities().of(key));
                let values = values.filter(|value| is_crowded(crowded, key, value));
                values.chain([ABSENT]).collect()
            })
            .collect();
        let made = options.iter().map(Vec::len);
        if made.fold(1, usize::saturating_mul) > COMBINATIONS {
            return None;
        }
        for number in 0.. {
            let Some(picked) = pick(&options, number) else {
                break;
            };
            if entry.is_none() || picked.iter().any(|value| *value != ABSENT) {
                let hash = hash_of(picked.into_iter());
                all.entry((lists, hash)).or_insert(*hit);
            }
        }
        if all.len().saturating_mul(selected) > most {
            return None;
        }
    }
    Some(all)
}

/// The combination of this number, one value of each list; `None` after the last.
fn pick<'v>(options: &[Vec<&'v str>], mut number: usize) -> Option<Vec<&'v str>> {
    let mut picked = Vec::with_capacity(options.len());
    for values in options {
        picked.push(*values.get(number % values.len())?);
        number /= values.len();
    }
    (number == 0).then_some(picked)
}

/// The keys that an entry lists.
fn keys_of(entry: Option<&Entry>) -> Keys {
    let mut keys = Keys::default();
    for (key, _) in entry.into_iter().flat_map(|one| one.identities().iter()) {
        keys[key as usize] = true;
    }
    keys
}

/// What tells apart the crowds of a value: the keys that an entry lists, and its crowded values.
fn crowd_of(entry: Option<&Entry>, crowded: &Crowded) -> (Keys, Vec<(Identity, u64)>) {
    let values = entry.into_iter().flat_map(|one| one.identities().iter());
    let hashes = values.map(|(key, value)| (key, hash_of(std::iter::once(value))));
    let mut hashes: Vec<_> = hashes
        .filter(|(key, hash)| crowded[*key as usize].contains(hash))
        .collect();
    hashes.sort_unstable();
    (keys_of(entry), hashes)
}

fn is_crowded(crowded: &Crowded, key: Identity, value: &str) -> bool {
    crowded[key as usize].contains(&hash_of(std::iter::once(value)))
}
