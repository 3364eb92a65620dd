//! How labels travel: what clients write into a query, and what we write into the URLs of configs.
//!
//! Form decoding is not for us. No iPXE writes a blank as `+`, old ones write `%` without escaping it, and every one writes a
//! byte above 0x7f with its sign extended (`%FFFFFFC3` for `%C3`).

use super::DropReason;
use super::key::canonical;
use super::value::push_normal;
use memchr::memchr;
use std::borrow::Cow;
use std::fmt::Write as _;

/// What a key ends in when its value is written as hex bytes: `serial.hex=534e3432`.
pub(super) const HEX_SUFFIX: &str = ".hex";

/// Values of up to so many bytes are decoded without an allocation; those that machines send are shorter.
const SHORT_BYTES: usize = 64;

/// Writes `key=value&…` as the URLs of configs carry it, in the given order: the value as it is when it is made of
/// `A-Za-z0-9-._~:`, otherwise as `key.hex=…` in lower-case hex digits. [`super::Labels::parse`] reads back the same pairs.
pub fn encode_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut String) {
    for (index, (key, value)) in pairs.enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode_key(key, out);
        // A key that itself ends in the suffix would lose it on the way back.
        if value.bytes().all(is_plain_in_value) && !key.ends_with(HEX_SUFFIX) {
            out.push('=');
            out.push_str(value);
        } else {
            out.push_str(HEX_SUFFIX);
            out.push('=');
            for byte in value.bytes() {
                write!(out, "{byte:02x}").expect("a String takes every write");
            }
        }
    }
}

fn encode_key(key: &str, out: &mut String) {
    for byte in key.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes every write");
        }
    }
}

fn is_plain_in_value(byte: u8) -> bool {
    is_unreserved(byte) || byte == b':'
}

/// What RFC 3986, section 2.3, lets stand for itself anywhere in a URL.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// One `key=value` of a query, still encoded.
pub(super) struct Parameter<'q> {
    pub(super) key: &'q str,
    pub(super) value: &'q str,
    /// Whether a `%` stands anywhere in the query.
    pub(super) may_have_escapes: bool,
}

/// The parameters between `&`, each cut at its first `=`.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    let may_have_escapes = memchr(b'%', query.as_bytes()).is_some();
    let mut rest = Some(query);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr(b'&', text.as_bytes()).unwrap_or(text.len());
        let parameter = text.get(..end)?;
        rest = text.get(end + 1..);
        let equals = memchr(b'=', parameter.as_bytes()).unwrap_or(end);
        Some(Parameter {
            key: parameter.get(..equals)?,
            value: parameter.get(equals + 1..).unwrap_or(""),
            may_have_escapes,
        })
    })
}

/// Decodes `%XX` into `out`, whose content is replaced. A malformed escape stays as it is, and so does `+`.
pub fn decode_percent(text: &str, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(text.len());
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (byte, taken) = decode_escape(escape).unwrap_or((b'%', 1));
        out.push(byte);
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The byte that an escape at the start of `text` stands for and the escape's length; `None` when it is malformed.
fn decode_escape(text: &[u8]) -> Option<(u8, usize)> {
    // iPXE prints a signed char as `%02X`: with 12 digits F before those of the byte where integers have 64 bits, with 6
    // where they have 32. Read otherwise, both would begin with the byte 0xff, which no UTF-8 text holds.
    for sign_digits in [12, 6] {
        let extended = text.get(1..=sign_digits).unwrap_or_default();
        let is_extended =
            !extended.is_empty() && extended.iter().all(|byte| matches!(byte, b'F' | b'f'));
        let byte = text.get(sign_digits + 1..).and_then(decode_hex_pair);
        if is_extended && let Some(byte @ 0x80..) = byte {
            return Some((byte, sign_digits + 3));
        }
    }
    text.get(1..)
        .and_then(decode_hex_pair)
        .map(|byte| (byte, 3))
}

/// The byte of the first two hex digits of `text`.
fn decode_hex_pair(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else { return None };
    let (high, low) = (hex_digit(*high), hex_digit(*low));
    (high.max(low) < 16).then_some(high << 4 | low)
}

/// The value of a hex digit; more than 15 for any other byte.
fn hex_digit(byte: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [u8::MAX; 256];
        let mut digit = 0;
        while digit < 16 {
            values[b"0123456789abcdef"[digit as usize] as usize] = digit;
            values[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
            digit += 1;
        }
        values
    };
    VALUES[usize::from(byte)]
}

/// The canonical key of a decoded one, and whether its value is written as hex bytes. Lower-cases `key` in place.
pub(super) fn read_key(key: &mut [u8]) -> Result<(Cow<'static, str>, bool), DropReason> {
    key.make_ascii_lowercase();
    let key = str::from_utf8(key).map_err(|_| DropReason::BadKey)?;
    let (key, is_hex) = match key.strip_suffix(HEX_SUFFIX) {
        Some(key) => (key, true),
        None => (key, false),
    };
    let key = canonical(key).ok_or(DropReason::BadKey)?;
    Ok((key, is_hex))
}

/// Writes the normalised value of a canonical key behind what is there.
pub(super) fn push_value(
    key: &str,
    is_hex: bool,
    value: &str,
    out: &mut String,
) -> Result<(), DropReason> {
    if !is_hex {
        return Ok(push_normal(key, value, out)?);
    }
    let text = |bytes| str::from_utf8(bytes).map_err(|_| DropReason::NotUtf8);
    let mut short = [0; SHORT_BYTES];
    if let Some(bytes) = short.get_mut(..value.len() / 2) {
        decode_hex(value.as_bytes(), bytes)?;
        return Ok(push_normal(key, text(bytes)?, out)?);
    }
    let mut bytes = vec![0; value.len() / 2];
    decode_hex(value.as_bytes(), &mut bytes)?;
    Ok(push_normal(key, text(&bytes)?, out)?)
}

/// Decodes into half as many bytes.
fn decode_hex(digits: &[u8], bytes: &mut [u8]) -> Result<(), DropReason> {
    let (pairs, odd) = digits.as_chunks::<2>();
    let mut all = 0;
    for ([high, low], byte) in pairs.iter().zip(bytes) {
        let (high, low) = (hex_digit(*high), hex_digit(*low));
        *byte = high << 4 | low;
        // Looked at once, behind the last digit.
        all |= high | low;
    }
    if odd.is_empty() && all < 16 {
        Ok(())
    } else {
        Err(DropReason::MalformedHex)
    }
}
