//! What a machine says about itself.
//!
//! A query string becomes [`Labels`]: decoded, aliased, in normal form, with junk and malformed values left out. The same
//! rules serve the manifests ([`canonical_key`], [`normalise`]), where what a query drops is an error, and the URLs of
//! configs ([`encode_query`]). Nothing in this room panics or allocates more than the query is long, whatever is sent.

mod entry;
mod fixed;
mod key;
mod proven;
mod value;
mod wire;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

pub use entry::{Entry, Identities};
pub use fixed::FixedLabels;
pub use key::{SENT, canonical_key};
pub use proven::Proven;
pub use value::{Rejection, is_buildarch, normalise, parse_mac};
pub use wire::{decode_percent, encode_query};

/// The most labels that one request may carry, each distinct MAC counting as one; those of `--label` do not count. Our own
/// `/boot.ipxe` sends at most 18. The bound keeps the work of matching small, whatever is sent.
pub const MAX_LABELS: usize = 64;

/// The keys that say which machine it is, strongest first. Every other key is a class key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// `uuid`: the UUID of SMBIOS type 1.
    Uuid,
    /// `serial`: the serial number of SMBIOS type 1.
    Serial,
    /// `mac`: the hardware address of a network card; a machine may have several.
    Mac,
    /// `asset`: the asset tag of SMBIOS type 3.
    Asset,
}

impl Identity {
    /// All of them, strongest first.
    pub const ALL: [Self; 4] = [Self::Uuid, Self::Serial, Self::Mac, Self::Asset];

    /// The canonical key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Serial => "serial",
            Self::Mac => "mac",
            Self::Asset => "asset",
        }
    }

    /// The identity of this canonical key; `None` for a class key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Some(match key {
            "uuid" => Self::Uuid,
            "serial" => Self::Serial,
            "mac" => Self::Mac,
            "asset" => Self::Asset,
            _ => return None,
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Why a query is refused as a whole (HTTP 400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// More than [`MAX_LABELS`] labels are present.
    #[error("more than 64 labels")]
    TooMany,
    /// Two normalised values of one key differ, and the key is not `mac`.
    #[error("label `{0}` is repeated with different values")]
    Repeated(String),
}

/// A label that a query would leave out in silence, as [`Labels::from_pairs`] reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The key as it was given.
    pub key: String,
    /// The value as it was given.
    pub value: String,
    /// Why it is left out.
    pub reason: DropReason,
}

/// Why a label as it travels is absent. The text reads on after the label's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// The key is empty, over 64 bytes, no UTF-8, or holds control characters.
    #[error("has a key that is empty, over 64 bytes long or not printable")]
    BadKey,
    /// The value of a `….hex` key is not an even number of hex digits.
    #[error("is not an even number of hex digits")]
    MalformedHex,
    /// The bytes of the value are no UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The value has no normal form.
    #[error(transparent)]
    Value(#[from] Rejection),
}

impl DropReason {
    /// The reason in one word, for programs; it never changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::BadKey => "bad_key",
            Self::MalformedHex => "malformed_hex",
            Self::NotUtf8 => "not_utf8",
            Self::Value(Rejection::Empty) => "empty",
            Self::Value(Rejection::MalformedMac) => "malformed_mac",
            Self::Value(Rejection::MalformedUuid) => "malformed_uuid",
            Self::Value(Rejection::Junk) => "junk",
            Self::Value(Rejection::Control) => "control_characters",
            Self::Value(Rejection::TooLong) => "too_long",
        }
    }
}

/// The labels of one request: canonical keys, normalised values.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Sorted by key; only `mac` may stand more than once, in the order of the request.
    entries: Vec<Sent>,
    /// The values, one behind the other: so all of them cost one allocation.
    text: String,
    /// Where the values of each identity key stand, in the order of [`Identity::ALL`].
    identities: [(usize, usize); 4],
}

/// One label. `key` borrows for the names that every machine sends.
#[derive(Clone, Debug)]
struct Sent {
    key: Cow<'static, str>,
    /// Where the value stands in the text.
    value: Range<usize>,
    fixed: bool,
}

impl Sent {
    fn value<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.value.clone()).unwrap_or_default()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.shown().eq(other.shown())
    }
}

impl Eq for Labels {}

impl Labels {
    /// Parses a raw query string (still percent-encoded). `fixed` replaces what the machine says for the same keys.
    ///
    /// # Errors
    /// When the query carries more than [`MAX_LABELS`] labels, or one key other than `mac` with different values. Values
    /// that are empty, malformed or junk are no errors: the label is absent.
    pub fn parse(query: &str, fixed: &FixedLabels) -> Result<Self, LabelError> {
        Self::parse_query(query, Builder::new(fixed))
    }

    /// The same, but `mac` (already normalised) is the only MAC: those of the query are not looked at.
    ///
    /// # Errors
    /// As for [`Labels::parse`]; `mac` counts as one label.
    pub fn parse_with_mac(query: &str, mac: &str, fixed: &FixedLabels) -> Result<Self, LabelError> {
        Self::parse_query(query, Builder::new(fixed).with_mac(mac))
    }

    /// The same, but what is proven is the only identity: identity labels of the query are not looked at, in whatever
    /// spelling.
    ///
    /// # Errors
    /// As for [`Labels::parse`]; what is proven does not count.
    pub fn parse_proven(
        query: &str,
        proven: &Proven,
        fixed: &FixedLabels,
    ) -> Result<Self, LabelError> {
        Self::parse_query(query, Builder::new(fixed).with_proven(proven))
    }

    /// Builds labels from decoded pairs, as a command line gives them, by the rules of a query (`serial.hex` included), and
    /// returns what a query would have left out, in the given order.
    ///
    /// # Errors
    /// As for [`Labels::parse`].
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        fixed: &FixedLabels,
    ) -> Result<(Self, Vec<Dropped>), LabelError> {
        let mut builder = Builder::new(fixed);
        let mut dropped = Vec::new();
        for (key, value) in pairs {
            if let Err(reason) = builder.add(&mut key.as_bytes().to_vec(), value)? {
                let (key, value) = (key.to_owned(), value.to_owned());
                dropped.push(Dropped { key, value, reason });
            }
        }
        Ok((builder.finish(), dropped))
    }

    /// The value of a canonical key; for `mac` the first one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|entry| entry.value(&self.text))
    }

    /// All MACs in the order of the request.
    #[must_use]
    pub fn macs(&self) -> impl ExactSizeIterator<Item = &str> {
        self.identities(Identity::Mac)
    }

    /// All values of an identity key in the order of the request; only `mac` may have more than one.
    #[must_use]
    pub fn identities(&self, identity: Identity) -> impl ExactSizeIterator<Item = &str> {
        let (start, end) = self.identities[identity as usize];
        self.entries
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.value(&self.text))
    }

    /// All values of a canonical key: of `mac` those in the order of the request, of any other key at most one.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        let start = place_before(&self.entries, key);
        let entries = self.entries.get(start..).unwrap_or_default().iter();
        let same_key = entries.take_while(move |entry| entry.key == key);
        same_key.map(|entry| entry.value(&self.text))
    }

    /// All labels, sorted by key; `mac` once (the first).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .chunk_by(|left, right| left.key == right.key)
            .filter_map(<[Sent]>::first)
            .map(|entry| (&*entry.key, entry.value(&self.text)))
    }

    /// Whether the value of this key came from `--label`.
    #[must_use]
    pub fn is_fixed(&self, key: &str) -> bool {
        self.find(key).is_some_and(|entry| entry.fixed)
    }

    fn find(&self, key: &str) -> Option<&Sent> {
        let at = place_before(&self.entries, key);
        self.entries.get(at).filter(|entry| entry.key == key)
    }

    /// All that the entries say.
    fn shown(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let entries = self.entries.iter();
        entries.map(|entry| (&*entry.key, entry.value(&self.text), entry.fixed))
    }

    fn parse_query(query: &str, mut builder: Builder<'_>) -> Result<Self, LabelError> {
        // What hex digits stand for takes less room, and a normal form hardly more.
        builder.text.reserve(query.len());
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for parameter in wire::parameters(query) {
            // What a query may not carry is absent, never a failure: a machine with an odd serial still boots.
            let raw_value = if parameter.may_have_escapes {
                wire::decode_percent(parameter.value, &mut value);
                let Ok(text) = str::from_utf8(&value) else {
                    continue;
                };
                text
            } else {
                parameter.value
            };
            if let Some((known, is_hex)) = key::sent(parameter.key) {
                let _absent = builder.add_canonical(Cow::Borrowed(known), is_hex, raw_value)?;
            } else {
                wire::decode_percent(parameter.key, &mut key);
                let _absent = builder.add(&mut key, raw_value)?;
            }
        }
        Ok(builder.finish())
    }
}

/// Where the first entry of this key stands or would stand.
fn place_before(entries: &[Sent], key: &str) -> usize {
    entries.partition_point(|entry| compare(&entry.key, key).is_lt())
}

/// Behind the entries of this key, so that MACs keep the order of the request.
fn place_behind(entries: &[Sent], key: &str) -> usize {
    entries.partition_point(|entry| compare(&entry.key, key).is_le())
}

/// The order of texts. Nearly all keys differ in their first byte, which is looked at without a call.
fn compare(one: &str, other: &str) -> Ordering {
    let first = |key: &str| key.bytes().next();
    first(one).cmp(&first(other)).then_with(|| one.cmp(other))
}

/// Collects the labels of one request.
struct Builder<'f> {
    entries: Vec<Sent>,
    /// See [`Labels`].
    text: String,
    fixed: &'f FixedLabels,
    mac_is_given: bool,
    proven: Option<&'f Proven>,
}

impl<'f> Builder<'f> {
    fn new(fixed: &'f FixedLabels) -> Self {
        Self {
            // Room for what `/boot.ipxe` sends, with a few network cards, in one allocation.
            entries: Vec::with_capacity(16),
            text: String::new(),
            fixed,
            mac_is_given: false,
            proven: None,
        }
    }

    /// Takes this identity as the only one.
    fn with_proven(mut self, proven: &'f Proven) -> Self {
        self.proven = Some(proven);
        self
    }

    /// Takes this MAC as the only one.
    fn with_mac(mut self, mac: &str) -> Self {
        self.mac_is_given = true;
        self.put(Cow::Borrowed(Identity::Mac.key()), mac, false);
        self
    }

    /// Adds one decoded pair. The outer error refuses the request, the inner one says why this label is absent.
    fn add(&mut self, key: &mut [u8], value: &str) -> Result<Result<(), DropReason>, LabelError> {
        match wire::read_key(key) {
            Ok((key, is_hex)) => self.add_canonical(key, is_hex, value),
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// The same for a canonical key.
    fn add_canonical(
        &mut self,
        key: Cow<'static, str>,
        is_hex: bool,
        value: &str,
    ) -> Result<Result<(), DropReason>, LabelError> {
        if self.ignores(&key) {
            return Ok(Ok(()));
        }
        let start = self.text.len();
        match wire::push_value(&key, is_hex, value, &mut self.text) {
            Ok(()) => self.insert(key, start).map(Ok),
            Err(reason) => Ok(Err(reason)),
        }
    }

    fn ignores(&self, key: &str) -> bool {
        (self.mac_is_given && key == Identity::Mac.key())
            || (self.proven.is_some() && Identity::from_key(key).is_some())
            || self.fixed.get(key).is_some()
    }

    /// Adds the value that stands at the end of the text since `start`.
    fn insert(&mut self, key: Cow<'static, str>, start: usize) -> Result<(), LabelError> {
        let at = place_behind(&self.entries, &key);
        let (before, _) = self.entries.split_at(at);
        let mut same_key = before.iter().rev().take_while(|entry| entry.key == key);
        let value = start..self.text.len();
        let is_same = |entry: &Sent| {
            let new = self.text.get(value.clone()).unwrap_or_default();
            entry.value(&self.text) == new
        };
        let is_known = if key == Identity::Mac.key() {
            same_key.any(is_same)
        } else {
            match same_key.next() {
                Some(first) if !is_same(first) => {
                    return Err(LabelError::Repeated(key.into_owned()));
                }
                first => first.is_some(),
            }
        };
        if is_known {
            self.text.truncate(start);
            return Ok(());
        }
        if self.entries.len() >= MAX_LABELS {
            return Err(LabelError::TooMany);
        }
        let fixed = false;
        self.entries.insert(at, Sent { key, value, fixed });
        Ok(())
    }

    /// Puts a value in its place, whatever else is there.
    fn put(&mut self, key: Cow<'static, str>, value: &str, fixed: bool) {
        let at = place_behind(&self.entries, &key);
        let start = self.text.len();
        self.text.push_str(value);
        let value = start..self.text.len();
        self.entries.insert(at, Sent { key, value, fixed });
    }

    fn finish(mut self) -> Labels {
        if let Some(proven) = self.proven {
            // Nothing else of an identity key is there.
            let key = Cow::Borrowed(proven.identity().key());
            self.put(key, proven.value(), false);
        }
        for (key, value) in self.fixed.iter() {
            self.put(key.clone(), value, true);
        }
        let mut identities = [(0, 0); 4];
        for (at, entry) in self.entries.iter().enumerate() {
            if let Some(identity) = Identity::from_key(&entry.key) {
                let (start, end) = &mut identities[identity as usize];
                if *end == 0 {
                    *start = at;
                }
                *end = at + 1;
            }
        }
        Labels {
            entries: self.entries,
            text: self.text,
            identities,
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
