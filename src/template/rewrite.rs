//! Insertions into a template's text, and the way back from the new text to the old.

use std::collections::BTreeMap;
use std::ops::Range;

use super::facts::File;

/// Text that takes the place of a (perhaps empty) range.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// The way from a text after its edits back to the original.
#[derive(Debug)]
pub(super) struct Origins {
    /// Where each piece starts, in order.
    pieces: Vec<Piece>,
    /// Bytes of the original text.
    original: usize,
    /// See [`File`].
    operators: BTreeMap<usize, Range<usize>>,
    starts: BTreeMap<usize, usize>,
}

/// A part of the new text: a copy, or an insertion.
#[derive(Clone, Copy, Debug)]
struct Piece {
    new: usize,
    old: usize,
    inserted: bool,
}

impl Origins {
    /// Applies a file's edits, which do not overlap. Those at one place come in the order in which they were made.
    /// Gives the new text too.
    pub(super) fn of(file: &mut File) -> (String, Self) {
        let original = file.text.as_str();
        let mut edits = std::mem::take(&mut file.edits);
        edits.sort_by_key(|edit| edit.range.start);
        let mut text = String::with_capacity(original.len() + edits.len() * 8);
        let mut pieces = Vec::with_capacity(edits.len() * 2 + 1);
        let mut old = 0;
        for edit in edits {
            pieces.push(Piece {
                new: text.len(),
                old,
                inserted: false,
            });
            text.push_str(original.get(old..edit.range.start).unwrap_or_default());
            pieces.push(Piece {
                new: text.len(),
                old: edit.range.start,
                inserted: true,
            });
            text.push_str(&edit.text);
            old = edit.range.end;
        }
        pieces.push(Piece {
            new: text.len(),
            old,
            inserted: false,
        });
        text.push_str(original.get(old..).unwrap_or_default());
        let origins = Self {
            pieces,
            original: original.len(),
            operators: std::mem::take(&mut file.operators),
            starts: std::mem::take(&mut file.starts),
        };
        (text, origins)
    }

    /// The range of the original text that a range of the new text comes from. An error of a filter points at the
    /// filter; where that was an operator, it is the whole expression.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.position(range.start);
        let end = self.position(range.end);
        let is_new = self.piece(range.start).is_some_and(|piece| piece.inserted);
        match self.operators.get(&start) {
            Some(expression) if is_new => expression.clone(),
            _ => {
                let start = self.starts.get(&start).copied().unwrap_or(start);
                start..end.max(start)
            }
        }
    }

    /// The original bytes of a line (from 1) of the new text: edits hold no line breaks.
    pub(super) fn line(&self, text: &str, line: usize) -> Range<usize> {
        let mut start = 0;
        for (number, text) in text.split('\n').enumerate() {
            if number + 1 == line {
                return self.position(start)..self.position(start + text.len());
            }
            start += text.len() + 1;
        }
        0..0
    }

    fn position(&self, new: usize) -> usize {
        let old = self.piece(new).map_or(0, |piece| {
            if piece.inserted {
                piece.old
            } else {
                piece.old + (new - piece.new)
            }
        });
        old.min(self.original)
    }

    fn piece(&self, new: usize) -> Option<&Piece> {
        let index = self.pieces.partition_point(|piece| piece.new <= new);
        self.pieces.get(index.checked_sub(1)?)
    }
}
