//! A two-way stream under git's protocol, each byte under a deadline and a budget.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::error::{ErrorClass, SourceError};
use super::watch::{Pace, Watch};

/// How often a wait looks at the interrupt flag and the clock.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// The shortest timeout of a socket; zero would mean none.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// A socket that can be told how long to wait.
pub(super) trait Socket {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Tells the other side that nothing more will be written.
    fn finish(&self);
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
}

macro_rules! socket {
    ($kind:ty) => {
        impl Socket for $kind {
            fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
                self.set_read_timeout(Some(timeout))?;
                self.set_write_timeout(Some(timeout))
            }

            fn finish(&self) {
                // A socket that is closed already is finished, too.
                let _ = self.shutdown(Shutdown::Write);
            }

            fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
                (&mut &*self).read(buffer)
            }

            fn send(&self, bytes: &[u8]) -> io::Result<usize> {
                (&mut &*self).write(bytes)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

/// Why a stream ended before its time, asked when it did.
pub(super) trait Postmortem {
    fn reason(&mut self) -> Option<SourceError>;
}

/// A socket to the remote and what is known of the other side's end.
pub(super) struct Line<'a, S, P> {
    socket: S,
    watch: &'a Watch<'a>,
    pace: Pace,
    /// Held for as long as the stream is, and asked why it broke.
    other_side: P,
}

impl<'a, S: Socket, P: Postmortem> Line<'a, S, P> {
    /// The reading and the writing end. What `other_side` holds is dropped with the latter of them.
    pub(super) fn split(
        socket: S,
        other_side: P,
        watch: &'a Watch<'a>,
    ) -> (Reader<'a, S, P>, Writer<'a, S, P>) {
        let line = Rc::new(RefCell::new(Self {
            socket,
            watch,
            pace: Pace::default(),
            other_side,
        }));
        (Reader(Rc::clone(&line)), Writer(line))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let started = Instant::now();
        let count = self.wait(|socket| socket.receive(buffer))?;
        if count == 0
            && let Some(reason) = self.other_side.reason()
        {
            return Err(reason);
        }
        self.watch.spend(count)?;
        self.pace
            .record(count, started.elapsed(), self.watch.patience())?;
        Ok(count)
    }

    /// Tries until it works, the remote was silent for too long, the time is over or the caller wants to stop.
    fn wait(
        &mut self,
        mut attempt: impl FnMut(&S) -> io::Result<usize>,
    ) -> Result<usize, SourceError> {
        let started = Instant::now();
        loop {
            self.watch.look()?;
            let patience = self.watch.patience().saturating_sub(started.elapsed());
            if patience.is_zero() {
                let message = "the remote was silent for as long as `--git-timeout`";
                return Err(SourceError::new(ErrorClass::Timeout, message));
            }
            let timeout = TICK.min(self.watch.left()).min(patience).max(LEAST_TIMEOUT);
            let result = self
                .socket
                .set_timeout(timeout)
                .and_then(|()| attempt(&self.socket));
            match result.map_err(|error| (error.kind(), error)) {
                Ok(count) => return Ok(count),
                Err((
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted,
                    _,
                )) => {}
                Err((_, error)) => {
                    return Err(self.other_side.reason().unwrap_or_else(|| {
                        let what = "the connection to the remote broke";
                        SourceError::caused(ErrorClass::Refused, what, &error)
                    }));
                }
            }
        }
    }
}

/// The reading end of a line.
pub(super) struct Reader<'a, S, P>(Rc<RefCell<Line<'a, S, P>>>);

impl<S: Socket, P: Postmortem> Read for Reader<'_, S, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut line = self.0.borrow_mut();
        line.read(buffer).map_err(|error| line.watch.keep(error))
    }
}

/// The writing end of a line.
pub(super) struct Writer<'a, S: Socket, P: Postmortem>(Rc<RefCell<Line<'a, S, P>>>);

impl<S: Socket, P: Postmortem> Write for Writer<'_, S, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = self.0.borrow_mut();
        line.wait(|socket| socket.send(bytes))
            .map_err(|error| line.watch.keep(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Socket, P: Postmortem> Drop for Writer<'_, S, P> {
    fn drop(&mut self) {
        self.0.borrow().socket.finish();
    }
}
