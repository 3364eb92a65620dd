//! Profiles meet values: every body is rendered once for everybody who will get it, so that no machine is the first to
//! find a mistake.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::id::{self, ConfigId, Content, IdKey};
use crate::label::Labels;
use crate::secret::Secret;
use crate::snapshot::{Body, Config, ConfigDir, Link, Rendering, Rule, Scope, Text, is_script};
use crate::template::{Context, Kind, ProblemKind, Template, Values};
use crate::tree::Revision;

use super::Bound;
use super::bind::Whom;
use super::complaint::{Complaint, Complaints, Told};
use super::content::LoadedBody;
use super::draft::{Draft, exposed, has_secrets, is_same_for_all, linked_texts, links};
use super::lint::{Excess, excesses, place};
use super::media::{is_json, kind_of, sniff};
use super::mention::mentioned;
use super::secrets::Vault;

/// Stands for the base URL while bodies are rendered for their ids; a NUL is in no URL and in no sensible text.
const BASE_MARK: &str = "\0gitboot base URL\0";
/// A base URL for checks of the whole text (RFC 6761 reserves `.invalid`).
const BASE_EXAMPLE: &str = "http://gitboot.invalid";

/// What bodies are made with besides Profiles and Assignments.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    pub(super) revision: &'a Revision,
    pub(super) id_key: Option<&'a IdKey>,
    pub(super) vault: &'a Vault,
}

impl Outside<'_> {
    /// Whether only a server can tell the id of a config: it knows the secrets, and it has a key if any config has secrets.
    fn seals(&self, has_secrets: bool) -> bool {
        let has_key = self.id_key.is_some();
        !self.vault.is_known && (has_secrets || (self.vault.is_used && !has_key))
    }
}

/// Builds bodies, each content once.
pub(super) struct Bodies<'a> {
    pub(super) complaints: Complaints<'a>,
    pub(super) outside: Outside<'a>,
    configs: HashMap<ConfigId, Arc<Config>>,
    directories: HashMap<ConfigId, Arc<ConfigDir>>,
    /// Configs that look the same for everybody, by Profile and name: rendered and hashed once.
    same_for_all: HashMap<(usize, &'a str), Built>,
}

/// A config on its way into a binding.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing about the config that others ask for alone"
)]
pub(super) struct Built {
    pub(super) config: Arc<Config>,
    /// The text with [`BASE_MARK`] and without labels, where `exposed: false` wants it inserted.
    pub(super) text: Arc<str>,
    /// Whether the text can be cut at the mark.
    pub(super) is_plain: bool,
    pub(super) exposed: bool,
    pub(super) same_for_all: bool,
    /// Whether a secret may stand in its text.
    pub(super) has_secrets: bool,
}

impl Built {
    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

/// What a body is rendered with.
pub(super) struct Setting<'s, 'a> {
    /// For whom.
    pub(super) whom: Whom<'a>,
    /// The names and values as templates see them.
    pub(super) scope: &'s Arc<Scope>,
    /// The values as ids are made of them.
    pub(super) values: &'s Value,
    /// The configs that were built before.
    pub(super) built: &'s BTreeMap<&'a str, Built>,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(outside: Outside<'a>) -> Self {
        Self {
            complaints: Complaints::default(),
            outside,
            configs: HashMap::new(),
            directories: HashMap::new(),
            same_for_all: HashMap::new(),
        }
    }

    /// What templates find in `secrets`.
    pub(super) fn secrets(&self) -> Arc<Secret<Values>> {
        Arc::clone(&self.outside.vault.values)
    }

    pub(super) fn into_bound(self, rules: Vec<Rule>) -> Bound {
        Bound {
            rules,
            configs: self.configs,
            directories: self.directories,
        }
    }

    /// Takes over what others built; what was built before stays.
    pub(super) fn absorb(&mut self, others: Self) {
        self.complaints.absorb(others.complaints);
        for (id, config) in others.configs {
            self.configs.entry(id).or_insert(config);
        }
        for (id, directory) in others.directories {
            self.directories.entry(id).or_insert(directory);
        }
    }

    /// One config: checked, with its id, and either ready to send or one render away.
    pub(super) fn config(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: &'a str,
        body: &'a LoadedBody<'a>,
    ) -> Result<Built, Told> {
        let key = (setting.whom.profile, name);
        if let Some(known) = self.same_for_all.get(&key) {
            return Ok(known.clone());
        }
        let draft = match &body.template {
            None => Draft::of_bytes(body),
            Some(template) => self.draft(setting, name, template, body.content_type.as_deref())?,
        };
        self.check_json(setting, name, body, &draft)?;
        self.warn_of_bare_labels(setting, name, body, &draft);
        let same_for_all = body
            .template
            .as_ref()
            .is_none_or(|template| is_same_for_all(template, setting.built));
        let built = Built {
            text: if body.exposed {
                "".into()
            } else {
                draft.text.as_deref().unwrap_or_default().into()
            },
            is_plain: draft.is_plain,
            exposed: body.exposed,
            same_for_all,
            has_secrets: draft.has_secrets,
            config: self.finished(setting, name, body, draft),
        };
        if same_for_all {
            self.same_for_all.insert(key, built.clone());
        }
        Ok(built)
    }

    /// The script: checked, with the directory it names and, where no label changes it, its text.
    pub(super) fn script(
        &mut self,
        setting: &Setting<'_, 'a>,
        template: &Arc<Template>,
    ) -> Result<(Option<Arc<ConfigDir>>, Option<Text>), Told> {
        let whom = setting.whom;
        let usage = template.usage();
        let directory = usage.config_dir.then(|| self.directory(setting.built));
        let text = self.rendered(setting, None, template, Kind::Script, directory.as_deref())?;
        if text
            .as_ref()
            .is_some_and(|text| !is_script(text.as_bytes()))
        {
            return Err(self
                .complaints
                .add(whom.profile, None, Complaint::NotAScript, whom));
        }
        if let Some(text) = &text {
            self.warn_of_long_lines(whom, template, text);
        }
        let links = links(template, setting.built);
        let uses_labels = !usage.labels.is_empty()
            || links
                .iter()
                .any(|(_, link)| !link.config().labels.is_empty())
            || directory
                .as_ref()
                .is_some_and(|directory| !directory.labels.is_empty());
        let is_plain =
            usage.base_is_plain && linked_texts(template, setting.built).all(|one| one.is_plain);
        // A machine's own script is rendered when it boots: a million finished scripts would not fit into memory.
        let is_fixed = !uses_labels && is_plain && !usage.revision && whom.machine.is_none();
        let text = text.filter(|_| is_fixed);
        Ok((directory, text.map(|text| Text::cut(&text, BASE_MARK))))
    }

    /// The config with its id; one that is there already is shared.
    fn finished(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: &str,
        body: &LoadedBody<'_>,
        draft: Draft,
    ) -> Arc<Config> {
        let links = body
            .template
            .as_ref()
            .map_or_else(Vec::new, |template| links(template, setting.built));
        let id = self.config_id(setting, body, &draft, &links);
        let is_sealed = self.outside.seals(draft.has_secrets)
            || links.iter().any(|(_, link)| link.config().is_sealed);
        let text = draft.text.as_deref().unwrap_or_default();
        let mut prints_base_url = draft.prints_base_url;
        let (bytes, sent) = match &body.template {
            None => (
                body.bytes.len(),
                Body::Fixed(Text::whole(body.bytes.clone())),
            ),
            Some(_) if draft.is_fixed() => {
                let cut = Text::cut(text, BASE_MARK);
                // Who names the URL may not print it. The text alone tells, as it makes the id: many may share this.
                prints_base_url = cut.has_base_url();
                (text.len(), Body::Fixed(cut))
            }
            Some(template) => {
                let rendering = Rendering {
                    template: Arc::clone(template),
                    kind: kind_of(&draft.content_type),
                    scope: Arc::clone(setting.scope),
                    links,
                    has_secrets: draft.has_secrets,
                };
                (
                    template
                        .sources()
                        .iter()
                        .map(|source| source.text.len())
                        .sum(),
                    Body::Rendered(rendering),
                )
            }
        };
        let config = Arc::new(Config {
            id,
            name: name.to_owned(),
            content_type: draft.content_type,
            signer: self.signer(&draft.labels),
            is_sealed,
            labels: draft.labels,
            prints_base_url,
            bytes,
            body: sent,
        });
        if !body.exposed {
            return config;
        }
        Arc::clone(self.configs.entry(id).or_insert(config))
    }

    /// Renders a template without labels, with a mark for the base URL.
    fn draft(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: &'a str,
        template: &Template,
        content_type: Option<&str>,
    ) -> Result<Draft, Told> {
        let usage = template.usage();
        let links = links(template, setting.built);
        let mut labels: BTreeSet<String> = usage.labels.iter().cloned().collect();
        labels.extend(
            links
                .iter()
                .flat_map(|(_, link)| link.config().labels.iter().cloned()),
        );
        let text = self.rendered(setting, Some(name), template, Kind::Other, None)?;
        let prints_base_url = usage.base_url
            || links.iter().any(|(_, link)| match link {
                Link::Url(_) => true,
                Link::Text(config) => config.prints_base_url,
            });
        let sniffed = || {
            let text = text.as_deref().unwrap_or_default();
            sniff(text.replace(BASE_MARK, BASE_EXAMPLE).as_bytes())
        };
        Ok(Draft {
            has_secrets: has_secrets(template, setting.built),
            is_plain: usage.base_is_plain
                && linked_texts(template, setting.built).all(|one| one.is_plain),
            content_type: content_type.map_or_else(sniffed, str::to_owned),
            text,
            labels,
            prints_base_url,
        })
    }

    /// The text of a template without labels; none when only a machine's label can tell.
    fn rendered(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: Option<&'a str>,
        template: &Template,
        kind: Kind,
        directory: Option<&ConfigDir>,
    ) -> Result<Option<String>, Told> {
        let configs = links(template, setting.built)
            .into_iter()
            .map(|(name, link)| {
                let text = match &link {
                    Link::Url(config) => config.url(BASE_MARK, &name),
                    Link::Text(_) => setting
                        .built
                        .get(name.as_str())
                        .map_or_else(String::new, |one| one.text.to_string()),
                };
                (name, text)
            });
        let config_dir = directory.map_or_else(String::new, |directory| {
            format!("{}/", directory.url(BASE_MARK))
        });
        let has_secrets = has_secrets(template, setting.built);
        let result = template.render(
            kind,
            &Context {
                labels: &Labels::default(),
                values: &setting.scope.values,
                secrets: &setting.scope.secrets,
                is_secret: has_secrets,
                configs: &configs.collect::<BTreeMap<_, _>>(),
                config_dir: &config_dir,
                base_url: BASE_MARK,
                profile: &setting.scope.profile,
                assignment: &setting.scope.assignment,
                machine: &setting.scope.machine,
                revision: self.outside.revision.as_str(),
            },
        );
        let usage = template.usage();
        let mut paths = usage.values.iter().chain(&usage.secrets);
        let only_a_label_can_tell = !usage.labels.is_empty() && paths.any(|one| one.by_label);
        match result {
            Ok(text) => Ok(Some(text)),
            Err(problem) if problem.kind == ProblemKind::Undefined && only_a_label_can_tell => {
                Ok(None)
            }
            // What a filter makes of a secret, only the secret itself can tell.
            Err(_) if has_secrets && !self.outside.vault.is_known => Ok(None),
            Err(problem) => {
                let complaint = Complaint::Render(problem);
                Err(self
                    .complaints
                    .add(setting.whom.profile, name, complaint, setting.whom))
            }
        }
    }

    /// Ensure that a body which a manifest or a file name calls JSON is JSON.
    fn check_json(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: &'a str,
        body: &LoadedBody<'_>,
        draft: &Draft,
    ) -> Result<(), Told> {
        let Some(content_type) = body.content_type.as_deref().filter(|one| is_json(one)) else {
            return Ok(());
        };
        let parsed = match (&body.template, &draft.text) {
            (None, _) => serde_json::from_slice::<serde::de::IgnoredAny>(&body.bytes),
            (Some(_), Some(_)) if draft.has_secrets && !self.outside.vault.is_known => {
                return Ok(());
            }
            (Some(_), Some(text)) => serde_json::from_str(&text.replace(BASE_MARK, BASE_EXAMPLE)),
            (Some(_), None) => return Ok(()),
        };
        parsed.map(|_| ()).map_err(|error| {
            let complaint = Complaint::InvalidJson {
                content_type: content_type.to_owned(),
                why: (!draft.has_secrets).then(|| error.to_string()),
            };
            self.complaints
                .add(setting.whom.profile, Some(name), complaint, setting.whom)
        })
    }

    /// Ensure that somebody looks at labels which a body prints as they are.
    fn warn_of_bare_labels(
        &mut self,
        setting: &Setting<'_, 'a>,
        name: &'a str,
        body: &LoadedBody<'_>,
        draft: &Draft,
    ) {
        let Some(template) = body
            .template
            .as_ref()
            .filter(|_| kind_of(&draft.content_type) == Kind::Other)
        else {
            return;
        };
        for number in 0..template.usage().bare_labels.len() {
            self.complaints.add(
                setting.whom.profile,
                Some(name),
                Complaint::BareLabel { number },
                setting.whom,
            );
        }
    }

    /// Ensure that no line of a script is longer than iPXE and kernels take. Labels and the base URL only make it longer.
    fn warn_of_long_lines(&mut self, whom: Whom<'a>, template: &Template, text: &str) {
        let whole = if text.contains(BASE_MARK) {
            Cow::Owned(text.replace(BASE_MARK, BASE_EXAMPLE))
        } else {
            Cow::Borrowed(text)
        };
        let grows = matches!(whole, Cow::Owned(_)) || !template.usage().labels.is_empty();
        for mut excess in excesses(&whole) {
            if let Excess::CommandLine { is_least, .. } = &mut excess {
                *is_least |= grows;
            }
            let place = place(template, excess.line());
            let complaint = Complaint::LongLine(excess, place);
            self.complaints.add(whom.profile, None, complaint, whom);
        }
    }

    fn directory(&mut self, built: &BTreeMap<&str, Built>) -> Arc<ConfigDir> {
        let configs = exposed(built);
        let id = id::directory_id(
            self.outside.id_key,
            &configs
                .iter()
                .map(|(name, config)| (name.clone(), config.id))
                .collect(),
        );
        let labels = configs
            .values()
            .flat_map(|config| config.labels.iter().cloned())
            .collect();
        let signer = self.signer(&labels);
        let is_sealed = configs.values().any(|config| config.is_sealed);
        Arc::clone(self.directories.entry(id).or_insert_with(|| {
            Arc::new(ConfigDir {
                id,
                configs,
                labels,
                signer,
                is_sealed,
            })
        }))
    }

    /// What signs the labels in a URL that carries these.
    fn signer(&self, labels: &BTreeSet<String>) -> Option<IdKey> {
        self.outside.id_key.filter(|_| !labels.is_empty()).cloned()
    }

    fn config_id(
        &self,
        setting: &Setting<'_, '_>,
        body: &LoadedBody<'_>,
        draft: &Draft,
        links: &[(String, Link)],
    ) -> ConfigId {
        let key = self.outside.id_key;
        let Some(template) = &body.template else {
            let content = Content::Fixed(vec![&body.bytes]);
            return id::config_id(key, &draft.content_type, &content);
        };
        // What a filter makes of a base URL is seen for one URL only: two that agree there may differ for the next.
        if draft.is_fixed() {
            let text = draft.text.as_deref().unwrap_or_default();
            let pieces = text.split(BASE_MARK).map(str::as_bytes);
            let content = Content::Fixed(pieces.collect());
            return id::config_id(key, &draft.content_type, &content);
        }
        let secrets = self.outside.vault.json();
        let content = Content::Template {
            older: setting.whom.loaded.profile.older,
            sources: body.sources.iter().map(AsRef::as_ref).collect(),
            mentioned: &mentioned(template, setting.scope, setting.values, secrets),
            configs: links
                .iter()
                .map(|(name, link)| (name.as_str(), link.config().id))
                .collect(),
        };
        id::config_id(key, &draft.content_type, &content)
    }
}
