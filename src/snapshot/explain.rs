//! Why a machine gets what it gets: what [`Snapshot::find`] decides, with everything that it decided against.

use std::cmp::{Ordering, Reverse};

use crate::label::{Entry, Identity, Labels};

use super::place::Place;
use super::rule::{Choice, Rule, SelectorValues, Tier};
use super::{Match, NoMatch, Snapshot};

/// The most Assignments that are told of although they do not match. Who looks for a mistake finds it among the nearest
/// ones, and ten thousand Assignments would bury it.
pub const MAX_NEAR_MISSES: usize = 10;

/// What a machine with certain labels gets, and why.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// What [`Snapshot::find`] says.
    pub outcome: Result<Match<'a>, NoMatch<'a>>,
    /// All that match, in rank order; then those that nearly match, the nearest first. Those that share no label with the
    /// machine are among these only where nothing matches.
    pub candidates: Vec<Candidate<'a>>,
    /// How many more nearly match.
    pub more: usize,
    /// The Profiles that the winner may mean.
    pub profiles: Vec<ProfileCandidate<'a>>,
}

/// An Assignment, by one of its `machines` or by its selectors alone.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The Assignment.
    pub rule: &'a Rule,
    /// The entry of its `machines` that lists the machine, by its place.
    pub entry: Option<usize>,
    /// Where it stands.
    pub place: Option<Place>,
    /// What ranks it.
    pub rank: Rank<'a>,
    /// The keys that matched, each with the first value that did.
    pub matched: Vec<(&'a str, &'a str)>,
    /// Whether it won, and why.
    pub verdict: Verdict<'a>,
}

/// What ranks Assignments that match: fields in the order of the rules in section 4 of the contract, but for the place of
/// an entry. That counts within one Assignment only, where the names are equal, so it may stand behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank<'a> {
    /// Named before class before default.
    pub tier: Tier,
    /// The higher one first.
    pub priority: Reverse<i16>,
    /// More keys first; `machines` counts as one.
    pub keys: Reverse<usize>,
    /// The strongest identity that matched, as its place in [`Identity::ALL`]; past the end where none did.
    pub identity: usize,
    /// Which of the MACs that were sent matched, from 0, where `mac` is the strongest identity that matched.
    pub mac: usize,
    /// The Assignment's name.
    pub name: &'a str,
    /// The place of the entry.
    pub entry: Option<usize>,
}

/// The rule that told two Assignments apart (contract, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Named before class before default.
    Tier,
    /// The higher priority.
    Priority,
    /// More selector keys.
    Keys,
    /// The stronger identity that matched.
    Identity,
    /// The MAC that came earlier in the request.
    MacOrder,
    /// The earlier entry of one Assignment.
    Entry,
    /// The name that comes first in byte order.
    Name,
}

/// How an Assignment fared.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It won: by this rule over the next one, if another one matched.
    Won(Option<Step>),
    /// It lost.
    Lost(Lost<'a>),
}

/// Why an Assignment lost.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost<'a> {
    /// It matches, and the winner ranks before it by this rule.
    Outranked(Step),
    /// It matches, but it is a class or a default, and an entry of another's `machines` is contradicted.
    Barred,
    /// One of its `machines` lists an identity of the machine, and these others are of another machine.
    Contradicted(Vec<FailedKey<'a>>),
    /// These selectors do not accept what the machine sent.
    Selectors(Vec<FailedKey<'a>>),
    /// The selectors accept the machine, and none of its `machines` lists it.
    NotListed,
}

/// A key by which an Assignment does not match.
#[derive(Debug, PartialEq, Eq)]
pub struct FailedKey<'a> {
    /// The key.
    pub key: &'a str,
    /// What the machine sent for it.
    pub sent: Vec<&'a str>,
    /// What would have matched.
    pub wanted: Vec<&'a str>,
}

/// A Profile that the winning Assignment may mean.
#[derive(Debug)]
pub struct ProfileCandidate<'a> {
    /// Its name.
    pub profile: &'a str,
    /// Where it stands.
    pub place: Option<&'a Place>,
    /// The labels that must not differ from what the machine sent.
    pub requires: &'a [(String, String)],
    /// Those that differ.
    pub differing: Vec<&'a (String, String)>,
    /// Whether it is the one that the machine gets.
    pub is_chosen: bool,
}

impl Step {
    /// The step in one word, for programs; it never changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Priority => "priority",
            Self::Keys => "keys",
            Self::Identity => "identity",
            Self::MacOrder => "mac_order",
            Self::Entry => "entry",
            Self::Name => "name",
        }
    }
}

impl<'a> Rank<'a> {
    /// The strongest identity that matched.
    #[must_use]
    pub fn strongest(&self) -> Option<Identity> {
        Identity::ALL.get(self.identity).copied()
    }

    /// The first rule that tells two ranks apart; `None` for a rank and itself.
    fn step(&self, other: &Self) -> Option<Step> {
        let of_name = match (self.name == other.name, self.entry.cmp(&other.entry)) {
            (true, Ordering::Equal) => None,
            (true, _) => Some(Step::Entry),
            (false, _) => Some(Step::Name),
        };
        let steps = [
            (self.tier == other.tier, Step::Tier),
            (self.priority == other.priority, Step::Priority),
            (self.keys == other.keys, Step::Keys),
            (self.identity == other.identity, Step::Identity),
            (self.mac == other.mac, Step::MacOrder),
        ];
        let first = steps.into_iter().find(|(equal, _)| !equal);
        first.map(|(_, step)| step).or(of_name)
    }

    fn new(rule: &'a Rule, entry: Option<usize>, labels: &Labels) -> Self {
        let own = entry.and_then(|entry| rule.entries.get(entry));
        let listed = own.into_iter().flat_map(|entry| entry.identities().iter());
        let selected = rule.selectors.iter().flat_map(|selector| {
            let identity = Identity::from_key(&selector.key);
            let values = selector.values.iter();
            values.filter_map(move |value| Some((identity?, &**value)))
        });
        let strongest = listed
            .chain(selected)
            .filter_map(|(identity, value)| {
                let place = labels.identities(identity).position(|sent| sent == value)?;
                Some((identity as usize, place))
            })
            .min();
        let (identity, mac) = strongest.unwrap_or((Identity::ALL.len(), 0));
        Self {
            tier: rule.tier,
            priority: Reverse(rule.priority),
            keys: Reverse(rule.keys()),
            identity,
            mac,
            name: &rule.name,
            entry,
        }
    }
}

impl Snapshot {
    /// Why a machine with these labels gets what it gets. Pure; costs as much as the repository has Assignments, and not
    /// more for machines that have nothing to do with these labels.
    #[must_use]
    pub fn explain<'a>(&'a self, labels: &'a Labels) -> Explanation<'a> {
        let outcome = self.find(labels);
        let (mut matching, mut near) = self.candidates(labels);
        let is_conflict = matches!(outcome, Err(NoMatch::IdentityConflict { .. }));
        matching.sort_by_key(|one| one.rank);
        judge(&mut matching, is_conflict);
        if !matching.is_empty() {
            // Who looks at a machine that gets something is not helped by those that share nothing with it.
            near.retain(|one| !one.matched.is_empty());
        }
        near.sort_by_key(|one| (distance(one), one.rank));
        let more = near.len().saturating_sub(MAX_NEAR_MISSES);
        near.truncate(MAX_NEAR_MISSES);
        let winner = matching.first().filter(|_| !is_conflict);
        let profiles = winner.map_or_else(Vec::new, |one| self.profiles(one.rule, labels));
        matching.extend(near);
        Explanation {
            outcome,
            candidates: matching,
            more,
            profiles,
        }
    }

    /// Those that match, and those that nearly do, in no order.
    fn candidates<'a>(&'a self, labels: &'a Labels) -> (Vec<Candidate<'a>>, Vec<Candidate<'a>>) {
        let rules = self.rules();
        let listed = self.contents.index.entries(rules, labels);
        let (mut matching, mut near) = (Vec::new(), Vec::new());
        for (number, rule) in rules.iter().enumerate() {
            let mut add = |entry, lost| {
                let candidate = self.candidate((number, rule), entry, lost, labels);
                match candidate.verdict {
                    Verdict::Won(_) => matching.push(candidate),
                    Verdict::Lost(_) => near.push(candidate),
                }
            };
            let failed = failed_selectors(rule, labels);
            let mut is_listed = false;
            for (_, place) in listed.range((number, 0)..=(number, usize::MAX)) {
                let Some(entry) = rule.entries.get(*place) else {
                    continue;
                };
                is_listed = true;
                let contradicted = contradicted(entry, labels);
                let lost = if !contradicted.is_empty() {
                    Some(Lost::Contradicted(contradicted))
                } else if !failed.is_empty() {
                    Some(Lost::Selectors(failed_selectors(rule, labels)))
                } else {
                    None
                };
                add(Some(*place), lost);
            }
            if is_listed {
                continue;
            }
            if rule.entries.is_empty() && failed.is_empty() {
                add(None, None);
            } else if let Some(lost) = near_miss(rule, failed) {
                add(None, Some(lost));
            }
        }
        (matching, near)
    }

    /// An Assignment, by its number, that matches, or else why it does not.
    fn candidate<'a>(
        &'a self,
        (number, rule): (usize, &'a Rule),
        entry: Option<usize>,
        lost: Option<Lost<'a>>,
        labels: &'a Labels,
    ) -> Candidate<'a> {
        Candidate {
            rule,
            entry,
            place: self.place(number, entry),
            rank: Rank::new(rule, entry, labels),
            matched: matched(rule, entry, labels),
            verdict: lost.map_or(Verdict::Won(None), Verdict::Lost),
        }
    }

    fn profiles<'a>(&'a self, rule: &'a Rule, labels: &Labels) -> Vec<ProfileCandidate<'a>> {
        let chosen = rule.choose(labels);
        let candidate = |choice: &'a Choice| ProfileCandidate {
            profile: &choice.binding.profile,
            place: self.profile_place(&choice.binding.profile),
            requires: &choice.requires,
            differing: choice.differing(labels).collect(),
            is_chosen: chosen.is_some_and(|chosen| std::ptr::eq(chosen, choice)),
        };
        rule.choices.iter().map(candidate).collect()
    }
}

/// Says of Assignments in rank order who won and by what the others lost.
fn judge(matching: &mut [Candidate<'_>], is_conflict: bool) {
    let Some((first, rest)) = matching.split_first_mut() else {
        return;
    };
    let next = rest.first().and_then(|next| first.rank.step(&next.rank));
    first.verdict = Verdict::Won(next);
    for one in rest.iter_mut() {
        let step = first.rank.step(&one.rank).unwrap_or(Step::Name);
        one.verdict = Verdict::Lost(Lost::Outranked(step));
    }
    if is_conflict {
        for one in matching {
            one.verdict = Verdict::Lost(Lost::Barred);
        }
    }
}

/// Whether an Assignment that does not match, and none of whose `machines` has anything to do with the labels, is worth
/// telling of: by a default, by an identity among the selectors, or because one key alone is missing.
fn near_miss<'a>(rule: &Rule, failed: Vec<FailedKey<'a>>) -> Option<Lost<'a>> {
    if !rule.entries.is_empty() {
        let has_selectors = !rule.selectors.is_empty();
        return (failed.is_empty() && has_selectors).then_some(Lost::NotListed);
    }
    let is_near = match rule.tier {
        Tier::Named => {
            let is_identity = |selector: &&SelectorValues| {
                Identity::from_key(&selector.key).is_some()
                    && !failed.iter().any(|one| *one.key == *selector.key)
            };
            rule.selectors.iter().any(|selector| is_identity(&selector))
        }
        Tier::Class => failed.len() == 1,
        Tier::Default => true,
    };
    is_near.then_some(Lost::Selectors(failed))
}

/// How far an Assignment is from a match: what a person would look at first comes first.
fn distance(one: &Candidate<'_>) -> (u8, Reverse<usize>) {
    let kind = match &one.verdict {
        Verdict::Won(_) | Verdict::Lost(Lost::Outranked(_) | Lost::Barred) => 0,
        Verdict::Lost(Lost::Contradicted(_)) => 1,
        Verdict::Lost(Lost::Selectors(_)) if one.rank.tier == Tier::Named => 2,
        Verdict::Lost(Lost::Selectors(_)) if !one.matched.is_empty() => 3,
        Verdict::Lost(Lost::NotListed) => 4,
        Verdict::Lost(Lost::Selectors(_)) => 5,
    };
    (kind, Reverse(one.matched.len()))
}

fn failed_selectors<'a>(rule: &'a Rule, labels: &'a Labels) -> Vec<FailedKey<'a>> {
    let failed = rule.selectors.iter().filter(|one| !one.accepts(labels));
    let failed = failed.map(|one| FailedKey {
        key: &one.key,
        sent: labels.all(&one.key).collect(),
        wanted: one.values.iter().map(AsRef::as_ref).collect(),
    });
    failed.collect()
}

fn contradicted<'a>(entry: &'a Entry, labels: &'a Labels) -> Vec<FailedKey<'a>> {
    let identities = entry.identities().contradicted(labels);
    let contradicted = identities.map(|identity| FailedKey {
        key: identity.key(),
        sent: labels.identities(identity).collect(),
        wanted: entry.identities().of(identity).collect(),
    });
    contradicted.collect()
}

/// The identities of the entry and the selectors that hold, each with the first value that the machine sent of it.
fn matched<'a>(
    rule: &'a Rule,
    entry: Option<usize>,
    labels: &'a Labels,
) -> Vec<(&'a str, &'a str)> {
    let own = entry.and_then(|entry| rule.entries.get(entry));
    let listed = own.into_iter().flat_map(|entry| {
        Identity::ALL.into_iter().filter_map(|identity| {
            let is_listed = |sent: &&str| entry.identities().of(identity).any(|own| own == *sent);
            let sent = labels.identities(identity).find(is_listed)?;
            Some((identity.key(), sent))
        })
    });
    let selected = rule.selectors.iter().filter_map(|selector| {
        let sent = labels
            .all(&selector.key)
            .find(|sent| selector.contains(sent))?;
        Some((&*selector.key, sent))
    });
    let mut all: Vec<(&str, &str)> = listed.chain(selected).collect();
    all.dedup();
    all
}
