//! An answer before it becomes bytes on the wire.

use ::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LINK,
    LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use ::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// No other page's script gets hold of the window.
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// No other page includes an answer.
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// How many elements the whole list has, as GitHub's and many other interfaces tell it.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// Which part of a list an answer is.
#[derive(Debug)]
pub(super) struct Page {
    /// How many elements the list has.
    pub(super) total: usize,
    /// Where its next part is; `None` for the last one.
    pub(super) next: Option<String>,
}

/// A status, a body and what it is.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
    allow: Option<&'static str>,
    page: Option<Page>,
    is_head: bool,
    /// What a browser may do with it; for pages.
    policy: Option<HeaderValue>,
    location: Option<HeaderValue>,
    cookie: Option<HeaderValue>,
    /// Whether it is held back for a moment.
    pub(super) is_late: bool,
}

impl Reply {
    /// One short line of text.
    pub(super) fn line(status: StatusCode, line: &'static str) -> Self {
        Self::new(status, TEXT, Bytes::from_static(line.as_bytes()))
    }

    /// A JSON document.
    pub(super) fn json(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, JSON, body.into())
    }

    /// The same, as a part of a list: headers tell of the rest, since the body is the list itself.
    pub(super) fn of_page(self, page: Page) -> Self {
        Self {
            page: Some(page),
            ..self
        }
    }

    /// What is counted.
    pub(super) fn metrics(page: String) -> Self {
        Self::new(StatusCode::OK, PROMETHEUS, page.into())
    }

    /// A page for people, with what a browser may do with it.
    pub(super) fn page(status: StatusCode, html: String, policy: HeaderValue) -> Self {
        Self {
            policy: Some(policy),
            ..Self::new(status, HTML, html.into())
        }
    }

    /// What was asked for is at another place.
    pub(super) fn see_other(location: HeaderValue, cookie: Option<HeaderValue>) -> Self {
        Self {
            location: Some(location),
            cookie,
            ..Self::line(StatusCode::SEE_OTHER, "see there\n")
        }
    }

    /// The same a moment later: whoever guesses tokens has to wait.
    pub(super) fn late(self) -> Self {
        Self {
            is_late: true,
            ..self
        }
    }

    /// Nothing is here, or nothing that the client may know of.
    pub(super) fn not_found() -> Self {
        Self::line(StatusCode::NOT_FOUND, "not found\n")
    }

    /// Only these methods are served here.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let line = "this method is not served here\n";
        Self {
            allow: Some(allow),
            ..Self::line(StatusCode::METHOD_NOT_ALLOWED, line)
        }
    }

    /// The answer to HEAD: the headers of GET's, and no body.
    pub(super) fn headers_alone(self, is_head: bool) -> Self {
        Self { is_head, ..self }
    }

    fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            body,
            allow: None,
            page: None,
            is_head: false,
            policy: None,
            location: None,
            cookie: None,
            is_late: false,
        }
    }

    /// The response. A connection on which a body was not read to its end is closed.
    pub(super) fn into_response(self, is_unread: bool) -> Response<Full<Bytes>> {
        let length = self.body.len();
        let body = if self.is_head {
            Bytes::new()
        } else {
            self.body
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, self.policy),
            (LOCATION, self.location),
            (SET_COOKIE, self.cookie),
        ] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
        for (name, value) in [
            (REFERRER_POLICY, "no-referrer"),
            (X_FRAME_OPTIONS, "DENY"),
            (OPENER, "same-origin"),
            (RESOURCE, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(Page { total, next }) = self.page {
            headers.insert(TOTAL, HeaderValue::from(total));
            // RFC 8288. Names of manifests are those of hosts, so they need no escape.
            let next = next.map(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")));
            if let Some(Ok(link)) = next {
                headers.insert(LINK, link);
            }
        }
        if is_unread {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
