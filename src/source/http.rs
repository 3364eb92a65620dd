//! HTTP under git's smart protocol: one request at a time, each byte under a deadline and a budget.
//!
//! gix brings an HTTP transport of its own, but it reads proxy variables, cannot end a reply that drips, hides why a
//! connection failed and needs CA certificates even for plain http. This is the same protocol over an own client.

use std::cell::{Cell, RefCell};
use std::error::Error as _;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::error::{ErrorClass, SourceError, causes, printable};

/// How often a wait looks at the interrupt flag and the clock.
const TICK: Duration = Duration::from_millis(100);
/// How long a connection is kept for the next request: long enough within a check, too short for the next one, which
/// would find it closed by the server.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// How many redirects are followed; forges need one, a load balancer before them another.
const MAX_REDIRECTS: usize = 5;
/// The least bytes per second that a fetch may average over `--git-timeout`.
const MIN_BYTES_PER_SECOND: u64 = 10_000;
/// The content types of the smart protocol end in one of these.
const SMART_TYPES: [&str; 2] = [
    "application/x-git-upload-pack-advertisement",
    "application/x-git-upload-pack-result",
];

/// An HTTP client with the runtime that drives it.
pub(super) struct Client {
    runtime: Runtime,
    inner: reqwest::Client,
}

impl Client {
    /// A client that trusts the certificates of the system and reads no proxy variable.
    pub(super) fn new(url: &Url, connect_timeout: Duration) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                SourceError::caused(ErrorClass::Disk, "cannot start the network", &error)
            })?;
        // The first caller in the process wins; whoever came before chose ring too, the only provider compiled in.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(POOL_IDLE)
        };
        let inner = match builder().build() {
            // A machine without CA certificates can still speak plain http.
            Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build(),
            result => result,
        };
        let inner = inner.map_err(|error| {
            SourceError::caused(
                ErrorClass::Tls,
                "cannot set up TLS (no CA certificates?)",
                &error,
            )
        })?;
        Ok(Self { runtime, inner })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// The bounds of one check, and why it failed if it did.
pub(super) struct Watch<'a> {
    interrupt: &'a AtomicBool,
    /// Until when everything has to be over.
    deadline: Cell<Instant>,
    /// The flag that the deadline belongs to, for the message.
    deadline_name: Cell<&'static str>,
    /// How long the remote may be silent or slow.
    patience: Duration,
    /// How many bytes may still be received.
    budget: Cell<u64>,
    failure: RefCell<Option<SourceError>>,
}

impl<'a> Watch<'a> {
    /// Bounds for asking for refs: `patience` for everything.
    pub(super) fn new(interrupt: &'a AtomicBool, patience: Duration, budget: u64) -> Self {
        Self {
            interrupt,
            deadline: Cell::new(Instant::now() + patience),
            deadline_name: Cell::new("--git-timeout"),
            patience,
            budget: Cell::new(budget),
            failure: RefCell::new(None),
        }
    }

    /// Bounds for the fetch that follows.
    pub(super) fn extend(&self, deadline: Instant, budget: u64) {
        self.deadline.set(deadline);
        self.deadline_name.set("--fetch-timeout");
        self.budget.set(budget);
    }

    /// Fails when the caller wants to stop or the time is over.
    pub(super) fn look(&self) -> Result<(), SourceError> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(SourceError::interrupted());
        }
        if Instant::now() >= self.deadline.get() {
            let message = format!(
                "the remote did not finish within `{}`",
                self.deadline_name.get()
            );
            return Err(SourceError::new(ErrorClass::Timeout, message));
        }
        Ok(())
    }

    fn spend(&self, bytes: usize) -> Result<(), SourceError> {
        match self.budget.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => Err(SourceError::new(
                ErrorClass::Limit,
                "the remote sends more bytes than the limit for one fetch allows",
            )),
        }
    }

    /// Keeps the first failure, which says more than what others make of it.
    fn keep(&self, error: SourceError) -> io::Error {
        let text = error.to_string();
        self.failure.borrow_mut().get_or_insert(error);
        io::Error::other(text)
    }

    /// The failure that was kept.
    pub(super) fn take_failure(&self) -> Option<SourceError> {
        self.failure.borrow_mut().take()
    }
}

/// The requests of one check, as gix wants to make them.
pub(super) struct Session<'a> {
    shared: Rc<Shared<'a>>,
    /// The repository's URL after redirects.
    redirected: Option<String>,
}

struct Shared<'a> {
    client: &'a Client,
    watch: &'a Watch<'a>,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a Client, watch: &'a Watch<'a>) -> Self {
        Self {
            shared: Rc::new(Shared { client, watch }),
            redirected: None,
        }
    }
}

impl<'a> Http for Session<'a> {
    type Headers = Headers<'a>;
    type ResponseBody = Body<'a>;
    type PostBody = Upload;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Headers<'a>, Body<'a>>> {
        let shared = Rc::clone(&self.shared);
        let exchange = shared
            .get(url, base_url, header_map(headers), &mut self.redirected)
            .map(|response| Exchange::answered(shared.clone(), response))
            .map_err(|error| gix::Error::from_error(shared.watch.keep(error)))?;
        let exchange = Rc::new(RefCell::new(exchange));
        Ok(GetResponse {
            headers: Headers::new(&exchange),
            body: Body::new(exchange),
        })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Headers<'a>, Body<'a>, Upload>> {
        let shared = Rc::clone(&self.shared);
        let url = Url::parse(url)
            .map_err(|_| {
                SourceError::new(ErrorClass::Protocol, "the URL for the request is malformed")
            })
            .map_err(|error| gix::Error::from_error(shared.watch.keep(error)))?;
        let upload = Upload::default();
        let exchange = Exchange {
            shared,
            request: Some((url, header_map(headers), upload.clone())),
            response: None,
            pace: Pace::default(),
        };
        let exchange = Rc::new(RefCell::new(exchange));
        Ok(PostResponse {
            post_body: upload,
            headers: Headers::new(&exchange),
            body: Body::new(exchange),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result<()> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

impl Shared<'_> {
    /// Sends a GET request and follows redirects that keep the end of the URL.
    fn get(
        &self,
        url: &str,
        base_url: &str,
        headers: HeaderMap,
        redirected: &mut Option<String>,
    ) -> Result<Response, SourceError> {
        let malformed =
            |_| SourceError::new(ErrorClass::Protocol, "the URL for the request is malformed");
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let mut url = Url::parse(url).map_err(malformed)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::GET, url.clone(), headers.clone(), Vec::new())?;
            if !response.status().is_redirection() {
                return accept(response);
            }
            url = redirect(&url, &response, tail)?;
            *redirected = url.as_str().strip_suffix(tail).map(str::to_owned);
        }
        Err(SourceError::new(
            ErrorClass::Protocol,
            "the remote redirects in a circle; check the repository URL",
        ))
    }

    fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, SourceError> {
        let request = self
            .client
            .inner
            .request(method, url)
            .headers(headers)
            .body(body)
            .send();
        self.wait(request)?.map_err(|error| failed(&error))
    }

    /// Drives a future until it is done, the remote was silent for too long, the time is over or the caller wants to
    /// stop.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, SourceError> {
        let started = Instant::now();
        self.client.runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            loop {
                self.watch.look()?;
                if started.elapsed() >= self.watch.patience {
                    let message = "the remote was silent for as long as `--git-timeout`";
                    return Err(SourceError::new(ErrorClass::Timeout, message));
                }
                let left = self
                    .watch
                    .deadline
                    .get()
                    .saturating_duration_since(Instant::now());
                let left = left.min(self.watch.patience.saturating_sub(started.elapsed()));
                tokio::select! {
                    out = &mut future => return Ok(out),
                    () = tokio::time::sleep(TICK.min(left)) => {}
                }
            }
        })
    }
}

/// A request and its response. A POST request is sent when its body is complete: at the first look at the response.
struct Exchange<'a> {
    shared: Rc<Shared<'a>>,
    request: Option<(Url, HeaderMap, Upload)>,
    response: Option<Response>,
    pace: Pace,
}

impl<'a> Exchange<'a> {
    fn answered(shared: Rc<Shared<'a>>, response: Response) -> Self {
        Self {
            shared,
            request: None,
            response: Some(response),
            pace: Pace::default(),
        }
    }

    fn response(&mut self) -> Result<Option<&mut Response>, SourceError> {
        if let Some((url, headers, upload)) = self.request.take() {
            let response = self
                .shared
                .send(Method::POST, url, headers, upload.take())?;
            self.response = Some(accept(response)?);
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
            .map_err(|error| failed(&error))?;
        let Some(chunk) = chunk else {
            self.response = None;
            return Ok(Bytes::new());
        };
        shared.watch.spend(chunk.len())?;
        self.pace
            .record(chunk.len(), started.elapsed(), shared.watch.patience)?;
        Ok(chunk)
    }
}

/// How fast bytes come in, not counting the time in which nobody waits for them.
#[derive(Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    fn record(
        &mut self,
        bytes: usize,
        waited: Duration,
        patience: Duration,
    ) -> Result<(), SourceError> {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < patience {
            return Ok(());
        }
        if self.bytes < MIN_BYTES_PER_SECOND.saturating_mul(patience.as_secs()) {
            let message = "the remote sent less than 10 kB/s for as long as `--git-timeout`";
            return Err(SourceError::new(ErrorClass::Timeout, message));
        }
        *self = Self::default();
        Ok(())
    }
}

/// The headers of a response, a line each.
pub(super) struct Headers<'a> {
    exchange: Rc<RefCell<Exchange<'a>>>,
    lines: Option<io::Cursor<Vec<u8>>>,
}

impl<'a> Headers<'a> {
    fn new(exchange: &Rc<RefCell<Exchange<'a>>>) -> Self {
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
pub(super) struct Body<'a> {
    exchange: Rc<RefCell<Exchange<'a>>>,
    chunk: Bytes,
}

impl<'a> Body<'a> {
    fn new(exchange: Rc<RefCell<Exchange<'a>>>) -> Self {
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
pub(super) struct Upload(Rc<RefCell<Vec<u8>>>);

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

fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    lines
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.as_ref().split_once(':')?;
            let name = name.trim().parse::<HeaderName>().ok()?;
            let value = value.trim().parse::<HeaderValue>().ok()?;
            Some((name, value))
        })
        .collect()
}

/// Where a redirect leads: only to a URL with the same end, and never from https to http.
fn redirect(from: &Url, response: &Response, tail: &str) -> Result<Url, SourceError> {
    let target = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| from.join(value).ok());
    let is_safe = |to: &Url| {
        let has_scheme =
            to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
        has_scheme
            && to.username().is_empty()
            && to.password().is_none()
            && to.as_str().ends_with(tail)
    };
    target.filter(is_safe).ok_or_else(|| {
        let message = format!(
            "the remote answers {} and redirects to something that is not the same repository elsewhere; \
             check the repository URL, or whether it needs credentials",
            response.status().as_u16()
        );
        SourceError::new(ErrorClass::Protocol, message)
    })
}

/// Lets a response through that is git's.
fn accept(response: Response) -> Result<Response, SourceError> {
    let status = response.status();
    let (class, message) = match status {
        StatusCode::OK => {
            let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or("no content type");
            if SMART_TYPES.contains(&content_type.trim()) {
                return Ok(response);
            }
            let message = format!(
                "the remote answers with `{}`, not with git's smart protocol; check the repository URL",
                printable(content_type)
            );
            (ErrorClass::Protocol, message)
        }
        StatusCode::UNAUTHORIZED => (
            ErrorClass::Auth,
            "the remote wants credentials (401); forges say so for a repository that does not exist, too".to_owned(),
        ),
        StatusCode::FORBIDDEN => (ErrorClass::Auth, "the remote denies access (403)".to_owned()),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            let message = format!("there is no repository at this URL ({})", status.as_u16());
            (ErrorClass::NotFound, message)
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let message = format!("the remote cannot answer now ({})", status.as_u16());
            (ErrorClass::Server, message)
        }
        status => {
            let message = format!("the remote answers with the unexpected status {}", status.as_u16());
            (ErrorClass::Protocol, message)
        }
    };
    Err(SourceError::new(class, message))
}

/// Why a request failed before there was a response, or in the middle of one.
fn failed(error: &reqwest::Error) -> SourceError {
    let mut class = if error.is_timeout() {
        ErrorClass::Timeout
    } else {
        ErrorClass::Refused
    };
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<rustls::Error>() {
            class = ErrorClass::Tls;
        } else if cause.to_string().starts_with("dns error") {
            class = ErrorClass::Dns;
        } else if let Some(cause) = cause.downcast_ref::<io::Error>() {
            // An `io::Error` hides what it wraps from `source`.
            if cause
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
            {
                class = ErrorClass::Tls;
            }
        } else if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            class = ErrorClass::Protocol;
        }
        next = cause.source();
    }
    let what = match class {
        ErrorClass::Dns => "the remote's name cannot be resolved",
        ErrorClass::Tls => "the TLS handshake with the remote failed",
        ErrorClass::Timeout => "the remote did not answer in time",
        ErrorClass::Protocol => "the remote does not speak HTTP",
        _ => "the remote cannot be reached",
    };
    let reason = error.source().map(causes).unwrap_or_default();
    SourceError::new(class, format!("{what}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_remote_is_given_up_after_the_window_and_a_fast_one_never() {
        let patience = Duration::from_secs(10);
        let mut slow = Pace::default();
        slow.record(99_999, Duration::from_secs(9), patience)
            .unwrap();
        let error = slow
            .record(0, Duration::from_secs(1), patience)
            .unwrap_err();
        assert_eq!(error.class(), ErrorClass::Timeout);
        let mut fast = Pace::default();
        for _ in 0..100 {
            fast.record(100_000, patience, patience).unwrap();
        }
    }

    #[test]
    fn a_watch_spends_its_budget_once() {
        let interrupt = AtomicBool::new(false);
        let watch = Watch::new(&interrupt, Duration::from_secs(1), 10);
        watch.spend(10).unwrap();
        assert_eq!(watch.spend(1).unwrap_err().class(), ErrorClass::Limit);
        interrupt.store(true, Ordering::Relaxed);
        assert_eq!(watch.look().unwrap_err().class(), ErrorClass::Interrupted);
    }
}
