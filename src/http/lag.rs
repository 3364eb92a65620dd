//! Ids that nobody here knows, although another replica may have handed them out a moment ago.

use std::time::Duration;

use crate::poll::Poke;

/// How long a request waits for a check: an answer of a git host and a compilation take less, and a client that waits for
/// an answer takes longer to give up.
const HOLD_TIME: Duration = Duration::from_secs(2);

/// Makes the server look whether the remote has something new, and waits for that. Returns whether a check that began
/// after this call has ended; returns early when the id is known meanwhile.
pub(super) async fn look(poke: &Poke, is_known: impl Fn() -> bool) -> bool {
    let mut checks = poke.wonder();
    // A check may have ended just before.
    if is_known() {
        return true;
    }
    let end = async {
        while let Some(began_after) = checks.next().await {
            if began_after || is_known() {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(HOLD_TIME, end).await.unwrap_or(false)
}
