//! Which authority a request was sent to: what URLs in its answer start with.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ::http::header::HOST;
use ::http::{HeaderMap, Version};

/// The longest host name, in bytes: that of the DNS, 253, rounded up.
const MAX_HOST_BYTES: usize = 255;

/// The longest IPv6 zone, in bytes: an interface's name on Linux has at most 15.
pub(super) const MAX_ZONE_BYTES: usize = 32;

/// The authority that a request was sent to, or `None` when HTTP/1.1's rules make it a bad request: an absolute target's
/// authority, else the one `Host`; HTTP/1.0 without one that is well-formed gets the local address.
pub(super) fn authority_of<'r>(
    version: Version,
    target: Option<&'r str>,
    headers: &'r HeaderMap,
    local: SocketAddr,
) -> Option<Cow<'r, str>> {
    let stated = match stated(headers) {
        None if version < Version::HTTP_11 => local_authority(local).into(),
        stated => stated?,
    };
    match target {
        Some(target) => authority(target),
        None => Some(stated),
    }
}

/// The authority of the one `Host` line.
fn stated(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(value), None) => authority(value.to_str().ok()?.trim()),
        _ => None,
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port` in a form that may stand in any script: letters, digits and `-._~` only.
/// An empty port is dropped.
fn authority(text: &str) -> Option<Cow<'_, str>> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let host = literal(address)?;
        return match port.strip_prefix(':') {
            Some("") => Some(host.into()),
            Some(port) if is_port(port) => Some(format!("{host}:{port}").into()),
            None if port.is_empty() => Some(host.into()),
            _ => None,
        };
    }
    let host = text.split_once(':').map_or(text, |(host, _)| host);
    let fits = !host.is_empty() && host.len() <= MAX_HOST_BYTES;
    if !fits || !host.bytes().all(is_unreserved) {
        return None;
    }
    match text.get(host.len() + 1..) {
        None | Some("") => Some(host.into()),
        Some(port) => is_port(port).then_some(text.into()),
    }
}

/// An IPv6 address, perhaps with a zone (`fe80::1%25net0`): machines on a link without a router need it.
fn literal(text: &str) -> Option<String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, zone.strip_prefix("25").unwrap_or(zone)),
        None => (text, ""),
    };
    let zone_fits = zone.len() <= MAX_ZONE_BYTES && zone.bytes().all(is_unreserved);
    if address.parse::<Ipv6Addr>().is_err() || !zone_fits || text.contains('%') == zone.is_empty() {
        return None;
    }
    if zone.is_empty() {
        Some(format!("[{address}]"))
    } else {
        Some(format!("[{address}%25{zone}]"))
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The address that a connection was accepted on, as the authority of a URL.
#[must_use]
pub fn local_authority(local: SocketAddr) -> String {
    let host = match local.ip().to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match local.port() {
        80 => host,
        port => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn authorities_are_a_host_and_perhaps_a_port() {
        let cases = [
            ("boot.example", Some("boot.example")),
            ("10.0.2.2:27731", Some("10.0.2.2:27731")),
            ("boot.example:", Some("boot.example")),
            ("[fec0::2]:27734", Some("[fec0::2]:27734")),
            ("[::1]", Some("[::1]")),
            ("[fe80::1%25net0]:80", Some("[fe80::1%25net0]:80")),
            ("[fe80::1%net0]", Some("[fe80::1%25net0]")),
            ("", None),
            (":8080", None),
            ("a b", None),
            ("user@host", None),
            ("host:0", None),
            ("host:65536", None),
            ("host:+80", None),
            ("host:80:80", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[boot.example]", None),
            ("[fe80::1%]", None),
            ("[fe80::1%25]", None),
            ("host/path", None),
            ("host;reboot", None),
            ("${mac}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(authority(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_local_address_stands_in_for_a_missing_host() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::ffff:10.0.2.2]:8080", "10.0.2.2:8080"),
            ("[fec0::2]:8080", "[fec0::2]:8080"),
        ];
        for (local, expected) in cases {
            let local = local.parse().unwrap();
            let headers = HeaderMap::new();
            let found = authority_of(Version::HTTP_10, None, &headers, local);
            assert_eq!(found.as_deref(), Some(expected));
            assert_eq!(authority_of(Version::HTTP_11, None, &headers, local), None);
        }
    }

    #[test]
    fn an_absolute_target_counts_more_than_host() {
        let local = "127.0.0.1:80".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "one.example".parse().unwrap());
        let found = authority_of(Version::HTTP_11, Some("two.example:81"), &headers, local);
        assert_eq!(found.as_deref(), Some("two.example:81"));
        headers.append(HOST, "one.example".parse().unwrap());
        assert_eq!(authority_of(Version::HTTP_11, None, &headers, local), None);
    }

    #[test]
    fn a_malformed_host_is_none() {
        let local = "127.0.0.1:8080".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "user@one.example".parse().unwrap());
        for target in [None, Some("two.example")] {
            assert_eq!(
                authority_of(Version::HTTP_11, target, &headers, local),
                None
            );
        }
        let old = |target| authority_of(Version::HTTP_10, target, &headers, local);
        assert_eq!(old(None).as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(old(Some("two.example")).as_deref(), Some("two.example"));
        assert_eq!(old(Some("user@two.example")), None);
    }

    proptest! {
        #[test]
        fn authorities_never_hold_what_a_script_or_shell_could_trip_over(text in "\\PC*|[\\[\\]:%0-9a-f.]{0,40}") {
            if let Some(found) = authority(&text) {
                prop_assert!(found.bytes().all(|b| is_unreserved(b) || b"[]:%".contains(&b)));
                let again = authority(&found);
                prop_assert_eq!(again.as_deref(), Some(&*found));
            }
        }
    }
}
