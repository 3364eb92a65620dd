//! Diagnostics as text for people, and for programs as JSON, workflow commands and SARIF.

mod github;
mod rules;
mod sarif;

use std::fmt::Write as _;

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::{Diagnostic, Diagnostics, Severity};
use crate::tree::RepoPath;

pub(super) use github::github;
pub(super) use sarif::sarif;

pub(super) fn human(all: &Diagnostics) -> String {
    let mut out = String::new();
    write_some(&mut out, all.iter());
    write_count(&mut out, all);
    out
}

pub(super) fn first(all: &Diagnostics, most: usize) -> String {
    let Some(more @ 1..) = all.iter().count().checked_sub(most) else {
        return human(all);
    };
    let of = |severity| all.iter().filter(move |one| one.severity() == severity);
    let mut out = String::new();
    let errors_first = of(Severity::Error).chain(of(Severity::Warning));
    write_some(&mut out, errors_first.take(most));
    let _ = writeln!(out, "\nand {more} more; `gitboot validate` shows all");
    write_count(&mut out, all);
    out
}

fn write_some<'d>(out: &mut String, some: impl Iterator<Item = &'d Diagnostic>) {
    for (index, one) in some.enumerate() {
        if index > 0 {
            out.push('\n');
        }
        write_one(out, one);
    }
}

fn write_count(out: &mut String, all: &Diagnostics) {
    if all.is_empty() {
        return;
    }
    let severity = if all.error_count() > 0 {
        "error"
    } else {
        "warning"
    };
    let files = all.file_count();
    let _ = match files {
        0 => writeln!(out, "{severity}: {}", counts(all)),
        1 => writeln!(out, "{severity}: {} in 1 file", counts(all)),
        _ => writeln!(out, "{severity}: {} in {files} files", counts(all)),
    };
}

pub(super) fn counts(all: &Diagnostics) -> String {
    let errors = plural(all.error_count(), "error");
    let warnings = plural(all.warning_count(), "warning");
    match (all.error_count(), all.warning_count()) {
        (_, 0) => errors,
        (0, _) => warnings,
        _ => format!("{errors} and {warnings}"),
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn write_one(out: &mut String, one: &Diagnostic) {
    let _ = writeln!(out, "{one}");
    let number = one
        .location()
        .map_or(String::new(), |location| location.line.to_string());
    let gutter = " ".repeat(number.len());
    if let Some(location) = one
        .location()
        .filter(|location| !location.excerpt.is_empty())
    {
        let excerpt = location.excerpt.replace('\t', " ");
        let before: String = excerpt
            .chars()
            .take(location.shown_column.saturating_sub(1))
            .collect();
        let under: String = excerpt
            .chars()
            .skip(location.shown_column.saturating_sub(1))
            .take(location.width)
            .collect();
        let indent = " ".repeat(before.width());
        let carets = "^".repeat(under.width().max(1));
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{number} | {excerpt}");
        let _ = writeln!(
            out,
            "{}",
            format!("{gutter} | {indent}{carets} {}", one.label).trim_end()
        );
    }
    if !one.notes().is_empty() || !one.help().is_empty() {
        let _ = writeln!(out, "{gutter} |");
    }
    for note in one.notes() {
        let _ = writeln!(out, "{gutter} = note: {note}");
    }
    for help in one.help() {
        let _ = writeln!(out, "{gutter} = help: {help}");
    }
}

pub(super) fn json(all: &Diagnostics) -> String {
    let diagnostics: Vec<_> = all
        .iter()
        .map(|one| {
            json!({
                "severity": one.severity().as_str(),
                "code": one.code(),
                "path": one.location().map(|at| at.path.as_str()),
                "line": one.location().map(|at| at.line),
                "column": one.location().map(|at| at.column),
                "width": one.location().map(|at| at.width),
                "message": one.message(),
                "notes": one.notes(),
                "help": one.help(),
            })
        })
        .collect();
    let document = json!({
        "errors": all.error_count(),
        "warnings": all.warning_count(),
        "diagnostics": diagnostics,
    });
    format!("{document:#}\n")
}

/// The path of a file from the top of the repository, whose folder `place` is the served root.
fn from_top(place: Option<&RepoPath>, file: &RepoPath) -> String {
    match place {
        Some(place) => format!("{place}/{file}"),
        None => file.to_string(),
    }
}

/// The message with its notes and its help, a line each.
fn in_full(one: &Diagnostic) -> String {
    let mut text = one.message().to_owned();
    for note in one.notes() {
        let _ = write!(text, "\nnote: {note}");
    }
    for help in one.help() {
        let _ = write!(text, "\nhelp: {help}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Location;
    use super::*;

    #[test]
    fn where_not_all_fit_errors_come_first() {
        let at = Location::of_file(&RepoPath::parse("a.yaml").unwrap());
        let warnings = (0..3)
            .map(|number| Diagnostic::warning("doubt", at.clone(), format!("warning {number}")));
        let error = Diagnostic::whole_tree("wrong", "an error".to_owned());
        let all = Diagnostics::new(warnings.chain([error]).collect());
        assert_eq!(first(&all, 4), human(&all));
        assert_eq!(
            first(&all, 2),
            "error[wrong]: an error\n\na.yaml:1:1: warning[doubt]: warning 0\n\n\
             and 2 more; `gitboot validate` shows all\nerror: 1 error and 3 warnings in 1 file\n"
        );
        assert_eq!(first(&Diagnostics::default(), 2), "");
    }
}
