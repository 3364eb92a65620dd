//! `Gate`: how much the threads that read files may hold at once, so that many cores take no more memory than one.

use std::sync::{Condvar, Mutex, PoisonError};

/// The YAML events up to which a file passes without a look: what a hundred files in as many threads hold of them is little,
/// and hardly any file has more.
const LIGHT: usize = 2_000;

/// Lets so many YAML events pass at a time.
pub(super) struct Gate {
    capacity: usize,
    left: Mutex<usize>,
    freed: Condvar,
}

impl Gate {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            left: Mutex::new(capacity),
            freed: Condvar::new(),
        }
    }

    /// Does work that holds so many events, once they fit beside those of the others; the largest works have to wait until
    /// they are alone.
    pub(super) fn pass<T>(&self, events: usize, work: impl FnOnce() -> T) -> T {
        if events <= LIGHT {
            return work();
        }
        let share = events.min(self.capacity);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.freed.wait_while(left, |left| *left < share);
        *left.unwrap_or_else(PoisonError::into_inner) -= share;
        let _inside = Inside { gate: self, share };
        work()
    }
}

/// A work that is under way; a panic ends it like any other end, so that nobody waits for it for ever.
struct Inside<'g> {
    gate: &'g Gate,
    share: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let left = self.gate.left.lock();
        *left.unwrap_or_else(PoisonError::into_inner) += self.share;
        self.gate.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_passes_than_the_capacity() {
        let gate = Gate::new(10 * LIGHT);
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for events in [4 * LIGHT, 7 * LIGHT, 50 * LIGHT] {
                        gate.pass(events, || {
                            let held = events.min(10 * LIGHT);
                            let now = inside.fetch_add(held, Ordering::SeqCst) + held;
                            most.fetch_max(now, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(held, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 10 * LIGHT);
        assert_eq!(gate.pass(1, || 7), 7);
    }

    #[test]
    fn a_panic_leaves_room_for_the_next() {
        let gate = Gate::new(10 * LIGHT);
        let panics = || gate.pass(10 * LIGHT, || panic!("on purpose"));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
        assert!(result.is_err());
        assert_eq!(*gate.left.lock().unwrap(), 10 * LIGHT);
        assert_eq!(gate.pass(10 * LIGHT, || 7), 7);
    }
}
