//! matchbox: its groups become Assignments, its profiles Profiles, its templates files.

mod groups;
mod rank;
mod read;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::diagnostic::import as say;
use crate::label::{canonical_key, normalise};
use crate::manifest::Budget;
use crate::tree::{RepoPath, Tree};

use super::manifests::{Assignment, Config, Names, Profile as Manifest};
use super::{Converted, Original, go};
use read::{Group, Profile};
use script::{State, endpoints, script};

/// Converts matchbox's data directory: the folders of [`super::MATCHBOX_FOLDERS`].
#[must_use]
pub fn matchbox(tree: &Tree, budget: Budget) -> Converted {
    let mut out = Converted::default();
    let original = Original::new(tree, budget);
    let (groups, profiles) = read::read(&original, &mut out.diagnostics);
    let mut converter = Converter {
        original: &original,
        groups: &groups,
        profiles: &profiles,
        files: BTreeMap::new(),
        out,
    };
    converter.files();
    let names = converter.profiles();
    converter.groups(&names);
    converter.out
}

/// The names of the configs that a profile may have: also those of matchbox's endpoints and folders.
const CONFIGS: [&str; 3] = ["ignition", "cloud", "generic"];

/// The file that a profile names for a config; empty when it names none.
fn file_id<'p>(profile: &'p Profile, config: &str) -> &'p str {
    match config {
        "ignition" => &profile.ignition,
        "cloud" => &profile.cloud,
        _ => &profile.generic,
    }
}

/// What became of a file that profiles name.
#[derive(Debug, Default)]
struct File {
    /// Whether it was converted.
    ready: bool,
    template: Option<bool>,
    content_type: Option<&'static str>,
    /// The values that it may do without.
    optional: BTreeSet<Vec<String>>,
    /// The values that it asks for, by their first name.
    used: BTreeSet<String>,
}

struct Converter<'c, 't> {
    original: &'c Original<'t>,
    groups: &'c [Group],
    profiles: &'c [Profile],
    /// By folder and name.
    files: BTreeMap<(&'static str, String), File>,
    out: Converted,
}

impl<'c> Converter<'c, '_> {
    /// Converts every file that a profile names.
    fn files(&mut self) {
        for config in CONFIGS {
            let ids: BTreeSet<&str> = self
                .profiles
                .iter()
                .map(|profile| file_id(profile, config))
                .filter(|id| !id.is_empty())
                .collect();
            for id in ids {
                let file = self.file(config, id);
                self.files.insert((config, id.to_owned()), file);
            }
        }
    }

    fn file(&mut self, config: &'static str, id: &str) -> File {
        let name = format!("{config}/{id}");
        let there = RepoPath::parse(&name)
            .ok()
            .and_then(|path| Some((self.original.tree.file(&path)?, path)));
        let Some((bytes, path)) = there else {
            let naming = self.profiles.iter().find(|one| file_id(one, config) == id);
            if let Some(profile) = naming {
                let at = self.original.find(&profile.path, &[id]);
                self.out.diagnostics.push(say::file_missing(at, &name));
            }
            return File::default();
        };
        let extension = id.rsplit_once('.').map_or("", |(_, extension)| extension);
        if config == "ignition" && !matches!(extension, "ign" | "ignition") {
            let at = self.original.find(&path, &[]);
            self.out.diagnostics.push(say::butane(at));
            return File::default();
        }
        if config == "ignition" {
            self.out.add(&name, bytes.clone());
            self.addresses(&path);
            let looks_like_template = self
                .original
                .text(&path)
                .is_some_and(|text| text.contains("{{") || text.contains("{%"));
            return File {
                ready: true,
                template: looks_like_template.then_some(false),
                content_type: (extension == "ignition")
                    .then_some("application/vnd.coreos.ignition+json"),
                ..File::default()
            };
        }
        self.template(config, id, &path)
    }

    /// A file that matchbox renders.
    fn template(&mut self, config: &'static str, id: &str, path: &RepoPath) -> File {
        let Some(text) = self.original.text(path) else {
            let at = self.original.find(path, &[]);
            self.out
                .diagnostics
                .push(say::unreadable(at, "it is no UTF-8 text"));
            return File::default();
        };
        let naming = self.profiles.iter();
        let naming = naming.filter(|profile| file_id(profile, config) == id);
        let naming: BTreeSet<&str> = naming.map(|profile| profile.id.as_str()).collect();
        let users = self.groups.iter();
        let users: Vec<&Group> = users
            .filter(|group| naming.contains(group.profile.as_str()))
            .collect();
        let data: Vec<Map<String, Value>> = users.iter().map(|group| data(group)).collect();
        match go::convert(text, &data, &CONFIGS) {
            Ok(converted) => {
                self.tell_lacking(path, &converted, &users, &data);
                self.addresses(path);
                let template = converted.text.starts_with("## template:").then_some(true);
                self.out.add(path.as_str(), converted.text);
                File {
                    ready: true,
                    template,
                    content_type: None,
                    optional: converted.optional,
                    used: converted.used,
                }
            }
            Err(faults) => {
                for fault in &faults {
                    let construct = text.get(fault.range.clone()).unwrap_or_default();
                    let at = self.original.at(path, &fault.range);
                    let told = say::no_equivalent(at, &shortened(construct), fault.why);
                    self.out.diagnostics.push(told);
                }
                let at = self.original.find(path, &[]);
                let told = say::template_left_out(at, faults.len());
                self.out.diagnostics.push(told);
                File::default()
            }
        }
    }

    fn tell_lacking(
        &mut self,
        path: &RepoPath,
        converted: &go::Converted,
        users: &[&Group],
        data: &[Map<String, Value>],
    ) {
        let without = |keys: &[String]| -> Vec<&str> {
            let has = |root: &Map<String, Value>| {
                keys.split_first().is_some_and(|(first, rest)| {
                    let found = root.get(first);
                    let found = found
                        .and_then(|found| rest.iter().try_fold(found, |value, key| value.get(key)));
                    found.is_some()
                })
            };
            let pairs = users.iter().zip(data);
            pairs
                .filter(|(_, root)| !has(root))
                .map(|(group, _)| group.id.as_str())
                .collect()
        };
        for (range, keys) in &converted.lacking {
            let at = self.original.at(path, range);
            let groups = without(keys).into_iter();
            let told = say::lacking(at, &keys.join("."), groups);
            self.out.diagnostics.push(told);
        }
        for (range, keys) in &converted.softened {
            let at = self.original.at(path, range);
            let groups = without(keys).into_iter();
            let told = say::softened(at, &keys.join("."), groups);
            self.out.diagnostics.push(told);
        }
    }

    /// Tells addresses of matchbox that stay in a file.
    fn addresses(&mut self, path: &RepoPath) {
        let Some(text) = self.original.text(path) else {
            return;
        };
        for url in endpoints(text) {
            let at = self.original.at(path, &url.range);
            self.out
                .diagnostics
                .push(say::address_in_body(at, &shortened(url.text)));
        }
    }

    /// Writes the Profiles and gives their names, by the ids of the profiles.
    fn profiles(&mut self) -> BTreeMap<String, String> {
        let mut taken = Names::default();
        let mut names = BTreeMap::new();
        for profile in self.profiles {
            let name = taken.take(&profile.id);
            if name != profile.id {
                let (path, id) = (&profile.path, &profile.id);
                let line = format!("{path}: profile `{id}` is now Profile `{name}`");
                self.out.rewrites.push(line);
            }
            self.profile(profile, &name);
            names.insert(profile.id.clone(), name);
        }
        // What a group names and is not there answers 404, there and here.
        for group in self.groups {
            if names.contains_key(&group.profile) {
                continue;
            }
            let at = self.original.find(&group.path, &[&group.profile]);
            self.out
                .diagnostics
                .push(say::profile_missing(at, &group.profile));
            let name = taken.take(&group.profile);
            let manifest = Manifest {
                comments: vec![format!(
                    "{} names a profile that did not exist: 404, as before.",
                    group.path
                )],
                name: name.clone(),
                ..Manifest::default()
            };
            self.out
                .add(&format!("profiles/{name}.yaml"), manifest.to_yaml());
            names.insert(group.profile.clone(), name);
        }
        names
    }

    fn profile(&mut self, profile: &'c Profile, name: &str) {
        let users: Vec<&Group> = self
            .groups
            .iter()
            .filter(|group| group.profile == profile.id)
            .collect();
        if users.is_empty() {
            let at = self.original.find(&profile.path, &[]);
            self.out.diagnostics.push(say::unused_profile(at));
        }
        let mut manifest = Manifest {
            comments: vec![from(&profile.path, &profile.title)],
            name: name.to_owned(),
            ..Manifest::default()
        };
        let mut left_out = Vec::new();
        for config in CONFIGS {
            let id = file_id(profile, config);
            let Some(file) = self.files.get(&(config, id.to_owned())) else {
                continue;
            };
            if !file.ready {
                left_out.push(format!("{config}/{id}"));
                continue;
            }
            manifest.configs.push(Config {
                name: config,
                file: format!("/{config}/{id}"),
                content_type: file.content_type,
                template: file.template,
            });
            for keys in &file.optional {
                default(&mut manifest.values, keys);
            }
        }
        let script_file = self.script(profile, name, &users);
        if !left_out.is_empty() {
            let names = left_out.join(" and ");
            let line = format!("Left out, because it could not be converted: {names}.");
            manifest.comments.push(line);
        }
        match script_file {
            Some((file, true)) => manifest.script = Some(format!("/{file}")),
            Some((file, false)) => manifest.comments.push(format!(
                "The script is in /{file}, and not served: it asks for what could not be converted. Without `ipxe` the answer is 404."
            )),
            None => {}
        }
        self.out
            .add(&format!("profiles/{name}.yaml"), manifest.to_yaml());
    }

    /// Writes the script of a profile that has one, and tells whether it may be served.
    fn script(
        &mut self,
        profile: &Profile,
        name: &str,
        users: &[&Group],
    ) -> Option<(String, bool)> {
        if profile.kernel.is_empty() {
            return None;
        }
        let state = |config: &str| {
            let Some(config) = CONFIGS.into_iter().find(|one| *one == config) else {
                return State::Absent;
            };
            let id = file_id(profile, config).to_owned();
            match self.files.get(&(config, id)) {
                None => State::Absent,
                Some(file) if file.ready => State::Ready,
                Some(_) => State::LeftOut,
            }
        };
        let found = &mut self.out.diagnostics;
        let script = script(self.original, profile, users, &state, found);
        self.out.rewrites.extend(script.rewrites);
        let file = format!("scripts/{name}.ipxe");
        self.out.add(&file, script.text);
        Some((file, script.whole))
    }
}

/// What matchbox hands to the templates of a group, without the request.
fn data(group: &Group) -> Map<String, Value> {
    let mut data = group.metadata.clone();
    for (key, value) in &group.selector {
        let value = match canonical_key(key).as_deref() {
            Some("mac") => normalise("mac", value).unwrap_or_else(|_| value.clone()),
            _ => value.clone(),
        };
        data.insert(key.to_lowercase(), Value::String(value));
    }
    data
}

/// Where a manifest comes from, for its first line.
fn from(path: &RepoPath, title: &str) -> String {
    if title.is_empty() {
        format!("From {path}.")
    } else {
        format!("From {path}: {title}")
    }
}

/// Gives a value an empty default.
fn default(values: &mut Map<String, Value>, keys: &[String]) {
    let Some((last, before)) = keys.split_last() else {
        return;
    };
    let mut map = values;
    for key in before {
        let inner = map
            .entry(key.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = inner else { return };
        map = inner;
    }
    map.entry(last.clone())
        .or_insert_with(|| Value::String(String::new()));
}

/// A construct as a message shows it.
fn shortened(construct: &str) -> String {
    /// More than this is not needed to find it.
    const SHOWN: usize = 72;
    if construct.chars().count() <= SHOWN {
        return construct.to_owned();
    }
    construct.chars().take(SHOWN).chain(['…']).collect()
}
