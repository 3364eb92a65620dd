//! YAML text → nodes: one file at a time, under a budget, with nothing lost that a person wrote.
//!
//! serde_yaml resolves `1.30` to a number and forgets how it was written; labels need the text, and values must refuse a
//! number that would print otherwise. So a document is read twice where it holds a number or a boolean: once for its
//! shape and types, and once along that shape for the source text of its scalars. Positions are read a third time, and
//! only for files that somebody has to be told about (see [`super::locate`]).

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess,
    SeqAccess, Visitor,
};
use serde_json::Number;

use super::outline;

/// Documents that one file may hold: a million machines in a hundred files still fit.
pub(super) const MAX_DOCUMENTS: usize = 10_000;

/// How deep lists and maps may nest: the parser recurses so far and no further.
pub(super) const MAX_DEPTH: usize = 128;

/// How much one file may unfold to. YAML's aliases turn a few kilobytes into gigabytes; the budget counts what would be
/// built, aliases unfolded, and stops before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Scalars, lists and maps in one file.
    pub nodes: usize,
    /// Bytes of all scalars in one file.
    pub bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // Twenty thousand machines with twelve nodes each in one file. A node costs up to 220 bytes while the file is
            // read, so this is what 64 MiB hold beside the file.
            nodes: 240_000,
            // Twice the largest file that is taken by default, so that an honest anchor may be used again.
            bytes: 8 << 20,
        }
    }
}

/// A line of a file, from 1; 0 where nobody asked for it.
pub(super) type Line = u32;

/// A value with its source text. Of positions it has the lines that every manifest is told with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Anything that is neither list nor map.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file, and the line that tells where it stands; duplicate keys are still there, and already
    /// reported.
    Map(Vec<(Box<str>, Node)>, Line),
}

/// A scalar: its text as written, and what YAML takes it for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scalar {
    /// The text, without quotes and with escapes resolved.
    pub text: Box<str>,
    /// What YAML's core schema makes of it.
    pub kind: Kind,
}

/// What YAML's core schema makes of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that JSON can hold.
    Number(Number),
    /// A number that JSON cannot hold (`.inf`, 128-bit integers), or digits that YAML 1.1 took for octal (`012`).
    Odd,
    /// Text.
    Text,
}

/// Why a document could not be read; `line` and `column` count from 1 and are absent when the reader knew none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Where.
    pub at: Option<(usize, usize)>,
}

/// What keeps a document from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Not YAML; with the parser's words.
    Syntax(String),
    /// A `!tag`.
    Tag,
    /// A list or a map as a key.
    ComplexKey,
    /// Over [`Budget::nodes`] or [`Budget::bytes`].
    Budget,
    /// Over [`MAX_DOCUMENTS`].
    Documents,
    /// Over [`MAX_DEPTH`].
    Depth,
}

/// The documents of one file, in order; reading ends at the first fault that leaves the rest unknown.
pub(super) fn documents(text: &str, budget: Budget) -> Vec<Result<Node, Fault>> {
    if let Some(at) = outline::too_many_brackets(text, budget) {
        return vec![Err(Fault {
            kind: FaultKind::Depth,
            at: Some(at),
        })];
    }
    let (readable, fault) = outline::readable(text, budget);
    let mut all = read(readable, budget);
    all.extend(fault.map(Err));
    all
}

/// The events of the last document of a piece of a file, up to where it is no YAML: that may be where the piece was cut off.
///
/// # Errors
/// When the file is refused for something in the piece, whatever follows.
pub(super) fn count(piece: &str, budget: Budget, most: usize) -> Result<usize, Fault> {
    let reader = Reader::new(piece, budget);
    let counted = Counted {
        reader: &reader,
        events: &Cell::new(0),
        most,
    };
    for document in serde_yaml::Deserializer::from_str(piece).take(MAX_DOCUMENTS) {
        counted.events.set(0);
        if let Err(error) = counted.deserialize(document) {
            let own = reader.fault.borrow_mut().take();
            let fault = Fault::of(&error, own);
            return match fault.kind {
                FaultKind::Syntax(_) => Ok(counted.events.get()),
                _ => Err(fault),
            };
        }
    }
    Ok(counted.events.get())
}

fn read(text: &str, budget: Budget) -> Vec<Result<Node, Fault>> {
    let reader = Reader::new(text, budget);
    let mut all = Vec::new();
    let shapes = serde_yaml::Deserializer::from_str(text);
    let mut texts = serde_yaml::Deserializer::from_str(text);
    for (index, shape) in shapes.enumerate() {
        if index == MAX_DOCUMENTS {
            all.push(Err(Fault {
                kind: FaultKind::Documents,
                at: None,
            }));
            break;
        }
        reader.needs_text.set(false);
        let result = NodeSeed::new(&reader, Asks::Nothing).deserialize(shape);
        // Only now, when the parser's memory of the first reading is free.
        let again = texts.next();
        match result {
            Ok(mut node) => {
                if reader.needs_text.get()
                    && let Some(again) = again
                {
                    // The same text was read once already, so the second reading cannot fail.
                    let _ = TextSeed { node: &mut node }.deserialize(again);
                }
                all.push(Ok(node));
            }
            Err(error) => {
                let own = reader.fault.borrow_mut().take();
                let goes_on = matches!(own, Some(FaultKind::Tag | FaultKind::ComplexKey));
                all.push(Err(Fault::of(&error, own)));
                // Behind a document that the parser gave up, it would give out the rest of it as another one.
                match again.map(IgnoredAny::deserialize) {
                    Some(Ok(_)) if goes_on => {}
                    Some(Err(error)) if goes_on => {
                        all.push(Err(Fault::of(&error, None)));
                        break;
                    }
                    _ => break,
                }
            }
        }
    }
    all
}

impl Fault {
    /// What a visitor refused, or else what the parser gave up for.
    fn of(error: &serde_yaml::Error, own: Option<FaultKind>) -> Self {
        let words = words(error);
        let kind = own.unwrap_or(match words.as_str() {
            // Aliases, a hundred times as many as there are events.
            "repetition limit exceeded" => FaultKind::Budget,
            "recursion limit exceeded" => FaultKind::Depth,
            _ => FaultKind::Syntax(words),
        });
        let at = error.location().map(|at| (at.line(), at.column()));
        Self { kind, at }
    }
}

/// The parser's words without the place, which is told beside them; a place that gives the context stays.
fn words(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let Some((what, rest)) = text.split_once(" at line ") else {
        return text;
    };
    let Some((_, context)) = rest.split_once(", ") else {
        return what.to_owned();
    };
    let context = context.replacen(" at line ", " that begins at line ", 1);
    format!("{what}, {}", context.replacen(" column ", ", column ", 1))
}

impl Node {
    /// The map's entries.
    pub(super) fn as_map(&self) -> Option<&[(Box<str>, Node)]> {
        match self {
            Self::Map(entries, _) => Some(entries),
            _ => None,
        }
    }

    /// Where the map stands; 0 where nobody asked for it.
    pub(super) fn line(&self) -> Line {
        match self {
            Self::Map(_, line) => *line,
            _ => 0,
        }
    }

    /// The first value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?
            .iter()
            .find(|(name, _)| &**name == key)
            .map(|(_, value)| value)
    }

    /// The text of a scalar that is not null.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar(Scalar {
                kind: Kind::Null, ..
            }) => None,
            Self::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether the node is YAML's null.
    pub(super) fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Scalar(Scalar {
                kind: Kind::Null,
                ..
            })
        )
    }

    /// `a map`, `a list`, `a number`, … for messages.
    pub(super) fn description(&self) -> &'static str {
        match self {
            Self::List(_) => "a list",
            Self::Map(..) => "a map",
            Self::Scalar(scalar) => match scalar.kind {
                Kind::Null => "null",
                Kind::Bool(_) => "a boolean",
                Kind::Number(_) | Kind::Odd => "a number",
                Kind::Text => "a string",
            },
        }
    }
}

struct Reader<'de> {
    source: &'de str,
    budget: Budget,
    nodes: Cell<usize>,
    bytes: Cell<usize>,
    needs_text: Cell<bool>,
    fault: RefCell<Option<FaultKind>>,
}

impl<'de> Reader<'de> {
    fn new(source: &'de str, budget: Budget) -> Self {
        Self {
            source,
            budget,
            nodes: Cell::new(0),
            bytes: Cell::new(0),
            needs_text: Cell::new(false),
            fault: RefCell::new(None),
        }
    }

    fn fail<E: serde::de::Error>(&self, kind: FaultKind) -> E {
        *self.fault.borrow_mut() = Some(kind);
        E::custom("refused")
    }

    /// Counts one node of so many bytes; over the budget it ends the reading.
    fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        if self.nodes.get() > self.budget.nodes || self.bytes.get() > self.budget.bytes {
            return Err(self.fail(FaultKind::Budget));
        }
        Ok(())
    }

    /// Whether a string that was borrowed from the source stands there without quotes.
    fn is_plain(&self, borrowed: &str) -> bool {
        let start = borrowed.as_ptr() as usize;
        let offset = start.wrapping_sub(self.source.as_ptr() as usize);
        offset
            .checked_sub(1)
            .and_then(|before| self.source.as_bytes().get(before))
            .is_none_or(|byte| !b"'\"".contains(byte))
    }
}

/// Which line of a map is asked for. The parser tells a position only with an error, which takes half a microsecond: enough to
/// ask once for each machine, and not for every node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// That of the first key.
    Start,
    /// That of the key `name`, and of the first key where there is none.
    Name,
    /// That of the first key of each item.
    Items,
}

impl Asks {
    /// What is asked of the value of a key: where a manifest is named, and where each of its machines begins.
    fn of_value(key: &str) -> Self {
        match key {
            "metadata" => Self::Name,
            "machines" => Self::Items,
            _ => Self::Nothing,
        }
    }

    fn of_item(self) -> Self {
        match self {
            Self::Items => Self::Start,
            Self::Nothing | Self::Start | Self::Name => Self::Nothing,
        }
    }
}

#[derive(Clone, Copy)]
struct NodeSeed<'a, 'de> {
    reader: &'a Reader<'de>,
    asks: Asks,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, 'de> NodeSeed<'a, 'de> {
    fn new(reader: &'a Reader<'de>, asks: Asks) -> Self {
        Self { reader, asks }
    }

    fn scalar<E: serde::de::Error>(self, text: &str, kind: Kind) -> Result<Node, E> {
        self.reader.spend(text.len())?;
        if kind != Kind::Text {
            self.reader.needs_text.set(true);
        }
        Ok(Node::Scalar(Scalar {
            text: text.into(),
            kind,
        }))
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, 'de> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML node")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.scalar("", Kind::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        // serde_yaml's word for a document with no node at all.
        self.reader.spend(0)?;
        Ok(Node::Scalar(Scalar {
            text: "".into(),
            kind: Kind::Null,
        }))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.scalar("", Kind::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.scalar("", Kind::Number(value.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.scalar("", Kind::Number(value.into()))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Node, E> {
        self.scalar("", Kind::Odd)
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Node, E> {
        self.scalar("", Kind::Odd)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        self.scalar("", Number::from_f64(value).map_or(Kind::Odd, Kind::Number))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Node, E> {
        let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
        let padded = digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if padded && self.reader.is_plain(value) {
            self.reader.spend(value.len())?;
            return Ok(Node::Scalar(Scalar {
                text: value.into(),
                kind: Kind::Odd,
            }));
        }
        self.scalar(value, Kind::Text)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.scalar(value, Kind::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.reader.spend(0)?;
        let mut items = Vec::new();
        let seed = Self::new(self.reader, self.asks.of_item());
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.reader.spend(0)?;
        let mut entries = Vec::new();
        let line = Cell::new(0);
        while let Some(key) = access.next_key_seed(KeySeed {
            reader: self.reader,
            asks: self.asks,
            line: &line,
        })? {
            self.reader.spend(key.len())?;
            let asks = Asks::of_value(&key);
            let value = access.next_value_seed(Self::new(self.reader, asks))?;
            entries.push((key, value));
        }
        Ok(Node::Map(entries, line.get()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.reader.fail(FaultKind::Tag))
    }
}

/// A document of which nothing is kept but the number of its events.
#[derive(Clone, Copy)]
struct Counted<'a, 'de> {
    reader: &'a Reader<'de>,
    events: &'a Cell<usize>,
    most: usize,
}

impl Counted<'_, '_> {
    fn spend<E: serde::de::Error>(self, events: usize, bytes: usize) -> Result<(), E> {
        self.events.set(self.events.get() + events);
        if self.events.get() > self.most {
            return Err(self.reader.fail(FaultKind::Budget));
        }
        self.reader.spend(bytes)
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! count_scalars {
    ($($method:ident: $scalar:ty),*) => {
        $(fn $method<E: serde::de::Error>(self, _: $scalar) -> Result<(), E> {
            self.spend(1, 0)
        })*
    };
}

impl<'de> Visitor<'de> for Counted<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML node")
    }

    count_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64);

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.spend(1, value.len())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.spend(1, 0)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.spend(1, 0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.spend(2, 0)?;
        while access.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.spend(2, 0)?;
        while access.next_key_seed(self)?.is_some() {
            access.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.reader.fail(FaultKind::Tag))
    }
}

/// A key, whatever scalar it is, as its text, and its line where that is asked for.
struct KeySeed<'a, 'de> {
    reader: &'a Reader<'de>,
    asks: Asks,
    /// The line of the map, as far as it is known.
    line: &'a Cell<Line>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_, 'de> {
    type Value = Box<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<str>, D::Error> {
        let reader = self.reader;
        let mut asked = None;
        let visitor = KeyVisitor {
            asks: self.asks,
            is_first: self.line.get() == 0,
            asked: &mut asked,
        };
        let result = deserializer.deserialize_str(visitor);
        match (result, asked) {
            (Err(error), Some(text)) => {
                self.line.set(line_of(&error));
                Ok(text)
            }
            (result, _) => result.inspect_err(|_| {
                // Only a list or a map is no text; the error keeps its place.
                *reader.fault.borrow_mut() = Some(FaultKind::ComplexKey);
            }),
        }
    }
}

/// The line in an error that [`KeyVisitor`] provoked: the parser's own type is hidden here, and its words tell it.
fn line_of(error: &impl fmt::Display) -> Line {
    let text = error.to_string();
    let at = text.rsplit_once(" at line ");
    let line = at.and_then(|(_, at)| at.split_once(' ')?.0.parse().ok());
    // The very first place of a file is left out.
    line.unwrap_or(1)
}

/// A key's text; where its line is asked for it is put aside, and the reading fails to learn the line.
struct KeyVisitor<'a> {
    asks: Asks,
    is_first: bool,
    asked: &'a mut Option<Box<str>>,
}

impl Visitor<'_> for KeyVisitor<'_> {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Box<str>, E> {
        let is_asked = match self.asks {
            Asks::Start => self.is_first,
            Asks::Name => self.is_first || value == "name",
            Asks::Nothing | Asks::Items => false,
        };
        if !is_asked {
            return Ok(value.into());
        }
        *self.asked = Some(value.into());
        Err(E::custom("asked for its line"))
    }
}

/// The source text of any scalar.
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Box<str>, E> {
        Ok(value.into())
    }
}

/// Walks along a node that was read before and fills in the source text of its scalars.
struct TextSeed<'a> {
    node: &'a mut Node,
}

impl<'de> DeserializeSeed<'de> for TextSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node {
            Node::Scalar(scalar) => {
                scalar.text = deserializer.deserialize_str(TextVisitor)?;
                Ok(())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for TextSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shape that was read before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Node::List(items) = self.node else {
            return Err(A::Error::custom("the shape changed"));
        };
        for item in items {
            access.next_element_seed(TextSeed { node: item })?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Node::Map(entries, _) = self.node else {
            return Err(A::Error::custom("the shape changed"));
        };
        for (_, value) in entries {
            access.next_key::<IgnoredAny>()?;
            access.next_value_seed(TextSeed { node: value })?;
        }
        Ok(())
    }
}
