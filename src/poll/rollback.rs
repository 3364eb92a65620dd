//! What is published does not go back in time.
//!
//! A signature does not say that a commit is the newest one. Whoever may set the ref, but holds no key, could set it to
//! any commit that was ever signed, so the times that the signers wrote may not go backwards.

use crate::publish::Refusal;
use crate::tree::{Commit, Tree};

/// The committer time of the last commit that was published, in seconds since 1970; `None` before the first one.
#[derive(Debug, Default)]
pub(super) struct Floor(Option<i64>);

impl Floor {
    /// Remembers what was published.
    pub(super) fn published(&mut self, commit: Option<&Commit>) {
        self.0 = commit.map(|commit| commit.time);
    }

    /// Ensures that a tree is not of an older commit than the last one that was published. The same time is good: git
    /// counts in seconds.
    pub(super) fn refusal(&self, tree: &Tree) -> Option<Refusal> {
        let time = tree.commit()?.time;
        let last = self.0.filter(|last| time < *last)?;
        let line = format!(
            "error[rollback]: the commit is {} s older than the one that is served; commit anew, or allow it with \
             `--allow-rollback`",
            last.saturating_sub(time)
        );
        Some(Refusal::whole(tree.revision().clone(), line))
    }
}
