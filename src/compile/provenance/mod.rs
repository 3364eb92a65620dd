//! Where things come from: the Profile of a winner, and every merged value.

mod layered;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{
    Assignment, FileRef, Locator, Manifests, Origin, Part, Profile, ProfileChoice, Step,
    read_values_file,
};
use crate::snapshot::{Explanation, Place};
use crate::tree::{RepoPath, Tree};

use super::Options;
use layered::{Node, Origins};

/// Where everything comes from that the winner gives the machine. Where the candidates themselves stand, the snapshot knows.
#[derive(Debug)]
pub struct Provenance {
    /// How the winner says which Profile.
    pub choice: Option<Chosen>,
    /// The merged values of the machine, sorted by path.
    pub values: Vec<Sourced>,
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

/// Finds the sources of an explanation of this tree's snapshot.
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
    let winner = explanation
        .candidates
        .first()
        .filter(|_| !explanation.profiles.is_empty());
    let assignment = winner.and_then(|one| finder.assignment(&one.rule.name));
    let chosen = explanation.profiles.iter().find(|one| one.is_chosen);
    let profile = chosen.and_then(|one| finder.profile(one.profile));
    let entry = winner.and_then(|one| one.entry);
    Provenance {
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
        all.get(at.ok()?).map(AsRef::as_ref)
    }

    fn profile(&self, name: &str) -> Option<&'a Profile> {
        let all = &self.manifests.profiles;
        let at = all.binary_search_by(|one| one.name.as_str().cmp(name));
        all.get(at.ok()?)
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
            root.lay(&machine.values(), &own(Layer::Machine, origin, steps));
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
