//! The reconcile loop, driven by values.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gitboot::poll::{Build, Built, Desired, Poke, Poller, Trouble};
use gitboot::publish::{Current, Failure, Outcome, Publisher, Refusal};
use gitboot::snapshot::Snapshot;
use gitboot::source::Check;
use gitboot::state::{Key, State};
use gitboot::tree::{Commit, Limits, Revision, Tree};
use tokio::sync::watch;

/// Long enough that only pokes start checks.
const NEVER: Duration = Duration::from_secs(100_000);

type Answer = Result<Check, Trouble>;

/// A remote that gives these answers in turn and notes what it was told was known.
struct Remote {
    answers: Receiver<Answer>,
    known: Arc<Mutex<Vec<Option<String>>>>,
}

impl Desired for Remote {
    fn check(&mut self, known: Option<&Revision>, interrupt: &AtomicBool) -> Answer {
        self.known
            .lock()
            .unwrap()
            .push(known.map(ToString::to_string));
        loop {
            if let Ok(answer) = self.answers.recv_timeout(Duration::from_millis(5)) {
                return answer;
            }
            if interrupt.load(Ordering::Relaxed) {
                return failed("interrupted");
            }
        }
    }
}

fn failed(message: &str) -> Answer {
    Err(Trouble::Failed(Failure {
        class: "refused",
        message: message.to_owned(),
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of a remote")]
fn changed(revision: &str) -> Answer {
    Ok(Check::Changed(Tree::new(
        Revision::new(revision),
        BTreeMap::new(),
    )))
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of a remote")]
fn changed_at(revision: &str, time: i64) -> Answer {
    let commit = Commit {
        time,
        first_parent: None,
        principal: None,
        raw: Vec::new().into(),
    };
    let tree = Tree::new(Revision::new(revision), BTreeMap::new());
    Ok(Check::Changed(tree.with_commit(commit)))
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of a remote")]
fn moved(revision: &str) -> Answer {
    Ok(Check::Moved(Tree::new(
        Revision::new(revision),
        BTreeMap::new(),
    )))
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers of a remote")]
fn unchanged(revision: &str) -> Answer {
    Ok(Check::Unchanged(Revision::new(revision)))
}

/// Revisions whose name starts with `bad` have an error, those with `panic` are our fault.
fn build(tree: &Tree) -> Built {
    let name = tree.revision().as_str();
    assert!(
        !name.starts_with("panic"),
        "a fault of the compiler, on purpose"
    );
    if name.starts_with("bad") {
        let lines = vec![format!("a.yaml:1:1: error[bad]: {name}")];
        return Built {
            errors: 1,
            lines,
            ..Built::default()
        };
    }
    let snapshot = Snapshot::new(tree.revision().clone(), 0, Vec::new(), [].into(), [].into());
    Built {
        snapshot: Some(snapshot),
        ..Built::default()
    }
}

struct Loop {
    answers: Sender<Answer>,
    known: Arc<Mutex<Vec<Option<String>>>>,
    builds: Arc<AtomicUsize>,
    poke: Poke,
    current: Current,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Loop {
    fn start() -> Self {
        Self::start_as(|poller| poller)
    }

    fn start_as(make: impl FnOnce(Poller) -> Poller) -> Self {
        let (answers, remote) = channel();
        let known = Arc::<Mutex<Vec<_>>>::default();
        let builds = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&builds);
        let count_and_build: Arc<Build> = Arc::new(move |tree| {
            counted.fetch_add(1, Ordering::Relaxed);
            build(tree)
        });
        let remote = Remote {
            answers: remote,
            known: Arc::clone(&known),
        };
        let (publisher, current) = Publisher::new(Duration::ZERO);
        let poller = make(Poller::new(
            Box::new(remote),
            count_and_build,
            publisher,
            NEVER,
        ));
        let poke = poller.poke();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(poller.run(stopping));
        Self {
            answers,
            known,
            builds,
            poke,
            current,
            stop,
            task,
        }
    }

    /// Gives the next check this answer and waits for its end.
    async fn next(&self, answer: Answer) {
        self.answers.send(answer).unwrap();
        assert!(self.poke.check().await);
    }

    fn served(&self) -> Option<String> {
        self.current.load().revision().map(ToString::to_string)
    }

    fn outcome(&self) -> Outcome {
        self.current.load().last_attempt.clone().unwrap().outcome
    }

    fn known(&self) -> Vec<Option<String>> {
        self.known.lock().unwrap().clone()
    }

    /// The loop begins with a check of its own; `next` waits for one that began after it.
    async fn started_with(answer: Answer) -> Self {
        Self::start().after(answer).await
    }

    async fn after(self, answer: Answer) -> Self {
        let started = self;
        started.answers.send(answer).unwrap();
        while started.current.load().last_attempt.is_none() {
            tokio::task::yield_now().await;
        }
        started
    }
}

fn refusal(revision: &str, line: &str) -> Outcome {
    Outcome::Refused(Arc::new(Refusal {
        revision: Revision::new(revision),
        errors: 1,
        warnings: 0,
        lines: vec![line.to_owned()],
        // What has no place in a file was not made by the compiler.
        text: if line.starts_with("error[") {
            format!("{line}\nerror: 1 error\n")
        } else {
            String::new()
        },
    }))
}

#[tokio::test]
async fn a_good_revision_is_published_and_a_bad_one_changes_nothing() {
    let poller = Loop::started_with(changed("one")).await;
    assert_eq!(poller.served().as_deref(), Some("one"));
    assert_eq!(poller.outcome(), Outcome::Published);
    poller.next(changed("bad-two")).await;
    assert_eq!(poller.served().as_deref(), Some("one"));
    assert_eq!(
        poller.outcome(),
        refusal("bad-two", "a.yaml:1:1: error[bad]: bad-two")
    );
    poller.next(changed("three")).await;
    assert_eq!(poller.served().as_deref(), Some("three"));
    assert_eq!(poller.outcome(), Outcome::Published);
}

#[tokio::test]
async fn a_refused_revision_is_not_compiled_again_until_the_remote_moves() {
    let poller = Loop::started_with(changed("bad-one")).await;
    poller.next(unchanged("bad-one")).await;
    poller.next(failed("away")).await;
    poller.next(unchanged("bad-one")).await;
    assert_eq!(poller.builds.load(Ordering::Relaxed), 1);
    assert_eq!(
        poller.outcome(),
        refusal("bad-one", "a.yaml:1:1: error[bad]: bad-one")
    );
    let bad = Some("bad-one".to_owned());
    assert_eq!(poller.known(), [None, bad.clone(), bad.clone(), bad]);
}

#[tokio::test]
async fn a_revision_that_can_never_be_a_tree_is_refused_once() {
    let poller = Loop::started_with(changed("one")).await;
    let refused = Refusal::whole(
        Revision::new("two"),
        "error[limit]: too many files".to_owned(),
    );
    poller.next(Err(Trouble::Refused(refused))).await;
    assert_eq!(
        poller.outcome(),
        refusal("two", "error[limit]: too many files")
    );
    poller.next(unchanged("two")).await;
    assert_eq!(poller.known().last(), Some(&Some("two".to_owned())));
    assert_eq!(
        poller.outcome(),
        refusal("two", "error[limit]: too many files")
    );
    assert_eq!(poller.served().as_deref(), Some("one"));
}

#[tokio::test]
async fn an_older_commit_is_refused_where_rollbacks_are() {
    let poller = Loop::start_as(Poller::refusing_rollbacks);
    let poller = poller.after(changed_at("one", 100)).await;
    poller.next(changed_at("same-time", 100)).await;
    assert_eq!(poller.served().as_deref(), Some("same-time"));
    // A refused commit does not move the time.
    poller.next(changed_at("bad", 300)).await;
    poller.next(changed_at("two", 200)).await;
    assert_eq!(poller.served().as_deref(), Some("two"));
    poller.next(changed_at("older", 199)).await;
    assert_eq!(poller.served().as_deref(), Some("two"));
    let line = "error[rollback]: the commit is 1 s older than the one that is served; commit anew, or allow it with \
                `--allow-rollback`";
    assert_eq!(poller.outcome(), refusal("older", line));
    poller.next(unchanged("older")).await;
    assert_eq!(poller.outcome(), refusal("older", line));
    assert_eq!(poller.builds.load(Ordering::Relaxed), 4);
    poller.next(changed_at("three", 201)).await;
    assert_eq!(poller.served().as_deref(), Some("three"));
}

#[tokio::test]
async fn an_older_commit_is_published_where_rollbacks_are_allowed() {
    let poller = Loop::started_with(changed_at("one", 100)).await;
    poller.next(changed_at("older", 99)).await;
    assert_eq!(poller.served().as_deref(), Some("older"));
}

#[tokio::test]
async fn a_remote_that_is_away_changes_nothing_and_may_come_back() {
    let poller = Loop::started_with(changed("one")).await;
    let last_good = poller.current.load().last_good_check.unwrap();
    poller.next(failed("connection refused")).await;
    let failure = Failure {
        class: "refused",
        message: "connection refused".to_owned(),
    };
    assert_eq!(poller.outcome(), Outcome::Failed(Arc::new(failure)));
    assert_eq!(poller.served().as_deref(), Some("one"));
    assert_eq!(poller.current.load().last_good_check, Some(last_good));
    poller.next(unchanged("one")).await;
    assert_eq!(poller.outcome(), Outcome::Published);
    assert!(poller.current.load().last_good_check > Some(last_good));
}

#[tokio::test]
async fn a_fault_of_the_compiler_is_a_refusal() {
    let poller = Loop::started_with(changed("one")).await;
    poller.next(changed("panic")).await;
    let line = "error[internal]: the compiler ended in a fault of its own";
    assert_eq!(poller.outcome(), refusal("panic", line));
    assert_eq!(poller.served().as_deref(), Some("one"));
    poller.next(changed("two")).await;
    assert_eq!(poller.served().as_deref(), Some("two"));
}

/// Panics at its first check.
struct Faulty(bool);

impl Desired for Faulty {
    fn check(&mut self, _: Option<&Revision>, _: &AtomicBool) -> Answer {
        assert!(
            std::mem::replace(&mut self.0, true),
            "a fault of the source, on purpose"
        );
        changed("one")
    }
}

#[tokio::test]
async fn a_fault_of_the_source_does_not_end_the_loop() {
    let (publisher, current) = Publisher::new(Duration::ZERO);
    let poller = Poller::new(Box::new(Faulty(false)), Arc::new(build), publisher, NEVER);
    let poke = poller.poke();
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(poller.run(stopping));
    assert!(poke.check().await);
    while current.load().revision().is_none() {
        assert!(poke.check().await);
    }
}

#[tokio::test]
async fn pokes_during_a_check_share_one_more() {
    let poller = Loop::start();
    while poller.known().is_empty() {
        tokio::task::yield_now().await;
    }
    // The first check is under way and can have seen none of these.
    let pokes: Vec<_> = (0..50)
        .map(|_| {
            let poke = poller.poke.clone();
            tokio::spawn(async move { poke.check().await })
        })
        .collect();
    poller.poke.ask();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    poller.answers.send(changed("one")).unwrap();
    poller.answers.send(unchanged("one")).unwrap();
    for poke in pokes {
        assert!(poke.await.unwrap());
    }
    assert_eq!(poller.known(), [None, Some("one".to_owned())]);
}

#[tokio::test]
async fn the_end_interrupts_a_check_and_lets_waiting_pokes_go() {
    let poller = Loop::start();
    while poller.known().is_empty() {
        tokio::task::yield_now().await;
    }
    let poke = poller.poke.clone();
    let waiting = tokio::spawn(async move { poke.check().await });
    poller.stop.send(true).unwrap();
    poller.task.await.unwrap();
    assert!(!waiting.await.unwrap());
}

fn committed(revision: &str, time: i64) -> Tree {
    Tree::new(Revision::new(revision), BTreeMap::new()).with_commit(Commit {
        time,
        first_parent: None,
        principal: None,
        raw: Bytes::new(),
    })
}

#[tokio::test]
async fn a_restart_serves_the_last_revision_and_refuses_what_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key {
        repo: "r".to_owned(),
        reference: None,
        path: None,
    };
    let state = State::new(folder.path().to_owned(), key, Limits::default(), NEVER);
    state
        .save(&committed("new", 100), SystemTime::now())
        .unwrap();
    let (answers, remote) = channel();
    let known = Arc::<Mutex<Vec<_>>>::default();
    let remote = Remote {
        answers: remote,
        known: Arc::clone(&known),
    };
    let (publisher, current) = Publisher::new(NEVER);
    let poller = Poller::new(Box::new(remote), Arc::new(build), publisher, NEVER)
        .with_state(state)
        .refusing_rollbacks();
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(poller.run(stopping));
    let outcome = || {
        let attempt = current.load().last_attempt.clone();
        attempt.map(|attempt| attempt.outcome)
    };
    while outcome().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(outcome(), Some(Outcome::Restored));
    assert!(current.load().last_good_check.is_none());
    assert_eq!(current.load().revision(), Some(&Revision::new("new")));
    answers
        .send(Ok(Check::Changed(committed("old", 99))))
        .unwrap();
    while outcome() == Some(Outcome::Restored) {
        tokio::task::yield_now().await;
    }
    let Some(Outcome::Refused(refusal)) = outcome() else {
        panic!("{:?}", outcome());
    };
    assert!(refusal.lines[0].starts_with("error[rollback]: the commit is 1 s older"));
    assert_eq!(*known.lock().unwrap(), [Some("new".to_owned())]);
    assert_eq!(current.load().revision(), Some(&Revision::new("new")));
    assert!(current.load().last_good_check.is_some());
}

#[tokio::test]
async fn the_same_tree_moves_the_revision_without_a_build() {
    let started = Loop::started_with(changed("one")).await;
    started.next(moved("two")).await;
    assert_eq!(started.served().as_deref(), Some("two"));
    assert_eq!(started.outcome(), Outcome::Published);
    assert_eq!(started.builds.load(Ordering::Relaxed), 1);
    started.next(unchanged("two")).await;
    assert_eq!(started.known().last().unwrap().as_deref(), Some("two"));
}

#[tokio::test]
async fn the_same_tree_under_another_revision_is_kept_and_moves_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key {
        repo: "r".to_owned(),
        reference: None,
        path: None,
    };
    let state = State::new(folder.path().to_owned(), key, Limits::default(), NEVER);
    let kept = state.clone();
    let started = Loop::start_as(|poller| poller.with_state(state).refusing_rollbacks());
    let started = started.after(changed_at("one", 100)).await;
    started.next(Ok(Check::Moved(committed("two", 200)))).await;
    started.next(Ok(Check::Moved(committed("old", 199)))).await;
    assert_eq!(started.served().as_deref(), Some("two"));
    let line = "error[rollback]: the commit is 1 s older than the one that is served; commit anew, or allow it with \
                `--allow-rollback`";
    assert_eq!(started.outcome(), refusal("old", line));
    assert_eq!(started.builds.load(Ordering::Relaxed), 1);
    let newest = || kept.newest().unwrap().map(|stored| stored.tree);
    while newest().is_none_or(|tree| tree.revision().as_str() != "two") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_same_tree_as_a_refused_one_is_looked_at_again() {
    let started = Loop::started_with(changed("one")).await;
    started.next(changed("bad-1")).await;
    started.next(moved("bad-2")).await;
    assert_eq!(started.served().as_deref(), Some("one"));
    let Outcome::Refused(refusal) = started.outcome() else {
        panic!("not refused");
    };
    assert_eq!(refusal.revision.as_str(), "bad-2");
    assert_eq!(started.builds.load(Ordering::Relaxed), 3);
}
