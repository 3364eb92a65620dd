//! Free-form values: YAML in, JSON values out, and no number that prints otherwise than it was written.

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Location, document as say};
use crate::template::printed_number;
use crate::tree::{RepoPath, Tree};

use super::fields::Reader;
use super::locate::Step;
use super::place::{BYTE_ORDER_MARK, FileMap, Part};
use super::yaml::{self, Budget, Kind, Node, Scalar};

/// What is wrong with one value.
pub(super) enum Problem {
    /// A number that would print otherwise than it was written.
    NumberChanges,
}

impl Problem {
    pub(super) fn diagnostic(&self, at: Location) -> Diagnostic {
        match self {
            Self::NumberChanges => say::number_changes(at),
        }
    }
}

/// A node as a JSON value. Maps lose their order on purpose: ids and output depend on content alone.
pub(super) fn convert(
    node: &Node,
    steps: &mut Vec<Step>,
    report: &mut impl FnMut(&[Step], Problem),
) -> Value {
    match node {
        Node::Scalar(scalar) => scalar_value(scalar, steps, report),
        Node::List(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    within(steps, Step::from(index), |steps| {
                        convert(item, steps, report)
                    })
                })
                .collect(),
        ),
        Node::Map(entries, _) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let value = within(steps, Step::Key(key.clone()), |steps| {
                    convert(value, steps, report)
                });
                map.insert(key.to_string(), value);
            }
            Value::Object(map)
        }
    }
}

fn within<T>(steps: &mut Vec<Step>, step: Step, inner: impl FnOnce(&mut Vec<Step>) -> T) -> T {
    steps.push(step);
    let result = inner(steps);
    steps.pop();
    result
}

fn scalar_value(
    scalar: &Scalar,
    steps: &[Step],
    report: &mut impl FnMut(&[Step], Problem),
) -> Value {
    match &scalar.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Text => Value::String(scalar.text.to_string()),
        Kind::Number(number) => {
            if printed_number(number) != *scalar.text {
                report(steps, Problem::NumberChanges);
            }
            Value::Number(number.clone())
        }
        Kind::Odd => {
            report(steps, Problem::NumberChanges);
            Value::Null
        }
    }
}

/// Reads a file of values: one YAML map.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read_values_file(
    tree: &Tree,
    path: &RepoPath,
    budget: Budget,
) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let Some(text) = tree
        .file(path)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
    else {
        return Err(vec![say::not_utf8(Location::of_file(path))]);
    };
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let documents = yaml::documents(body, budget);
    let mut pending = Vec::new();
    let mut result = Map::new();
    let mut diagnostics = Vec::new();
    let map = || FileMap::of_yaml(path.clone(), text, budget);
    let mut seen = 0;
    for (index, document) in documents.into_iter().enumerate() {
        match document {
            Err(fault) => diagnostics.push(super::yaml_fault(
                map().fault(fault.at),
                &fault.kind,
                budget,
            )),
            Ok(node) if node.is_null() => {}
            Ok(mut node) => {
                seen += 1;
                let mut reader = Reader::new(&mut pending, index);
                reader.check_duplicates(&node);
                reader.apply_merges(&mut node);
                if seen > 1 || node.as_map().is_none() {
                    reader.at(&[], Part::Value, say::values_file_is_no_map);
                } else {
                    result = reader.values(Some((&node, Vec::new())));
                }
            }
        }
    }
    if !pending.is_empty() {
        let map = map();
        diagnostics.extend(super::placed(pending, &map));
    }
    if diagnostics.is_empty() {
        Ok(result)
    } else {
        Err(diagnostics)
    }
}
