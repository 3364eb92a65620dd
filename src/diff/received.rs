//! What one machine receives from each side, and in what that differs.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::Bytes;

use super::literals::literals;
use super::report::Change;
use super::signature::difference;
use crate::id::ConfigId;
use crate::label::{FixedLabels, Labels};
use crate::render::{self, BaseUrl};
use crate::snapshot::{Config, Match, NoMatch, Recipe, Snapshot, Tier};
use crate::tree::Revision;

/// What URLs start with (RFC 6761 reserves `.invalid`).
const BASE_URL: &str = "http://gitboot.invalid";
/// What `{{ revision }}` prints on both sides: that a commit has another id is no news.
const REVISION: &str = "revision";
/// What iPXE asks for to get a config, before its id.
const CONFIG_PATH: &[u8] = b"/config/";
/// The characters of a UUID.
const ID_LENGTH: usize = 36;

/// One side of a comparison, prepared.
pub(super) struct Side {
    snapshot: Snapshot,
    /// The tiers of Assignments by their names.
    tiers: HashMap<Arc<str>, Tier>,
    base_url: BaseUrl,
}

/// What a side has for a machine.
pub(super) enum Found<'s> {
    Nothing {
        /// Whether no Assignment that names the machine had a say.
        is_unnamed: bool,
    },
    Match(Match<'s>),
}

/// A part of what a machine receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part<'s> {
    Script,
    Config(&'s str),
}

/// What somebody receives on one side: the Profile, and the tier of the Assignment.
pub(super) type Got<'s> = (&'s str, Tier);

/// In what two outcomes differ.
pub(super) struct Delta<'s> {
    pub(super) before: Option<Got<'s>>,
    pub(super) after: Option<Got<'s>>,
    /// The Assignments' names.
    pub(super) assignments: (Option<&'s str>, Option<&'s str>),
    pub(super) parts: Vec<(Part<'s>, Change)>,
    /// The labels that show the difference, where those that were asked with do not.
    pub(super) shown: Option<Labels>,
    /// The same for differences that are alike.
    pub(super) signature: u64,
}

impl Side {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let rules = snapshot.rules().iter();
        Self {
            tiers: rules
                .map(|rule| (Arc::clone(&rule.name), rule.tier))
                .collect(),
            snapshot: snapshot.with_revision(Revision::new(REVISION)),
            base_url: BaseUrl::parse(BASE_URL).expect("it is a URL with a host alone"),
        }
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What a machine with these labels gets.
    pub(super) fn find(&self, labels: &Labels) -> Found<'_> {
        let is_unnamed = match self.snapshot.find(labels) {
            Ok(matched) => return Found::Match(matched),
            Err(NoMatch::Unassigned) => true,
            Err(NoMatch::IdentityConflict { .. }) => false,
            Err(NoMatch::NoProfile { assignment }) => {
                self.tiers.get(assignment) != Some(&Tier::Named)
            }
        };
        Found::Nothing { is_unnamed }
    }

    /// The text of a part, with the ids of configs replaced by their names. The error says why it is not sent.
    pub(super) fn text(
        &self,
        matched: &Match<'_>,
        part: Part<'_>,
        labels: &Labels,
    ) -> Result<Bytes, String> {
        let bytes = match part {
            Part::Script => render::script(matched, labels, &self.base_url),
            Part::Config(name) => match matched.config(name) {
                Some(config) => render::config(config, labels, &self.base_url),
                None => return Err("there is no such config".to_owned()),
            },
        };
        let bytes = bytes.map_err(|error| error.to_string())?;
        Ok(with_names(&bytes, matched))
    }
}

/// The bytes with `<name>` for the id of each config in a URL: an id says no more than that something is different.
fn with_names(bytes: &Bytes, matched: &Match<'_>) -> Bytes {
    let mut text = Vec::new();
    let mut rest: &[u8] = bytes;
    while let Some(at) = find(rest, CONFIG_PATH) {
        let (before, after) = rest.split_at(at + CONFIG_PATH.len());
        text.extend_from_slice(before);
        rest = after;
        let id = after
            .get(..ID_LENGTH)
            .and_then(|id| std::str::from_utf8(id).ok());
        if let Some(name) = id.and_then(|id| name_of(id, matched)) {
            text.extend_from_slice(format!("<{name}>").as_bytes());
            rest = after.get(ID_LENGTH..).unwrap_or_default();
        }
    }
    if text.is_empty() {
        return bytes.clone();
    }
    text.extend_from_slice(rest);
    text.into()
}

fn name_of<'m>(id: &str, matched: &Match<'m>) -> Option<Cow<'m, str>> {
    let id = ConfigId::parse(id)?;
    let mut configs = matched.configs();
    match configs.find(|(_, config)| config.id == id) {
        Some((name, _)) => Some(name.into()),
        None => matched
            .snapshot()
            .config_dir(id)
            .map(|_| "config_dir".into()),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

impl<'s> Found<'s> {
    /// Whether no Assignment that names the machine had a say.
    pub(super) fn is_unnamed(&self) -> bool {
        match self {
            Self::Nothing { is_unnamed } => *is_unnamed,
            Self::Match(matched) => matched.rule().tier != Tier::Named,
        }
    }

    pub(super) fn matched(&self) -> Option<&Match<'s>> {
        match self {
            Self::Nothing { .. } => None,
            Self::Match(matched) => Some(matched),
        }
    }
}

/// What is kept from one comparison to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// How often other labels may still be tried where those of a machine show no difference.
    tries: usize,
    /// Configs that are the same for everybody and name no others: how they differ, and the hash of it. A large one that a
    /// hundred thousand machines share is looked at once.
    configs: HashMap<[ConfigId; 2], (Option<Change>, u64)>,
}

impl Memory {
    pub(super) fn with_tries(tries: usize) -> Self {
        Self {
            tries,
            ..Self::default()
        }
    }
}

/// In what the two outcomes for these labels differ; `None` when the machine receives the same.
pub(super) fn differ<'s>(
    sides: [&'s Side; 2],
    found: [&Found<'s>; 2],
    labels: &Labels,
    memory: &mut Memory,
) -> Option<Delta<'s>> {
    let [before, after] = found.map(Found::matched);
    let mut comparison = Comparison {
        sides,
        labels,
        memory,
        shown: None,
        signature: DefaultHasher::new(),
    };
    let parts = match (before, after) {
        (None, None) => return None,
        (Some(one), None) => parts_of(one, Change::Removed),
        (None, Some(one)) => parts_of(one, Change::Added),
        (Some(before), Some(after)) => {
            let parts = comparison.parts(before, after);
            if parts.is_empty() && before.profile() == after.profile() {
                return None;
            }
            parts
        }
    };
    let got = |matched: &Match<'s>| (matched.profile(), matched.rule().tier);
    Some(Delta {
        before: before.map(got),
        after: after.map(got),
        assignments: (before.map(Match::assignment), after.map(Match::assignment)),
        parts,
        shown: comparison.shown,
        signature: comparison.signature.finish(),
    })
}

fn parts_of<'s>(matched: &Match<'s>, change: Change) -> Vec<(Part<'s>, Change)> {
    let script = matched.script().map(|_| Part::Script);
    let configs = matched.configs().map(|(name, _)| Part::Config(name));
    let parts = script.into_iter().chain(configs);
    parts.map(|part| (part, change)).collect()
}

struct Comparison<'c, 's> {
    sides: [&'s Side; 2],
    labels: &'c Labels,
    memory: &'c mut Memory,
    shown: Option<Labels>,
    signature: DefaultHasher,
}

impl<'s> Comparison<'_, 's> {
    fn parts(&mut self, before: &Match<'s>, after: &Match<'s>) -> Vec<(Part<'s>, Change)> {
        let mut parts = Vec::new();
        let script = match (before.script_recipe(), after.script_recipe()) {
            (None, None) => None,
            (None, Some(_)) => Some(Change::Added),
            (Some(_), None) => Some(Change::Removed),
            (Some(one), Some(other)) => self.body([before, after], Part::Script, &[one, other]),
        };
        parts.extend(script.map(|change| (Part::Script, change)));
        let mut other_id = None;
        for name in names(before, after) {
            let part = Part::Config(name);
            let change = match (before.config(name), after.config(name)) {
                (None, None) => None,
                (None, Some(_)) => Some(Change::Added),
                (Some(_), None) => Some(Change::Removed),
                (Some(one), Some(other)) if one.id == other.id => None,
                (Some(one), Some(other)) => {
                    other_id = other_id.or(Some(part));
                    self.config([before, after], part, [one, other])
                }
            };
            parts.extend(change.map(|change| (part, change)));
        }
        if parts.is_empty() {
            parts.extend(other_id.map(|part| (part, Change::Id)));
        }
        parts
    }

    fn config(
        &mut self,
        found: [&Match<'s>; 2],
        part: Part<'s>,
        configs: [&Arc<Config>; 2],
    ) -> Option<Change> {
        let recipes = || configs.map(|config| config.recipe());
        let is_for_all = |config: &Arc<Config>| config.labels.is_empty() && !config.prints_base_url;
        let change = if configs.into_iter().all(is_for_all) {
            let key = configs.map(|config| config.id);
            let known = self.memory.configs.get(&key).copied();
            let (change, signature) = known.unwrap_or_else(|| {
                let outer = std::mem::take(&mut self.signature);
                let change = self.body(found, part, &recipes());
                (
                    change,
                    std::mem::replace(&mut self.signature, outer).finish(),
                )
            });
            self.memory.configs.insert(key, (change, signature));
            signature.hash(&mut self.signature);
            change
        } else {
            self.body(found, part, &recipes())
        };
        let [before, after] = configs;
        if before.content_type == after.content_type {
            change
        } else {
            (&before.content_type, &after.content_type).hash(&mut self.signature);
            Some(Change::ContentType)
        }
    }

    /// How two bodies differ, but for the ids of configs in them, which are told of as configs.
    fn body(
        &mut self,
        found: [&Match<'s>; 2],
        part: Part<'s>,
        recipes: &[Recipe<'_>; 2],
    ) -> Option<Change> {
        let [before, after] = recipes;
        if before.is_alike(after) {
            return None;
        }
        if self.shows(found, part, self.labels) {
            return Some(Change::Text);
        }
        let keys: BTreeSet<&str> = before.labels().union(&after.labels()).copied().collect();
        if keys.is_empty() {
            // What a filter makes of a secret cannot be shown.
            let [base, head] = self.sides;
            let [one, other] = found;
            let is_shown = base.text(one, part, self.labels).is_ok()
                || head.text(other, part, self.labels).is_ok();
            return (!is_shown).then_some(Change::Template);
        }
        if self.memory.tries == 0 {
            return Some(Change::Template);
        }
        for labels in self.other_labels(&keys, recipes) {
            if self.memory.tries == 0 {
                break;
            }
            self.memory.tries -= 1;
            if self.shows(found, part, &labels) {
                true.hash(&mut self.signature);
                self.shown = Some(labels);
                return Some(Change::Text);
            }
        }
        Some(Change::Template)
    }

    /// Whether these labels show a difference; what it is goes into the signature.
    fn shows(&mut self, found: [&Match<'s>; 2], part: Part<'s>, labels: &Labels) -> bool {
        let [base, head] = self.sides;
        let [before, after] = found;
        let before = base.text(before, part, labels);
        let after = head.text(after, part, labels);
        match (&before, &after) {
            (Err(_), Err(_)) => false,
            (Ok(before), Ok(after)) if before == after => false,
            (Ok(before), Ok(after)) => {
                part.hash(&mut self.signature);
                difference(before, after, &mut self.signature);
                true
            }
            _ => {
                (part, before.is_ok()).hash(&mut self.signature);
                true
            }
        }
    }

    /// Labels that may show what those of the probe do not: something for each label that the bodies use, then every text
    /// that stands in their templates, then nothing at all.
    fn other_labels(&self, keys: &BTreeSet<&str>, recipes: &[Recipe<'_>; 2]) -> Vec<Labels> {
        let missing: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| self.labels.get(key).is_none())
            .collect();
        let filled: Vec<_> = missing.iter().map(|key| (*key, placeholder(key))).collect();
        let borrowed = filled.iter().map(|(key, value)| (*key, value.as_str()));
        let mut all = vec![self.with(&borrowed.collect::<Vec<_>>())];
        for literal in literals(recipes.iter().flat_map(Recipe::templates)) {
            all.extend(missing.iter().map(|key| self.with(&[(key, literal)])));
        }
        all.push(Some(Labels::default()));
        all.into_iter().flatten().collect()
    }

    fn with(&self, more: &[(&str, &str)]) -> Option<Labels> {
        let macs = self.labels.macs().map(|mac| ("mac", mac));
        let others = self.labels.iter().filter(|(key, _)| *key != "mac");
        let pairs = macs.chain(others).chain(more.iter().copied());
        let (labels, _) = Labels::from_pairs(pairs, &FixedLabels::default()).ok()?;
        Some(labels)
    }
}

/// What stands for a label that nobody knows.
fn placeholder(key: &str) -> String {
    match key {
        "mac" => "52:54:00:12:34:56".to_owned(),
        "uuid" => "12345678-1234-4234-8234-123456789abc".to_owned(),
        "buildarch" => "x86_64".to_owned(),
        _ => key.to_uppercase(),
    }
}

/// The names of the configs of both.
fn names<'s>(before: &Match<'s>, after: &Match<'s>) -> BTreeSet<&'s str> {
    let all = before.configs().chain(after.configs());
    all.map(|(name, _)| name).collect()
}
