//! A connection that knows when it last did something, so that it can be ended when it does nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The mark for "no header is being read".
const NO_HEADER: u64 = u64::MAX;

/// When bytes last moved on a connection and since when a header has been on its way.
#[derive(Debug)]
pub(super) struct Activity {
    /// The connection's beginning; the other times are milliseconds since.
    born: Instant,
    moved: AtomicU64,
    header_since: AtomicU64,
}

impl Activity {
    /// A connection that was just accepted: its first header is due.
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            moved: AtomicU64::new(0),
            header_since: AtomicU64::new(0),
        }
    }

    /// The header (or the body after it) has been read.
    pub(super) fn request_read(&self) {
        self.header_since.store(NO_HEADER, Ordering::Relaxed);
    }

    /// When the connection is to be ended unless something happens before.
    pub(super) fn deadline(&self, header: Duration, idle: Duration) -> Instant {
        let (since, limit) = match self.header_since.load(Ordering::Relaxed) {
            NO_HEADER => (self.moved.load(Ordering::Relaxed), idle),
            since => (since, header),
        };
        self.born + Duration::from_millis(since) + limit
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(NO_HEADER - 1)
    }

    fn wrote(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    fn read(&self) {
        let now = self.now();
        self.moved.store(now, Ordering::Relaxed);
        if self.header_since.load(Ordering::Relaxed) == NO_HEADER {
            self.header_since.store(now, Ordering::Relaxed);
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
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
