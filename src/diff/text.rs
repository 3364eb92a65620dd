//! Texts for eyes: what a terminal or a forge would not show is spelled out, and differences are unified diffs.

use std::fmt::Write as _;

use similar::TextDiff;

/// The largest text whose lines are compared; the time grows with the square of what differs.
const MAX_DIFF_BYTES: usize = 256 << 10;
/// How many bytes of one line people are shown: a config may be one line of JSON.
pub(super) const MAX_LINE_BYTES: usize = 1000;
/// The lines around a change, as `diff -u` shows them.
const CONTEXT: usize = 3;

/// A line of ours among lines of somebody's.
pub(super) fn sentence(text: &str) -> String {
    format!("({})", visible(text))
}

/// The text with everything spelled out that would not be seen, or would make a terminal or a reader believe something else:
/// control characters but newlines and tabs, and characters that are invisible or turn the direction of writing.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '\n' | '\t' => shown.push(one),
            '\r' => shown.push_str("\\r"),
            _ if is_hidden(one) => {
                write!(shown, "\\u{{{:x}}}", u32::from(one)).expect("a String takes every write");
            }
            _ => shown.push(one),
        }
    }
    shown
}

/// The same in one line.
pub(super) fn visible_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Controls, and what Unicode calls `Cf` in the ranges that texts in the wild abuse (Unicode Technical Report 36).
fn is_hidden(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The lines of a unified diff.
pub(super) fn unified(before: &[u8], after: &[u8]) -> Vec<String> {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else {
        return vec![sizes("no text", before, after)];
    };
    if before.len() > MAX_DIFF_BYTES || after.len() > MAX_DIFF_BYTES {
        return vec![sizes(
            "too large to be compared line by line",
            before,
            after,
        )];
    }
    let (old, new) = (visible(old), visible(new));
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().context_radius(CONTEXT).to_string();
    if text.is_empty() {
        return vec![sentence("they differ in characters that cannot be shown")];
    }
    text.lines().map(str::to_owned).collect()
}

fn sizes(why: &str, before: &[u8], after: &[u8]) -> String {
    let (before, after) = (before.len(), after.len());
    sentence(&format!(
        "{why}: {before} bytes before, {after} bytes after"
    ))
}

/// The text, or its start where it is longer than this.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    format!("{}…", text.get(..end.unwrap_or(0)).unwrap_or_default())
}

/// A number with commas, as `4,000`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 machine`, `4,000 machines`; `noun` in the singular.
pub(super) fn counted(number: usize, noun: &str) -> String {
    let noun = match (number, noun) {
        (1, noun) => noun.to_owned(),
        (_, "class") => "classes".to_owned(),
        (_, noun) => format!("{noun}s"),
    };
    format!("{} {noun}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        let text = "a\u{1b}[2J\r\n\tb\u{202e}c\u{7}\u{200b}é→";
        assert_eq!(
            visible(text),
            "a\\u{1b}[2J\\r\n\tb\\u{202e}c\\u{7}\\u{200b}é→"
        );
        assert_eq!(visible_line("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn diffs_are_unified_and_bounded() {
        assert_eq!(
            unified(b"a\nb\n", b"a\nc"),
            [
                "@@ -1,2 +1,2 @@",
                " a",
                "-b",
                "+c",
                "\\ No newline at end of file"
            ]
        );
        assert_eq!(
            unified(b"\xff", b"ab"),
            ["(no text: 1 bytes before, 2 bytes after)"]
        );
        let long = vec![b'x'; MAX_DIFF_BYTES + 1];
        assert_eq!(unified(&long, b"").len(), 1);
        assert_eq!(
            unified("\\r\n".as_bytes(), b"\r\n"),
            ["(they differ in characters that cannot be shown)"]
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(counted(1, "machine"), "1 machine");
        assert_eq!(counted(0, "class"), "0 classes");
        assert_eq!(counted(1_234_567, "machine"), "1,234,567 machines");
    }
}
