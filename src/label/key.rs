//! Keys: one spelling for each.

use std::borrow::Cow;

use super::wire::HEX_SUFFIX;

/// The most bytes that a key may have. The longest that a machine sends by itself has 12 (`manufacturer`); the bound keeps
/// what a stranger writes into logs and error messages short.
pub(super) const MAX_KEY_BYTES: usize = 64;

/// The labels that `/boot.ipxe` sends, so that every machine does.
pub const SENT: [&str; 10] = [
    "uuid",
    "mac",
    "buildarch",
    "platform",
    "serial",
    "asset",
    "manufacturer",
    "product",
    "hostname",
    "domain",
];

/// The one spelling of a key: lower-cased, and aliases (`macAddress`, `serials`, `arch`, …) replaced by the key they mean.
/// `None` when the key is empty, over 64 bytes or holds control characters. The answer for an answer is itself.
#[must_use]
pub fn canonical_key(raw: &str) -> Option<String> {
    canonical(raw).map(Cow::into_owned)
}

/// The same, without an allocation for the keys that machines send.
pub(super) fn canonical(raw: &str) -> Option<Cow<'static, str>> {
    let key = lower_case(raw);
    if let Some(known) = known(&key) {
        return Some(Cow::Borrowed(known));
    }
    let good = !key.is_empty() && key.len() <= MAX_KEY_BYTES && !key.chars().any(char::is_control);
    good.then(|| Cow::Owned(key.into_owned()))
}

/// The key that this is as it stands in a query, if it is one that `/boot.ipxe` sends, and whether its value is written as hex
/// bytes.
pub(super) fn sent(raw: &str) -> Option<(&'static str, bool)> {
    match raw.strip_suffix(HEX_SUFFIX) {
        Some(key) => Some((known(key)?, true)),
        None => Some((known(raw)?, false)),
    }
}

/// The keys that have other spellings, and those that need no copy because `/boot.ipxe` sends them.
fn known(lower: &str) -> Option<&'static str> {
    Some(match lower {
        "uuid" | "uuids" | "uuidlist" => "uuid",
        "serial" | "serials" | "serialnumber" | "serialnumbers" => "serial",
        "mac" | "macs" | "macaddress" | "macaddresses" => "mac",
        "asset" => "asset",
        "buildarch" | "arch" => "buildarch",
        "platform" => "platform",
        "manufacturer" => "manufacturer",
        "product" => "product",
        "hostname" => "hostname",
        "domain" => "domain",
        _ => return None,
    })
}

fn lower_case(raw: &str) -> Cow<'_, str> {
    if !raw.is_ascii() {
        Cow::Owned(raw.to_lowercase())
    } else if raw.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(raw.to_ascii_lowercase())
    } else {
        Cow::Borrowed(raw)
    }
}
