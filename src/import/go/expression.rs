//! Pipelines of Go templates → expressions of ours, where both mean the same for the data at hand.

use std::collections::BTreeMap;

use super::Fault;
use super::lex::{Token, Word};
use super::shape::{Kind, Kinds, Step, kinds};
use super::writer::{Use, Writer};

/// How deep parentheses may nest.
const MAX_PARENTHESES: usize = 16;

/// An expression of ours, and what is known of its value.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    /// As text.
    pub(super) code: String,
    /// Whether it needs no parentheses as an operand.
    pub(super) simple: bool,
    /// Where its value comes from.
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// The data of the machine's group; `lacking` when the way there allows that it is missing (`index`).
    Data { path: Vec<Step>, lacking: bool },
    /// `.request`
    Request,
    /// `.request.query`
    Query,
    /// `.request.raw_query`
    RawQuery,
    /// What the machine said.
    Label,
    /// A text of the template.
    Literal(String),
    /// A calculation that gives one of these.
    Calculated(Kinds),
    /// `printf` that reads as these pieces, one behind the other.
    Joined(Vec<Piece>),
    /// A mistake that is already told.
    Unknown,
}

/// A piece of what `printf` makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A text.
    Text(String),
    /// An expression.
    Code(String),
}

impl Expression {
    pub(super) fn simple(code: impl Into<String>, origin: Origin) -> Self {
        Self {
            code: code.into(),
            simple: true,
            origin,
        }
    }

    pub(super) fn calculated(
        code: String,
        simple: bool,
        kinds: impl IntoIterator<Item = Kind>,
    ) -> Self {
        let origin = Origin::Calculated(kinds.into_iter().collect());
        Self {
            code,
            simple,
            origin,
        }
    }

    /// What stands for a mistake that is already told.
    pub(super) fn unknown() -> Self {
        Self::simple("\"\"", Origin::Unknown)
    }

    /// The data as a whole: what `.` and `$` are at the top.
    pub(super) fn root() -> Self {
        let path = Vec::new();
        Self::simple(
            "values",
            Origin::Data {
                path,
                lacking: false,
            },
        )
    }

    /// Whether it is the data as a whole.
    pub(super) fn is_root(&self) -> bool {
        matches!(&self.origin, Origin::Data { path, .. } if path.is_empty())
    }

    /// As an operand.
    pub(super) fn operand(&self) -> String {
        if self.simple {
            self.code.clone()
        } else {
            format!("({})", self.code)
        }
    }
}

/// Reads the words of one pipeline.
pub(super) struct Reader<'r, 'w, 'a> {
    pub(super) writer: &'r mut Writer<'w, 'a>,
    tokens: &'r [Token],
    at: usize,
    depth: usize,
}

impl<'r, 'w, 'a> Reader<'r, 'w, 'a> {
    pub(super) fn new(writer: &'r mut Writer<'w, 'a>, tokens: &'r [Token]) -> Self {
        Self {
            writer,
            tokens,
            at: 0,
            depth: 0,
        }
    }

    /// All words as one pipeline.
    pub(super) fn whole(mut self) -> Result<Expression, Fault> {
        let expression = self.pipeline()?;
        match self.peek() {
            None => Ok(expression),
            Some(_) => Err(self.fault("nothing is expected here")),
        }
    }

    fn peek(&self) -> Option<&'r Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'r Token> {
        let token = self.peek();
        self.at += 1;
        token
    }

    pub(super) fn fault(&self, why: &'static str) -> Fault {
        self.writer.fault(why)
    }

    fn pipeline(&mut self) -> Result<Expression, Fault> {
        let mut piped = self.command(None)?;
        while self.peek().is_some_and(|token| token.what == Word::Pipe) {
            self.at += 1;
            piped = self.command(Some(piped))?;
        }
        Ok(piped)
    }

    /// A function with its arguments, or one operand.
    fn command(&mut self, piped: Option<Expression>) -> Result<Expression, Fault> {
        if let Some(Token {
            what: Word::Name(name),
            ..
        }) = self.peek()
            && !matches!(name.as_str(), "true" | "false" | "nil")
        {
            self.at += 1;
            let mut arguments = Vec::new();
            while self
                .peek()
                .is_some_and(|token| !matches!(token.what, Word::Pipe | Word::Close))
            {
                arguments.push(self.argument()?);
            }
            arguments.extend(piped);
            return self.call(name, &arguments);
        }
        if piped.is_some() {
            return Err(self.fault("only a function can follow `|`"));
        }
        let operand = self.argument()?;
        match self.peek() {
            None => Ok(operand),
            Some(token) if matches!(token.what, Word::Pipe | Word::Close) => Ok(operand),
            Some(_) => Err(self.fault("only a function takes arguments")),
        }
    }

    /// An operand with the fields behind it.
    fn argument(&mut self) -> Result<Expression, Fault> {
        let Some(token) = self.next() else {
            return Err(self.fault("a value is missing"));
        };
        let mut value = match &token.what {
            Word::Dot => self.writer.dot().clone(),
            Word::Field(name) => {
                let dot = self.writer.dot().clone();
                self.field(&dot, name)?
            }
            Word::Variable(name) => self.variable(name)?,
            Word::Text(text) => Expression::simple(quoted(text), Origin::Literal(text.clone())),
            Word::Integer(digits) => Expression::calculated(digits.clone(), true, [Kind::Integer]),
            Word::Float(value) => Expression::calculated(format!("{value:?}"), true, [Kind::Float]),
            Word::Name(name) if name == "true" || name == "false" => {
                Expression::calculated(name.clone(), true, [Kind::Bool])
            }
            Word::Open => self.parentheses()?,
            Word::Name(_) => return Err(self.fault("a function needs parentheses here")),
            _ => return Err(self.fault("a value is expected here")),
        };
        while let Some(Token {
            what: Word::Field(name),
            spaced: false,
            ..
        }) = self.peek()
        {
            self.at += 1;
            value = self.field(&value, name)?;
        }
        Ok(value)
    }

    fn parentheses(&mut self) -> Result<Expression, Fault> {
        self.depth += 1;
        if self.depth > MAX_PARENTHESES {
            return Err(self.fault("parentheses nest too deep"));
        }
        let inner = self.pipeline()?;
        self.depth -= 1;
        match self.next() {
            Some(token) if token.what == Word::Close => Ok(inner),
            _ => Err(self.fault("a parenthesis is open")),
        }
    }

    fn variable(&self, name: &str) -> Result<Expression, Fault> {
        if name.is_empty() {
            return Ok(Expression::root());
        }
        self.writer
            .variable(name)
            .cloned()
            .ok_or_else(|| self.fault("this variable is not declared"))
    }

    /// A field of a value.
    fn field(&mut self, of: &Expression, name: &str) -> Result<Expression, Fault> {
        match &of.origin {
            Origin::Unknown => Ok(Expression::unknown()),
            Origin::Data { path, .. } if path.is_empty() && name == "request" => {
                Ok(Expression::simple("", Origin::Request))
            }
            Origin::Data { path, .. } => {
                let mut path = path.clone();
                path.push(Step::Key(name.to_owned()));
                let found = self.data(member(&of.operand(), name), path, false);
                Ok(found)
            }
            Origin::Request if name == "query" => Ok(Expression::simple("", Origin::Query)),
            Origin::Request if name == "raw_query" => Ok(Expression::simple("", Origin::RawQuery)),
            Origin::Query => self.label(name),
            _ => Err(self.fault("this has no fields")),
        }
    }

    pub(super) fn data(&mut self, code: String, path: Vec<Step>, lacking: bool) -> Expression {
        self.writer.uses.push(Use {
            path: path.clone(),
            range: self.writer.range.clone(),
            indexed: lacking,
            asked: false,
            covered: self.writer.conditions.contains(&path),
        });
        Expression::simple(code, Origin::Data { path, lacking })
    }

    /// What the machine said. Its own spelling of a MAC or a UUID is nothing that needs a filter.
    pub(super) fn label(&self, name: &str) -> Result<Expression, Fault> {
        let Some(key) = crate::label::canonical_key(name).filter(|key| is_identifier(key)) else {
            return Err(self.fault("labels need a name of letters, digits and `_`"));
        };
        let safe = if matches!(key.as_str(), "mac" | "uuid") {
            "|safe"
        } else {
            ""
        };
        Ok(Expression::simple(
            format!("labels.{key}{safe}"),
            Origin::Label,
        ))
    }

    pub(super) fn kinds(&self, value: &Expression) -> Kinds {
        match &value.origin {
            Origin::Data { path, .. } => kinds(self.writer.data, path),
            Origin::Label | Origin::Literal(_) | Origin::Joined(_) | Origin::RawQuery => {
                Kinds::from([Kind::Text])
            }
            Origin::Calculated(kinds) => kinds.clone(),
            Origin::Request | Origin::Query => Kinds::from([Kind::Map]),
            Origin::Unknown => Kinds::new(),
        }
    }

    /// Whether a value prints the same in both languages.
    ///
    /// # Errors
    /// Says why not.
    pub(super) fn printable(&self, value: &Expression) -> Result<(), Fault> {
        match &value.origin {
            Origin::RawQuery => return Err(self.fault(RAW_QUERY)),
            Origin::Request | Origin::Query => {
                return Err(self.fault("this prints a map as Go does, which no file wants"));
            }
            _ => {}
        }
        let found = self.kinds(value);
        let has = |kind| found.contains(&kind);
        if has(Kind::List) || has(Kind::Map) {
            return Err(self.fault("this prints a list or a map as Go does; write a `range`, or `|tojson` in the converted file"));
        }
        let lacking = matches!(value.origin, Origin::Data { lacking: true, .. });
        let calculated = matches!(value.origin, Origin::Calculated(_));
        if has(Kind::Null) || ((lacking || calculated) && has(Kind::Missing)) {
            return Err(self.fault("this prints `<no value>` for some group, which no file wants"));
        }
        Ok(())
    }

    /// Whether a value is a list (`false`) or a map (`true`) wherever it is used.
    ///
    /// # Errors
    /// When it is something else, or not always the same.
    pub(super) fn is_map(&self, value: &Expression) -> Result<bool, Fault> {
        if value.is_root() {
            return Err(self.fault(WHOLE));
        }
        let mut found = self.kinds(value);
        found.remove(&Kind::Missing);
        found.remove(&Kind::Unreachable);
        found.remove(&Kind::Null);
        let stands = matches!(value.origin, Origin::Data { .. } | Origin::Unknown);
        match found.iter().collect::<Vec<_>>()[..] {
            [] | [Kind::List] if stands => Ok(false),
            [Kind::Map] if stands => Ok(true),
            _ => Err(self.fault(
                "`range` is converted where every group gives a list, or every group gives a map",
            )),
        }
    }
}

/// Why the raw query has no equivalent.
pub(super) const RAW_QUERY: &str = "gitboot has no raw query: every config has an address of its own. Where it builds the address of another config, make that a config of the Profile and print its URL, as in `{{ configs[\"name\"] }}`";

/// Why the data as a whole have no equivalent.
pub(super) const WHOLE: &str =
    "the data as a whole hold the request and the selectors too, and gitboot's `values` do not";

/// A member of a map.
pub(super) fn member(of: &str, name: &str) -> String {
    if is_identifier(name) {
        format!("{of}.{name}")
    } else {
        format!("{of}[{}]", quoted(name))
    }
}

/// Whether a name can stand behind a point.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A text as a literal of our template language.
pub(super) fn quoted(text: &str) -> String {
    let escapes = BTreeMap::from([
        ('"', "\\\""),
        ('\\', "\\\\"),
        ('\n', "\\n"),
        ('\t', "\\t"),
        ('\r', "\\r"),
    ]);
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match escapes.get(&char) {
            Some(escape) => quoted.push_str(escape),
            None => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
