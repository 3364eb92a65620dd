//! `Remote`: the repository that a server follows, asked again and again.

use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::credentials::Credentials;
use super::error::{ErrorClass, SourceError};
use super::fetch::Fetcher;
use super::local::Local;
use super::memo::Memo;
use super::scratch::Scratch;
use super::transport::Transport;
use super::url::{Place, RepoUrl};
use super::walk::{Scope, Walked};
use super::{signature, ssh, store};
use crate::tree::{Limits, RepoPath, Revision, Tree};

/// Which tree to read, from where, and how much of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the repository is.
    pub repo: RepoUrl,
    /// What the remote asks for and is checked by; has to fit the repository.
    pub credentials: Credentials,
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
    /// A list in OpenSSH's format of whose signatures count, read anew at each check; `None` means that commits need
    /// no signature.
    pub allowed_signers: Option<PathBuf>,
    /// Whether a commit may be published that is older than the last one; only with `allowed_signers` it may not.
    pub allow_rollback: bool,
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
            credentials: Credentials::default(),
            reference: None,
            path: None,
            state_dir: None,
            limits: Limits::default(),
            wire_bytes: Self::DEFAULT_WIRE_BYTES,
            unpacked_bytes: Self::DEFAULT_UNPACKED_BYTES,
            git_timeout: Self::DEFAULT_GIT_TIMEOUT,
            fetch_timeout: Self::DEFAULT_FETCH_TIMEOUT,
            allow_empty: false,
            allowed_signers: None,
            allow_rollback: false,
        }
    }

    /// Whether a commit that is older than the last one is refused.
    #[must_use]
    pub fn refuses_rollbacks(&self) -> bool {
        self.allowed_signers.is_some() && !self.allow_rollback
    }

    /// What of a commit is read.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            path: self.path.as_ref(),
            limits: &self.limits,
            allow_empty: self.allow_empty,
            lacks_large_files: false,
            allowed_signers: self.allowed_signers.as_deref(),
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
    settings: Arc<Settings>,
    way: Way,
    /// What [`Credentials::fingerprint`] is made with, and what it was at the last check.
    keys: RandomState,
    shown: u64,
    /// The commit whose signature was refused last.
    refused: Option<Unsigned>,
    /// What was read last.
    memo: Option<Arc<Memo>>,
}

/// How the repository is read.
#[derive(Debug)]
enum Way {
    Fetched(Box<Fetcher>),
    /// One of this machine.
    InPlace(Local),
}

impl Way {
    fn new(settings: &Settings) -> Result<Self, SourceError> {
        if let Place::Local(path) = settings.repo.place() {
            return Ok(Self::InPlace(Local::new(path)));
        }
        let scratch = Scratch::new(settings.state_dir.as_deref(), |folder| {
            store::sweep(folder);
            ssh::sweep_logs(folder);
        });
        let transport = Transport::new(settings, &scratch)?
            .expect("every repository that is not of this machine has a transport");
        Ok(Self::Fetched(Box::new(Fetcher::new(transport, scratch))))
    }
}

/// A commit whose signature was refused.
#[derive(Debug)]
struct Unsigned {
    revision: Revision,
    /// The list of allowed signers that it was refused by; with another one it may be accepted.
    list: Option<Result<Vec<u8>, String>>,
}

impl Remote {
    /// Removes what a killed process left in the folder for fetches. Nothing is connected yet. A folder that cannot be
    /// written is no error: the one for temporary files takes its place for as long.
    ///
    /// # Errors
    /// When the network cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SourceError> {
        Ok(Self {
            way: Way::new(&settings)?,
            settings: Arc::new(settings),
            keys: RandomState::new(),
            shown: 0,
            refused: None,
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
        // Read before they are used, as the list of signers is: a change in between is seen afterwards.
        self.shown = self.fingerprint();
        let list = self.settings.allowed_signers.as_deref();
        let list = list.map(signature::read_list);
        let is_out = |known: &&Revision| {
            let refused = self.refused.as_ref();
            refused.is_some_and(|refused| refused.revision == **known && refused.list != list)
        };
        let known = known.filter(|known| !is_out(known));
        let result = self.look(known, interrupt);
        match &result {
            Err(error) if error.class() == ErrorClass::Signature => {
                let revision = error.revision().cloned();
                self.refused = revision.map(|revision| Unsigned { revision, list });
            }
            Ok(Check::Moved(_) | Check::Changed(_)) => self.refused = None,
            Ok(Check::Unchanged(_)) | Err(_) => {}
        }
        result
    }

    /// How many bytes have come over the wire since the start; none from a repository of this machine.
    #[must_use]
    pub fn received(&self) -> u64 {
        match &self.way {
            Way::Fetched(fetcher) => fetcher.received(),
            Way::InPlace(_) => 0,
        }
    }

    /// Whether the files of the credentials hold something else now than at the last check, so that what was refused then
    /// may be accepted.
    #[must_use]
    pub fn has_new_credentials(&self) -> bool {
        self.fingerprint() != self.shown
    }

    fn fingerprint(&self) -> u64 {
        self.settings.credentials.fingerprint(&self.keys)
    }

    /// Ensures that a tree that was kept is of a commit that would still be accepted: one that is signed by somebody on
    /// the list as it is now.
    ///
    /// # Errors
    /// Says why not, with the class [`ErrorClass::Signature`] in most cases.
    pub fn admit_again(&self, tree: &Tree) -> Result<(), SourceError> {
        let list = self.settings.allowed_signers.as_deref();
        list.map_or(Ok(()), |list| signature::admit_again(list, tree))
    }

    fn look(
        &mut self,
        known: Option<&Revision>,
        interrupt: &AtomicBool,
    ) -> Result<Check, SourceError> {
        let (settings, memo) = (&self.settings, self.memo.as_ref());
        let found = match &mut self.way {
            Way::InPlace(local) => local.check(settings, known, memo, interrupt),
            Way::Fetched(fetcher) => {
                fetcher.check(settings, known, memo.map(Arc::as_ref), interrupt)
            }
        }?;
        Ok(match found {
            Found::Known(revision) => Check::Unchanged(revision),
            Found::Read(walked) => self.remember(walked, known),
        })
    }

    fn remember(&mut self, walked: Walked, known: Option<&Revision>) -> Check {
        match walked {
            Walked::New(memo) => {
                let tree = memo.tree.clone();
                self.memo = Some(Arc::new(memo));
                Check::Changed(tree)
            }
            Walked::Same(tree) => {
                let is_known = self.memo.as_ref().is_some_and(|memo| memo.is_of(known));
                if let Some(memo) = &mut self.memo {
                    Arc::make_mut(memo).tree = tree.clone();
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
