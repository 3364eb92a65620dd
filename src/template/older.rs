//! The spellings of the older API groups: `{{ .x }}`, `{{ .AdditionalContent.x }}`, `{{ index . "x" }}` and
//! `{{ index .AdditionalContent "x" }}`.
//!
//! They are blanked out of the text before it is parsed, so that every offset stays, and remembered by their offset.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::machinery::{Span, Token, tokenize};

use super::lexis;

/// Statements of Go templates that stand alone, and those that take an argument: minijinja would complain about them in
/// words that help nobody.
const GO_CLOSERS: [&str; 4] = ["end", "else", "break", "continue"];
const GO_OPENERS: [&str; 7] = ["if", "range", "else", "with", "define", "template", "block"];

/// A text without Go's spellings.
pub(super) struct Masked {
    /// As long as the original.
    pub(super) text: String,
    /// Offset of what was blanked → its range and the config it names.
    pub(super) configs: BTreeMap<usize, (Range<usize>, String)>,
    /// Expressions of Go templates that read as nothing here.
    pub(super) foreign: Vec<Range<usize>>,
}

/// Blanks out the older spellings.
pub(super) fn mask(text: &str) -> Masked {
    let mut masked = Masked {
        text: text.to_owned(),
        configs: BTreeMap::new(),
        foreign: Vec::new(),
    };
    let mut tag: Option<Vec<(Token<'_>, Span)>> = None;
    let mut last = 0..0;
    for token in tokenize(text, false, lexis::syntax()) {
        let Ok((token, span)) = token else {
            // Go's `$variable`, `:=` and comments are not even tokens; what is left of the text stays unread.
            if tag.is_some_and(|tag| starts_foreign(&tag)) {
                masked.foreign.push(last);
            }
            return masked;
        };
        last = lexis::range(span);
        match token {
            Token::VariableStart => tag = Some(Vec::new()),
            Token::VariableEnd => masked.tag(&tag.take().unwrap_or_default()),
            token => {
                if let Some(tag) = &mut tag {
                    tag.push((token, span));
                }
            }
        }
    }
    masked
}

impl Masked {
    fn tag(&mut self, tokens: &[(Token<'_>, Span)]) {
        let (Some((_, first)), Some((_, last))) = (tokens.first(), tokens.last()) else {
            return;
        };
        let range = first.start_offset as usize..last.end_offset as usize;
        let config = match tokens {
            [(Token::Dot, _), (Token::Ident(name), _)]
            | [
                (Token::Dot, _),
                (Token::Ident("AdditionalContent"), _),
                (Token::Dot, _),
                (Token::Ident(name), _),
            ]
            | [
                (Token::Ident("index"), _),
                (Token::Dot, _),
                (Token::Str(name), _),
            ]
            | [
                (Token::Ident("index"), _),
                (Token::Dot, _),
                (Token::Ident("AdditionalContent"), _),
                (Token::Str(name), _),
            ] => Some((*name).to_owned()),
            [
                (Token::Ident("index"), _),
                (Token::Dot, _),
                (Token::String(name), _),
            ]
            | [
                (Token::Ident("index"), _),
                (Token::Dot, _),
                (Token::Ident("AdditionalContent"), _),
                (Token::String(name), _),
            ] => Some(name.clone().into()),
            [(Token::Dot, _), ..] => self.text.get(range.clone()).and_then(dashed),
            _ => None,
        };
        match config {
            Some(config) => {
                self.text.replace_range(range.clone(), &blank(range.len()));
                self.configs.insert(range.start, (range, config));
            }
            None if is_foreign(tokens) => {
                self.text.replace_range(range.clone(), &blank(range.len()));
                self.foreign.push(range);
            }
            None => {}
        }
    }
}

/// The name in `.ignition-config` or `.AdditionalContent.ignition-config`, which the older systems' own examples write and Go
/// does not read.
fn dashed(tag: &str) -> Option<String> {
    let path = tag.strip_prefix('.')?;
    let name = path.strip_prefix("AdditionalContent.").unwrap_or(path);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    is_name.then(|| name.to_owned())
}

/// Whether a tag is an expression of Go templates and none of ours.
fn is_foreign(tokens: &[(Token<'_>, Span)]) -> bool {
    match tokens {
        [(Token::Dot | Token::Div, _), ..]
        | [(Token::Ident("index"), _), (Token::Dot, _), _, _, ..] => true,
        [(Token::Ident(word), _)] => GO_CLOSERS.contains(word),
        [
            (Token::Ident(word), _),
            (Token::Dot | Token::Ident(_) | Token::Str(_), _),
            ..,
        ] => GO_OPENERS.contains(word),
        _ => false,
    }
}

/// Whether the tokens before one that cannot be read are the start of such an expression.
fn starts_foreign(tokens: &[(Token<'_>, Span)]) -> bool {
    match tokens {
        [(Token::Ident(word), _), ..] => {
            GO_OPENERS.contains(word) || GO_CLOSERS.contains(word) || is_foreign(tokens)
        }
        tokens => tokens.is_empty() || is_foreign(tokens),
    }
}

/// A constant that takes as many bytes. Tokens are ASCII at their ends, and a tag has at least one byte.
fn blank(length: usize) -> String {
    format!("0{}", " ".repeat(length.saturating_sub(1)))
}
