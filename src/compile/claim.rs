//! Claims to an identity: which of two could win is asked only of those that one machine could satisfy both.

use std::collections::{BTreeMap, HashMap};

use crate::label::Identity;
use crate::manifest::{Assignment, Machine};

/// The keys of which a machine has one value and by which claims are looked up; any other key is compared one by one.
const SINGLE: [Identity; 3] = [Identity::Uuid, Identity::Serial, Identity::Asset];

/// One thing that selects by identity: an entry of `machines`, or an Assignment's selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    /// Which Assignment.
    pub(super) assignment: usize,
    /// Which entry of its `machines`; `None` for its selectors.
    pub(super) entry: Option<usize>,
}

/// The values that a machine may have for each key of which it has one; `mac`, of which it may have many, excludes nothing.
type Constraints<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Claims to one identity value at one rank, in order. Thousands of machines may share a MAC by mistake or by a shared
/// network card, so a rival is looked for among those that agree on another identity.
#[derive(Default)]
pub(super) struct Crowd<'a> {
    claims: Vec<(Claim, Vec<Constraints<'a>>)>,
    /// The claims that ask for a value of a key, by their place in `claims`.
    asking: HashMap<(Identity, &'a str), Vec<usize>>,
    /// The claims that ask for no value of a key, or for more than can be said here.
    indifferent: HashMap<Identity, Vec<usize>>,
}

impl<'a> Crowd<'a> {
    /// Adds a claim. Returns the first of the claims before it that one machine could satisfy too.
    pub(super) fn add(&mut self, claim: Claim, assignment: &'a Assignment) -> Option<Claim> {
        let ways: Vec<Constraints<'_>> = constraints(assignment, claim).collect();
        let rival = self.rival(claim, &ways);
        let place = self.claims.len();
        for key in SINGLE {
            match only(&ways).and_then(|way| way.get(key.key())) {
                Some(values) => {
                    for value in values {
                        self.asking.entry((key, value)).or_default().push(place);
                    }
                }
                None => self.indifferent.entry(key).or_default().push(place),
            }
        }
        self.claims.push((claim, ways));
        rival
    }

    fn rival(&self, claim: Claim, ways: &[Constraints<'_>]) -> Option<Claim> {
        let is_rival = |place: &usize| {
            self.claims.get(*place).is_some_and(|(other, others)| {
                are_two(claim, *other)
                    && ways
                        .iter()
                        .any(|mine| others.iter().any(|theirs| are_compatible(mine, theirs)))
            })
        };
        let lists = SINGLE.iter().filter_map(|key| {
            let values = only(ways)?.get(key.key())?;
            let asking = values
                .iter()
                .filter_map(|value| self.asking.get(&(*key, value)));
            Some(asking.chain(self.indifferent.get(key)).collect::<Vec<_>>())
        });
        let shortest = lists.min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        let place = match shortest {
            Some(lists) => {
                let firsts = lists
                    .iter()
                    .filter_map(|list| list.iter().copied().find(is_rival));
                firsts.min()
            }
            None => (0..self.claims.len()).find(is_rival),
        };
        place
            .and_then(|place| self.claims.get(place))
            .map(|(other, _)| *other)
    }
}

/// Whether two claims are rivals at all. What its selectors ask, an Assignment asks of all its machines alike: there the
/// earlier entry wins.
fn are_two(one: Claim, other: Claim) -> bool {
    one != other
        && (one.assignment != other.assignment || (one.entry.is_some() && other.entry.is_some()))
}

/// Whether a machine of an Assignment could satisfy its selectors: it has one value for each of most identity keys.
pub(super) fn is_possible(assignment: &Assignment, machine: Machine<'_>) -> bool {
    way(assignment, Some(machine)).is_some()
}

fn only<'w, 'a>(ways: &'w [Constraints<'a>]) -> Option<&'w Constraints<'a>> {
    match ways {
        [one] => Some(one),
        _ => None,
    }
}

/// The ways to satisfy a claim: one for an entry of `machines`, and for selectors one with each entry, if there are any.
fn constraints(assignment: &Assignment, claim: Claim) -> impl Iterator<Item = Constraints<'_>> {
    let machines = &assignment.machines;
    let places = match claim.entry {
        Some(entry) => entry..entry + 1,
        None => 0..machines.len(),
    };
    let entries = places.filter_map(|place| machines.get(place)).map(Some);
    let alone = machines.is_empty().then_some(None);
    entries
        .chain(alone)
        .filter_map(|entry| way(assignment, entry))
}

/// What selectors and an entry ask for together; `None` when no machine has that.
fn way<'a>(assignment: &'a Assignment, entry: Option<Machine<'a>>) -> Option<Constraints<'a>> {
    let mut all: Constraints<'_> = assignment
        .selectors
        .iter()
        .map(|one| (&*one.key, one.values.iter().map(String::as_str).collect()))
        .collect();
    for (identity, identities) in SINGLE
        .iter()
        .filter_map(|identity| Some((identity, entry?.entry.identities())))
    {
        let own = || identities.of(*identity);
        if own().next().is_some() {
            all.entry(identity.key())
                .and_modify(|values| values.retain(|value| own().any(|other| other == *value)))
                .or_insert_with(|| own().collect());
        }
    }
    all.remove(Identity::Mac.key());
    all.values().all(|values| !values.is_empty()).then_some(all)
}

fn are_compatible(one: &Constraints<'_>, other: &Constraints<'_>) -> bool {
    one.iter().all(|(key, values)| {
        other
            .get(key)
            .is_none_or(|others| values.iter().any(|value| others.contains(value)))
    })
}
