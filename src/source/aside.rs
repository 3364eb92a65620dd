//! `Aside`: work on a thread that can be left alone: a disk that hangs cannot be interrupted, and must not hold the loop.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::{ErrorClass, SourceError};

/// How often a wait looks at the interrupt flag and the clock.
const TICK: Duration = Duration::from_millis(100);
/// How many threads may hang at a time: a mount that comes back frees all of them, and a few more than one find out that a
/// file that nobody will ever write to has been replaced.
const MAX_HANGING: usize = 8;

/// How long the two parts of the work may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Until it is said that the work is under way (`--git-timeout`).
    pub(super) first: Duration,
    /// From then on (`--fetch-timeout`).
    pub(super) rest: Duration,
}

/// What the work says, and is told.
pub(super) struct Ends<T> {
    sender: Sender<Said<T>>,
    stop: Arc<AtomicBool>,
}

impl<T> Ends<T> {
    /// Says that the first part is done.
    pub(super) fn under_way(&self) {
        // Nobody waits any more when the time is over.
        let _ = self.sender.send(Said::UnderWay);
    }

    /// Set when nobody waits for the end any more.
    pub(super) fn stop(&self) -> &AtomicBool {
        &self.stop
    }
}

enum Said<T> {
    UnderWay,
    Done(Result<T, SourceError>),
}

/// The threads that were left alone.
#[derive(Debug, Default)]
pub(super) struct Aside {
    hanging: Vec<JoinHandle<()>>,
}

impl Aside {
    /// Does the work on a thread of its own and waits until it is done, its time is over, or the caller wants to stop.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        what: &str,
        times: Times,
        interrupt: &AtomicBool,
        work: impl FnOnce(&Ends<T>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        self.hanging.retain(|thread| !thread.is_finished());
        if self.hanging.len() >= MAX_HANGING {
            return Err(late(what, "several checks"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, said) = mpsc::channel();
        let ends = Ends {
            sender,
            stop: Arc::clone(&stop),
        };
        let thread = thread::spawn(move || {
            let result = work(&ends);
            let _ = ends.sender.send(Said::Done(result));
        });
        let mut deadline = Instant::now() + times.first;
        let mut flag = "`--git-timeout`";
        let error = loop {
            if interrupt.load(Ordering::Relaxed) {
                break SourceError::interrupted();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break late(what, flag);
            }
            match said.recv_timeout(TICK.min(left)) {
                Ok(Said::UnderWay) => {
                    deadline = Instant::now() + times.rest;
                    flag = "`--fetch-timeout`";
                }
                Ok(Said::Done(result)) => return result,
                Err(RecvTimeoutError::Timeout) => {}
                // It ended without a result: in a panic, which goes on here.
                Err(RecvTimeoutError::Disconnected) => match thread.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => return Err(late(what, flag)),
                },
            }
        };
        stop.store(true, Ordering::Relaxed);
        self.hanging.push(thread);
        Err(error)
    }
}

fn late(what: &str, time: &str) -> SourceError {
    let message = format!(
        "{what} could not be read within {time}; look whether its disk or mount answers, and whether a pipe stands where \
         a file should be"
    );
    SourceError::new(ErrorClass::Timeout, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(1);

    fn run(
        aside: &mut Aside,
        times: Times,
        work: impl FnOnce(&Ends<u8>) -> Result<u8, SourceError> + Send + 'static,
    ) -> Result<u8, String> {
        let never = AtomicBool::new(false);
        aside
            .run("it", times, &never, work)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_part_has_its_time() {
        let mut aside = Aside::default();
        let times = |first, rest| Times { first, rest };
        assert_eq!(run(&mut aside, times(LONG, LONG), |_| Ok(1)), Ok(1));
        let stuck = |ends: &Ends<u8>| {
            while !ends.stop().load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Ok(2)
        };
        let error = run(&mut aside, times(SHORT, LONG), stuck).unwrap_err();
        assert!(
            error.starts_with("it could not be read within `--git-timeout`; "),
            "{error}"
        );
        let error = run(&mut aside, times(LONG, SHORT), move |ends| {
            ends.under_way();
            stuck(ends)
        });
        let error = error.unwrap_err();
        assert!(
            error.starts_with("it could not be read within `--fetch-timeout`; "),
            "{error}"
        );
        let stopped = AtomicBool::new(true);
        let result = aside.run("it", times(LONG, LONG), &stopped, stuck);
        assert_eq!(result.unwrap_err().class(), ErrorClass::Interrupted);
    }

    #[test]
    fn only_some_threads_may_hang() {
        let mut aside = Aside::default();
        let times = Times {
            first: SHORT,
            rest: SHORT,
        };
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        for _ in 0..MAX_HANGING {
            let released = Arc::clone(&released);
            run(&mut aside, times, move |_| {
                let _ = released.lock().unwrap().recv();
                Ok(1)
            })
            .unwrap_err();
        }
        let long = Times {
            first: LONG,
            rest: LONG,
        };
        let error = run(&mut aside, long, |_| Ok(2)).unwrap_err();
        assert!(
            error.starts_with("it could not be read within several checks"),
            "{error}"
        );
        drop(release);
        while run(&mut aside, long, |_| Ok(3)).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_goes_on() {
        let times = Times {
            first: LONG,
            rest: LONG,
        };
        let _ = run(&mut Aside::default(), times, |_| panic!("on purpose"));
    }
}
