//! Machines as an Assignment names them.

use std::fmt;

use super::{Identity, Labels};

/// An entry of `machines`: who it is. A fleet has a million of them, so it is one text and nothing else.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The name and [`END`], then for each identity value the letter of its key, the value, and [`END`].
    packed: Box<str>,
}

/// The identity values of one machine, strongest key first; a key may have several.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identities<'e> {
    packed: &'e str,
}

/// Stands behind the name and behind each value: neither holds control characters.
const END: char = '\n';

impl Entry {
    /// Packs a name, empty where there is none, and values in normal form. Keys are ordered by strength; the values of one
    /// key keep their order.
    #[must_use]
    pub fn new(name: &str, mut identities: Vec<(Identity, String)>) -> Self {
        identities.sort_by_key(|(identity, _)| *identity);
        let values = identities.iter().map(|(_, value)| value.len() + 2);
        let mut packed = String::with_capacity(name.len() + 1 + values.sum::<usize>());
        packed.push_str(name);
        packed.push(END);
        for (identity, value) in &identities {
            packed.push(letter(*identity));
            packed.push_str(value);
            packed.push(END);
        }
        let ends = packed.matches(END).count();
        debug_assert_eq!(ends, identities.len() + 1, "{name:?} {identities:?}");
        Self {
            packed: packed.into(),
        }
    }

    /// Its name; empty where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        cut(&self.packed).map_or("", |(name, _)| name)
    }

    /// What tells it apart.
    #[must_use]
    pub fn identities(&self) -> Identities<'_> {
        let packed = cut(&self.packed).map_or("", |(_, rest)| rest);
        Identities { packed }
    }
}

impl<'e> Identities<'e> {
    /// Every value with its key, strongest key first.
    pub fn iter(self) -> impl Iterator<Item = (Identity, &'e str)> {
        let mut rest = self.packed;
        std::iter::from_fn(move || {
            let (one, next) = cut(rest)?;
            rest = next;
            let identity = match one.as_bytes().first()? {
                b'u' => Identity::Uuid,
                b's' => Identity::Serial,
                b'm' => Identity::Mac,
                b'a' => Identity::Asset,
                _ => return None,
            };
            Some((identity, one.get(1..)?))
        })
    }

    /// The values of one key, in the order of the file.
    pub fn of(self, identity: Identity) -> impl Iterator<Item = &'e str> {
        self.iter()
            .filter(move |(one, _)| *one == identity)
            .map(|(_, value)| value)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.packed.is_empty()
    }

    /// Whether the machine sent valid values of a key that stands here, and none of them is listed (contract, section 4).
    #[must_use]
    pub fn are_contradicted(self, labels: &Labels) -> bool {
        self.contradicted(labels).next().is_some()
    }

    /// The keys by which [`Identities::are_contradicted`] finds that, strongest first.
    pub fn contradicted(self, labels: &Labels) -> impl Iterator<Item = Identity> {
        Identity::ALL.into_iter().filter(move |identity| {
            if labels.identities(*identity).len() == 0 {
                return false;
            }
            let mut lists_any = false;
            // Those that are listed may be many more than those that were sent, so they are unpacked once.
            for listed in self.of(*identity) {
                if labels.identities(*identity).any(|sent| sent == listed) {
                    return false;
                }
                lists_any = true;
            }
            lists_any
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name())
            .field("identities", &self.identities())
            .finish()
    }
}

impl fmt::Debug for Identities<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What stands before the first [`END`] and behind it. Byte by byte: the pieces are too short for anything cleverer.
fn cut(packed: &str) -> Option<(&str, &str)> {
    let at = packed.bytes().position(|byte| byte == END as u8)?;
    Some((packed.get(..at)?, packed.get(at + 1..)?))
}

fn letter(identity: Identity) -> char {
    match identity {
        Identity::Uuid => 'u',
        Identity::Serial => 's',
        Identity::Mac => 'm',
        Identity::Asset => 'a',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::FixedLabels;

    fn entry() -> Entry {
        Entry::new(
            "m 1",
            vec![
                (Identity::Asset, "A1".to_owned()),
                (Identity::Mac, "52:54:00:00:00:02".to_owned()),
                (Identity::Mac, "52:54:00:00:00:01".to_owned()),
                (Identity::Serial, "uß m".to_owned()),
            ],
        )
    }

    #[test]
    fn values_come_back_by_strength_and_in_order() {
        let expected = [
            (Identity::Serial, "uß m"),
            (Identity::Mac, "52:54:00:00:00:02"),
            (Identity::Mac, "52:54:00:00:00:01"),
            (Identity::Asset, "A1"),
        ];
        assert_eq!(entry().name(), "m 1");
        assert!(entry().identities().iter().eq(expected));
        assert!(entry().identities().of(Identity::Uuid).next().is_none());
        assert!(!entry().identities().is_empty());
        assert!(Entry::new("m", Vec::new()).identities().is_empty());
        assert_eq!(Entry::default().name(), "");
        assert!(Entry::default().identities().is_empty());
    }

    #[test]
    fn only_another_value_contradicts() {
        let check = |query: &str, expected: bool| {
            let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
            let entry = entry();
            assert_eq!(
                entry.identities().are_contradicted(&labels),
                expected,
                "{query}"
            );
        };
        check("", false);
        check("asset=A1", false);
        check("asset=A2", true);
        check("mac=525400000009&mac=525400000001", false);
        check("mac=525400000009", true);
        check("uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad", false);
    }
}
