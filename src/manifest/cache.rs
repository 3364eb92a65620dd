//! `Cache`: what the files of the last tree said, so that only changed files are read again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Budget, File};
use crate::tree::RepoPath;

/// What files said when they were last read. It holds as many as the last tree had, and never changes a result: a file
/// counts as unchanged only when its bytes are the same.
#[derive(Debug, Default)]
pub struct Cache {
    /// What the files were read with.
    budget: Option<Budget>,
    files: BTreeMap<RepoPath, Cached>,
}

#[derive(Debug)]
struct Cached {
    bytes: Bytes,
    file: File,
}

impl Cache {
    /// Brings the cache to these files, which are sorted by path; `parse` reads those that are new or changed.
    pub(super) fn update(
        &mut self,
        files: &[(&RepoPath, &Bytes)],
        budget: Budget,
        parse: impl FnOnce(&[(&RepoPath, &Bytes)]) -> Vec<File>,
    ) {
        if self.budget.replace(budget) != Some(budget) {
            self.files.clear();
        }
        let changed = self.changed(files);
        let parsed = parse(&changed);
        for ((path, bytes), file) in changed.into_iter().zip(parsed) {
            let bytes = bytes.clone();
            self.files.insert(path.clone(), Cached { bytes, file });
        }
        if self.files.len() > files.len() {
            let mut known = std::mem::take(&mut self.files);
            let kept = files
                .iter()
                .filter_map(|(path, _)| known.remove_entry(*path));
            self.files = kept.collect();
        }
    }

    /// What the files say, in the order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = File> {
        self.files.values().map(|cached| cached.file.clone())
    }

    /// The files that are new or changed. Both sides are sorted, so one pass over them will do.
    fn changed<'f>(&self, files: &[(&'f RepoPath, &'f Bytes)]) -> Vec<(&'f RepoPath, &'f Bytes)> {
        let mut known = self.files.iter().peekable();
        let mut is_changed = |path: &RepoPath, bytes: &Bytes| {
            while known.next_if(|(before, _)| *before < path).is_some() {}
            known
                .next_if(|(before, _)| *before == path)
                .is_none_or(|(_, cached)| !cached.is_of(bytes))
        };
        let files = files.iter().copied();
        files
            .filter(|(path, bytes)| is_changed(path, bytes))
            .collect()
    }
}

impl Cached {
    fn is_of(&self, bytes: &Bytes) -> bool {
        // Unchanged files of a repository share their bytes, so most need no look at them.
        let is_shared = self.bytes.as_ptr() == bytes.as_ptr();
        self.bytes.len() == bytes.len() && (is_shared || self.bytes == bytes)
    }
}
