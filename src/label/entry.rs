//! Machines as an Assignment names them.

use std::fmt;

use super::{Identity, Labels};

/// An entry of `machines`: who it is. A fleet has a million of them, so it is two texts and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name; empty where it has none.
    pub name: Box<str>,
    /// What tells it apart.
    pub identities: Identities,
}

/// The identity values of one machine, strongest key first; a key may have several.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Identities {
    /// For each value the letter of its key, the value, and [`END`].
    packed: Box<str>,
}

/// Stands behind each value: values in normal form hold no control characters.
const END: char = '\n';

impl Identities {
    /// Packs values in normal form. Keys are ordered by strength; the values of one key keep their order.
    #[must_use]
    pub fn new(mut pairs: Vec<(Identity, String)>) -> Self {
        pairs.sort_by_key(|(identity, _)| *identity);
        let mut packed =
            String::with_capacity(pairs.iter().map(|(_, value)| value.len() + 2).sum());
        for (identity, value) in &pairs {
            debug_assert!(
                !value.contains(END),
                "values in normal form hold no control characters"
            );
            packed.push(letter(*identity));
            packed.push_str(value);
            packed.push(END);
        }
        Self {
            packed: packed.into(),
        }
    }

    /// Every value with its key, strongest key first.
    pub fn iter(&self) -> impl Iterator<Item = (Identity, &str)> {
        self.packed.split_terminator(END).filter_map(|one| {
            let identity = Identity::ALL
                .into_iter()
                .find(|identity| one.starts_with(letter(*identity)))?;
            Some((identity, one.get(1..)?))
        })
    }

    /// The values of one key, in the order of the file.
    pub fn of(&self, identity: Identity) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(one, _)| *one == identity)
            .map(|(_, value)| value)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Whether the machine sent valid values of a key that stands here, and none of them is listed (contract, section 4).
    #[must_use]
    pub fn are_contradicted(&self, labels: &Labels) -> bool {
        self.contradicted(labels).next().is_some()
    }

    /// The keys by which that is so.
    pub fn contradicted(&self, labels: &Labels) -> impl Iterator<Item = Identity> {
        Identity::ALL.into_iter().filter(move |identity| {
            let mut listed = self.of(*identity).peekable();
            let mut sent = labels.identities(*identity).peekable();
            listed.peek().is_some()
                && sent.peek().is_some()
                && !sent.any(|sent| self.of(*identity).any(|listed| listed == sent))
        })
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
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

    fn identities() -> Identities {
        Identities::new(vec![
            (Identity::Asset, "A1".to_owned()),
            (Identity::Mac, "52:54:00:00:00:02".to_owned()),
            (Identity::Mac, "52:54:00:00:00:01".to_owned()),
            (Identity::Serial, "uß m".to_owned()),
        ])
    }

    #[test]
    fn values_come_back_by_strength_and_in_order() {
        let expected = [
            (Identity::Serial, "uß m"),
            (Identity::Mac, "52:54:00:00:00:02"),
            (Identity::Mac, "52:54:00:00:00:01"),
            (Identity::Asset, "A1"),
        ];
        assert!(identities().iter().eq(expected));
        assert!(identities().of(Identity::Uuid).next().is_none());
        assert!(!identities().is_empty());
        assert!(Identities::new(Vec::new()).is_empty());
    }

    #[test]
    fn only_another_value_contradicts() {
        let check = |query: &str, expected: bool| {
            let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
            assert_eq!(identities().are_contradicted(&labels), expected, "{query}");
        };
        check("", false);
        check("asset=A1", false);
        check("asset=A2", true);
        check("mac=525400000009&mac=525400000001", false);
        check("mac=525400000009", true);
        check("uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad", false);
    }
}
