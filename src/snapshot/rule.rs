//! One Assignment, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::label::{Identity, Labels};

use super::config::{Body, Config, Scope};

/// The first thing that ranks Assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// It names machines: by `machines`, or by an identity key in its selectors.
    Named,
    /// It selects by other labels.
    Class,
    /// It is for machines that nothing else selects.
    Default,
}

impl Tier {
    /// The tier as people and programs read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Class => "class",
            Self::Default => "default",
        }
    }
}

/// A label and the values that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorValues {
    /// The canonical key.
    pub key: Box<str>,
    /// The values in normal form, sorted.
    pub values: Vec<Box<str>>,
}

impl SelectorValues {
    /// Whether the machine sent one of the values.
    #[must_use]
    pub fn accepts(&self, labels: &Labels) -> bool {
        if &*self.key == Identity::Mac.key() {
            labels.macs().any(|value| self.contains(value))
        } else {
            labels
                .get(&self.key)
                .is_some_and(|value| self.contains(value))
        }
    }

    /// Whether this is one of the values.
    #[must_use]
    pub fn contains(&self, value: &str) -> bool {
        self.values
            .binary_search_by(|one| (**one).cmp(value))
            .is_ok()
    }
}

/// An entry of `machines`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; empty where it has none.
    pub name: Box<str>,
    /// Its identity keys with their values, strongest first.
    pub identities: Vec<(Identity, Vec<Box<str>>)>,
}

impl Entry {
    /// Whether the machine sent valid values of a key that this entry has, and none of them is the entry's.
    #[must_use]
    pub fn is_contradicted(&self, labels: &Labels) -> bool {
        self.contradicted(labels).next().is_some()
    }

    /// The keys by which this machine is another one, with the values of the entry.
    pub fn contradicted(
        &self,
        labels: &Labels,
    ) -> impl Iterator<Item = &(Identity, Vec<Box<str>>)> {
        self.identities.iter().filter(move |(identity, values)| {
            let is_listed = |sent: &str| values.iter().any(|value| **value == *sent);
            if *identity == Identity::Mac {
                labels.macs().len() > 0 && !labels.macs().any(is_listed)
            } else {
                labels
                    .get(identity.key())
                    .is_some_and(|sent| !is_listed(sent))
            }
        })
    }
}

/// One Assignment, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The Assignment's name.
    pub name: Arc<str>,
    /// Its tier.
    pub tier: Tier,
    /// Its priority within the tier.
    pub priority: i16,
    /// What it asks of labels, sorted by key.
    pub selectors: Vec<SelectorValues>,
    /// The machines it names.
    pub entries: Vec<Entry>,
    /// The Profiles it may mean; more than one only with `profileSelectors`.
    pub choices: Vec<Choice>,
}

impl Rule {
    /// How many keys it asks for; `machines` counts as one.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.selectors.len() + usize::from(!self.entries.is_empty())
    }

    /// Whether the machine satisfies every selector.
    #[must_use]
    pub fn accepts(&self, labels: &Labels) -> bool {
        self.selectors
            .iter()
            .all(|selector| selector.accepts(labels))
    }

    /// The one Profile that is left for what the machine sent. Two that are left would be a guess, so they are none.
    #[must_use]
    pub fn choose(&self, labels: &Labels) -> Option<&Choice> {
        let mut left = self.choices.iter().filter(|choice| choice.suits(labels));
        let first = left.next()?;
        left.next().is_none().then_some(first)
    }
}

/// A Profile that an Assignment may mean.
#[derive(Debug)]
pub struct Choice {
    /// Labels that must not differ from what the machine sent (`assignment/ipxe-…`).
    pub requires: Vec<(String, String)>,
    /// What machines without anything of their own get.
    pub shared: Option<Arc<Binding>>,
    /// What entries with values of their own get, by their place in [`Rule::entries`].
    pub own: BTreeMap<usize, Arc<Binding>>,
}

impl Choice {
    fn suits(&self, labels: &Labels) -> bool {
        self.differing(labels).next().is_none()
    }

    /// The required labels of which the machine sent something else.
    pub fn differing(&self, labels: &Labels) -> impl Iterator<Item = &(String, String)> {
        self.requires.iter().filter(move |(key, value)| {
            if key == Identity::Mac.key() {
                labels.macs().len() > 0 && !labels.macs().any(|sent| sent == value)
            } else {
                labels.get(key).is_some_and(|sent| sent != value)
            }
        })
    }

    /// The Profile's name; `None` where nobody can be bound to it.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        let any = self.shared.as_ref().or_else(|| self.own.values().next());
        any.map(|binding| &*binding.scope.profile)
    }

    pub(super) fn binding(&self, entry: Option<usize>) -> Option<&Binding> {
        entry
            .and_then(|entry| self.own.get(&entry))
            .or(self.shared.as_ref())
            .map(AsRef::as_ref)
    }
}

/// A Profile with the values of one Assignment, or of one machine.
#[derive(Debug)]
pub struct Binding {
    /// The names and values.
    pub scope: Arc<Scope>,
    /// The script.
    pub script: Option<Body>,
    /// The configs that may be fetched.
    pub configs: BTreeMap<String, Arc<Config>>,
}
