//! A config before it has an id, and the configs that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::snapshot::{Config, Link};
use crate::template::Template;

use super::body::Built;
use super::content::LoadedBody;
use super::media::sniff;

/// A config's text before it has an id.
pub(super) struct Draft {
    /// The text with marks; absent when only a machine's label can tell.
    pub(super) text: Option<String>,
    pub(super) labels: BTreeSet<String>,
    pub(super) is_plain: bool,
    pub(super) prints_base_url: bool,
    pub(super) content_type: String,
    /// Whether a secret may stand in the text.
    pub(super) has_secrets: bool,
}

impl Draft {
    /// Whether everybody gets the same, but for where the base URL stands.
    pub(super) fn is_fixed(&self) -> bool {
        self.labels.is_empty() && self.is_plain && self.text.is_some()
    }

    pub(super) fn of_bytes(body: &LoadedBody<'_>) -> Self {
        Self {
            text: Some(String::from_utf8_lossy(&body.bytes).into_owned()),
            labels: BTreeSet::new(),
            is_plain: true,
            prints_base_url: false,
            has_secrets: false,
            content_type: body
                .content_type
                .clone()
                .unwrap_or_else(|| sniff(&body.bytes)),
        }
    }
}

/// What the names of configs in a template stand for.
pub(super) fn links(template: &Template, built: &BTreeMap<&str, Built>) -> Vec<(String, Link)> {
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
pub(super) fn linked_texts<'b>(
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

/// Whether a secret may stand in what a template prints.
pub(super) fn has_secrets(template: &Template, built: &BTreeMap<&str, Built>) -> bool {
    !template.usage().secrets.is_empty() || linked_texts(template, built).any(|one| one.has_secrets)
}

pub(super) fn is_same_for_all(template: &Template, built: &BTreeMap<&str, Built>) -> bool {
    let usage = template.usage();
    usage.values.is_empty()
        && !usage.assignment_name
        && !usage.machine_name
        && usage
            .configs
            .iter()
            .all(|name| built.get(name.as_str()).is_some_and(|one| one.same_for_all))
}

pub(super) fn exposed(built: &BTreeMap<&str, Built>) -> BTreeMap<String, Arc<Config>> {
    let exposed = built.iter().filter(|(_, one)| one.exposed);
    exposed
        .map(|(name, one)| ((*name).to_owned(), Arc::clone(&one.config)))
        .collect()
}
