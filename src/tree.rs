//! `Tree`: the files of one revision below the served root, as a value.
//!
//! A tree knows nothing of git and nothing of YAML. Whoever builds one (the `source` room) has already applied the
//! limits, so everybody who reads one may hold it in memory without a second thought.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The longest path inside the repository, in bytes: Linux's `PATH_MAX`, which no checkout can pass either.
const MAX_PATH_BYTES: usize = 4096;

/// What a tree was read from: a commit id in lower-case hex, or `worktree` for files that no commit holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// The revision of files that were read from a directory and not from a commit.
    pub const WORKTREE: &'static str = "worktree";

    /// A revision by its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven characters, as git abbreviates a commit id in its messages.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.0.len() == 40 {
            self.0.get(..7).unwrap_or(&self.0)
        } else {
            &self.0
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path below the served root: UTF-8, `/` between components, no leading slash, no `.` or `..`, no control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Arc<str>);

/// Why a text is no path in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path has no component at all.
    #[error("the path is empty")]
    Empty,
    /// A component is empty, `.`, `..` or `.git`, or holds a control character.
    #[error("the path has a component that no repository may hold")]
    Component,
    /// `..` leads out of the served root.
    #[error("the path leads out of the served root")]
    Outside,
    /// The path is longer than 4096 bytes.
    #[error("the path is longer than 4096 bytes")]
    TooLong,
}

impl RepoPath {
    /// Checks one path as a git tree or a directory walk names it.
    ///
    /// # Errors
    /// Says which rule the path breaks.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(PathError::Component)
        }
    }

    /// Resolves a reference that stands in this file: relative to the file's folder, or from the served root when it
    /// starts with a slash. `.` and `..` are folded; leaving the root is an error.
    ///
    /// # Errors
    /// Says why the reference names no path in the repository.
    pub fn resolve(&self, reference: &str) -> Result<Self, PathError> {
        let mut components: Vec<&str> = if reference.starts_with('/') {
            Vec::new()
        } else {
            let mut folder: Vec<&str> = self.0.split('/').collect();
            folder.pop();
            folder
        };
        for component in reference.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    components.pop().ok_or(PathError::Outside)?;
                }
                name => components.push(name),
            }
        }
        Self::parse(&components.join("/"))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows the last dot of the last component, lower-cased; a leading dot starts no extension.
    #[must_use]
    pub fn extension(&self) -> Option<String> {
        let name = self.file_name();
        let dot = name.rfind('.').filter(|&dot| dot > 0)?;
        name.get(dot + 1..).map(str::to_ascii_lowercase)
    }

    /// Whether the name ends in `.yaml` or `.yml`.
    #[must_use]
    pub fn is_yaml(&self) -> bool {
        self.0.ends_with(".yaml") || self.0.ends_with(".yml")
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_component(component: &str) -> bool {
    !matches!(component, "" | "." | "..")
        && !component.eq_ignore_ascii_case(".git")
        && !component.chars().any(char::is_control)
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file with its bytes.
    File(Bytes),
    /// A symbolic link; it is never followed.
    Symlink,
    /// A submodule; it is never fetched.
    Submodule,
}

/// What is known of the commit that a tree is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When it was committed, as the committer says: seconds since 1970. A time that cannot be read is 0, as in git.
    pub time: i64,
    /// The commit before it; of a merge the one that was merged into.
    pub first_parent: Option<Revision>,
    /// Whose key signed it, as `--allowed-signers-file` names them; `None` when signatures are not asked for.
    pub principal: Option<String>,
    /// The whole commit object as git stores it, without the header that says its size.
    pub raw: Bytes,
}

/// The files of one revision below the served root, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    revision: Revision,
    commit: Option<Commit>,
    entries: BTreeMap<RepoPath, Entry>,
}

impl Tree {
    /// A tree of these entries.
    #[must_use]
    pub fn new(revision: Revision, entries: BTreeMap<RepoPath, Entry>) -> Self {
        Self {
            revision,
            commit: None,
            entries,
        }
    }

    /// The same tree, read from this commit.
    #[must_use]
    pub fn with_commit(self, commit: Commit) -> Self {
        Self {
            commit: Some(commit),
            ..self
        }
    }

    /// The revision that the files are of.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The commit that the files are of; `None` for files that no commit holds.
    #[must_use]
    pub fn commit(&self) -> Option<&Commit> {
        self.commit.as_ref()
    }

    /// The first parent of the commit that the files are of.
    #[must_use]
    pub fn parent(&self) -> Option<&Revision> {
        self.commit.as_ref()?.first_parent.as_ref()
    }

    /// What stands at `path`.
    #[must_use]
    pub fn get(&self, path: &RepoPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The bytes of the regular file at `path`.
    #[must_use]
    pub fn file(&self, path: &RepoPath) -> Option<&Bytes> {
        match self.entries.get(path) {
            Some(Entry::File(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&RepoPath, &Entry)> {
        self.entries.iter()
    }
}

/// How much one tree may hold. Each field is a flag of the command line; a tree over a limit is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of files.
    pub files: usize,
    /// The bytes of one file.
    pub file_bytes: u64,
    /// The bytes of all files together.
    pub total_bytes: u64,
    /// The number of folders above a file.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A fleet of a million machines fits into ten thousand files; a tenfold reserve for one file a machine.
            files: 200_000,
            // Ignition configs with embedded units reach a few hundred kilobytes; nothing a machine boots by is larger.
            file_bytes: 4 << 20,
            // All files are held in memory while they are compiled.
            total_bytes: 512 << 20,
            // Nobody sorts machines into more folders than this; a git bomb does.
            depth: 32,
        }
    }
}
