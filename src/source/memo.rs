//! `Memo`: what the last walk found, so that the next one reads only what changed.
//!
//! Git names contents: a folder or a file with the id that it had before is what it was before, whatever commit it is in.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use gix::ObjectId;

use crate::tree::{Entry, RepoPath, Revision, Tree};

/// A tree with the ids that git has for its parts.
#[derive(Clone, Debug)]
pub(super) struct Memo {
    /// The tree.
    pub(super) tree: Tree,
    /// The folder that is served.
    pub(super) root: ObjectId,
    /// Every folder and every file below it.
    pub(super) ids: BTreeMap<RepoPath, ObjectId>,
}

impl Memo {
    /// Whether this is the tree of that revision.
    pub(super) fn is_of(&self, revision: Option<&Revision>) -> bool {
        revision == Some(self.tree.revision())
    }

    /// Whether the folder or file at `path` had this id.
    pub(super) fn has(&self, path: &RepoPath, id: ObjectId) -> bool {
        self.ids.get(path) == Some(&id)
    }

    /// The bytes of the file at `path`, if it had this id.
    pub(super) fn file(&self, path: &RepoPath, id: ObjectId) -> Option<&Bytes> {
        self.tree.file(path).filter(|_| self.has(path, id))
    }

    /// The entries in the folder at `path` and in those below.
    pub(super) fn entries_below(
        &self,
        path: &RepoPath,
    ) -> impl Iterator<Item = (&RepoPath, &Entry)> {
        self.tree.below(path)
    }

    /// The ids of the folders and files in the folder at `path` and in those below.
    pub(super) fn ids_below(
        &self,
        path: &RepoPath,
    ) -> impl Iterator<Item = (&RepoPath, &ObjectId)> {
        let prefix = format!("{path}/");
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.ids
            .range::<str, _>(from)
            .take_while(move |(path, _)| path.as_str().starts_with(&prefix))
    }
}
