//! `Remote`: the repository that a server follows, asked again and again.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::error::{ErrorClass, SourceError};
use super::fetch::Fetcher;
use super::memo::Memo;
use super::url::{Place, RepoUrl};
use super::walk::Walked;
use super::{local, store};
use crate::tree::{Limits, RepoPath, Revision, Tree};

/// Which tree to read, from where, and how much of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the repository is.
    pub repo: RepoUrl,
    /// A full ref, else a branch, else a tag, else a full commit id; `None` means the repository's `HEAD`.
    pub reference: Option<String>,
    /// The folder that is served; `None` means the root.
    pub path: Option<RepoPath>,
    /// Where fetches keep their objects while they last; `None` means the folder for temporary files.
    pub state_dir: Option<PathBuf>,
    /// How much the tree may hold.
    pub limits: Limits,
    /// The most bytes that one fetch may receive.
    pub wire_bytes: u64,
    /// The most bytes that all objects of one fetch may have when they are unpacked.
    pub unpacked_bytes: u64,
    /// How long connecting and asking for the ref may take, how long the remote may be silent during a fetch, and how
    /// long a fetch may average below 10 kB/s.
    pub git_timeout: Duration,
    /// How long a fetch may take as a whole.
    pub fetch_timeout: Duration,
    /// Whether a commit without the folder at `path` is an empty tree and not an error.
    pub allow_empty: bool,
}

impl Settings {
    /// Twice the bytes that a tree may hold by default: `--path` may be a part of a larger repository.
    pub const DEFAULT_WIRE_BYTES: u64 = 1 << 30;
    /// Text shrinks to a quarter on the wire.
    pub const DEFAULT_UNPACKED_BYTES: u64 = 4 << 30;
    /// Long enough for a slow forge, short enough to be noticed.
    pub const DEFAULT_GIT_TIMEOUT: Duration = Duration::from_mins(1);
    /// A gigabyte at 2 MB/s.
    pub const DEFAULT_FETCH_TIMEOUT: Duration = Duration::from_mins(10);

    /// The settings for a repository with every default.
    #[must_use]
    pub fn new(repo: RepoUrl) -> Self {
        Self {
            repo,
            reference: None,
            path: None,
            state_dir: None,
            limits: Limits::default(),
            wire_bytes: Self::DEFAULT_WIRE_BYTES,
            unpacked_bytes: Self::DEFAULT_UNPACKED_BYTES,
            git_timeout: Self::DEFAULT_GIT_TIMEOUT,
            fetch_timeout: Self::DEFAULT_FETCH_TIMEOUT,
            allow_empty: false,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The ref still leads to the commit that is known.
    Unchanged(Revision),
    /// The ref leads to another commit with the same tree as the known one.
    Moved(Tree),
    /// The ref leads to another commit, and this is its tree.
    Changed(Tree),
}

/// What a look at a repository brought.
#[derive(Debug)]
pub(super) enum Found {
    /// The commit that is known.
    Known(Revision),
    /// Another one.
    Read(Walked),
}

/// A repository that can be asked for its tree.
///
/// Its calls block: run them where blocking is allowed, not on an async task.
#[derive(Debug)]
pub struct Remote {
    settings: Settings,
    /// `None` for a repository of this machine.
    fetcher: Option<Fetcher>,
    /// What was read last.
    memo: Option<Memo>,
}

impl Remote {
    /// Prepares the folder for fetches and removes what a killed process left in it. Nothing is connected yet.
    ///
    /// # Errors
    /// When the folder cannot be made, or when TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        let fetcher = match settings.repo.place() {
            Place::Http(url) => {
                let folder = fetch_folder(&settings)?;
                store::sweep(&folder);
                Some(Fetcher::new(url, folder, &settings)?)
            }
            Place::Local(_) => None,
        };
        Ok(Self {
            settings,
            fetcher,
            memo: None,
        })
    }

    /// Where the repository is and what is read from it.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks up the ref and, when it leads to another commit than `known`, reads that commit's tree.
    ///
    /// Blocks until the answer is there, a timeout has passed or `interrupt` is set, which is noticed within a tenth
    /// of a second while waiting for the network and between two objects otherwise.
    ///
    /// # Errors
    /// Says what is wrong, in words and as a class. An error about a commit that was found carries its revision.
    pub fn check(
        &mut self,
        known: Option<&Revision>,
        interrupt: &AtomicBool,
    ) -> Result<Check, SourceError> {
        let result = match (self.settings.repo.place(), &mut self.fetcher) {
            (Place::Http(_), Some(fetcher)) => {
                fetcher.check(&self.settings, known, self.memo.as_ref(), interrupt)
            }
            (Place::Local(path), _) => {
                local::check(path, &self.settings, known, self.memo.as_ref(), interrupt)
            }
            (Place::Http(_), None) => {
                unreachable!("`new` makes a fetcher for every http repository")
            }
        };
        match result {
            Ok(Found::Known(revision)) => Ok(Check::Unchanged(revision)),
            Ok(Found::Read(walked)) => Ok(self.remember(walked, known)),
            Err(error) if self.settings.allow_empty && error.class() == ErrorClass::PathMissing => {
                error
                    .revision()
                    .map(|revision| {
                        Check::Changed(Tree::new(
                            revision.clone(),
                            std::collections::BTreeMap::new(),
                        ))
                    })
                    .ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    fn remember(&mut self, walked: Walked, known: Option<&Revision>) -> Check {
        match walked {
            Walked::New(memo) => Check::Changed(self.memo.insert(memo).tree.clone()),
            Walked::Same(tree) => {
                let is_known = self.memo.as_ref().is_some_and(|memo| memo.is_of(known));
                if let Some(memo) = &mut self.memo {
                    memo.tree = tree.clone();
                }
                if is_known {
                    Check::Moved(tree)
                } else {
                    Check::Changed(tree)
                }
            }
        }
    }
}

fn fetch_folder(settings: &Settings) -> Result<PathBuf, SourceError> {
    use std::os::unix::fs::DirBuilderExt as _;

    let Some(state_dir) = &settings.state_dir else {
        return Ok(std::env::temp_dir());
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(|error| SourceError::disk("cannot make the state directory", state_dir, &error))?;
    Ok(state_dir.clone())
}
