//! HTTP under git's smart protocol: one request at a time, each byte under a deadline and a budget.
//!
//! gix brings an HTTP transport of its own, but it reads proxy variables, cannot end a reply that drips, hides why a
//! connection failed and needs CA certificates even for plain http. This is the same protocol over an own client.

mod client;
mod exchange;
mod failure;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, Url};

use super::error::{ErrorClass, SourceError};
use super::watch::Watch;
pub(super) use client::Client;
use exchange::{Body, Exchange, Headers, Upload};

/// How often a wait looks at the interrupt flag and the clock.
const TICK: Duration = Duration::from_millis(100);
/// How many redirects are followed; forges need one, a load balancer before them another.
const MAX_REDIRECTS: usize = 5;
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
            .get(url, base_url, &header_map(headers), &mut self.redirected)
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
        headers: &HeaderMap,
        redirected: &mut Option<String>,
    ) -> Result<Response, SourceError> {
        let malformed =
            |_| SourceError::new(ErrorClass::Protocol, "the URL for the request is malformed");
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let mut url = Url::parse(url).map_err(malformed)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::GET, url.clone(), headers.clone(), Vec::new())?;
            if !response.status().is_redirection() {
                return self.client.accept(response);
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
            .request(method, url)
            .headers(headers)
            .body(body)
            .send();
        self.wait(request)?
            .map_err(|error| self.client.failed(&error))
    }

    /// Drives a future until it is done, the remote was silent for too long, the time is over or the caller wants to
    /// stop.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, SourceError> {
        let started = Instant::now();
        self.client.runtime().block_on(async {
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
