//! Values → YAML as a person would write it: block style, no anchors, quotes only where a reader could go wrong.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Words that some reader of YAML takes for something else than text, in lower case.
const WORDS: [&str; 11] = [
    "y", "yes", "on", "true", "n", "no", "off", "false", "null", "nan", "inf",
];

/// A map, its keys in order, each line indented by so many blanks.
pub(super) fn map(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (key, value) in map {
        let _ = write!(out, "{:indent$}{}:", "", scalar(key));
        under_key(out, value, indent);
    }
}

/// What follows the colon of a key that is indented by so many blanks, to the end of the line or lines.
pub(super) fn under_key(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            out.push('\n');
            map(out, entries, indent + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            list(out, items, indent + 2);
        }
        Value::String(text) if is_block(text) => block(out, text, indent + 2),
        other => {
            out.push(' ');
            out.push_str(&inline(other));
            out.push('\n');
        }
    }
}

fn list(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        let _ = write!(out, "{:indent$}-", "");
        match item {
            Value::Object(entries) if !entries.is_empty() => {
                let mut inner = String::new();
                map(&mut inner, entries, indent + 2);
                out.push(' ');
                out.push_str(inner.trim_start());
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                list(out, inner, indent + 2);
            }
            Value::String(text) if is_block(text) => block(out, text, indent + 2),
            other => {
                out.push(' ');
                out.push_str(&inline(other));
                out.push('\n');
            }
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        // Empty lists and maps, numbers, booleans and null are the same in JSON and in YAML.
        other => other.to_string(),
    }
}

/// A text of several lines that a literal block can hold as it is.
fn is_block(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && !text.ends_with("\n\n")
        && text.chars().all(|char| char == '\n' || is_printable(char))
}

fn block(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') {
        " |\n"
    } else {
        " |-\n"
    });
    for line in text.lines() {
        if line.is_empty() {
            out.push('\n');
        } else {
            let _ = writeln!(out, "{:indent$}{line}", "");
        }
    }
}

/// A text on one line: plain where every reader takes it for the same text, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn is_plain(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let starts = text
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '/');
    (starts || is_address(text))
        && !WORDS.contains(&word.as_str())
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || " _./@+,=:-()".contains(char))
}

/// An IPv4 address, perhaps with the length of its prefix: no number, although it is nothing but digits and dots.
fn is_address(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "0"));
    address.parse::<std::net::Ipv4Addr>().is_ok() && prefix.parse::<u8>().is_ok()
}

/// A text in double quotes, with the escapes of YAML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            char if is_printable(char) => quoted.push(char),
            char => {
                let _ = match u32::from(char) {
                    code @ 0..=0xff => write!(quoted, "\\x{code:02X}"),
                    code @ 0..=0xffff => write!(quoted, "\\u{code:04X}"),
                    code => write!(quoted, "\\U{code:08X}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

/// What YAML takes as it is, on one line, whatever its version.
fn is_printable(char: char) -> bool {
    !char.is_control()
        && !matches!(
            char,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Words for a comment: one line, nothing that a terminal would act on.
pub(super) fn comment(text: &str) -> String {
    text.chars()
        .map(|char| if is_printable(char) { char } else { ' ' })
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::manifest::{Budget, read_values_file};
    use crate::tree::{Entry, RepoPath, Revision, Tree};

    fn written(value: &Value) -> String {
        let mut out = String::new();
        map(&mut out, value.as_object().unwrap(), 0);
        out
    }

    fn read(text: &str) -> Value {
        let path = RepoPath::parse("values.yaml").unwrap();
        let file = Entry::File(text.as_bytes().to_vec().into());
        let tree = Tree::new(Revision::new("x"), [(path.clone(), file)].into());
        Value::Object(read_values_file(&tree, &path, Budget::default()).unwrap())
    }

    #[test]
    fn it_looks_as_if_written_by_hand() {
        let value = json!({
            "a": "192.168.178.31", "b": "1.30", "c": "yes", "d": ["x", {"k": 1, "l": [true, null]}, []],
            "e": {}, "f": "two\nlines\n", "g": "-x", "h": "52:54:00", "i": "http://x:80/y?z=1", "j": "", "k y": "v0.3.0-rc1",
        });
        assert_eq!(
            written(&value),
            "a: 192.168.178.31\nb: \"1.30\"\nc: \"yes\"\nd:\n  - x\n  - k: 1\n    l:\n      - true\n      - null\n  - []\n\
             e: {}\nf: |\n  two\n  lines\ng: \"-x\"\nh: \"52:54:00\"\ni: \"http://x:80/y?z=1\"\nj: \"\"\nk y: v0.3.0-rc1\n"
        );
        assert_eq!(read(&written(&value)), value);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[a-z0-9 :#.\n\t\"'|>&*!%@-]{0,12}",
            "(y|no|on|null|~|0x1f|1e3|012|1_0|12:30|<<|=|---|\\.\\.\\.)",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            entries in prop::collection::btree_map("[a-z]{1,4}", any_value(), 0..4)
        ) {
            let value = Value::Object(entries.into_iter().collect());
            let value = without_merges(value);
            prop_assert_eq!(read(&written(&value)), value);
        }
    }

    /// `<<` is a merge however it is written.
    fn without_merges(value: Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.into_iter()
                    .filter(|(key, _)| key != "<<")
                    .map(|(key, value)| (key, without_merges(value)))
                    .collect(),
            ),
            Value::Array(items) => items.into_iter().map(without_merges).collect(),
            other => other,
        }
    }
}
