//! Groups become Assignments.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::import as say;
use crate::label::{Identity, canonical_key, is_buildarch, normalise};

use super::rank::{Ranked, rank};
use super::read::Group;
use super::script::is_sent;
use super::{Assignment, CONFIGS, Converter, Names, data, file_id, from};

impl Converter<'_, '_> {
    /// Writes the Assignments.
    pub(super) fn groups(&mut self, profiles: &BTreeMap<String, String>) {
        let mut kept: Vec<(&Group, BTreeMap<String, String>)> = Vec::new();
        let mut seen: BTreeMap<BTreeMap<String, String>, String> = BTreeMap::new();
        let mut sorted: Vec<&Group> = self.groups.iter().collect();
        sorted.sort_by(|one, other| one.id.cmp(&other.id));
        for group in sorted {
            let Some(selectors) = self.selectors(group) else {
                continue;
            };
            if let Some(other) = seen.get(&selectors) {
                let at = self.original.find(&group.path, &["selector"]);
                self.out.diagnostics.push(say::never_selected(at, other));
                continue;
            }
            seen.insert(selectors.clone(), group.id.clone());
            kept.push((group, selectors));
        }
        let (defaults, others): (Vec<_>, Vec<_>) = kept
            .into_iter()
            .partition(|(_, selectors)| selectors.is_empty());
        let ranked: Vec<Ranked> = others
            .iter()
            .map(|(group, selectors)| Ranked {
                selectors: selectors.clone(),
                order: (pairs(group), group.id.clone()),
            })
            .collect();
        let ranks = rank(&ranked);
        for (index, worse) in &ranks.differs {
            let Some((group, _)) = others.get(*index) else {
                continue;
            };
            let at = self.original.find(&group.path, &["selector"]);
            let named = worse.iter().filter_map(|other| others.get(*other));
            let named = named.map(|(other, _)| other.id.as_str());
            self.out.diagnostics.push(say::rank_differs(at, named));
        }
        let mut taken = Names::default();
        let priorities = ranks.priorities.into_iter().chain(std::iter::repeat(0));
        for ((group, selectors), priority) in others.into_iter().chain(defaults).zip(priorities) {
            let name = taken.take(&group.id);
            let profile = profiles.get(&group.profile).cloned().unwrap_or_default();
            self.assignment(group, &name, profile, selectors, priority);
        }
    }

    fn assignment(
        &mut self,
        group: &Group,
        name: &str,
        profile: String,
        selectors: BTreeMap<String, String>,
        priority: i32,
    ) {
        if name != group.id {
            let (path, id) = (&group.path, &group.id);
            let line = format!("{path}: group `{id}` is now Assignment `{name}`");
            self.out.rewrites.push(line);
        }
        let used: BTreeSet<&String> = self
            .profiles
            .iter()
            .filter(|one| one.id == group.profile)
            .flat_map(|one| CONFIGS.map(|config| (config, file_id(one, config).to_owned())))
            .filter_map(|key| self.files.get(&key))
            .flat_map(|file| &file.used)
            .collect();
        let mut values = data(group);
        values.retain(|key, _| group.metadata.contains_key(key) || used.contains(key));
        let manifest = Assignment {
            comments: vec![from(&group.path, &group.title)],
            name: name.to_owned(),
            profile,
            is_default: selectors.is_empty(),
            selectors: selectors.into_iter().collect(),
            priority,
            values,
            ..Assignment::default()
        };
        self.out
            .add(&format!("assignments/{name}.yaml"), manifest.to_yaml());
    }

    /// The selectors in our spelling; `None` when the group cannot be selected here as it is there.
    fn selectors(&mut self, group: &Group) -> Option<BTreeMap<String, String>> {
        let mut selectors = BTreeMap::new();
        for (key, value) in &group.selector {
            let at = self.original.find(&group.path, &[key, "selector"]);
            let mut refuse = |why: &str| {
                self.out
                    .diagnostics
                    .push(say::selector(at.clone(), key, why));
                None
            };
            let Some(canonical) = canonical_key(key) else {
                return refuse("has a name that no label can have");
            };
            if value.is_empty() {
                return refuse(
                    "is empty: it selects machines that do not say it, and no selector of gitboot does",
                );
            }
            let value = match normalise(&canonical, value) {
                Ok(value) => value,
                Err(why) => return refuse(&why.to_string()),
            };
            if canonical == "buildarch" && !is_buildarch(&value) {
                return refuse("is no architecture that iPXE knows");
            }
            if selectors.insert(canonical.clone(), value).is_some() {
                return refuse("means the same label as another one");
            }
            if !is_sent(&canonical) && Identity::from_key(&canonical).is_none() {
                self.out.diagnostics.push(say::label_not_sent(at, key));
            }
        }
        Some(selectors)
    }
}

/// The selectors as matchbox orders groups by them.
fn pairs(group: &Group) -> String {
    let mut pairs: Vec<String> = group
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.sort();
    pairs.join(",")
}
