//! The `machines` of an Assignment, packed: a fleet has a million of them, and they stay in memory for as long as their
//! file is unchanged.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::label::{Entry, Identity};

use super::locate::Step;

/// All entries of `machines`, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machines {
    /// Who they are; snapshots share this list.
    entries: Arc<[Entry]>,
    /// The line on which each begins; snapshots share this list, too.
    lines: Arc<[u32]>,
    /// Their own values, one for each entry; empty where no entry has any.
    values: Arc<[OwnValues]>,
    /// Keys that are not written in their canonical spelling: the entry, the key and how it is written. In the order of the
    /// entries.
    spellings: Arc<[(usize, Identity, Arc<str>)]>,
}

/// One entry of `machines`.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'m> {
    /// Its place in the list, from 0.
    pub place: usize,
    /// Who it is.
    pub entry: &'m Entry,
    values: Option<&'m OwnValues>,
}

/// A machine's own values as JSON text: a tenth of what the map takes that it is read into when it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OwnValues(Box<str>);

impl Machines {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who they are, to be shared.
    #[must_use]
    pub fn entries(&self) -> &Arc<[Entry]> {
        &self.entries
    }

    /// The line of the file on which each begins, from 1; to be shared.
    #[must_use]
    pub fn lines(&self) -> &Arc<[u32]> {
        &self.lines
    }

    /// The entry at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Machine<'_>> {
        Some(Machine {
            place,
            entry: self.entries.get(place)?,
            values: self.values.get(place),
        })
    }

    /// All entries in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = Machine<'_>> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// The way to an identity value of an entry.
    #[must_use]
    pub fn steps(&self, place: usize, identity: Identity, value: &str) -> Vec<Step> {
        // They stand in the order of the entries.
        let first = self.spellings.partition_point(|(one, ..)| *one < place);
        let own = self.spellings.get(first..).unwrap_or_default().iter();
        let mut own = own.take_while(|(one, ..)| *one == place);
        let other = own.find(|(_, key, _)| *key == identity);
        let written = other.map_or(identity.key(), |(.., written)| &**written);
        let mut steps = vec![
            "spec".into(),
            "machines".into(),
            place.into(),
            written.into(),
        ];
        if let Some(entry) = self.entries.get(place) {
            let values = || entry.identities().of(identity);
            let index = values().position(|own| own == value);
            steps.extend(index.filter(|_| values().nth(1).is_some()).map(Step::from));
        }
        steps
    }
}

impl<'m> Machine<'m> {
    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&'m str> {
        Some(self.entry.name()).filter(|name| !name.is_empty())
    }

    /// Whether it has values of its own.
    #[must_use]
    pub fn has_values(&self) -> bool {
        self.values.is_some_and(|values| !values.0.is_empty())
    }

    /// Its own values.
    ///
    /// # Panics
    /// Never: what is read was written from a map.
    #[must_use]
    pub fn values(&self) -> Map<String, Value> {
        self.values
            .filter(|values| !values.0.is_empty())
            .map(|values| serde_json::from_str(&values.0).expect("it was written from a map"))
            .unwrap_or_default()
    }
}

/// Machines on their way from a document.
#[derive(Default)]
pub(super) struct Builder {
    entries: Vec<Entry>,
    lines: Vec<u32>,
    values: Vec<OwnValues>,
    spellings: Vec<(usize, Identity, Arc<str>)>,
    any_values: bool,
}

/// One machine on its way from a document.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) line: u32,
    pub(super) name: Option<Box<str>>,
    pub(super) identities: Vec<(Identity, String)>,
    /// Each identity key as it is written.
    pub(super) written: Vec<(Identity, Box<str>)>,
    pub(super) values: Map<String, Value>,
}

impl Builder {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            entries: Vec::with_capacity(count),
            lines: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, draft: Draft) {
        let place = self.entries.len();
        for (identity, written) in draft.written {
            if *written != *identity.key() {
                // A file spells a key in one way, so the machine before has this text already.
                let before = self.spellings.iter().rev().take(Identity::ALL.len());
                let known = before
                    .map(|(.., known)| known)
                    .find(|known| ***known == *written);
                let written = known.map_or_else(|| Arc::from(written), Arc::clone);
                self.spellings.push((place, identity, written));
            }
        }
        let name = draft.name.as_deref().unwrap_or_default();
        self.entries.push(Entry::new(name, draft.identities));
        self.lines.push(draft.line);
        self.any_values |= !draft.values.is_empty();
        self.values.push(OwnValues::new(&draft.values));
    }

    pub(super) fn finish(mut self) -> Machines {
        if !self.any_values {
            self.values.clear();
        }
        Machines {
            entries: self.entries.into(),
            lines: self.lines.into(),
            values: self.values.into(),
            spellings: self.spellings.into(),
        }
    }
}

impl OwnValues {
    fn new(values: &Map<String, Value>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let json = serde_json::to_string(values).expect("keys are strings, so it can be written");
        Self(json.into())
    }
}
