//! Bodies of Profiles: loaded, typed, parsed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Location, content as say, template as say_template};
use crate::manifest::{Body, Budget, Content, Locator, Manifests, Origin, Part, Profile, Step};
use crate::template::{self, Dialect, Place, Problem, Source, Template, ValuePath, look_up};
use crate::tree::RepoPath;

use super::files::Files;
use super::values::{Layers, ValuesFiles};

/// A body that starts with this asks to be left alone (contract, section 3): `cloud-init` has Jinja templates of its own.
const OWN_TEMPLATE_MARK: &[u8] = b"## template:";

/// How deep configs may name each other. Each level costs native stack when a machine asks, and when a snapshot is freed.
const CONFIG_DEPTH: usize = 32;

/// Templates that may be rendered for one config: itself, and those whose text is inserted, which insert others. As many
/// as the files that one template may include, and like them a bound on the work of one request.
const CONFIG_RENDERS: usize = 64;

/// What the Profiles and Assignments say, with every file read.
pub(super) struct Contents<'m> {
    /// By the Profile's place; `None` where something is wrong with it.
    pub(super) profiles: Vec<Option<Loaded<'m>>>,
    /// The values of each Assignment, to be laid over those of its Profile; `None` where a file cannot be had.
    pub(super) assignment_values: Vec<Option<Layers<'m>>>,
}

/// A Profile with its bodies.
pub(super) struct Loaded<'m> {
    pub(super) profile: &'m Profile,
    pub(super) script: Option<LoadedBody<'m>>,
    /// In an order in which every config comes after those it names.
    pub(super) configs: Vec<(&'m str, LoadedBody<'m>)>,
    pub(super) values: Map<String, Value>,
}

impl Loaded<'_> {
    /// The values that an Assignment has to give: written in a body, and not there without it, or not such that they can be
    /// printed.
    pub(super) fn needs(&self) -> BTreeSet<Vec<String>> {
        let configs = self.configs.iter().map(|(_, body)| body);
        let templates = self.script.iter().chain(configs);
        let templates = templates.filter_map(|body| body.template.as_ref());
        let values = Value::Object(self.values.clone());
        let is_missing = |one: &&ValuePath| match look_up(&values, &one.path) {
            None => true,
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
                one.printed && !one.path.is_empty()
            }
            Some(_) => false,
        };
        let written = templates.flat_map(|template| &template.usage().values);
        let missing = written.filter(is_missing);
        missing.map(|one| one.path.clone()).collect()
    }
}

/// A body: its bytes, or its template.
pub(super) struct LoadedBody<'m> {
    pub(super) bytes: Bytes,
    pub(super) template: Option<Arc<Template>>,
    /// The template and all it includes, in the order in which they are named: where the files stand does not count.
    pub(super) sources: Vec<Arc<str>>,
    /// What the manifest or the file's name says; otherwise the rendered body decides.
    pub(super) content_type: Option<String>,
    /// Whether the content type is JSON by the manifest's or the file name's word, so that the body must parse.
    pub(super) exposed: bool,
    pub(super) spot: Spot<'m>,
}

/// Where a body stands, to point into it.
pub(super) struct Spot<'m> {
    origin: &'m Origin,
    steps: &'m [Step],
    file: Option<RepoPath>,
    text: Arc<str>,
    /// Lines of configs are shown to nobody.
    is_script: bool,
}

impl Spot<'_> {
    /// The body as a whole: where the manifest says it.
    pub(super) fn start(&self, locator: &Locator<'_>) -> Location {
        locator.place(self.origin, self.steps, Part::Key)
    }

    /// A place in the body, or in a file that it includes.
    pub(super) fn place(&self, place: &Place, locator: &Locator<'_>) -> Location {
        let inline = self.file.is_none() && place.path == self.origin.path;
        if inline {
            locator.in_body(
                self.origin,
                self.steps,
                &self.text,
                &place.range,
                self.is_script,
            )
        } else {
            locator.in_file(&place.path, &place.range, self.is_script)
        }
    }
}

impl<'m> Contents<'m> {
    /// The ways to all secrets that any config writes.
    pub(super) fn secrets(&self) -> BTreeSet<Vec<String>> {
        let loaded = self.profiles.iter().flatten();
        let templates = loaded
            .flat_map(|one| &one.configs)
            .filter_map(|(_, body)| body.template.as_ref());
        let paths = templates.flat_map(|one| &one.usage().secrets);
        paths.map(|one| one.path.clone()).collect()
    }

    pub(super) fn load(
        manifests: &'m Manifests,
        files: &Files<'_>,
        locator: &Locator<'_>,
        budget: Budget,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let values = ValuesFiles::new(files, budget);
        let loader = Loader { files, locator };
        let profiles = manifests
            .profiles
            .iter()
            .map(|profile| {
                let values = values.layers(
                    &profile.origin,
                    &profile.values_from,
                    &profile.values,
                    locator,
                    found,
                );
                let bodies = loader.bodies(profile, found);
                let (script, configs) = bodies?;
                Some(Loaded {
                    profile,
                    script,
                    configs,
                    values: values?.onto(Map::new()),
                })
            })
            .collect();
        let assignment_values = manifests
            .assignments
            .iter()
            .map(|one| values.layers(&one.origin, &one.values_from, &one.values, locator, found))
            .collect();
        Self {
            profiles,
            assignment_values,
        }
    }
}

struct Loader<'a, 't> {
    files: &'a Files<'t>,
    locator: &'a Locator<'a>,
}

/// A body's bytes, the file they stand in, and the way to where the manifest says so.
type Raw<'m> = (Bytes, Option<RepoPath>, &'m [Step]);

type Bodies<'m> = (Option<LoadedBody<'m>>, Vec<(&'m str, LoadedBody<'m>)>);

/// A template and the texts that it is made of, itself first.
type Parsed = (Arc<Template>, Vec<Arc<str>>);

impl Loader<'_, '_> {
    /// All bodies of a Profile, or `None` when any of them is wrong.
    fn bodies<'m>(&self, profile: &'m Profile, found: &mut Vec<Diagnostic>) -> Option<Bodies<'m>> {
        let names: BTreeSet<String> = profile.configs.keys().cloned().collect();
        let mut complete = true;
        let mut note =
            |result: Result<LoadedBody<'m>, Vec<Diagnostic>>| match result {
                Ok(body) => Some(body),
                Err(diagnostics) => {
                    complete = false;
                    // A config that could not be read is not missed a second time.
                    found.extend(diagnostics.into_iter().filter(|one| {
                        !(profile.broken && one.code() == say_template::UNKNOWN_CONFIG)
                    }));
                    None
                }
            };
        let script = profile
            .script
            .as_ref()
            .and_then(|content| note(self.script(profile, content, &names)));
        let mut configs = BTreeMap::new();
        for (name, body) in &profile.configs {
            if let Some(loaded) = note(self.config(profile, name, body, &names)) {
                configs.insert(name.as_str(), loaded);
            }
        }
        if !complete || profile.broken {
            return None;
        }
        match in_order(configs) {
            Ok(configs) => {
                let wrong = self.too_much(profile, &configs);
                let wrong = wrong.or_else(|| self.leak(profile, script.as_ref()?, &configs));
                if let Some(diagnostic) = wrong {
                    found.push(diagnostic);
                    return None;
                }
                Some((script, configs))
            }
            Err(circle) => {
                let circle: Vec<&str> = circle.into_iter().collect();
                let body = circle.first().and_then(|name| profile.configs.get(*name))?;
                let at = self.locator.place(&profile.origin, &body.steps, Part::Key);
                found.push(say_template::circle(at, circle.into_iter()));
                None
            }
        }
    }

    /// Ensure that no request follows configs into each other without a bound. Told is the first that goes too far: those
    /// that name it do so because of it.
    fn too_much(
        &self,
        profile: &Profile,
        configs: &[(&str, LoadedBody<'_>)],
    ) -> Option<Diagnostic> {
        let mut sizes: HashMap<&str, (usize, usize, bool)> = HashMap::new();
        for (name, body) in configs {
            let named = body.template.iter().flat_map(|one| &one.usage().configs);
            let (mut depth, mut renders) = (1, 1);
            for (below, own, exposed) in named.filter_map(|name| sizes.get(name.as_str())) {
                depth = depth.max(below + 1);
                renders += if *exposed { 0 } else { *own };
            }
            let at = || {
                let steps = &profile.configs.get(*name)?.steps;
                Some(self.locator.place(&profile.origin, steps, Part::Key))
            };
            if depth > CONFIG_DEPTH {
                return Some(say_template::configs_too_deep(at()?, name, CONFIG_DEPTH));
            }
            if renders > CONFIG_RENDERS {
                return Some(say_template::configs_too_many(at()?, name, CONFIG_RENDERS));
            }
            sizes.insert(name, (depth, renders, body.exposed));
        }
        None
    }

    /// Ensure that no script prints the text of a config that holds a secret.
    fn leak(
        &self,
        profile: &Profile,
        script: &LoadedBody<'_>,
        configs: &[(&str, LoadedBody<'_>)],
    ) -> Option<Diagnostic> {
        let mut secret: BTreeSet<&str> = BTreeSet::new();
        for (name, body) in configs {
            let usage = body.template.as_ref().map(|one| one.usage());
            let has_secrets = usage.is_some_and(|usage| {
                !usage.secrets.is_empty()
                    || usage
                        .configs
                        .iter()
                        .any(|one| secret.contains(one.as_str()))
            });
            if has_secrets && !body.exposed {
                secret.insert(name);
            }
        }
        let mut named = script.template.as_ref()?.usage().configs.iter();
        let name = named.find(|name| secret.contains(name.as_str()))?;
        let steps = &profile.configs.get(name)?.steps;
        let at = self.locator.place(&profile.origin, steps, Part::Key);
        Some(say_template::inserted_secret(at, name))
    }

    fn script<'m>(
        &self,
        profile: &'m Profile,
        content: &'m Content,
        names: &BTreeSet<String>,
    ) -> Result<LoadedBody<'m>, Vec<Diagnostic>> {
        let (bytes, file, steps) = self.bytes(profile, content)?;
        let text = self.text(profile, &bytes, file.as_ref(), steps)?;
        let spot = Spot {
            origin: &profile.origin,
            steps,
            file,
            text,
            is_script: true,
        };
        let (template, sources) = self.template(profile, &spot, names)?;
        Ok(LoadedBody {
            bytes,
            template: Some(template),
            sources,
            content_type: None,
            exposed: true,
            spot,
        })
    }

    fn config<'m>(
        &self,
        profile: &'m Profile,
        name: &str,
        body: &'m Body,
        names: &BTreeSet<String>,
    ) -> Result<LoadedBody<'m>, Vec<Diagnostic>> {
        let (bytes, file, steps) = self.bytes(profile, &body.content)?;
        let content_type = body.content_type.clone().or_else(|| {
            // What the file is called says more than what the config is: `seed: {file: seed.json}`.
            let of_file = file.as_ref().and_then(RepoPath::extension);
            let known = of_file.as_deref().and_then(type_by_extension);
            known
                .or_else(|| type_by_extension(&extension(name)?))
                .map(str::to_owned)
        });
        let is_text = std::str::from_utf8(&bytes).is_ok();
        let is_template = body
            .template
            .unwrap_or_else(|| !profile.older && is_text && !bytes.starts_with(OWN_TEMPLATE_MARK));
        let text = if is_template {
            self.text(profile, &bytes, file.as_ref(), steps)?
        } else {
            Arc::from("")
        };
        let spot = Spot {
            origin: &profile.origin,
            steps,
            file,
            text,
            is_script: false,
        };
        let (template, sources) = if is_template {
            let (template, sources) = self.template(profile, &spot, names)?;
            (Some(template), sources)
        } else {
            (None, Vec::new())
        };
        Ok(LoadedBody {
            bytes,
            template,
            sources,
            content_type,
            exposed: body.exposed,
            spot,
        })
    }

    fn bytes<'m>(
        &self,
        profile: &'m Profile,
        content: &'m Content,
    ) -> Result<Raw<'m>, Vec<Diagnostic>> {
        match content {
            Content::Inline(text, steps) => {
                Ok((Bytes::copy_from_slice(text.as_bytes()), None, steps))
            }
            Content::File(file) => {
                let (path, bytes) = self
                    .files
                    .named_by(&profile.origin, file, self.locator)
                    .map_err(|one| vec![*one])?;
                Ok((bytes, Some(path), &file.steps))
            }
        }
    }

    fn text(
        &self,
        profile: &Profile,
        bytes: &Bytes,
        file: Option<&RepoPath>,
        steps: &[Step],
    ) -> Result<Arc<str>, Vec<Diagnostic>> {
        std::str::from_utf8(bytes).map(Arc::from).map_err(|_| {
            let at = self.locator.place(&profile.origin, steps, Part::Value);
            vec![say::template_not_utf8(
                at,
                file.map_or("", RepoPath::as_str),
            )]
        })
    }

    fn template(
        &self,
        profile: &Profile,
        spot: &Spot<'_>,
        names: &BTreeSet<String>,
    ) -> Result<Parsed, Vec<Diagnostic>> {
        let path = spot
            .file
            .clone()
            .unwrap_or_else(|| spot.origin.path.clone());
        let source = Source {
            path,
            text: Arc::clone(&spot.text),
        };
        let dialect = if profile.older {
            Dialect::Older
        } else {
            Dialect::Current
        };
        let scope = template::Scope {
            configs: names,
            dialect,
            in_script: spot.is_script,
        };
        let sources = RefCell::new(vec![Arc::clone(&source.text)]);
        let parsed = template::parse(&source, &scope, &|path| {
            let text = self.files.included(path)?;
            sources.borrow_mut().push(Arc::clone(&text));
            Ok(text)
        });
        match parsed {
            Ok(template) => Ok((Arc::new(template), sources.into_inner())),
            Err(problems) => Err(problems
                .iter()
                .map(|problem| self.told(spot, problem))
                .collect()),
        }
    }

    fn told(&self, spot: &Spot<'_>, problem: &Problem) -> Diagnostic {
        say_template::problem(spot.place(&problem.place, self.locator), &problem.kind)
    }
}

/// The configs in an order in which each comes after those it names, or a circle of them. A config that names the
/// directory of all configs is a circle of its own.
fn in_order<'m>(
    mut left: BTreeMap<&'m str, LoadedBody<'m>>,
) -> Result<Vec<(&'m str, LoadedBody<'m>)>, Vec<&'m str>> {
    let mut ordered: Vec<(&str, LoadedBody<'_>)> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().find(|(_, body)| {
            body.template.as_ref().is_none_or(|template| {
                let usage = template.usage();
                !usage.config_dir
                    && usage
                        .configs
                        .iter()
                        .all(|name| !left.contains_key(name.as_str()))
            })
        });
        let Some(name) = ready.map(|(name, _)| *name) else {
            return Err(circle(&left));
        };
        ordered.extend(left.remove_entry(name));
    }
    Ok(ordered)
}

/// One circle among configs none of which comes first.
fn circle<'m>(left: &BTreeMap<&'m str, LoadedBody<'m>>) -> Vec<&'m str> {
    let next = |name: &str| -> Option<&'m str> {
        let usage = left.get(name)?.template.as_ref()?.usage();
        left.keys()
            .copied()
            .find(|other| usage.configs.contains(*other))
    };
    let mut path: Vec<&str> = Vec::new();
    let mut name = left.keys().next().copied();
    while let Some(current) = name {
        if let Some(start) = path.iter().position(|seen| *seen == current) {
            return path.split_off(start);
        }
        path.push(current);
        name = next(current);
    }
    // The last one names nobody that is left, so it is the directory that it names.
    path.split_off(path.len().saturating_sub(1))
}

/// What follows the last dot of a config's name.
fn extension(name: &str) -> Option<String> {
    let dot = name.rfind('.')?;
    name.get(dot + 1..).map(str::to_ascii_lowercase)
}

/// The content type that a file's extension stands for (contract, section 3).
fn type_by_extension(extension: &str) -> Option<&'static str> {
    match extension {
        "ign" => Some("application/vnd.coreos.ignition+json"),
        "json" => Some("application/json"),
        "ks" | "cfg" | "txt" | "conf" | "ini" | "sh" | "toml" | "list" | "preseed" | "ipxe"
        | "service" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

/// The range of a whole text, to point at its first byte.
pub(super) fn beginning(spot: &Spot<'_>) -> Place {
    Place {
        path: spot
            .file
            .clone()
            .unwrap_or_else(|| spot.origin.path.clone()),
        range: Range { start: 0, end: 0 },
    }
}
