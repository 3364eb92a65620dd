//! The compiled, indexed, immutable result: who gets what, answered without a lock and without a look at the fleet's size.

mod class;
mod config;
mod crowd;
mod explain;
mod index;
mod place;
mod recipe;
mod rule;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::id::ConfigId;
use crate::label::{Entry, Identity, Labels};
use crate::template::{Template, Values};
use crate::tree::Revision;

pub use config::{Body, Config, ConfigDir, Link, Rendering, Scope, Text, is_script};
pub use explain::{
    Candidate, Explanation, FailedKey, Lost, MAX_NEAR_MISSES, ProfileCandidate, Rank, Step, Verdict,
};
pub use place::{Place, RulePlaces};
pub use recipe::Recipe;
pub use rule::{Binding, Choice, ConfigName, Outfit, Rule, SelectorValues, Shared, Tier};

use index::Index;

/// A compiled tree.
#[derive(Debug)]
pub struct Snapshot {
    revision: Revision,
    contents: Arc<Contents>,
}

/// Everything in a snapshot but its name: revisions of the same tree share it.
#[derive(Debug)]
struct Contents {
    profiles: usize,
    listed: Vec<ListedProfile>,
    rules: Vec<Rule>,
    /// Where each of the rules stands; beside them, since no request looks at it.
    places: Vec<RulePlaces>,
    index: Index,
    configs: HashMap<ConfigId, Arc<Config>>,
    directories: HashMap<ConfigId, Arc<ConfigDir>>,
    boot_script: Option<Bytes>,
}

/// What people are told of a Profile, be it used or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProfile {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it has a script.
    pub has_script: bool,
    /// The names of its configs.
    pub configs: Vec<String>,
    /// Where it stands.
    pub place: Place,
    /// The values that its templates write and that it has none for, or none that can be printed: an Assignment has to.
    pub needs: BTreeSet<Vec<String>>,
}

/// How many of each a snapshot holds, for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Profiles.
    pub profiles: usize,
    /// Assignments.
    pub assignments: usize,
    /// Entries of `machines`.
    pub machines: usize,
    /// Configs with an id of their own.
    pub configs: usize,
}

/// The Assignment, the Profile and the machine that won.
#[derive(Clone, Copy, Debug)]
pub struct Match<'s> {
    snapshot: &'s Snapshot,
    rule: &'s Rule,
    entry: Option<&'s Entry>,
    binding: &'s Binding,
    outfit: &'s Outfit,
    /// The script, where it is the same for everybody.
    ready: Option<&'s Text>,
    is_ambiguous: bool,
}

/// A script that a machine gets.
#[derive(Clone, Copy, Debug)]
pub enum Script<'s> {
    /// A text that no label changes.
    Ready(&'s Text),
    /// A template that is rendered for each request.
    Template(&'s Template),
}

/// Why no script can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMatch<'s> {
    /// No Assignment selects these labels.
    Unassigned,
    /// A `machines` entry matched by one identity key and was contradicted by another.
    IdentityConflict {
        /// The Assignment that the entry stands in.
        assignment: &'s str,
    },
    /// `profileSelectors` left no Profile, or more than one, for what the machine sent.
    NoProfile {
        /// The Assignment that won.
        assignment: &'s str,
    },
}

impl NoMatch<'_> {
    /// The reason as logs print it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unassigned => "unassigned",
            Self::IdentityConflict { .. } => "identity_conflict",
            Self::NoProfile { .. } => "no_profile",
        }
    }
}

impl Snapshot {
    /// Indexes what was compiled.
    #[must_use]
    pub fn new(
        revision: Revision,
        profiles: usize,
        rules: Vec<Rule>,
        configs: HashMap<ConfigId, Arc<Config>>,
        directories: HashMap<ConfigId, Arc<ConfigDir>>,
    ) -> Self {
        let index = Index::new(&rules);
        Self {
            revision,
            contents: Arc::new(Contents {
                profiles,
                listed: Vec::new(),
                rules,
                places: Vec::new(),
                index,
                configs,
                directories,
                boot_script: None,
            }),
        }
    }

    /// The same snapshot, with this as the first script of every machine.
    ///
    /// # Panics
    /// When the snapshot is shared already.
    #[must_use]
    pub fn with_boot_script(mut self, script: Option<Bytes>) -> Self {
        let contents = Arc::get_mut(&mut self.contents);
        contents
            .expect("nobody shares what was just made")
            .boot_script = script;
        self
    }

    /// The same snapshot, with what people are told of its Profiles, sorted by name.
    ///
    /// # Panics
    /// When the snapshot is shared already.
    #[must_use]
    pub fn with_listed_profiles(mut self, listed: Vec<ListedProfile>) -> Self {
        let contents = Arc::get_mut(&mut self.contents);
        contents.expect("nobody shares what was just made").listed = listed;
        self
    }

    /// The same snapshot, with where each of its Assignments stands, in the order of [`Self::rules`].
    ///
    /// # Panics
    /// When the snapshot is shared already, or when there are more or fewer places than Assignments.
    #[must_use]
    pub fn with_places(mut self, places: Vec<RulePlaces>) -> Self {
        let contents = Arc::get_mut(&mut self.contents).expect("nobody shares what was just made");
        assert_eq!(
            places.len(),
            contents.rules.len(),
            "each Assignment stands somewhere"
        );
        contents.places = places;
        self
    }

    /// The same snapshot under the name of another revision, whose tree is the same. Nothing is copied.
    #[must_use]
    pub fn with_revision(&self, revision: Revision) -> Self {
        Self {
            revision,
            contents: Arc::clone(&self.contents),
        }
    }

    /// The revision that was compiled.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The Assignment that wins for these labels: total, pure, without an allocation.
    ///
    /// # Errors
    /// Says why nothing wins.
    pub fn find(&self, labels: &Labels) -> Result<Match<'_>, NoMatch<'_>> {
        let found = self.contents.index.find(&self.contents.rules, labels)?;
        let rule = found.rule;
        let assignment = rule.name.as_ref();
        let choice = rule
            .choose(labels)
            .ok_or(NoMatch::NoProfile { assignment })?;
        let binding = &choice.binding;
        let (outfit, ready) = binding
            .outfit(found.entry)
            .ok_or(NoMatch::NoProfile { assignment })?;
        let entry = found.entry.and_then(|entry| rule.entries.get(entry));
        Ok(Match {
            snapshot: self,
            rule,
            entry,
            binding,
            outfit,
            ready,
            is_ambiguous: found.is_ambiguous,
        })
    }

    /// The first script of every machine, where the repository has one in place of the built-in one.
    #[must_use]
    pub fn boot_script(&self) -> Option<&Bytes> {
        self.contents.boot_script.as_ref()
    }

    /// The Profiles as people are told of them, by name.
    #[must_use]
    pub fn listed_profiles(&self) -> &[ListedProfile] {
        &self.contents.listed
    }

    /// The Assignments, by name.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.contents.rules
    }

    /// Where an Assignment stands, or an entry of its `machines`, each by its number; `None` for a snapshot that was not made
    /// of files.
    #[must_use]
    pub fn place(&self, rule: usize, entry: Option<usize>) -> Option<Place> {
        self.contents.places.get(rule)?.place(entry)
    }

    /// Where the Profile of this name stands.
    #[must_use]
    pub fn profile_place(&self, name: &str) -> Option<&Place> {
        let listed = &self.contents.listed;
        let found = listed.binary_search_by(|one| one.name.as_str().cmp(name));
        Some(&listed.get(found.ok()?)?.place)
    }

    /// The Assignments that name this identity value (in normal form), by `machines` or in their selectors: one for each
    /// place where it stands. Of two identity keys in one selector only the strongest is looked at.
    pub fn naming(&self, identity: Identity, value: &str) -> impl Iterator<Item = &Rule> {
        let contents = &self.contents;
        contents.index.naming(&contents.rules, identity, value)
    }

    /// A config by its id.
    #[must_use]
    pub fn config(&self, id: ConfigId) -> Option<&Arc<Config>> {
        self.contents.configs.get(&id)
    }

    /// A config directory by its id.
    #[must_use]
    pub fn config_dir(&self, id: ConfigId) -> Option<&Arc<ConfigDir>> {
        self.contents.directories.get(&id)
    }

    /// All configs, in no order.
    pub fn configs(&self) -> impl Iterator<Item = (ConfigId, &Arc<Config>)> {
        self.contents
            .configs
            .iter()
            .map(|(id, config)| (*id, config))
    }

    /// All config directories, in no order.
    pub fn config_dirs(&self) -> impl Iterator<Item = (ConfigId, &Arc<ConfigDir>)> {
        self.contents
            .directories
            .iter()
            .map(|(id, directory)| (*id, directory))
    }

    /// How many of each there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            profiles: self.contents.profiles,
            assignments: self.contents.rules.len(),
            machines: self
                .contents
                .rules
                .iter()
                .map(|rule| rule.entries.len())
                .sum(),
            configs: self.contents.configs.len(),
        }
    }
}

impl<'s> Match<'s> {
    /// The snapshot it was found in.
    #[must_use]
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }

    /// Whether another Assignment is equal in rank, so that nothing but the name decided.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// The Profile's name.
    #[must_use]
    pub fn profile(&self) -> &'s str {
        &self.binding.profile
    }

    /// The Assignment.
    #[must_use]
    pub fn rule(&self) -> &'s Rule {
        self.rule
    }

    /// The Assignment's name.
    #[must_use]
    pub fn assignment(&self) -> &'s str {
        &self.rule.name
    }

    /// The machine's name, if an entry of `machines` matched and has one.
    #[must_use]
    pub fn machine(&self) -> Option<&'s str> {
        self.entry.map(Entry::name).filter(|name| !name.is_empty())
    }

    /// By which identity the Assignment names this very machine: the first of its entry in `machines`, else the one that a
    /// selector found. `None` for a class or a default.
    #[must_use]
    pub fn named(&self, labels: &Labels) -> Option<&'s str> {
        if let Some(entry) = self.entry {
            return entry.identities().iter().next().map(|(_, value)| value);
        }
        if self.rule.tier != Tier::Named {
            return None;
        }
        Identity::ALL.into_iter().find_map(|identity| {
            let mut selectors = self.rule.selectors.iter();
            let selector = selectors.find(|one| &*one.key == identity.key())?;
            labels
                .identities(identity)
                .find_map(|sent| selector.value(sent))
        })
    }

    /// The merged values.
    #[must_use]
    pub fn values(&self) -> &'s Values {
        &self.outfit.values
    }

    /// The config of this name, if the Profile has one that may be fetched.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&'s Arc<Config>> {
        match self.link(name)? {
            (config, true) => Some(config),
            (_, false) => None,
        }
    }

    /// The name as the Profile holds it. A config itself bears the name under which its content was met first.
    #[must_use]
    pub fn config_name(&self, name: &str) -> Option<&'s str> {
        let names = &self.binding.names;
        let place = names.binary_search_by(|one| (*one.name).cmp(name)).ok()?;
        Some(&names.get(place)?.name)
    }

    /// The config of this name, and whether it may be fetched.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<(&'s Arc<Config>, bool)> {
        let names = &self.binding.names;
        let place = names.binary_search_by(|one| (*one.name).cmp(name)).ok()?;
        let exposed = names.get(place)?.exposed;
        Some((self.outfit.configs.get(place)?, exposed))
    }

    /// The configs that may be fetched, sorted by name.
    pub fn configs(&self) -> impl Iterator<Item = (&'s str, &'s Arc<Config>)> {
        let names = self.binding.names.iter().zip(self.outfit.configs.iter());
        names
            .filter(|(name, _)| name.exposed)
            .map(|(name, config)| (&*name.name, config))
    }

    /// What `config_dir` stands for in the script, where it is used.
    #[must_use]
    pub fn directory(&self) -> Option<&'s ConfigDir> {
        self.outfit.directory.as_deref()
    }

    /// The script; a Profile may have none.
    #[must_use]
    pub fn script(&self) -> Option<Script<'s>> {
        match (self.ready, &self.binding.script) {
            (Some(text), _) => Some(Script::Ready(text)),
            (None, Some(template)) => Some(Script::Template(template)),
            (None, None) => None,
        }
    }
}
