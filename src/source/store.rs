//! `Store`: a folder for the objects of one fetch, gone when it is dropped.
//!
//! A store is used once: no lock, no half-written pack and no pile of packs can outlive it. Its lock file is held for
//! as long as the process lives, so that what a killed process left behind is told from what another one is using.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::SourceError;

/// What the names of our folders and lock files start with, so that a sweep touches nothing else.
const PREFIX: &str = "gitboot-fetch-";
/// What the name of a lock file ends with; the folder has the same name without it.
const LOCK_SUFFIX: &str = ".lock";
/// How often another name is tried: 64 random bits hardly ever collide, but a sweep may take one away.
const ATTEMPTS: usize = 8;

/// An empty object database on disk.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    lock_path: PathBuf,
    /// Holds the lock; released by the drop.
    _lock: File,
}

impl Store {
    /// Makes a fresh store below `parent`, which exists.
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

    /// The object database.
    pub(super) fn objects_folder(&self) -> PathBuf {
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
        .filter(|error| error.kind() != io::ErrorKind::NotFound)
        {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot remove the folder of a fetch");
        }
    }
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
