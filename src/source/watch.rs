//! `Watch`: how long a check may take, how much it may receive, and why it failed if it did.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::{ErrorClass, SourceError};

/// The least bytes per second that a fetch may average over `--git-timeout`.
const MIN_BYTES_PER_SECOND: u64 = 10_000;

/// The bounds of one check, and why it failed if it did.
pub(super) struct Watch<'a> {
    interrupt: &'a AtomicBool,
    /// Until when everything has to be over.
    deadline: Cell<Instant>,
    /// The flag that the deadline belongs to, for the message.
    deadline_name: Cell<&'static str>,
    /// How long the remote may be silent or slow.
    patience: Duration,
    /// How many bytes may still be received.
    budget: Cell<u64>,
    /// How many bytes were received.
    received: Cell<u64>,
    failure: RefCell<Option<SourceError>>,
}

impl<'a> Watch<'a> {
    /// Bounds for asking for refs: `patience` for everything.
    pub(super) fn new(interrupt: &'a AtomicBool, patience: Duration, budget: u64) -> Self {
        Self {
            interrupt,
            deadline: Cell::new(Instant::now() + patience),
            deadline_name: Cell::new("--git-timeout"),
            patience,
            budget: Cell::new(budget),
            received: Cell::new(0),
            failure: RefCell::new(None),
        }
    }

    /// Bounds for the fetch that follows.
    pub(super) fn extend(&self, time: Duration, budget: u64) {
        self.deadline.set(Instant::now() + time);
        self.deadline_name.set("--fetch-timeout");
        self.budget.set(budget);
    }

    /// Set when the caller wants to stop.
    pub(super) fn interrupt(&self) -> &'a AtomicBool {
        self.interrupt
    }

    /// Until when everything has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// How long the remote may be silent or slow.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// How much time is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline
            .get()
            .saturating_duration_since(Instant::now())
    }

    /// Fails when the caller wants to stop or the time is over.
    pub(super) fn look(&self) -> Result<(), SourceError> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(SourceError::interrupted());
        }
        if Instant::now() >= self.deadline.get() {
            let message = format!(
                "the remote did not finish within `{}`",
                self.deadline_name.get()
            );
            return Err(SourceError::new(ErrorClass::Timeout, message));
        }
        Ok(())
    }

    /// Counts received bytes.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), SourceError> {
        self.received
            .set(self.received.get().saturating_add(bytes as u64));
        match self.budget.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(SourceError::new(
                ErrorClass::Limit,
                "the remote sends more bytes than the limit for one fetch allows",
            )),
        }
    }

    /// How many bytes were received.
    pub(super) fn received(&self) -> u64 {
        self.received.get()
    }

    /// Keeps the first failure, which says more than what others make of it.
    pub(super) fn keep(&self, error: SourceError) -> io::Error {
        let text = error.to_string();
        self.failure.borrow_mut().get_or_insert(error);
        io::Error::other(text)
    }

    /// The failure that was kept.
    pub(super) fn take_failure(&self) -> Option<SourceError> {
        self.failure.borrow_mut().take()
    }
}

/// How fast bytes come in, not counting the time in which nobody waits for them.
#[derive(Default)]
pub(super) struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Counts bytes and how long they were waited for; fails when a window as long as `patience` brought too few.
    pub(super) fn record(
        &mut self,
        bytes: usize,
        waited: Duration,
        patience: Duration,
    ) -> Result<(), SourceError> {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < patience {
            return Ok(());
        }
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX / MIN_BYTES_PER_SECOND);
        if self.bytes < MIN_BYTES_PER_SECOND * millis / 1000 {
            let message = "the remote sent less than 10 kB/s for as long as `--git-timeout`";
            return Err(SourceError::new(ErrorClass::Timeout, message));
        }
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_remote_is_given_up_after_the_window_and_a_fast_one_never() {
        let patience = Duration::from_secs(10);
        let mut slow = Pace::default();
        slow.record(99_999, Duration::from_secs(9), patience)
            .unwrap();
        let error = slow
            .record(0, Duration::from_secs(1), patience)
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::Timeout);
        let mut fast = Pace::default();
        for _ in 0..100 {
            fast.record(100_000, patience, patience).unwrap();
        }
    }

    #[test]
    fn a_watch_spends_its_budget_once() {
        let interrupt = AtomicBool::new(false);
        let watch = Watch::new(&interrupt, Duration::from_secs(1), 10);
        watch.spend(10).unwrap();
        assert_eq!(watch.spend(1).unwrap_err().class(), ErrorClass::Limit);
        interrupt.store(true, Ordering::Relaxed);
        assert_eq!(watch.look().unwrap_err().class(), ErrorClass::Interrupted);
    }
}
