//! The texts that templates compare labels with.

use std::collections::BTreeSet;

use crate::snapshot::{Body, Link};

/// The most texts of one pair of bodies that labels are tried with; a script that branches on more is rare.
const MAX_LITERALS: usize = 16;
/// The longest text that is tried, as for the value of a label.
const MAX_BYTES: usize = 256;

/// The quoted texts in the tags of the templates behind these bodies, sorted.
pub(super) fn literals(bodies: [&Body; 2]) -> Vec<&str> {
    let mut found = BTreeSet::new();
    for body in bodies {
        add(body, &mut found);
    }
    found.into_iter().take(MAX_LITERALS).collect()
}

fn add<'b>(body: &'b Body, found: &mut BTreeSet<&'b str>) {
    let Body::Rendered(rendering) = body else {
        return;
    };
    for source in rendering.template.sources() {
        for tag in tags(&source.text) {
            found.extend(quoted(tag));
        }
    }
    for (_, link) in &rendering.links {
        if let Link::Text(config) = link {
            add(&config.body, found);
        }
    }
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
