//! Where a node of a document stands in its file.
//!
//! serde_yaml tells a position only with an error. So each scalar is asked for with a visitor that fails: the error
//! carries the scalar's place, and the reading goes on. That is slow, and done only for files that get a diagnostic.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use super::outline;
use super::yaml::Budget;

/// One step from a node to a node inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into the value of a key.
    Key(Box<str>),
    /// Into the value of the `n`th entry with this key, from 0: for duplicate keys.
    Nth(Box<str>, usize),
    /// Into an item of a list, from 0.
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

/// A line and a column, both from 1, the column in characters.
pub(super) type Mark = (usize, usize);

/// The positions of one document, in the shape of its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// A scalar, and where it begins.
    Scalar(Mark),
    /// A list.
    List(Vec<Marks>),
    /// A map: each key, where it begins, and its value.
    Map(Vec<(Box<str>, Mark, Marks)>),
}

/// The positions of every document that can be read within the budget.
pub(super) fn marks(text: &str, budget: Budget) -> Vec<Marks> {
    let meter = Meter {
        left: Cell::new(budget),
        skips: Cell::new(false),
    };
    let mut all = Vec::new();
    let (text, _) = outline::readable(text, budget);
    let documents = serde_yaml::Deserializer::from_str(text);
    let mut again = serde_yaml::Deserializer::from_str(text);
    for document in documents.take(super::yaml::MAX_DOCUMENTS) {
        meter.skips.set(false);
        let result = MarksSeed { meter: &meter }.deserialize(document);
        // Only now, when the parser's memory of the first reading is free.
        let again = again.next();
        match result {
            Ok(marks) => all.push(marks),
            // What has no places at all does not take them from the documents behind it, if the parser finds them.
            Err(_)
                if meter.skips.get()
                    && again.is_some_and(|again| IgnoredAny::deserialize(again).is_ok()) =>
            {
                all.push(Marks::List(Vec::new()));
            }
            Err(_) => break,
        }
    }
    all
}

/// Counts nodes and bytes as the first reading of the file did, so that no alias unfolds here to more than there.
struct Meter {
    left: Cell<Budget>,
    /// Whether only the document at hand cannot be read.
    skips: Cell<bool>,
}

impl Meter {
    fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.left.get();
        match (left.nodes.checked_sub(1), left.bytes.checked_sub(bytes)) {
            (Some(nodes), Some(bytes)) => {
                self.left.set(Budget { nodes, bytes });
                Ok(())
            }
            _ => Err(E::custom("the budget is spent")),
        }
    }

    fn skip<E: serde::de::Error>(&self) -> E {
        self.skips.set(true);
        E::custom("no place")
    }
}

impl Marks {
    /// Where the node at the end of the steps begins. A node without a place of its own (an empty list, a merged key) has
    /// that of the nearest one around it.
    pub(super) fn value(&self, steps: &[Step]) -> Option<Mark> {
        let Some((step, rest)) = steps.split_first() else {
            return self.start();
        };
        match self.enter(step) {
            Some((own, inner)) => inner.value(rest).or(own),
            None => self.start(),
        }
    }

    /// Where the key at the end of the steps begins.
    pub(super) fn key(&self, steps: &[Step]) -> Option<Mark> {
        let (step, rest) = steps.split_first()?;
        match self.enter(step) {
            Some((own, inner)) if rest.is_empty() => own.or_else(|| inner.start()),
            Some((own, inner)) => inner.key(rest).or(own),
            None => self.start(),
        }
    }

    /// Where the first thing inside begins.
    pub(super) fn start(&self) -> Option<Mark> {
        match self {
            Self::Scalar(mark) => Some(*mark),
            Self::List(items) => items.first()?.start(),
            Self::Map(entries) => entries.first().map(|(_, mark, _)| *mark),
        }
    }

    fn enter(&self, step: &Step) -> Option<(Option<Mark>, &Marks)> {
        match (self, step) {
            (Self::Map(entries), Step::Key(key)) => nth(entries, key, 0),
            (Self::Map(entries), Step::Nth(key, n)) => nth(entries, key, *n),
            (Self::List(items), Step::Item(index)) => items.get(*index).map(|inner| (None, inner)),
            _ => None,
        }
    }
}

fn nth<'a>(
    entries: &'a [(Box<str>, Mark, Marks)],
    key: &str,
    n: usize,
) -> Option<(Option<Mark>, &'a Marks)> {
    entries
        .iter()
        .filter(|(name, ..)| &**name == key)
        .nth(n)
        .map(|(_, mark, inner)| (Some(*mark), inner))
}

/// What the failing visitor says; with it, the place follows in the error's text.
const ASKED: &str = "asked for its place";

/// The place in an error that one of this module's visitors provoked.
fn place(error: &impl fmt::Display) -> Option<Mark> {
    let text = error.to_string();
    if !text.contains(ASKED) {
        return None;
    }
    let Some((_, at)) = text.rsplit_once(" at line ") else {
        // serde_yaml leaves out the very first place of a file.
        return Some((1, 1));
    };
    let (line, column) = at.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[derive(Clone, Copy)]
struct MarksSeed<'a> {
    meter: &'a Meter,
}

impl<'de> DeserializeSeed<'de> for MarksSeed<'_> {
    type Value = Marks;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Marks, D::Error> {
        deserializer
            .deserialize_any(self)
            .or_else(|error| match place(&error) {
                Some(mark) => Ok(Marks::Scalar(mark)),
                None => Err(error),
            })
    }
}

macro_rules! fail_on_scalars {
    ($($method:ident: $scalar:ty),*) => {
        $(fn $method<E: serde::de::Error>(self, _: $scalar) -> Result<Marks, E> {
            self.meter.spend(0)?;
            Err(E::custom(ASKED))
        })*
    };
}

impl<'de> Visitor<'de> for MarksSeed<'_> {
    type Value = Marks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML node")
    }

    fail_on_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128,
        visit_f64: f64);

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Marks, E> {
        self.meter.spend(value.len())?;
        Err(E::custom(ASKED))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Marks, E> {
        self.meter.spend(0)?;
        Err(E::custom(ASKED))
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Marks, E> {
        self.visit_unit()
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Marks, A::Error> {
        Err(self.meter.skip())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Marks, A::Error> {
        self.meter.spend(0)?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Marks::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Marks, A::Error> {
        self.meter.spend(0)?;
        let mut entries = Vec::new();
        while let Some((key, mark)) = access.next_key_seed(KeySeed { meter: self.meter })? {
            self.meter.spend(key.len())?;
            entries.push((key, mark, access.next_value_seed(self)?));
        }
        Ok(Marks::Map(entries))
    }
}

/// A key's text and place: the visitor keeps the text and fails for the place.
struct KeySeed<'a> {
    meter: &'a Meter,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = (Box<str>, Mark);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut text = None;
        let place = match deserializer.deserialize_str(KeyVisitor { text: &mut text }) {
            Ok(IgnoredAny) => None,
            Err(error) => place(&error),
        };
        text.zip(place).ok_or_else(|| self.meter.skip())
    }
}

struct KeyVisitor<'a> {
    text: &'a mut Option<Box<str>>,
}

impl Visitor<'_> for KeyVisitor<'_> {
    type Value = IgnoredAny;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<IgnoredAny, E> {
        *self.text = Some(value.into());
        Err(E::custom(ASKED))
    }
}
