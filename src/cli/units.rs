//! Values of flags that carry a unit.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A duration: `30s`, `15m`, `1h 30m`, or a plain `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; durations look like `30s`, `15m` or `1h`"))
}

/// A duration that is not zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// The interval between checks: a second at least.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_secs(1) {
        return Err("must be at least `1s`".to_owned());
    }
    Ok(interval)
}

/// The units of a number of bytes.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("b", 1),
    ("", 1),
];

/// A number of bytes: `16384`, `16KiB`, `512MiB`, `1GiB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let size = factor.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    size.ok_or_else(|| "sizes look like `4096`, `16KiB`, `4MiB` or `1GiB`".to_owned())
}

/// A number of bytes that memory can hold.
pub(super) fn memory(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| "is more than this machine can address".to_owned())
}

/// An address to listen on: `127.0.0.1:8080`, `[::]:8080`, or `:8080` for all addresses of both families.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let any = || {
        let port = text.strip_prefix(':')?.parse().ok()?;
        Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    };
    let parsed = text.parse().ok().or_else(any);
    parsed.ok_or_else(|| "addresses look like `127.0.0.1:8080`, `[::]:8080` or `:8080`".to_owned())
}

/// The port of TFTP.
const TFTP_PORT: u16 = 69;

/// The same for TFTP, where an address alone means the usual port: `10.0.0.1`, `[::]`, or `::`.
pub(super) fn tftp_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(text).parse() {
        Ok(ip) => Ok(SocketAddr::new(ip, TFTP_PORT)),
        Err(_) => address(text)
            .map_err(|_| "addresses look like `10.0.0.1`, `[::]:69` or `:69`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_unless_they_are_zero() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("30").is_err());
        assert!(duration("-1s").is_err());
        assert!(positive_duration("0").is_err());
        assert!(interval("999ms").is_err());
        assert_eq!(interval("1s"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn sizes_are_binary() {
        for (text, expected) in [
            ("0", 0),
            ("4096", 4096),
            ("16KiB", 16_384),
            ("1 m", 1 << 20),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "KiB",
            "-1",
            "1.5MiB",
            "16kb",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tftp_has_a_port_of_its_own() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1:69"),
            ("[::]", "[::]:69"),
            ("::1", "[::1]:69"),
            (":1069", "[::]:1069"),
            ("127.0.0.1:0", "127.0.0.1:0"),
        ] {
            assert_eq!(tftp_address(text), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "69", "localhost", "10.0.0.1:x", "[10.0.0.1"] {
            assert!(tftp_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_need_a_port() {
        assert_eq!(address(":8080"), Ok("[::]:8080".parse().unwrap()));
        assert_eq!(address("127.0.0.1:0"), Ok("127.0.0.1:0".parse().unwrap()));
        for text in ["", "8080", "127.0.0.1", "localhost:80", ":x", ":65536"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
