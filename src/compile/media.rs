//! Content types: what a body is, by its name or by its bytes.

use serde_json::Value;

use crate::template::Kind;

/// The content type of what nothing else is known about (contract, section 3).
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// How labels are escaped in a body of this type.
pub(super) fn kind_of(content_type: &str) -> Kind {
    if is_json(content_type) {
        Kind::Json
    } else {
        Kind::Other
    }
}

/// Whether a media type is JSON by its name (RFC 6839, section 3.1).
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The content type of a body that nobody names one for (contract, section 3).
pub(super) fn sniff(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return PLAIN_TEXT.to_owned();
    };
    if text
        .lines()
        .next()
        .is_some_and(|first| first.trim_end() == "#cloud-config")
    {
        return "text/cloud-config".to_owned();
    }
    if text.trim_start().starts_with(['{', '[']) {
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(map))
                if map
                    .get("ignition")
                    .is_some_and(|one| one.get("version").is_some()) =>
            {
                return "application/vnd.coreos.ignition+json".to_owned();
            }
            Ok(_) => return "application/json".to_owned(),
            Err(_) => {}
        }
    }
    PLAIN_TEXT.to_owned()
}
