//! `Generation`: the objects of the last commits, so that a fetch brings only what changed. `Store`: the folder they are
//! in, gone when it is dropped.
//!
//! A generation ends after some fetches, at the first thing in it that is odd, and with the process: no lock, no damaged
//! pack and no pile of packs can outlive it. The lock file beside its folder is held for as long, so that what a killed
//! process left behind is told from what another one is using.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::{Data, Find, FindHeader, Header};

use super::error::{ErrorClass, SourceError};

/// What the names of our folders and lock files start with, so that a sweep touches nothing else.
const PREFIX: &str = "gitboot-fetch-";
/// What the name of a lock file ends with; the folder has the same name without it.
const LOCK_SUFFIX: &str = ".lock";
/// How often another name is tried: 64 random bits hardly ever collide, but a sweep may take one away.
const ATTEMPTS: usize = 8;

/// How many fetches one generation takes: each leaves a pack, and each pack is one more place to look in.
const MAX_FETCHES: u32 = 64;
/// How many times as many bytes as the first fetch all packs of a generation may have.
const MAX_GROWTH: u64 = 4;
/// The bytes that a generation may have in any case: below a few megabytes a fresh one saves nothing.
const MIN_BYTES: u64 = 16 << 20;

/// A store with the objects of a commit and of those before it that were fetched.
#[derive(Debug)]
pub(super) struct Generation {
    store: Store,
    /// The commit that was fetched last.
    tip: Option<ObjectId>,
    fetches: u32,
    /// The bytes of all packs after the first fetch.
    first_bytes: u64,
}

impl Generation {
    /// Makes an empty one below `parent`.
    pub(super) fn create(parent: &Path) -> Result<Self, SourceError> {
        Ok(Self {
            store: Store::create(parent)?,
            tip: None,
            fetches: 0,
            first_bytes: 0,
        })
    }

    /// The commit that need not be sent again, nor anything that is in it.
    pub(super) fn tip(&self) -> Option<ObjectId> {
        self.tip
    }

    /// Whether all that it holds came in one fetch.
    pub(super) fn is_fresh(&self) -> bool {
        self.fetches == 1
    }

    /// Whether another fetch may go into it.
    pub(super) fn has_room(&self) -> bool {
        let limit = self.first_bytes.saturating_mul(MAX_GROWTH).max(MIN_BYTES);
        self.fetches < MAX_FETCHES && self.store.pack_bytes().is_ok_and(|bytes| bytes <= limit)
    }

    /// Gets it ready for a fetch, and fails when something in it is not as it was left.
    pub(super) fn prepare(&self) -> Result<&Store, SourceError> {
        if let Some(tip) = self.tip {
            let shallow = self.store.shallow_file();
            let failed = |error| SourceError::disk("cannot write", &shallow, &error);
            if shallow.with_extension("lock").exists() {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            // Every commit that was ever fetched lacks its parents; only the last one is told.
            fs::write(&shallow, format!("{tip}\n")).map_err(failed)?;
        }
        Ok(&self.store)
    }

    /// Takes note of a fetch that went well.
    pub(super) fn fetched(&mut self, commit: ObjectId) {
        self.tip = Some(commit);
        self.fetches += 1;
        if self.fetches == 1 {
            self.first_bytes = self.store.pack_bytes().unwrap_or_default();
        }
    }

    /// The objects, as they are on disk now.
    pub(super) fn objects(&self) -> Result<Verified, SourceError> {
        self.store.objects()
    }
}

/// Objects whose bytes are held against their names: a flipped bit in an index names the wrong object, and git does not
/// look.
pub(super) struct Verified(gix::odb::Handle);

impl Find for Verified {
    fn try_find<'a>(
        &self,
        id: &gix::oid,
        buffer: &'a mut Vec<u8>,
    ) -> gix::Result<Option<Data<'a>>> {
        let found = self.0.try_find(id, buffer)?;
        if let Some(data) = &found {
            let actual = gix::objs::compute_hash(id.kind(), data.kind, data.data)?;
            if actual.as_ref() as &gix::oid != id {
                let text = format!("the object `{id}` has the contents of `{actual}`");
                return Err(gix::Error::from_error(io::Error::other(text)));
            }
        }
        Ok(found)
    }
}

impl FindHeader for Verified {
    fn try_header(&self, id: &gix::oid) -> gix::Result<Option<Header>> {
        self.0.try_header(id)
    }
}

/// An object database on disk.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    lock_path: PathBuf,
    /// Holds the lock; released by the drop.
    _lock: File,
}

impl Store {
    /// Makes a fresh store below `parent`.
    pub(super) fn create(parent: &Path) -> Result<Self, SourceError> {
        let mut last = io::Error::other("no free name");
        for _ in 0..ATTEMPTS {
            match Self::try_create(parent) {
                Ok(store) => return Ok(store),
                Err(error) => last = error,
            }
        }
        Err(SourceError::disk(
            "cannot make a folder for the fetch in",
            parent,
            &last,
        ))
    }

    fn try_create(parent: &Path) -> io::Result<Self> {
        // The keys of the standard library's hash maps are random; that is all a name needs.
        let name = format!("{PREFIX}{:016x}", RandomState::new().hash_one(parent));
        let folder = parent.join(&name);
        let lock_path = parent.join(format!("{name}{LOCK_SUFFIX}"));
        let lock = File::create_new(&lock_path)?;
        lock.lock()?;
        if !lock_path.exists() {
            // A sweep of another process came between the two lines.
            return Err(io::ErrorKind::NotFound.into());
        }
        let store = Self {
            folder,
            lock_path,
            _lock: lock,
        };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&store.folder)?;
        builder.recursive(true).create(store.pack_folder())?;
        Ok(store)
    }

    /// The objects, as they are on disk now.
    pub(super) fn objects(&self) -> Result<Verified, SourceError> {
        let folder = self.objects_folder();
        match gix::odb::at(&folder, gix::hash::Kind::Sha1) {
            Ok(objects) => Ok(Verified(objects)),
            Err(error) => Err(SourceError::disk(
                "cannot read the objects in",
                &folder,
                &error,
            )),
        }
    }

    fn pack_bytes(&self) -> io::Result<u64> {
        let mut bytes = 0_u64;
        for entry in fs::read_dir(self.pack_folder())? {
            bytes = bytes.saturating_add(entry?.metadata()?.len());
        }
        Ok(bytes)
    }

    fn objects_folder(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// Where packs belong.
    pub(super) fn pack_folder(&self) -> PathBuf {
        self.objects_folder().join("pack")
    }

    /// The file that names the commits whose parents are missing.
    pub(super) fn shallow_file(&self) -> PathBuf {
        self.folder.join("shallow")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The lock file goes last: a folder without one would be nobody's.
        for error in [
            fs::remove_dir_all(&self.folder),
            fs::remove_file(&self.lock_path),
        ]
        .into_iter()
        .filter_map(Result::err)
        .filter(|error| {
            // Whoever took the folder above away took this one too.
            !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        }) {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot remove the folder of a fetch");
        }
    }
}

/// Whether a failure may be the fault of what a generation holds, so that a fresh one may do better.
pub(super) fn may_be_of_store(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Corrupt | ErrorClass::Disk | ErrorClass::Protocol
    )
}

/// Removes the stores below `parent` that no living process holds. What cannot be removed stays for the next time.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(folder) = name.strip_suffix(LOCK_SUFFIX).filter(|_| is_file) {
            sweep_locked(&entry.path(), &parent.join(folder));
        } else if is_folder && !parent.join(format!("{name}{LOCK_SUFFIX}")).exists() {
            remove(&entry.path());
        }
    }
}

fn sweep_locked(lock_path: &Path, folder: &Path) {
    let Ok(lock) = File::open(lock_path) else {
        return;
    };
    if lock.try_lock().is_ok() {
        remove(folder);
        let _ = fs::remove_file(lock_path);
    }
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Ok(()) => {
            tracing::debug!(folder = %folder.display(), "removed what an earlier fetch left behind");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "cannot remove an old fetch");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_store_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        let store = Store::create(parent.path()).unwrap();
        assert!(store.pack_folder().is_dir());
        drop(store);
        assert_eq!(names(parent.path()), Vec::<String>::new());
    }

    #[test]
    fn a_sweep_removes_the_dead_and_spares_the_living() {
        let parent = tempfile::tempdir().unwrap();
        let living = Store::create(parent.path()).unwrap();
        fs::create_dir_all(parent.path().join("gitboot-fetch-dead/objects")).unwrap();
        fs::write(parent.path().join("gitboot-fetch-dead.lock"), "").unwrap();
        fs::create_dir(parent.path().join("gitboot-fetch-orphan")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        sweep(parent.path());
        assert!(living.pack_folder().is_dir());
        assert_eq!(names(parent.path()).len(), 3);
        drop(living);
        assert_eq!(names(parent.path()), ["other"]);
    }
}
