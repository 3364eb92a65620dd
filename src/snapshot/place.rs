//! Where manifests stand in the tree.

use std::sync::Arc;

use crate::tree::RepoPath;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: RepoPath,
    /// The line, from 1.
    pub line: usize,
}

/// Where an Assignment and each of its machines stand. All of a file share its path, and a machine takes four bytes.
#[derive(Clone, Debug)]
pub struct RulePlaces {
    /// The file.
    pub path: RepoPath,
    /// The line of the Assignment's name, from 1.
    pub line: u32,
    /// The line on which each entry of `machines` begins, from 1.
    pub entries: Arc<[u32]>,
}

impl RulePlaces {
    /// The place of the Assignment, or of an entry by its number.
    pub(super) fn place(&self, entry: Option<usize>) -> Option<Place> {
        let line = match entry {
            Some(entry) => *self.entries.get(entry)?,
            None => self.line,
        };
        Some(Place {
            path: self.path.clone(),
            line: usize::try_from(line).unwrap_or(usize::MAX),
        })
    }
}
