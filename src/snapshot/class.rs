//! Rules that select by classes of machines: found by a hash over one value per key.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use crate::label::Labels;

use super::index::Found;
use super::rule::Rule;
use super::values::hash_of;

/// The rules that select by the same keys.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Box<str>>,
    /// The hash of one value per key, in the order of the keys, and the rules that accept this combination.
    rules: HashMap<u64, Vec<u32>>,
}

/// Adds a rule to the set of its keys.
pub(super) fn add_class(sets: &mut Vec<KeySet>, number: u32, rule: &Rule) {
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
pub(super) fn for_each_combination(rule: &Rule, mut each: impl FnMut(u64)) {
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

/// The best rule that accepts these labels.
pub(super) fn find_class<'s>(
    sets: &[KeySet],
    rules: &'s [Rule],
    labels: &Labels,
) -> Option<Found<'s>> {
    let mut best: Option<&'s Rule> = None;
    let mut is_ambiguous = false;
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
            let rank = |rule: &'s Rule| (Reverse(rule.priority), Reverse(rule.keys()));
            let order = best.map_or(Ordering::Less, |other| rank(rule).cmp(&rank(other)));
            match order {
                Ordering::Less => (best, is_ambiguous) = (Some(rule), false),
                Ordering::Equal => {
                    // One rule may stand there twice.
                    is_ambiguous |= best.is_some_and(|other| other.name != rule.name);
                    best = best.filter(|other| other.name <= rule.name).or(Some(rule));
                }
                Ordering::Greater => {}
            }
        }
    }
    best.map(|rule| Found {
        rule,
        entry: None,
        is_ambiguous,
    })
}
