//! Files that manifests and templates name: found, checked, and remembered as named.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::diagnostic::{Diagnostic, Location, content as say, similar};
use crate::manifest::{FileRef, Locator, Manifests, Origin, Part, Spoiled, spoiled};
use crate::template::IncludeError;
use crate::tree::{Entry, RepoPath, Tree};

use super::files_with_errors;

/// The files of a tree, as content.
pub(super) struct Files<'t> {
    tree: &'t Tree,
    manifests: &'t BTreeSet<RepoPath>,
    named: RefCell<HashSet<RepoPath>>,
    /// What is spoiled of what was named.
    spoiled: RefCell<BTreeMap<RepoPath, Spoiled>>,
}

impl<'t> Files<'t> {
    pub(super) fn new(tree: &'t Tree, manifests: &'t BTreeSet<RepoPath>) -> Self {
        Self {
            tree,
            manifests,
            named: RefCell::default(),
            spoiled: RefCell::default(),
        }
    }

    pub(super) fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// The file that a manifest names.
    pub(super) fn named_by(
        &self,
        origin: &Origin,
        file: &FileRef,
        locator: &Locator<'_>,
    ) -> Result<(RepoPath, Bytes), Box<Diagnostic>> {
        let at = || locator.place(origin, &file.steps, Part::Value);
        let path = origin
            .path
            .resolve(&file.reference)
            .map_err(|why| Box::new(say::bad_reference(at(), &file.reference, why)))?;
        let spoiled = self.name(&path);
        let problem = match self.tree.get(&path) {
            Some(Entry::File(_)) if self.manifests.contains(&path) => {
                say::manifest_as_content(at(), path.as_str())
            }
            Some(Entry::File(_)) if spoiled == Some(Spoiled::LfsPointer) => {
                say::lfs_content(at(), path.as_str())
            }
            Some(Entry::File(bytes)) => return Ok((path, bytes.clone())),
            Some(Entry::Symlink) => say::not_a_regular_file(at(), path.as_str(), "a symbolic link"),
            Some(Entry::Submodule) => say::not_a_regular_file(at(), path.as_str(), "a submodule"),
            None => self.missing(at(), &path),
        };
        Err(Box::new(problem))
    }

    /// The file that takes the place of the built-in first script.
    pub(super) fn boot_script(&self, path: &RepoPath) -> Result<Bytes, Box<Diagnostic>> {
        let at = Location::of_file(path);
        let spoiled = self.name(path);
        Err(Box::new(match self.tree.get(path) {
            Some(Entry::File(_)) if self.manifests.contains(path) => {
                say::manifest_as_content(at, path.as_str())
            }
            Some(Entry::File(_)) if spoiled == Some(Spoiled::LfsPointer) => {
                say::lfs_content(at, path.as_str())
            }
            Some(Entry::File(bytes)) => return Ok(bytes.clone()),
            Some(Entry::Symlink) => say::not_a_regular_file(at, path.as_str(), "a symbolic link"),
            Some(Entry::Submodule) => say::not_a_regular_file(at, path.as_str(), "a submodule"),
            None => say::boot_script_not_found(path.as_str(), self.near(path).as_deref()),
        }))
    }

    /// A file that a template includes.
    pub(super) fn included(&self, path: &RepoPath) -> Result<Arc<str>, IncludeError> {
        let spoiled = self.name(path);
        if self.manifests.contains(path) {
            return Err(IncludeError::Refused(
                "it holds a manifest and cannot be content too".to_owned(),
            ));
        }
        if spoiled == Some(Spoiled::LfsPointer) {
            return Err(IncludeError::Refused(
                "it is a pointer of Git LFS, and git holds nothing else of it".to_owned(),
            ));
        }
        match self.tree.get(path) {
            Some(Entry::File(bytes)) => std::str::from_utf8(bytes)
                .map(Arc::from)
                .map_err(|_| IncludeError::NotText),
            Some(Entry::Symlink | Entry::Submodule) => Err(IncludeError::NotRegular),
            None => Err(IncludeError::Missing),
        }
    }

    /// Takes note of a file that is named, and looks at it the first time.
    fn name(&self, path: &RepoPath) -> Option<Spoiled> {
        let mut known = self.spoiled.borrow_mut();
        if self.named.borrow_mut().insert(path.clone())
            && let Some(found) = self.tree.file(path).and_then(|bytes| spoiled(bytes))
        {
            known.insert(path.clone(), found);
        }
        known.get(path).copied()
    }

    /// The files of content that hold both sides of a merge.
    pub(super) fn conflicts(&self, locator: &Locator<'_>) -> Vec<Diagnostic> {
        let known = self.spoiled.borrow();
        let conflicts = known.iter().filter_map(|(path, spoiled)| match spoiled {
            Spoiled::Conflict(line) if !self.manifests.contains(path) => Some((path, *line)),
            Spoiled::Conflict(_) | Spoiled::LfsPointer => None,
        });
        conflicts
            .map(|(path, line)| {
                let bytes = self.tree.file(path).map_or(&[][..], |bytes| bytes);
                let before = bytes.split_inclusive(|byte| *byte == b'\n').take(line - 1);
                let start = before.map(<[u8]>::len).sum();
                say::conflict_in_content(locator.in_file(path, &(start..start), false))
            })
            .collect()
    }

    /// What is wrong with the YAML files that are no manifests and that nobody names. A file that a broken manifest might
    /// name is passed over, so that one mistake is told once.
    pub(super) fn unnamed(&self, manifests: &Manifests, found: &[Diagnostic]) -> Vec<Diagnostic> {
        let named = self.named.borrow();
        let broken: Vec<&str> = files_with_errors(found)
            .into_iter()
            .filter(|path| self.manifests.contains(*path))
            .filter_map(|path| std::str::from_utf8(self.tree.file(path)?).ok())
            .collect();
        manifests
            .suspects
            .iter()
            .filter(|suspect| !named.contains(&suspect.path))
            .filter(|suspect| {
                !broken
                    .iter()
                    .any(|text| text.contains(suspect.path.file_name()))
            })
            .flat_map(|suspect| suspect.diagnostics.clone())
            .collect()
    }

    fn missing(&self, at: Location, path: &RepoPath) -> Diagnostic {
        let folder = format!("{path}/");
        if self
            .tree
            .iter()
            .any(|(other, _)| other.as_str().starts_with(&folder))
        {
            return say::not_a_regular_file(at, path.as_str(), "a folder");
        }
        say::file_not_found(at, path.as_str(), self.near(path).as_deref())
    }

    /// A file with a similar path.
    fn near(&self, path: &RepoPath) -> Option<String> {
        let known = self.tree.iter().map(|(path, _)| path.as_str());
        similar(path.as_str(), known).map(str::to_owned)
    }
}
