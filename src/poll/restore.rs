//! What is served after a start until the remote answers: what was published before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Build, Built, Desired, Trouble, report};
use crate::publish::{Moment, Publisher};
use crate::snapshot::Snapshot;
use crate::state::{State, StateError, Stored, Superseded};
use crate::tree::Tree;

/// How long superseded trees may be compiled before the remote is asked; what is left then is not retained.
const EARLIER_TIME: Duration = Duration::from_secs(5);

/// What it takes to serve again what was published before a restart.
#[derive(Clone)]
pub(super) struct Restorer {
    pub(super) state: State,
    pub(super) build: Arc<Build>,
    pub(super) desired: Arc<Mutex<Box<dyn Desired>>>,
    /// Whether the log says already that the folder is of no use.
    pub(super) is_told: bool,
}

/// What is served again.
pub(super) struct Restored {
    pub(super) tree: Tree,
}

struct Newest {
    snapshot: Snapshot,
    since: SystemTime,
    missed: Option<SystemTime>,
    answered: SystemTime,
    tree: Tree,
    lines: Vec<String>,
}

/// What was superseded before the restart.
#[derive(Default)]
struct Earlier {
    /// The snapshots, the youngest first, and how long they are still retained.
    kept: Vec<(Snapshot, Duration)>,
    /// Whether these are all that were there.
    is_whole: bool,
    /// When something was superseded that is not there any more.
    lost: Option<SystemTime>,
}

impl Restorer {
    /// Serves it again.
    pub(super) async fn restore(self, publisher: &mut Publisher) -> Option<Restored> {
        let started = Instant::now();
        let reader = self.clone();
        let newest = tokio::task::spawn_blocking(move || reader.newest());
        // A fault of ours is told by the panic's own line.
        let Some(newest) = newest.await.ok().flatten() else {
            publisher.missed(Duration::ZERO, Moment::now());
            return None;
        };
        let now = Moment::now();
        let restored = Restored { tree: newest.tree };
        publisher.restore(newest.snapshot, moment_of(newest.since, now), now);
        publisher.answered_before(age_of(newest.answered, now), now);
        report::restored(&publisher.current(), &newest.lines, started);
        if let Some(missed) = newest.missed {
            publisher.missed(age_of(missed, now), now);
        }

        let earlier = tokio::task::spawn_blocking(move || self.earlier());
        let Earlier {
            kept,
            is_whole,
            lost,
        } = earlier.await.unwrap_or_default();
        for (snapshot, left) in &kept {
            publisher.retain(snapshot, *left, Moment::now());
        }
        if let Some(lost) = lost {
            publisher.missed(age_of(lost, now), now);
        }
        if !is_whole {
            publisher.missed(Duration::ZERO, Moment::now());
        }
        Some(restored)
    }

    fn newest(&self) -> Option<Newest> {
        let Stored {
            tree,
            since,
            missed,
            answered,
        } = match self.state.newest() {
            Ok(stored) => stored?,
            Err(StateError::Unreadable(_)) if self.is_told => return None,
            Err(error) => {
                tracing::warn!(
                    "the revision that was stored in `{}` is not used: {error}",
                    self.state.folder().display()
                );
                return None;
            }
        };
        let Built {
            snapshot,
            errors,
            lines,
            ..
        } = self.admitted(&tree);
        let Some(snapshot) = snapshot.filter(|_| errors == 0) else {
            report::not_restored(tree.revision(), errors.max(1), &lines);
            return None;
        };
        Some(Newest {
            snapshot,
            since,
            missed,
            answered,
            tree,
            lines,
        })
    }

    fn earlier(&self) -> Earlier {
        let until = Instant::now() + EARLIER_TIME;
        let mut kept = Vec::new();
        let Ok(Superseded { trees, lost }) = self.state.earlier(SystemTime::now()) else {
            return Earlier::default();
        };
        for earlier in trees {
            let tree = self.state.read_earlier(&earlier).ok();
            let tree = tree.filter(|_| Instant::now() < until);
            let Some(snapshot) = tree.and_then(|tree| self.admitted(&tree).snapshot) else {
                return Earlier {
                    kept,
                    is_whole: false,
                    lost,
                };
            };
            kept.push((snapshot, earlier.left));
        }
        Earlier {
            kept,
            is_whole: true,
            lost,
        }
    }

    /// What becomes of a stored tree, if a check that brought it now would accept it.
    fn admitted(&self, tree: &Tree) -> Built {
        let desired = self.desired.lock().unwrap_or_else(PoisonError::into_inner);
        match desired.admit_again(tree) {
            Ok(()) => compiled(&*self.build, tree),
            Err(Trouble::Refused(refusal)) => Built {
                errors: 1,
                lines: refusal.lines,
                text: refusal.text,
                ..Built::default()
            },
            Err(Trouble::Failed(failure) | Trouble::Barred(failure, _)) => {
                Built::refused(format!("error[{}]: {}", failure.class, failure.message))
            }
        }
    }
}

/// What becomes of a tree. A fault in the compiler must not end the loop, and would come again with the same tree: it is
/// a refusal.
pub(super) fn compiled(build: &Build, tree: &Tree) -> Built {
    catch_unwind(AssertUnwindSafe(|| build(tree))).unwrap_or_else(|_| {
        Built::refused("error[internal]: the compiler ended in a fault of its own".to_owned())
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
