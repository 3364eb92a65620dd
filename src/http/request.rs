//! One request as the routes see it.

use std::net::SocketAddr;

use ::http::{HeaderMap, Method, Version};

use super::access::ClientAddress;
use super::tls::Caller;

/// Where a request came in; the accept loop puts it into the request's extensions.
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
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The authority of an absolute request target.
    pub authority: Option<String>,
    /// The bytes of the request target.
    pub target_bytes: usize,
}

/// Everything an answer may depend on beside what is published.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path, still percent-encoded.
    pub path: &'r str,
    /// The query, still percent-encoded; empty when there is none.
    pub query: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Where it came in.
    pub arrival: &'r Arrival,
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
