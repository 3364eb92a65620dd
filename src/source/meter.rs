//! `Meter`: counts what a tree holds against its limits while it is read.

use super::error::{ErrorClass, SourceError, printable};
use crate::tree::Limits;

/// How many entries (files, links, submodules and folders) may be visited for each file that is allowed: a folder for
/// each file and a reserve. Without it, folders of folders without any file would never end.
const ENTRIES_PER_FILE: usize = 4;

/// What was read so far.
pub(super) struct Meter<'a> {
    limits: &'a Limits,
    entries: usize,
    files: usize,
    /// The bytes of all files and of all paths.
    bytes: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            entries: 0,
            files: 0,
            bytes: 0,
        }
    }

    /// Counts anything that stands in a folder.
    pub(super) fn entry(&mut self) -> Result<(), SourceError> {
        self.entries += 1;
        if self.entries > self.limits.files.saturating_mul(ENTRIES_PER_FILE) {
            let message = format!(
                "the tree holds more than {ENTRIES_PER_FILE} times as many entries as the limit of {} files allows",
                self.limits.files
            );
            return Err(SourceError::new(ErrorClass::Limit, message));
        }
        Ok(())
    }

    /// Counts a file, before it is read.
    pub(super) fn file(&mut self) -> Result<(), SourceError> {
        self.files += 1;
        if self.files > self.limits.files {
            let message = format!(
                "the tree holds more than the limit of {} files",
                self.limits.files
            );
            return Err(SourceError::new(ErrorClass::Limit, message));
        }
        Ok(())
    }

    /// Counts bytes that stay in memory.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), SourceError> {
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes > self.limits.total_bytes {
            let message = format!(
                "the tree holds more than the limit of {} bytes in all",
                self.limits.total_bytes
            );
            return Err(SourceError::new(ErrorClass::Limit, message));
        }
        Ok(())
    }

    /// Checks the number of folders above the files of the folder at `path`.
    pub(super) fn depth(&self, depth: usize, path: &str) -> Result<(), SourceError> {
        if depth > self.limits.depth {
            let path = printable(path);
            let message = format!(
                "`{path}` is deeper than the limit of {} folders",
                self.limits.depth
            );
            return Err(SourceError::new(ErrorClass::Limit, message));
        }
        Ok(())
    }

    /// The most bytes of one file.
    pub(super) fn file_limit(&self) -> u64 {
        self.limits.file_bytes
    }
}

/// `what` is larger than it may be.
pub(super) fn over_bytes(what: &str, limit: u64) -> SourceError {
    let message = format!(
        "`{}` is larger than the limit of {limit} bytes",
        printable(what)
    );
    SourceError::new(ErrorClass::Limit, message)
}
