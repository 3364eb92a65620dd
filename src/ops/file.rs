//! Files with a secret in them, read again each time that they are needed.

use std::io::{self, Read as _};
use std::path::Path;

use crate::file::open_regular;

/// The most bytes of such a file: tokens and secrets are a line.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{flag} {path}`: {problem}")]
pub struct FileError {
    flag: &'static str,
    path: String,
    problem: String,
}

/// Ensures that a file holds a secret.
pub(super) fn check(flag: &'static str, path: &Path) -> Result<(), FileError> {
    let problem = match read(path) {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => "the file is empty, or over 64 KiB; write the secret into it".to_owned(),
        Err(error) => format!("the file cannot be read: {error}"),
    };
    Err(FileError {
        flag,
        path: path.display().to_string(),
        problem,
    })
}

/// What the file holds but for one newline at its end. `None` when that is nothing, or too much for a secret: an empty secret
/// would let everybody in.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = open_regular(path)?;
    // A pipe would be waited for, and is empty the second time.
    let file = file.ok_or_else(|| io::Error::other("it is not a regular file"))?;
    let mut secret = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut secret)?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    let fits = !secret.is_empty() && secret.len() as u64 <= MAX_FILE_BYTES;
    Ok(fits.then_some(secret))
}

/// What the file holds now. One that cannot be read lets nobody in.
pub(super) fn secret(path: &Path) -> Option<Vec<u8>> {
    read(path).unwrap_or_else(|error| {
        tracing::debug!("`{}` cannot be read: {error}", path.display());
        None
    })
}
