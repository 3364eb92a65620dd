//! Keeping what is published on disk, beside the loop: a slow or a full disk holds nothing up.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::state::State;
use crate::tree::Tree;

/// How long to wait before a tree that could not be written is tried again: somebody has to make room first.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// How often it is noted that the remote has answered: what a restart makes of it is counted in minutes.
const ANSWER_PAUSE: Duration = Duration::from_mins(1);

/// How many trees wait for a disk that is slower than the pushes. What is left out was handed out all the same, and a
/// restart knows nothing of it. They share the files that did not change.
const MAX_WAITING: usize = 16;

/// What was published and when.
type Published = (Arc<Tree>, SystemTime);

/// Hands trees to the task that writes them, in order.
#[derive(Debug)]
pub(super) struct Keeper {
    waiting: Arc<Waiting>,
    /// When it was last noted that the remote has answered.
    noted: Option<Instant>,
}

#[derive(Debug, Default)]
struct Waiting {
    work: Mutex<Work>,
    is_new: Notify,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Work {
    published: VecDeque<Published>,
    /// When the remote has answered.
    answered: Option<SystemTime>,
}

impl Waiting {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Work {
        std::mem::take(&mut *self.work())
    }

    /// Puts back what could not be written, unless something newer waits: whoever makes room for one tree need not make it
    /// for all.
    fn put_back(&self, published: Published) {
        let waiting = &mut self.work().published;
        if waiting.is_empty() {
            waiting.push_back(published);
        }
    }
}

impl Keeper {
    /// Starts the task that writes. It ends with the runtime. `is_failing` says whether the log says already that
    /// nothing can be written.
    pub(super) fn spawn(state: State, is_failing: bool) -> Self {
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(keep(state, Arc::clone(&waiting), is_failing));
        Self {
            waiting,
            noted: None,
        }
    }

    /// Keeps this tree, which was published just now.
    pub(super) fn keep(&self, tree: Arc<Tree>) {
        let mut work = self.waiting.work();
        if work.published.len() == MAX_WAITING {
            work.published.pop_front();
        }
        work.published.push_back((tree, SystemTime::now()));
        drop(work);
        self.waiting.is_new.notify_one();
    }

    /// Notes that the remote has answered just now, unless that was noted a short while ago.
    pub(super) fn answered(&mut self) {
        if self.noted.is_some_and(|at| at.elapsed() < ANSWER_PAUSE) {
            return;
        }
        self.noted = Some(Instant::now());
        self.waiting.work().answered = Some(SystemTime::now());
        self.waiting.is_new.notify_one();
    }
}

async fn keep(state: State, waiting: Arc<Waiting>, is_failing: bool) {
    let mut is_failing = is_failing;
    loop {
        let Work {
            published,
            answered,
        } = waiting.take();
        let mut is_left = false;
        let mut left = published;
        while let Some((tree, at)) = left.pop_front() {
            let published = Arc::clone(&tree);
            let saved = blocking(&state, move |state| state.save(&published, at)).await;
            report(&state, &saved, is_failing);
            is_failing = saved.is_err();
            if is_failing {
                is_left = true;
                waiting.put_back(left.pop_back().unwrap_or((tree, at)));
                break;
            }
        }
        if let Some(at) = answered {
            let noted = blocking(&state, move |state| state.answered(at)).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "the time of the remote's answer cannot be kept");
            }
        }
        if is_left {
            // Either way there is something to write.
            let _ = tokio::time::timeout(RETRY_PAUSE, waiting.is_new.notified()).await;
        } else {
            waiting.is_new.notified().await;
        }
    }
}

/// Writes something, which may take its time.
async fn blocking(
    state: &State,
    write: impl FnOnce(&State) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let state = state.clone();
    let written = tokio::task::spawn_blocking(move || write(&state)).await;
    written.unwrap_or_else(|_| Err(io::Error::other("a fault of the server itself")))
}

/// Makes the folder, and says so when it cannot be written. Returns whether it can.
pub(super) async fn prepare(state: &State) -> bool {
    let prepared = blocking(state, State::prepare).await;
    report(state, &prepared, false);
    prepared.is_ok()
}

fn report(state: &State, saved: &io::Result<()>, was_failing: bool) {
    match saved {
        Ok(()) if was_failing => tracing::info!("the state directory can be written again"),
        Err(error) if !was_failing => tracing::warn!(
            "the state directory `{}` cannot be written, so a restart needs the repository: {error}",
            state.folder().display()
        ),
        _ => {}
    }
}
