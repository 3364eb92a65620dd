//! `Log`: the file that `ssh` writes to why it failed; gone when it is dropped.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::source::error::SourceError;

/// What the names of our logs start with, so that a sweep touches nothing else.
const PREFIX: &str = "gitboot-ssh-";
/// What they end with.
const SUFFIX: &str = ".log";
/// The most bytes that are read of a log; ssh writes some lines.
const MAX_BYTES: u64 = 16 << 10;

/// A log that is being written.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Holds a lock, so that a sweep tells a living log from a dead one.
    file: File,
}

impl Log {
    /// An empty log in a folder that exists.
    pub(super) fn create(folder: &Path) -> Result<Self, SourceError> {
        // The keys of the standard library's hash maps are random; that is all a name needs.
        let random = RandomState::new().hash_one(folder);
        let path = folder.join(format!("{PREFIX}{random:016x}{SUFFIX}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| SourceError::disk("cannot make a log for ssh at", &path, &error))?;
        Ok(Self { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was written so far.
    pub(super) fn read(&self) -> String {
        let mut bytes = Vec::new();
        // What cannot be read says nothing, which is a reason like any other.
        let _ = (&self.file).take(MAX_BYTES).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the logs in a folder that no living process holds.
pub(in crate::source) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let is_log = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !name.to_str().is_some_and(is_log) {
            continue;
        }
        if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_the_dead_and_spares_the_living() {
        let folder = tempfile::tempdir().unwrap();
        let living = Log::create(folder.path()).unwrap();
        let dead = folder.path().join("gitboot-ssh-dead.log");
        let other = folder.path().join("other.log");
        fs::write(&dead, "").unwrap();
        fs::write(&other, "").unwrap();
        sweep(folder.path());
        assert!(living.path().exists() && other.exists() && !dead.exists());
        fs::write(living.path(), "why\n").unwrap();
        assert_eq!(living.read(), "why\n");
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
