//! Superseded configs that machines in the middle of a boot may still ask for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crate::id::ConfigId;
use crate::snapshot::{Config, ConfigDir, Snapshot};
use crate::tree::Revision;

/// The bytes of superseded configs that are kept: as much again as a large fleet's configs take, so that a burst of
/// commits cannot fill the memory.
const MAX_BYTES: usize = 256 << 20;

/// What one entry costs beside its config's bytes, in bytes: id, revision, time and the maps around them.
const ENTRY_BYTES: usize = 256;

/// Superseded configs and config directories by id.
#[derive(Debug, Default)]
pub(super) struct Retained {
    configs: HashMap<ConfigId, Kept<Config>>,
    dirs: HashMap<ConfigId, Kept<ConfigDir>>,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    revision: Revision,
    expires: Instant,
}

impl<T> Kept<T> {
    fn copy(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            revision: self.revision.clone(),
            expires: self.expires,
        }
    }
}

impl Retained {
    /// The config of this id, unless its time is over.
    pub(super) fn config(&self, id: ConfigId, now: Instant) -> Option<(&Arc<Config>, &Revision)> {
        let kept = self.configs.get(&id).filter(|kept| kept.expires > now)?;
        Some((&kept.value, &kept.revision))
    }

    /// The config directory of this id, unless its time is over.
    pub(super) fn config_dir(
        &self,
        id: ConfigId,
        now: Instant,
    ) -> Option<(&Arc<ConfigDir>, &Revision)> {
        let kept = self.dirs.get(&id).filter(|kept| kept.expires > now)?;
        Some((&kept.value, &kept.revision))
    }

    /// What to keep once `next` takes the place of `previous`: what `previous` alone holds until `expires`, and what is
    /// kept already until its own time; the youngest first, as far as [`MAX_BYTES`] reaches.
    pub(super) fn after(
        &self,
        previous: &Snapshot,
        next: &Snapshot,
        now: Instant,
        expires: Instant,
    ) -> Self {
        let mut configs = left_over(
            &self.configs,
            previous.configs(),
            previous.revision(),
            now,
            expires,
        );
        configs.retain(|(id, _)| next.config(*id).is_none());
        let mut dirs = left_over(
            &self.dirs,
            previous.config_dirs(),
            previous.revision(),
            now,
            expires,
        );
        dirs.retain(|(id, _)| next.config_dir(*id).is_none());
        within(configs, dirs, MAX_BYTES)
    }

    /// What to keep when it turns out that `earlier` was served before `served`: what is kept already until its own time,
    /// and until `expires` what stands in neither.
    pub(super) fn with(
        &self,
        earlier: &Snapshot,
        served: &Snapshot,
        now: Instant,
        expires: Instant,
    ) -> Self {
        let revision = earlier.revision();
        let configs = earlier
            .configs()
            .filter(|(id, _)| served.config(*id).is_none() && !self.configs.contains_key(id));
        let dirs = earlier
            .config_dirs()
            .filter(|(id, _)| served.config_dir(*id).is_none() && !self.dirs.contains_key(id));
        let configs = left_over(&self.configs, configs, revision, now, expires);
        let dirs = left_over(&self.dirs, dirs, revision, now, expires);
        within(configs, dirs, MAX_BYTES)
    }
}

/// The entries of `kept` that are not over yet, and those of the snapshot that is going.
fn left_over<'s, T: 's>(
    kept: &HashMap<ConfigId, Kept<T>>,
    going: impl Iterator<Item = (ConfigId, &'s Arc<T>)>,
    revision: &Revision,
    now: Instant,
    expires: Instant,
) -> Vec<(ConfigId, Kept<T>)> {
    let going = going.map(|(id, value)| {
        let value = Arc::clone(value);
        let revision = revision.clone();
        let kept = Kept {
            value,
            revision,
            expires,
        };
        (id, kept)
    });
    let kept = kept
        .iter()
        .filter(|(_, kept)| kept.expires > now)
        .map(|(id, kept)| (*id, kept.copy()));
    going.chain(kept).collect()
}

/// The youngest entries that fit into `limit` bytes. A config that stands alone and in directories counts once.
fn within(
    configs: Vec<(ConfigId, Kept<Config>)>,
    dirs: Vec<(ConfigId, Kept<ConfigDir>)>,
    limit: usize,
) -> Retained {
    let mut entries: Vec<Entry> = configs
        .into_iter()
        .map(|(id, kept)| Entry::Config(id, kept))
        .collect();
    entries.extend(dirs.into_iter().map(|(id, kept)| Entry::Dir(id, kept)));
    entries.sort_by_key(|entry| {
        let (expires, id) = entry.rank();
        (std::cmp::Reverse(expires), id)
    });

    let mut retained = Retained::default();
    let mut counted = HashSet::new();
    let mut bytes = 0_usize;
    for entry in entries {
        bytes = bytes.saturating_add(ENTRY_BYTES);
        for config in entry.configs() {
            if counted.insert(Arc::as_ptr(config)) {
                bytes = bytes.saturating_add(config.bytes);
            }
        }
        if bytes > limit {
            break;
        }
        match entry {
            Entry::Config(id, kept) => drop(retained.configs.insert(id, kept)),
            Entry::Dir(id, kept) => drop(retained.dirs.insert(id, kept)),
        }
    }
    retained
}

enum Entry {
    Config(ConfigId, Kept<Config>),
    Dir(ConfigId, Kept<ConfigDir>),
}

impl Entry {
    fn rank(&self) -> (Instant, ConfigId) {
        match self {
            Self::Config(id, kept) => (kept.expires, *id),
            Self::Dir(id, kept) => (kept.expires, *id),
        }
    }

    fn configs(&self) -> Vec<&Arc<Config>> {
        match self {
            Self::Config(_, kept) => vec![&kept.value],
            Self::Dir(_, kept) => kept.value.configs.values().collect(),
        }
    }
}
