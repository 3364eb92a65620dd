//! The load: one thread on one event loop, so that it takes as little as possible from the servers beside it.
//!
//! Every answer of one kind has the same length, which was looked at before; so an answer is read when so many bytes are
//! there, and it costs one system call to ask and one to read.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// How long nothing at all may come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a status line starts with when all is well.
const GOOD: &[u8] = b"HTTP/1.1 200";

/// Whether connections are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each carries request after request.
    Kept,
    /// Each carries one request, which says so.
    New,
}

/// What is asked, again and again.
pub(crate) struct Load<'l> {
    pub(crate) address: SocketAddr,
    pub(crate) mode: Mode,
    pub(crate) requests: &'l [Vec<u8>],
    /// The bytes of an answer, header and all.
    pub(crate) answer_bytes: usize,
    pub(crate) connections: usize,
}

/// What came back.
pub(crate) struct Measured {
    pub(crate) answers: usize,
    /// Answers with another status or length, and connections that broke.
    pub(crate) bad: usize,
    pub(crate) time: Duration,
    /// Of each good answer, sorted, in nanoseconds.
    latencies: Vec<u32>,
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "nobody answers 2^53 requests")]
    pub(crate) fn rate(&self) -> f64 {
        (self.answers - self.bad) as f64 / self.time.as_secs_f64()
    }

    /// In microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let place = self.latencies.len().saturating_sub(1) * percent / 100;
        self.latencies
            .get(place)
            .map_or(f64::NAN, |nanos| f64::from(*nanos) / 1000.0)
    }
}

impl Load<'_> {
    /// Asks for so long.
    pub(crate) fn run(&self, time: Duration) -> Measured {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(self.connections);
        let mut turn = 0;
        let mut measured = Measured {
            answers: 0,
            bad: 0,
            time,
            latencies: Vec::with_capacity(1 << 20),
        };
        let start = Instant::now();
        let mut connections: Vec<Connection> = (0..self.connections)
            .map(|place| self.connect(&poll, place, &mut turn))
            .collect();
        let mut buffer = vec![0; 64 << 10];
        loop {
            poll.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(!events.is_empty(), "{} does not answer", self.address);
            for event in &events {
                let place = event.token().0;
                let connection = &mut connections[place];
                match connection.read(&mut buffer, self.mode, self.answer_bytes) {
                    Progress::Waits => {}
                    Progress::Answered { is_good } => {
                        measured.answers += 1;
                        if is_good {
                            let nanos = connection.asked.elapsed().as_nanos();
                            measured
                                .latencies
                                .push(u32::try_from(nanos).unwrap_or(u32::MAX));
                        } else {
                            measured.bad += 1;
                        }
                        if is_good && self.mode == Mode::Kept {
                            connection.ask(self.next(&mut turn));
                        } else {
                            *connection = self.connect(&poll, place, &mut turn);
                        }
                    }
                }
            }
            let passed = start.elapsed();
            if passed >= time {
                measured.time = passed;
                measured.latencies.sort_unstable();
                return measured;
            }
        }
    }

    fn connect(&self, poll: &Poll, place: usize, turn: &mut usize) -> Connection {
        let asked = Instant::now();
        let mut stream = TcpStream::connect(self.address).unwrap();
        let registry = poll.registry();
        registry
            .register(&mut stream, Token(place), Interest::READABLE)
            .unwrap();
        let mut connection = Connection {
            stream,
            asked,
            got: 0,
            is_good: false,
        };
        connection.ask(self.next(turn));
        // From before the connection was there.
        connection.asked = asked;
        connection
    }

    fn next(&self, turn: &mut usize) -> &[u8] {
        *turn = (*turn + 1) % self.requests.len();
        &self.requests[*turn]
    }
}

struct Connection {
    stream: TcpStream,
    asked: Instant,
    got: usize,
    is_good: bool,
}

enum Progress {
    Waits,
    Answered { is_good: bool },
}

impl Connection {
    /// A request fits into any socket's buffer, and on loopback a connection is there when `connect` returns.
    fn ask(&mut self, request: &[u8]) {
        (self.got, self.asked) = (0, Instant::now());
        // A connection that broke is found out by the read.
        let _ = self.stream.write_all(request);
    }

    fn read(&mut self, buffer: &mut [u8], mode: Mode, bytes: usize) -> Progress {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    let is_good = mode == Mode::New && self.is_good && self.got == bytes;
                    return Progress::Answered { is_good };
                }
                Ok(read) => {
                    if self.got == 0 {
                        self.is_good = buffer.starts_with(GOOD);
                    }
                    self.got += read;
                    if mode == Mode::Kept && self.got >= bytes {
                        let is_good = self.is_good && self.got == bytes;
                        return Progress::Answered { is_good };
                    }
                    // The end of a connection may be there already; kept ones tell when more comes.
                    if mode == Mode::Kept {
                        return Progress::Waits;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Answered { is_good: false },
            }
        }
    }
}
