//! The report for a terminal.

use std::fmt::Write as _;

use super::report::{Example, Group, Report, Subject};
use super::text::{MAX_LINE_BYTES, cut, visible_line};
use super::words;

/// How many machines or classes of a group are listed. The other formats list more, JSON all.
const MAX_MEMBERS: usize = 5;
/// How many pairs of Assignments of a group are listed.
const MAX_ASSIGNMENTS: usize = 3;
/// How many lines of one diff are shown: a screen.
const MAX_LINES: usize = 40;

impl Report {
    /// The report for people: groups with a few of those who are meant, one difference in full, and what was compared.
    #[must_use]
    pub fn render_human(&self) -> String {
        let mut out = String::new();
        for group in &self.groups {
            add_group(group, &mut out);
            out.push('\n');
        }
        add(&mut out, 0, &words::summary(self));
        add(
            &mut out,
            0,
            &format!("compared {}", words::revisions(self, &code)),
        );
        for sentence in words::compared(self, &code) {
            add(&mut out, 2, &sentence);
        }
        out
    }
}

fn code(name: &str) -> String {
    format!("`{}`", visible_line(name))
}

fn add(out: &mut String, indent: usize, line: &str) {
    writeln!(out, "{:indent$}{line}", "").expect("a String takes every write");
}

fn add_group(group: &Group, out: &mut String) {
    add(out, 0, &words::headline(group, &code));
    if let Some(parts) = words::parts(group, &code) {
        add(out, 2, &format!("differs: {parts}"));
    }
    let noun = if group.assignments.len() == 1 {
        "Assignment"
    } else {
        "Assignments"
    };
    let assignments = words::assignments(group, MAX_ASSIGNMENTS, &code);
    add(out, 2, &format!("{noun}: {assignments}"));
    add(
        out,
        2,
        match group.subject {
            Subject::Machines => "machines:",
            Subject::Classes => "machines that nobody names and that send:",
        },
    );
    for member in group.members.iter().take(MAX_MEMBERS) {
        add(out, 4, &words::member(member));
    }
    if let Some(more) = words::more(group, MAX_MEMBERS) {
        add(out, 4, &more);
    }
    for example in &group.examples {
        add_example(example, out);
    }
}

fn add_example(example: &Example, out: &mut String) {
    let who = words::short(&example.member);
    for diff in &example.diffs {
        add(
            out,
            2,
            &format!("{} for {who}:", visible_line(&diff.title())),
        );
        if !example.made_up.is_empty() {
            let labels = example.made_up.iter();
            let labels: Vec<_> = labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let labels = visible_line(&labels.join(" "));
            add(out, 4, &format!("(if it also sends {labels})"));
        }
        for line in diff.lines.iter().take(MAX_LINES) {
            add(out, 4, &cut(line, MAX_LINE_BYTES));
        }
        let left = diff.lines.len().saturating_sub(MAX_LINES);
        if left > 0 {
            add(out, 4, &format!("({left} more lines, see `--format json`)"));
        }
    }
}
