//! Profiles meet values: every body is rendered once for everybody who will get it, so that no machine is the first to
//! find a mistake.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::id::{self, ConfigId, Content};
use crate::label::Labels;
use crate::manifest::{Assignment, Locator, Machine, Manifests};
use crate::snapshot::{
    Binding, Body, Choice, Config, ConfigDir, Entry, Link, Rendering, Rule, Scope, SelectorValues,
    Text, is_script,
};
use crate::template::{Context, Kind, ProblemKind, Template, Values};
use crate::tree::Revision;

use super::Bound;
use super::complaint::{Complaint, Complaints, Told};
use super::content::{Contents, Loaded, LoadedBody};
use super::rank::tier;
use super::resolve::{Candidate, Resolved};
use super::values::{look_up, merge};

/// Stands for the base URL while bodies are rendered for their ids; a NUL is in no URL and in no sensible text.
const BASE_MARK: &str = "\0gitboot base URL\0";
/// A base URL for checks of the whole text (RFC 6761 reserves `.invalid`).
const BASE_EXAMPLE: &str = "http://gitboot.invalid";
/// The content type of what nothing else is known about (contract, section 3).
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Builds rules, bindings and configs.
pub(super) struct Binder<'a> {
    revision: &'a Revision,
    contents: &'a Contents<'a>,
    complaints: Complaints<'a>,
    rules: Vec<Rule>,
    configs: HashMap<ConfigId, Arc<Config>>,
    directories: HashMap<ConfigId, Arc<ConfigDir>>,
    /// Configs that look the same for everybody, by Profile and name: rendered and hashed once.
    same_for_all: HashMap<(usize, &'a str), Built>,
}

/// A config on its way into a binding.
#[derive(Clone)]
struct Built {
    config: Arc<Config>,
    /// The text with [`BASE_MARK`] and without labels, to be inserted where `exposed: false` says so.
    text: String,
    /// Whether the text can be cut at the mark.
    is_plain: bool,
    exposed: bool,
    same_for_all: bool,
}

/// For whom something is bound.
#[derive(Clone, Copy)]
struct Whom<'a> {
    profile: usize,
    loaded: &'a Loaded<'a>,
    assignment: &'a str,
    machine: Option<(usize, &'a Machine)>,
}

impl std::fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.machine {
            None => write!(f, "Assignment `{}`", self.assignment),
            Some((
                _,
                Machine {
                    name: Some(name), ..
                },
            )) => write!(f, "machine `{name}` of Assignment `{}`", self.assignment),
            Some((place, _)) => write!(
                f,
                "machine {} of Assignment `{}`",
                place + 1,
                self.assignment
            ),
        }
    }
}

impl<'a> Binder<'a> {
    /// Binds every Assignment; what is wrong goes to `found`.
    pub(super) fn bind(
        manifests: &'a Manifests,
        resolved: &Resolved,
        contents: &'a Contents<'a>,
        revision: &'a Revision,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut binder = Self {
            revision,
            contents,
            complaints: Complaints::default(),
            rules: Vec::new(),
            configs: HashMap::new(),
            directories: HashMap::new(),
            same_for_all: HashMap::new(),
        };
        let mut used = BTreeSet::new();
        for ((assignment, candidates), values) in manifests
            .assignments
            .iter()
            .zip(&resolved.candidates)
            .zip(&contents.assignment_values)
        {
            used.extend(candidates.iter().map(|candidate| candidate.profile));
            if let Some(values) = values.as_ref().filter(|_| !assignment.broken) {
                binder.assignment(assignment, candidates, values);
            }
        }
        let complete = resolved
            .candidates
            .iter()
            .all(|candidates| !candidates.is_empty());
        let unused =
            (0..contents.profiles.len()).filter(|number| complete && !used.contains(number));
        unused.for_each(|number| binder.complaints.unused(number));
        std::mem::take(&mut binder.complaints).tell(contents, locator, found);
        binder
    }

    pub(super) fn finish(self) -> Bound {
        Bound {
            rules: self.rules,
            configs: self.configs,
            directories: self.directories,
        }
    }

    fn assignment(
        &mut self,
        assignment: &'a Assignment,
        candidates: &[Candidate],
        values: &Map<String, Value>,
    ) {
        let mut choices = Vec::new();
        for candidate in candidates {
            let Some(loaded) = self
                .contents
                .profiles
                .get(candidate.profile)
                .and_then(Option::as_ref)
            else {
                return;
            };
            let whom = Whom {
                profile: candidate.profile,
                loaded,
                assignment: &assignment.name,
                machine: None,
            };
            let mut base = loaded.values.clone();
            merge(&mut base, values);
            choices.push(self.choice(whom, assignment, candidate, &base));
        }
        self.rules.push(Rule {
            name: assignment.name.as_str().into(),
            tier: tier(assignment),
            priority: assignment.priority,
            selectors: assignment
                .selectors
                .iter()
                .map(|selector| SelectorValues {
                    key: selector.key.as_str().into(),
                    values: selector
                        .values
                        .iter()
                        .map(|value| value.as_str().into())
                        .collect(),
                })
                .collect(),
            entries: assignment.machines.iter().map(entry).collect(),
            choices,
        });
    }

    fn choice(
        &mut self,
        whom: Whom<'a>,
        assignment: &'a Assignment,
        candidate: &Candidate,
        base: &Map<String, Value>,
    ) -> Choice {
        let mut choice = Choice {
            requires: candidate.requires.clone(),
            shared: None,
            own: BTreeMap::new(),
        };
        let names_machine = bodies(whom.loaded).any(|(_, body)| {
            body.template
                .as_ref()
                .is_some_and(|one| one.usage().machine_name)
        });
        let has_own = |machine: &Machine| {
            !machine.values.is_empty() || (names_machine && machine.name.is_some())
        };
        for (place, machine) in assignment
            .machines
            .iter()
            .enumerate()
            .filter(|(_, machine)| has_own(machine))
        {
            let mut values = base.clone();
            merge(&mut values, &machine.values);
            let whom = Whom {
                machine: Some((place, machine)),
                ..whom
            };
            if let Ok(binding) = self.binding(whom, values) {
                choice.own.insert(place, Arc::new(binding));
            }
        }
        if assignment.machines.is_empty() || !assignment.machines.iter().all(has_own) {
            choice.shared = self.binding(whom, base.clone()).ok().map(Arc::new);
        }
        choice
    }

    fn binding(&mut self, whom: Whom<'a>, values: Map<String, Value>) -> Result<Binding, Told> {
        self.check_values(whom, &values)?;
        let values = Value::Object(values);
        let scope = Arc::new(Scope {
            profile: whom.loaded.profile.name.as_str().into(),
            assignment: whom.assignment.into(),
            machine: whom
                .machine
                .and_then(|(_, machine)| machine.name.clone())
                .unwrap_or_default(),
            values: Values::from_json(&values),
        });
        let mut built: BTreeMap<&str, Built> = BTreeMap::new();
        for (name, body) in &whom.loaded.configs {
            let one = match self.same_for_all.get(&(whom.profile, *name)) {
                Some(known) => known.clone(),
                None => self.config(whom, name, body, &scope, &values, &built)?,
            };
            built.insert(name, one);
        }
        let script = whom
            .loaded
            .script
            .as_ref()
            .and_then(|body| body.template.as_ref());
        let script = script
            .map(|template| self.script(whom, template, &scope, &built))
            .transpose()?;
        Ok(Binding {
            scope,
            script,
            configs: exposed(&built),
        })
    }

    /// Ensure that every value a template writes exists, and that every value it prints as it is can be printed.
    fn check_values(&mut self, whom: Whom<'a>, values: &Map<String, Value>) -> Result<(), Told> {
        let mut result = Ok(());
        for (name, body) in bodies(whom.loaded) {
            let Some(template) = &body.template else {
                continue;
            };
            for (number, one) in template
                .usage()
                .values
                .iter()
                .enumerate()
                .filter(|(_, one)| !one.path.is_empty())
            {
                let complaint = match look_up(values, &one.path) {
                    None => Complaint::Undefined {
                        number,
                        near: near(values, &one.path),
                    },
                    Some(Value::Null) if one.printed => Complaint::Unprintable {
                        number,
                        what: "null",
                    },
                    Some(Value::Array(_)) if one.printed => Complaint::Unprintable {
                        number,
                        what: "a list",
                    },
                    Some(Value::Object(_)) if one.printed => Complaint::Unprintable {
                        number,
                        what: "a map",
                    },
                    Some(_) => continue,
                };
                result = Err(self.complaints.add(whom.profile, name, complaint, whom));
            }
        }
        result
    }

    fn config(
        &mut self,
        whom: Whom<'a>,
        name: &'a str,
        body: &'a LoadedBody<'a>,
        scope: &Arc<Scope>,
        values: &Value,
        built: &BTreeMap<&str, Built>,
    ) -> Result<Built, Told> {
        let draft = match &body.template {
            None => Draft::of_bytes(body),
            Some(template) => self.draft(
                whom,
                name,
                template,
                body.content_type.as_deref(),
                scope,
                built,
            )?,
        };
        self.check_json(whom, name, body, &draft)?;
        let links = body
            .template
            .as_ref()
            .map_or_else(Vec::new, |template| links(template, built));
        let labels = draft.labels.clone();
        let id = config_id(whom, body, &draft, scope, values, &links);
        let prints_base_url = draft.prints_base_url;
        let is_plain = draft.is_plain;
        let text = draft.text.clone().unwrap_or_default();
        let content_type = draft.content_type.clone();
        let (bytes, sent) = match &body.template {
            None => (
                body.bytes.len(),
                Body::Fixed(Text::whole(body.bytes.clone())),
            ),
            Some(_) if labels.is_empty() && is_plain => {
                (text.len(), Body::Fixed(Text::cut(&text, BASE_MARK)))
            }
            Some(template) => (
                template
                    .sources()
                    .iter()
                    .map(|source| source.text.len())
                    .sum(),
                Body::Rendered(Rendering {
                    template: Arc::clone(template),
                    kind: kind_of(&content_type),
                    scope: Arc::clone(scope),
                    links,
                    directory: None,
                }),
            ),
        };
        if kind_of(&content_type) == Kind::Other
            && let Some(template) = &body.template
        {
            for number in 0..template.usage().bare_labels.len() {
                self.complaints.add(
                    whom.profile,
                    Some(name),
                    Complaint::BareLabel { number },
                    whom,
                );
            }
        }
        let config = Arc::new(Config {
            id,
            name: name.to_owned(),
            content_type,
            labels,
            prints_base_url,
            bytes,
            body: sent,
        });
        let config = if body.exposed {
            Arc::clone(self.configs.entry(id).or_insert(config))
        } else {
            config
        };
        let same_for_all = body
            .template
            .as_ref()
            .is_none_or(|template| is_same_for_all(template, built));
        let one = Built {
            config,
            text,
            is_plain,
            exposed: body.exposed,
            same_for_all,
        };
        if same_for_all {
            self.same_for_all.insert((whom.profile, name), one.clone());
        }
        Ok(one)
    }

    /// Renders a template without labels, with a mark for the base URL.
    fn draft(
        &mut self,
        whom: Whom<'a>,
        name: &'a str,
        template: &Template,
        content_type: Option<&str>,
        scope: &Scope,
        built: &BTreeMap<&str, Built>,
    ) -> Result<Draft, Told> {
        let usage = template.usage();
        let links = links(template, built);
        let mut labels: BTreeSet<String> = usage.labels.iter().cloned().collect();
        labels.extend(
            links
                .iter()
                .flat_map(|(_, link)| link.config().labels.iter().cloned()),
        );
        let text = self.rendered(whom, Some(name), template, Kind::Other, scope, built, None)?;
        let is_plain = usage.base_is_plain && linked_texts(template, built).all(|one| one.is_plain);
        let prints_base_url = usage.base_url
            || links.iter().any(|(_, link)| match link {
                Link::Url(_) => true,
                Link::Text(config) => config.prints_base_url,
            });
        let content_type = content_type.map_or_else(
            || sniff(text.as_deref().unwrap_or("").as_bytes()),
            str::to_owned,
        );
        Ok(Draft {
            text,
            labels,
            is_plain,
            prints_base_url,
            content_type,
        })
    }

    /// The text of a template without labels; none when only a machine's label can tell.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for scripts and configs"
    )]
    fn rendered(
        &mut self,
        whom: Whom<'a>,
        name: Option<&'a str>,
        template: &Template,
        kind: Kind,
        scope: &Scope,
        built: &BTreeMap<&str, Built>,
        directory: Option<&ConfigDir>,
    ) -> Result<Option<String>, Told> {
        let configs: BTreeMap<String, String> = links(template, built)
            .into_iter()
            .map(|(name, link)| {
                let text = match &link {
                    Link::Url(config) => format!("{BASE_MARK}/config/{}", config.id),
                    Link::Text(_) => built
                        .get(name.as_str())
                        .map_or_else(String::new, |one| one.text.clone()),
                };
                (name, text)
            })
            .collect();
        let config_dir = directory.map_or_else(String::new, |directory| {
            format!("{BASE_MARK}/config/{}/", directory.id)
        });
        let result = template.render(
            kind,
            &Context {
                labels: &Labels::default(),
                values: &scope.values,
                configs: &configs,
                config_dir: &config_dir,
                base_url: BASE_MARK,
                profile: &scope.profile,
                assignment: &scope.assignment,
                machine: &scope.machine,
                revision: self.revision.as_str(),
            },
        );
        let usage = template.usage();
        match result {
            Ok(text) => Ok(Some(text)),
            Err(problem)
                if problem.kind == ProblemKind::Undefined
                    && !usage.labels.is_empty()
                    && usage.values.iter().any(|one| one.computed) =>
            {
                Ok(None)
            }
            Err(problem) => {
                Err(self
                    .complaints
                    .add(whom.profile, name, Complaint::Render(problem), whom))
            }
        }
    }

    /// Ensure that a body which a manifest or a file name calls JSON is JSON.
    fn check_json(
        &mut self,
        whom: Whom<'a>,
        name: &'a str,
        body: &LoadedBody<'_>,
        draft: &Draft,
    ) -> Result<(), Told> {
        let Some(content_type) = body.content_type.as_deref().filter(|one| is_json(one)) else {
            return Ok(());
        };
        let parsed = match (&body.template, &draft.text) {
            (None, _) => serde_json::from_slice::<serde::de::IgnoredAny>(&body.bytes),
            (Some(_), Some(text)) => serde_json::from_str(&text.replace(BASE_MARK, BASE_EXAMPLE)),
            (Some(_), None) => return Ok(()),
        };
        parsed.map(|_| ()).map_err(|error| {
            let complaint = Complaint::InvalidJson {
                content_type: content_type.to_owned(),
                why: error.to_string(),
            };
            self.complaints
                .add(whom.profile, Some(name), complaint, whom)
        })
    }

    fn script(
        &mut self,
        whom: Whom<'a>,
        template: &Arc<Template>,
        scope: &Arc<Scope>,
        built: &BTreeMap<&str, Built>,
    ) -> Result<Body, Told> {
        let usage = template.usage();
        let directory = usage.config_dir.then(|| self.directory(built));
        let text = self.rendered(
            whom,
            None,
            template,
            Kind::Script,
            scope,
            built,
            directory.as_deref(),
        )?;
        if text
            .as_ref()
            .is_some_and(|text| !is_script(text.as_bytes()))
        {
            return Err(self
                .complaints
                .add(whom.profile, None, Complaint::NotAScript, whom));
        }
        let links = links(template, built);
        let uses_labels = !usage.labels.is_empty()
            || links
                .iter()
                .any(|(_, link)| !link.config().labels.is_empty())
            || directory
                .as_ref()
                .is_some_and(|directory| !directory.labels.is_empty());
        let is_plain = usage.base_is_plain && linked_texts(template, built).all(|one| one.is_plain);
        // A machine's own script is rendered when it boots: a million finished scripts would not fit into memory.
        let is_fixed = !uses_labels && is_plain && !usage.revision && whom.machine.is_none();
        Ok(match text {
            Some(text) if is_fixed => Body::Fixed(Text::cut(&text, BASE_MARK)),
            _ => Body::Rendered(Rendering {
                template: Arc::clone(template),
                kind: Kind::Script,
                scope: Arc::clone(scope),
                links,
                directory,
            }),
        })
    }

    fn directory(&mut self, built: &BTreeMap<&str, Built>) -> Arc<ConfigDir> {
        let configs = exposed(built);
        let id = id::directory_id(
            &configs
                .iter()
                .map(|(name, config)| (name.clone(), config.id))
                .collect(),
        );
        let labels = configs
            .values()
            .flat_map(|config| config.labels.iter().cloned())
            .collect();
        Arc::clone(self.directories.entry(id).or_insert_with(|| {
            Arc::new(ConfigDir {
                id,
                configs,
                labels,
            })
        }))
    }
}

/// A config's text before it has an id.
struct Draft {
    /// The text with marks; absent when only a machine's label can tell.
    text: Option<String>,
    labels: BTreeSet<String>,
    is_plain: bool,
    prints_base_url: bool,
    content_type: String,
}

impl Draft {
    fn of_bytes(body: &LoadedBody<'_>) -> Self {
        Self {
            text: Some(String::from_utf8_lossy(&body.bytes).into_owned()),
            labels: BTreeSet::new(),
            is_plain: true,
            prints_base_url: false,
            content_type: body
                .content_type
                .clone()
                .unwrap_or_else(|| sniff(&body.bytes)),
        }
    }
}

fn config_id(
    whom: Whom<'_>,
    body: &LoadedBody<'_>,
    draft: &Draft,
    scope: &Scope,
    values: &Value,
    links: &[(String, Link)],
) -> ConfigId {
    let text = draft.text.as_deref().unwrap_or("");
    let Some(template) = &body.template else {
        return id::config_id(&draft.content_type, &Content::Fixed(vec![&body.bytes]));
    };
    if draft.labels.is_empty() {
        let content = if draft.is_plain {
            Content::Fixed(text.split(BASE_MARK).map(str::as_bytes).collect())
        } else {
            Content::Rendered(text.as_bytes())
        };
        return id::config_id(&draft.content_type, &content);
    }
    let content = Content::Template {
        older: whom.loaded.profile.older,
        sources: template
            .sources()
            .iter()
            .map(|source| &*source.text)
            .collect(),
        mentioned: &mentioned(template, scope, values),
        configs: links
            .iter()
            .map(|(name, link)| (name.as_str(), link.config().id))
            .collect(),
    };
    id::config_id(&draft.content_type, &content)
}

/// The values and names that a template mentions; all values where a look-up is computed (contract, section 5).
fn mentioned(template: &Template, scope: &Scope, values: &Value) -> Value {
    let usage = template.usage();
    let mut mentioned = Map::new();
    if usage
        .values
        .iter()
        .any(|one| one.computed || one.path.is_empty())
    {
        mentioned.insert("values".to_owned(), values.clone());
    } else if let Value::Object(values) = values {
        let mut picked = Map::new();
        for one in &usage.values {
            if let Some(value) = look_up(values, &one.path) {
                picked.insert(one.path.join("."), json!([one.path, value]));
            }
        }
        mentioned.insert("values".to_owned(), Value::Object(picked));
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

fn bodies<'a>(
    loaded: &'a Loaded<'a>,
) -> impl Iterator<Item = (Option<&'a str>, &'a LoadedBody<'a>)> {
    let script = loaded.script.iter().map(|body| (None, body));
    script.chain(
        loaded
            .configs
            .iter()
            .map(|(name, body)| (Some(*name), body)),
    )
}

/// What the names of configs in a template stand for.
fn links(template: &Template, built: &BTreeMap<&str, Built>) -> Vec<(String, Link)> {
    let link = |one: &Built| {
        let config = Arc::clone(&one.config);
        if one.exposed {
            Link::Url(config)
        } else {
            Link::Text(config)
        }
    };
    template
        .usage()
        .configs
        .iter()
        .filter_map(|name| Some((name.clone(), link(built.get(name.as_str())?))))
        .collect()
}

/// The configs that a template inserts as text.
fn linked_texts<'b>(
    template: &'b Template,
    built: &'b BTreeMap<&str, Built>,
) -> impl Iterator<Item = &'b Built> {
    template
        .usage()
        .configs
        .iter()
        .filter_map(|name| built.get(name.as_str()))
        .filter(|one| !one.exposed)
}

fn is_same_for_all(template: &Template, built: &BTreeMap<&str, Built>) -> bool {
    let usage = template.usage();
    usage.values.is_empty()
        && !usage.assignment_name
        && !usage.machine_name
        && usage
            .configs
            .iter()
            .all(|name| built.get(name.as_str()).is_some_and(|one| one.same_for_all))
}

fn exposed(built: &BTreeMap<&str, Built>) -> BTreeMap<String, Arc<Config>> {
    let exposed = built.iter().filter(|(_, one)| one.exposed);
    exposed
        .map(|(name, one)| ((*name).to_owned(), Arc::clone(&one.config)))
        .collect()
}

fn entry(machine: &Machine) -> Entry {
    Entry {
        name: machine.name.clone().unwrap_or_default(),
        identities: machine
            .identities
            .iter()
            .map(|one| (one.identity, one.values.clone()))
            .collect(),
    }
}

fn kind_of(content_type: &str) -> Kind {
    if is_json(content_type) {
        Kind::Json
    } else {
        Kind::Other
    }
}

/// Whether a media type is JSON by its name (RFC 6839, section 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The content type of a body that nobody names one for (contract, section 3).
fn sniff(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace(BASE_MARK, BASE_EXAMPLE);
    if text
        .lines()
        .next()
        .is_some_and(|first| first.trim_end() == "#cloud-config")
    {
        return "text/cloud-config".to_owned();
    }
    if text.trim_start().starts_with(['{', '[']) {
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(map))
                if map
                    .get("ignition")
                    .is_some_and(|one| one.get("version").is_some()) =>
            {
                return "application/vnd.coreos.ignition+json".to_owned();
            }
            Ok(_) => return "application/json".to_owned(),
            Err(_) => {}
        }
    }
    PLAIN_TEXT.to_owned()
}

/// A value beside the missing one, spelled alike.
fn near(values: &Map<String, Value>, path: &[String]) -> Option<String> {
    let (last, before) = path.split_last()?;
    let map = match before {
        [] => values,
        _ => look_up(values, before)?.as_object()?,
    };
    let near = crate::diagnostic::similar(last, map.keys().map(String::as_str))?;
    let mut whole: Vec<&str> = vec!["values"];
    whole.extend(before.iter().map(String::as_str));
    whole.push(near);
    Some(whole.join("."))
}
