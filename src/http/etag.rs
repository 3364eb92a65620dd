//! Entity tags that clients send back.

use ::http::HeaderMap;
use ::http::header::IF_NONE_MATCH;

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

    const TAG: &str = "\"sha256-e3b0c442\"";

    #[test]
    fn lists_stars_and_weak_tags_are_understood() {
        let known = [
            TAG.to_owned(),
            format!("W/{TAG}"),
            format!("\"a\", {TAG}"),
            "*".to_owned(),
        ];
        for value in known {
            let mut headers = HeaderMap::new();
            headers.append(IF_NONE_MATCH, "\"other\"".parse().unwrap());
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
            assert!(is_known(&headers, TAG), "{value}");
        }
        for value in ["\"a\"", "", "sha256-e3b0", "W/*"] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            assert!(!is_known(&headers, TAG), "{value}");
        }
    }
}
