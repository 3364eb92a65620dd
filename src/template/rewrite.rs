//! Insertions into a template's text, and the way back from the new text to the old.

use std::ops::Range;

/// Text that takes the place of a (perhaps empty) range.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// A text after its edits.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Pieces in order: where a piece starts in the new text and in the old one, and whether it is new.
    pieces: Vec<Piece>,
    original: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    new: usize,
    old: usize,
    inserted: bool,
}

impl Rewritten {
    /// Applies edits that do not overlap. Those at one place come in the order given.
    pub(super) fn new(original: &str, mut edits: Vec<Edit>) -> Self {
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
        Self {
            text,
            pieces,
            original: original.len(),
        }
    }

    /// The range of the original text that a range of the new text comes from.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.position(range.start);
        start..self.position(range.end).max(start)
    }

    /// The original bytes of a line (from 1) of the new text: edits hold no line breaks.
    pub(super) fn line(&self, line: usize) -> Range<usize> {
        let mut start = 0;
        for (number, text) in self.text.split('\n').enumerate() {
            if number + 1 == line {
                return self.original(&(start..start + text.len()));
            }
            start += text.len() + 1;
        }
        0..0
    }

    fn position(&self, new: usize) -> usize {
        let index = self.pieces.partition_point(|piece| piece.new <= new);
        let piece = index
            .checked_sub(1)
            .and_then(|index| self.pieces.get(index));
        let old = piece.map_or(0, |piece| {
            if piece.inserted {
                piece.old
            } else {
                piece.old + (new - piece.new)
            }
        });
        old.min(self.original)
    }
}
