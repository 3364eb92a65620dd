//! The compiled, indexed, immutable result.
use crate::label::Labels;
use crate::tree::Revision;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// A config's UUID, version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigId(pub Uuid);

/// A compiled tree.
#[derive(Debug)]
pub struct Snapshot {
    revision: Revision,
}
/// How many of each a snapshot holds, for logs and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub profiles: usize,
    pub assignments: usize,
    pub machines: usize,
    pub configs: usize,
}
/// One named file of a Profile as a machine may fetch it.
#[derive(Debug)]
pub struct Config {
    pub id: ConfigId,
    pub name: String,
    pub content_type: String,
    pub labels: BTreeSet<String>,
    pub prints_base_url: bool,
    pub bytes: usize,
}
/// All configs of one machine, pinned together.
#[derive(Debug)]
pub struct ConfigDir {
    pub id: ConfigId,
    pub configs: BTreeMap<String, Arc<Config>>,
    pub labels: BTreeSet<String>,
}
/// The Assignment, Profile and machine that won.
#[derive(Clone, Copy, Debug)]
pub struct Match<'s> {
    snapshot: &'s Snapshot,
}
/// Why no script can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMatch<'s> {
    /// No Assignment selects these labels.
    Unassigned,
    /// A `machines` entry matched by one identity key and was contradicted by another.
    IdentityConflict { assignment: &'s str },
    /// `profileSelectors` left no Profile (or more than one) for what the machine sent.
    NoProfile { assignment: &'s str },
}
impl NoMatch<'_> {
    /// The reason as logs print it: `unassigned`, `identity_conflict`, `no_profile`.
    pub fn reason(&self) -> &'static str {
        todo!()
    }
}
impl Snapshot {
    /// The revision that was compiled.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }
    /// The Assignment that wins for these labels.
    pub fn find(&self, labels: &Labels) -> Result<Match<'_>, NoMatch<'_>> {
        let _ = labels;
        todo!()
    }
    /// A config by id.
    pub fn config(&self, id: ConfigId) -> Option<&Arc<Config>> {
        let _ = id;
        todo!()
    }
    /// A config directory by id.
    pub fn config_dir(&self, id: ConfigId) -> Option<&Arc<ConfigDir>> {
        let _ = id;
        todo!()
    }
    /// All configs.
    pub fn configs(&self) -> impl Iterator<Item = (ConfigId, &Arc<Config>)> {
        [].into_iter()
    }
    /// All config directories.
    pub fn config_dirs(&self) -> impl Iterator<Item = (ConfigId, &Arc<ConfigDir>)> {
        [].into_iter()
    }
    /// For logs.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}
impl<'s> Match<'s> {
    pub fn profile(&self) -> &'s str {
        let _ = self.snapshot;
        todo!()
    }
    pub fn assignment(&self) -> &'s str {
        todo!()
    }
    pub fn machine(&self) -> Option<&'s str> {
        todo!()
    }
    /// The config of this name, if the Profile has one that may be fetched.
    pub fn config(&self, name: &str) -> Option<&'s Arc<Config>> {
        let _ = name;
        todo!()
    }
    /// Whether the Profile has a script at all.
    pub fn has_script(&self) -> bool {
        todo!()
    }
}
