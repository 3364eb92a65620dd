//! Layers of values, merged so that each value knows where it comes from and what it replaced.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Overridden, Source, Sourced};

/// Says where the values of one layer stand.
pub(super) trait Origins {
    fn source(&self, path: &[String]) -> Source;
}

/// Merged values in which each knows where it comes from.
pub(super) struct Node {
    content: Content,
    /// `None` for the root alone.
    source: Option<Source>,
    under: Vec<Overridden>,
}

enum Content {
    Leaf(Value),
    Map(BTreeMap<String, Node>),
}

impl Node {
    /// No values.
    pub(super) fn root() -> Self {
        Self {
            content: Content::Map(BTreeMap::new()),
            source: None,
            under: Vec::new(),
        }
    }

    /// Lays a layer over what is there, as [`merge`](super::super::values::merge) does.
    pub(super) fn lay(&mut self, over: &Map<String, Value>, origins: &dyn Origins) {
        if let Content::Map(entries) = &mut self.content {
            lay(entries, over, &mut Vec::new(), origins);
        }
    }

    fn new(value: &Value, path: &mut Vec<String>, origins: &dyn Origins) -> Self {
        let source = Some(origins.source(path));
        let content = match value {
            Value::Object(map) => {
                let mut entries = BTreeMap::new();
                lay(&mut entries, map, path, origins);
                Content::Map(entries)
            }
            other => Content::Leaf(other.clone()),
        };
        Self {
            content,
            source,
            under: Vec::new(),
        }
    }

    /// Every value that is no map with something in it, sorted by path.
    pub(super) fn values(self) -> Vec<Sourced> {
        let mut all = Vec::new();
        self.flatten(&mut Vec::new(), &mut all);
        all
    }

    fn flatten(self, path: &mut Vec<String>, out: &mut Vec<Sourced>) {
        let first = out.len();
        match (self.content, self.source) {
            (Content::Map(entries), source) if !entries.is_empty() || source.is_none() => {
                for (key, node) in entries {
                    path.push(key);
                    node.flatten(path, out);
                    path.pop();
                }
                // What a whole map replaced is told with the first value in it.
                if let Some(one) = out.get_mut(first) {
                    one.under.extend(self.under);
                }
            }
            (content, Some(source)) => out.push(Sourced {
                path: path.clone(),
                value: match content {
                    Content::Leaf(value) => value,
                    Content::Map(_) => Value::Object(Map::new()),
                },
                source,
                under: self.under,
            }),
            (_, None) => {}
        }
    }
}

fn lay(
    entries: &mut BTreeMap<String, Node>,
    over: &Map<String, Value>,
    path: &mut Vec<String>,
    origins: &dyn Origins,
) {
    for (key, value) in over {
        path.push(key.clone());
        let known = entries.get_mut(key).map(|node| &mut node.content);
        if let (Some(Content::Map(below)), Value::Object(above)) = (known, value) {
            lay(below, above, path, origins);
        } else {
            let mut node = Node::new(value, path, origins);
            if let Some(replaced) = entries.remove(key) {
                let mut gone = Vec::new();
                replaced.flatten(path, &mut gone);
                node.under = gone.into_iter().flat_map(overridden).collect();
            }
            entries.insert(key.clone(), node);
        }
        path.pop();
    }
}

/// A value that is replaced, and those that it had replaced before.
fn overridden(one: Sourced) -> impl Iterator<Item = Overridden> {
    let last = Overridden {
        path: one.path,
        value: one.value,
        source: one.source,
    };
    std::iter::once(last).chain(one.under)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::super::values::merge;
    use super::super::{Layer, Place};
    use super::*;
    use crate::tree::RepoPath;

    /// The layer of this number, whose values stand on its line.
    struct Numbered(usize);

    impl Origins for Numbered {
        fn source(&self, _: &[String]) -> Source {
            Source {
                layer: Layer::Assignment,
                place: Place {
                    path: RepoPath::parse("a.yaml").unwrap(),
                    line: self.0,
                },
            }
        }
    }

    fn laid(layers: &[Value]) -> Vec<Sourced> {
        let mut root = Node::root();
        for (number, layer) in layers.iter().enumerate() {
            root.lay(layer.as_object().unwrap(), &Numbered(number));
        }
        root.values()
    }

    fn put(map: &mut Map<String, Value>, path: &[String], value: Value) {
        let (first, rest) = path.split_first().unwrap();
        if rest.is_empty() {
            map.insert(first.clone(), value);
        } else {
            let inner = map.entry(first.clone()).or_insert_with(|| json!({}));
            put(inner.as_object_mut().unwrap(), rest, value);
        }
    }

    #[test]
    fn what_was_replaced_is_told_with_what_replaced_it() {
        let all = laid(&[
            json!({"a": 1, "m": {"x": 1, "y": 2}}),
            json!({"a": 2, "m": {"x": 3}}),
            json!({"a": [3], "m": "gone"}),
            json!({"m": {"z": {}}}),
        ]);
        let told: Vec<_> = all
            .iter()
            .map(|one| {
                let under = one.under.iter();
                let under = under.map(|one| (one.path.join("."), one.value.clone()));
                let under: Vec<_> = under.collect();
                (
                    one.path.join("."),
                    one.value.clone(),
                    one.source.place.line,
                    under,
                )
            })
            .collect();
        let at = |path: &str, value| (path.to_owned(), value);
        let expected = vec![
            (
                "a".to_owned(),
                json!([3]),
                2,
                vec![at("a", json!(2)), at("a", json!(1))],
            ),
            (
                "m.z".to_owned(),
                json!({}),
                3,
                vec![
                    at("m", json!("gone")),
                    at("m.x", json!(3)),
                    at("m.x", json!(1)),
                    at("m.y", json!(2)),
                ],
            ),
        ];
        assert_eq!(told, expected);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..3).prop_map(Value::from),
            Just(json!([1, {"x": 2}])),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    fn layer() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[abc]", value(), 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_values_are_those_that_templates_see(
            layers in prop::collection::vec(layer(), 1..5),
        ) {
            let mut merged = Map::new();
            for layer in &layers {
                merge(&mut merged, layer.as_object().unwrap());
            }
            let mut rebuilt = Map::new();
            for one in laid(&layers) {
                let mut origin = &layers[one.source.place.line];
                for key in &one.path {
                    origin = &origin[key];
                }
                prop_assert_eq!(origin, &one.value);
                put(&mut rebuilt, &one.path, one.value);
            }
            prop_assert_eq!(rebuilt, merged);
        }
    }
}
