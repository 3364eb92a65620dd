//! Reads fields out of nodes; every mistake becomes a pending diagnostic, and reading goes on.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Location, document as say, similar};

use super::locate::Step;
use super::place::{Origin, Part};
use super::values;
use super::yaml::{Kind, Node, Scalar};

/// A diagnostic that waits for its position: finding positions costs a second reading of the file, so they are looked up
/// only when something is wrong.
pub(super) struct Pending {
    pub(super) document: usize,
    pub(super) steps: Vec<Step>,
    pub(super) part: Part,
    pub(super) say: Box<dyn FnOnce(Location) -> Diagnostic + Send>,
}

/// Collects what is wrong with one document.
pub(super) struct Reader<'a> {
    pending: &'a mut Vec<Pending>,
    document: usize,
    origin: Option<Origin>,
    /// How many there were when the document, and the manifest in it, began.
    document_start: usize,
    manifest_start: usize,
    /// Whether something is wrong with the document as YAML.
    is_document_broken: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(pending: &'a mut Vec<Pending>, document: usize) -> Self {
        let start = pending.len();
        Self {
            pending,
            document,
            origin: None,
            document_start: start,
            manifest_start: start,
            is_document_broken: false,
        }
    }

    pub(super) fn document(&self) -> usize {
        self.document
    }

    /// From now on, steps are those of the manifest at this origin.
    pub(super) fn enter(&mut self, origin: Origin) {
        if self.origin.is_none() {
            self.is_document_broken = self.pending.len() > self.document_start;
        }
        self.manifest_start = self.pending.len();
        self.origin = Some(origin);
    }

    /// Whether anything is wrong with the manifest that was entered last.
    pub(super) fn is_broken(&self) -> bool {
        self.is_document_broken || self.pending.len() > self.manifest_start
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
            .clone()
            .expect("a manifest is entered before it is read")
    }

    /// How many diagnostics there are so far: to see whether a part was read without any.
    pub(super) fn count(&self) -> usize {
        self.pending.len()
    }

    /// Notes a mistake at a key or a value of the manifest.
    pub(super) fn at(
        &mut self,
        steps: &[Step],
        part: Part,
        say: impl FnOnce(Location) -> Diagnostic + Send + 'static,
    ) {
        let mut whole = self
            .origin
            .as_ref()
            .map_or_else(Vec::new, |origin| origin.prefix.clone());
        whole.extend_from_slice(steps);
        self.pending.push(Pending {
            document: self.document,
            steps: whole,
            part,
            say: Box::new(say),
        });
    }

    /// Ensure that no map says a key twice.
    pub(super) fn check_duplicates(&mut self, node: &Node) {
        self.duplicates(node, &mut Vec::new());
    }

    fn duplicates(&mut self, node: &Node, steps: &mut Vec<Step>) {
        match node {
            Node::Scalar(_) => {}
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    steps.push(Step::from(index));
                    self.duplicates(item, steps);
                    steps.pop();
                }
            }
            Node::Map(entries, _) => {
                let mut seen: std::collections::HashMap<&str, usize> =
                    std::collections::HashMap::new();
                for (key, value) in entries {
                    let count = seen.entry(key).and_modify(|count| *count += 1).or_insert(0);
                    if *count == 0 {
                        steps.push(Step::Key(key.clone()));
                    } else {
                        steps.push(Step::Nth(key.clone(), *count));
                        let name = key.clone();
                        self.at(steps, Part::Key, move |at| say::duplicate_key(at, &name));
                    }
                    self.duplicates(value, steps);
                    steps.pop();
                }
            }
        }
    }

    /// Applies `<<` everywhere: the keys of the named maps are added where the map itself does not have them.
    pub(super) fn apply_merges(&mut self, node: &mut Node) {
        self.merges(node, &mut Vec::new());
    }

    fn merges(&mut self, node: &mut Node, steps: &mut Vec<Step>) {
        match node {
            Node::Scalar(_) => {}
            Node::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    steps.push(Step::from(index));
                    self.merges(item, steps);
                    steps.pop();
                }
            }
            Node::Map(entries, _) => {
                if let Some(at) = entries.iter().position(|(key, _)| &**key == "<<") {
                    let (_, merged) = entries.remove(at);
                    self.merge(entries, merged, steps);
                }
                for (key, value) in entries {
                    steps.push(Step::Key(key.clone()));
                    self.merges(value, steps);
                    steps.pop();
                }
            }
        }
    }

    fn merge(&mut self, entries: &mut Vec<(Box<str>, Node)>, merged: Node, steps: &mut Vec<Step>) {
        let maps = match merged {
            Node::List(items) => items,
            one => vec![one],
        };
        let mut known: HashSet<Box<str>> = entries.iter().map(|(key, _)| key.clone()).collect();
        for map in maps {
            let Node::Map(mut added, _) = map else {
                steps.push(Step::from("<<"));
                self.at(steps, Part::Key, say::merge_of_no_map);
                steps.pop();
                continue;
            };
            // A merged map may itself merge.
            if let Some(at) = added.iter().position(|(key, _)| &**key == "<<") {
                let (_, inner) = added.remove(at);
                self.merge(&mut added, inner, steps);
            }
            added.retain(|(key, _)| known.insert(key.clone()));
            entries.append(&mut added);
        }
    }

    /// The entries of a map that must be one; unknown fields are reported.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        steps: &[Step],
        what: &str,
        known: &'static [&'static str],
    ) -> Option<Fields<'n>> {
        let Node::Map(entries, _) = node else {
            let (what, found) = (what.to_owned(), node.description());
            self.at(steps, Part::Value, move |at| {
                say::wrong_type(at, &what, "a map", found)
            });
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&&**key) {
                let (what, key) = (what.to_owned(), key.clone());
                let mut there = steps.to_vec();
                there.push(Step::Key(key.clone()));
                self.at(&there, Part::Key, move |at| {
                    let near = similar(&key, known.iter().copied()).map(str::to_owned);
                    say::unknown_field(at, &what, &key, known, near.as_deref())
                });
            }
        }
        Some(Fields {
            entries,
            steps: steps.to_vec(),
        })
    }

    /// A string; any scalar but null is one, as written.
    pub(super) fn string(&mut self, node: &Node, steps: &[Step], what: &str) -> Option<String> {
        if let Some(text) = node.as_text() {
            return Some(text.to_owned());
        }
        let (what, found) = (what.to_owned(), node.description());
        self.at(steps, Part::Value, move |at| {
            say::wrong_type(at, &what, "a string", found)
        });
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node, steps: &[Step], what: &str) -> Option<bool> {
        if let Node::Scalar(Scalar {
            kind: Kind::Bool(value),
            ..
        }) = node
        {
            return Some(*value);
        }
        let (what, found) = (what.to_owned(), node.description());
        self.at(steps, Part::Value, move |at| {
            say::wrong_type(at, &what, "`true` or `false`", found)
        });
        None
    }

    /// A map of free values, checked for numbers that would not print as written.
    pub(super) fn values(&mut self, node: Option<(&Node, Vec<Step>)>) -> Map<String, Value> {
        let Some((node, steps)) = node else {
            return Map::new();
        };
        match node {
            Node::Map(..) => {
                match values::convert(node, &mut steps.clone(), &mut |steps, problem| {
                    self.at(steps, Part::Value, move |at| problem.diagnostic(at));
                }) {
                    Value::Object(map) => map,
                    _ => Map::new(),
                }
            }
            other => {
                let found = other.description();
                self.at(&steps, Part::Value, move |at| {
                    say::wrong_type(at, "`values`", "a map", found)
                });
                Map::new()
            }
        }
    }
}

/// The entries of one map, with the way to it.
pub(super) struct Fields<'n> {
    entries: &'n [(Box<str>, Node)],
    steps: Vec<Step>,
}

impl<'n> Fields<'n> {
    /// A field and the way to it; a null one counts as present.
    pub(super) fn get(&self, key: &str) -> Option<(&'n Node, Vec<Step>)> {
        let (_, node) = self.entries.iter().find(|(name, _)| &**name == key)?;
        Some((node, self.to(key)))
    }

    /// A field that a null leaves out.
    pub(super) fn get_set(&self, key: &str) -> Option<(&'n Node, Vec<Step>)> {
        self.get(key).filter(|(node, _)| !node.is_null())
    }

    /// The way to a field.
    pub(super) fn to(&self, key: &str) -> Vec<Step> {
        let mut steps = self.steps.clone();
        steps.push(Step::from(key));
        steps
    }

    /// One field under several spellings; two of them at once are an error.
    pub(super) fn aliased(
        &self,
        reader: &mut Reader<'_>,
        spellings: &[&'static str],
    ) -> Option<(&'n Node, Vec<Step>, &'static str)> {
        let mut found: Option<(&'n Node, Vec<Step>, &'static str)> = None;
        for spelling in spellings {
            let Some((node, steps)) = self.get(spelling) else {
                continue;
            };
            if let Some((.., first)) = &found {
                let first = *first;
                let second = *spelling;
                reader.at(&steps, Part::Key, move |at| {
                    say::same_field_twice(at, first, second)
                });
            } else {
                found = Some((node, steps, spelling));
            }
        }
        found
    }
}
