//! One request as the routes see it.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::uri::Authority;
use ::http::{HeaderMap, Method, Request, Uri, Version};
use bytes::Bytes;
use http_body_util::Empty;

use super::access::ClientAddress;
use super::tls::Caller;

/// The connection that a request came in on.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The other end of the connection, an IPv4 address as such.
    pub peer: SocketAddr,
    /// The address that the connection was accepted on.
    pub local: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Who the client has proven to be on this connection.
    pub caller: Caller,
}

/// A request as it came in.
#[derive(Debug)]
pub struct Inquiry {
    /// The method.
    pub method: Method,
    /// The target, in any of its forms.
    pub target: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it came in.
    pub arrival: Arc<Arrival>,
}

impl Inquiry {
    /// What the routes take: an empty request that carries this one among its extensions. So it passes warp's filters whole,
    /// and nothing of it is copied there. They panic at a target without a path, and this one has one.
    #[must_use]
    pub fn into_request(self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        request.extensions_mut().insert(Arc::new(self));
        request
    }

    /// The same for whoever answers it.
    pub(super) fn asked(&self, client: ClientAddress) -> Asked<'_> {
        Asked {
            method: &self.method,
            path: self.target.path(),
            query: self.target.query().unwrap_or(""),
            headers: &self.headers,
            arrival: &self.arrival,
            version: self.version,
            authority: self.target.authority().map(Authority::as_str),
            target_bytes: self.target_bytes(),
            client,
        }
    }

    /// The bytes of the target as it was sent, but for a fragment, which nobody may send.
    fn target_bytes(&self) -> usize {
        let target = &self.target;
        let scheme = target
            .scheme_str()
            .map_or(0, |scheme| scheme.len() + "://".len());
        let authority = target
            .authority()
            .map_or(0, |authority| authority.as_str().len());
        let rest = target
            .path_and_query()
            .map_or(0, |rest| rest.as_str().len());
        scheme + authority + rest
    }
}

/// Everything an answer may depend on beside what is published.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path, still percent-encoded; empty when there is none.
    pub path: &'r str,
    /// The query, still percent-encoded; empty when there is none.
    pub query: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Where it came in.
    pub arrival: &'r Arrival,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The authority of an absolute request target.
    pub authority: Option<&'r str>,
    /// The bytes of the request target.
    pub target_bytes: usize,
    /// Who asks, behind whatever proxies are trusted.
    pub client: ClientAddress,
}

impl Asked<'_> {
    /// The bytes of the header section: each line with its colon, blank and line end.
    pub(super) fn header_bytes(&self) -> usize {
        let lines = self.headers.iter();
        lines
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum()
    }
}
