//! Who may ask what.
//!
//! On loopback, whoever is on this machine may ask everything, and a web page in somebody's browser may not: its requests carry
//! the name of its own site, even when that name was made to lead here. Elsewhere, what tells about the fleet needs the token.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::SystemTime;

use ::http::header::{AUTHORIZATION, HOST};
use ::http::request::Parts;
use ::http::uri::Authority;
use ::http::{HeaderMap, Version};

use super::{file, hook, session};

/// How requests are told apart.
#[derive(Debug)]
pub(super) enum Gate {
    /// The listener is on a loopback address.
    Loopback,
    /// It is not, and this file holds the token; without one, nobody has it.
    Token(Option<PathBuf>),
}

impl Gate {
    pub(super) fn new(address: IpAddr, token_file: Option<PathBuf>) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Token(token_file)
        }
    }

    /// Whether the request was meant for this server, as far as can be told.
    pub(super) fn is_own(&self, head: &Parts) -> bool {
        match self {
            Self::Loopback => is_own(head),
            Self::Token(_) => true,
        }
    }

    /// Whether the request may be told about the fleet.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Loopback => true,
            Self::Token(_) => self.token().is_some_and(|token| {
                bearer(headers).is_some_and(|given| hook::is_same(&token, given))
                    || session::is_open(&token, headers, SystemTime::now())
            }),
        }
    }

    /// Whether people can be asked for a token.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Self::Token(Some(_)))
    }

    /// The token as it is now. A file that cannot be read lets nobody in.
    pub(super) fn token(&self) -> Option<Vec<u8>> {
        match self {
            Self::Loopback | Self::Token(None) => None,
            Self::Token(Some(file)) => file::secret(file),
        }
    }
}

/// The token of `Authorization: Bearer …`, if there is one such line.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    let (scheme, token) = line.as_bytes().split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Ensure that a name that leads here by somebody's DNS is not taken for ours.
fn is_own(head: &Parts) -> bool {
    let target = head.uri.authority().map(Authority::as_str);
    let mut hosts = head.headers.get_all(HOST).iter();
    let stated = match (hosts.next(), hosts.next()) {
        // No browser sends none.
        (None, _) => return head.version < Version::HTTP_11 && target.is_none_or(is_local),
        (Some(host), None) => host.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    stated.is_some_and(is_local) && target.is_none_or(is_local)
}

/// Whether an authority is this very machine: `localhost`, `127.0.0.0/8` or `[::1]`, with any port.
fn is_local(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            let address = address.parse::<Ipv6Addr>();
            if !address.is_ok_and(|address| address.to_canonical().is_loopback()) {
                return false;
            }
            (
                "localhost",
                port.strip_prefix(':').or(port.is_empty().then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let address = host.parse::<std::net::Ipv4Addr>();
    port.is_some_and(is_port)
        && (host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_are_own() {
        for own in [
            "localhost",
            "LocalHost:8081",
            "127.0.0.1",
            "127.0.0.1:8081",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8081",
            "[::ffff:127.0.0.1]:8081",
            "localhost:",
        ] {
            assert!(is_local(own), "{own}");
        }
        for foreign in [
            "",
            "boot.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:8081",
            "[::2]",
            "[::1",
            "[::1]x",
            "::1",
            "0.0.0.0:8081",
            "[::]",
            "evil@localhost",
            "localhost:80:80",
            "localhost:x",
            "2130706433",
            "127.1",
        ] {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn tokens_come_in_one_line() {
        let with = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(AUTHORIZATION, line.parse().unwrap());
            }
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(with(&["Bearer abc"]), Some(b"abc".to_vec()));
        assert_eq!(with(&["bearer  abc"]), Some(b"abc".to_vec()));
        assert_eq!(with(&["Basic abc"]), None);
        assert_eq!(with(&["Bearer"]), None);
        assert_eq!(with(&["Bearer abc", "Bearer abc"]), None);
    }
}
