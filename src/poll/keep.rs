//! Keeping what is published on disk, beside the loop: a slow or a full disk holds nothing up.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::state::State;
use crate::tree::Tree;

/// How long to wait before a tree that could not be written is tried again: somebody has to make room first.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// What was published and when.
type Published = (Arc<Tree>, SystemTime);

/// Hands trees to the task that writes them. Only the latest one waits.
#[derive(Debug)]
pub(super) struct Keeper {
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    published: Mutex<Option<Published>>,
    is_new: Notify,
}

impl Waiting {
    fn replace(&self, published: Option<Published>) -> Option<Published> {
        let mut waiting = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *waiting, published)
    }

    /// Puts back what could not be written, unless something newer waits.
    fn put_back(&self, published: Published) {
        let mut waiting = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.get_or_insert(published);
    }
}

impl Keeper {
    /// Starts the task that writes. It ends with the runtime.
    pub(super) fn spawn(state: State) -> Self {
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(keep(state, Arc::clone(&waiting)));
        Self { waiting }
    }

    /// Keeps this tree, which was published just now.
    pub(super) fn keep(&self, tree: Arc<Tree>) {
        self.waiting.replace(Some((tree, SystemTime::now())));
        self.waiting.is_new.notify_one();
    }
}

async fn keep(state: State, waiting: Arc<Waiting>) {
    let mut is_failing = false;
    loop {
        if let Some(published) = waiting.replace(None) {
            let (tree, at) = published.clone();
            let writer = state.clone();
            let saved = tokio::task::spawn_blocking(move || writer.save(&tree, at));
            let saved = saved
                .await
                .unwrap_or_else(|_| Err(io::Error::other("a fault of the server itself")));
            report(&state, &saved, is_failing);
            is_failing = saved.is_err();
            if is_failing {
                waiting.put_back(published);
            }
        }
        if is_failing {
            // Either way there is something to write.
            let _ = tokio::time::timeout(RETRY_PAUSE, waiting.is_new.notified()).await;
        } else {
            waiting.is_new.notified().await;
        }
    }
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
