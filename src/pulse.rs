//! Signs of life: each part of the server that must not hang says by when it will be heard of again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often something that only waits says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// How long it may be silent: hundreds of times what the longest answer takes, and what a machine that is overloaded makes of
/// that.
const SILENCE: Duration = Duration::from_secs(10);

/// What is due when nothing is.
const NEVER: u64 = u64::MAX;

/// The sign of life of one part. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Part>);

#[derive(Debug)]
struct Part {
    name: String,
    epoch: Instant,
    /// By when it is heard of again, in milliseconds since `epoch`.
    due: AtomicU64,
}

impl Pulse {
    /// Of a part with this name, of which nothing is expected yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(Arc::new(Part {
            name: name.into(),
            epoch: Instant::now(),
            due: AtomicU64::new(NEVER),
        }))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// It is alive, and will be heard of again within this time.
    pub fn within(&self, time: Duration) {
        let due = self.0.epoch.elapsed().saturating_add(time).as_millis();
        let due = u64::try_from(due).unwrap_or(NEVER);
        self.0.due.store(due, Ordering::Relaxed);
    }

    /// Nothing is expected of it any more.
    pub fn rest(&self) {
        self.0.due.store(NEVER, Ordering::Relaxed);
    }

    /// For how long it is overdue, if it is.
    #[must_use]
    pub fn late(&self) -> Option<Duration> {
        let due = self.0.due.load(Ordering::Relaxed);
        let late = self
            .0
            .epoch
            .elapsed()
            .checked_sub(Duration::from_millis(due))?;
        (due != NEVER).then_some(late)
    }

    /// Says that it is alive for as long as the runtime that this runs on comes round to it. Never ends.
    pub async fn beat(self) {
        loop {
            self.within(SILENCE);
            tokio::time::sleep(BEAT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_heard_of_in_time_is_late() {
        let pulse = Pulse::new("a part");
        assert_eq!(pulse.late(), None, "nothing was expected");
        pulse.within(Duration::ZERO);
        assert!(pulse.late().is_some());
        pulse.within(Duration::from_hours(1));
        assert_eq!(pulse.late(), None);
        pulse.within(Duration::MAX);
        assert_eq!(pulse.late(), None);
        pulse.within(Duration::ZERO);
        pulse.clone().rest();
        assert_eq!(pulse.late(), None);
    }

    #[test]
    fn a_runtime_that_is_held_up_does_not_beat() {
        let pulse = Pulse::new("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::spawn(pulse.clone().beat());
            tokio::task::yield_now().await;
        });
        assert_eq!(pulse.late(), None);
        assert!(pulse.0.due.load(Ordering::Relaxed) <= 10_000 + 5_000);
    }
}
