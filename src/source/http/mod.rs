//! HTTP under git's smart protocol: one request at a time, each byte under a deadline and a budget.
//!
//! gix brings an HTTP transport of its own, but it reads proxy variables, cannot end a reply that drips, hides why a
//! connection failed and needs CA certificates even for plain http. This is the same protocol over an own client.

mod exchange;
mod watch;

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use super::error::{ErrorClass, SourceError, cause, printable};
use exchange::{Body, Exchange, Headers, Upload};
pub(super) use watch::Watch;

/// How often a wait looks at the interrupt flag and the clock.
const TICK: Duration = Duration::from_millis(100);
/// How long a connection is kept for the next request: long enough within a check, too short for the next one, which
/// would find it closed by the server.
const POOL_IDLE: Duration = Duration::from_secs(10);
/// How many redirects are followed; forges need one, a load balancer before them another.
const MAX_REDIRECTS: usize = 5;
/// The content types of the smart protocol.
const SMART_TYPES: [&str; 2] = [
    "application/x-git-upload-pack-advertisement",
    "application/x-git-upload-pack-result",
];

/// An HTTP client with the runtime that drives it.
pub(super) struct Client {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
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
        Ok(Self {
            runtime: Some(runtime),
            inner,
        })
    }
}

impl Drop for Client {
    /// Dropping a runtime waits for it, which is forbidden on an async task; this does not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
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
        let exchange = Exchange::asked(shared, url, header_map(headers), upload.clone());
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
        mut headers: HeaderMap,
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
            let target = redirect(&url, &response, tail)?;
            if target.origin() != url.origin() {
                headers.remove(AUTHORIZATION);
            }
            url = target;
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
        let runtime = self.client.runtime.as_ref();
        runtime
            .expect("it is there until the drop")
            .block_on(async {
                let mut future = std::pin::pin!(future);
                loop {
                    self.watch.look()?;
                    if started.elapsed() >= self.watch.patience() {
                        let message = "the remote was silent for as long as `--git-timeout`";
                        return Err(SourceError::new(ErrorClass::Timeout, message));
                    }
                    let patience = self.watch.patience().saturating_sub(started.elapsed());
                    let left = self.watch.left().min(patience);
                    tokio::select! {
                        out = &mut future => return Ok(out),
                        () = tokio::time::sleep(TICK.min(left)) => {}
                    }
                }
            })
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
    // The last cause says why; those before it say only that something failed.
    let mut last: &(dyn Error + 'static) = error;
    while let Some(next) = cause(last) {
        if next.is::<rustls::Error>() {
            class = ErrorClass::Tls;
        } else if next.to_string().starts_with("dns error") {
            class = ErrorClass::Dns;
        } else if next.to_string().starts_with("invalid HTTP ") {
            class = ErrorClass::Protocol;
        }
        last = next;
    }
    let what = match class {
        ErrorClass::Dns => "the remote's name cannot be resolved",
        ErrorClass::Tls => "the TLS handshake with the remote failed",
        ErrorClass::Timeout => "the remote did not answer in time",
        ErrorClass::Protocol => "the remote does not speak HTTP",
        _ => "the remote cannot be reached",
    };
    SourceError::new(class, format!("{what}: {}", printable(&last.to_string())))
}
