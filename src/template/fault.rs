//! From minijinja's errors to typed problems with places.

use std::error::Error as _;
use std::fmt;
use std::ops::Range;

use minijinja::{Error, ErrorKind};

use super::rewrite::Rewritten;
use super::{Place, Problem, ProblemKind, Source};

/// A typed problem inside of minijinja's error.
#[derive(Debug)]
struct Fault(ProblemKind);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fault {}

/// An error that says what it is.
pub(super) fn fault(kind: ProblemKind) -> Error {
    Error::from(ErrorKind::InvalidOperation).with_source(Fault(kind))
}

/// An error in words.
pub(super) fn failed(words: impl Into<String>) -> Error {
    fault(ProblemKind::Failed(words.into()))
}

/// Where and why a text is no template.
pub(super) fn syntax(error: &Error, text: &str) -> (Range<usize>, String) {
    let words = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    (clip(error.range().unwrap_or_default(), text), words)
}

/// Cuts a range to whole characters of a text.
fn clip(range: Range<usize>, text: &str) -> Range<usize> {
    let floor = |offset: usize| {
        (0..=offset.min(text.len()))
            .rev()
            .find(|&offset| text.is_char_boundary(offset))
    };
    let start = floor(range.start).unwrap_or(0);
    start..floor(range.end).unwrap_or(0).max(start)
}

/// What a failed render is, and where.
pub(super) fn problem(error: &Error, sources: &[&Source], texts: &[Rewritten]) -> Problem {
    let chain = chain(error);
    let located = chain
        .iter()
        .rev()
        .find(|error| error.line().is_some())
        .copied();
    let index = located
        .and_then(|error| error.name())
        .and_then(|name| name.parse().ok())
        .unwrap_or(0);
    let range = match (located, texts.get(index)) {
        (Some(error), Some(text)) => match error.range() {
            Some(range) => text.original(&range),
            None => text.line(error.line().unwrap_or(0)),
        },
        _ => 0..0,
    };
    let source = sources
        .get(index)
        .or_else(|| sources.first())
        .expect("a template has a source");
    let place = Place {
        path: source.path.clone(),
        range: clip(range, &source.text),
    };
    Problem {
        place,
        kind: kind(&chain),
    }
}

/// The error and those that caused it.
fn chain(error: &Error) -> Vec<&Error> {
    let mut chain = vec![error];
    let mut last = error;
    while let Some(source) = last
        .source()
        .and_then(|source| source.downcast_ref::<Error>())
    {
        chain.push(source);
        last = source;
    }
    chain
}

fn kind(chain: &[&Error]) -> ProblemKind {
    for error in chain.iter().rev() {
        if let Some(fault) = error
            .source()
            .and_then(|source| source.downcast_ref::<Fault>())
        {
            return fault.0.clone();
        }
        match error.kind() {
            ErrorKind::UndefinedError => return ProblemKind::Undefined,
            ErrorKind::OutOfFuel => return ProblemKind::Fuel,
            ErrorKind::WriteFailure => return ProblemKind::OutputTooLarge,
            _ => {}
        }
    }
    let words = chain.last().map_or_else(String::new, |error| words(error));
    ProblemKind::Failed(words)
}

/// What minijinja says, unless it would show a value.
fn words(error: &Error) -> String {
    match error.detail() {
        Some(detail) if detail.starts_with("unable to calculate") => {
            "the calculation has no result".to_owned()
        }
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}
