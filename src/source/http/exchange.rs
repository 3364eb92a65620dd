//! One request and its response, as the streams that gix reads and writes.

use std::cell::RefCell;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};

use super::Shared;
use crate::source::error::SourceError;
use crate::source::watch::Pace;

/// A request and its response. A POST request is sent when its body is complete: at the first look at the response.
pub(super) struct Exchange<'a> {
    shared: Rc<Shared<'a>>,
    request: Option<(Url, HeaderMap, Upload)>,
    response: Option<Response>,
    pace: Pace,
}

impl<'a> Exchange<'a> {
    /// A response that is there already.
    pub(super) fn answered(shared: Rc<Shared<'a>>, response: Response) -> Self {
        Self {
            shared,
            request: None,
            response: Some(response),
            pace: Pace::default(),
        }
    }

    /// A POST request whose body is still to be written.
    pub(super) fn asked(
        shared: Rc<Shared<'a>>,
        url: Url,
        headers: HeaderMap,
        upload: Upload,
    ) -> Self {
        Self {
            shared,
            request: Some((url, headers, upload)),
            response: None,
            pace: Pace::default(),
        }
    }

    fn response(&mut self) -> Result<Option<&mut Response>, SourceError> {
        if let Some((url, headers, upload)) = self.request.take() {
            let response = self
                .shared
                .send(Method::POST, url, headers, upload.take())?;
            self.response = Some(self.shared.client.accept(response)?);
        }
        Ok(self.response.as_mut())
    }

    /// The next bytes of the body; empty at its end.
    fn chunk(&mut self) -> Result<Bytes, SourceError> {
        let shared = Rc::clone(&self.shared);
        let Some(response) = self.response()? else {
            return Ok(Bytes::new());
        };
        let started = Instant::now();
        let chunk = shared
            .wait(response.chunk())?
            .map_err(|error| shared.client.failed(&error))?;
        let Some(chunk) = chunk else {
            self.response = None;
            return Ok(Bytes::new());
        };
        shared.watch.spend(chunk.len())?;
        self.pace
            .record(chunk.len(), started.elapsed(), shared.watch.patience())?;
        Ok(chunk)
    }
}

/// The headers of a response, a line each.
pub(in crate::source) struct Headers<'a> {
    exchange: Rc<RefCell<Exchange<'a>>>,
    lines: Option<io::Cursor<Vec<u8>>>,
}

impl<'a> Headers<'a> {
    pub(super) fn new(exchange: &Rc<RefCell<Exchange<'a>>>) -> Self {
        Self {
            exchange: Rc::clone(exchange),
            lines: None,
        }
    }

    fn lines(&mut self) -> io::Result<&mut io::Cursor<Vec<u8>>> {
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => self.collect()?,
        };
        Ok(self.lines.insert(lines))
    }

    fn collect(&self) -> io::Result<io::Cursor<Vec<u8>>> {
        let mut exchange = self.exchange.borrow_mut();
        let shared = Rc::clone(&exchange.shared);
        let response = exchange
            .response()
            .map_err(|error| shared.watch.keep(error))?;
        let mut lines = Vec::new();
        for (name, value) in response.iter().flat_map(|response| response.headers()) {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            // gix reads the headers as text; what is none is of no use to it.
            lines.extend_from_slice(value.to_str().unwrap_or_default().as_bytes());
            lines.push(b'\n');
        }
        Ok(io::Cursor::new(lines))
    }
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lines()?.read(buffer)
    }
}

impl BufRead for Headers<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lines()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of a response.
pub(in crate::source) struct Body<'a> {
    exchange: Rc<RefCell<Exchange<'a>>>,
    chunk: Bytes,
}

impl<'a> Body<'a> {
    pub(super) fn new(exchange: Rc<RefCell<Exchange<'a>>>) -> Self {
        Self {
            exchange,
            chunk: Bytes::new(),
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            let mut exchange = self.exchange.borrow_mut();
            let shared = Rc::clone(&exchange.shared);
            self.chunk = exchange.chunk().map_err(|error| shared.watch.keep(error))?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

/// The body of a request; some hundred bytes, so it is collected first.
#[derive(Clone, Default)]
pub(in crate::source) struct Upload(Rc<RefCell<Vec<u8>>>);

impl Upload {
    fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
