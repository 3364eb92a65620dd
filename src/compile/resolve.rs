//! Names: each is defined once, and whoever is named exists.

use std::collections::{BTreeMap, HashMap};

use crate::diagnostic::{Diagnostic, Location, content as say, ranking};
use crate::label;
use crate::manifest::{Assignment, Locator, Manifests, Origin, Part, Profile, ProfileChoice};
use crate::tree::Tree;

/// The prefixes of the Profile labels that must not differ from what the machine sent (contract, section 4).
const REQUIREMENT_PREFIXES: [&str; 2] = ["assignment/ipxe-", "assignment/ipxe/"];

/// For each Assignment, by its place, the Profiles that it may mean, by their places.
pub(super) struct Resolved {
    pub(super) candidates: Vec<Vec<Candidate>>,
}

/// A Profile that an Assignment may mean.
pub(super) struct Candidate {
    pub(super) profile: usize,
    /// The labels that must not differ from what the machine sent; none when the Profile is named.
    pub(super) requires: Vec<(String, String)>,
}

pub(super) fn resolve(
    manifests: &Manifests,
    tree: &Tree,
    locator: &Locator<'_>,
    found: &mut Vec<Diagnostic>,
) -> Resolved {
    let profiles = by_name(
        "Profile",
        manifests
            .profiles
            .iter()
            .map(|profile| (profile.name.as_str(), &profile.origin)),
        locator,
        found,
    );
    by_name(
        "Assignment",
        manifests
            .assignments
            .iter()
            .map(|assignment| (assignment.name.as_str(), &assignment.origin)),
        locator,
        found,
    );
    let context = Context {
        manifests,
        tree,
        profiles,
        locator,
    };
    let candidates = manifests
        .assignments
        .iter()
        .map(|assignment| context.candidates(assignment, found))
        .collect();
    Resolved { candidates }
}

/// Ensure that a name is given once for each kind.
fn by_name<'m>(
    kind: &str,
    all: impl Iterator<Item = (&'m str, &'m Origin)>,
    locator: &Locator<'_>,
    found: &mut Vec<Diagnostic>,
) -> HashMap<&'m str, usize> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut origins: Vec<&Origin> = Vec::new();
    for (place, (name, origin)) in all.enumerate() {
        origins.push(origin);
        if let Some(first) = known.get(name) {
            let at =
                |origin| locator.place(origin, &["metadata".into(), "name".into()], Part::Value);
            found.push(say::duplicate_name(
                at(origin),
                kind,
                name,
                &at(origins[*first]),
            ));
        } else {
            known.insert(name, place);
        }
    }
    known
}

struct Context<'a> {
    manifests: &'a Manifests,
    tree: &'a Tree,
    profiles: HashMap<&'a str, usize>,
    locator: &'a Locator<'a>,
}

impl Context<'_> {
    fn candidates(&self, assignment: &Assignment, found: &mut Vec<Diagnostic>) -> Vec<Candidate> {
        match &assignment.profile {
            ProfileChoice::Named { name, steps } => {
                if let Some(profile) = self.profiles.get(name.as_str()) {
                    return vec![Candidate {
                        profile: *profile,
                        requires: Vec::new(),
                    }];
                }
                if !self.may_be_in_broken_file(name) {
                    let at = self.locator.place(&assignment.origin, steps, Part::Value);
                    let defined: Vec<&str> = self
                        .manifests
                        .profiles
                        .iter()
                        .map(|profile| profile.name.as_str())
                        .collect();
                    found.push(say::unknown_profile(
                        at,
                        &assignment.name,
                        name,
                        defined.iter().copied(),
                    ));
                }
                Vec::new()
            }
            ProfileChoice::Labelled { labels, steps } => {
                let candidates = self.labelled(labels);
                let at = || self.locator.place(&assignment.origin, steps, Part::Key);
                if candidates.is_empty()
                    && !labels
                        .values()
                        .any(|value| self.may_be_in_broken_file(value))
                {
                    found.push(ranking::no_profile_has_labels(at(), &assignment.name));
                } else if !are_told_apart(&candidates) {
                    found.push(self.ambiguous(at(), assignment, &candidates));
                    return Vec::new();
                }
                candidates
            }
        }
    }

    fn labelled(&self, wanted: &BTreeMap<String, String>) -> Vec<Candidate> {
        let has_all = |profile: &Profile| {
            wanted
                .iter()
                .all(|(key, value)| profile.labels.get(key) == Some(value))
        };
        self.manifests
            .profiles
            .iter()
            .enumerate()
            .filter(|(_, profile)| has_all(profile))
            .map(|(place, profile)| Candidate {
                profile: place,
                requires: requirements(profile),
            })
            .collect()
    }

    fn ambiguous(
        &self,
        at: Location,
        assignment: &Assignment,
        candidates: &[Candidate],
    ) -> Diagnostic {
        let names = candidates
            .iter()
            .filter_map(|one| self.manifests.profiles.get(one.profile))
            .map(|one| one.name.as_str());
        ranking::ambiguous_profiles(at, &assignment.name, names)
    }

    /// Whether a Profile of this name may stand in a manifest that could not be read: then its absence is no second
    /// mistake.
    fn may_be_in_broken_file(&self, name: &str) -> bool {
        let broken = super::files_with_errors(&self.manifests.diagnostics);
        broken
            .into_iter()
            .chain(&self.manifests.unread)
            .any(|path| {
                let text = self
                    .tree
                    .file(path)
                    .and_then(|bytes| std::str::from_utf8(bytes).ok());
                self.manifests.files.contains(path) && text.is_some_and(|text| text.contains(name))
            })
    }
}

/// The labels of a Profile that a machine must not contradict, in normal form.
pub(super) fn requirements(profile: &Profile) -> Vec<(String, String)> {
    let key_of = |label: &str| {
        REQUIREMENT_PREFIXES
            .iter()
            .find_map(|prefix| label.strip_prefix(prefix))
            .and_then(label::canonical_key)
    };
    profile
        .labels
        .iter()
        .filter_map(|(label, value)| {
            let key = key_of(label)?;
            let value = label::normalise(&key, value).unwrap_or_else(|_| value.clone());
            Some((key, value))
        })
        .collect()
}

/// Ensure that several candidates carry one common requirement with a different value each.
fn are_told_apart(candidates: &[Candidate]) -> bool {
    let Some((first, rest)) = candidates.split_first() else {
        return true;
    };
    if rest.is_empty() {
        return true;
    }
    first.requires.iter().any(|(key, _)| {
        let mut values: Vec<&str> = candidates
            .iter()
            .filter_map(|one| one.requires.iter().find(|(other, _)| other == key))
            .map(|(_, value)| value.as_str())
            .collect();
        let carried_by_all = values.len() == candidates.len();
        values.sort_unstable();
        values.dedup();
        carried_by_all && values.len() == candidates.len()
    })
}
