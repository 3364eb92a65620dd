//! What a template mentions of the values and names, in a form that ids are made of.

use serde_json::{Map, Value, json};

use crate::snapshot::Scope;
use crate::template::{Template, ValuePath, look_up, printed_number};

/// The values, secrets and names that a template mentions; all values where a look-up is computed (contract, section 5).
pub(super) fn mentioned(
    template: &Template,
    scope: &Scope,
    values: &Value,
    secrets: &Value,
) -> Value {
    let usage = template.usage();
    let mut mentioned = Map::new();
    let mut insert = |all: &Value, paths: &[ValuePath], key: &str, numbers_key: &str| {
        let values = picked(all, paths);
        let mut numbers = Vec::new();
        ambiguous_numbers(&values, &mut Vec::new(), &mut numbers);
        mentioned.insert(key.to_owned(), values);
        if !numbers.is_empty() {
            mentioned.insert(numbers_key.to_owned(), numbers.into());
        }
    };
    insert(values, &usage.values, "values", "numbers");
    // What names no secret has the id that it had before there were any.
    if !usage.secrets.is_empty() {
        insert(secrets, &usage.secrets, "secrets", "secret numbers");
    }
    let names = [
        (usage.profile_name, "profile", &*scope.profile),
        (usage.assignment_name, "assignment", &*scope.assignment),
        (usage.machine_name, "machine", &*scope.machine),
    ];
    for (_, key, name) in names.into_iter().filter(|(is_used, ..)| *is_used) {
        mentioned.insert(key.to_owned(), name.into());
    }
    Value::Object(mentioned)
}

/// What stands at these places, or everything.
fn picked(all: &Value, paths: &[ValuePath]) -> Value {
    let is_computed = |one: &ValuePath| one.computed || one.path.is_empty();
    if paths.iter().any(is_computed) {
        return all.clone();
    }
    let picked = paths.iter().filter_map(|one| {
        let path = serde_json::to_string(&one.path).ok()?;
        Some((path, look_up(all, &one.path)?.clone()))
    });
    Value::Object(picked.collect())
}

/// The numbers that templates print in another way than RFC 8785, for which `1` is `1.0` and no integer has more than 53 bits:
/// each with the way to it and its text.
fn ambiguous_numbers(value: &Value, path: &mut Vec<String>, found: &mut Vec<Value>) {
    /// Up to here a double holds every integer (RFC 8785, section 3.2.2.3).
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            if size.is_none_or(|size| size > EXACT) {
                found.push(json!([path, printed_number(number)]));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                ambiguous_numbers(item, path, found);
                path.pop();
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                ambiguous_numbers(value, path, found);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
