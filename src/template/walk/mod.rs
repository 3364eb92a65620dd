//! The walk over one file's syntax tree: what it uses, where labels flow, and which edits the text needs.
//!
//! The edits, all of them invisible to the reader of the output:
//! * `a ~ b`, `a + b`, `a * b` become filters of ours, which know how booleans print and what an operation costs;
//! * lists and maps that are no constants go through a filter that bounds their depth;
//! * the right side of a comparison and what `loop.changed` compares go through the same filter, which charges for it;
//! * what `[…]` looks into goes through a filter that charges for finding the place, which in a text takes long;
//! * the body of a loop, a macro or an included file starts with a test that charges for its literal text.
//!
//! (The last edit, the escaping of what derives from labels, comes later: `resolve`.)

mod expressions;
mod lookups;
mod statements;

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::machinery::ast;

use super::facts::{Facts, Kind, Role, Taint, Use};
use super::lexis::Lexemes;
use super::rewrite::Edit;
use super::{Place, ProblemKind, Scope, engine, names};
pub(super) use expressions::method_words;

/// What one walk needs to know.
pub(super) struct Walker<'w> {
    pub(super) facts: &'w mut Facts,
    pub(super) file: usize,
    pub(super) scope: &'w Scope<'w>,
    pub(super) lexemes: &'w Lexemes,
    /// Older spellings by offset: [`older`](super::older).
    pub(super) older: &'w BTreeMap<usize, (Range<usize>, String)>,
    /// How many blocks around capture what is printed, and how many of them are macros.
    captures: usize,
    macros: usize,
    /// What the items of each loop around may derive from.
    loops: Vec<Taint>,
    /// Bytes of literal text so far, for each body around that may run more than once.
    raw: Vec<usize>,
}

/// Where an expression stands in the one around it.
#[derive(Clone, Copy, Default)]
struct Position {
    /// It is the whole of what is emitted.
    whole: bool,
    /// It is the whole of what is emitted, or a part that is joined by `~`.
    plain: bool,
    /// It is an item of a list or map literal, whose depth is checked as a whole.
    item: bool,
}

impl Position {
    const INNER: Self = Self {
        whole: false,
        plain: false,
        item: false,
    };
    const ITEM: Self = Self {
        whole: false,
        plain: false,
        item: true,
    };
}

impl<'w> Walker<'w> {
    pub(super) fn new(
        facts: &'w mut Facts,
        file: usize,
        scope: &'w Scope<'w>,
        lexemes: &'w Lexemes,
        older: &'w BTreeMap<usize, (Range<usize>, String)>,
    ) -> Self {
        Self {
            facts,
            file,
            scope,
            lexemes,
            older,
            captures: 0,
            macros: 0,
            loops: Vec::new(),
            raw: vec![0],
        }
    }

    /// Walks the whole file.
    pub(super) fn walk(mut self, root: &ast::Stmt<'_>) {
        if let ast::Stmt::Template(template) = root {
            self.body(&template.children);
        }
        let raw = self.raw.pop().unwrap_or_default();
        if self.file != 0 {
            self.charge(0, raw, "");
        }
    }

    /// Makes the body that starts at `offset` cost its literal text each time it runs.
    fn charge(&mut self, offset: usize, raw: usize, marker: &str) {
        if raw > 0 {
            let test = engine::CHARGE;
            self.edit(
                offset..offset,
                &format!("{{% if {raw} is {test} %}}{{% endif {marker}%}}"),
            );
        }
    }

    fn edit(&mut self, range: Range<usize>, text: &str) {
        if let Some(file) = self.facts.files.get_mut(self.file) {
            file.edits.push(Edit {
                range,
                text: text.to_owned(),
            });
        }
    }

    fn place(&self, range: Range<usize>) -> Place {
        let path = self
            .facts
            .files
            .get(self.file)
            .map(|file| file.source.path.clone());
        Place {
            path: path.expect("the walked file is one of the files"),
            range,
        }
    }

    fn text(&self, range: &Range<usize>) -> &str {
        let file = self.facts.files.get(self.file);
        file.and_then(|file| file.text.get(range.clone()))
            .unwrap_or_default()
    }

    fn problem(&mut self, range: Range<usize>, kind: ProblemKind) {
        let place = self.place(range);
        self.facts.problem(place, kind);
    }

    fn unsupported(&mut self, range: Range<usize>, words: impl Into<String>) {
        self.problem(range, ProblemKind::Unsupported(words.into()));
    }

    fn r#use(&mut self, name: &str, role: Role, range: Range<usize>, plain: bool) {
        let place = self.place(range);
        self.facts.uses.push(Use {
            name: name.to_owned(),
            role,
            place,
            plain,
        });
    }

    /// Gives a name a meaning.
    fn bind(&mut self, name: &str, kind: Kind, range: Range<usize>) {
        if names::is_reserved(name) {
            self.unsupported(
                range,
                format!("`{name}` is a built-in name and cannot be assigned"),
            );
            return;
        }
        let known = *self.facts.kinds.entry(name.to_owned()).or_insert(kind);
        if known != kind {
            let words = format!(
                "`{name}` is used for {} and for {}: give one of them another name",
                words(known),
                words(kind)
            );
            self.unsupported(range, words);
        }
        self.export(name);
    }

    /// Makes a name one that importing the file gives.
    fn export(&mut self, name: &str) {
        if self.macros == 0
            && let Some(file) = self.facts.files.get_mut(self.file)
        {
            file.exports.insert(name.to_owned());
        }
    }

    fn flow(&mut self, to: &str, from: Taint) {
        if from.label || !from.names.is_empty() {
            self.facts.flows.push((to.to_owned(), from));
        }
    }
}

/// A kind in words.
pub(super) fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Variable => "a variable",
        Kind::Macro => "a macro",
        Kind::Module => "an imported file",
        Kind::Namespace => "a namespace",
    }
}
