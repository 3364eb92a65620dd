//! Manifests out of what other boot servers read.
//!
//! A conversion takes the files of the other server as a tree and gives the files of ours; nothing is read or written here.
//! What cannot be said in our words is told with its place, and left out whole: what is converted renders what the original
//! served, and a machine whose part could not be converted gets an honest 404, never the default.

mod go;
mod manifests;
mod matchbox;
mod phs;
mod yaml;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use crate::diagnostic::{Diagnostic, Location};
use crate::manifest::{Budget, Locator};
use crate::tree::{RepoPath, Tree};

pub use matchbox::matchbox;
pub use phs::phs;

/// The folders of matchbox that a conversion reads; all else there is assets.
pub const MATCHBOX_FOLDERS: [&str; 5] = ["cloud", "generic", "groups", "ignition", "profiles"];

/// What a conversion gives.
#[derive(Debug, Default)]
pub struct Converted {
    /// The files, manifests and what they name.
    pub files: BTreeMap<RepoPath, Bytes>,
    /// What was left out or differs, with places in the files of the original.
    pub diagnostics: Vec<Diagnostic>,
    /// What was written in another way on purpose, a line each: where, and what.
    pub rewrites: Vec<String>,
}

impl Converted {
    /// Adds a file. A name that no repository may hold cannot come out of a tree.
    fn add(&mut self, path: &str, body: impl Into<Bytes>) {
        if let Ok(path) = RepoPath::parse(path) {
            self.files.insert(path, body.into());
        }
    }
}

/// The files of the other server.
struct Original<'t> {
    tree: &'t Tree,
    locator: Locator<'t>,
}

impl<'t> Original<'t> {
    fn new(tree: &'t Tree, budget: Budget) -> Self {
        Self {
            tree,
            locator: Locator::new(tree, budget),
        }
    }

    /// The text of a file.
    fn text(&self, path: &RepoPath) -> Option<&'t str> {
        let bytes = self.tree.file(path)?;
        std::str::from_utf8(bytes).ok()
    }

    /// A place in a file. Its line is not shown: what stands there may be secret.
    fn at(&self, path: &RepoPath, range: &Range<usize>) -> Location {
        self.locator.in_file(path, range, false)
    }

    /// The place of the first of these words that the file holds, as JSON writes them.
    fn find(&self, path: &RepoPath, words: &[&str]) -> Location {
        let text = self.text(path).unwrap_or_default();
        let found = words.iter().find_map(|word| {
            let quoted = serde_json::Value::from(*word).to_string();
            let at = text.find(&quoted)?;
            Some(at..at + quoted.len())
        });
        found.map_or_else(|| Location::of_file(path), |range| self.at(path, &range))
    }
}
