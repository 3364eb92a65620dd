//! The texts that templates compare labels with.

use std::collections::BTreeSet;

use crate::template::Template;

/// The most texts of one pair of templates that labels are tried with; a script that branches on more is rare.
const MAX_LITERALS: usize = 16;
/// The longest text that is tried, as for the value of a label.
const MAX_BYTES: usize = 256;

/// The quoted texts in the tags of these templates, sorted.
pub(super) fn literals<'t>(templates: impl Iterator<Item = &'t Template>) -> Vec<&'t str> {
    let sources = templates.flat_map(Template::sources);
    let found = sources.flat_map(|source| tags(&source.text).flat_map(quoted));
    let found: BTreeSet<&str> = found.collect();
    found.into_iter().take(MAX_LITERALS).collect()
}

/// What stands between `{{` or `{%` and the end of the tag.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(['{']).filter_map(|(at, _)| {
        let tag = text.get(at + 1..)?;
        let end = match tag.as_bytes().first()? {
            b'{' => "}}",
            b'%' => "%}",
            _ => return None,
        };
        tag.get(1..)?.split(end).next()
    })
}

fn quoted(tag: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some(at) = rest.find(['"', '\'']) {
        let (_, from) = rest.split_at(at);
        let mark = if from.starts_with('"') { '"' } else { '\'' };
        let Some((text, after)) = from.get(1..).and_then(|text| text.split_once(mark)) else {
            break;
        };
        if !text.is_empty() && text.len() <= MAX_BYTES {
            found.push(text);
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_tags_are_found_and_no_others() {
        let text = "\"a\" {{ labels.x == \"b\" }} 'c' {% if labels.y == 'd' or \"e'\" %} {{ 'f";
        let all: Vec<&str> = tags(text).flat_map(quoted).collect();
        assert_eq!(all, ["b", "d", "e'"]);
    }
}
