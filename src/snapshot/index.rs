//! From labels to the Assignment that wins.
//!
//! Named Assignments are found by the identity values that the machine sent, classes and defaults by a hash over the values
//! of their keys, one table for each set of keys. So a look-up costs as much as the machine has identities and the
//! repository has *sets of keys*; the number of machines and Assignments does not enter.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::label::{Identity, Labels};

use super::NoMatch;
use super::rule::{Rule, Tier};

/// Where an identity value leads: a rule, and the entry of its `machines` or none.
type Hit = (u32, Option<u32>);

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By identity key, in the order of [`Identity::ALL`].
    named: [HashMap<Box<str>, Vec<Hit>>; 4],
    classes: Vec<KeySet>,
    defaults: Vec<KeySet>,
}

/// The rules that select by the same keys.
#[derive(Debug)]
struct KeySet {
    keys: Vec<Box<str>>,
    /// The hash of one value per key, in the order of the keys, and the rules that accept this combination.
    rules: HashMap<u64, Vec<u32>>,
}

/// The rule that wins and the entry that matched.
#[derive(Debug)]
pub(super) struct Found<'s> {
    pub(super) rule: &'s Rule,
    pub(super) entry: Option<usize>,
}

/// What ranks rules of one tier, the winner first (contract, section 4: "which Assignment wins").
type Rank<'s> = (Reverse<i16>, Reverse<usize>, usize, usize, usize, &'s str);

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            let number = u32::try_from(number)
                .expect("the tree's limits keep Assignments below four thousand million");
            match rule.tier {
                Tier::Named if rule.entries.is_empty() => index.add_selected(number, rule),
                Tier::Named => index.add_entries(number, rule),
                Tier::Class => add_class(&mut index.classes, number, rule),
                Tier::Default => add_class(&mut index.defaults, number, rule),
            }
        }
        index
    }

    pub(super) fn find<'s>(
        &self,
        rules: &'s [Rule],
        labels: &Labels,
    ) -> Result<Found<'s>, NoMatch<'s>> {
        self.find_named(rules, labels)?
            .or_else(|| find_class(&self.classes, rules, labels))
            .or_else(|| find_class(&self.defaults, rules, labels))
            .ok_or(NoMatch::Unassigned)
    }

    /// The entries of `machines` that list an identity which the machine sent, by their rule and place, in order.
    pub(super) fn entries(&self, labels: &Labels) -> BTreeSet<(usize, usize)> {
        let values = Identity::ALL.into_iter().flat_map(|identity| {
            let table = &self.named[identity as usize];
            sent(labels, identity).filter_map(|value| table.get(value))
        });
        values
            .flatten()
            .filter_map(|(rule, entry)| Some((*rule as usize, (*entry)? as usize)))
            .collect()
    }

    /// Selectors with identity keys are found by the strongest of them.
    fn add_selected(&mut self, number: u32, rule: &Rule) {
        let strongest = rule
            .selectors
            .iter()
            .filter_map(|selector| Some((Identity::from_key(&selector.key)?, selector)))
            .min_by_key(|(identity, _)| *identity);
        if let Some((identity, selector)) = strongest {
            for value in &selector.values {
                self.add(identity, value, (number, None));
            }
        }
    }

    fn add_entries(&mut self, number: u32, rule: &Rule) {
        for (place, entry) in rule.entries.iter().enumerate() {
            let place = u32::try_from(place)
                .expect("the tree's limits keep machines below four thousand million");
            for (identity, values) in &entry.identities {
                for value in values {
                    self.add(*identity, value, (number, Some(place)));
                }
            }
        }
    }

    fn add(&mut self, identity: Identity, value: &str, hit: Hit) {
        let table = &mut self.named[identity as usize];
        match table.get_mut(value) {
            Some(hits) => hits.push(hit),
            None => {
                table.insert(value.into(), vec![hit]);
            }
        }
    }

    fn find_named<'s>(
        &self,
        rules: &'s [Rule],
        labels: &Labels,
    ) -> Result<Option<Found<'s>>, NoMatch<'s>> {
        let mut best: Option<(Rank<'s>, Found<'s>)> = None;
        let mut contradicted: Option<&'s Rule> = None;
        for identity in Identity::ALL {
            let table = &self.named[identity as usize];
            for (position, value) in sent(labels, identity).enumerate() {
                for (number, place) in table.get(value).map_or(&[][..], Vec::as_slice) {
                    let Some(rule) = rules.get(*number as usize) else {
                        continue;
                    };
                    let place = place.map(|place| place as usize);
                    let entry = place.and_then(|place| rule.entries.get(place));
                    if entry.is_some_and(|entry| entry.is_contradicted(labels)) {
                        contradicted = contradicted.or(Some(rule));
                        continue;
                    }
                    if !rule.accepts(labels) {
                        continue;
                    }
                    let matched = (identity, position);
                    let (strongest, position) =
                        strongest_selected(rule, labels).map_or(matched, |one| one.min(matched));
                    let rank = (
                        Reverse(rule.priority),
                        Reverse(rule.keys()),
                        strongest as usize,
                        position,
                        place.unwrap_or(0),
                        rule.name.as_ref(),
                    );
                    if best
                        .as_ref()
                        .is_none_or(|(other, _)| beats(&rank, other, rule))
                    {
                        best = Some((rank, Found { rule, entry: place }));
                    }
                }
            }
        }
        match (best, contradicted) {
            (Some((_, found)), _) => Ok(Some(found)),
            (None, Some(rule)) => Err(NoMatch::IdentityConflict {
                assignment: &rule.name,
            }),
            (None, None) => Ok(None),
        }
    }
}

/// Whether one rank is before another. The place of an entry counts within one Assignment only; between two, the name does.
fn beats(rank: &Rank<'_>, other: &Rank<'_>, rule: &Rule) -> bool {
    let (.., place, name) = rank;
    let (.., other_place, other_name) = other;
    let same_rule = *name == *other_name && *name == rule.name.as_ref();
    let head = (&rank.0, &rank.1, rank.2, rank.3);
    let other_head = (&other.0, &other.1, other.2, other.3);
    match head.cmp(&other_head) {
        std::cmp::Ordering::Equal if same_rule => place < other_place,
        std::cmp::Ordering::Equal => name < other_name,
        unequal => unequal.is_lt(),
    }
}

/// The strongest identity key of a rule's selectors that matched, and where in the request its value stands.
fn strongest_selected(rule: &Rule, labels: &Labels) -> Option<(Identity, usize)> {
    let selected = rule.selectors.iter().filter_map(|selector| {
        let identity = Identity::from_key(&selector.key)?;
        let position = sent(labels, identity).position(|value| selector.contains(value))?;
        Some((identity, position))
    });
    selected.min()
}

/// The values that a machine sent for an identity key, in the order of the request.
fn sent(labels: &Labels, identity: Identity) -> impl Iterator<Item = &str> {
    let macs = (identity == Identity::Mac).then(|| labels.macs());
    let one = if identity == Identity::Mac {
        None
    } else {
        labels.get(identity.key())
    };
    macs.into_iter().flatten().chain(one)
}

fn add_class(sets: &mut Vec<KeySet>, number: u32, rule: &Rule) {
    let same_keys = |set: &KeySet| {
        set.keys
            .iter()
            .eq(rule.selectors.iter().map(|selector| &selector.key))
    };
    let place = sets.iter().position(same_keys).unwrap_or_else(|| {
        let keys = rule
            .selectors
            .iter()
            .map(|selector| selector.key.clone())
            .collect();
        sets.push(KeySet {
            keys,
            rules: HashMap::new(),
        });
        sets.len() - 1
    });
    let set = sets.get_mut(place).expect("it was found or just added");
    for_each_combination(rule, |hash| set.rules.entry(hash).or_default().push(number));
}

/// Calls back with the hash of every combination of one value per key; the manifest room bounds how many there are.
fn for_each_combination(rule: &Rule, mut each: impl FnMut(u64)) {
    let mut picks = vec![0_usize; rule.selectors.len()];
    loop {
        let values = rule
            .selectors
            .iter()
            .zip(&picks)
            .filter_map(|(selector, pick)| selector.values.get(*pick));
        each(hash_of(values.map(AsRef::as_ref)));
        let mut key = 0;
        loop {
            let Some((pick, selector)) = picks.get_mut(key).zip(rule.selectors.get(key)) else {
                return;
            };
            *pick += 1;
            if *pick < selector.values.len() {
                break;
            }
            *pick = 0;
            key += 1;
        }
    }
}

fn hash_of<'a>(values: impl Iterator<Item = &'a str>) -> u64 {
    // The keys of this hash are fixed, but so is what is in the tables: only a commit can put something there, and every
    // hit is compared in full.
    let mut hasher = DefaultHasher::new();
    for value in values {
        value.hash(&mut hasher);
    }
    hasher.finish()
}

fn find_class<'s>(sets: &[KeySet], rules: &'s [Rule], labels: &Labels) -> Option<Found<'s>> {
    let mut best: Option<&'s Rule> = None;
    for set in sets {
        if !set.keys.iter().all(|key| labels.get(key).is_some()) {
            continue;
        }
        let hash = hash_of(set.keys.iter().filter_map(|key| labels.get(key)));
        for number in set.rules.get(&hash).map_or(&[][..], Vec::as_slice) {
            let Some(rule) = rules
                .get(*number as usize)
                .filter(|rule| rule.accepts(labels))
            else {
                continue;
            };
            let rank = |rule: &'s Rule| {
                (
                    Reverse(rule.priority),
                    Reverse(rule.keys()),
                    rule.name.as_ref(),
                )
            };
            if best.is_none_or(|other| rank(rule) < rank(other)) {
                best = Some(rule);
            }
        }
    }
    best.map(|rule| Found { rule, entry: None })
}
