//! What is wrong with a repository, said so that the person who wrote it can mend it.
//!
//! A [`Diagnostic`] is made by a named constructor in one of the catalogues of this room and nowhere else, so that every
//! text of gitboot about somebody's manifests stands here, beside its neighbours, under test.

mod catalogue;
mod render;
mod rules;

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use crate::tree::RepoPath;

pub use catalogue::{assignment, content, document, import, lint, ranking, template};
pub use rules::{Rule, rules};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The tree is refused.
    Error,
    /// The tree is published; somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a file, with the line as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file.
    pub path: RepoPath,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The column in the excerpt where the carets begin: another one where something before it is hidden.
    pub shown_column: usize,
    /// How many columns the carets take, at least 1.
    pub width: usize,
    /// The line's text, with every value and every line of a config body already replaced by `…`; empty where there is
    /// nothing to show.
    pub excerpt: String,
}

impl Location {
    /// A whole file: its first line, without an excerpt.
    #[must_use]
    pub fn of_file(path: &RepoPath) -> Self {
        Self {
            path: path.clone(),
            line: 1,
            column: 1,
            shown_column: 1,
            width: 1,
            excerpt: String::new(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// One mistake or one doubt, with its place, its reason and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    code: &'static str,
    location: Option<Location>,
    message: String,
    label: String,
    notes: Vec<String>,
    help: Vec<String>,
}

impl Diagnostic {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The stable name of the rule, as `unknown-profile`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Where it is; absent when it concerns the tree as a whole.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Why it matters, a line each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How to mend it, a line each.
    #[must_use]
    pub fn help(&self) -> &[String] {
        &self.help
    }

    fn new(severity: Severity, code: &'static str, location: Location, message: String) -> Self {
        Self {
            severity,
            code,
            location: Some(location),
            message: shown(message),
            label: String::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    fn error(code: &'static str, location: Location, message: String) -> Self {
        Self::new(Severity::Error, code, location, message)
    }

    fn warning(code: &'static str, location: Location, message: String) -> Self {
        Self::new(Severity::Warning, code, location, message)
    }

    fn whole_tree(code: &'static str, message: String) -> Self {
        Self {
            severity: Severity::Error,
            code,
            location: None,
            message: shown(message),
            label: String::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = shown(label.into());
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(shown(note.into()));
        self
    }

    fn help_line(mut self, help: impl Into<String>) -> Self {
        self.help.push(shown(help.into()));
        self
    }

    fn help_maybe(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help_line(help),
            None => self,
        }
    }
}

/// The one-line form: `path:line:col: error[code]: what`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        write!(
            f,
            "{}[{}]: {}",
            self.severity.as_str(),
            self.code,
            self.message
        )
    }
}

/// All that was found in one tree, sorted by path, line and column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts them; a diagnostic that is there twice to the letter is kept once.
    #[must_use]
    pub fn new(mut all: Vec<Diagnostic>) -> Self {
        all.sort_by(|a, b| {
            (&a.location, a.severity, a.code, &a.message).cmp(&(
                &b.location,
                b.severity,
                b.code,
                &b.message,
            ))
        });
        all.dedup();
        Self(all)
    }

    /// In the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors there are.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warning_count(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// All of them as a person reads them, with a closing count; empty when there is nothing to say.
    #[must_use]
    pub fn render_human(&self) -> String {
        render::human(self)
    }

    /// Up to `most` of them as a person reads them, errors before warnings where not all fit, with how many are left out and the
    /// count of all; empty when there is nothing to say.
    #[must_use]
    pub fn render_first(&self, most: usize) -> String {
        render::first(self, most)
    }

    /// All of them as one JSON document with a closing newline.
    #[must_use]
    pub fn render_json(&self) -> String {
        render::json(self)
    }

    /// All of them as workflow commands of GitHub Actions, a line each, with paths from the top of the repository: `place`
    /// is the folder of it that was read as the served root.
    #[must_use]
    pub fn render_github(&self, place: Option<&RepoPath>) -> String {
        render::github(self, place)
    }

    /// All of them as one SARIF 2.1.0 document with a closing newline, with paths from the top of the repository: `place`
    /// is the folder of it that was read as the served root.
    #[must_use]
    pub fn render_sarif(&self, place: Option<&RepoPath>) -> String {
        render::sarif(self, place)
    }

    /// The counts as a phrase: `1 error`, `2 errors and 1 warning`.
    #[must_use]
    pub fn counts(&self) -> String {
        render::counts(self)
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|one| one.severity == severity).count()
    }

    fn file_count(&self) -> usize {
        let paths: BTreeSet<&RepoPath> = self
            .0
            .iter()
            .filter_map(|one| Some(&one.location()?.path))
            .collect();
        paths.len()
    }
}

/// Text of a repository may hold anything; a terminal and a log line get no control character of it.
fn shown(text: String) -> String {
    if text.chars().any(char::is_control) {
        return text
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
    }
    text
}

/// How many columns a text takes in a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The closest of some names, near enough to be a slip of the hand.
#[must_use]
pub fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, Jaro-Winkler likens words that no slip turns into each other.
    const NEAR: f64 = 0.8;
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, candidate)| *score >= NEAR && *candidate != name)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// The name among some that a slip of the hand turns into this one: one letter more, less, other or swapped, two in long names.
#[must_use]
pub fn slip<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Shorter names are too alike by nature.
    const SHORTEST: usize = 4;
    /// From here on two slips still leave no doubt.
    const LONG: usize = 8;
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            let length = name.len().min(candidate.len());
            let most = usize::from(length >= SHORTEST) + usize::from(length >= LONG);
            (1..=most).contains(distance)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names in backticks, the first few of them: `` `a`, `b`, `c` and 4 more ``.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    /// More than this nobody reads in one line.
    const SHOWN: usize = 8;
    let all: Vec<&str> = all.collect();
    let mut text = all
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > SHOWN {
        let _ = write!(text, " and {} more", all.len() - SHOWN);
    }
    text
}
