//! `Unpacked`: counts the bytes that come out of a pack, so that a small pack cannot keep us busy for hours.
//!
//! gix tells them to whoever shows its progress. Nothing is shown here; the counters are kept and looked at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gix::progress::{
    Count, Id, MessageLevel, NestedProgress, Progress, Step, StepShared, UNKNOWN, Unit,
};

/// The id of both counters of inflated bytes: the one that finds where entries end, and the one that applies deltas.
const INFLATED: Id = *b"IWDB";

/// The counters of one fetch.
#[derive(Clone, Default)]
pub(super) struct Unpacked {
    counters: Arc<Mutex<Vec<StepShared>>>,
}

impl Unpacked {
    /// The most bytes that one of the passes over the pack has unpacked so far.
    pub(super) fn bytes(&self) -> u64 {
        let counters = self
            .counters
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let most = counters
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .max();
        most.unwrap_or_default() as u64
    }

    /// What gix reports to.
    pub(super) fn progress(&self) -> Reporter {
        Reporter {
            unpacked: self.clone(),
            counter: StepShared::default(),
            id: UNKNOWN,
        }
    }
}

/// A progress that is nothing but a counter.
pub(super) struct Reporter {
    unpacked: Unpacked,
    counter: Arc<AtomicUsize>,
    id: Id,
}

impl Count for Reporter {
    fn set(&self, step: Step) {
        self.counter.store(step, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        self.counter.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.counter.fetch_add(step, Ordering::Relaxed);
    }

    fn counter(&self) -> StepShared {
        Arc::clone(&self.counter)
    }
}

impl Progress for Reporter {
    fn init(&mut self, _max: Option<Step>, _unit: Option<Unit>) {}

    fn set_name(&mut self, _name: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        self.id
    }

    fn message(&self, _level: MessageLevel, _message: String) {}
}

impl NestedProgress for Reporter {
    type SubProgress = Self;

    fn add_child(&mut self, name: impl Into<String>) -> Self {
        self.add_child_with_id(name, UNKNOWN)
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, id: Id) -> Self {
        let child = Self {
            id,
            ..self.unpacked.progress()
        };
        if id == INFLATED {
            let mut counters = self
                .unpacked
                .counters
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            counters.push(child.counter());
        }
        child
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unpacked_bytes_are_counted_and_the_passes_are_not_added_up() {
        let unpacked = Unpacked::default();
        let mut root = unpacked.progress();
        root.add_child_with_id("objects", *b"IWIO").inc_by(1000);
        root.add_child_with_id("first pass", INFLATED).inc_by(10);
        assert_eq!(unpacked.bytes(), 10);
        let mut below = root.add_child("second pass");
        below.add_child_with_id("decoding", INFLATED).inc_by(12);
        assert_eq!(unpacked.bytes(), 12);
    }
}
