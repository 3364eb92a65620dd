//! What a machine says about itself.
use std::fmt;

/// The identity keys, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    Uuid,
    Serial,
    Mac,
    Asset,
}
impl Identity {
    pub const ALL: [Self; 4] = [Self::Uuid, Self::Serial, Self::Mac, Self::Asset];
    pub fn key(self) -> &'static str {
        todo!()
    }
    pub fn from_key(key: &str) -> Option<Self> {
        let _ = key;
        todo!()
    }
}

/// Labels that `--label key=value` adds to every request (class keys only).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedLabels {
    _p: (),
}
impl FixedLabels {
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let _ = entries;
        todo!()
    }
}

/// The labels of one request, normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    _p: (),
}
/// Why a query is refused as a whole (HTTP 400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("more than 64 labels")]
    TooMany,
    #[error("label `{0}` is repeated with different values")]
    Repeated(String),
}
/// Why a value is absent in a query and an error in a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("")]
    Empty,
    #[error("")]
    MalformedMac,
    #[error("")]
    MalformedUuid,
    #[error("")]
    Junk,
    #[error("")]
    Control,
    #[error("")]
    TooLong,
}

impl Labels {
    /// Parses a raw query string (still percent-encoded).
    pub fn parse(query: &str, fixed: &FixedLabels) -> Result<Self, LabelError> {
        let _ = (query, fixed);
        todo!()
    }
    /// The same, but `mac` (already normalised) is the only MAC: those of the query are ignored.
    pub fn parse_with_mac(query: &str, mac: &str, fixed: &FixedLabels) -> Result<Self, LabelError> {
        let _ = (query, mac, fixed);
        todo!()
    }
    /// The value of a canonical key; for `mac` the first one.
    pub fn get(&self, key: &str) -> Option<&str> {
        let _ = key;
        todo!()
    }
    /// All MACs in the order of the request.
    pub fn macs(&self) -> impl ExactSizeIterator<Item = &str> {
        [].into_iter()
    }
    /// Sorted by key; `mac` once (the first).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        [].into_iter()
    }
    /// Whether the value came from `--label`.
    pub fn is_fixed(&self, key: &str) -> bool {
        let _ = key;
        todo!()
    }
}
/// Lower-cased, aliased; `None` when empty, over 64 bytes or with control characters.
pub fn canonical_key(raw: &str) -> Option<String> {
    let _ = raw;
    todo!()
}
/// The normal form of a decoded value of a canonical key.
pub fn normalise(key: &str, raw: &str) -> Result<String, Rejection> {
    let _ = (key, raw);
    todo!()
}
/// Whether a (normalised) `buildarch` value is one that iPXE knows.
pub fn is_buildarch(value: &str) -> bool {
    let _ = value;
    todo!()
}
/// Writes `key=value&…` as config URLs carry it: sorted by the caller; `key.hex=…` where needed.
pub fn encode_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut String) {
    let _ = (pairs, out);
}
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
