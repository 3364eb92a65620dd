//! Why a machine gets what it gets, for people and for programs.
//!
//! What is told is put together here, from a snapshot's [`Explanation`], what the machine would be sent, and where it all
//! stands; [`Report::text`] and [`Report::json`] only write it down.

mod json;
mod text;

use std::sync::Arc;

pub use text::{name, standing};

use crate::compile::Provenance;
use crate::label::{Dropped, Labels};
use crate::render::{self, BaseUrl, RenderError};
use crate::snapshot::{Config, Explanation, Match, NoMatch};
use crate::tree::Revision;

/// Everything that is told of one machine.
#[derive(Debug)]
pub struct Report<'a> {
    revision: &'a Revision,
    labels: &'a Labels,
    dropped: &'a [Dropped],
    explanation: &'a Explanation<'a>,
    /// Where values come from; absent where only the snapshot is known.
    provenance: Option<&'a Provenance>,
    /// `None` when the machine gets nothing.
    sent: Option<Sent<'a>>,
}

/// What a machine would be sent.
#[derive(Debug)]
struct Sent<'a> {
    matched: Match<'a>,
    script: Result<String, RenderError>,
    configs: Vec<SentConfig<'a>>,
}

/// A config that a machine would be sent.
#[derive(Debug)]
pub struct SentConfig<'a> {
    /// Its name.
    pub name: &'a str,
    /// The id and the URL; `None` where they are made of secrets that are not known here.
    pub known: Option<(String, String)>,
    /// What it is served as.
    pub content_type: &'a str,
    /// The labels that it uses.
    pub labels: Vec<&'a str>,
}

impl<'a> Report<'a> {
    /// Renders what the machine would be sent, with URLs that start with `base`.
    #[must_use]
    pub fn new(
        revision: &'a Revision,
        (labels, dropped): (&'a Labels, &'a [Dropped]),
        explanation: &'a Explanation<'a>,
        provenance: Option<&'a Provenance>,
        base: &BaseUrl,
    ) -> Self {
        let sent = explanation.outcome.as_ref().ok().map(|matched| Sent {
            matched: *matched,
            script: render::script(matched, labels, base)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            configs: configs(matched, labels, base),
        });
        Self {
            revision,
            labels,
            dropped,
            explanation,
            provenance,
            sent,
        }
    }

    /// Why the machine gets no script, or that it gets one, in the words of the log.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match (&self.explanation.outcome, &self.sent) {
            (Err(nothing), _) => nothing.reason(),
            (Ok(_), Some(sent)) => match &sent.script {
                Ok(_) => "ok",
                Err(RenderError::NoScript) => "no_script",
                Err(RenderError::Failed(_)) => "render_failed",
            },
            (Ok(_), None) => NoMatch::Unassigned.reason(),
        }
    }

    /// The script, if the machine would be sent one.
    #[must_use]
    pub fn script(&self) -> Option<&str> {
        self.sent.as_ref()?.script.as_deref().ok()
    }

    /// The configs of the machine, by name.
    #[must_use]
    pub fn configs(&self) -> &[SentConfig<'a>] {
        self.sent.as_ref().map_or(&[], |sent| &sent.configs)
    }

    /// Why the script cannot be rendered for this machine, if that is so.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.sent.as_ref()?.script {
            Err(RenderError::Failed(why)) => Some(why),
            Ok(_) | Err(RenderError::NoScript) => None,
        }
    }
}

fn configs<'a>(matched: &Match<'a>, labels: &Labels, base: &BaseUrl) -> Vec<SentConfig<'a>> {
    let one = |(name, config): (&'a str, &'a Arc<Config>)| SentConfig {
        name,
        known: (!config.is_sealed).then(|| {
            let url = render::config_url(config, name, labels, base);
            (config.id.to_string(), url)
        }),
        content_type: &config.content_type,
        labels: config.labels.iter().map(String::as_str).collect(),
    };
    matched.configs().map(one).collect()
}
