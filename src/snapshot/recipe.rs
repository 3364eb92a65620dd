//! How a script or a config is made, so that two can be compared without being rendered.

use std::collections::BTreeSet;

use crate::template::{Kind, Template, Values};

use super::config::{Body, Config, Link, Text};
use super::{Match, Script};

/// How a script or a config is made.
#[derive(Debug)]
pub enum Recipe<'s> {
    /// It is there.
    Ready(&'s Text),
    /// By rendering a template.
    Made {
        /// The template.
        template: &'s Template,
        /// How labels are escaped in it.
        kind: Kind,
        /// The merged values.
        values: &'s Values,
        /// The names of the Profile, the Assignment and the machine.
        names: [&'s str; 3],
        /// The configs that it names, and whether it prints their URL and not their text.
        links: Vec<(&'s str, &'s Config, bool)>,
    },
}

impl<'s> Match<'s> {
    /// How the script is made; a Profile may have none.
    #[must_use]
    pub fn script_recipe(&self) -> Option<Recipe<'s>> {
        let template = match self.script()? {
            Script::Ready(text) => return Some(Recipe::Ready(text)),
            Script::Template(template) => template,
        };
        let links = template.usage().configs.iter();
        Some(Recipe::Made {
            template,
            kind: Kind::Script,
            values: self.values(),
            names: [
                self.profile(),
                self.assignment(),
                self.machine().unwrap_or(""),
            ],
            links: links
                .filter_map(|name| {
                    let (config, exposed) = self.link(name)?;
                    Some((name.as_str(), config.as_ref(), exposed))
                })
                .collect(),
        })
    }
}

impl Config {
    /// How it is made.
    #[must_use]
    pub fn recipe(&self) -> Recipe<'_> {
        let rendering = match &self.body {
            Body::Fixed(text) => return Recipe::Ready(text),
            Body::Rendered(rendering) => rendering,
        };
        let scope = &rendering.scope;
        let links = rendering.links.iter().map(|(name, link)| {
            let exposed = matches!(link, Link::Url(_));
            (name.as_str(), link.config().as_ref(), exposed)
        });
        Recipe::Made {
            template: &rendering.template,
            kind: rendering.kind,
            values: &scope.values,
            names: [&scope.profile, &scope.assignment, &scope.machine],
            links: links.collect(),
        }
    }
}

impl<'s> Recipe<'s> {
    /// Whether both give the same to every machine, but for the ids in the URLs of configs. Recipes that are not alike may
    /// still come to the same for some machines, or for all.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let (template, kind, values, names, links) = match (self, other) {
            (Self::Ready(one), Self::Ready(other)) => return one == other,
            (
                Self::Made {
                    template,
                    kind,
                    values,
                    names,
                    links,
                },
                Self::Made { .. },
            ) => (template, kind, values, names, links),
            _ => return false,
        };
        let Self::Made {
            template: other_template,
            kind: other_kind,
            values: other_values,
            names: other_names,
            links: other_links,
        } = other
        else {
            return false;
        };
        let usage = template.usage();
        let used = [
            usage.profile_name,
            usage.assignment_name,
            usage.machine_name,
        ];
        let paths = usage.values.iter().map(|one| one.path.as_slice());
        kind == other_kind
            && template.reads_like(other_template)
            && (used.iter().zip(names).zip(other_names))
                .all(|((is_used, one), other)| !is_used || one == other)
            && values.agree(other_values, paths)
            && links.len() == other_links.len()
            && links.iter().zip(other_links).all(|(one, other)| {
                let (name, config, exposed) = one;
                let (other_name, other_config, other_exposed) = other;
                (name, exposed) == (other_name, other_exposed)
                    && (*exposed || config.id == other_config.id)
            })
    }

    /// The labels that its bytes may depend on, beyond those in the URLs of configs.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<&'s str> {
        let Self::Made {
            template, links, ..
        } = self
        else {
            return BTreeSet::new();
        };
        let texts = links.iter().filter(|(.., exposed)| !exposed);
        let texts = texts.flat_map(|(_, config, _)| &config.labels);
        let own = template.usage().labels.iter();
        own.chain(texts).map(String::as_str).collect()
    }

    /// The templates of which it is made: its own, then those of the configs whose text it prints.
    #[must_use]
    pub fn templates(&self) -> Vec<&'s Template> {
        let Self::Made {
            template, links, ..
        } = self
        else {
            return Vec::new();
        };
        let texts = links.iter().filter(|(.., exposed)| !exposed);
        let below = texts.flat_map(|(_, config, _)| config.recipe().templates());
        std::iter::once(*template).chain(below).collect()
    }
}
