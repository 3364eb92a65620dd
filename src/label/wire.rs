//! How labels travel: what clients write into a query, and what we write into the URLs of configs.
//!
//! Form decoding is not for us. No iPXE writes a blank as `+`, old ones write `%` without escaping it, and every one writes a
//! byte above 0x7f with its sign extended (`%FFFFFFC3` for `%C3`).

use super::DropReason;
use super::key::canonical;
use super::value::normalise;
use std::borrow::Cow;
use std::fmt::Write as _;

/// What a key ends in when its value is written as hex bytes: `serial.hex=534e3432`.
const HEX_SUFFIX: &str = ".hex";

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
    Some(hex_digit(*high)? << 4 | hex_digit(*low)?)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The canonical key and the normalised value of a decoded pair, `….hex` keys included; `Ok(None)` when `ignores` says so of
/// the canonical key, whose value is then not looked at. Lower-cases `key` in place.
pub(super) fn read_pair(
    key: &mut [u8],
    value: &[u8],
    ignores: impl FnOnce(&str) -> bool,
) -> Result<Option<(Cow<'static, str>, String)>, DropReason> {
    key.make_ascii_lowercase();
    let key = str::from_utf8(key).map_err(|_| DropReason::BadKey)?;
    let (key, is_hex) = match key.strip_suffix(HEX_SUFFIX) {
        Some(key) => (key, true),
        None => (key, false),
    };
    let key = canonical(key).ok_or(DropReason::BadKey)?;
    if ignores(&key) {
        return Ok(None);
    }
    let value = if is_hex {
        Cow::Owned(decode_hex(value)?)
    } else {
        Cow::Borrowed(value)
    };
    let value = str::from_utf8(&value).map_err(|_| DropReason::NotUtf8)?;
    let value = normalise(&key, value)?;
    Ok(Some((key, value)))
}

fn decode_hex(digits: &[u8]) -> Result<Vec<u8>, DropReason> {
    if !digits.len().is_multiple_of(2) {
        return Err(DropReason::MalformedHex);
    }
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks_exact(2) {
        bytes.push(decode_hex_pair(pair).ok_or(DropReason::MalformedHex)?);
    }
    Ok(bytes)
}
