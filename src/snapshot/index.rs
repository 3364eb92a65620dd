//! From labels to the Assignment that wins.
//!
//! Named Assignments are found by the identity values that the machine sent, classes and defaults by a hash over the values
//! of their keys, one table for each set of keys. So a look-up costs as much as the machine has identities and the
//! repository has *sets of keys*; the number of machines and Assignments does not enter.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use hashbrown::HashTable;

use crate::label::{Entry, Identity, Labels};

use super::NoMatch;
use super::rule::{Rule, SelectorValues, Tier};

/// Where an identity value leads. The value itself stays in the rule: a table of a million machines holds numbers only.
#[derive(Clone, Copy, Debug)]
struct Hit {
    rule: u32,
    /// The place of an entry of its `machines`, or [`SELECTED`].
    entry: u32,
}

/// Stands for a rule that selects by an identity key without `machines`.
const SELECTED: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By identity key, in the order of [`Identity::ALL`].
    named: [Values; 4],
    classes: Vec<KeySet>,
    defaults: Vec<KeySet>,
}

/// Where the values of one identity key lead, by their hashes.
#[derive(Debug, Default)]
struct Values {
    /// Those that stand in one place alone, as nearly all do.
    unique: HashTable<Hit>,
    /// Those that stand in several. A table of equal hashes is searched from its start for each, and an asset tag that
    /// a vendor left as it was may stand at every machine.
    shared: HashMap<u64, Vec<Hit>>,
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
                Tier::Named => {}
                Tier::Class => add_class(&mut index.classes, number, rule),
                Tier::Default => add_class(&mut index.defaults, number, rule),
            }
        }
        for identity in Identity::ALL {
            index.named[identity as usize] = Values::new(rules, identity);
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

    /// The rules that name this value, one for each place where it stands.
    pub(super) fn naming<'s>(
        &self,
        rules: &'s [Rule],
        identity: Identity,
        value: &str,
    ) -> impl Iterator<Item = &'s Rule> {
        let hits = self.named[identity as usize].hits(value);
        hits.filter_map(move |hit| {
            let rule = rules.get(hit.rule as usize)?;
            let entry = rule.entries.get(hit.entry as usize);
            names(rule, entry, identity, value).then_some(rule)
        })
    }

    /// The entries of `machines` that list an identity which the machine sent, by their rule and place, in order.
    pub(super) fn entries(&self, rules: &[Rule], labels: &Labels) -> BTreeSet<(usize, usize)> {
        let mut all = BTreeSet::new();
        for identity in Identity::ALL {
            let values = &self.named[identity as usize];
            for value in labels.identities(identity) {
                for hit in values.hits(value) {
                    let (number, place) = (hit.rule as usize, hit.entry as usize);
                    let entry = rules.get(number).and_then(|rule| rule.entries.get(place));
                    if entry
                        .is_some_and(|one| one.identities().of(identity).any(|own| own == value))
                    {
                        all.insert((number, place));
                    }
                }
            }
        }
        all
    }

    fn find_named<'s>(
        &self,
        rules: &'s [Rule],
        labels: &Labels,
    ) -> Result<Option<Found<'s>>, NoMatch<'s>> {
        let mut best: Option<(Rank<'s>, Found<'s>)> = None;
        let mut contradicted: Option<&'s Rule> = None;
        for identity in Identity::ALL {
            let values = &self.named[identity as usize];
            if values.is_empty() {
                continue;
            }
            for (position, value) in labels.identities(identity).enumerate() {
                for hit in values.hits(value) {
                    let Some(rule) = rules.get(hit.rule as usize) else {
                        continue;
                    };
                    let place = (hit.entry != SELECTED).then_some(hit.entry as usize);
                    let entry = place.and_then(|place| rule.entries.get(place));
                    if !names(rule, entry, identity, value) {
                        continue;
                    }
                    if entry.is_some_and(|entry| entry.identities().are_contradicted(labels)) {
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

impl Values {
    fn new(rules: &[Rule], identity: Identity) -> Self {
        let hits =
            || named(rules, identity).map(|(value, hit)| (hash_of(std::iter::once(value)), hit));
        let mut hashes: Vec<u64> = hits().map(|(hash, _)| hash).collect();
        hashes.sort_unstable();
        let mut shared: HashMap<u64, Vec<Hit>> = hashes
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| (pair[0], Vec::new()))
            .collect();
        let mut unique = HashTable::new();
        unique.reserve(hashes.len(), |_| {
            unreachable!("an empty table has nothing to move")
        });
        drop(hashes);
        for (hash, hit) in hits() {
            match shared.get_mut(&hash) {
                Some(hits) => hits.push(hit),
                // There is room for all, so nothing is hashed again.
                None => {
                    unique.insert_unique(hash, hit, |_| 0);
                }
            }
        }
        Self { unique, shared }
    }

    fn is_empty(&self) -> bool {
        self.unique.is_empty() && self.shared.is_empty()
    }

    /// Where a value may stand: its hash does, so each has to be looked at.
    fn hits(&self, value: &str) -> impl Iterator<Item = &Hit> {
        let hash = hash_of(std::iter::once(value));
        let shared = self.shared.get(&hash).into_iter().flatten();
        self.unique.iter_hash(hash).chain(shared)
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
fn strongest(rule: &Rule) -> Option<(Identity, &SelectorValues)> {
    rule.selectors
        .iter()
        .filter_map(|selector| Some((Identity::from_key(&selector.key)?, selector)))
        .min_by_key(|(identity, _)| *identity)
}

/// Whether a hit really stands for this value; hashes alone may be equal.
fn names(rule: &Rule, entry: Option<&Entry>, identity: Identity, value: &str) -> bool {
    match entry {
        Some(entry) => entry.identities().of(identity).any(|own| own == value),
        None => strongest(rule).is_some_and(|(_, selector)| selector.contains(value)),
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
        let mut sent = labels.identities(identity);
        let position = sent.position(|value| selector.contains(value))?;
        Some((identity, position))
    });
    selected.min()
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

/// A hash for these tables alone: each value behind its length, eight bytes at a time, mixed by multiplying.
///
/// Its keys are fixed, but so is what is in the tables: only a commit can put something there, and every hit is compared in
/// full. Whatever a machine sends, it meets what stands in the repository at one hash and nothing else.
fn hash_of<'a>(values: impl Iterator<Item = &'a str>) -> u64 {
    // Digits of pi: odd enough in every bit.
    const START: u64 = 0x243f_6a88_85a3_08d3;
    const LENGTH: u64 = 0x1319_8a2e_0370_7345;
    const WORD: u64 = 0xa409_3822_299f_31d1;
    const END: u64 = 0x082e_fa98_ec4e_6c89;
    let mut hash = START;
    for value in values {
        hash = mix(hash ^ value.len() as u64, LENGTH);
        let (words, rest) = value.as_bytes().as_chunks::<8>();
        for word in words {
            hash = mix(hash ^ u64::from_le_bytes(*word), WORD);
        }
        let rest = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = mix(hash ^ rest, WORD);
    }
    mix(hash, END)
}

/// Both halves of the product, so that every bit reaches every other one.
fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let [low, high] = [product, product >> 64];
    #[expect(clippy::cast_possible_truncation, reason = "the half is meant")]
    let halves = (low as u64, high as u64);
    halves.0 ^ halves.1
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
