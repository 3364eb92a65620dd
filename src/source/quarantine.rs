//! What somebody pushes, while git still asks a `pre-receive` hook whether to take it.
//!
//! Until the hook says yes, the new objects are in a folder of their own, and the repository itself does not know them
//! (`man git-receive-pack`, QUARANTINE ENVIRONMENT). Reading them is what makes `gitboot validate --ref NEW` a hook.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gix::objs::{Data, Find, FindHeader, Header};
use gix::{ObjectId, oid};

use super::error::SourceError;

/// The variable by which git names that folder to its hooks, an absolute path.
pub(super) const VARIABLE: &str = "GIT_QUARANTINE_PATH";

/// The objects of a repository, with those of a push that is under way.
pub(super) struct Objects<'r> {
    kept: &'r gix::OdbHandle,
    pushed: Option<gix::odb::Handle>,
}

impl<'r> Objects<'r> {
    /// The objects of this repository; and those in `quarantine`, the value of [`VARIABLE`], when that folder belongs to
    /// this very repository. A hook may look at other repositories too.
    pub(super) fn new(
        repository: &'r gix::Repository,
        quarantine: Option<&OsStr>,
    ) -> Result<Self, SourceError> {
        let folder = quarantine.and_then(|folder| folder_in(repository, Path::new(folder)));
        let pushed = folder
            .map(|folder| {
                gix::odb::at(&folder, repository.object_hash()).map_err(|error| {
                    SourceError::disk("cannot read the objects in", &folder, &error)
                })
            })
            .transpose()?;
        Ok(Self {
            kept: &repository.objects,
            pushed,
        })
    }

    /// Whether this is the id of a commit in the push.
    pub(super) fn is_pushed(&self, id: &ObjectId) -> bool {
        let header = self.pushed.as_ref().map(|pushed| pushed.try_header(id));
        matches!(header, Some(Ok(Some(header))) if header.kind == gix::objs::Kind::Commit)
    }

    /// The objects of the push, when this is one of them.
    fn pushed(&self, id: &oid) -> gix::Result<Option<&gix::odb::Handle>> {
        let Some(pushed) = &self.pushed else {
            return Ok(None);
        };
        Ok(pushed.try_header(id)?.map(|_| pushed))
    }
}

impl Find for Objects<'_> {
    fn try_find<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> gix::Result<Option<Data<'a>>> {
        match self.pushed(id)? {
            Some(pushed) => pushed.try_find(id, buffer),
            None => self.kept.try_find(id, buffer),
        }
    }
}

impl FindHeader for Objects<'_> {
    fn try_header(&self, id: &oid) -> gix::Result<Option<Header>> {
        match self.pushed(id)? {
            Some(pushed) => pushed.try_header(id),
            None => self.kept.try_header(id),
        }
    }
}

/// The folder, if it stands among the objects of this repository.
fn folder_in(repository: &gix::Repository, folder: &Path) -> Option<PathBuf> {
    let objects = repository
        .common_dir()
        .join("objects")
        .canonicalize()
        .ok()?;
    let folder = folder.canonicalize().ok()?;
    (folder.parent() == Some(objects.as_path())).then_some(folder)
}
