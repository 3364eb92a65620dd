//! What can be wrong with a template, as values: the words are made elsewhere.

use std::ops::Range;

use crate::tree::{PathError, RepoPath};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file; for an inline body the manifest that holds it.
    pub path: RepoPath,
    /// Bytes in that source's original text. Empty where nothing better is known.
    pub range: Range<usize>,
}

/// One mistake in a template, or one failure to render it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: ProblemKind,
}

impl Problem {
    /// The same without words that the engine chose, if they may quote a secret.
    #[must_use]
    pub(super) fn without_words(self, may_quote: bool) -> Self {
        let kind = match self.kind {
            ProblemKind::Failed(_) if may_quote => ProblemKind::FailedInSecret,
            kind => kind,
        };
        Self { kind, ..self }
    }
}

/// What is wrong. `similar` is a known name that is spelled alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is no template; the parser's words.
    Syntax(String),
    /// The text has more than [`limits::SOURCE_BYTES`](super::limits::SOURCE_BYTES).
    TooLarge,
    /// A name that is in scope nowhere.
    UnknownVariable {
        /// The name as written.
        name: String,
        /// A known name like it.
        similar: Option<String>,
    },
    /// `configs["name"]` of a name that the Profile does not have.
    UnknownConfig {
        /// The name as written.
        name: String,
        /// A config name like it.
        similar: Option<String>,
    },
    /// A filter that does not exist.
    UnknownFilter {
        /// The name as written.
        name: String,
        /// A filter name like it.
        similar: Option<String>,
    },
    /// A test (`is …`) that does not exist.
    UnknownTest {
        /// The name as written.
        name: String,
        /// A test name like it.
        similar: Option<String>,
    },
    /// A function or macro that does not exist.
    UnknownFunction {
        /// The name as written.
        name: String,
        /// A function or macro name like it.
        similar: Option<String>,
    },
    /// A field of `profile`, `assignment`, `machine`, `loop` or an imported file that does not exist.
    UnknownField {
        /// What the field was looked up in.
        of: String,
        /// The name as written.
        name: String,
        /// A field name like it.
        similar: Option<String>,
    },
    /// `labels` or `configs` (`of`) used otherwise than with a literal key.
    ComputedKey {
        /// `labels` or `configs`.
        of: &'static str,
    },
    /// `labels["…"]` with a text that can be no label's name.
    NoLabelName(String),
    /// `include` or `import` of something else than one literal name.
    IncludeNotLiteral,
    /// An included file that cannot be had.
    IncludeNotFound {
        /// The reference as written.
        reference: String,
        /// Why.
        why: IncludeError,
    },
    /// A file that includes itself, perhaps by way of others.
    IncludeCycle {
        /// The file that the statement names.
        path: RepoPath,
    },
    /// `revision` outside of a script.
    RevisionOutOfScope,
    /// `secrets` in a script, or in a file that a script includes.
    SecretsOutOfScope,
    /// Something that the template language has, or another one has, and that does not work here; words that say so.
    Unsupported(String),
    /// Rendering: a look-up found nothing.
    Undefined,
    /// Rendering: `null` would be printed.
    PrintsNull,
    /// Rendering: a list or a map (`what`) would be printed.
    PrintsCollection {
        /// `a list`, `a map`, …
        what: &'static str,
    },
    /// Rendering took more than [`limits::FUEL`](super::limits::FUEL) or [`limits::WORK`](super::limits::WORK).
    Fuel,
    /// Rendering printed more than [`limits::OUTPUT_BYTES`](super::limits::OUTPUT_BYTES).
    OutputTooLarge,
    /// Rendering failed otherwise, in words.
    Failed(String),
    /// The same where the words might quote a secret.
    FailedInSecret,
}

/// Why a file cannot be included.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncludeError {
    /// The reference leads out of the served root or is no path.
    #[error("{0}")]
    Path(#[from] PathError),
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// A symbolic link or a submodule.
    #[error("it is not a regular file")]
    NotRegular,
    /// The file is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Whoever looked it up refuses it, in words.
    #[error("{0}")]
    Refused(String),
}
