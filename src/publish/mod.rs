//! The publication point: what is served and what was last tried, in one cell.
//!
//! There is one [`Publisher`] and there are many [`Current`]s. A reader loads the [`Publication`] once and takes its
//! whole answer from it; nothing inside ever changes, so no reader waits for anybody.

mod retained;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Guard};

use crate::id::ConfigId;
use crate::snapshot::{Config, ConfigDir, Snapshot};
use crate::tree::Revision;
use retained::Retained;

/// A point in time on both clocks: one that only goes forward, for ages, and one that people read.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For ages and expiry.
    pub instant: Instant,
    /// For people.
    pub wall: SystemTime,
}

impl Moment {
    /// This very moment.
    #[must_use]
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }
}

/// A revision whose manifests have errors, so that it is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The revision that was refused.
    pub revision: Revision,
    /// How many errors it has; never zero.
    pub errors: usize,
    /// How many warnings it has.
    pub warnings: usize,
    /// Every diagnostic in the form `path:line:col: error[code]: what`.
    pub lines: Vec<String>,
    /// The diagnostics as `gitboot validate` prints them, cut where there are very many.
    pub text: String,
}

impl Refusal {
    /// A revision with one error that has no place in a file, in the form `error[code]: what`.
    #[must_use]
    pub fn whole(revision: Revision, line: String) -> Self {
        Self {
            revision,
            errors: 1,
            warnings: 0,
            text: format!("{line}\nerror: 1 error\n"),
            lines: vec![line],
        }
    }
}

/// Why the remote could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A short name for the kind of failure, fit for a metric's label.
    pub class: &'static str,
    /// What happened, for people; without credentials.
    pub message: String,
}

/// How the last attempt to bring the served state up to date ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was served before a restart is served again; the remote has not been asked yet.
    Restored,
    /// The remote's revision is the one that is served.
    Published,
    /// The remote's revision has errors; what was served before still is.
    Refused(Arc<Refusal>),
    /// The remote could not be read; what was served before still is.
    Failed(Arc<Failure>),
}

/// The last attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub at: Moment,
}

/// What it means that nobody here knows the id of a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// As of the last check there is no such config.
    Known,
    /// Another replica may have handed the id out from a commit that was never served here.
    Missed,
    /// The remote cannot be read, and another replica may be ahead.
    Away,
    /// The remote cannot be read, and has not been for so long that nobody waits any more.
    Gone,
}

/// Everything that an answer may be made of, as it was at one moment.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// What is served; `None` before the first publication.
    pub snapshot: Option<Arc<Snapshot>>,
    /// When it was published.
    pub published_at: Option<Moment>,
    /// How the last attempt ended; `None` before the first one.
    pub last_attempt: Option<Attempt>,
    /// When the remote last answered; a refused revision is an answer too.
    pub last_good_check: Option<Instant>,
    /// The revision that the remote had when it last answered.
    pub remote: Option<Revision>,
    /// Why the remote's revision is not served, if it is not. It stays while the remote cannot be read.
    pub refused: Option<Arc<Refusal>>,
    /// Since when the remote cannot be read.
    pub failing_since: Option<Moment>,
    /// When a check last found that what is served is what the remote has.
    pub in_step: Option<Moment>,
    /// How many warnings what is served has.
    pub warnings: usize,
    retained: Arc<Retained>,
    /// Until when ids may be asked for that others have handed out and that were never known here.
    missed_until: Option<Instant>,
    /// How long the remote may be away until ids that are not known here are taken for wrong ones.
    patience: Option<Patience>,
}

/// How long superseded configs are kept, counted from the start, or from the remote's last answer before it, where the
/// remote has not answered since.
#[derive(Clone, Copy, Debug)]
struct Patience {
    start: Instant,
    retain: Duration,
}

impl Publication {
    /// What it means that neither [`Self::config`] nor [`Self::config_dir`] knows an id.
    #[must_use]
    pub fn absence(&self, now: Instant) -> Absence {
        let last = self.last_attempt.as_ref().map(|attempt| &attempt.outcome);
        let is_away = matches!(last, Some(Outcome::Failed(_)));
        let waits = self.patience.is_some_and(|Patience { start, retain }| {
            let last_good = self.last_good_check.unwrap_or(start);
            now.saturating_duration_since(last_good) < retain
        });
        let missed = self.missed_until.is_some_and(|until| now < until);
        match (is_away, waits, missed) {
            (true, true, _) => Absence::Away,
            (true, false, _) => Absence::Gone,
            (false, _, true) => Absence::Missed,
            (false, _, false) => Absence::Known,
        }
    }

    /// The config of this id with the revision that it comes from: of the snapshot, else one that was superseded less
    /// than `--retain` ago.
    #[must_use]
    pub fn config(&self, id: ConfigId, now: Instant) -> Option<(&Arc<Config>, &Revision)> {
        let served = self.snapshot.as_deref();
        served
            .and_then(|snapshot| Some((snapshot.config(id)?, snapshot.revision())))
            .or_else(|| self.retained.config(id, now))
    }

    /// The config directory of this id with the revision that it comes from, looked up like [`Self::config`].
    #[must_use]
    pub fn config_dir(&self, id: ConfigId, now: Instant) -> Option<(&Arc<ConfigDir>, &Revision)> {
        let served = self.snapshot.as_deref();
        served
            .and_then(|snapshot| Some((snapshot.config_dir(id)?, snapshot.revision())))
            .or_else(|| self.retained.config_dir(id, now))
    }

    /// The revision that is served.
    #[must_use]
    pub fn revision(&self) -> Option<&Revision> {
        self.snapshot.as_deref().map(Snapshot::revision)
    }
}

/// The readers' end.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Publication>>);

impl Current {
    /// What is published now. Load once for each answer.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Publication>> {
        self.0.load()
    }
}

/// The writer's end; there is one.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<ArcSwap<Publication>>,
    retain: Duration,
}

impl Publisher {
    /// An empty publication point. Superseded configs stay reachable for `retain`; zero keeps none.
    #[must_use]
    pub fn new(retain: Duration) -> (Self, Current) {
        let start = Instant::now();
        let cell = Arc::new(ArcSwap::from_pointee(Publication {
            patience: Some(Patience { start, retain }),
            ..Publication::default()
        }));
        let current = Current(Arc::clone(&cell));
        (Self { cell, retain }, current)
    }

    /// What is published now.
    #[must_use]
    pub fn current(&self) -> Arc<Publication> {
        self.cell.load_full()
    }

    /// Serves this snapshot from now on; what it no longer holds is retained.
    pub fn publish(&mut self, snapshot: Snapshot, now: Moment) {
        self.publish_warned(snapshot, 0, now);
    }

    /// The same for a snapshot of manifests that have so many warnings.
    pub fn publish_warned(&mut self, snapshot: Snapshot, warnings: usize, now: Moment) {
        let before = self.cell.load_full();
        let retained = match (&before.snapshot, now.instant.checked_add(self.retain)) {
            (Some(previous), Some(expires)) if !self.retain.is_zero() => Arc::new(
                before
                    .retained
                    .after(previous, &snapshot, now.instant, expires),
            ),
            _ => Arc::default(),
        };
        self.cell.store(Arc::new(Publication {
            remote: Some(snapshot.revision().clone()),
            refused: None,
            failing_since: None,
            in_step: Some(now),
            warnings,
            snapshot: Some(Arc::new(snapshot)),
            published_at: Some(now),
            last_attempt: Some(Attempt {
                outcome: Outcome::Published,
                at: now,
            }),
            last_good_check: Some(now.instant),
            retained,
            ..Publication::clone(&before)
        }));
    }

    /// Serves again what was served before a restart, since `published_at`, until the remote answers.
    pub fn restore(&mut self, snapshot: Snapshot, published_at: Moment, now: Moment) {
        let before = self.cell.load_full();
        self.cell.store(Arc::new(Publication {
            snapshot: Some(Arc::new(snapshot)),
            published_at: Some(published_at),
            last_attempt: Some(Attempt {
                outcome: Outcome::Restored,
                at: now,
            }),
            ..Publication::clone(&before)
        }));
    }

    /// Records that the remote last answered this long ago, before the start.
    pub fn answered_before(&mut self, ago: Duration, now: Moment) {
        let before = self.cell.load_full();
        let answered = now.instant.checked_sub(ago);
        let patience = before.patience.map(|patience| Patience {
            start: answered.map_or(patience.start, |at| at.min(patience.start)),
            ..patience
        });
        self.cell.store(Arc::new(Publication {
            patience,
            ..Publication::clone(&before)
        }));
    }

    /// Retains for `left` what `earlier` holds and what is served does not, unless it is retained already.
    pub fn retain(&mut self, earlier: &Snapshot, left: Duration, now: Moment) {
        let before = self.cell.load_full();
        let expires = now.instant.checked_add(left.min(self.retain));
        let (Some(served), Some(expires)) = (&before.snapshot, expires) else {
            return;
        };
        let retained = before.retained.with(earlier, served, now.instant, expires);
        self.cell.store(Arc::new(Publication {
            retained: Arc::new(retained),
            ..Publication::clone(&before)
        }));
    }

    /// Records that others may have handed out ids that were never known here, up to this long ago.
    pub fn missed(&mut self, ago: Duration, now: Moment) {
        let left = self.retain.saturating_sub(ago);
        let before = self.cell.load_full();
        let until = now.instant.checked_add(left);
        self.cell.store(Arc::new(Publication {
            missed_until: until.max(before.missed_until),
            ..Publication::clone(&before)
        }));
    }

    /// Records that the remote still has the revision that is served.
    pub fn unchanged(&mut self, now: Moment) {
        let before = self.cell.load_full();
        self.cell.store(Arc::new(Publication {
            remote: before.revision().cloned(),
            refused: None,
            in_step: Some(now),
            ..answered(&before, Outcome::Published, now)
        }));
    }

    /// Records that the remote's revision is refused.
    pub fn refuse(&mut self, refusal: Arc<Refusal>, now: Moment) {
        let before = self.cell.load_full();
        self.cell.store(Arc::new(Publication {
            remote: Some(refusal.revision.clone()),
            refused: Some(Arc::clone(&refusal)),
            ..answered(&before, Outcome::Refused(refusal), now)
        }));
    }

    /// Records that the remote could not be read.
    pub fn fail(&mut self, failure: Arc<Failure>, now: Moment) {
        let before = self.cell.load_full();
        self.cell.store(Arc::new(Publication {
            last_attempt: Some(Attempt {
                outcome: Outcome::Failed(failure),
                at: now,
            }),
            failing_since: before.failing_since.or(Some(now)),
            ..Publication::clone(&before)
        }));
    }
}

/// What was published, after the remote has answered.
fn answered(before: &Publication, outcome: Outcome, at: Moment) -> Publication {
    Publication {
        last_attempt: Some(Attempt { outcome, at }),
        last_good_check: Some(at.instant),
        failing_since: None,
        ..before.clone()
    }
}
