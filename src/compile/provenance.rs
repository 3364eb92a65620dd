//! Where things stand: the Assignments and Profiles of an explanation, and every merged value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::manifest::{
    Assignment, FileRef, Locator, Manifests, Origin, Part, Profile, ProfileChoice, Step,
    read_values_file,
};
use crate::snapshot::Explanation;
use crate::tree::{RepoPath, Tree};

use super::Options;

/// The places of everything that an explanation names.
#[derive(Debug)]
pub struct Provenance {
    /// Of each candidate, in their order.
    pub candidates: Vec<Option<Place>>,
    /// Of each Profile that the winner may mean, in their order.
    pub profiles: Vec<Option<Place>>,
    /// How the winner says which Profile.
    pub choice: Option<Chosen>,
    /// The merged values of the machine, sorted by path.
    pub values: Vec<Sourced>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: RepoPath,
    /// The line, from 1.
    pub line: usize,
}

/// How an Assignment says which Profile.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The labels that a Profile must have, of `profileSelectors`; `None` for a Profile by its name.
    pub labels: Option<BTreeMap<String, String>>,
    /// Where it says so.
    pub place: Place,
}

/// One merged value that is no map with something in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
    /// The values that it replaced, the last one first.
    pub under: Vec<Overridden>,
}

/// A value that was replaced by a later layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Overridden {
    /// The keys that led to it.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub source: Source,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// In which layer.
    pub layer: Layer,
    /// On which line.
    pub place: Place,
}

/// The layers of values; a later one wins (contract, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A file of the Profile's `valuesFrom`.
    ProfileFile,
    /// The Profile's `values`.
    Profile,
    /// A file of the Assignment's `valuesFrom`.
    AssignmentFile,
    /// The Assignment's `values`.
    Assignment,
    /// The machine's `values`.
    Machine,
}

impl Layer {
    /// The layer as people and programs read it; it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProfileFile => "Profile valuesFrom",
            Self::Profile => "Profile values",
            Self::AssignmentFile => "Assignment valuesFrom",
            Self::Assignment => "Assignment values",
            Self::Machine => "machine values",
        }
    }
}

/// Finds the places of an explanation of this tree's snapshot.
#[must_use]
pub fn provenance(
    tree: &Tree,
    manifests: &Manifests,
    options: &Options,
    explanation: &Explanation<'_>,
) -> Provenance {
    let finder = Finder {
        tree,
        manifests,
        options,
        locator: Locator::new(tree, options.budget),
    };
    let candidates = explanation.candidates.iter();
    let candidates = candidates.map(|one| {
        let assignment = finder.assignment(&one.rule.name)?;
        Some(match one.entry {
            Some(entry) => {
                finder.place(&assignment.origin, &machine_steps(entry, &[]), Part::Value)
            }
            None => finder.of_name(&assignment.origin),
        })
    });
    let profiles = explanation.profiles.iter();
    let profiles = profiles.map(|one| Some(finder.of_name(&finder.profile(one.profile)?.origin)));
    let winner = explanation
        .candidates
        .first()
        .filter(|_| !explanation.profiles.is_empty());
    let assignment = winner.and_then(|one| finder.assignment(&one.rule.name));
    let chosen = explanation.profiles.iter().find(|one| one.is_chosen);
    let profile = chosen.and_then(|one| finder.profile(one.profile));
    let entry = winner.and_then(|one| one.entry);
    Provenance {
        candidates: candidates.collect(),
        profiles: profiles.collect(),
        choice: assignment.map(|assignment| finder.choice(assignment)),
        values: profile.zip(assignment).map_or_else(Vec::new, |(p, a)| {
            let mut root = Node::root();
            finder.lay(&mut root, p, a, entry);
            root.values()
        }),
    }
}

/// The way into an entry of `machines`.
fn machine_steps(entry: usize, more: &[Step]) -> Vec<Step> {
    let mut steps = vec!["spec".into(), "machines".into(), entry.into()];
    steps.extend_from_slice(more);
    steps
}

struct Finder<'a> {
    tree: &'a Tree,
    manifests: &'a Manifests,
    options: &'a Options,
    locator: Locator<'a>,
}

impl<'a> Finder<'a> {
    fn assignment(&self, name: &str) -> Option<&'a Assignment> {
        let all = &self.manifests.assignments;
        let at = all.binary_search_by(|one| one.name.as_str().cmp(name));
        all.get(at.ok()?)
    }

    fn profile(&self, name: &str) -> Option<&'a Profile> {
        let all = &self.manifests.profiles;
        let at = all.binary_search_by(|one| one.name.as_str().cmp(name));
        all.get(at.ok()?)
    }

    fn of_name(&self, origin: &Origin) -> Place {
        self.place(origin, &["metadata".into(), "name".into()], Part::Key)
    }

    fn place(&self, origin: &Origin, steps: &[Step], part: Part) -> Place {
        let location = self.locator.place(origin, steps, part);
        Place {
            path: location.path,
            line: location.line,
        }
    }

    fn choice(&self, assignment: &Assignment) -> Chosen {
        let (labels, steps) = match &assignment.profile {
            ProfileChoice::Named { steps, .. } => (None, steps),
            ProfileChoice::Labelled { labels, steps } => (Some(labels.clone()), steps),
        };
        Chosen {
            labels,
            place: self.place(&assignment.origin, steps, Part::Key),
        }
    }

    /// Lays all layers in their order.
    fn lay(
        &self,
        root: &mut Node,
        profile: &Profile,
        assignment: &Assignment,
        entry: Option<usize>,
    ) {
        self.lay_files(
            root,
            Layer::ProfileFile,
            &profile.origin,
            &profile.values_from,
        );
        let spec: [Step; 2] = ["spec".into(), "values".into()];
        let own = |layer, origin, steps| InManifest {
            finder: self,
            layer,
            origin,
            steps,
        };
        let of_profile = own(Layer::Profile, &profile.origin, spec.to_vec());
        root.lay(&profile.values, &of_profile);
        let origin = &assignment.origin;
        self.lay_files(root, Layer::AssignmentFile, origin, &assignment.values_from);
        root.lay(
            &assignment.values,
            &own(Layer::Assignment, origin, spec.to_vec()),
        );
        if let Some((place, machine)) =
            entry.and_then(|place| Some((place, assignment.machines.get(place)?)))
        {
            let steps = machine_steps(place, &["values".into()]);
            root.lay(&machine.values, &own(Layer::Machine, origin, steps));
        }
    }

    fn lay_files(&self, root: &mut Node, layer: Layer, origin: &Origin, files: &[FileRef]) {
        for file in files {
            // The tree compiled, so every file is there and right.
            let Ok(path) = origin.path.resolve(&file.reference) else {
                continue;
            };
            let Ok(values) = read_values_file(self.tree, &path, self.options.budget) else {
                continue;
            };
            let finder = self;
            root.lay(
                &values,
                &InFile {
                    finder,
                    layer,
                    path,
                },
            );
        }
    }
}

/// Says where the values of one layer stand.
trait Origins {
    fn source(&self, path: &[String]) -> Source;
}

struct InManifest<'a> {
    finder: &'a Finder<'a>,
    layer: Layer,
    origin: &'a Origin,
    steps: Vec<Step>,
}

impl Origins for InManifest<'_> {
    fn source(&self, path: &[String]) -> Source {
        let mut steps = self.steps.clone();
        steps.extend(path.iter().map(|key| Step::from(key.as_str())));
        Source {
            layer: self.layer,
            place: self.finder.place(self.origin, &steps, Part::Key),
        }
    }
}

struct InFile<'a> {
    finder: &'a Finder<'a>,
    layer: Layer,
    path: RepoPath,
}

impl Origins for InFile<'_> {
    fn source(&self, path: &[String]) -> Source {
        let steps: Vec<Step> = path.iter().map(|key| Step::from(key.as_str())).collect();
        let at = self.finder.locator.in_values(&self.path, &steps, Part::Key);
        Source {
            layer: self.layer,
            place: Place {
                path: at.path,
                line: at.line,
            },
        }
    }
}

/// Merged values in which each knows where it comes from.
struct Node {
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
    fn root() -> Self {
        Self {
            content: Content::Map(BTreeMap::new()),
            source: None,
            under: Vec::new(),
        }
    }

    /// Lays a layer over what is there, as [`super::values::merge`] does.
    fn lay(&mut self, over: &Map<String, Value>, origins: &dyn Origins) {
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

    fn values(self) -> Vec<Sourced> {
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

    use super::super::values::merge;
    use super::*;

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
