//! What a template prints whatever it is rendered with: its literal text, in place.

use super::lexis::{self, Lexed, Lexeme};

/// Stands for each byte of a `{{ … }}`: something is printed there.
pub const EXPRESSION: char = '\u{1}';
/// Stands for each byte that prints nothing by itself: statements, comments, white space that a `-` cuts, and blocks whose
/// text is kept for later (`macro`, `set`, `call`, `filter`).
pub const STATEMENT: char = '\u{2}';

/// The blocks whose text is not printed where it stands, or not as it stands.
const KEPT: [&str; 4] = ["macro", "set", "call", "filter"];

/// A template's literal text, as long as the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skeleton {
    /// The text; whatever is not literal is [`EXPRESSION`] or [`STATEMENT`].
    pub text: String,
    /// Whether every file that it includes is printed on lines of its own.
    pub includes_lines: bool,
}

/// Takes out of a template what is not literal. What cannot be read counts as a statement.
#[must_use]
pub fn skeleton(text: &str) -> Skeleton {
    let lexemes = lexis::read(text).ok();
    let lexemes = lexemes.as_ref().map_or(&[][..], |all| all.from(0));
    let mut marked = vec![STATEMENT; text.len()];
    let mut tag = 0;
    let mut kept = 0_usize;
    let mut tags = Vec::new();
    for (number, one) in lexemes.iter().enumerate() {
        match one.lexeme {
            Lexeme::Text if kept == 0 => {
                let literal = text.get(one.range.clone()).unwrap_or_default();
                copy(&mut marked, one.range.start, literal);
            }
            Lexeme::VariableStart | Lexeme::BlockStart => tag = one.range.start,
            Lexeme::VariableEnd if kept == 0 => {
                fill(&mut marked, tag..one.range.end, EXPRESSION);
            }
            Lexeme::BlockEnd => {
                let whole = tag..one.range.end;
                match keyword(text, lexemes, number, tag) {
                    (Some(word), assigns) if KEPT.contains(&word) => {
                        kept += usize::from(!assigns);
                    }
                    (Some(word), _)
                        if word
                            .strip_prefix("end")
                            .is_some_and(|word| KEPT.contains(&word)) =>
                    {
                        kept = kept.saturating_sub(1);
                    }
                    (Some("include" | "import" | "from"), _) => tags.push(whole),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    for one in lexemes {
        cut(text, one, &mut marked);
    }
    let text: String = marked.into_iter().filter(|one| *one != GONE).collect();
    let includes_lines = tags.into_iter().all(|tag| stands_alone(&text, tag));
    Skeleton {
        text,
        includes_lines,
    }
}

/// Stands where a character of several bytes goes on, until the text is put together.
const GONE: char = '\0';

fn copy(marked: &mut [char], start: usize, literal: &str) {
    for (offset, character) in literal.char_indices() {
        let bytes = start + offset..start + offset + character.len_utf8();
        fill(marked, bytes, GONE);
        if let Some(one) = marked.get_mut(start + offset) {
            // A NUL or a mark in the text itself is nothing that iPXE could use.
            let is_mark = matches!(character, GONE | EXPRESSION | STATEMENT);
            *one = if is_mark { STATEMENT } else { character };
        }
    }
}

fn fill(marked: &mut [char], range: std::ops::Range<usize>, with: char) {
    if let Some(part) = marked.get_mut(range) {
        part.fill(with);
    }
}

/// The first word of the tag that ends with this token, and whether an `=` stands in it.
fn keyword<'t>(
    text: &'t str,
    lexemes: &[Lexed],
    end: usize,
    tag: usize,
) -> (Option<&'t str>, bool) {
    let tokens = lexemes.get(..end).unwrap_or_default().iter().rev();
    let tokens = tokens.take_while(|one| one.range.start > tag);
    let words: Vec<&str> = tokens
        .filter_map(|one| text.get(one.range.clone()))
        .collect();
    (words.last().copied(), words.contains(&"="))
}

/// White space beside a tag with a `-` is not printed.
fn cut(text: &str, one: &Lexed, marked: &mut [char]) {
    let is_white =
        |marked: &[char], at: usize| marked.get(at).is_some_and(char::is_ascii_whitespace);
    match one.lexeme {
        Lexeme::VariableStart | Lexeme::BlockStart
            if text.get(one.range.start + 2..one.range.start + 3) == Some("-") =>
        {
            let mut at = one.range.start;
            while at > 0 && is_white(marked, at - 1) {
                at -= 1;
                fill(marked, at..at + 1, STATEMENT);
            }
        }
        Lexeme::VariableEnd | Lexeme::BlockEnd
            if text
                .get(..one.range.end.saturating_sub(2))
                .is_some_and(|before| before.ends_with('-')) =>
        {
            let mut at = one.range.end;
            while is_white(marked, at) {
                fill(marked, at..at + 1, STATEMENT);
                at += 1;
            }
        }
        _ => {}
    }
}

fn stands_alone(text: &str, tag: std::ops::Range<usize>) -> bool {
    let is_blank = |text: &str| {
        text.chars()
            .all(|one| one == ' ' || one == '\t' || one == '\r' || one == STATEMENT)
    };
    let before = text.get(..tag.start).unwrap_or_default();
    let after = text.get(tag.end..).unwrap_or_default();
    is_blank(before.rsplit('\n').next().unwrap_or_default())
        && is_blank(after.split('\n').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let skeleton = skeleton(text);
        assert_eq!(skeleton.text.len(), text.len(), "{text}");
        skeleton
            .text
            .replace(EXPRESSION, "~")
            .replace(STATEMENT, "_")
    }

    #[test]
    fn literal_text_stays_in_place() {
        assert_eq!(shown("a ü {{ x }}\n"), "a ü ~~~~~~~\n");
        assert_eq!(shown("${#x} {{ '}}' }}b"), "${#x} ~~~~~~~~~~b");
        assert_eq!(
            shown("{% if a %}\nb{% endif %}"),
            "__________\nb___________"
        );
        assert_eq!(
            shown("a \n{%- if a -%} \n b{% endif %}"),
            "a_________________b___________"
        );
        assert_eq!(shown("a{%# b #%}c"), "a_________c");
        assert_eq!(shown("{{ .x }} y"), "~~~~~~~~ y");
    }

    #[test]
    fn kept_blocks_are_not_printed_where_they_stand() {
        assert_eq!(shown("{% set x = 1 %}a\n"), "_______________a\n");
        assert_eq!(
            shown("{% set x %}a\n{% endset %}b"),
            "_________________________b"
        );
        assert_eq!(
            shown("{% macro m() %}a{% endmacro %}b"),
            "______________________________b"
        );
    }

    #[test]
    fn includes_stand_on_lines_of_their_own_or_not() {
        assert!(skeleton("a\n {% include 'x' %} \nb").includes_lines);
        assert!(!skeleton("a {% include 'x' %}\n").includes_lines);
        assert!(!skeleton("{% include 'x' %} b").includes_lines);
    }
}
