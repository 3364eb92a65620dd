//! What the commands that compile without serving read: a folder, a revision of it, or a repository.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Misuse;
use super::credentials::Credentials;
use super::limits::TreeLimits;
use super::secrets::SecretFiles;
use super::serve::{repo_url, served_root};
use crate::compile::{self, Secrets, compile};
use crate::diagnostic::Diagnostics;
use crate::keyring::Keyring;
use crate::manifest::{self, Manifests};
use crate::snapshot::Snapshot;
use crate::source::{self, Check, Remote, place_in_repository, read_directory, read_revision};
use crate::tree::{RepoPath, Tree};

/// Where manifests are read from.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// The folder to read, as the served root: in a git work tree its tracked and unignored files [default: .]
    #[arg(value_name = "DIR", conflicts_with = "repo")]
    dir: Option<PathBuf>,
    /// Read a git repository instead of a folder: a URL or a local path, as for `serve`
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The revision to read: of the work tree that DIR is in, or of --repo
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// The folder of --repo to read [default: the whole repository]
    #[arg(long, value_name = "DIR", requires = "repo")]
    path: Option<String>,
    /// Accept a tree that holds no Profile or no Assignment
    #[arg(long)]
    allow_empty: bool,
    /// Read only a commit of --repo that is signed with an SSH key of this list, as for `serve`
    #[arg(long, value_name = "FILE", requires = "repo")]
    allowed_signers_file: Option<PathBuf>,
    #[command(flatten)]
    credentials: Credentials,
    #[command(flatten)]
    pub(super) secrets: SecretFiles,
    #[command(flatten)]
    limits: TreeLimits,
}

/// A tree with its manifests, for commands that tell where something stands.
pub(super) struct Loaded {
    pub(super) tree: Tree,
    pub(super) manifests: Manifests,
    pub(super) options: compile::Options,
}

impl Loaded {
    /// The same for a server that takes its first script from this file.
    pub(super) fn with_boot_script(mut self, boot_script: Option<RepoPath>) -> Self {
        self.options.boot_script = boot_script;
        self
    }

    /// Compiles what was read.
    pub(super) fn compile(&self) -> (Option<Snapshot>, Diagnostics) {
        compile(&self.tree, &self.manifests, &self.options)
    }
}

impl Input {
    /// Reads without compiling. `otherwise` is what is known of secrets where no file tells.
    pub(super) fn load(&self, otherwise: Secrets) -> anyhow::Result<Loaded> {
        let keyring = self.secrets.open(self.limits.budget(), otherwise)?;
        self.load_with(&keyring)
    }

    /// The same for what shows no ids.
    pub(super) fn load_without_ids(&self, otherwise: Secrets) -> anyhow::Result<Loaded> {
        let budget = self.limits.budget();
        let keyring = self.secrets.open_without_ids(budget, otherwise)?;
        self.load_with(&keyring)
    }

    fn load_with(&self, keyring: &Keyring) -> anyhow::Result<Loaded> {
        let options = compile::Options {
            allow_empty: self.allow_empty,
            budget: self.limits.budget(),
            boot_script: None,
            id_key: keyring.id_key().cloned(),
            secrets: keyring.secrets().clone(),
        };
        let tree = self.tree()?;
        let manifests = manifest::parse(&tree, options.budget);
        Ok(Loaded {
            tree,
            manifests,
            options,
        })
    }

    /// The folder of the repository that is read as the served root; `None` at its top, and where there is no repository.
    pub(super) fn place(&self) -> anyhow::Result<Option<RepoPath>> {
        if self.repo.is_some() {
            return Ok(self.path.as_deref().map(served_root).transpose()?.flatten());
        }
        let dir = self.dir.as_deref().unwrap_or(Path::new("."));
        Ok(place_in_repository(dir)?)
    }

    fn tree(&self) -> anyhow::Result<Tree> {
        let limits = self.limits.tree();
        let Some(repo) = &self.repo else {
            self.credentials.none()?;
            let dir = self.dir.clone().unwrap_or_else(|| PathBuf::from("."));
            return Ok(match &self.reference {
                Some(revision) => read_revision(&dir, revision, &limits)?,
                None => read_directory(&dir, &limits)?,
            });
        };
        let path = self.path.as_deref().map(served_root).transpose()?.flatten();
        let repo = repo_url(repo)?;
        let settings = source::Settings {
            credentials: self.credentials.settings(&repo)?,
            reference: self.reference.clone(),
            path,
            limits,
            wire_bytes: self.limits.wire_bytes(),
            unpacked_bytes: self.limits.unpacked_bytes(),
            allow_empty: self.allow_empty,
            allowed_signers: self.allowed_signers_file.clone(),
            ..source::Settings::new(repo)
        };
        match Remote::new(settings)?.check(None, &AtomicBool::new(false))? {
            Check::Changed(tree) | Check::Moved(tree) => Ok(tree),
            Check::Unchanged(revision) => {
                Err(Misuse(format!("revision {revision} has nothing to read")).into())
            }
        }
    }
}
