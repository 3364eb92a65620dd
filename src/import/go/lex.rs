//! A Go template → texts and actions, by the rules of Go's `text/template/parse`.

use std::ops::Range;

use super::Fault;

/// A piece of a template as Go's lexer cuts it.
#[derive(Debug)]
pub(super) enum Part<'t> {
    /// What is printed as it is.
    Text(&'t str),
    /// `{{ … }}`.
    Action(Action<'t>),
}

/// `{{ … }}`.
#[derive(Debug)]
pub(super) struct Action<'t> {
    /// With its delimiters.
    pub(super) range: Range<usize>,
    /// `{{- `: the white space before it goes.
    pub(super) trims_left: bool,
    /// ` -}}`: the white space behind it goes.
    pub(super) trims_right: bool,
    /// What is inside.
    pub(super) body: Body<'t>,
}

/// What is inside an action.
#[derive(Debug)]
pub(super) enum Body<'t> {
    /// `/* … */`, without the stars.
    Comment(&'t str),
    /// Everything else.
    Code(Vec<Token>),
}

/// A word of an action.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) what: Word,
    /// Blanks stand before it: `.a .b` are two operands, `.a.b` is one.
    pub(super) spaced: bool,
}

/// The kinds of words.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$` (empty) or `$name`.
    Variable(String),
    /// A function, a keyword, `true`, `false` or `nil`.
    Name(String),
    /// A string.
    Text(String),
    /// A number without point and exponent, as it is written.
    Integer(String),
    /// Any other decimal number.
    Float(f64),
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
}

/// What Go trims beside a `-`.
pub(super) fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// Cuts a template.
///
/// # Errors
/// At the first thing that Go cannot read either.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Fault> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let start = text.len() - behind.len() - 2;
        let action = action(text, start)?;
        rest = text.get(action.range.end..).unwrap_or_default();
        parts.push(Part::Action(action));
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn action(text: &str, start: usize) -> Result<Action<'_>, Fault> {
    let mut at = start + 2;
    let inside = text.get(at..).unwrap_or_default();
    let trims_left = inside
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space));
    if trims_left {
        at += 2;
    }
    let inside = text.get(at..).unwrap_or_default();
    if let Some(comment) = inside.strip_prefix("/*") {
        let open = || Fault::unreadable(start..start + 2, "the comment has no end");
        let (words, behind) = comment.split_once("*/").ok_or_else(open)?;
        let (trims_right, length) = right_delimiter(behind).ok_or_else(open)?;
        return Ok(Action {
            range: start..text.len() - behind.len() + length,
            trims_left,
            trims_right,
            body: Body::Comment(words),
        });
    }
    let mut scanner = Scanner { text, at };
    let mut tokens = Vec::new();
    loop {
        let rest = scanner.rest();
        let word = rest.trim_start_matches(is_space);
        let spaces = rest.len() - word.len();
        let trims_right = spaces > 0 && word.starts_with("-}}");
        scanner.take(spaces);
        if trims_right || word.starts_with("}}") {
            let length = if trims_right { 3 } else { 2 };
            return Ok(Action {
                range: start..scanner.at + length,
                trims_left,
                trims_right,
                body: Body::Code(tokens),
            });
        }
        if word.is_empty() {
            return Err(Fault::unreadable(start..start + 2, "the action has no end"));
        }
        tokens.push(Token {
            what: scanner.word()?,
            spaced: spaces > 0,
        });
    }
}

/// Whether an action ends right behind a comment, whether that trims, and how long the delimiter is.
fn right_delimiter(rest: &str) -> Option<(bool, usize)> {
    if rest.starts_with("}}") {
        return Some((false, 2));
    }
    let trims =
        rest.starts_with(is_space) && rest.get(1..).is_some_and(|rest| rest.starts_with("-}}"));
    trims.then_some((true, 4))
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let taken = self.rest().get(..bytes).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn word(&mut self) -> Result<Word, Fault> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let first = chars.next().unwrap_or_default();
        let second = chars.next().unwrap_or_default();
        let simple = match first {
            ':' if second == '=' => Some((Word::Declare, 2)),
            '=' => Some((Word::Assign, 1)),
            ',' => Some((Word::Comma, 1)),
            '|' => Some((Word::Pipe, 1)),
            '(' => Some((Word::Open, 1)),
            ')' => Some((Word::Close, 1)),
            _ => None,
        };
        if let Some((word, bytes)) = simple {
            self.take(bytes);
            return Ok(word);
        }
        match first {
            '"' => self.quoted(),
            '`' => self.raw(),
            '.' if !second.is_ascii_digit() => {
                self.take(1);
                let name = self.name();
                self.ends_well()?;
                Ok(if name.is_empty() {
                    Word::Dot
                } else {
                    Word::Field(name)
                })
            }
            '$' => {
                self.take(1);
                let name = self.name();
                self.ends_well()?;
                Ok(Word::Variable(name))
            }
            '0'..='9' | '.' | '+' | '-' => self.number(),
            first if is_name(first) => {
                let name = self.name();
                self.ends_well()?;
                Ok(Word::Name(name))
            }
            _ => Err(self.unreadable("this character means nothing in an action")),
        }
    }

    fn unreadable(&self, why: &'static str) -> Fault {
        let width = self.rest().chars().next().map_or(0, char::len_utf8);
        Fault::unreadable(self.at..self.at + width, why)
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
        self.take(end).to_owned()
    }

    /// Go wants a separator behind names.
    fn ends_well(&self) -> Result<(), Fault> {
        let rest = self.rest();
        let next = rest.chars().next();
        let good = next.is_none_or(|char| is_space(char) || ".,|:)(=".contains(char))
            || rest.starts_with("}}");
        if good {
            Ok(())
        } else {
            Err(self.unreadable("this character cannot follow a name"))
        }
    }

    fn number(&mut self) -> Result<Word, Fault> {
        let rest = self.rest();
        let signed = usize::from(rest.starts_with(['+', '-']));
        let body = rest.get(signed..).unwrap_or_default();
        let end = body
            .find(|char: char| !(is_name(char) || char == '.'))
            .unwrap_or(body.len());
        let digits = body.get(..end).unwrap_or_default();
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        let is_decimal = !digits.starts_with('.')
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value = digits.parse::<f64>().ok().filter(|value| value.is_finite());
        match value {
            Some(_) if is_integer && digits.len() <= 15 && signed == 0 => {
                Ok(Word::Integer(self.take(end).to_owned()))
            }
            Some(value) if is_decimal && !is_integer && signed == 0 => {
                self.take(end);
                Ok(Word::Float(value))
            }
            _ => Err(self.unreadable("numbers like this one are not converted")),
        }
    }

    fn raw(&mut self) -> Result<Word, Fault> {
        let Some((text, _)) = self.rest().get(1..).and_then(|rest| rest.split_once('`')) else {
            return Err(self.unreadable("the string has no end"));
        };
        self.take(text.len() + 2);
        // Go drops carriage returns from raw strings.
        Ok(Word::Text(text.replace('\r', "")))
    }

    fn quoted(&mut self) -> Result<Word, Fault> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.take(at + 1);
                    return Ok(Word::Text(text));
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, char @ ('"' | '\\'))) => text.push(char),
                    _ => return Err(self.unreadable("an escape in this string is not converted")),
                },
                char => text.push(char),
            }
        }
        Err(self.unreadable("the string has no end"))
    }
}

fn is_name(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}
