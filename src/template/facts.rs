//! What the walk over the syntax trees collects, before names are resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::rewrite::Edit;
use super::{Place, Problem, ProblemKind, Source, Usage, limits};

/// What a value may derive from: a label, or whatever these variables hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Taint {
    pub(super) label: bool,
    pub(super) names: BTreeSet<String>,
}

impl Taint {
    pub(super) fn clean() -> Self {
        Self::default()
    }

    pub(super) fn label() -> Self {
        Self {
            label: true,
            names: BTreeSet::new(),
        }
    }

    pub(super) fn name(name: &str) -> Self {
        Self {
            label: false,
            names: BTreeSet::from([name.to_owned()]),
        }
    }

    #[must_use]
    pub(super) fn or(mut self, mut other: Self) -> Self {
        self.label |= other.label;
        self.names.append(&mut other.names);
        self
    }
}

/// What a name stands for. A name has one kind in a template and everything it includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Variable,
    Macro,
    /// What `{% import … as name %}` gave.
    Module,
    /// What `namespace(…)` gave: it must not escape, or it could be made to hold itself.
    Namespace,
}

/// How a name is used.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// As a value.
    Value,
    /// Only asked whether it is something.
    Tested,
    /// Its field is looked up.
    Field(String),
    /// It is called.
    Called,
    /// Its field is called.
    FieldCalled(String),
    /// Its field is assigned.
    FieldSet,
}

/// One use of a name that is not built in.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) place: Place,
    /// Whether it is a whole emitted expression, perhaps joined by `~`.
    pub(super) plain: bool,
}

/// A call of something that may be a macro.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) callee: String,
    pub(super) arguments: Vec<(Argument, Taint)>,
}

/// Which parameter an argument meets.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    At(usize),
    Named(String),
    /// `*list` and `**map`.
    Any,
}

/// Something that prints: its output is escaped when it is tainted.
#[derive(Clone, Debug)]
pub(super) struct Emit {
    pub(super) file: usize,
    /// Where the expression starts, `None` for a `{% filter %}` chain, which needs no parentheses.
    pub(super) open: Option<usize>,
    pub(super) close: usize,
    pub(super) taint: Taint,
    /// Whether its last filter escapes by itself.
    pub(super) escaped: bool,
    /// Whether it prints a URL of ours by a built-in name.
    pub(super) base: bool,
    /// The names it uses, as indices into [`Facts::uses`].
    pub(super) uses: Range<usize>,
    pub(super) place: Place,
}

/// One `include`, `import` or `from … import`.
#[derive(Clone, Debug)]
pub(super) struct Include {
    pub(super) from: usize,
    /// The file, once it is found.
    pub(super) to: Option<usize>,
    pub(super) reference: String,
    pub(super) place: Place,
    /// Whether its output is captured and may be changed before it is printed.
    pub(super) captured: bool,
}

/// `{% from … import source as name %}`.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) source: String,
    /// An index into [`Facts::includes`].
    pub(super) include: usize,
    pub(super) place: Place,
}

/// A file of the unit: the template itself or something that it includes.
#[derive(Debug)]
pub(super) struct File {
    pub(super) source: Source,
    /// The text that was parsed: the older spellings are blanked out.
    pub(super) text: String,
    pub(super) edits: Vec<Edit>,
    /// Where an operator stands that became a filter → the expression it is in.
    pub(super) operators: BTreeMap<usize, Range<usize>>,
    /// Where minijinja says that a look-up starts → where it does.
    pub(super) starts: BTreeMap<usize, usize>,
    /// The names that importing it gives.
    pub(super) exports: BTreeSet<String>,
}

/// Everything that the walk finds out.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) files: Vec<File>,
    pub(super) problems: Vec<Problem>,
    pub(super) usage: Usage,
    /// Labels as written → canonical keys.
    pub(super) label_keys: BTreeMap<String, String>,
    pub(super) kinds: BTreeMap<String, Kind>,
    pub(super) uses: Vec<Use>,
    pub(super) emits: Vec<Emit>,
    /// A variable and what is assigned to it.
    pub(super) flows: Vec<(String, Taint)>,
    /// The parameters of each macro; a name may have several.
    pub(super) macros: BTreeMap<String, Vec<Vec<String>>>,
    pub(super) calls: Vec<Call>,
    pub(super) includes: Vec<Include>,
    pub(super) aliases: Vec<Alias>,
    /// Names of `{% from … import source as name %}` → their sources.
    pub(super) renamed: BTreeMap<String, String>,
    /// Names of `{% import … as name %}` → indices into `includes`.
    pub(super) modules: BTreeMap<String, Vec<usize>>,
    /// How often a URL of ours was used by a built-in name, and whether one of them was not printed plainly.
    pub(super) base_uses: usize,
    pub(super) base_is_mangled: bool,
}

impl Facts {
    pub(super) fn problem(&mut self, place: Place, kind: ProblemKind) {
        if !self.is_full() {
            self.problems.push(Problem { place, kind });
        }
    }

    /// Whether nothing more is reported.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= limits::PROBLEMS
    }

    /// The names that importing this file gives.
    pub(super) fn exports(&self, file: Option<usize>) -> Option<&BTreeSet<String>> {
        Some(&self.files.get(file?)?.exports)
    }
}
