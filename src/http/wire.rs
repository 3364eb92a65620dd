//! A connection that knows when it last did something, so that it can be ended when it does nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::accept::Limits;

/// The mark for "no header is being read" and for "no request is under way".
const NONE: u64 = u64::MAX;

/// When bytes last moved on a connection and since when a header and a whole request have been on their way.
#[derive(Debug)]
pub(super) struct Activity {
    /// The connection's beginning; the other times are milliseconds since.
    born: Instant,
    moved: AtomicU64,
    header_since: AtomicU64,
    request_since: AtomicU64,
    /// Whether something was written that may not have left yet.
    is_writing: AtomicBool,
}

impl Activity {
    /// A connection that was just accepted: its first header is due.
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            moved: AtomicU64::new(0),
            header_since: AtomicU64::new(0),
            request_since: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
        }
    }

    /// The header (or the body after it) has been read.
    pub(super) fn request_read(&self) {
        self.header_since.store(NONE, Ordering::Relaxed);
    }

    /// When the connection is to be ended unless something happens before.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        let (since, limit) = match self.header_since.load(Ordering::Relaxed) {
            NONE => (self.moved.load(Ordering::Relaxed), limits.idle_timeout),
            since => (since, limits.header_timeout),
        };
        let deadline = self.born + Duration::from_millis(since) + limit;
        match self.request_since.load(Ordering::Relaxed) {
            NONE => deadline,
            since => {
                deadline.min(self.born + Duration::from_millis(since) + limits.request_timeout)
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    fn wrote(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        // The next of several requests that came in one read.
        Self::begin(&self.request_since, now);
        self.is_writing.store(true, Ordering::Relaxed);
    }

    /// What was written has left: answers are one write, so this one is over.
    fn flushed(&self) {
        if self.is_writing.swap(false, Ordering::Relaxed) {
            self.request_since.store(NONE, Ordering::Relaxed);
        }
    }

    fn read(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        Self::begin(&self.header_since, now);
        Self::begin(&self.request_since, now);
    }

    fn begin(since: &AtomicU64, now: u64) {
        if since.load(Ordering::Relaxed) == NONE {
            since.store(now, Ordering::Relaxed);
        }
    }
}

/// A stream whose activity is recorded.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() && buf.filled().len() > before {
            self.activity.read();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.activity.wrote();
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.activity.wrote();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.activity.flushed();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
