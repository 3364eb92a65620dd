//! The reconcile loop: ask the remote, fetch what is new, compile it, and publish it or say why not.
//!
//! One check runs at a time, and at most one more waits. Nothing that a check meets ends the loop.

mod pace;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::publish::{Failure, Moment, Publisher, Refusal};
use crate::snapshot::Snapshot;
use crate::source::{Check, ErrorClass, Remote, SourceError};
use crate::tree::{Revision, Tree};
use pace::Pace;
use report::Report;

/// Where the desired state comes from. A check blocks; it gives up when `interrupt` is set.
pub trait Desired: Send {
    /// Asks for what is newer than `known`.
    ///
    /// # Errors
    /// Says why the desired state could not be read.
    fn check(&mut self, known: Option<&Revision>, interrupt: &AtomicBool)
    -> Result<Check, Trouble>;
}

/// Why a check brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The remote could not be read; try again.
    Failed(Failure),
    /// The remote has a revision that can never become a tree; nothing to do until it has another one.
    Refused(Refusal),
}

impl Desired for Remote {
    fn check(
        &mut self,
        known: Option<&Revision>,
        interrupt: &AtomicBool,
    ) -> Result<Check, Trouble> {
        Self::check(self, known, interrupt).map_err(|error| match error.revision() {
            Some(revision) if !error.is_transient() => Trouble::Refused(Refusal {
                revision: revision.clone(),
                errors: 1,
                warnings: 0,
                lines: vec![refusal_line(&error)],
            }),
            _ => Trouble::Failed(Failure {
                class: error.class().as_str(),
                message: error.to_string(),
            }),
        })
    }
}

fn refusal_line(error: &SourceError) -> String {
    let code = match error.class() {
        ErrorClass::PathMissing => "empty-tree",
        class => class.as_str(),
    };
    format!("error[{code}]: {error}")
}

/// What became of a tree.
#[derive(Debug, Default)]
pub struct Built {
    /// The snapshot, unless there are errors.
    pub snapshot: Option<Snapshot>,
    /// The number of errors.
    pub errors: usize,
    /// The number of warnings.
    pub warnings: usize,
    /// Every diagnostic in the form `path:line:col: error[code]: what`.
    pub lines: Vec<String>,
}

/// Makes a snapshot of a tree: parse and compile.
pub type Build = dyn Fn(&Tree) -> Built + Send + Sync;

/// Asks for a check before its time.
#[derive(Clone, Debug)]
pub struct Poke {
    /// The number of checks that were asked for.
    asked: watch::Sender<u64>,
    /// How many of them are answered: by a check that began after they were asked for.
    done: watch::Receiver<u64>,
}

impl Poke {
    /// Asks for a check and returns at once.
    pub fn ask(&self) {
        self.ticket();
    }

    /// Asks for a check and waits until one that began afterwards has ended, whatever its outcome. Returns `false` when
    /// the loop has ended instead.
    pub async fn check(&self) -> bool {
        let ticket = self.ticket();
        let mut done = self.done.clone();
        done.wait_for(|done| *done >= ticket).await.is_ok()
    }

    fn ticket(&self) -> u64 {
        let mut ticket = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            ticket = *asked;
        });
        ticket
    }
}

/// The loop.
pub struct Poller {
    desired: Arc<Mutex<Box<dyn Desired>>>,
    build: Arc<Build>,
    publisher: Publisher,
    pace: Pace,
    poke: Poke,
    done: watch::Sender<u64>,
    report: Report,
    /// The revision that was last compiled, published or not.
    known: Option<Revision>,
    /// Why `known` is not served, if it is not.
    refusal: Option<Arc<Refusal>>,
    /// The warnings of what is served.
    warnings: usize,
}

impl Poller {
    /// A loop that checks every `interval`.
    #[must_use]
    pub fn new(
        desired: Box<dyn Desired>,
        build: Arc<Build>,
        publisher: Publisher,
        interval: Duration,
    ) -> Self {
        let done = watch::Sender::new(0);
        let poke = Poke {
            asked: watch::Sender::new(0),
            done: done.subscribe(),
        };
        Self {
            desired: Arc::new(Mutex::new(desired)),
            build,
            publisher,
            pace: Pace::new(interval),
            poke,
            done,
            report: Report::default(),
            known: None,
            refusal: None,
            warnings: 0,
        }
    }

    /// A handle to ask for checks.
    #[must_use]
    pub fn poke(&self) -> Poke {
        self.poke.clone()
    }

    /// Checks until `stop` turns true. A check that is running then is told to give up, and not waited for.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut asked = self.poke.asked.subscribe();
        let interrupt = Arc::new(AtomicBool::new(false));
        loop {
            let ticket = *asked.borrow_and_update();
            tokio::select! {
                () = self.attempt(&interrupt) => {}
                () = stopped(&mut stop) => break,
            }
            self.done.send_replace(ticket);
            let pause = self.pace.pause(rand::random());
            tracing::debug!(millis = millis(pause), "the next check is due");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // We hold a sender ourselves, so this never fails.
                _ = asked.changed() => {}
                () = stopped(&mut stop) => break,
            }
        }
        interrupt.store(true, Ordering::Relaxed);
    }

    async fn attempt(&mut self, interrupt: &Arc<AtomicBool>) {
        let started = Instant::now();
        match self.check(interrupt).await {
            Ok(Check::Unchanged(revision)) => {
                tracing::debug!(revision = revision.as_str(), "the remote has nothing new");
                self.recovered();
                match &self.refusal {
                    Some(refusal) => self.publisher.refuse(Arc::clone(refusal), Moment::now()),
                    None => self.publisher.unchanged(Moment::now()),
                }
            }
            Ok(Check::Moved(tree)) if self.is_served() => {
                self.recovered();
                self.move_to(tree.revision().clone(), started);
            }
            Ok(Check::Moved(tree) | Check::Changed(tree)) => {
                self.recovered();
                self.build(tree, started).await;
            }
            Err(Trouble::Refused(refusal)) => {
                self.recovered();
                self.refuse(refusal);
            }
            Err(Trouble::Failed(failure)) => {
                let failure = Arc::new(failure);
                self.pace.failed();
                self.publisher.fail(Arc::clone(&failure), Moment::now());
                self.report.failed(&failure, &self.publisher.current());
            }
        }
    }

    async fn check(&self, interrupt: &Arc<AtomicBool>) -> Result<Check, Trouble> {
        let desired = Arc::clone(&self.desired);
        let known = self.known.clone();
        let interrupt = Arc::clone(interrupt);
        let checked = tokio::task::spawn_blocking(move || {
            let mut desired = desired.lock().unwrap_or_else(PoisonError::into_inner);
            desired.check(known.as_ref(), &interrupt)
        });
        checked.await.unwrap_or_else(|_| {
            Err(Trouble::Failed(Failure {
                class: "internal",
                message: "the check ended in a fault of the server itself".to_owned(),
            }))
        })
    }

    /// Whether the known revision is the one that is served.
    fn is_served(&self) -> bool {
        let publication = self.publisher.current();
        self.refusal.is_none()
            && self.known.is_some()
            && publication.revision() == self.known.as_ref()
    }

    /// Serves what is served under the name of a revision that has the same files.
    fn move_to(&mut self, revision: Revision, started: Instant) {
        if let Some(snapshot) = &self.publisher.current().snapshot {
            let snapshot = snapshot.with_revision(revision.clone());
            self.known = Some(revision);
            self.publisher.publish(snapshot, Moment::now());
            let publication = self.publisher.current();
            report::published(&publication, self.warnings, &[], started);
        }
    }

    async fn build(&mut self, tree: Tree, started: Instant) {
        let revision = tree.revision().clone();
        let build = Arc::clone(&self.build);
        // A fault in the compiler must not end the loop, and would come again with the same tree: it is a refusal.
        let compiled = tokio::task::spawn_blocking(move || {
            catch_unwind(AssertUnwindSafe(|| build(&tree))).ok()
        });
        let compiled = compiled.await.ok().flatten().unwrap_or_else(|| Built {
            errors: 1,
            lines: vec!["error[internal]: the compiler ended in a fault of its own".to_owned()],
            ..Built::default()
        });
        match compiled.snapshot {
            Some(snapshot) if compiled.errors == 0 => {
                self.known = Some(revision);
                self.refusal = None;
                self.warnings = compiled.warnings;
                self.publisher.publish(snapshot, Moment::now());
                let publication = self.publisher.current();
                report::published(&publication, compiled.warnings, &compiled.lines, started);
            }
            _ => self.refuse(Refusal {
                revision,
                errors: compiled.errors.max(1),
                warnings: compiled.warnings,
                lines: compiled.lines,
            }),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let refusal = Arc::new(refusal);
        self.known = Some(refusal.revision.clone());
        self.refusal = Some(Arc::clone(&refusal));
        self.publisher.refuse(Arc::clone(&refusal), Moment::now());
        report::refused(&refusal, &self.publisher.current());
    }

    fn recovered(&mut self) {
        self.pace.succeeded();
        self.report.recovered();
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
