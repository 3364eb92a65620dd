//! Who may sign what is served: SSH signatures of commits, and OpenSSH's list of allowed signers.
//!
//! git signs a commit by putting `SSHSIG` text into its `gpgsig` header; what is signed is the commit object without
//! that header. This is verified here, without a program beside us: the signature must be in the namespace `git`, by a
//! key that the list holds, and that key must be valid at the time at which the commit says it was made. As with git,
//! any principal of the list will do; it is not compared with the committer. A signature does not say for which branch
//! or repository a commit was made.

mod allowed_signers;
mod commit;
mod pattern;
mod verify;

use std::io::Read as _;
use std::path::Path;

pub use allowed_signers::{AllowedSigners, AllowedSignersError};
pub use verify::{SignatureError, Verified, verify};

use super::error::{ErrorClass, SourceError, printable};
use crate::file::open_regular;
use crate::tree::{Commit, Revision, Tree};

/// The largest list of allowed signers in bytes: ten thousand keys; it is read at every check.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// The bytes of the list, or why it cannot be read; equal when nothing has changed.
pub(super) fn read_list(path: &Path) -> Result<Vec<u8>, String> {
    let file = open_regular(path).map_err(|error| error.to_string())?;
    let file = file.ok_or("it is not a regular file")?;
    let mut bytes = Vec::new();
    file.take(MAX_LIST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_LIST_BYTES) {
        return Err(format!("it is larger than {MAX_LIST_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Ensures that a commit is signed by somebody on the list, and says by whom. The list is read anew each time, and
/// nobody is on a list that cannot be read.
pub(super) fn admit(list: &Path, raw: &[u8]) -> Result<Verified, SourceError> {
    let shown = printable(&list.display().to_string());
    let refuse = |message: String| SourceError::new(ErrorClass::Signature, message);
    let bytes = read_list(list).map_err(|error| {
        refuse(format!(
            "the allowed signers in `{shown}` cannot be read, so nothing new is accepted: {error}"
        ))
    })?;
    let signers = AllowedSigners::parse(&bytes).map_err(|error| {
        refuse(format!(
            "the allowed signers in `{shown}` cannot be used, so nothing new is accepted: {error}"
        ))
    })?;
    verify(raw, &signers).map_err(|error| refuse(error.to_string()))
}

/// Ensures that a tree that was kept is of a commit that would be accepted today.
pub(super) fn admit_again(list: &Path, tree: &Tree) -> Result<(), SourceError> {
    let revision = tree.revision();
    let Some(Commit { raw, .. }) = tree.commit() else {
        let message = "the commit was kept without its signature";
        return Err(SourceError::new(ErrorClass::Signature, message).of(revision));
    };
    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Commit, raw);
    if id.is_ok_and(|id| Revision::new(&id.to_string()) == *revision) {
        admit(list, raw)
            .map(drop)
            .map_err(|error| error.of(revision))
    } else {
        let message = "the commit that was kept is not the one that it is said to be";
        Err(SourceError::new(ErrorClass::Corrupt, message).of(revision))
    }
}
