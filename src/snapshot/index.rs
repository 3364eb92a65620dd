//! From labels to the Assignment that wins.
//!
//! Named Assignments are found by the identity values that the machine sent, classes and defaults by a hash over the values
//! of their keys, one table for each set of keys. So a look-up costs as much as the machine has identities and the
//! repository has *sets of keys*; the number of machines and Assignments does not enter. Identity values that stand at many
//! machines are found like classes ([`Crowds`]).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::label::{Entry, Identity, Labels};

use super::NoMatch;
use super::class::{KeySet, add_class, find_class};
use super::crowd::{CROWD, Crowd, Crowds, Keys};
use super::rule::{Rule, Tier};
use super::values::{Hit, SELECTED, Values, strongest};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By identity key, in the order of [`Identity::ALL`].
    named: [Values; 4],
    crowds: Crowds,
    classes: Vec<KeySet>,
    defaults: Vec<KeySet>,
}

/// The rule that wins and the entry that matched.
#[derive(Debug)]
pub(super) struct Found<'s> {
    pub(super) rule: &'s Rule,
    pub(super) entry: Option<usize>,
    /// Whether another rule is equal to it in everything but its name.
    pub(super) is_ambiguous: bool,
}

/// What ranks rules of one tier, the winner first (contract, section 4: "which Assignment wins").
type Rank<'s> = (Reverse<i16>, Reverse<usize>, usize, usize, usize, &'s str);

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        Self::with_crowd(rules, CROWD)
    }

    /// The same, with another limit for what is a crowd.
    fn with_crowd(rules: &[Rule], limit: usize) -> Self {
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
        index.crowds = Crowds::gather(rules, &mut index.named, limit);
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
                    let entry = hit.entry(rules);
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
        let mut search = Search {
            rules,
            labels,
            best: None,
            contradicted: None,
            is_crowded: false,
        };
        for identity in Identity::ALL {
            let values = &self.named[identity as usize];
            if values.is_empty() {
                continue;
            }
            for (position, value) in labels.identities(identity).enumerate() {
                let (hits, crowds) = values.stands(value);
                for hit in hits {
                    search.look_at(*hit, identity, position, value);
                }
                search.is_crowded |= !crowds.is_empty();
            }
        }
        if search.is_crowded {
            self.crowds.each(labels, |hit| search.look_at_any(hit));
            if search.best.is_none() && search.contradicted.is_none() {
                search.contradicted = self.contradicted_in_crowds(rules, labels);
            }
        }
        match (search.best, search.contradicted) {
            (Some((_, found)), _) => Ok(Some(found)),
            (None, Some(rule)) => Err(NoMatch::IdentityConflict {
                assignment: &rule.name,
            }),
            (None, None) => Ok(None),
        }
    }

    /// A rule with an entry that a crowded value leads to and another key contradicts.
    fn contradicted_in_crowds<'s>(&self, rules: &'s [Rule], labels: &Labels) -> Option<&'s Rule> {
        for identity in Identity::ALL {
            let values = &self.named[identity as usize];
            for value in labels.identities(identity) {
                let mut crowds = values.stands(value).1;
                while let Some((crowd, rest)) = crowds.split_first() {
                    if !lists_another_sent(crowd.lists, identity, labels) {
                        // Nor do those that list the same keys, however many they are.
                        let next = rest.partition_point(|other| other.lists == crowd.lists);
                        crowds = rest.get(next..).unwrap_or_default();
                        continue;
                    }
                    let found = self.contradicted_in(crowd, identity, value, (rules, labels));
                    if found.is_some() {
                        return found;
                    }
                    crowds = rest;
                }
            }
        }
        None
    }

    /// A rule with an entry of this crowd that lists a value and is contradicted by another key.
    fn contradicted_in<'s>(
        &self,
        crowd: &Crowd,
        identity: Identity,
        value: &str,
        (rules, labels): (&'s [Rule], &Labels),
    ) -> Option<&'s Rule> {
        for hit in &crowd.hits {
            count_look();
            let rule = rules.get(hit.rule as usize)?;
            let entry = hit.entry(rules)?;
            if !lists(entry, identity, value) {
                continue;
            }
            if entry.identities().are_contradicted(labels) {
                return Some(rule);
            }
            // Then nothing contradicts the others either. Few match by a value that stands in few places.
            if self.matches_by_crowds(entry, labels) {
                break;
            }
        }
        None
    }

    /// Whether of every key that the machine sent and the entry lists they have a crowded value in common.
    fn matches_by_crowds(&self, entry: &Entry, labels: &Labels) -> bool {
        Identity::ALL.into_iter().all(|identity| {
            let values = &self.named[identity as usize];
            let mut sent = labels.identities(identity);
            sent.len() == 0
                || entry.identities().of(identity).next().is_none()
                || sent.any(|value| {
                    lists(entry, identity, value) && !values.stands(value).1.is_empty()
                })
        })
    }
}

/// The best match for a machine so far.
struct Search<'s, 'l> {
    rules: &'s [Rule],
    labels: &'l Labels,
    best: Option<(Rank<'s>, Found<'s>)>,
    contradicted: Option<&'s Rule>,
    /// Whether one of the values so far is crowded, so that not everything was looked at that it leads to.
    is_crowded: bool,
}

impl<'s> Search<'s, '_> {
    /// Looks at a place where a value may stand that was sent at this position.
    fn look_at(&mut self, hit: Hit, identity: Identity, position: usize, value: &str) {
        if self.is_best(hit) {
            // By what was sent later, or is weaker, it ranks no higher.
            return;
        }
        count_look();
        let Some(rule) = self.rules.get(hit.rule as usize) else {
            return;
        };
        let entry = hit.entry(self.rules);
        if !names(rule, entry, identity, value) {
            return;
        }
        let mut matched = (identity, position);
        if self.is_crowded
            && let Some(entry) = entry
        {
            // A stronger value may be the crowded one.
            matched = strongest_listed(entry, self.labels).unwrap_or(matched);
        }
        self.take(hit, rule, entry, matched);
    }

    /// Whether this is the best match so far.
    fn is_best(&self, hit: Hit) -> bool {
        self.best.as_ref().is_some_and(|(_, best)| {
            let rule = self.rules.get(hit.rule as usize);
            let place = (hit.entry != SELECTED).then_some(hit.entry as usize);
            best.entry == place && rule.is_some_and(|rule| std::ptr::eq(rule, best.rule))
        })
    }

    /// Looks at a place that some of the values lead to; whether it matches.
    fn look_at_any(&mut self, hit: Hit) -> bool {
        count_look();
        let Some(rule) = self.rules.get(hit.rule as usize) else {
            return false;
        };
        let entry = hit.entry(self.rules);
        let matched = match entry {
            Some(entry) => strongest_listed(entry, self.labels),
            None => strongest_selected(rule, self.labels),
        };
        matched.is_some_and(|matched| self.take(hit, rule, entry, matched))
    }

    /// Takes what a value has in common with the machine if nothing else stands against it; whether that is so.
    fn take(
        &mut self,
        hit: Hit,
        rule: &'s Rule,
        entry: Option<&Entry>,
        matched: (Identity, usize),
    ) -> bool {
        if entry.is_some_and(|entry| entry.identities().are_contradicted(self.labels)) {
            self.contradicted = self.contradicted.or(Some(rule));
            return false;
        }
        if !rule.accepts(self.labels) {
            return false;
        }
        let (strongest, position) =
            strongest_selected(rule, self.labels).map_or(matched, |one| one.min(matched));
        let place = (hit.entry != SELECTED).then_some(hit.entry as usize);
        let rank = (
            Reverse(rule.priority),
            Reverse(rule.keys()),
            strongest as usize,
            position,
            place.unwrap_or(0),
            rule.name.as_ref(),
        );
        let best = self.best.as_ref();
        if best.is_none_or(|(other, _)| beats(&rank, other, rule)) {
            self.best = Some((rank, {
                // Equals that name one value are a conflict, which is an error of the commit.
                let is_ambiguous = false;
                Found {
                    rule,
                    entry: place,
                    is_ambiguous,
                }
            }));
        }
        true
    }
}

/// Whether a hit really stands for this value; hashes alone may be equal.
fn names(rule: &Rule, entry: Option<&Entry>, identity: Identity, value: &str) -> bool {
    match entry {
        Some(entry) => lists(entry, identity, value),
        None => strongest(rule).is_some_and(|(_, selector)| selector.contains(value)),
    }
}

fn lists(entry: &Entry, identity: Identity, value: &str) -> bool {
    entry.identities().of(identity).any(|own| own == value)
}

/// Whether the machine sent one of these keys beside this one: nothing else can contradict an entry that lists them.
fn lists_another_sent(lists: Keys, identity: Identity, labels: &Labels) -> bool {
    Identity::ALL
        .into_iter()
        .filter(|other| *other != identity && lists[*other as usize])
        .any(|other| labels.identities(other).len() > 0)
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

/// The strongest identity key by which an entry matches, and where in the request its value stands.
fn strongest_listed(entry: &Entry, labels: &Labels) -> Option<(Identity, usize)> {
    Identity::ALL.into_iter().find_map(|identity| {
        let mut sent = labels.identities(identity);
        let position = sent.position(|value| lists(entry, identity, value))?;
        Some((identity, position))
    })
}

/// Counts the places that are looked at, for the tests that hold them to be few.
#[cfg(not(test))]
fn count_look() {}

#[cfg(test)]
use tests::count_look;
#[cfg(test)]
pub(super) use tests::narrowed;

#[cfg(test)]
mod tests;
