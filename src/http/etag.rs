//! Strong validators: the digest of the bytes sent.

use std::fmt::Write as _;

use ::http::HeaderMap;
use ::http::header::IF_NONE_MATCH;
use sha2::{Digest as _, Sha256};

/// The entity tag of a body: `"sha256-<hex>"`, quotes included.
pub(super) fn of(body: &[u8]) -> String {
    let mut tag = String::with_capacity(73);
    tag.push_str("\"sha256-");
    for byte in Sha256::digest(body) {
        // Writing into a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether `If-None-Match` names this tag. The comparison is weak, as RFC 9110 wants it here.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str =
        "\"sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";

    #[test]
    fn tags_are_the_digest_of_the_body() {
        assert_eq!(of(b""), EMPTY);
    }

    #[test]
    fn lists_stars_and_weak_tags_are_understood() {
        let known = [
            EMPTY.to_owned(),
            format!("W/{EMPTY}"),
            format!("\"a\", {EMPTY}"),
            "*".to_owned(),
        ];
        for value in known {
            let mut headers = HeaderMap::new();
            headers.append(IF_NONE_MATCH, "\"other\"".parse().unwrap());
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
            assert!(is_known(&headers, EMPTY), "{value}");
        }
        for value in ["\"a\"", "", "sha256-e3b0", "W/*"] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            assert!(!is_known(&headers, EMPTY), "{value}");
        }
    }
}
