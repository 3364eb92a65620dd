//! A new repository made of files, for somebody who has none yet.

use std::collections::BTreeMap;
use std::path::Path;

use gix::ObjectId;
use gix::actor::Signature;
use gix::objs::tree::{Entry, EntryKind};
use gix::refs::transaction::PreviousValue;

use super::error::{ErrorClass, SourceError};
use crate::tree::{RepoPath, Revision};

/// Who the commit is by; `.invalid` is no domain of anybody (RFC 2606).
const NAME: &str = "gitboot demo";
const EMAIL: &str = "demo@gitboot.invalid";

/// Makes a bare repository at `dir`, which is empty or does not exist, with one commit of `files` on the branch
/// `branch`, to which `HEAD` points. It can be cloned and pushed to; no git program is needed to make it.
///
/// # Errors
/// When the folder is not empty or cannot be written, when a file stands where another one needs a folder, or when
/// `branch` is no name of a branch.
pub fn create_bare<'a>(
    dir: &Path,
    files: impl Iterator<Item = (RepoPath, &'a [u8])>,
    message: &str,
    branch: &str,
) -> Result<Revision, SourceError> {
    let failed = |error: gix::Error| {
        let what = format!("cannot make the repository `{}`", dir.display());
        SourceError::caused(ErrorClass::Disk, &what, &error)
    };
    let repository = gix::ThreadSafeRepository::init_opts(
        dir,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        gix::open::Options::isolated().config_overrides([format!("init.defaultBranch={branch}")]),
    )
    .map_err(failed)?
    .to_thread_local();
    let mut root = Folder::default();
    for (path, bytes) in files {
        let id = repository.write_blob(bytes).map_err(failed)?.detach();
        root.insert(&path, id)?;
    }
    let tree = root.write(&repository).map_err(failed)?;
    let author = Signature {
        name: NAME.into(),
        email: EMAIL.into(),
        time: gix::date::Time::now_utc(),
    };
    let commit = gix::objs::Commit {
        tree,
        parents: Vec::<ObjectId>::new().into(),
        author: author.clone(),
        committer: author,
        encoding: None,
        message: message.into(),
        extra_headers: Vec::new(),
    };
    let commit = repository.write_object(&commit).map_err(failed)?.detach();
    // The ref log, which would need a committer from the configuration, is off in bare repositories.
    repository
        .reference(
            format!("refs/heads/{branch}"),
            commit,
            PreviousValue::MustNotExist,
            "created",
        )
        .map_err(failed)?;
    Ok(Revision::new(&commit.to_string()))
}

/// A folder that is not written yet.
#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: BTreeMap<String, ObjectId>,
}

impl Folder {
    fn insert(&mut self, path: &RepoPath, id: ObjectId) -> Result<(), SourceError> {
        let taken = || {
            let message = format!("the file `{path}` stands where another file or a folder stands");
            SourceError::new(ErrorClass::Content, message)
        };
        let mut folder = self;
        let (above, name) = path
            .as_str()
            .rsplit_once('/')
            .unwrap_or(("", path.as_str()));
        for component in above.split('/').filter(|component| !component.is_empty()) {
            if folder.files.contains_key(component) {
                return Err(taken());
            }
            folder = folder.folders.entry(component.to_owned()).or_default();
        }
        let is_taken =
            folder.folders.contains_key(name) || folder.files.insert(name.to_owned(), id).is_some();
        if is_taken { Err(taken()) } else { Ok(()) }
    }

    fn write(&self, repository: &gix::Repository) -> gix::Result<ObjectId> {
        let mut entries = Vec::new();
        for (name, folder) in &self.folders {
            entries.push(entry(EntryKind::Tree, name, folder.write(repository)?));
        }
        for (name, id) in &self.files {
            entries.push(entry(EntryKind::Blob, name, *id));
        }
        // Git's order, in which a folder's name counts as if it ended in a slash.
        entries.sort();
        let tree = gix::objs::Tree { entries };
        repository.write_object(&tree).map(gix::Id::detach)
    }
}

fn entry(kind: EntryKind, name: &str, oid: ObjectId) -> Entry {
    Entry {
        mode: kind.into(),
        filename: name.into(),
        oid,
    }
}
