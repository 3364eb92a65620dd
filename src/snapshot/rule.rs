//! One Assignment, compiled.

use std::sync::Arc;

use crate::label::{Entry, Identity, Labels};
use crate::template::{Template, Values};

use super::config::{Config, ConfigDir, Text};

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
        self.value(value).is_some()
    }

    /// This value as it stands here, if it does.
    #[must_use]
    pub fn value(&self, value: &str) -> Option<&str> {
        let place = self.values.binary_search_by(|one| (**one).cmp(value));
        Some(self.values.get(place.ok()?)?)
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
    pub entries: Arc<[Entry]>,
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
    /// What its machines get.
    pub binding: Binding,
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
}

/// A Profile with the values of one Assignment and of its machines.
#[derive(Debug)]
pub struct Binding {
    /// The Profile's name.
    pub profile: Arc<str>,
    /// The script; a Profile may have none.
    pub script: Option<Arc<Template>>,
    /// The names of the Profile's configs, sorted.
    pub names: Arc<[ConfigName]>,
    /// What machines get that have nothing of their own; absent where every machine has.
    pub shared: Option<Shared>,
    /// What entries with something of their own get, by their place in [`Rule::entries`]; empty where none has.
    pub own: Box<[Option<Outfit>]>,
}

/// A config's name, and whether it may be fetched or is inserted in place of its name alone (`exposed: false`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigName {
    /// The name.
    pub name: Box<str>,
    /// Whether it may be fetched.
    pub exposed: bool,
}

/// What machines get that have nothing of their own.
#[derive(Debug)]
pub struct Shared {
    /// Their values and configs.
    pub outfit: Outfit,
    /// The script, where no label changes it.
    pub script: Option<Text>,
}

/// What a template is rendered with for one machine, or for all that are alike.
#[derive(Clone, Debug)]
pub struct Outfit {
    /// The merged values.
    pub values: Values,
    /// The configs, one for each of [`Binding::names`].
    pub configs: Arc<[Arc<Config>]>,
    /// What `config_dir` stands for in the script, where it is used.
    pub directory: Option<Arc<ConfigDir>>,
}

impl Outfit {
    /// Shares what is the same as in another one.
    pub fn share(&mut self, other: Option<&Self>) {
        let Some(other) = other else { return };
        let both = self.configs.iter().zip(other.configs.iter());
        if self.configs.len() == other.configs.len()
            && both.into_iter().all(|(one, other)| Arc::ptr_eq(one, other))
        {
            self.configs = Arc::clone(&other.configs);
        }
    }
}

impl Binding {
    /// What an entry gets, or a machine that is in none: its own, or what all share.
    pub(super) fn outfit(&self, entry: Option<usize>) -> Option<(&Outfit, Option<&Text>)> {
        let own = entry.and_then(|entry| self.own.get(entry)?.as_ref());
        match (own, &self.shared) {
            (Some(own), _) => Some((own, None)),
            (None, Some(shared)) => Some((&shared.outfit, shared.script.as_ref())),
            (None, None) => None,
        }
    }
}
