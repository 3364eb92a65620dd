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
//!
//! Under a key it is HMAC-SHA-256 (RFC 2104) of the same fields in place of SHA-256, so that nobody who lacks the key can
//! compute an id from content that he guesses. The same key signs the labels in the URLs of configs; the first field keeps
//! the two apart:
//!
//! ```text
//! signature  = first 16 bytes of HMAC-SHA-256(field*)
//! labels     = "gitboot label query v1", id of the config or directory, then for each label, sorted: its key, its value
//! ```

use std::collections::BTreeMap;
use std::fmt;

use hmac::digest::{KeyInit as _, Update};
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
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

    /// The text that URLs carry, written without the machinery of formats: every script names some.
    #[must_use]
    pub fn write(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for ConfigId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The key under which ids are made and label queries are signed (`--id-key-file`). Clones share it, and it prints as `…`.
#[derive(Clone)]
pub struct IdKey(Hmac<Sha256>);

impl IdKey {
    /// The fewest bytes of a key: the 122 bits that an id has, and no fewer than what a signature has.
    pub const MIN_BYTES: usize = 16;

    /// Takes a key; `None` when it has less than [`Self::MIN_BYTES`].
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let key = || Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length");
        (bytes.len() >= Self::MIN_BYTES).then(|| Self(key()))
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(…)")
    }
}

/// How many bytes of a label query's HMAC are its signature: half of it, the least that RFC 2104, section 5, allows, which
/// nobody guesses. All of it would take 32 more characters of a kernel's command line.
const SIGNATURE_BYTES: usize = 16;

/// The signature of the labels in a URL of this id, in lower-case hex digits.
#[must_use]
pub fn label_signature<'l>(
    key: &IdKey,
    id: ConfigId,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) -> String {
    let mac = label_mac(key, id, labels).finalize().into_bytes();
    hex(mac.iter().copied().take(SIGNATURE_BYTES))
}

/// Whether a signature (in hex digits of any case) is that of these labels. How long it takes does not tell how much of a
/// wrong one is right.
#[must_use]
pub fn is_label_signature<'l>(
    key: &IdKey,
    id: ConfigId,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    signature: &str,
) -> bool {
    let Some(bytes) = unhex::<SIGNATURE_BYTES>(signature) else {
        return false;
    };
    label_mac(key, id, labels)
        .verify_truncated_left(&bytes)
        .is_ok()
}

fn label_mac<'l>(
    key: &IdKey,
    id: ConfigId,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
) -> Hmac<Sha256> {
    let mut mac = key.0.clone();
    field(&mut mac, b"gitboot label query v1");
    field(&mut mac, id.0.as_bytes());
    for (key, value) in labels {
        field(&mut mac, key.as_bytes());
        field(&mut mac, value.as_bytes());
    }
    mac
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

/// The id of a config, under a key if there is one.
///
/// # Panics
/// Never: every JSON value has a canonical form.
#[must_use]
pub fn config_id(key: Option<&IdKey>, content_type: &str, content: &Content<'_>) -> ConfigId {
    let mut fields = Fields::new(key, "gitboot config v1");
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

/// The id of all configs of one machine together, under a key if there is one.
#[must_use]
pub fn directory_id(key: Option<&IdKey>, configs: &BTreeMap<String, ConfigId>) -> ConfigId {
    let mut fields = Fields::new(key, "gitboot config directory v1");
    for (name, id) in configs {
        fields.text(name);
        fields.bytes(id.0.as_bytes());
    }
    fields.id()
}

fn hex(bytes: impl ExactSizeIterator<Item = u8>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

/// The bytes of exactly twice as many hex digits.
fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
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
        ["\"sha256-", &hex(self.0.into_iter()), "\""].concat()
    }
}

/// Fields, each behind its length, on their way into a hash.
struct Fields(Hash);

enum Hash {
    Plain(Sha256),
    Keyed(Box<Hmac<Sha256>>),
}

impl Fields {
    fn new(key: Option<&IdKey>, tag: &str) -> Self {
        let mut fields = Self(match key {
            None => Hash::Plain(Sha256::new()),
            Some(IdKey(key)) => Hash::Keyed(Box::new(key.clone())),
        });
        fields.text(tag);
        fields
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Hash::Plain(hash) => field(hash, bytes),
            Hash::Keyed(mac) => field(mac.as_mut(), bytes),
        }
    }

    fn id(self) -> ConfigId {
        let digest = match self.0 {
            Hash::Plain(hash) => hash.finalize(),
            Hash::Keyed(mac) => mac.finalize().into_bytes(),
        };
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        ConfigId(Uuid::new_v8(first))
    }
}

/// One field on its way into a hash, behind its length.
fn field(hash: &mut impl Update, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config_id(content_type: &str, content: &Content<'_>) -> ConfigId {
        super::config_id(None, content_type, content)
    }

    /// The ids of contents of every kind, a line each.
    fn vectors(key: Option<&IdKey>) -> String {
        let config_id = |content_type: &str, content: &Content<'_>| {
            super::config_id(key, content_type, content)
        };
        let id = |content_type: &str, content: &Content<'_>| {
            config_id(content_type, content).to_string()
        };
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
        lines.concat()
    }

    fn key(text: &str) -> IdKey {
        IdKey::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn published_vectors_never_change() {
        assert_eq!(
            vectors(None),
            include_str!("../tests/vectors/config-ids.txt")
        );
    }

    #[test]
    fn published_vectors_under_a_key_never_change() {
        let key = key("0123456789abcdef0123456789abcdef");
        let id = ConfigId::parse("3b7e8f1c-1111-8222-8333-444455556666").unwrap();
        let configs = BTreeMap::from([("meta-data".to_owned(), id)]);
        let directory = directory_id(Some(&key), &configs);
        let none = label_signature(&key, id, std::iter::empty());
        let labels = [("serial", "SN 1"), ("site", "north")];
        let signed = label_signature(&key, id, labels.into_iter());
        let printed = format!(
            "{}directory: {directory}\nno labels: {none}\nlabels: {signed}\n",
            vectors(Some(&key))
        );
        assert_eq!(
            printed,
            include_str!("../tests/vectors/keyed-config-ids.txt")
        );
    }

    #[test]
    fn another_key_gives_other_ids() {
        let [one, other] = ["0123456789abcdef", "0123456789abcdeF"].map(key);
        let content = Content::Fixed(vec![b"x"]);
        let id = |key: Option<&IdKey>| super::config_id(key, "t/p", &content);
        assert_ne!(id(Some(&one)), id(Some(&other)));
        assert_ne!(id(Some(&one)), id(None));
        assert_eq!(id(Some(&one)).0.get_version_num(), 8);
        assert!(IdKey::new(b"fifteen bytes..").is_none());
        assert_eq!(format!("{one:?}"), "IdKey(…)");
    }

    #[test]
    fn a_signature_is_that_of_one_id_and_its_labels() {
        let [one, other] = ["0123456789abcdef", "0123456789abcdeF"].map(key);
        let id = |text: &str| config_id("t/p", &Content::Fixed(vec![text.as_bytes()]));
        let labels = |serial: &'static str| [("serial", serial), ("site", "x")].into_iter();
        let signature = label_signature(&one, id("a"), labels("1"));
        let is = |key, id, serial, text: &str| is_label_signature(key, id, labels(serial), text);
        assert!(is(&one, id("a"), "1", &signature));
        assert!(is(&one, id("a"), "1", &signature.to_uppercase()));
        assert!(!is(&other, id("a"), "1", &signature));
        assert!(!is(&one, id("b"), "1", &signature));
        assert!(!is(&one, id("a"), "2", &signature));
        let end = signature.len() - 2;
        for text in [
            "",
            "00",
            &signature[..end],
            &format!("{signature}00"),
            &"é".repeat(16),
        ] {
            assert!(!is(&one, id("a"), "1", text), "{text}");
        }
        // What runs together is told apart.
        let split = [("serial", "1s"), ("ite", "x")].into_iter();
        assert!(!is_label_signature(&one, id("a"), split, &signature));
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
