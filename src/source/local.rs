//! Repositories of this machine: opened, read and closed again; nothing is ever written into one and no program is
//! run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::sec::Trust;

use super::aside::{Aside, Ends, Times};
use super::error::{ErrorClass, SourceError, printable};
use super::memo::Memo;
use super::quarantine::{self, Objects};
use super::remote::Found;
use super::{Settings, reference, walk};
use crate::tree::{Limits, RepoPath, Revision, Tree};

/// How often a read is begun anew when an object is missing or damaged: a push or a repack may be under way.
const ATTEMPTS: usize = 3;

/// A repository of this machine, which may be bare, a work tree or a linked work tree.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
    aside: Aside,
}

impl Local {
    /// The repository at this path; nothing is read yet.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            aside: Aside::default(),
        }
    }

    /// Looks up the ref, and reads the commit when it is not `known`.
    pub(super) fn check(
        &mut self,
        settings: &Arc<Settings>,
        known: Option<&Revision>,
        memo: Option<&Arc<Memo>>,
        interrupt: &AtomicBool,
    ) -> Result<Found, SourceError> {
        let times = Times {
            first: settings.git_timeout,
            rest: settings.fetch_timeout,
        };
        let what = format!("`{}`", printable(&self.path.display().to_string()));
        let question = Question {
            path: self.path.clone(),
            settings: Arc::clone(settings),
            known: known.cloned(),
            memo: memo.cloned(),
        };
        self.aside.run(&what, times, interrupt, move |ends| {
            let result = question.answer(ends);
            // Nobody shares the memo any more when the caller goes on.
            drop(question);
            result
        })
    }
}

/// One check.
struct Question {
    path: PathBuf,
    settings: Arc<Settings>,
    known: Option<Revision>,
    memo: Option<Arc<Memo>>,
}

impl Question {
    fn answer(&self, ends: &Ends<Found>) -> Result<Found, SourceError> {
        let mut attempt = 1;
        loop {
            match self.answer_once(ends) {
                Err(error) if error.class() == ErrorClass::Corrupt && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn answer_once(&self, ends: &Ends<Found>) -> Result<Found, SourceError> {
        let Self {
            path,
            settings,
            known,
            memo,
        } = self;
        let repository = open(path)?;
        let objects = objects(&repository)?;
        let commit = resolve(&repository, &objects, settings.reference.as_deref())?;
        let revision = Revision::new(&commit.to_string());
        if let Some(known) = known.as_ref().filter(|known| **known == revision) {
            return Ok(Found::Known(known.clone()));
        }
        ends.under_way();
        let memo = memo.as_deref();
        walk::read_change(&objects, commit, &settings.scope(), memo, ends.stop()).map(Found::Read)
    }
}

/// The objects of a repository, and those of a push that git asks its hook about.
fn objects(repository: &gix::Repository) -> Result<Objects<'_>, SourceError> {
    let folder = std::env::var_os(quarantine::VARIABLE);
    Objects::new(repository, folder.as_deref())
}

/// Reads the files of a commit: the part of it that stands where `dir` stands in its work tree.
///
/// `dir` is a folder in a git work tree, or a bare repository (then its whole tree is read). `revision` is anything
/// that `git rev-parse` understands.
///
/// # Errors
/// Says why there is no such commit, no such folder in it, or why it cannot be read.
pub fn read_revision(dir: &Path, revision: &str, limits: &Limits) -> Result<Tree, SourceError> {
    let dir = real_folder(dir)?;
    let repository = discover(&dir)?.ok_or_else(|| {
        let message = format!(
            "`{}` is not in a git repository",
            printable(&dir.display().to_string())
        );
        SourceError::new(ErrorClass::NotFound, message)
    })?;
    let objects = objects(&repository)?;
    let pushed = reference::commit_id(Some(revision)).filter(|id| objects.is_pushed(id));
    let commit = pushed.map_or_else(|| rev_parse(&repository, revision), Ok)?;
    let path = place_in_work_tree(&repository, &dir)?;
    walk::read_commit(
        &objects,
        commit,
        &walk::Scope {
            path: path.as_ref(),
            limits,
            allow_empty: false,
            lacks_large_files: false,
            allowed_signers: None,
        },
        &AtomicBool::new(false),
    )
}

/// Where the folder `dir` stands in the repository whose work tree it is in: `None` at the top, in a bare repository, and
/// where there is no repository.
///
/// # Errors
/// Says why the folder or the repository cannot be read.
pub fn place_in_repository(dir: &Path) -> Result<Option<RepoPath>, SourceError> {
    let dir = real_folder(dir)?;
    match discover(&dir)? {
        Some(repository) => place_in_work_tree(&repository, &dir),
        None => Ok(None),
    }
}

/// The repository around `dir`, an absolute path without links. `None` when there is none.
pub(super) fn discover(dir: &Path) -> Result<Option<gix::Repository>, SourceError> {
    // The user's own configuration says which files count as ignored; the environment has no say, so that a git hook,
    // which is run with `GIT_DIR` set, sees what everybody sees, and the objects that it is asked about.
    let mut permissions = gix::open::Permissions::isolated();
    permissions.config.system = true;
    permissions.config.git = true;
    permissions.config.user = true;
    permissions.config.includes = true;
    permissions.env.home = gix::sec::Permission::Allow;
    permissions.env.xdg_config_home = gix::sec::Permission::Allow;
    let options = gix::open::Options::default()
        .permissions(permissions)
        .config_overrides(OVERRIDES);
    let trust_map = gix::sec::trust::Mapping {
        full: options.clone(),
        reduced: options,
    };
    match gix::ThreadSafeRepository::discover_opts(
        dir,
        gix::discover::upwards::Options::default(),
        trust_map,
    ) {
        Ok(repository) => Ok(Some(repository.to_thread_local())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(unreadable(dir, &error)),
    }
}

/// An existing folder, absolute and without links.
pub(super) fn real_folder(dir: &Path) -> Result<PathBuf, SourceError> {
    let real = dir
        .canonicalize()
        .map_err(|error| SourceError::disk("cannot read", dir, &error))?;
    if real.is_dir() {
        Ok(real)
    } else {
        let error = std::io::ErrorKind::NotADirectory.into();
        Err(SourceError::disk("cannot read", dir, &error))
    }
}

/// Where `dir` stands below the work tree of `repository`: `None` at its root and in a bare repository.
pub(super) fn place_in_work_tree(
    repository: &gix::Repository,
    dir: &Path,
) -> Result<Option<RepoPath>, SourceError> {
    let Some(work_tree) = repository.workdir() else {
        return Ok(None);
    };
    let work_tree = real_folder(work_tree)?;
    let below = dir.strip_prefix(&work_tree).ok().and_then(Path::to_str);
    match below {
        Some("") => Ok(None),
        Some(below) => RepoPath::parse(below).map(Some).map_err(|error| {
            let message = format!("the folder `{}` is refused: {error}", printable(below));
            SourceError::new(ErrorClass::Content, message)
        }),
        None => {
            let message = format!(
                "`{}` is not a folder of a work tree",
                printable(&dir.display().to_string())
            );
            Err(SourceError::new(ErrorClass::NotFound, message))
        }
    }
}

/// The settings that hold whatever a repository says: ids name contents, so nothing is replaced.
const OVERRIDES: [&str; 1] = ["core.useReplaceRefs=false"];

fn open(path: &Path) -> Result<gix::Repository, SourceError> {
    if !path.exists() {
        let shown = printable(&path.display().to_string());
        let message = format!("there is no repository at `{shown}`");
        return Err(SourceError::new(ErrorClass::NotFound, message));
    }
    // Reading objects is safe whoever owns them: no hook, filter or helper is ever run.
    let options = gix::open::Options::isolated()
        .with(Trust::Full)
        .config_overrides(OVERRIDES);
    let repository = gix::open_opts(path, options).map_err(|error| unreadable(path, &error))?;
    let storage = repository.config_snapshot().string("extensions.refStorage");
    if storage.is_some_and(|storage| !storage.eq_ignore_ascii_case(b"files")) {
        let message = "the repository keeps its refs in the `reftable` format, which is not supported; \
                       serve it over http, or convert it with `git refs migrate --ref-format=files`";
        return Err(SourceError::new(ErrorClass::Unsupported, message));
    }
    Ok(repository)
}

fn unreadable(path: &Path, error: &gix::Error) -> SourceError {
    let shown = printable(&path.display().to_string());
    let class = if error.is_not_found() {
        ErrorClass::NotFound
    } else if error.is_permission_denied() {
        ErrorClass::Disk
    } else {
        ErrorClass::Unsupported
    };
    SourceError::caused(
        class,
        &format!("`{shown}` is no repository that can be read"),
        error,
    )
}

/// The commit that `--ref` names.
fn resolve(
    repository: &gix::Repository,
    objects: &Objects<'_>,
    wanted: Option<&str>,
) -> Result<ObjectId, SourceError> {
    for name in reference::candidates(wanted) {
        if let Some(commit) = try_ref(repository, &name)? {
            return Ok(commit);
        }
    }
    let exists = |id: &ObjectId| {
        let kind = repository.find_header(*id).map(|header| header.kind());
        kind.is_ok_and(|kind| kind == gix::objs::Kind::Commit) || objects.is_pushed(id)
    };
    reference::commit_id(wanted)
        .filter(exists)
        .ok_or_else(|| reference::not_found(wanted))
}

/// The commit that this full ref leads to, through symbolic refs and annotated tags.
fn try_ref(repository: &gix::Repository, name: &str) -> Result<Option<ObjectId>, SourceError> {
    let broken = |error: gix::Error| {
        let what = format!("the ref `{}` cannot be read", printable(name));
        SourceError::caused(ErrorClass::Corrupt, &what, &error)
    };
    let Ok(full_name) = gix::refs::FullName::try_from(name) else {
        return Ok(None);
    };
    let Some(mut found) = repository
        .try_find_reference(full_name.as_ref())
        .map_err(broken)?
    else {
        return Ok(None);
    };
    // A partial name is looked up in several places; only the exact one counts.
    if found.name().as_bstr() != name {
        return Ok(None);
    }
    let id = match found.peel_to_id() {
        Ok(id) => id.detach(),
        // A symbolic ref to a branch that does not exist yet: an unborn `HEAD`.
        Err(error) if error.is_not_found() && found.target().try_name().is_some() => {
            return Ok(None);
        }
        Err(error) => return Err(broken(error)),
    };
    let kind = repository.find_header(id).map_err(broken)?.kind();
    if kind == gix::objs::Kind::Commit {
        Ok(Some(id))
    } else {
        Err(reference::not_a_commit(name))
    }
}

fn rev_parse(repository: &gix::Repository, revision: &str) -> Result<ObjectId, SourceError> {
    let shown = printable(revision);
    let object = repository
        .rev_parse_single(revision.as_bytes().as_bstr())
        .map_err(|error| {
            let what = format!("the revision `{shown}` cannot be found");
            SourceError::caused(ErrorClass::RefNotFound, &what, &error)
        })?
        .object()
        .and_then(|object| object.peel_to_kind(gix::objs::Kind::Commit))
        .map_err(|error| {
            let what = format!("the revision `{shown}` is no commit that can be read");
            SourceError::caused(ErrorClass::RefNotFound, &what, &error)
        })?;
    Ok(object.id)
}
