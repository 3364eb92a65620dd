//! What `--ref` can mean, in the order in which it is tried: a full ref, else a branch, else a tag, else a commit.

use gix::ObjectId;

use super::error::{ErrorClass, SourceError, printable};

/// The full names that `wanted` may stand for, the best first. Nothing wanted means the repository's `HEAD`.
pub(super) fn candidates(wanted: Option<&str>) -> Vec<String> {
    match wanted {
        None | Some("HEAD") => vec!["HEAD".to_owned()],
        Some(full) if full.starts_with("refs/") => vec![full.to_owned()],
        Some(short) => vec![format!("refs/heads/{short}"), format!("refs/tags/{short}")],
    }
}

/// The commit that `wanted` is the full id of.
pub(super) fn commit_id(wanted: Option<&str>) -> Option<ObjectId> {
    ObjectId::from_hex(wanted?.as_bytes()).ok()
}

/// Nothing in the repository has this name.
pub(super) fn not_found(wanted: Option<&str>) -> SourceError {
    let message = match wanted {
        None => {
            "the repository's HEAD leads to no commit: it is empty, or its default branch does not exist; \
             push a commit, or name a branch with `--ref`"
                .to_owned()
        }
        Some(full) if full.starts_with("refs/") => format!("the repository has no ref `{}`", printable(full)),
        Some(short) => format!("the repository has no branch, tag or commit `{}`", printable(short)),
    };
    SourceError::new(ErrorClass::RefNotFound, message)
}

/// The ref exists but leads to a file or a tree.
pub(super) fn not_a_commit(name: &str) -> SourceError {
    let message = format!("the ref `{}` does not lead to a commit", printable(name));
    SourceError::new(ErrorClass::RefNotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_in_order() {
        assert_eq!(candidates(None), ["HEAD"]);
        assert_eq!(candidates(Some("refs/pull/1/head")), ["refs/pull/1/head"]);
        assert_eq!(candidates(Some("v1")), ["refs/heads/v1", "refs/tags/v1"]);
    }

    #[test]
    fn only_a_full_id_is_a_commit() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit_id(Some(id)).unwrap().to_string(), id);
        assert_eq!(commit_id(Some("0123456")), None);
        assert_eq!(commit_id(Some("main")), None);
        assert_eq!(commit_id(None), None);
    }
}
