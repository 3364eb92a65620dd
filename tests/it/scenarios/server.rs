//! The real loop over a real repository, in this process, with what a metric would count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gitboot::compile::{Options, compile};
use gitboot::id::ConfigId;
use gitboot::manifest::{Cache, parse_changed};
use gitboot::poll::{Build, Built, Checks, Poke, Poller};
use gitboot::publish::{Attempt, Current, Outcome, Publisher};
use gitboot::source::{Remote, Settings, SourceError};
use gitboot::state::{Key, State};
use gitboot::tree::Revision;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::http::DEADLINE;

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// What the metrics of one process have counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// `gitboot_sync_errors_total`, by its label `class`: every check that could not read the repository.
    pub(super) errors: BTreeMap<&'static str, u32>,
    /// `gitboot_refused_revisions_total`: every revision that was refused, once.
    pub(super) refused: u32,
    last_refused: Option<Revision>,
}

impl Tally {
    fn count(&mut self, attempt: &Attempt) {
        match &attempt.outcome {
            Outcome::Restored => {}
            Outcome::Published => self.last_refused = None,
            Outcome::Failed(failure) => *self.errors.entry(failure.class).or_default() += 1,
            Outcome::Refused(refusal) => {
                if self.last_refused.as_ref() != Some(&refusal.revision) {
                    self.refused += 1;
                }
                self.last_refused = Some(refusal.revision.clone());
            }
        }
    }
}

/// The class of an attempt: that of the failure, that of the refusal, or `ok`.
pub(super) fn class_of(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Restored => "restored",
        Outcome::Published => "ok",
        Outcome::Failed(failure) => failure.class,
        Outcome::Refused(refusal) => {
            // What is wrong with a commit as a whole has a code and no place; everything else stands in a file.
            let code = refusal.lines[0].strip_prefix("error[");
            let code = code.and_then(|rest| rest.split_once(']'));
            match code {
                Some(("empty-tree", _)) | None => "content",
                Some((code, _)) => code,
            }
        }
    }
}

/// A running loop; it ends when it is dropped.
pub(super) struct Server {
    runtime: Option<Runtime>,
    pub(super) current: Current,
    pub(super) poke: Poke,
    stop: watch::Sender<bool>,
    state: Option<State>,
    builds: Arc<AtomicUsize>,
    tally: Tally,
    /// What no message may hold.
    secrets: Vec<String>,
}

impl Server {
    /// Starts a loop, as `gitboot serve` does, and does not wait for its first check.
    pub(super) fn start(
        settings: &Settings,
        interval: Duration,
        retain: Duration,
        secrets: &[String],
    ) -> Result<Self, SourceError> {
        let remote = Remote::new(settings.clone())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (publisher, current) = Publisher::new(retain);
        let builds = Arc::<AtomicUsize>::default();
        let build = build(settings.allow_empty, Arc::clone(&builds));
        let mut poller = Poller::new(Box::new(remote), build, publisher, interval);
        let state = state(settings, retain);
        if let Some(state) = &state {
            poller = poller.with_state(state.clone());
        }
        if settings.refuses_rollbacks() {
            poller = poller.refusing_rollbacks();
        }
        let poke = poller.poke();
        let (stop, stopping) = watch::channel(false);
        runtime.spawn(poller.run(stopping));
        Ok(Self {
            runtime: Some(runtime),
            current,
            poke,
            stop,
            state,
            builds,
            tally: Tally::default(),
            secrets: secrets.to_vec(),
        })
    }

    /// Waits for the end of the first check.
    pub(super) fn first_check(&mut self) {
        let current = self.current.clone();
        wait_for("the end of the first check", || {
            let publication = current.load();
            let attempt = publication.last_attempt.as_ref();
            attempt.is_some_and(|attempt| attempt.outcome != Outcome::Restored)
        });
        self.note();
    }

    /// Asks for a check and waits for its end.
    pub(super) fn check(&mut self) {
        let before = self.current.load().last_good_check;
        self.wait(self.ask_many(1));
        let is_failed = matches!(self.outcome(), Outcome::Failed(_));
        let after = self.current.load().last_good_check;
        assert_eq!(before == after, is_failed, "{:?}", self.outcome());
        self.note();
    }

    /// Counts the last attempt, and holds what it says to what is true of all messages.
    pub(super) fn note(&mut self) {
        let publication = self.current.load();
        let attempt = publication.last_attempt.as_ref().unwrap();
        self.tally.count(attempt);
        for message in messages(&attempt.outcome) {
            assert!(!message.trim().is_empty(), "{attempt:?}");
            assert!(!message.contains(char::is_control), "{message:?}");
            for secret in &self.secrets {
                assert!(!message.contains(secret), "{message}");
            }
        }
    }

    /// So many ask for a check, and do not wait yet.
    pub(super) fn ask_many(&self, count: usize) -> Vec<JoinHandle<bool>> {
        let runtime = self.runtime.as_ref().unwrap();
        let ask = || {
            let poke = self.poke.clone();
            runtime.spawn(async move { poke.check().await })
        };
        (0..count).map(|_| ask()).collect()
    }

    /// Waits for what they asked for.
    pub(super) fn wait(&self, asked: Vec<JoinHandle<bool>>) {
        let runtime = self.runtime.as_ref().unwrap();
        for asked in asked {
            assert!(runtime.block_on(asked).unwrap(), "the loop has ended");
        }
    }

    /// So many ask for ids that nobody here knows, and wait for a check that began afterwards.
    pub(super) fn wonder(&self, count: usize) {
        let runtime = self.runtime.as_ref().unwrap();
        let waiting: Vec<Checks> = (0..count).map(|_| self.poke.wonder()).collect();
        runtime.block_on(async {
            for mut checks in waiting {
                let is_after = tokio::time::timeout(DEADLINE, checks.next()).await;
                assert_eq!(is_after, Ok(Some(true)));
            }
        });
    }

    /// The id of a config of what is served.
    pub(super) fn config(&self) -> ConfigId {
        let publication = self.current.load();
        let snapshot = publication.snapshot.as_ref().unwrap();
        snapshot.configs().next().unwrap().0
    }

    /// Whether a machine gets the config with this id.
    pub(super) fn knows(&self, id: ConfigId) -> bool {
        self.current.load().config(id, Instant::now()).is_some()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The revision that is served.
    pub(super) fn served(&self) -> Option<String> {
        self.current.load().revision().map(ToString::to_string)
    }

    /// How the last attempt ended.
    pub(super) fn outcome(&self) -> Outcome {
        self.current.load().last_attempt.clone().unwrap().outcome
    }

    /// How many trees were compiled.
    pub(super) fn builds(&self) -> usize {
        self.builds.load(Ordering::Relaxed)
    }

    /// Waits until what is served would survive a restart.
    pub(super) fn wait_until_stored(&self) {
        let Some(state) = &self.state else {
            return;
        };
        wait_for("the file in the state directory", || {
            let stored = state.newest().ok().flatten();
            stored.map(|stored| stored.tree.revision().to_string()) == self.served()
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(DEADLINE);
        }
    }
}

/// Waits until this is true.
pub(super) fn wait_for(what: &str, is_true: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < until, "{what} does not come");
        std::thread::park_timeout(GLANCE);
    }
}

/// Where publications survive a restart, as the command line wires it.
pub(super) fn state(settings: &Settings, retain: Duration) -> Option<State> {
    let key = Key {
        repo: settings.repo.to_string(),
        reference: settings.reference.clone(),
        path: settings.path.as_ref().map(ToString::to_string),
    };
    let folder = settings.state_dir.clone()?;
    Some(State::new(folder, key, settings.limits, retain))
}

fn build(allow_empty: bool, builds: Arc<AtomicUsize>) -> Arc<Build> {
    let options = Options {
        allow_empty,
        ..Options::default()
    };
    let cache = Mutex::<Cache>::default();
    Arc::new(move |tree| {
        builds.fetch_add(1, Ordering::Relaxed);
        let manifests = parse_changed(tree, options.budget, &mut cache.lock().unwrap());
        let (snapshot, diagnostics) = compile(tree, &manifests, &options);
        Built {
            snapshot,
            errors: diagnostics.error_count(),
            warnings: diagnostics.warning_count(),
            lines: diagnostics.iter().map(ToString::to_string).collect(),
            text: diagnostics.render_human(),
        }
    })
}

/// What the attempt says, a line each.
pub(super) fn messages(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Restored | Outcome::Published => Vec::new(),
        Outcome::Failed(failure) => vec![failure.message.clone()],
        Outcome::Refused(refusal) => refusal.lines.clone(),
    }
}
