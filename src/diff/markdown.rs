//! The report for a comment on a pull request.

use std::fmt::{self, Write as _};

use super::report::{Example, Group, PartDiff, Report, Subject};
use super::text::{MAX_LINE_BYTES, counted, cut, visible_line};
use super::words;

/// The most bytes of the whole text. A comment on GitHub holds 65,536 characters; the rest is room for whoever adds a
/// heading or a signature.
const MAX_BYTES: usize = 60_000;
/// The most bytes of one group, so that the first does not take the room of all others.
const MAX_GROUP_BYTES: usize = 12_000;
/// How many machines or classes of a group are listed.
const MAX_MEMBERS: usize = 20;
/// How many pairs of Assignments of a group are listed.
const MAX_ASSIGNMENTS: usize = 10;
/// How many bytes of a name or a label's value are shown.
const MAX_NAME_BYTES: usize = 300;

impl Report {
    /// The report as GitHub's Markdown, short enough for one comment. What had to be cut is said.
    #[must_use]
    pub fn render_markdown(&self) -> String {
        let mut out = format!("### gitboot diff: {}\n\n", words::summary(self));
        let tail = tail(self);
        let room = MAX_BYTES - tail.len().min(MAX_BYTES / 4) - 200;
        for (place, group) in self.groups.iter().enumerate() {
            let text = section(group);
            if out.len() + text.len() > room {
                let left = counted(self.groups.len() - place, "more change");
                add(
                    &mut out,
                    format_args!(
                        "**{left} cut here**, to fit into a comment; `gitboot diff` shows all.\n\n"
                    ),
                );
                break;
            }
            out.push_str(&text);
        }
        out.push_str(&tail);
        out
    }
}

fn tail(report: &Report) -> String {
    let mut out = format!("Compared {}:\n\n", words::revisions(report, &code));
    for sentence in words::compared(report, &code) {
        add(&mut out, format_args!("* {sentence}\n"));
    }
    out
}

fn add(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every write");
}

/// One group, folded.
fn section(group: &Group) -> String {
    let mut out = format!(
        "<details><summary>{}</summary>\n\n",
        words::headline(group, &html_code)
    );
    if let Some(parts) = words::parts(group, &code) {
        add(&mut out, format_args!("* differs: {parts}\n"));
    }
    let assignments = words::assignments(group, MAX_ASSIGNMENTS, &code);
    add(&mut out, format_args!("* Assignment: {assignments}\n"));
    let who = match group.subject {
        Subject::Machines => "machines",
        Subject::Classes => "machines that nobody names and that send",
    };
    let mut members: Vec<String> = group
        .members
        .iter()
        .take(MAX_MEMBERS)
        .map(|member| code(&words::member(member)))
        .collect();
    members.extend(words::more(group, MAX_MEMBERS));
    add(
        &mut out,
        format_args!("* {who}: {}\n\n", members.join(", ")),
    );
    for example in &group.examples {
        for diff in &example.diffs {
            let room = MAX_GROUP_BYTES.saturating_sub(out.len());
            out.push_str(&fenced(example, diff, room));
        }
    }
    out.push_str("</details>\n\n");
    out
}

/// A diff in a fence that its lines cannot close.
fn fenced(example: &Example, diff: &PartDiff, room: usize) -> String {
    let title = code(&diff.title());
    let who = code(&words::short(&example.member));
    let labels = example.made_up.iter();
    let labels: Vec<_> = labels
        .map(|(key, value)| code(&format!("{key}={value}")))
        .collect();
    let made_up = if labels.is_empty() {
        String::new()
    } else {
        format!(", if it also sends {}", labels.join(", "))
    };
    let mut shown = String::new();
    let mut left = diff.lines.len();
    for line in &diff.lines {
        let line = cut(line, MAX_LINE_BYTES);
        if shown.len() + line.len() > room {
            break;
        }
        shown.push_str(&line);
        shown.push('\n');
        left -= 1;
    }
    let fence = "`".repeat(longest_run(&shown).max(2) + 1);
    let mut out = format!("{title} for {who}{made_up}:\n\n{fence}diff\n{shown}{fence}\n\n");
    if left > 0 {
        add(
            &mut out,
            format_args!("({} cut)\n\n", counted(left, "more line")),
        );
    }
    out
}

/// A code span, whatever is in it.
fn code(text: &str) -> String {
    let text = cut(&visible_line(text), MAX_NAME_BYTES);
    let marks = "`".repeat(longest_run(&text) + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') || marks.len() > 1 {
        " "
    } else {
        ""
    };
    format!("{marks}{blank}{text}{blank}{marks}")
}

/// The same in HTML, where Markdown is not read.
fn html_code(text: &str) -> String {
    let text = cut(&visible_line(text), MAX_NAME_BYTES);
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<code>{text}</code>")
}

/// The most backticks in a row.
fn longest_run(text: &str) -> usize {
    text.split(|one| one != '`')
        .map(str::len)
        .max()
        .unwrap_or(0)
}
