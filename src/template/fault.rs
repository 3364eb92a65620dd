//! From minijinja's errors to typed problems with places.

use std::error::Error as _;
use std::fmt;
use std::ops::Range;

use minijinja::{Error, ErrorKind};

use super::ProblemKind;

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
pub(super) fn clip(range: Range<usize>, text: &str) -> Range<usize> {
    let floor = |offset: usize| {
        (0..=offset.min(text.len()))
            .rev()
            .find(|&offset| text.is_char_boundary(offset))
    };
    let start = floor(range.start).unwrap_or(0);
    start..floor(range.end).unwrap_or(0).max(start)
}

/// Where minijinja says that a render failed.
pub(super) struct Location<'e> {
    /// The name of the template.
    pub(super) name: &'e str,
    /// Bytes of its (rewritten) text, if they are known.
    pub(super) range: Option<Range<usize>>,
    /// The line, from 1.
    pub(super) line: usize,
}

/// What a failed render is, and where.
pub(super) fn read(error: &Error) -> (ProblemKind, Option<Location<'_>>) {
    let chain = chain(error);
    let location = chain.iter().rev().find_map(|error| {
        Some(Location {
            name: error.name()?,
            range: error.range(),
            line: error.line()?,
        })
    });
    (kind(&chain), location)
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
