//! Who is asked about: the machines that either side names, and the classes that either side tells apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::label::{FixedLabels, Identity, Labels};
use crate::snapshot::{Rule, SelectorValues, Snapshot, Tier};

/// The most combinations of identity values that one machine is asked about for one set of its keys; beyond that every
/// value still has its turn. An entry with two values of each of its four keys has 16.
const MAX_IDENTITIES: usize = 16;
/// The most MACs that a machine sends besides the one it boots from: net0 to net7 of `/boot.ipxe`.
const MAX_OTHER_MACS: usize = 7;
/// The most combinations of class labels that each machine is asked about with every value on its own.
const MAX_EXACT_CONTEXTS: usize = 16;
/// The most combinations of class labels that each machine is asked about once values that nothing tells apart are one: a
/// hundred thousand machines are asked about in seconds.
const MAX_CONTEXTS: usize = 64;
/// The most combinations of class labels that are compared: a second's work.
pub(super) const MAX_CLASSES: usize = 20_000;

/// Stands for a value that nobody asks for.
const ANOTHER: &str = "<another>";

/// Identity keys with the values that a machine may send.
type Identities<'s> = Vec<(Identity, Vec<&'s str>)>;

/// A label and its value.
pub(super) type Pair<'s> = (&'s str, &'s str);

/// Class labels: each key with the values that are alike; the first stands for them.
pub(super) type Class<'s> = Vec<(&'s str, Vec<&'s str>)>;

/// A machine that at least one side names.
pub(super) struct Unit<'s> {
    /// Its name in HEAD, else in BASE; empty where it has none.
    pub(super) name: &'s str,
    identities: Identities<'s>,
    /// Whether it is an entry of `machines`, in BASE and in HEAD.
    is_entry: [bool; 2],
}

/// Every machine that BASE or HEAD names: each entry of `machines`, and each identity value of a selector.
pub(super) fn units(sides: [&Snapshot; 2]) -> Vec<Unit<'_>> {
    let mut units = Units::default();
    for (side, snapshot) in sides.into_iter().enumerate() {
        for rule in snapshot.rules() {
            let asked: Vec<_> = rule.selectors.iter().filter_map(identity).collect();
            for entry in rule.entries.iter() {
                let own: BTreeMap<_, Vec<_>> = by_key(entry.identities().iter());
                if !asked.is_empty() {
                    units.add(both(&own, &asked), entry.name(), None);
                }
                units.add(own.into_iter().collect(), entry.name(), Some(side));
            }
            let Some(((first, values), others)) =
                asked.split_first().filter(|_| rule.entries.is_empty())
            else {
                continue;
            };
            for value in values {
                let one = std::iter::once((*first, vec![*value]));
                units.add(one.chain(others.iter().cloned()).collect(), "", None);
            }
        }
    }
    units.all
}

#[derive(Default)]
struct Units<'s> {
    all: Vec<Unit<'s>>,
    known: HashMap<Identities<'s>, usize>,
}

impl<'s> Units<'s> {
    fn add(&mut self, identities: Identities<'s>, name: &'s str, entry_of: Option<usize>) {
        let known = self.known.get(&identities).copied();
        let number = known.unwrap_or_else(|| {
            self.all.push(Unit {
                name: "",
                identities: identities.clone(),
                is_entry: [false; 2],
            });
            self.known.insert(identities, self.all.len() - 1);
            self.all.len() - 1
        });
        let Some(unit) = self.all.get_mut(number) else {
            return;
        };
        if !name.is_empty() {
            unit.name = name;
        }
        if let Some(is_entry) = entry_of.and_then(|side| unit.is_entry.get_mut(side)) {
            *is_entry = true;
        }
    }
}

/// What a selector asks of an identity key.
fn identity(selector: &SelectorValues) -> Option<(Identity, Vec<&str>)> {
    let values = selector.values.iter().map(AsRef::as_ref);
    Some((Identity::from_key(&selector.key)?, values.collect()))
}

fn by_key<'s>(
    pairs: impl Iterator<Item = (Identity, &'s str)>,
) -> BTreeMap<Identity, Vec<&'s str>> {
    let mut keys: BTreeMap<Identity, Vec<&str>> = BTreeMap::new();
    for (key, value) in pairs {
        keys.entry(key).or_default().push(value);
    }
    keys
}

/// What a machine sends that is this entry and satisfies the selectors too.
fn both<'s>(entry: &BTreeMap<Identity, Vec<&'s str>>, asked: &Identities<'s>) -> Identities<'s> {
    let mut all = entry.clone();
    for (key, values) in asked {
        let own = all.entry(*key).or_insert_with(|| values.clone());
        let shared = own.iter().copied().filter(|value| values.contains(value));
        let shared: Vec<_> = shared.collect();
        if !shared.is_empty() {
            *own = shared;
        }
    }
    all.into_iter().collect()
}

impl Unit<'_> {
    /// What this machine may send of its identity: all of it first, then parts of it where that can make a difference.
    pub(super) fn sent(&self, sides: [&Snapshot; 2]) -> Vec<Vec<Pair<'_>>> {
        let keys = self.identities.len().min(Identity::ALL.len());
        let every = (1_usize << keys) - 1;
        let least = if self.is_alone(sides) { every } else { 1 };
        let mut all = Vec::new();
        for mask in (least..=every).rev() {
            let chosen = self.identities.iter().enumerate();
            let chosen = chosen.filter(|(key, _)| mask & (1 << key) != 0);
            combine(
                &chosen.map(|(_, one)| ways(one)).collect::<Vec<_>>(),
                &mut all,
            );
        }
        all
    }

    /// Whether nobody else has a say about any of its identity values, so that one of them means the same as all of them.
    fn is_alone(&self, sides: [&Snapshot; 2]) -> bool {
        let mut values = self
            .identities
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (*key, *value)));
        values.all(|(key, value)| {
            let mut sides = sides.iter().zip(self.is_entry);
            sides.all(|(side, is_entry)| side.naming(key, value).count() == usize::from(is_entry))
        })
    }

    /// The Assignments of a side that name one of its values.
    pub(super) fn rules<'r>(&self, side: &'r Snapshot) -> Vec<&'r Rule> {
        let mut rules: Vec<&Rule> = Vec::new();
        for (key, values) in &self.identities {
            for rule in values.iter().flat_map(|value| side.naming(*key, value)) {
                if !rules.iter().any(|known| std::ptr::eq(*known, rule)) {
                    rules.push(rule);
                }
            }
        }
        rules
    }
}

/// The ways to send one key: one value, or for MACs one in front of the others as well.
fn ways<'a>((key, values): &(Identity, Vec<&'a str>)) -> Vec<Vec<Pair<'a>>> {
    let mut ways = Vec::new();
    for first in values {
        if *key == Identity::Mac && values.len() > 1 {
            let others = values.iter().filter(|other| *other != first);
            let all = std::iter::once(first).chain(others.take(MAX_OTHER_MACS));
            ways.push(all.map(|mac| (key.key(), *mac)).collect());
        }
        ways.push(vec![(key.key(), *first)]);
    }
    ways
}

/// One way of each key: every combination, or where there are too many, so many that each way is in one.
fn combine<'a>(keys: &[Vec<Vec<Pair<'a>>>], all: &mut Vec<Vec<Pair<'a>>>) {
    let count = keys
        .iter()
        .map(Vec::len)
        .fold(1_usize, usize::saturating_mul);
    let (count, is_whole) = if count <= MAX_IDENTITIES {
        (count, true)
    } else {
        (keys.iter().map(Vec::len).max().unwrap_or(0), false)
    };
    for number in 0..count {
        let mut rest = number;
        let mut pairs = Vec::new();
        for ways in keys {
            let way = rest.checked_rem(ways.len()).and_then(|at| ways.get(at));
            pairs.extend(way.into_iter().flatten().copied());
            if is_whole {
                rest /= ways.len().max(1);
            }
        }
        all.push(pairs);
    }
}

/// The class labels that Assignments ask for, of both sides.
pub(super) struct Alphabet<'s> {
    /// For each key and value, the numbers of the Assignments that ask for it.
    asked: HashMap<Pair<'s>, Vec<usize>>,
    /// The keys that templates print or look at: no two of their values are alike.
    printed: BTreeSet<&'s str>,
}

/// What classes were found, and how.
pub(super) struct Classes<'s> {
    pub(super) sets: Vec<Class<'s>>,
    /// The keys that classes and defaults ask for.
    pub(super) keys: Vec<&'s str>,
    /// Whether `sets` are all combinations.
    pub(super) is_whole: bool,
}

impl<'s> Alphabet<'s> {
    pub(super) fn new(sides: [&'s Snapshot; 2]) -> Self {
        let mut asked: HashMap<Pair<'s>, Vec<usize>> = HashMap::new();
        let rules = sides.into_iter().flat_map(Snapshot::rules);
        let mut number = 0;
        for rule in rules {
            for selector in &rule.selectors {
                for value in &selector.values {
                    asked
                        .entry((&selector.key, value))
                        .or_default()
                        .push(number);
                }
            }
            for choice in &rule.choices {
                number += 1;
                for (key, value) in &choice.requires {
                    asked.entry((key, value)).or_default().push(number);
                }
            }
            number += 1;
        }
        let printed = sides.into_iter().flat_map(printed).collect();
        Self { asked, printed }
    }

    /// The class labels that a machine may send which these Assignments name, each combination of which another
    /// Assignment may win by. The first is none at all. Also says whether these are all.
    pub(super) fn contexts(&self, rules: &[&'s Rule]) -> (Vec<Class<'s>>, bool) {
        let keys = keys_of(rules);
        let exact = keys
            .iter()
            .map(|(key, values)| (*key, values.iter().map(|value| vec![*value]).collect()))
            .collect();
        if size(&exact) <= MAX_EXACT_CONTEXTS {
            return (product(&exact), true);
        }
        let grouped = self.grouped(&keys, true);
        if size(&grouped) <= MAX_CONTEXTS {
            return (product(&grouped), true);
        }
        let mut few = BTreeSet::from([Class::new()]);
        few.extend(rules.iter().filter_map(|rule| one_of(rule)));
        (few.into_iter().take(MAX_CONTEXTS).collect(), false)
    }

    /// The classes to compare. The first is a machine that sends no class label.
    pub(super) fn classes(&self, sides: [&'s Snapshot; 2]) -> Classes<'s> {
        let rules = sides.into_iter().flat_map(Snapshot::rules);
        let rules: Vec<&Rule> = rules.filter(|rule| rule.tier != Tier::Named).collect();
        let keys = keys_of(&rules);
        let names = keys.keys().copied().collect();
        for count_printed in [false, true] {
            let grouped = self.grouped(&keys, count_printed);
            if size(&grouped) <= MAX_CLASSES {
                return Classes {
                    sets: product(&grouped),
                    keys: names,
                    is_whole: true,
                };
            }
        }
        let mut sets = BTreeSet::from([Class::new()]);
        for rule in &rules {
            let asked = self.grouped(&keys_of(&[*rule]), true);
            let whole = product(&asked).into_iter();
            sets.extend(whole.filter(|set| set.len() == asked.len()));
            sets.extend(one_of(rule));
        }
        sets = sets.into_iter().take(MAX_CLASSES).collect();
        merge_pairs(&rules, &mut sets);
        Classes {
            sets: sets.into_iter().collect(),
            keys: names,
            is_whole: false,
        }
    }

    /// The values of each key, those that the same Assignments ask for together. Values of printed keys stay alone unless
    /// `with_printed`.
    fn grouped(
        &self,
        keys: &BTreeMap<&'s str, BTreeSet<&'s str>>,
        with_printed: bool,
    ) -> BTreeMap<&'s str, Vec<Vec<&'s str>>> {
        let group = |key: &'s str, values: &BTreeSet<&'s str>| {
            let mut groups: Vec<(&[usize], Vec<&'s str>)> = Vec::new();
            let mut places: HashMap<&[usize], usize> = HashMap::new();
            let is_alone = !with_printed && self.printed.contains(key);
            for value in values {
                let asked = self
                    .asked
                    .get(&(key, *value))
                    .map_or(&[][..], Vec::as_slice);
                let place = *places.entry(asked).or_insert(groups.len());
                match groups.get_mut(place).filter(|_| !is_alone) {
                    Some((_, alike)) => alike.push(value),
                    None => groups.push((asked, vec![value])),
                }
            }
            groups.into_iter().map(|(_, alike)| alike).collect()
        };
        let groups = keys.iter().map(|(key, values)| (*key, group(key, values)));
        groups.collect()
    }
}

/// The labels that any body of a snapshot depends on.
fn printed(snapshot: &Snapshot) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for (_, config) in snapshot.configs() {
        keys.extend(config.labels.iter().map(String::as_str));
    }
    let choices = snapshot.rules().iter().flat_map(|rule| &rule.choices);
    for binding in choices.map(|choice| &choice.binding) {
        let script = binding.script.iter();
        keys.extend(
            script
                .flat_map(|script| &script.usage().labels)
                .map(String::as_str),
        );
        let inserted = binding.names.iter().enumerate();
        for (place, _) in inserted.filter(|(_, name)| !name.exposed) {
            let shared = binding.shared.iter().map(|shared| &shared.outfit);
            let outfits = shared.chain(binding.own.iter().flatten());
            let configs = outfits.filter_map(|outfit| outfit.configs.get(place));
            keys.extend(
                configs
                    .flat_map(|config| &config.labels)
                    .map(String::as_str),
            );
        }
    }
    keys
}

/// The class keys that these Assignments ask for, by selectors or by labels of their Profiles, with all values.
fn keys_of<'s>(rules: &[&'s Rule]) -> BTreeMap<&'s str, BTreeSet<&'s str>> {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        for selector in &rule.selectors {
            let values = selector.values.iter().map(AsRef::as_ref);
            keys.entry(&selector.key).or_default().extend(values);
        }
        let choices = rule.choices.iter();
        for (key, value) in choices.flat_map(|choice| &choice.requires) {
            // To send another value is not the same here as to send none.
            keys.entry(key)
                .or_default()
                .extend([value.as_str(), ANOTHER]);
        }
    }
    keys.retain(|key, _| Identity::from_key(key).is_none());
    keys
}

/// How many combinations of one value or none of each key there are.
fn size(keys: &BTreeMap<&str, Vec<Vec<&str>>>) -> usize {
    let counts = keys.values().map(|values| values.len() + 1);
    counts.fold(1, usize::saturating_mul)
}

/// Every combination of one value or none of each key, sorted; none of any first.
fn product<'s>(keys: &BTreeMap<&'s str, Vec<Vec<&'s str>>>) -> Vec<Class<'s>> {
    let mut all = vec![Class::new()];
    for (key, values) in keys {
        let longer = all.iter().flat_map(|set| {
            values.iter().map(move |alike| {
                let mut set = set.clone();
                set.push((*key, alike.clone()));
                set
            })
        });
        let longer: Vec<_> = longer.collect();
        all.extend(longer);
    }
    all.sort();
    all
}

/// Class labels that satisfy an Assignment, and one of the Profiles that it may mean.
fn one_of<'s>(rule: &'s Rule) -> Option<Class<'s>> {
    let mut keys: BTreeMap<&'s str, Vec<&'s str>> = BTreeMap::new();
    let required = rule.choices.first().map(|choice| &choice.requires);
    for (key, value) in required.into_iter().flatten() {
        keys.insert(key, vec![value]);
    }
    for selector in &rule.selectors {
        let values: Vec<&str> = selector.values.iter().map(AsRef::as_ref).collect();
        let required = keys.get(&*selector.key).and_then(|one| one.first());
        let fits = required.is_some_and(|one| values.contains(one));
        if !fits {
            keys.insert(&selector.key, vec![*values.first()?]);
        }
    }
    keys.retain(|key, _| Identity::from_key(key).is_none());
    Some(keys.into_iter().collect())
}

/// Adds what a machine sends that satisfies two Assignments at once, as far as there is room.
fn merge_pairs<'s>(rules: &[&'s Rule], sets: &mut BTreeSet<Class<'s>>) {
    let ones: Vec<Class<'s>> = rules.iter().filter_map(|rule| one_of(rule)).collect();
    for (place, one) in ones.iter().enumerate() {
        for other in ones.iter().skip(place + 1) {
            if sets.len() >= 2 * MAX_CLASSES {
                return;
            }
            sets.extend(merged(one, other));
        }
    }
}

/// Both together; `None` where they contradict each other.
pub(super) fn merged<'s>(one: &Class<'s>, other: &Class<'s>) -> Option<Class<'s>> {
    let mut all: BTreeMap<&'s str, Vec<&'s str>> = one.iter().cloned().collect();
    for (key, values) in other {
        let own = all.entry(key).or_insert_with(|| values.clone());
        if own.first() != values.first() {
            return None;
        }
    }
    Some(all.into_iter().collect())
}

/// The labels of a machine that sends these. `None` when there are more than a request may carry.
pub(super) fn labels<'a>(
    identity: &[Pair<'a>],
    class: &[(&'a str, Vec<&'a str>)],
) -> Option<Labels> {
    let class = class
        .iter()
        .filter_map(|(key, values)| Some((*key, *values.first()?)));
    let pairs = identity.iter().copied().chain(class);
    let (labels, _) = Labels::from_pairs(pairs, &FixedLabels::default()).ok()?;
    Some(labels)
}
