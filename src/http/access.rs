//! Who asks, and whether they may: `--trusted-proxy` and `--allow`.
//!
//! Everybody can write `X-Forwarded-For`, and every proxy appends the address that it took the request from. So the list is
//! read from its end, and only as far as those who wrote it are trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use ::http::HeaderMap;
use ::http::header::HeaderName;
use ipnet::IpNet;

use super::host::{MAX_ZONE_BYTES, is_unreserved};

/// Where proxies write who asked them.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most trusted proxies between a machine and us: sites have one or two, and a longer chain is a loop.
const MAX_PROXIES: usize = 16;

/// The bits before an IPv4 address in an IPv6 one that stands for it: `::ffff:0:0/96` (RFC 4291).
const MAPPED_BITS: u8 = 96;

/// One network, or one address. No bit is set behind its prefix, and an IPv4 network is one in whatever form it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address such as `192.0.2.7`.
    ///
    /// # Errors
    /// Says how networks look, or which network and which address may be meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let read = || {
            let (address, bits) = text.split_once('/').unwrap_or((text, ""));
            let address: IpAddr = address.parse().ok()?;
            match bits {
                "" if text.contains('/') => None,
                "" => Some(IpNet::from(address)),
                // `parse` alone would take a sign.
                _ if !bits.bytes().all(|byte| byte.is_ascii_digit()) => None,
                _ => IpNet::new(address, bits.parse().ok()?).ok(),
            }
        };
        let Some(net) = read() else {
            return Err(
                "networks look like `10.0.0.0/8`, `fd00::/8` or `192.0.2.7`; repeat the flag for more than one"
                    .to_owned(),
            );
        };
        if net != net.trunc() {
            return Err(format!(
                "the address goes on behind the prefix; write `{}` for the network or `{}` for this address alone",
                net.trunc(),
                net.addr()
            ));
        }
        Ok(Self(canonical(net)))
    }
}

/// The network as clients are compared with it: their addresses are canonical too.
fn canonical(net: IpNet) -> IpNet {
    let bits = net.prefix_len().checked_sub(MAPPED_BITS);
    match (net.addr().to_canonical(), bits) {
        (address @ IpAddr::V4(_), Some(bits)) if net.addr().is_ipv6() => {
            IpNet::new(address, bits).unwrap_or(net)
        }
        _ => net,
    }
}

/// A set of addresses, made of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Sorted, and none overlaps another.
    disjoint: Vec<IpNet>,
}

impl Networks {
    /// Whether the address is in one of the networks; one that stands for an IPv4 address counts as that.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let after = self.disjoint.partition_point(|net| net.addr() <= address);
        let nearest = after.checked_sub(1).and_then(|at| self.disjoint.get(at));
        nearest.is_some_and(|net| net.contains(&address))
    }

    /// Whether there is no network at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.disjoint.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let nets: Vec<IpNet> = networks.into_iter().map(|Network(net)| net).collect();
        let mut disjoint = IpNet::aggregate(&nets);
        disjoint.sort_unstable_by_key(IpNet::addr);
        Self { disjoint }
    }
}

/// Who may ask, and whose word counts about who asks.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who gets answers of the boot routes; everybody when it is empty.
    pub allow: Networks,
    /// Whose `X-Forwarded-For` is read.
    pub trusted_proxies: Networks,
}

impl Access {
    /// Who asks: the peer, or, when that is a trusted proxy, whoever it names, and so on from proxy to proxy.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = ClientAddress {
            address: peer.to_canonical(),
            is_certain: true,
        };
        if !self.trusted_proxies.contains(peer) {
            return client;
        }
        // A header that stands there several times is one list (RFC 9110, section 5.3).
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for (proxies, entry) in entries.enumerate() {
            let Some(address) = named(entry).filter(|_| proxies < MAX_PROXIES) else {
                client.is_certain = false;
                return client;
            };
            client.address = address;
            if !self.trusted_proxies.contains(address) {
                return client;
            }
        }
        client
    }

    /// Whether whoever speaks from this address itself may have what the boot routes answer.
    #[must_use]
    pub fn admits_address(&self, address: IpAddr) -> bool {
        self.admits(ClientAddress {
            address: address.to_canonical(),
            is_certain: true,
        })
    }

    /// Whether this client may have what the boot routes answer.
    pub(super) fn admits(&self, client: ClientAddress) -> bool {
        self.allow.is_empty() || (client.is_certain && self.allow.contains(client.address))
    }
}

/// Who asks, as far as that is known. Only [`Access::client`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    address: IpAddr,
    is_certain: bool,
}

impl ClientAddress {
    /// The address, an IPv4 address as such. Where a trusted proxy does not tell whom it asks for, its own.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Whether this is who asks, not a proxy that names somebody who cannot be read.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self.is_certain
    }
}

/// The address of one entry: `192.0.2.7`, `2001:db8::7`, or with the port that some proxies add, `192.0.2.7:49152` and
/// `[2001:db8::7]:49152`. A zone is cut, as it is from the addresses of connections.
fn named(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = |text: &str| text.parse::<u16>().is_ok() && !text.starts_with('+');
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(without_zone(address)?)
    } else if let Ok(address) = text.parse::<Ipv4Addr>() {
        IpAddr::V4(address)
    } else if let Ok(address) = text.parse::<SocketAddrV4>() {
        IpAddr::V4(*address.ip())
    } else {
        IpAddr::V6(without_zone(text)?)
    };
    Some(address.to_canonical())
}

fn without_zone(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = match text.split_once('%') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let zone_fits = zone.len() <= MAX_ZONE_BYTES && zone.bytes().all(is_unreserved);
    address.parse().ok().filter(|_| zone_fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn networks(texts: &[&str]) -> Networks {
        let all = texts.iter().map(|text| Network::parse(text).unwrap());
        all.collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(FORWARDED_FOR, value);
        }
        headers
    }

    /// Who asks when the connection comes from `10.0.0.1`; proxies are `10.0.0.0/24` and `fd00::/64`. `?` stands behind an
    /// address that is not certain.
    fn client(lines: &[&str]) -> String {
        let access = Access {
            trusted_proxies: networks(&["10.0.0.0/24", "fd00::/64"]),
            ..Access::default()
        };
        let client = access.client(ip("::ffff:10.0.0.1"), &headers(lines));
        let mark = if client.is_certain { "" } else { "?" };
        format!("{}{mark}", client.address)
    }

    #[test]
    fn networks_are_read_in_one_form() {
        let cases = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 192.0.2.7 ", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Network::parse(text).unwrap().0.to_string(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0/24",
            "010.0.0.0/8",
            "10.0.0.0/8,fd00::/8",
            "fd00::/129",
            "[fd00::]/8",
            "fe80::1%eth0",
            "localhost",
            "all",
        ] {
            let error = Network::parse(text).unwrap_err();
            assert!(error.starts_with("networks look like"), "{text:?}: {error}");
        }
        let error = Network::parse("10.1.2.3/8").unwrap_err();
        let expected = "the address goes on behind the prefix; write `10.0.0.0/8` for the network or `10.1.2.3` for this \
                        address alone";
        assert_eq!(error, expected);
        assert!(Network::parse("fd00::1/64").is_err());
    }

    #[test]
    fn the_families_are_kept_apart_and_mapped_addresses_are_ipv4() {
        let ten = networks(&["10.0.0.0/8"]);
        assert!(ten.contains(ip("10.255.255.255")) && ten.contains(ip("::ffff:10.0.0.1")));
        assert!(!ten.contains(ip("11.0.0.0")) && !ten.contains(ip("::10.0.0.1")));
        let six = networks(&["::/0"]);
        assert!(six.contains(ip("::1")));
        assert!(!six.contains(ip("10.0.0.1")) && !six.contains(ip("::ffff:10.0.0.1")));
        let four = networks(&["0.0.0.0/0"]);
        assert!(four.contains(ip("::ffff:255.255.255.255")) && !four.contains(ip("::")));
        assert!(!networks(&[]).contains(ip("::")));
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxy_asks() {
        let cases: [(&[&str], &str); 20] = [
            (&[], "10.0.0.1"),
            (&["192.0.2.7"], "192.0.2.7"),
            (&["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
            (&["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7,10.0.0.2", "fd00::2"], "192.0.2.7"),
            (&["junk, 192.0.2.7,\t10.0.0.2 "], "192.0.2.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.7:49152"], "192.0.2.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:49152"], "2001:db8::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
            (&["fe80::7%eth0"], "fe80::7"),
            (&["[fe80::7%2]:49152"], "fe80::7"),
            (&["192.0.2.7, junk"], "10.0.0.1?"),
            (&["192.0.2.7, junk, 10.0.0.2"], "10.0.0.2?"),
            (&["192.0.2.7,"], "10.0.0.1?"),
            (&["192.0.2.7", ""], "10.0.0.1?"),
            (&["unknown"], "10.0.0.1?"),
        ];
        for (lines, expected) in cases {
            assert_eq!(client(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn malformed_entries_name_nobody() {
        for entry in [
            "192.0.2.7:",
            "192.0.2.7:65536",
            "192.0.2.7:+80",
            "192.0.2.07",
            "192.0.2",
            "192.0.2.7/32",
            "[192.0.2.7]",
            "[2001:db8::7",
            "[2001:db8::7]:",
            "[2001:db8::7]:+80",
            "[2001:db8::7]80",
            "2001:db8::7]",
            "fe80::7%",
            "fe80::7%a%b",
            "fe80::7% ",
            "192.0.2.7%eth0",
            "\"192.0.2.7\"",
            "for=192.0.2.7",
            "192.0.2.7 192.0.2.8",
            "\u{e9}",
        ] {
            assert_eq!(named(entry.as_bytes()), None, "{entry:?}");
        }
        assert_eq!(named(b"\xff"), None);
        assert_eq!(
            named(format!("fe80::7%{}", "e".repeat(33)).as_bytes()),
            None
        );
    }

    #[test]
    fn a_chain_of_proxies_has_an_end() {
        let chain = |proxies: usize| format!("192.0.2.7{}", ", 10.0.0.2".repeat(proxies));
        assert_eq!(client(&[&chain(MAX_PROXIES - 1)]), "192.0.2.7");
        assert_eq!(client(&[&chain(MAX_PROXIES)]), "10.0.0.2?");
    }

    #[test]
    fn an_uncertain_client_is_admitted_only_where_everybody_is() {
        let uncertain = ClientAddress {
            address: ip("10.0.0.1"),
            is_certain: false,
        };
        let mut access = Access::default();
        assert!(access.admits(uncertain));
        access.allow = networks(&["0.0.0.0/0", "::/0"]);
        assert!(!access.admits(uncertain));
        assert!(access.admits(ClientAddress {
            is_certain: true,
            ..uncertain
        }));
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            // Few of them, so that they meet the networks below.
            (0..4u8, 0..4u8).prop_map(|(a, b)| IpAddr::from([10, 0, a, b])),
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 2]>()
                .prop_map(|[a, b]| IpAddr::from(Ipv4Addr::new(10, 0, a, b).to_ipv6_mapped())),
            any::<[u16; 8]>().prop_map(IpAddr::from),
        ]
    }

    fn any_network() -> impl Strategy<Value = IpNet> {
        (any_ip(), 0..=128u8).prop_map(|(address, bits)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            IpNet::new(address, bits.min(most)).unwrap().trunc()
        })
    }

    /// Lines as anybody may send them, some with sense.
    fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let entry = prop_oneof![
            any_ip().prop_map(|address| address.to_string().into_bytes()),
            any_ip().prop_map(|address| format!("[{address}]:80").into_bytes()),
            "[0-9a-f:.%,\\[\\] ]{0,20}".prop_map(String::into_bytes),
            vec(0x20..=0xffu8, 0..12),
        ];
        let line = vec(entry, 0..6).prop_map(|entries| {
            let mut line = entries.join(&b", "[..]);
            line.retain(|byte| *byte != 0x7f);
            line
        });
        vec(line, 0..4)
    }

    fn sent(lines: &[Vec<u8>]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn set(nets: &[IpNet]) -> Networks {
        nets.iter().map(|net| Network(canonical(*net))).collect()
    }

    proptest! {
        #[test]
        fn a_set_holds_what_its_networks_hold(nets in vec(any_network(), 0..8), address in any_ip()) {
            let canonical = address.to_canonical();
            let expected = nets.iter().any(|net| super::canonical(*net).contains(&canonical));
            prop_assert_eq!(set(&nets).contains(address), expected);
        }

        #[test]
        fn nobody_but_a_trusted_proxy_changes_who_asks(
            nets in vec(any_network(), 0..4),
            peer in any_ip(),
            lines in lines(),
        ) {
            let access = Access { trusted_proxies: set(&nets), ..Access::default() };
            let client = access.client(peer, &sent(&lines));
            if !access.trusted_proxies.contains(peer) {
                prop_assert!(client.is_certain);
                prop_assert_eq!(client.address, peer.to_canonical());
            }
        }

        #[test]
        fn what_a_client_sends_is_nothing_beside_what_its_proxy_adds(
            nets in vec(any_network(), 0..4),
            proxy in any_ip(),
            asker in any_ip(),
            lines in lines(),
            is_own_line in any::<bool>(),
        ) {
            let mut access = Access { trusted_proxies: set(&nets), ..Access::default() };
            prop_assume!(!access.trusted_proxies.contains(asker) && proxy.to_canonical() != asker.to_canonical());
            access.trusted_proxies = set(&[&nets[..], &[IpNet::from(proxy)]].concat());
            let mut lines = lines;
            match lines.last_mut() {
                Some(last) if !is_own_line => last.extend(format!(", {asker}").into_bytes()),
                _ => lines.push(asker.to_string().into_bytes()),
            }
            let client = access.client(proxy, &sent(&lines));
            prop_assert!(client.is_certain);
            prop_assert_eq!(client.address, asker.to_canonical());
        }

        #[test]
        fn reading_a_network_never_panics(text in "\\PC{0,30}|[0-9a-f:.]{1,20}/[0-9]{0,4}") {
            let _ = Network::parse(&text);
        }
    }
}
