//! An answer before it becomes bytes on the wire, and what the log says about it.

use ::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, RETRY_AFTER,
};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::etag;
use crate::id::BodyDigest;
use crate::label::Labels;
use crate::snapshot::Match;
use crate::tree::Revision;

/// The revision that an answer comes from.
const REVISION: HeaderName = HeaderName::from_static("x-gitboot-revision");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A year, the most that caches honour: the bytes behind a config's UUID never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// A status, headers and a body.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// A script.
    pub(super) fn script(body: Bytes) -> Self {
        Self::new(StatusCode::OK, TEXT, body).with(CACHE_CONTROL, NO_STORE)
    }

    /// One short line of text.
    pub(super) fn line(status: StatusCode, line: &'static str) -> Self {
        Self::new(status, TEXT, Bytes::from_static(line.as_bytes()))
    }

    /// A config, or 304 when the client has these very bytes, of which this is the digest, already.
    pub(super) fn config(
        content_type: &str,
        body: Bytes,
        digest: BodyDigest,
        cacheable: bool,
        asked: &HeaderMap,
    ) -> Self {
        let tag = digest.entity_tag();
        let known = etag::is_known(asked, &tag);
        // A stranger's type cannot get here, manifests with invalid ones are refused; serve the bytes all the same.
        let content_type = HeaderValue::from_str(content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let mut reply = if known {
            Self {
                status: StatusCode::NOT_MODIFIED,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            }
        } else {
            Self::new(StatusCode::OK, content_type, body)
        };
        if let Ok(tag) = HeaderValue::from_maybe_shared(Bytes::from(tag)) {
            reply = reply.with(ETAG, tag);
        }
        reply.with(CACHE_CONTROL, if cacheable { FOR_EVER } else { NO_STORE })
    }

    /// Only GET and HEAD are served, on any path.
    pub(super) fn method_not_allowed() -> Self {
        Self::line(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are served\n",
        )
        .with(ALLOW, HeaderValue::from_static("GET, HEAD"))
    }

    fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Self {
            status,
            headers,
            body,
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Asks the client to come back: iPXE does so by itself.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Must not be stored by any cache.
    pub(super) fn uncached(self) -> Self {
        self.with(CACHE_CONTROL, NO_STORE)
    }

    /// Comes from this revision.
    pub(super) fn of(self, revision: &Revision) -> Self {
        match HeaderValue::from_str(revision.as_str()) {
            Ok(value) => self.with(REVISION, value),
            Err(_) => self,
        }
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The response; that to HEAD has the headers of GET's and no body.
    pub(super) fn into_response(self, head: bool) -> Response<Bytes> {
        let body = if head { Bytes::new() } else { self.body };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// What the log says about an answer, beside its status.
#[derive(Debug, Default)]
pub(super) struct Record<'p> {
    pub(super) labels: Option<Labels>,
    pub(super) named: Option<&'p str>,
    pub(super) machine: Option<&'p str>,
    pub(super) assignment: Option<&'p str>,
    pub(super) profile: Option<&'p str>,
    /// Whether nothing but its name made this Assignment win.
    pub(super) is_ambiguous: bool,
    pub(super) config: Option<&'p str>,
    pub(super) revision: Option<&'p str>,
    pub(super) reason: &'static str,
    pub(super) detail: Option<String>,
}

impl<'p> Record<'p> {
    /// A record that knows no more than why.
    pub(super) fn because(reason: &'static str) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }

    /// Who won, and from which revision.
    pub(super) fn matched(&mut self, matched: &Match<'p>, labels: &Labels) {
        self.named = matched.named(labels);
        self.machine = matched.machine();
        self.assignment = Some(matched.assignment());
        self.profile = Some(matched.profile());
        self.is_ambiguous = matched.is_ambiguous();
    }
}
