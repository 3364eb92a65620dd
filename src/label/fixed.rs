//! Labels that the operator of one server adds.

use super::{DropReason, Identity, wire};
use std::borrow::Cow;

/// Labels that `--label key=value` adds to every request, over whatever the machine says. Class keys only: who a machine is,
/// no flag can say for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedLabels {
    /// Sorted by key, each key once.
    entries: Vec<(Cow<'static, str>, String)>,
}

impl FixedLabels {
    /// Reads `key=value` entries by the rules of a query (aliases, normal forms, `key.hex=…`), without percent-decoding.
    ///
    /// # Errors
    /// A message that names the flag: when an entry has no `=`, its key is an identity key or no key at all, its value is one
    /// that a query would drop, or a key comes again with another value.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut labels = Self::default();
        for entry in entries {
            labels
                .add(entry)
                .map_err(|reason| format!("`--label {}`: {reason}", entry.escape_debug()))?;
        }
        Ok(labels)
    }

    /// The value of a canonical key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.entries.iter().find(|(known, _)| known == key)?;
        Some(value)
    }

    /// All of them, sorted by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Cow<'static, str>, String)> {
        self.entries.iter()
    }

    fn add(&mut self, entry: &str) -> Result<(), String> {
        let (key, value) = entry
            .split_once('=')
            .ok_or_else(|| "an entry is written `key=value`".to_owned())?;
        let mut key = key.as_bytes().to_vec();
        let say = |reason: DropReason| format!("the label {reason}");
        let (key, is_hex) = wire::read_key(&mut key).map_err(say)?;
        if Identity::from_key(&key).is_some() {
            return Err("`uuid`, `serial`, `mac` and `asset` say who a machine is, so they cannot be the same for all".to_owned());
        }
        let mut normal = String::new();
        wire::push_value(&key, is_hex, value, &mut normal).map_err(say)?;
        match self.get(&key) {
            Some(known) if known == normal => {}
            Some(_) => return Err(format!("`{key}` is given before with another value")),
            None => {
                let at = self.entries.partition_point(|(known, _)| *known < key);
                self.entries.insert(at, (key, normal));
            }
        }
        Ok(())
    }
}
