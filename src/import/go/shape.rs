//! What the data of a template holds: matchbox knows no types, so what a construct does depends on what it is given.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a place in the data holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing, in a map that could hold it.
    Missing,
    /// Nothing, because what should hold it is missing itself, or no map.
    Unreachable,
    Null,
    Bool,
    /// A number of Go's type `int`: literals and lengths.
    Integer,
    /// A number of Go's type `float64`: all that JSON holds.
    Float,
    Text,
    List,
    Map,
}

/// All that a place holds, over everybody's data.
pub(super) type Kinds = BTreeSet<Kind>;

/// A step into data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The value of a key.
    Key(String),
    /// Any item of a list, any value of a map.
    Each,
}

/// What is found at the end of these steps.
pub(super) fn kinds(data: &[Map<String, Value>], path: &[Step]) -> Kinds {
    let mut found = Kinds::new();
    for root in data {
        match path.split_first() {
            None => {
                found.insert(Kind::Map);
            }
            Some((Step::Key(key), rest)) => entry(root, key, rest, &mut found),
            Some((Step::Each, rest)) => {
                for one in root.values() {
                    collect(one, rest, &mut found);
                }
            }
        }
    }
    found
}

fn entry(map: &Map<String, Value>, key: &str, rest: &[Step], found: &mut Kinds) {
    match map.get(key) {
        Some(value) => collect(value, rest, found),
        None if rest.is_empty() => {
            found.insert(Kind::Missing);
        }
        None => {
            found.insert(Kind::Unreachable);
        }
    }
}

fn collect(value: &Value, path: &[Step], found: &mut Kinds) {
    match (path.split_first(), value) {
        (None, value) => {
            found.insert(kind(value));
        }
        (Some((Step::Key(key), rest)), Value::Object(map)) => entry(map, key, rest, found),
        (Some((Step::Each, rest)), Value::Array(items)) => {
            for one in items {
                collect(one, rest, found);
            }
        }
        (Some((Step::Each, rest)), Value::Object(map)) => {
            for one in map.values() {
                collect(one, rest, found);
            }
        }
        (Some(_), _) => {
            found.insert(Kind::Unreachable);
        }
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_) => Kind::Float,
        Value::String(_) => Kind::Text,
        Value::Array(_) => Kind::List,
        Value::Object(_) => Kind::Map,
    }
}

/// A number of JSON as a Go template prints it: `%v` of a `float64`.
pub(in crate::import) fn printed_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // Go's shortest form turns to exponents where a C program's `%g` would: measured with Go 1.19.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_go() {
        // What Go 1.19 prints for `{{.}}` of these.
        for (value, printed) in [
            (1.0, "1"),
            (12.0, "12"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.1, "0.1"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123_456.7, "123456.7"),
            (-5.0, "-5"),
            (1e20, "1e+20"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
            (12_345_678.9, "1.23456789e+07"),
            (0.0, "0"),
        ] {
            assert_eq!(printed_float(value), printed);
        }
    }
}
