//! Places in files as people read them: line, column, and the line's text with nothing secret in it.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use crate::diagnostic::Location;
use crate::label::{self, Identity};
use crate::tree::{RepoPath, Tree};

use super::locate::{Mark, Marks, Step, marks};
use super::yaml::Budget;

/// What stands where a value or a line of a body may not be shown.
const REDACTED: &str = "…";

/// The fields of manifests, which may be shown even of a file that could not be read.
const FIELDS: [&str; 24] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "labels",
    "spec",
    "ipxe",
    "ipxeTemplate",
    "additionalConfig",
    "additionalContent",
    "inline",
    "file",
    "contentType",
    "template",
    "values",
    "valuesFrom",
    "profile",
    "profileName",
    "profileSelectors",
    "subjectSelectors",
    "machines",
    "priority",
    "isDefault",
    "exposed",
];

/// What some editors put before the text; no part of it.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The longest excerpt, in characters; more does not fit a terminal and helps nobody.
const EXCERPT_CHARACTERS: usize = 160;

/// The longest line, in bytes, that an excerpt is taken from: nobody reads those that programs write, and a thousand mistakes
/// on one line of a megabyte would take minutes to show.
const EXCERPT_LINE_BYTES: usize = 4096;

/// Where a document came from: its file, its number in the file, and the way to it when it stood in a `List`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: RepoPath,
    /// Which document of the file, from 0.
    pub document: usize,
    /// The steps to the manifest inside its document: empty, or `items` and a number.
    pub prefix: Vec<Step>,
    /// The line of its name in the file, from 1.
    pub line: u32,
}

/// Which part of a map's entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// Finds places in the files of one tree, reading each file's positions once and only when asked.
pub struct Locator<'t> {
    tree: &'t Tree,
    budget: Budget,
    files: RefCell<HashMap<RepoPath, Rc<FileMap>>>,
}

impl<'t> Locator<'t> {
    /// A locator for the files of this tree, which were read within this budget.
    #[must_use]
    pub fn new(tree: &'t Tree, budget: Budget) -> Self {
        Self {
            tree,
            budget,
            files: RefCell::new(HashMap::new()),
        }
    }

    /// The place of a key or a value of a manifest.
    #[must_use]
    pub fn place(&self, origin: &Origin, steps: &[Step], part: Part) -> Location {
        let mut whole = origin.prefix.clone();
        whole.extend_from_slice(steps);
        self.file(&origin.path).place(origin.document, &whole, part)
    }

    /// The place of a byte range in the text of an inline body.
    #[must_use]
    pub fn in_body(
        &self,
        origin: &Origin,
        steps: &[Step],
        body: &str,
        range: &Range<usize>,
        show: bool,
    ) -> Location {
        let mut whole = origin.prefix.clone();
        whole.extend_from_slice(steps);
        self.file(&origin.path)
            .in_body(origin.document, &whole, body, range, show)
    }

    /// The place of a byte range in a whole file.
    #[must_use]
    pub fn in_file(&self, path: &RepoPath, range: &Range<usize>, show: bool) -> Location {
        self.file(path).in_text(range, show)
    }

    /// The place of a key or a value in a file of values.
    #[must_use]
    pub fn in_values(&self, path: &RepoPath, steps: &[Step], part: Part) -> Location {
        self.file(path).place(0, steps, part)
    }

    fn file(&self, path: &RepoPath) -> Rc<FileMap> {
        if let Some(known) = self.files.borrow().get(path) {
            return Rc::clone(known);
        }
        let text = self
            .tree
            .file(path)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("");
        let map = Rc::new(if path.is_yaml() {
            FileMap::of_yaml(path.clone(), text, self.budget)
        } else {
            FileMap::of_text(path.clone(), text)
        });
        self.files
            .borrow_mut()
            .insert(path.clone(), Rc::clone(&map));
        map
    }
}

/// One file's lines and positions.
pub(super) struct FileMap {
    path: RepoPath,
    text: String,
    /// The byte range of each line, without what ends it.
    lines: Vec<Range<usize>>,
    /// `None` for a file that is not YAML.
    budget: Option<Budget>,
    /// Read when first asked for: nobody asks for positions in a file that is refused as a whole.
    positions: OnceCell<Positions>,
}

/// Where everything in a file begins.
#[derive(Default)]
struct Positions {
    documents: Vec<Marks>,
    /// Keys and scalars in the order of the file, and whether they may hold what nobody may see.
    scalars: Vec<(Mark, bool)>,
}

impl Positions {
    fn of(text: &str, budget: Budget) -> Self {
        let documents = marks(text, budget);
        let mut scalars = Vec::new();
        for marks in &documents {
            collect(marks, &mut Vec::new(), &mut scalars);
        }
        // An alias stands where its anchor does: a text that is secret in one place is in all.
        scalars.sort_unstable_by_key(|(mark, secret)| (*mark, !secret));
        scalars.dedup_by_key(|(mark, _)| *mark);
        Self { documents, scalars }
    }
}

impl FileMap {
    /// The map of a file of YAML documents.
    pub(super) fn of_yaml(path: RepoPath, text: &str, budget: Budget) -> Self {
        let start = if text.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len_utf8()
        } else {
            0
        };
        Self {
            path,
            lines: lines(text, start, is_yaml_break),
            text: text.to_owned(),
            budget: Some(budget),
            positions: OnceCell::new(),
        }
    }

    /// The map of any other file.
    pub(super) fn of_text(path: RepoPath, text: &str) -> Self {
        Self {
            path,
            lines: lines(text, 0, |c| c == '\n'),
            text: text.to_owned(),
            budget: None,
            positions: OnceCell::new(),
        }
    }

    fn positions(&self) -> &Positions {
        self.positions.get_or_init(|| {
            let start = self.lines.first().map_or(0, |line| line.start);
            let text = self.text.get(start..).unwrap_or_default();
            self.budget
                .map_or_else(Positions::default, |budget| Positions::of(text, budget))
        })
    }

    fn document(&self, number: usize) -> Option<&Marks> {
        self.positions().documents.get(number)
    }

    /// The text of a line, which counts from 1.
    fn line(&self, number: usize) -> &str {
        let range = number.checked_sub(1).and_then(|at| self.lines.get(at));
        range
            .and_then(|range| self.text.get(range.clone()))
            .unwrap_or_default()
    }

    pub(super) fn place(&self, document: usize, steps: &[Step], part: Part) -> Location {
        let mark = self.document(document).and_then(|marks| match part {
            Part::Key => marks.key(steps),
            Part::Value => marks.value(steps),
        });
        match mark {
            Some((line, column)) => self.at(line, column),
            None => Location::of_file(&self.path),
        }
    }

    /// The place of a fault that the YAML reader told itself.
    pub(super) fn fault(&self, at: Option<Mark>) -> Location {
        let Some((line, column)) = at else {
            return Location::of_file(&self.path);
        };
        // The parser puts the end of a file that ends without a newline on a line of its own.
        let (line, column) = if line > self.lines.len() {
            let last = self.lines.len();
            (last, self.line(last).chars().count() + 1)
        } else {
            (line, column)
        };
        Location {
            path: self.path.clone(),
            line,
            column,
            shown_column: column,
            width: 1,
            excerpt: key_only(self.line(line)),
        }
    }

    /// The last line.
    pub(super) fn end(&self) -> Location {
        Location {
            line: self.lines.len(),
            ..Location::of_file(&self.path)
        }
    }

    fn at(&self, line: usize, column: usize) -> Location {
        let (excerpt, shown_column) = self.redacted(line, column);
        Location {
            path: self.path.clone(),
            line,
            column,
            shown_column,
            width: token_width(&excerpt, shown_column),
            excerpt: cut(&excerpt),
        }
    }

    fn in_text(&self, range: &Range<usize>, show: bool) -> Location {
        let line = self
            .lines
            .partition_point(|line| line.start <= range.start)
            .max(1);
        let start = self.lines.get(line - 1).map_or(0, |line| line.start);
        let offset = range.start.saturating_sub(start);
        self.in_line(line, offset, range.len(), 0, show)
    }

    fn in_body(
        &self,
        document: usize,
        steps: &[Step],
        body: &str,
        range: &Range<usize>,
        show: bool,
    ) -> Location {
        let Some((line, column)) = self.document(document).and_then(|marks| marks.value(steps))
        else {
            return Location::of_file(&self.path);
        };
        let start = body.floor_char_boundary(range.start.min(body.len()));
        let before = body.get(..start).unwrap_or("");
        let number = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let body_line = body.lines().nth(number).unwrap_or("");
        // A literal block begins on the line below its indicator; a plain or quoted scalar on the line itself.
        for file_line in [line + number, line + 1 + number] {
            let text = self.line(file_line);
            let found = if file_line == line {
                text.find(body_line)
            } else {
                indent_of(text, body_line)
            };
            if let Some(indent) = found.filter(|_| !body_line.is_empty()) {
                let show = show && (file_line != line || self.secrets(line) <= 1);
                let offset = start - line_start;
                return self.in_line(file_line, offset, range.len(), indent, show);
            }
        }
        let mut place = self.at(line, column);
        if !show {
            place.excerpt = String::new();
        }
        place
    }

    fn in_line(
        &self,
        line: usize,
        offset: usize,
        bytes: usize,
        indent: usize,
        show: bool,
    ) -> Location {
        let text = self.line(line);
        let from = text.floor_char_boundary((indent + offset).min(text.len()));
        let to = text.floor_char_boundary((from + bytes).min(text.len()));
        let column = text.get(..from).unwrap_or("").chars().count() + 1;
        let width = text.get(from..to).unwrap_or("").chars().count().max(1);
        Location {
            path: self.path.clone(),
            line,
            column,
            shown_column: column,
            width,
            excerpt: if show { cut(text) } else { String::new() },
        }
    }

    /// The keys and scalars that begin on a line, and whether the one before them, which may end on it, is secret.
    fn on_line(&self, line: usize) -> (&[(Mark, bool)], bool) {
        let scalars = &self.positions().scalars;
        let start = scalars.partition_point(|((at, _), _)| *at < line);
        let end = scalars.partition_point(|((at, _), _)| *at <= line);
        let before = start.checked_sub(1).and_then(|at| scalars.get(at));
        (
            scalars.get(start..end).unwrap_or_default(),
            before.is_some_and(|(_, secret)| *secret),
        )
    }

    /// How many scalars that nobody may see have part of their text on a line.
    fn secrets(&self, line: usize) -> usize {
        let (scalars, continues) = self.on_line(line);
        let begun = scalars.iter().filter(|(_, secret)| *secret).count();
        let first = scalars
            .first()
            .map_or(usize::MAX, |((_, column), _)| *column);
        begun + usize::from(continues && holds_text(self.line(line).chars().take(first - 1)))
    }

    /// The line without the scalars that nobody may see, and the column that `column` has become.
    fn redacted(&self, line: usize, column: usize) -> (String, usize) {
        if self.line(line).len() > EXCERPT_LINE_BYTES {
            return (String::new(), column);
        }
        let (scalars, continues) = self.on_line(line);
        let characters: Vec<char> = self.line(line).chars().collect();
        let starts: Vec<usize> = scalars.iter().map(|((_, start), _)| start - 1).collect();
        let first = starts.first().copied().unwrap_or(characters.len());
        let leading = characters.iter().take(first);
        let indent = leading.clone().take_while(|c| **c == ' ').count();
        let mut hidden = Vec::new();
        if continues && holds_text(leading.copied()) {
            hidden.push(indent..first);
        }
        for (index, (_, secret)) in scalars.iter().enumerate() {
            if let Some(start) = starts.get(index).filter(|_| *secret) {
                let end = starts.get(index + 1).copied().unwrap_or(characters.len());
                hidden.push(*start..end);
            }
        }
        let (mut out, mut shown_column, mut next) = (Vec::new(), column, 0);
        for range in hidden {
            out.extend(characters.get(next..range.start).unwrap_or_default());
            if column > range.start {
                shown_column = out.len() + 1;
            }
            out.extend(REDACTED.chars());
            if starts.iter().any(|start| *start >= range.end) {
                out.extend(", ".chars());
            }
            if column > range.end {
                shown_column = out.len() + column - range.end;
            }
            next = range.end;
        }
        out.extend(characters.get(next..).unwrap_or_default());
        (out.into_iter().collect(), shown_column)
    }
}

/// The ranges of the lines of a text from a byte on; a carriage return before a newline belongs to the line's end.
fn lines(text: &str, from: usize, is_break: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = from;
    let mut characters = text
        .char_indices()
        .skip_while(|(at, _)| *at < from)
        .peekable();
    while let Some((at, c)) = characters.next() {
        if !is_break(c) {
            continue;
        }
        let newline = characters.next_if(|(_, next)| c == '\r' && *next == '\n');
        let (last, end) = newline.map_or((c, at), |(_, next)| (next, at));
        let after = newline.map_or(at, |(at, _)| at) + last.len_utf8();
        let line = text.get(start..end).unwrap_or_default();
        lines.push(start..start + line.strip_suffix('\r').unwrap_or(line).len());
        start = after;
    }
    lines.push(start..text.len());
    lines
}

/// What ends a line for the YAML reader, whose line numbers count them all (YAML 1.1, section 5.4).
fn is_yaml_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether there is more than what separates nodes.
fn holds_text(mut characters: impl Iterator<Item = char>) -> bool {
    characters.any(|c| !c.is_whitespace() && !"-?:,[]{}\"'".contains(c))
}

/// Where keys and scalars begin, and whether their text is secret.
fn collect<'m>(marks: &'m Marks, path: &mut Vec<&'m str>, out: &mut Vec<(Mark, bool)>) {
    match marks {
        Marks::Scalar(mark) => out.push((*mark, is_secret(path))),
        Marks::List(items) => {
            for item in items {
                path.push("-");
                collect(item, path, out);
                path.pop();
            }
        }
        Marks::Map(entries) => {
            for (key, mark, value) in entries {
                out.push((*mark, false));
                path.push(key);
                collect(value, path, out);
                path.pop();
            }
        }
    }
}

/// Whether a scalar at this path may hold a value or the line of a body: everything may but the fields that name, match
/// and rank. A field that is misspelled is none of them.
fn is_secret(path: &[&str]) -> bool {
    let path = match path {
        ["items", "-", rest @ ..] => rest,
        whole => whole,
    };
    let is_open = match path {
        ["apiVersion" | "kind"] | ["metadata", ..] => true,
        ["spec", rest @ ..] => match rest {
            ["profile" | "profileName" | "priority" | "isDefault"]
            | [
                "profileSelectors" | "subjectSelectors" | "subjectSelector",
                ..,
            ]
            | ["ipxe" | "ipxeTemplate", "file"]
            | ["valuesFrom", "-", "file"]
            | ["machines" | "valuesFrom", "-"] => true,
            ["additionalConfig", _, field] | ["additionalContent", "-", field] => {
                matches!(
                    *field,
                    "name" | "exposed" | "file" | "contentType" | "template"
                )
            }
            ["machines", "-", field] | ["machines", "-", field, "-"] => {
                let key = label::canonical_key(field);
                *field == "name" || key.is_some_and(|key| Identity::from_key(&key).is_some())
            }
            _ => false,
        },
        _ => false,
    };
    !is_open
}

/// How many columns the word at a column takes: a quoted scalar, or up to the next separator.
fn token_width(text: &str, column: usize) -> usize {
    let rest: Vec<char> = text.chars().skip(column.saturating_sub(1)).collect();
    let end = match rest.first() {
        Some(quote @ ('"' | '\'')) => rest
            .iter()
            .skip(1)
            .position(|c| c == quote)
            .map(|at| at + 2),
        Some('|' | '>') => Some(1),
        _ => rest.iter().enumerate().position(|(index, c)| match c {
            ',' | ']' | '}' => true,
            ':' => rest.get(index + 1).is_none_or(|next| next.is_whitespace()),
            '#' => {
                index > 0
                    && rest
                        .get(index - 1)
                        .is_some_and(|before| before.is_whitespace())
            }
            _ => false,
        }),
    };
    let token = rest.get(..end.unwrap_or(rest.len())).unwrap_or(&rest);
    let blank = token.iter().rev().take_while(|c| c.is_whitespace()).count();
    (token.len() - blank).max(1)
}

/// A line of a file that could not be read: one of our fields, if it starts with one, and nothing that may be a value or
/// part of a body.
fn key_only(text: &str) -> String {
    let trimmed = text.trim_start();
    let (indent, _) = text.split_at(text.len() - trimmed.len());
    let (dash, rest) = match trimmed.strip_prefix("- ") {
        Some(rest) => ("- ", rest),
        None => ("", trimmed),
    };
    let Some((key, value)) = rest.split_once(':').filter(|(key, _)| FIELDS.contains(key)) else {
        return if rest.is_empty() {
            String::new()
        } else {
            format!("{indent}{dash}{REDACTED}")
        };
    };
    if value.trim().is_empty() {
        return text.to_owned();
    }
    format!("{indent}{dash}{key}: {REDACTED}")
}

/// How far a line of a block is indented, when the file's line is the body's line behind blanks.
fn indent_of(file_line: &str, body_line: &str) -> Option<usize> {
    let indent = file_line.len().checked_sub(body_line.len())?;
    let (blank, rest) = file_line.split_at_checked(indent)?;
    (rest == body_line && blank.bytes().all(|byte| byte == b' ')).then_some(indent)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= EXCERPT_CHARACTERS {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(EXCERPT_CHARACTERS).collect();
    short.push_str(REDACTED);
    short
}
