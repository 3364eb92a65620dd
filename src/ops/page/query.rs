//! What people type into the search field.

use crate::label::{Identity, decode_percent, normalise};

/// The most bytes that are looked at: longer than every query of a first script.
const MAX_BYTES: usize = 8192;

/// What somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing was typed.
    Nothing,
    /// A machine that says this of itself.
    Labels(Vec<(String, String)>),
    /// Machines that say something like it.
    Word(String),
}

/// The value of `q` in a query that a form made: form decoding, where `+` is a blank.
pub(super) fn field(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let mut bytes = Vec::new();
    decode_percent(&value.replace('+', " "), &mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads `key=value&…`, pairs between blanks, a script's whole URL, a bare MAC or UUID; anything else is a word.
pub(super) fn read(typed: &str) -> Wanted {
    let end = typed.floor_char_boundary(MAX_BYTES);
    let text = typed.get(..end).unwrap_or("").trim();
    if text.is_empty() {
        return Wanted::Nothing;
    }
    for identity in [Identity::Mac, Identity::Uuid] {
        if normalise(identity.key(), text).is_ok() {
            return Wanted::Labels(vec![(identity.key().to_owned(), text.to_owned())]);
        }
    }
    let is_url =
        text.starts_with("http://") || text.starts_with("https://") || text.starts_with('/');
    let query = text.split_once('?').filter(|_| is_url);
    let pairs = match query {
        Some((_, query)) => encoded_pairs(query),
        None if text.contains('&') => plain_pairs(text.split('&')),
        None => plain_pairs(between_blanks(text).iter().map(String::as_str)),
    };
    if pairs.is_empty() {
        Wanted::Word(text.to_owned())
    } else {
        Wanted::Labels(pairs)
    }
}

fn encoded_pairs(query: &str) -> Vec<(String, String)> {
    let mut bytes = Vec::new();
    let mut decoded = |text: &str| {
        decode_percent(text, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

fn plain_pairs<'t>(parts: impl Iterator<Item = &'t str>) -> Vec<(String, String)> {
    parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .collect()
}

/// Parts that begin with a word and `=`: `serial=SN 42 site=x` are two.
fn between_blanks(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match parts.last_mut() {
            Some(last) if !word.contains('=') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Wanted {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Wanted::Labels(pairs.iter().map(own).collect())
    }

    #[test]
    fn people_type_what_they_have() {
        for (typed, expected) in [
            ("  ", Wanted::Nothing),
            ("52-54-00-00-00-01", labels(&[("mac", "52-54-00-00-00-01")])),
            (
                "47c6da67-7477-4970-aa03-84e48ff4f6ad",
                labels(&[("uuid", "47c6da67-7477-4970-aa03-84e48ff4f6ad")]),
            ),
            ("serial=SN 42", labels(&[("serial", "SN 42")])),
            (
                "serial=SN 42 site=x",
                labels(&[("serial", "SN 42"), ("site", "x")]),
            ),
            (
                "serial=A+B & site=x y",
                labels(&[("serial", "A+B"), ("site", "x y")]),
            ),
            (
                "http://boot/ipxe?mac=52:54:00:00:00:01&serial=a%20b&asset=",
                labels(&[("mac", "52:54:00:00:00:01"), ("serial", "a b")]),
            ),
            ("SN42", Wanted::Word("SN42".to_owned())),
            ("=", Wanted::Word("=".to_owned())),
            ("rack 7", Wanted::Word("rack 7".to_owned())),
        ] {
            assert_eq!(read(typed), expected, "{typed}");
        }
    }

    #[test]
    fn forms_write_blanks_as_plus() {
        assert_eq!(field("q=a+b%2Bc", "q").as_deref(), Some("a b+c"));
        assert_eq!(field("x=1&q=%C3%A4", "q").as_deref(), Some("ä"));
        assert_eq!(field("qq=1", "q"), None);
    }
}
