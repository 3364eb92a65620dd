//! Waiting beside something busy.
//!
//! A task polls everything that it waits for whenever any of it wakes the task. So with each request a connection would look
//! at its timer and at whether the door is closed, each of which takes a lock or two that other connections share.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled only when something woke it, and not whenever its task is.
#[derive(Debug)]
pub(super) struct Quiet<F> {
    future: F,
    /// What wakes the future; none before its first poll.
    bell: Option<(Arc<Bell>, Waker)>,
}

/// Rings when there is something to do for the future.
#[derive(Debug)]
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl<F: Future + Unpin> Quiet<F> {
    pub(super) fn new(future: F) -> Self {
        Self { future, bell: None }
    }
}

impl<F: Future + Unpin> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, bell } = &mut *self;
        let (bell, waker) = match bell {
            Some(bell) if bell.0.task.will_wake(cx.waker()) => bell,
            // The first time, or in another task: what woke before has to learn of it.
            other => other.insert(Bell::of(cx.waker())),
        };
        if !bell.has_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }
}

impl Bell {
    /// One that has rung already, so that the future is polled once.
    fn of(task: &Waker) -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self {
            has_rung: AtomicBool::new(true),
            task: task.clone(),
        });
        (Arc::clone(&bell), Waker::from(bell))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::ready;
    use tokio::sync::oneshot;

    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_future_is_polled_once_and_whenever_it_is_woken() {
        let polls = AtomicUsize::new(0);
        let (sender, mut receiver) = oneshot::channel();
        let mut future = pin!(std::future::poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            let word: Result<&str, _> = ready!(Pin::new(&mut receiver).poll(cx));
            Poll::Ready(word.unwrap())
        }));
        let mut quiet = Quiet::new(future.as_mut());
        let mut poll = |task: &Arc<Task>| {
            let waker = Waker::from(Arc::clone(task));
            Pin::new(&mut quiet).poll(&mut Context::from_waker(&waker))
        };
        let [one, other] = [0, 0].map(|none| Arc::new(Task(AtomicUsize::new(none))));
        for _ in 0..3 {
            assert!(poll(&one).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        // Another task takes it over.
        for _ in 0..3 {
            assert!(poll(&other).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 2);
        sender.send("now").unwrap();
        assert_eq!(one.0.load(Ordering::Relaxed), 0);
        assert_eq!(other.0.load(Ordering::Relaxed), 1);
        assert_eq!(poll(&other), Poll::Ready("now"));
        assert_eq!(polls.load(Ordering::Relaxed), 3);
    }
}
