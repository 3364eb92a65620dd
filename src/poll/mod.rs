//! The reconcile loop: ask the remote, fetch what is new, compile it, and publish it or say why not.
//!
//! One check runs at a time, and at most one more waits. Nothing that a check meets ends the loop.

mod keep;
mod pace;
mod poke;
mod rekey;
mod report;
mod restore;
mod rollback;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::keyring::Keyring;
use crate::observe::otlp::Stage;
use crate::observe::{metrics, stage};
use crate::publish::{Failure, Moment, Outcome, Publisher, Refusal};
use crate::pulse::Pulse;
use crate::snapshot::Snapshot;
use crate::source::{self, Check, ErrorClass, Remote, SourceError};
use crate::state::State;
use crate::tree::{Revision, Tree};
use keep::Keeper;
use pace::{Pace, Wonders};
use poke::Pokes;
use rekey::{Trees, lock, rekeyed};
use report::Report;
use restore::Restorer;
use rollback::Floor;

pub use poke::{Checks, Poke, Steps};

/// How long work of this machine alone may take: to read what is stored, to walk a commit, to compile it. A fleet of a
/// million machines takes seconds.
const WORK_TIME: Duration = Duration::from_mins(10);

/// Where the desired state comes from. A check blocks; it gives up when `interrupt` is set.
pub trait Desired: Send {
    /// Asks for what is newer than `known`.
    ///
    /// # Errors
    /// Says why the desired state could not be read.
    fn check(&mut self, known: Option<&Revision>, interrupt: &AtomicBool)
    -> Result<Check, Trouble>;

    /// Ensures that a tree that was kept from an earlier check would be accepted now. Asks no remote.
    ///
    /// # Errors
    /// Says why it is not accepted any more.
    fn admit_again(&self, tree: &Tree) -> Result<(), Trouble> {
        let _ = tree;
        Ok(())
    }

    /// How many bytes have come over the wire since the start.
    fn received(&self) -> u64 {
        0
    }

    /// Whether the files that the last check took its credentials from hold something else now. Asks no remote.
    fn has_new_credentials(&self) -> bool {
        false
    }

    /// How long a check may take by its own limits; longer is a fault of ours.
    fn patience(&self) -> Duration {
        Duration::MAX
    }
}

/// Why a check brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The remote could not be read; try again.
    Failed(Failure),
    /// The same, but to try again before this long has passed would do harm.
    Barred(Failure, Duration),
    /// The remote has a revision that can never become a tree; nothing to do until it has another one.
    Refused(Refusal),
}

impl Desired for Remote {
    fn check(
        &mut self,
        known: Option<&Revision>,
        interrupt: &AtomicBool,
    ) -> Result<Check, Trouble> {
        let is_here = self.settings().repo.is_local();
        Self::check(self, known, interrupt).map_err(|error| trouble(&error, is_here))
    }

    fn admit_again(&self, tree: &Tree) -> Result<(), Trouble> {
        Self::admit_again(self, tree).map_err(|error| trouble(&error, true))
    }

    fn received(&self) -> u64 {
        Self::received(self)
    }

    fn has_new_credentials(&self) -> bool {
        Self::has_new_credentials(self)
    }

    fn patience(&self) -> Duration {
        let source::Settings {
            git_timeout,
            fetch_timeout,
            ..
        } = self.settings();
        // A fetch whose objects are of no use is begun anew.
        git_timeout.saturating_add(*fetch_timeout).saturating_mul(2)
    }
}

/// What an error means for the loop; `is_here` says whether no host was asked that could mind.
fn trouble(error: &SourceError, is_here: bool) -> Trouble {
    match error.revision() {
        Some(revision) if !error.is_transient() => {
            Trouble::Refused(Refusal::whole(revision.clone(), refusal_line(error)))
        }
        _ => {
            let failure = Failure {
                class: error.class().as_str(),
                message: error.to_string(),
            };
            let floor = pace::floor(error.class()).max(error.retry_after().unwrap_or_default());
            if is_here || floor.is_zero() {
                Trouble::Failed(failure)
            } else {
                Trouble::Barred(failure, floor)
            }
        }
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
    /// The same as `gitboot validate` prints them, cut where there are very many; empty where there are none.
    pub text: String,
}

impl Built {
    /// No snapshot, for a reason that has no place in a file, in the form `error[code]: what`.
    fn refused(line: String) -> Self {
        Self {
            errors: 1,
            text: format!("{line}\nerror: 1 error\n"),
            lines: vec![line],
            ..Self::default()
        }
    }
}

/// Makes a snapshot of a tree: parse and compile.
pub type Build = dyn Fn(&Tree) -> Built + Send + Sync;

/// Why a check begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It is time, or somebody knows that there is something new.
    Due,
    /// Somebody asked for an id that nobody here knows.
    Wonder,
}

/// The loop.
pub struct Poller {
    desired: Arc<Mutex<Box<dyn Desired>>>,
    build: Arc<Build>,
    publisher: Publisher,
    pace: Pace,
    wonders: Wonders,
    pokes: Pokes,
    report: Report,
    /// Where publications survive a restart.
    state: Option<State>,
    keeper: Option<Keeper>,
    /// `None` when the published commit may be followed by an older one.
    floor: Option<Floor>,
    /// The files outside of the repository that `build` looks into.
    keyring: Option<Arc<Mutex<Keyring>>>,
    trees: Trees,
    pulse: Pulse,
    /// How long a check may take by its own limits.
    patience: Duration,
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
        Self {
            pulse: Pulse::new("the loop that follows the repository"),
            patience: desired.patience(),
            desired: Arc::new(Mutex::new(desired)),
            build,
            publisher,
            pace: Pace::new(interval),
            wonders: Wonders::default(),
            pokes: Pokes::new(),
            report: Report::default(),
            state: None,
            keeper: None,
            floor: None,
            keyring: None,
            trees: Trees::default(),
            known: None,
            refusal: None,
            warnings: 0,
        }
    }

    /// The same loop, which serves at first what it finds here, and writes here what it publishes.
    #[must_use]
    pub fn with_state(self, state: State) -> Self {
        Self {
            state: Some(state),
            ..self
        }
    }

    /// The same loop, which refuses a commit that is older than the last one it published.
    #[must_use]
    pub fn refusing_rollbacks(self) -> Self {
        Self {
            floor: Some(Floor::default()),
            ..self
        }
    }

    /// The same loop, which compiles again when these files hold something else.
    #[must_use]
    pub fn watching(self, keyring: Arc<Mutex<Keyring>>) -> Self {
        let has_files = lock(&keyring).has_files();
        Self {
            keyring: has_files.then_some(keyring),
            ..self
        }
    }

    /// A handle to ask for checks.
    #[must_use]
    pub fn poke(&self) -> Poke {
        self.pokes.poke()
    }

    /// The loop's sign of life: it is late when a step takes longer than its own limits allow, however long those are.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Checks until `stop` turns true. A check that is running then is told to give up, and not waited for.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        metrics().expect_failures(ErrorClass::ALL.map(ErrorClass::as_str));
        let interrupt = Arc::new(AtomicBool::new(false));
        let mut cause = Cause::Due;
        let pulse = self.pulse.clone();
        pulse.within(WORK_TIME);
        tokio::select! {
            () = self.restore() => {}
            () = stopped(&mut stop) => return pulse.rest(),
        }
        loop {
            let began = Instant::now();
            self.pokes.begin();
            let found = tokio::select! {
                found = self.attempt(&interrupt) => found,
                () = stopped(&mut stop) => break,
            };
            self.pokes.end();
            if cause == Cause::Wonder && !found {
                self.wonders.found_nothing(Instant::now());
            }
            cause = tokio::select! {
                cause = self.pause(began) => cause,
                () = stopped(&mut stop) => break,
            };
        }
        interrupt.store(true, Ordering::Relaxed);
        pulse.rest();
    }

    async fn restore(&mut self) {
        let Some(state) = self.state.take() else {
            // Whatever was handed out before the start is not known here.
            self.publisher.missed(Duration::ZERO, Moment::now());
            return;
        };
        let is_told = !keep::prepare(&state).await;
        self.keeper = Some(Keeper::spawn(state.clone(), is_told));
        let restorer = Restorer {
            is_told,
            state,
            build: Arc::clone(&self.build),
            desired: Arc::clone(&self.desired),
        };
        let Some(served) = restorer.restore(&mut self.publisher).await else {
            return;
        };
        if let Some(floor) = &mut self.floor {
            floor.published(served.tree.commit());
        }
        self.known = Some(served.tree.revision().clone());
        self.remember(|trees| trees.served = Some(Arc::new(served.tree)));
    }

    /// Waits until the next check is due; `began` is when the last one began.
    async fn pause(&mut self, began: Instant) -> Cause {
        let pause = self.pace.pause(rand::random());
        tracing::debug!(millis = millis(pause), "the next check is due");
        self.pulse.within(pause.saturating_add(WORK_TIME));
        let now = Instant::now();
        let mut due = now + pause;
        let mut cause = Cause::Due;
        let is_backing_off = self.pace.is_backing_off();
        let mut welcome = !is_backing_off && self.wonders.may_check(now);
        let mut ear = self.pokes.ear();
        let mut renewed = std::pin::pin!(renewed(Arc::clone(&self.desired)));
        let mut rekeyed = std::pin::pin!(rekeyed(self.keyring.clone()));
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => return cause,
                () = &mut renewed, if is_backing_off => return Cause::Due,
                () = &mut rekeyed => return Cause::Due,
                is_asked = ear.listen(welcome) => {
                    if is_asked {
                        return Cause::Due;
                    }
                    welcome = false;
                    let soon = began + pace::MIN_INTERVAL;
                    if soon < due {
                        due = soon;
                        cause = Cause::Wonder;
                    }
                }
            }
        }
    }

    /// One check and what follows from it. Says whether the remote has something new, be it good or bad.
    async fn attempt(&mut self, interrupt: &Arc<AtomicBool>) -> bool {
        self.pulse.within(WORK_TIME);
        let mut round = stage("poll");
        let is_rekeyed = self.rekey().await;
        self.pulse.within(self.patience.saturating_add(WORK_TIME));
        let started = Instant::now();
        let is_new = match self.check(interrupt).await {
            Ok(Check::Unchanged(revision)) => {
                tracing::debug!(revision = revision.as_str(), "the remote has nothing new");
                self.recovered();
                match &self.refusal {
                    Some(refusal) => self.publisher.refuse(Arc::clone(refusal), Moment::now()),
                    None => self.publisher.unchanged(Moment::now()),
                }
                false
            }
            Ok(Check::Moved(tree)) => {
                self.recovered();
                self.take(tree, self.served(), started).await;
                true
            }
            Ok(Check::Changed(tree)) => {
                self.recovered();
                self.take(tree, None, started).await;
                true
            }
            Err(Trouble::Refused(refusal)) => {
                self.recovered();
                self.refuse(refusal);
                true
            }
            Err(Trouble::Failed(failure)) => {
                self.fail(failure, Duration::ZERO);
                false
            }
            Err(Trouble::Barred(failure, floor)) => {
                self.fail(failure, floor);
                false
            }
        };
        self.note_end(&mut round);
        is_new || is_rekeyed
    }

    /// Notes how a check ended, for its trace.
    fn note_end(&self, round: &mut Stage) {
        let publication = self.publisher.current();
        let last = publication.last_attempt.as_ref();
        let word = match last.map(|attempt| &attempt.outcome) {
            Some(Outcome::Published | Outcome::Restored) => "in_step",
            Some(Outcome::Refused(_)) => "refused",
            Some(Outcome::Failed(failure)) => {
                round.fail(failure.class);
                "failed"
            }
            None => return,
        };
        round.note("gitboot.outcome", word);
        for (key, revision) in [
            ("gitboot.revision", publication.revision()),
            ("gitboot.remote_revision", publication.remote.as_ref()),
        ] {
            if let Some(revision) = revision {
                round.note(key, revision.as_str());
            }
        }
    }

    async fn check(&self, interrupt: &Arc<AtomicBool>) -> Result<Check, Trouble> {
        let desired = Arc::clone(&self.desired);
        let known = self.known.clone();
        let interrupt = Arc::clone(interrupt);
        let checked = tokio::task::spawn_blocking(move || {
            let mut desired = desired.lock().unwrap_or_else(PoisonError::into_inner);
            let (began, before) = (Instant::now(), desired.received());
            let mut stage = stage("fetch");
            let found = desired.check(known.as_ref(), &interrupt);
            if let Err(Trouble::Failed(failure) | Trouble::Barred(failure, _)) = &found {
                stage.fail(failure.class);
            }
            drop(stage);
            metrics().checked();
            metrics().received(desired.received().saturating_sub(before));
            if matches!(found, Ok(Check::Moved(_) | Check::Changed(_))) {
                metrics().fetched(began.elapsed());
            }
            found
        });
        checked.await.unwrap_or_else(|_| {
            Err(Trouble::Failed(Failure {
                class: "internal",
                message: "the check ended in a fault of the server itself".to_owned(),
            }))
        })
    }

    /// What is served, if it is of the known revision.
    fn served(&self) -> Option<Arc<Snapshot>> {
        let served = self.publisher.current().snapshot.clone();
        served.filter(|served| {
            self.refusal.is_none() && self.known.as_ref() == Some(served.revision())
        })
    }

    /// Publishes a tree unless it is refused. `same` is what was made of the same files.
    async fn take(&mut self, tree: Tree, same: Option<Arc<Snapshot>>, started: Instant) {
        if let Some(refusal) = self.floor.as_ref().and_then(|floor| floor.refusal(&tree)) {
            self.refuse(refusal);
        } else if let Some(same) = same {
            let snapshot = same.with_revision(tree.revision().clone());
            let built = Built {
                warnings: self.warnings,
                ..Built::default()
            };
            self.publish(snapshot, Arc::new(tree), &built, started);
        } else {
            self.build(Arc::new(tree), started).await;
        }
    }

    async fn build(&mut self, tree: Arc<Tree>, started: Instant) {
        let mut compiled = self.compiled(&tree).await;
        match compiled.snapshot.take() {
            Some(snapshot) if compiled.errors == 0 => {
                self.publish(snapshot, tree, &compiled, started);
            }
            _ => {
                self.refuse(Refusal {
                    revision: tree.revision().clone(),
                    errors: compiled.errors.max(1),
                    warnings: compiled.warnings,
                    lines: compiled.lines,
                    text: compiled.text,
                });
                self.remember(|trees| trees.refused = Some(tree));
            }
        }
    }

    async fn compiled(&self, tree: &Arc<Tree>) -> Built {
        self.pulse.within(WORK_TIME);
        let build = Arc::clone(&self.build);
        let tree = Arc::clone(tree);
        let compiled = tokio::task::spawn_blocking(move || restore::compiled(&*build, &tree));
        compiled.await.unwrap_or_default()
    }

    /// Notes trees where they may have to be compiled again.
    fn remember(&mut self, note: impl FnOnce(&mut Trees)) {
        if self.keyring.is_some() {
            note(&mut self.trees);
        }
    }

    fn publish(&mut self, snapshot: Snapshot, tree: Arc<Tree>, built: &Built, started: Instant) {
        self.known = Some(tree.revision().clone());
        self.refusal = None;
        self.warnings = built.warnings;
        if let Some(floor) = &mut self.floor {
            floor.published(tree.commit());
        }
        self.notice_gap(&tree);
        let before = self.publisher.current();
        let mut stage = stage("publish");
        stage.note("gitboot.revision", tree.revision().as_str());
        self.publisher
            .publish_warned(snapshot, built.warnings, Moment::now());
        drop(stage);
        metrics().published();
        let publication = self.publisher.current();
        let signer = tree.commit().and_then(|commit| commit.principal.as_deref());
        report::published(&publication, signer, built, started);
        // To free what a large fleet takes is work, too, and the next check need not wait for it.
        tokio::task::spawn_blocking(move || drop(before));
        let served = self.trees.served.as_ref();
        let is_kept = served.is_some_and(|served| Arc::ptr_eq(served, &tree));
        if let Some(keeper) = self.keeper.as_ref().filter(|_| !is_kept) {
            keeper.keep(Arc::clone(&tree));
        }
        self.remember(|trees| {
            *trees = Trees {
                served: Some(tree),
                refused: None,
            };
        });
    }

    /// A commit that does not follow on the one that is served: others may have served those between.
    fn notice_gap(&mut self, tree: &Tree) {
        let publication = self.publisher.current();
        let served = publication.revision();
        if served.is_some() && served != tree.parent() {
            self.publisher.missed(Duration::ZERO, Moment::now());
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let refusal = Arc::new(refusal);
        self.trees.refused = None;
        self.known = Some(refusal.revision.clone());
        self.refusal = Some(Arc::clone(&refusal));
        metrics().refused();
        self.publisher.refuse(Arc::clone(&refusal), Moment::now());
        report::refused(&refusal, &self.publisher.current());
    }

    fn fail(&mut self, failure: Failure, floor: Duration) {
        let failure = Arc::new(failure);
        self.pace.failed(floor);
        metrics().failed(failure.class);
        self.publisher.fail(Arc::clone(&failure), Moment::now());
        self.report.failed(&failure, &self.publisher.current());
    }

    fn recovered(&mut self) {
        self.pace.succeeded();
        self.report.recovered();
        if let Some(keeper) = &mut self.keeper {
            keeper.answered();
        }
    }
}

/// Ends when the files of the credentials hold something else than at the last check.
async fn renewed(desired: Arc<Mutex<Box<dyn Desired>>>) {
    loop {
        tokio::time::sleep(pace::CREDENTIALS_PAUSE).await;
        let desired = Arc::clone(&desired);
        let is_new = tokio::task::spawn_blocking(move || {
            let desired = desired.lock().unwrap_or_else(PoisonError::into_inner);
            desired.has_new_credentials()
        });
        if is_new.await.unwrap_or(false) {
            tracing::debug!("the credentials were replaced: checking the repository now");
            return;
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
