//! Places in files as people read them: line, column, and the line's text with nothing secret in it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::diagnostic::Location;
use crate::label::{self, Identity};
use crate::tree::{RepoPath, Tree};

use super::locate::{Mark, Marks, Step, marks};

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

/// The longest excerpt, in characters; more does not fit a terminal and helps nobody.
const EXCERPT_CHARACTERS: usize = 160;

/// Where a document came from: its file, its number in the file, and the way to it when it stood in a `List`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: RepoPath,
    /// Which document of the file, from 0.
    pub document: usize,
    /// The steps to the manifest inside its document: empty, or `items` and a number.
    pub prefix: Vec<Step>,
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
    files: RefCell<HashMap<RepoPath, Rc<FileMap>>>,
}

impl<'t> Locator<'t> {
    /// A locator for the files of this tree.
    #[must_use]
    pub fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
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
        range: &std::ops::Range<usize>,
        show: bool,
    ) -> Location {
        let mut whole = origin.prefix.clone();
        whole.extend_from_slice(steps);
        self.file(&origin.path)
            .in_body(origin.document, &whole, body, range, show)
    }

    /// The place of a byte range in a whole file.
    #[must_use]
    pub fn in_file(&self, path: &RepoPath, range: &std::ops::Range<usize>, show: bool) -> Location {
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
        let map = Rc::new(FileMap::new(path.clone(), text));
        self.files
            .borrow_mut()
            .insert(path.clone(), Rc::clone(&map));
        map
    }
}

/// One file's lines and positions.
pub(super) struct FileMap {
    path: RepoPath,
    lines: Vec<String>,
    documents: Vec<Marks>,
}

impl FileMap {
    pub(super) fn new(path: RepoPath, text: &str) -> Self {
        let body = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = if path.is_yaml() {
            marks(body)
        } else {
            Vec::new()
        };
        Self {
            path,
            lines: body
                .split('\n')
                .map(|line| line.trim_end_matches('\r').to_owned())
                .collect(),
            documents,
        }
    }

    pub(super) fn place(&self, document: usize, steps: &[Step], part: Part) -> Location {
        let mark = self.documents.get(document).and_then(|marks| match part {
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
        let text = self.lines.get(line - 1).map_or("", String::as_str);
        Location {
            path: self.path.clone(),
            line,
            column,
            shown_column: column,
            width: 1,
            excerpt: key_only(text),
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
        let text = self
            .lines
            .get(line.saturating_sub(1))
            .map_or("", String::as_str);
        let (excerpt, shown_column) = self.redacted(text, line, column);
        Location {
            path: self.path.clone(),
            line,
            column,
            shown_column,
            width: token_width(&excerpt, shown_column),
            excerpt: cut(&excerpt),
        }
    }

    fn in_text(&self, range: &std::ops::Range<usize>, show: bool) -> Location {
        let mut before = 0;
        for (index, text) in self.lines.iter().enumerate() {
            // One byte for the newline; a carriage return before it counts as part of the line's end.
            let end = before + text.len() + 1;
            if range.start < end || index + 1 == self.lines.len() {
                return self.in_line(
                    index + 1,
                    range.start - before.min(range.start),
                    range.len(),
                    0,
                    show,
                );
            }
            before = end;
        }
        Location::of_file(&self.path)
    }

    fn in_body(
        &self,
        document: usize,
        steps: &[Step],
        body: &str,
        range: &std::ops::Range<usize>,
        show: bool,
    ) -> Location {
        let Some((line, column)) = self
            .documents
            .get(document)
            .and_then(|marks| marks.value(steps))
        else {
            return Location::of_file(&self.path);
        };
        let start = body.floor_char_boundary(range.start.min(body.len()));
        let before = body.get(..start).unwrap_or("");
        let number = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let body_line = body.lines().nth(number).unwrap_or("");
        // A literal block begins on the line below its indicator; a plain or quoted scalar on the line itself.
        for (file_line, from) in [(line + number, 0), (line + 1 + number, 0)] {
            let text = self
                .lines
                .get(file_line.saturating_sub(1))
                .map_or("", String::as_str);
            let found = if file_line == line {
                text.find(body_line)
            } else {
                indent_of(text, body_line)
            };
            if let Some(indent) = found.filter(|_| !body_line.is_empty()) {
                return self.in_line(
                    file_line,
                    start - line_start + from,
                    range.len(),
                    indent,
                    show,
                );
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
        let text = self
            .lines
            .get(line.saturating_sub(1))
            .map_or("", String::as_str);
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

    /// The line without the scalars that nobody may see, and the column that `column` has become.
    fn redacted(&self, text: &str, line: usize, column: usize) -> (String, usize) {
        let mut scalars = Vec::new();
        for marks in &self.documents {
            collect(marks, &mut Vec::new(), line, &mut scalars);
        }
        scalars.sort_unstable();
        let characters: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let mut shown_column = column;
        let mut next = 0;
        for (index, (start, secret)) in scalars.iter().enumerate() {
            if !secret || *start - 1 < next {
                continue;
            }
            let end = scalars
                .get(index + 1)
                .map_or(characters.len(), |(start, _)| *start - 1);
            out.extend(characters.get(next..*start - 1).unwrap_or(&[]));
            let hidden = end - (*start - 1);
            out.push_str(REDACTED);
            let mut put = 1;
            if scalars.get(index + 1).is_some() {
                out.push_str(", ");
                put = 3;
            }
            if column > *start {
                shown_column = (shown_column + put).saturating_sub(hidden).max(1);
            }
            next = end;
        }
        out.extend(characters.get(next..).unwrap_or(&[]));
        (out, shown_column)
    }
}

/// The scalars that begin on a line: the column, and whether the text is secret.
fn collect<'m>(
    marks: &'m Marks,
    path: &mut Vec<&'m str>,
    line: usize,
    out: &mut Vec<(usize, bool)>,
) {
    match marks {
        Marks::Scalar((at, column)) => {
            if *at == line {
                out.push((*column, is_secret(path)));
            }
        }
        Marks::List(items) => {
            for item in items {
                path.push("-");
                collect(item, path, line, out);
                path.pop();
            }
        }
        Marks::Map(entries) => {
            for (key, (at, column), value) in entries {
                if *at == line {
                    out.push((*column, false));
                }
                path.push(key);
                collect(value, path, line, out);
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
        ["spec", "profile" | "profileName" | "priority" | "isDefault"] => true,
        [
            "spec",
            "profileSelectors" | "subjectSelectors" | "subjectSelector",
            ..,
        ] => true,
        ["spec", "ipxe" | "ipxeTemplate", "file"] | ["spec", "valuesFrom", "-", "file"] => true,
        ["spec", "additionalConfig", _, field] | ["spec", "additionalContent", "-", field] => {
            matches!(
                *field,
                "name" | "exposed" | "file" | "contentType" | "template"
            )
        }
        ["spec", "machines", "-", field] | ["spec", "machines", "-", field, "-"] => {
            let key = label::canonical_key(field);
            *field == "name" || key.is_some_and(|key| Identity::from_key(&key).is_some())
        }
        ["spec", "machines", "-"] | ["spec", "valuesFrom", "-"] => true,
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
