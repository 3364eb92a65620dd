//! Content → id: same bytes in, same UUID out, on every replica and platform.
//!
//! The scheme is a promise to machines that are booting right now and to replicas of other versions, so it may never
//! change; the vectors in the tests hold it. All fields are framed by their length, so that no two contents can run
//! together into the same bytes:
//!
//! ```text
//! id         = UUIDv8(first 16 bytes of SHA-256(field*))          version and variant bits set, RFC 9562 section 5.8
//! field      = length as 8 bytes, big-endian, then the bytes
//! config     = "gitboot config v1", content type, form, …
//!   form 0   … "fixed", the rendered pieces between the places where the base URL stands, a field each
//!   form 1   … "template" or "older-template", number of sources, each source, canonical JSON of values and names,
//!              then for each config it names: its name, its id
//! directory  = "gitboot config directory v1", then for each config: its name, its id
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The id of a config or of a config directory: a UUID of version 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigId(Uuid);

impl ConfigId {
    /// Reads an id out of a URL: the hyphenated form, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        /// The length of the hyphenated form; the shorter and longer spellings of UUIDs are no ids of ours.
        const HYPHENATED: usize = 36;
        if text.len() != HYPHENATED {
            return None;
        }
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What a config's id is made of.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// Bytes that no label changes, cut where the base URL stands.
    Fixed(Vec<&'a [u8]>),
    /// A template whose output depends on labels, or on more of the base URL than where it stands.
    Template {
        /// Whether it is written in the older groups' spelling.
        older: bool,
        /// The template and all it includes.
        sources: Vec<&'a str>,
        /// The values and names that it mentions.
        mentioned: &'a Value,
        /// The configs that it names.
        configs: Vec<(&'a str, ConfigId)>,
    },
}

/// The id of a config.
///
/// # Panics
/// Never: every JSON value has a canonical form.
#[must_use]
pub fn config_id(content_type: &str, content: &Content<'_>) -> ConfigId {
    let mut fields = Fields::new("gitboot config v1");
    fields.text(content_type);
    match content {
        Content::Fixed(pieces) => {
            fields.text("fixed");
            for piece in pieces {
                fields.bytes(piece);
            }
        }
        Content::Template {
            older,
            sources,
            mentioned,
            configs,
        } => {
            fields.text(if *older { "older-template" } else { "template" });
            fields.text(&sources.len().to_string());
            for source in sources {
                fields.text(source);
            }
            let canonical = serde_json_canonicalizer::to_vec(mentioned)
                .expect("a JSON value has a canonical form");
            fields.bytes(&canonical);
            for (name, id) in configs {
                fields.text(name);
                fields.bytes(id.0.as_bytes());
            }
        }
    }
    fields.id()
}

/// The id of all configs of one machine together.
#[must_use]
pub fn directory_id(configs: &BTreeMap<String, ConfigId>) -> ConfigId {
    let mut fields = Fields::new("gitboot config directory v1");
    for (name, id) in configs {
        fields.text(name);
        fields.bytes(id.0.as_bytes());
    }
    fields.id()
}

/// The SHA-256 of a body: what its entity tag is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// That of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A strong entity tag (RFC 9110, section 8.8.3): `"sha256-…"`.
    #[must_use]
    pub fn entity_tag(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut tag = String::with_capacity(73);
        tag.push_str("\"sha256-");
        for byte in self.0 {
            tag.push(char::from(DIGITS[usize::from(byte >> 4)]));
            tag.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
        tag.push('"');
        tag
    }
}

/// Fields, each behind its length, on their way into a hash.
struct Fields(Sha256);

impl Fields {
    fn new(tag: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.text(tag);
        fields
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn id(self) -> ConfigId {
        let digest = self.0.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        ConfigId(Uuid::new_v8(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(content_type: &str, content: &Content<'_>) -> String {
        config_id(content_type, content).to_string()
    }

    #[test]
    fn published_vectors_never_change() {
        let empty = Content::Fixed(vec![b""]);
        let hello = Content::Fixed(vec![b"hello\n"]);
        let cut = Content::Fixed(vec![b"url=", b"/x\n"]);
        let mentioned = json!({"values": {"b": 1, "a": "x"}});
        let template = |older| Content::Template {
            older,
            sources: vec!["{{ labels.serial }}\n"],
            mentioned: &mentioned,
            configs: vec![(
                "motd",
                config_id("text/plain", &Content::Fixed(vec![b"hello\n"])),
            )],
        };
        let vectors = [
            ("empty", id("text/plain; charset=utf-8", &empty)),
            ("hello", id("text/plain; charset=utf-8", &hello)),
            ("hello as JSON", id("application/json", &hello)),
            ("cut", id("text/plain; charset=utf-8", &cut)),
            (
                "template",
                id("text/plain; charset=utf-8", &template(false)),
            ),
            (
                "older template",
                id("text/plain; charset=utf-8", &template(true)),
            ),
        ];
        let lines = vectors.map(|(name, id)| format!("{name}: {id}\n"));
        let printed = lines.concat();
        assert_eq!(printed, include_str!("../tests/vectors/config-ids.txt"));
    }

    #[test]
    fn version_and_variant_are_those_of_rfc_9562() {
        let id = config_id("text/plain", &Content::Fixed(vec![b"x"]));
        assert_eq!(id.0.get_version_num(), 8);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn the_place_of_the_base_url_counts() {
        let one = config_id("t/p", &Content::Fixed(vec![b"ab", b"c"]));
        let other = config_id("t/p", &Content::Fixed(vec![b"a", b"bc"]));
        assert_ne!(one, other);
    }

    #[test]
    fn only_the_hyphenated_form_is_read() {
        let id = config_id("t/p", &Content::Fixed(vec![b"x"]));
        let text = id.to_string();
        assert_eq!(ConfigId::parse(&text), Some(id));
        assert_eq!(ConfigId::parse(&text.to_uppercase()), Some(id));
        assert_eq!(ConfigId::parse(&text.replace('-', "")), None);
        assert_eq!(ConfigId::parse(&format!("{{{text}}}")), None);
        assert_eq!(ConfigId::parse(""), None);
    }
}
