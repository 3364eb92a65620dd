//! Pieces of a template → its text: white space goes where Go would trim it, and what only looks like a tag is escaped.

use super::lex::is_space;

/// A piece of a converted template.
#[derive(Debug)]
pub(super) enum Part {
    /// Text of the original, which the neighbours may trim.
    Text(String),
    /// Text that a tag printed; nothing trims it.
    Literal {
        text: String,
        left: bool,
        right: bool,
    },
    /// A tag, and whether it trims the texts beside it.
    Tag {
        delimiter: Delimiter,
        code: String,
        left: bool,
        right: bool,
    },
}

/// The kinds of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Block,
    /// `{%# … #%}`
    Comment,
}

impl Delimiter {
    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Print => ("{{", "}}"),
            Self::Block => ("{%", "%}"),
            Self::Comment => ("{%#", "#%}"),
        }
    }
}

impl Part {
    fn trims(&self) -> (bool, bool) {
        match self {
            Self::Text(_) => (false, false),
            Self::Literal { left, right, .. } | Self::Tag { left, right, .. } => (*left, *right),
        }
    }

    fn is_tag(&self) -> bool {
        matches!(self, Self::Tag { .. })
    }
}

/// What is left of a text, and which of its neighbours trim the rest by their own marks.
struct Trimmed<'t> {
    text: &'t str,
    before: bool,
    behind: bool,
}

/// Takes from a text what its neighbours trim. Where our trimming takes the same, it stays in the text and the tag says so.
fn trimmed<'t>(text: &'t str, before: Option<&Part>, behind: Option<&Part>) -> Trimmed<'t> {
    let trims_start = before.is_some_and(|part| part.trims().1);
    let trims_end = behind.is_some_and(|part| part.trims().0);
    let mut core = text;
    if trims_start {
        core = core.trim_start_matches(is_space);
    }
    if trims_end {
        core = core.trim_end_matches(is_space);
    }
    let is_between_tags = before.is_none_or(Part::is_tag) && behind.is_none_or(Part::is_tag);
    let same = is_between_tags
        && (!trims_start || text.trim_start() == text.trim_start_matches(is_space))
        && (!trims_end || text.trim_end() == text.trim_end_matches(is_space));
    if same && core.len() < text.len() {
        Trimmed {
            text,
            before: trims_start,
            behind: trims_end,
        }
    } else {
        Trimmed {
            text: core,
            before: false,
            behind: false,
        }
    }
}

/// The text of a template.
pub(super) fn assemble(parts: &[Part]) -> String {
    let mut out = String::new();
    let mut text = String::new();
    let neighbours = |index: usize| {
        let before = index.checked_sub(1).and_then(|at| parts.get(at));
        (before, parts.get(index + 1))
    };
    let marked = |index: Option<usize>| match index.and_then(|index| parts.get(index)) {
        Some(Part::Text(text)) => {
            let (before, behind) = neighbours(index.unwrap_or_default());
            let trimmed = trimmed(text, before, behind);
            (trimmed.before, trimmed.behind)
        }
        _ => (false, false),
    };
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(one) => {
                let (before, behind) = neighbours(index);
                text.push_str(trimmed(one, before, behind).text);
            }
            Part::Literal { text: one, .. } => text.push_str(one),
            Part::Tag {
                delimiter, code, ..
            } => {
                escaped(&mut out, &text, true);
                text.clear();
                let left = if marked(index.checked_sub(1)).1 {
                    "-"
                } else {
                    ""
                };
                let right = if marked(Some(index + 1)).0 { "-" } else { "" };
                let (open, close) = delimiter.marks();
                for one in [open, left, " ", code, " ", right, close] {
                    out.push_str(one);
                }
            }
        }
    }
    escaped(&mut out, &text, false);
    out
}

/// Text that is printed as it is.
pub(in crate::import) fn literal(text: &str) -> String {
    let mut out = String::new();
    escaped(&mut out, text, true);
    out
}

/// Appends a text so that no tag begins in it, nor with the one behind it.
fn escaped(out: &mut String, text: &str, before_tag: bool) {
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        let width = match behind.as_bytes().get(1) {
            Some(b'{' | b'%') => 2,
            None if before_tag => 1,
            _ => 0,
        };
        let (mark, others) = behind.split_at(width.max(1));
        if width == 0 {
            out.push_str(mark);
        } else {
            out.push_str("{{ \"");
            out.push_str(mark);
            out.push_str("\" }}");
        }
        rest = others;
    }
    out.push_str(rest);
}
