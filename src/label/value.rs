//! Values: one normal form for each, and what counts as none at all.

use super::Identity;

/// The most bytes that a value may have. SMBIOS strings seen in the field have at most 64, host names 253; the bound keeps
/// what a stranger puts into scripts and logs short.
pub(super) const MAX_VALUE_BYTES: usize = 256;

/// Why a value is absent in a query and an error in a selector. The text reads on after the value's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing is left after trailing NULs and blanks around are cut.
    #[error("is empty")]
    Empty,
    /// A `mac` that is no MAC in any of the accepted spellings.
    #[error("is not a MAC of 6, 8 or 20 bytes")]
    MalformedMac,
    /// A `uuid` that is no UUID in any of the accepted spellings.
    #[error("is not a UUID")]
    MalformedUuid,
    /// An identity that many machines share because their vendor filled in nothing.
    #[error("is a placeholder that many machines share")]
    Junk,
    /// A control character is in it.
    #[error("holds control characters")]
    Control,
    /// It has more than 256 bytes.
    #[error("is longer than 256 bytes")]
    TooLong,
}

/// What iPXE calls the architectures it is built for: the folders below `src/arch/` of its source.
const BUILDARCHES: [&str; 7] = [
    "i386", "x86_64", "arm32", "arm64", "riscv32", "riscv64", "loong64",
];

/// What vendors leave in SMBIOS where an identity should be; compared without case.
const JUNK: [&str; 14] = [
    "To be filled by O.E.M.",
    "Default string",
    "System Serial Number",
    "Chassis Serial Number",
    "Not Specified",
    "Not Applicable",
    "No Asset Tag",
    "None",
    "N/A",
    "Unknown",
    "INVALID",
    "0",
    "0123456789",
    "123456789",
];

/// UUIDs that are no identity, as digits: nil, all ones, and the one that a common BIOS ships on every board.
const JUNK_UUIDS: [&[u8; 32]; 3] = [
    b"00000000000000000000000000000000",
    b"ffffffffffffffffffffffffffffffff",
    b"03000200040005000006000700080009",
];

/// The longest MAC in bytes: 20 for IP over InfiniBand. The others are 6 (Ethernet) and 8 (EUI-64).
const MAX_MAC_BYTES: usize = 20;

/// Whether a (normalised) `buildarch` value is one that iPXE knows.
#[must_use]
pub fn is_buildarch(value: &str) -> bool {
    BUILDARCHES.contains(&value)
}

/// The normal form of a decoded value of a canonical key: trailing NULs and blanks around cut; a MAC as `aa:bb:…`, a UUID in
/// lower case with hyphens, iPXE's name for an aliased `buildarch`; everything else as it is. The answer for an answer is
/// itself.
///
/// # Errors
/// When the value is absent by the rules of a query: see [`Rejection`].
pub fn normalise(key: &str, raw: &str) -> Result<String, Rejection> {
    let mut normal = String::new();
    push_normal(key, raw, &mut normal)?;
    Ok(normal)
}

/// Writes the same behind what is there, if anything.
pub(super) fn push_normal(key: &str, raw: &str, out: &mut String) -> Result<(), Rejection> {
    let identity = Identity::from_key(key);
    // As nearly all machines write it.
    let is_usual = match identity {
        Some(Identity::Mac) => push_usual_mac(raw, out),
        Some(Identity::Uuid) => push_usual_uuid(raw, out),
        _ => false,
    };
    if is_usual {
        return Ok(());
    }
    let value = trim(raw);
    if value.is_empty() {
        return Err(Rejection::Empty);
    }
    if !is_printable_ascii(value) && value.contains(char::is_control) {
        return Err(Rejection::Control);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(Rejection::TooLong);
    }
    if identity.is_some() && JUNK.iter().any(|junk| junk.eq_ignore_ascii_case(value)) {
        return Err(Rejection::Junk);
    }
    match identity {
        Some(Identity::Mac) => out.push_str(&normalise_mac(value)?),
        Some(Identity::Uuid) => out.push_str(&normalise_uuid(value)?),
        None if key == "buildarch" => out.push_str(unalias_buildarch(value)),
        Some(Identity::Serial | Identity::Asset) | None => out.push_str(value),
    }
    Ok(())
}

/// The normal form of a MAC; `None` when it is malformed, or the junk that no machine is (all zeros, all ones).
#[must_use]
pub fn parse_mac(text: &str) -> Option<String> {
    normalise(Identity::Mac.key(), text).ok()
}

/// Cuts trailing NULs, which iPXE sends for some settings, and blanks around, which SMBIOS strings carry; in any mix.
fn trim(raw: &str) -> &str {
    let bytes = raw.as_bytes();
    if let (Some(b'!'..=b'~'), Some(b'!'..=b'~')) = (bytes.first(), bytes.last()) {
        return raw;
    }
    raw.trim_start_matches([' ', '\t'])
        .trim_end_matches([' ', '\t', '\0'])
}

/// Without a branch for each byte, so that many are looked at in one step.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes()
        .fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// Exactly these spellings: what kernels and packagers say for what iPXE calls otherwise.
fn unalias_buildarch(value: &str) -> &str {
    match value {
        "aarch64" => "arm64",
        "amd64" => "x86_64",
        other => other,
    }
}

/// Writes the MAC of an Ethernet card that is spelled in lower case, between hyphens or colons; `false` for any other and for
/// what may be junk, which take the long way.
fn push_usual_mac(text: &str, out: &mut String) -> bool {
    const PLACES: [usize; 5] = [2, 5, 8, 11, 14];
    let Ok(mut bytes) = <[u8; 17]>::try_from(text.as_bytes()) else {
        return false;
    };
    let separator = bytes[2];
    // Pairs of junk repeat.
    let is_usual = matches!(separator, b':' | b'-')
        && is_grouped(&bytes, separator, &PLACES)
        && bytes[..2] != bytes[3..5];
    if is_usual {
        for place in PLACES {
            bytes[place] = b':';
        }
        out.push_str(str::from_utf8(&bytes).expect("digits and colons are text"));
    }
    is_usual
}

/// The same for a UUID in lower case with hyphens.
fn push_usual_uuid(text: &str, out: &mut String) -> bool {
    let Ok(bytes) = <[u8; 36]>::try_from(text.as_bytes()) else {
        return false;
    };
    let is_usual = is_grouped(&bytes, b'-', &[8, 13, 18, 23])
        && JUNK_UUIDS.iter().all(|junk| junk[..8] != bytes[..8]);
    if is_usual {
        out.push_str(text);
    }
    is_usual
}

/// Whether this separator stands at these places and lower-case hex digits at all others.
fn is_grouped<const N: usize>(text: &[u8; N], separator: u8, places: &[usize]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    // A sum without a branch, so that many bytes are looked at in one step.
    let digits: u8 = text.iter().map(|byte| u8::from(is_digit(byte))).sum();
    usize::from(digits) + places.len() == N
        && places
            .iter()
            .all(|place| text.get(*place) == Some(&separator))
}

fn normalise_mac(value: &str) -> Result<String, Rejection> {
    let digits = mac_digits(value.as_bytes()).ok_or(Rejection::MalformedMac)?;
    if digits.iter().all(|digit| *digit == b'0') || digits.iter().all(|digit| *digit == b'f') {
        return Err(Rejection::Junk);
    }
    let mut normal = String::with_capacity(digits.len() / 2 * 3);
    for (index, digit) in digits.iter().enumerate() {
        if index > 0 && index % 2 == 0 {
            normal.push(':');
        }
        normal.push(char::from(*digit));
    }
    Ok(normal)
}

/// The hex digits of a MAC in lower case: pairs between `:` or `-`, groups of four between dots, or nothing between.
fn mac_digits(text: &[u8]) -> Option<Digits<{ 2 * MAX_MAC_BYTES }>> {
    let (group, separator) = match (text.get(2), text.get(4)) {
        (Some(separator @ (b':' | b'-')), _) => (2, *separator),
        (_, Some(b'.')) => (4, b'.'),
        // Nothing between: a group that no MAC outgrows.
        _ => (2 * MAX_MAC_BYTES, b':'),
    };
    let mut digits = Digits::new();
    for (index, byte) in text.iter().enumerate() {
        if index % (group + 1) == group {
            if *byte != separator {
                return None;
            }
        } else {
            digits.push(*byte)?;
        }
    }
    let is_mac = matches!(digits.len(), 12 | 16 | 40);
    let ends_with_digit = text.last() != Some(&separator);
    (is_mac && ends_with_digit).then_some(digits)
}

fn normalise_uuid(value: &str) -> Result<String, Rejection> {
    let digits = uuid_digits(value).ok_or(Rejection::MalformedUuid)?;
    if JUNK_UUIDS.iter().any(|junk| **junk == *digits) {
        return Err(Rejection::Junk);
    }
    let mut normal = String::with_capacity(36);
    for (index, digit) in digits.iter().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            normal.push('-');
        }
        normal.push(char::from(*digit));
    }
    Ok(normal)
}

/// The 32 hex digits of a UUID in lower case: with hyphens or bare, perhaps in braces or behind `urn:uuid:`.
fn uuid_digits(text: &str) -> Option<Digits<32>> {
    let braced = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let urn = text
        .split_at_checked("urn:uuid:".len())
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case("urn:uuid:"))
        .map(|(_, rest)| rest);
    let text = braced.or(urn).unwrap_or(text).as_bytes();
    let hyphenated = text.contains(&b'-');
    let mut digits = Digits::new();
    for (index, byte) in text.iter().enumerate() {
        if hyphenated && matches!(index, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            digits.push(*byte)?;
        }
    }
    (digits.len() == 32).then_some(digits)
}

/// Up to `N` lower-case hex digits, on the stack.
struct Digits<const N: usize> {
    digits: [u8; N],
    len: usize,
}

impl<const N: usize> Digits<N> {
    fn new() -> Self {
        Self {
            digits: [0; N],
            len: 0,
        }
    }

    /// Takes one more digit of any case; `None` when it is no hex digit or one too many.
    fn push(&mut self, byte: u8) -> Option<()> {
        if !byte.is_ascii_hexdigit() {
            return None;
        }
        *self.digits.get_mut(self.len)? = byte.to_ascii_lowercase();
        self.len += 1;
        Some(())
    }
}

impl<const N: usize> std::ops::Deref for Digits<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}
