//! Pipelines of Go templates → expressions of ours, where both mean the same for the data at hand.

use std::collections::BTreeMap;

use super::lex::{Token, Word};
use super::shape::{Kind, Kinds, Step, kinds};
use super::{Fault, Use, Writer};

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
    fn simple(code: impl Into<String>, origin: Origin) -> Self {
        Self {
            code: code.into(),
            simple: true,
            origin,
        }
    }

    fn calculated(code: String, simple: bool, kinds: impl IntoIterator<Item = Kind>) -> Self {
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
    fn operand(&self) -> String {
        if self.simple {
            self.code.clone()
        } else {
            format!("({})", self.code)
        }
    }
}

/// Reads the words of one pipeline.
pub(super) struct Reader<'r, 'w, 'a> {
    writer: &'r mut Writer<'w, 'a>,
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

    fn fault(&self, why: &'static str) -> Fault {
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

    fn data(&mut self, code: String, path: Vec<Step>, lacking: bool) -> Expression {
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
    fn label(&self, name: &str) -> Result<Expression, Fault> {
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

    fn kinds(&self, value: &Expression) -> Kinds {
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

    fn call(&mut self, name: &str, arguments: &[Expression]) -> Result<Expression, Fault> {
        if arguments
            .iter()
            .any(|argument| argument.origin == Origin::RawQuery)
        {
            return Err(self.fault(RAW_QUERY));
        }
        if name != "index" && arguments.iter().any(Expression::is_root) {
            return Err(self.fault(WHOLE));
        }
        match name {
            "index" => self.index(arguments),
            "and" | "or" => self.connective(name, arguments),
            "not" => match arguments {
                [one] => {
                    self.condition(one);
                    let code = format!("not {}", one.operand());
                    Ok(Expression::calculated(code, false, [Kind::Bool]))
                }
                _ => Err(self.fault("`not` takes one argument")),
            },
            "len" => match arguments {
                [one] if self.holds_only(one, &[Kind::List, Kind::Map, Kind::Missing]) => {
                    let code = format!("{}|length", one.operand());
                    Ok(Expression::calculated(code, true, [Kind::Integer]))
                }
                _ => Err(self.fault("`len` counts bytes of a text where gitboot counts characters, and is converted for lists and maps only")),
            },
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => self.comparison(name, arguments),
            "print" => match arguments {
                [one] => {
                    self.printable(one)?;
                    Ok(joined(vec![Piece::Code(one.code.clone())]))
                }
                _ => Err(self.fault("`print` with several arguments puts blanks between some of them")),
            },
            "printf" => self.printf(arguments),
            _ => Err(self.fault("this function has no equivalent")),
        }
    }

    fn holds_only(&self, value: &Expression, allowed: &[Kind]) -> bool {
        self.kinds(value).iter().all(|kind| allowed.contains(kind))
    }

    /// A value that is only asked whether it is there: it may be missing.
    fn condition(&mut self, value: &Expression) {
        self.writer.asked(value);
    }

    fn index(&mut self, arguments: &[Expression]) -> Result<Expression, Fault> {
        let Some((of, keys)) = arguments.split_first() else {
            return Err(self.fault("`index` takes arguments"));
        };
        let mut value = of.clone();
        for key in keys {
            value = self.index_once(&value, key)?;
        }
        Ok(value)
    }

    fn index_once(&mut self, of: &Expression, key: &Expression) -> Result<Expression, Fault> {
        match (&of.origin, &key.origin) {
            (Origin::Unknown, _) | (_, Origin::Unknown) => Ok(Expression::unknown()),
            (Origin::Data { path, .. }, Origin::Literal(name)) => {
                if path.is_empty() && name == "request" {
                    return Ok(Expression::simple("", Origin::Request));
                }
                let mut whole = path.clone();
                whole.push(Step::Key(name.clone()));
                let code = member(&of.operand(), name);
                // Only what the Profile can give a default to may be missing in our expressions.
                let is_in_list = path.contains(&Step::Each);
                let code = if is_in_list {
                    format!("{code}|default(\"\")")
                } else {
                    code
                };
                let mut value = self.data(code, whole, true);
                value.simple = !is_in_list;
                Ok(value)
            }
            (Origin::Data { path, .. }, Origin::Calculated(number))
                if number.contains(&Kind::Integer)
                    && key.code.bytes().all(|byte| byte.is_ascii_digit())
                    && self.holds_only(of, &[Kind::List]) =>
            {
                let mut whole = path.clone();
                whole.push(Step::Each);
                let code = format!("{}[{}]", of.operand(), key.code);
                Ok(self.data(code, whole, false))
            }
            (Origin::Query, Origin::Literal(name)) => self.label(name),
            _ => Err(self.fault(
                "`index` is converted for literal keys of maps and literal positions in lists",
            )),
        }
    }

    fn connective(&mut self, name: &str, arguments: &[Expression]) -> Result<Expression, Fault> {
        let mut found = Kinds::new();
        for argument in arguments {
            self.condition(argument);
            found.extend(self.kinds(argument));
        }
        let codes: Vec<String> = arguments.iter().map(Expression::operand).collect();
        match arguments {
            [] => Err(self.fault("`and` and `or` take arguments")),
            [one] => Ok(one.clone()),
            _ => Ok(Expression::calculated(
                codes.join(&format!(" {name} ")),
                false,
                found,
            )),
        }
    }

    fn comparison(&mut self, name: &str, arguments: &[Expression]) -> Result<Expression, Fault> {
        let operator = match name {
            "eq" => "==",
            "ne" => "!=",
            "lt" => "<",
            "le" => "<=",
            "gt" => ">",
            _ => ">=",
        };
        let Some((left, others)) = arguments.split_first() else {
            return Err(self.fault("a comparison takes arguments"));
        };
        if others.is_empty() || (others.len() > 1 && name != "eq") {
            return Err(self.fault("this is not the number of arguments that the comparison takes"));
        }
        let mut codes = Vec::new();
        for right in others {
            self.comparable(left, right, name == "eq" || name == "ne")?;
            codes.push(format!("{} {operator} {}", left.operand(), right.operand()));
        }
        Ok(Expression::calculated(
            codes.join(" or "),
            false,
            [Kind::Bool],
        ))
    }

    /// Go compares values of one basic type only, and fails otherwise.
    fn comparable(
        &self,
        left: &Expression,
        right: &Expression,
        equality: bool,
    ) -> Result<(), Fault> {
        if left.origin == Origin::Unknown || right.origin == Origin::Unknown {
            return Ok(());
        }
        let mut all = self.kinds(left);
        all.extend(self.kinds(right));
        let missing = all.remove(&Kind::Missing) | all.remove(&Kind::Unreachable);
        let basic = match all.iter().collect::<Vec<_>>()[..] {
            [] => true,
            [kind] => {
                matches!(kind, Kind::Text | Kind::Integer | Kind::Float)
                    || (equality && *kind == Kind::Bool)
            }
            _ => false,
        };
        if !basic {
            return Err(self.fault(
                "Go compares two texts, two numbers of one type or two booleans, and fails for anything else: numbers of JSON are no integers",
            ));
        }
        let definite =
            |one: &Expression| matches!(&one.origin, Origin::Literal(text) if !text.is_empty());
        if missing && !(equality && (definite(left) || definite(right))) {
            return Err(self.fault("some group lacks the value that is compared here"));
        }
        Ok(())
    }

    fn printf(&mut self, arguments: &[Expression]) -> Result<Expression, Fault> {
        let Some((
            Expression {
                origin: Origin::Literal(format),
                ..
            },
            values,
        )) = arguments.split_first()
        else {
            return Err(self.fault("`printf` is converted for literal formats only"));
        };
        let mut values = values.iter();
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            let allowed: &[Kind] = match chars.next() {
                Some('%') => {
                    text.push('%');
                    continue;
                }
                Some('s') => &[Kind::Text],
                Some('d') => &[Kind::Integer],
                Some('t') => &[Kind::Bool],
                Some('v') => &[Kind::Text, Kind::Integer, Kind::Float, Kind::Bool],
                _ => {
                    return Err(self
                        .fault("`printf` is converted for `%s`, `%v`, `%d`, `%t` and `%%` only"));
                }
            };
            let value = values
                .next()
                .filter(|value| self.holds_only(value, allowed));
            let Some(value) = value else {
                return Err(self.fault(
                    "`printf` would print an error here: a value is missing or has another type",
                ));
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Code(value.code.clone()));
        }
        if values.next().is_some() {
            return Err(self.fault("`printf` would print an error here: a value is left over"));
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(joined(pieces))
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

/// A text made of these pieces.
fn joined(pieces: Vec<Piece>) -> Expression {
    let codes: Vec<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => quoted(text),
            Piece::Code(code) => format!("({code})|string"),
        })
        .collect();
    let code = if codes.is_empty() {
        "\"\"".to_owned()
    } else {
        codes.join(" ~ ")
    };
    Expression {
        code,
        simple: codes.len() < 2,
        origin: Origin::Joined(pieces),
    }
}

/// Why the raw query has no equivalent.
const RAW_QUERY: &str = "gitboot has no raw query: every config has an address of its own. Where it builds the address of another config, make that a config of the Profile and print its URL, as in `{{ configs[\"name\"] }}`";

/// Why the data as a whole have no equivalent.
pub(super) const WHOLE: &str =
    "the data as a whole hold the request and the selectors too, and gitboot's `values` do not";

/// A member of a map.
fn member(of: &str, name: &str) -> String {
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
