//! What is served after a start until the remote answers: what was published before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Build, Built, report};
use crate::publish::{Moment, Publisher};
use crate::snapshot::Snapshot;
use crate::state::{State, Stored};
use crate::tree::{Revision, Tree};

/// How long superseded trees may be compiled before the remote is asked; what is left then is not retained.
const EARLIER_TIME: Duration = Duration::from_secs(5);

/// Serves again what was published before a restart. Returns its revision.
pub(super) async fn restore(
    state: State,
    build: Arc<Build>,
    publisher: &mut Publisher,
) -> Option<Revision> {
    let started = Instant::now();
    let reader = state.clone();
    let compiler = Arc::clone(&build);
    let newest = tokio::task::spawn_blocking(move || newest(&reader, &*compiler));
    // A fault of ours is told by the panic's own line.
    let Some(Newest {
        snapshot,
        since,
        missed,
        lines,
    }) = newest.await.ok().flatten()
    else {
        publisher.missed(Duration::ZERO, Moment::now());
        return None;
    };
    let now = Moment::now();
    let revision = snapshot.revision().clone();
    publisher.restore(snapshot, moment_of(since, now), now);
    report::restored(&publisher.current(), &lines, started);
    if let Some(missed) = missed {
        publisher.missed(age_of(missed, now), now);
    }

    let earlier = tokio::task::spawn_blocking(move || earlier(&state, &*build));
    let Earlier { kept, is_whole } = earlier.await.unwrap_or_default();
    for (snapshot, left) in &kept {
        publisher.retain(snapshot, *left, Moment::now());
    }
    if !is_whole {
        publisher.missed(Duration::ZERO, Moment::now());
    }
    Some(revision)
}

struct Newest {
    snapshot: Snapshot,
    since: SystemTime,
    missed: Option<SystemTime>,
    lines: Vec<String>,
}

fn newest(state: &State, build: &Build) -> Option<Newest> {
    let Stored {
        tree,
        since,
        missed,
    } = match state.newest() {
        Ok(stored) => stored?,
        Err(error) => {
            tracing::warn!(
                "the revision that was stored in `{}` is not used: {error}",
                state.folder().display()
            );
            return None;
        }
    };
    let Built {
        snapshot,
        errors,
        lines,
        ..
    } = compiled(build, &tree);
    let Some(snapshot) = snapshot.filter(|_| errors == 0) else {
        report::not_restored(tree.revision(), errors, &lines);
        return None;
    };
    Some(Newest {
        snapshot,
        since,
        missed,
        lines,
    })
}

/// What was superseded before the restart.
#[derive(Default)]
struct Earlier {
    /// The snapshots, the youngest first, and how long they are still retained.
    kept: Vec<(Snapshot, Duration)>,
    /// Whether these are all.
    is_whole: bool,
}

fn earlier(state: &State, build: &Build) -> Earlier {
    let until = Instant::now() + EARLIER_TIME;
    let mut kept = Vec::new();
    let Ok(stored) = state.earlier(SystemTime::now()) else {
        return Earlier::default();
    };
    for earlier in stored {
        let tree = state.read_earlier(&earlier).ok();
        let tree = tree.filter(|_| Instant::now() < until);
        let Some(snapshot) = tree.and_then(|tree| compiled(build, &tree).snapshot) else {
            return Earlier {
                kept,
                is_whole: false,
            };
        };
        kept.push((snapshot, earlier.left));
    }
    Earlier {
        kept,
        is_whole: true,
    }
}

/// What becomes of a tree. A fault in the compiler must not end the loop, and would come again with the same tree: it is
/// a refusal.
pub(super) fn compiled(build: &Build, tree: &Tree) -> Built {
    catch_unwind(AssertUnwindSafe(|| build(tree))).unwrap_or_else(|_| Built {
        errors: 1,
        lines: vec!["error[internal]: the compiler ended in a fault of its own".to_owned()],
        ..Built::default()
    })
}

/// A time of the wall clock on both clocks, as far back as the other one reaches.
fn moment_of(wall: SystemTime, now: Moment) -> Moment {
    let instant = now.instant.checked_sub(age_of(wall, now));
    Moment {
        instant: instant.unwrap_or(now.instant),
        wall,
    }
}

fn age_of(wall: SystemTime, now: Moment) -> Duration {
    now.wall.duration_since(wall).unwrap_or_default()
}
