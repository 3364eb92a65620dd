//! `POST /hooks/push`: a forge says that there is something new. What it says beyond that is not looked at.

use ::http::HeaderMap;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The most bytes of a body: GitHub's largest event has 25 MiB, a push some kilobytes.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;

/// Whether somebody who knows the secret says so: GitHub and Gitea by a signature over the body, GitLab by the secret itself.
pub(super) fn is_signed(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> bool {
    let value = |name: &str| Some(headers.get(name)?.as_bytes());
    let hub = value("x-hub-signature-256").and_then(|value| value.strip_prefix(b"sha256="));
    let signatures = [hub, value("x-gitea-signature")];
    let is_signed = |hex: &[u8]| decoded(hex).is_some_and(|tag| is_tag(secret, body, &tag));
    signatures.into_iter().flatten().any(is_signed)
        || value("x-gitlab-token").is_some_and(|token| is_same(secret, token))
}

/// Compares in a time that says nothing about where the two differ.
pub(super) fn is_same(secret: &[u8], given: &[u8]) -> bool {
    let tag = tag(b"gitboot", given).finalize().into_bytes();
    is_tag(b"gitboot", secret, &tag)
}

pub(super) fn is_tag(key: &[u8], message: &[u8], expected: &[u8]) -> bool {
    tag(key, message).verify_slice(expected).is_ok()
}

pub(super) fn tag(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

/// The bytes of hex digits in any case.
pub(super) fn decoded(hex: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    hex.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example: "Validating webhook deliveries".
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn with(name: &'static str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        is_signed(SECRET, &headers, BODY)
    }

    #[test]
    fn each_forge_signs_in_its_way() {
        assert!(with("x-hub-signature-256", &format!("sha256={HEX}")));
        assert!(with("x-gitea-signature", HEX));
        assert!(with("x-gitea-signature", &HEX.to_uppercase()));
        assert!(with("x-gitlab-token", "It's a Secret to Everybody"));
    }

    #[test]
    fn whatever_else_is_said_is_no_signature() {
        for (name, value) in [
            ("x-hub-signature-256", HEX.to_owned()),
            ("x-hub-signature-256", format!("sha1={HEX}")),
            ("x-hub-signature-256", format!("sha256={}", &HEX[..62])),
            ("x-hub-signature-256", "sha256=".to_owned()),
            ("x-gitea-signature", format!("{HEX}00")),
            ("x-gitea-signature", "zz".to_owned()),
            ("x-gitlab-token", "It's a secret to everybody".to_owned()),
            ("x-gitlab-token", String::new()),
            ("authorization", "It's a Secret to Everybody".to_owned()),
        ] {
            assert!(!with(name, &value), "{name}: {value}");
        }
        assert!(!is_signed(SECRET, &HeaderMap::new(), BODY));
    }
}
