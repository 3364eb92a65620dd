//! A match, labels and a base URL become bytes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::{self, ConfigId, IdKey};
use crate::label::{Labels, decode_percent, encode_query};
use crate::secret::Secret;
use crate::snapshot::{Body, Config, ConfigDir, Link, Match, Rendering, Script, is_script};
use crate::template::{Context, Kind, Problem, Template, Values};

/// What URLs start with: scheme, authority and perhaps a path, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads `--external-url`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text
            .parse()
            .map_err(|error| format!("`{text}` is no URL: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or("");
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let problem = if !matches!(scheme, "http" | "https") {
            "it must start with `http://` or `https://`"
        } else if authority.is_empty() || authority.contains('@') {
            "it must name a host, and no user"
        } else if uri.query().is_some() || text.contains('#') {
            "it must have no query and no fragment"
        } else {
            return Ok(Self(text.trim_end_matches('/').to_owned()));
        };
        Err(format!(
            "`{text}` cannot start the URLs that machines fetch: {problem}"
        ))
    }

    /// The base of the URLs in an answer: the scheme of the listener and the authority that the client asked for.
    #[must_use]
    pub fn of_request(scheme: &str, authority: &str) -> Self {
        // What `format!` does, without its machinery: this is made for every request.
        Self([scheme, "://", authority].concat())
    }

    /// The text, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why nothing can be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The Profile has configs alone.
    #[error("the Profile has no script")]
    NoScript,
    /// A look-up that was computed from a label found nothing, or the result is no script.
    #[error("{0}")]
    Failed(String),
}

/// The script of a match.
///
/// # Errors
/// The Profile has none, or it cannot be rendered for these labels.
pub fn script(matched: &Match<'_>, labels: &Labels, base: &BaseUrl) -> Result<Bytes, RenderError> {
    let bytes = match matched.script().ok_or(RenderError::NoScript)? {
        Script::Ready(text) => text.with_base_url(base.as_str()),
        Script::Template(template) => {
            let text = script_text(matched, template, labels, base);
            text.map(Bytes::from).map_err(failed)?
        }
    };
    if is_script(&bytes) {
        Ok(bytes)
    } else {
        Err(RenderError::Failed(
            "the rendered script does not start with `#!ipxe`".to_owned(),
        ))
    }
}

/// The bytes of a config.
///
/// # Errors
/// It cannot be rendered for these labels.
pub fn config(config: &Config, labels: &Labels, base: &BaseUrl) -> Result<Bytes, RenderError> {
    match &config.body {
        Body::Fixed(text) => Ok(text.with_base_url(base.as_str())),
        Body::Rendered(rendering) => {
            let text = config_text(rendering, rendering.kind, labels, base);
            text.map(Bytes::from).map_err(failed)
        }
    }
}

fn failed(Problem { place, kind }: Problem) -> RenderError {
    let (path, start) = (&place.path, place.range.start);
    RenderError::Failed(format!("`{path}`, byte {start}: {kind:?}"))
}

fn script_text(
    matched: &Match<'_>,
    template: &Template,
    labels: &Labels,
    base: &BaseUrl,
) -> Result<String, Problem> {
    let names = template.usage().configs.iter();
    let links = names.map(|name| (name, matched.link(name)));
    let configs = texts(links, Kind::Script, labels, base)?;
    let directory = matched
        .directory()
        .map(|directory| directory_url(directory, labels, base));
    template.render(
        Kind::Script,
        &Context {
            labels,
            values: matched.values(),
            secrets: &Secret::new(Values::none()),
            is_secret: false,
            configs: &configs,
            config_dir: directory.as_deref().unwrap_or(""),
            base_url: base.as_str(),
            profile: matched.profile(),
            assignment: matched.assignment(),
            machine: matched.machine().unwrap_or(""),
            revision: matched.snapshot().revision().as_str(),
        },
    )
}

fn config_text(
    rendering: &Rendering,
    kind: Kind,
    labels: &Labels,
    base: &BaseUrl,
) -> Result<String, Problem> {
    let links = rendering.links.iter().map(|(name, link)| match link {
        Link::Url(config) => (name, Some((config, true))),
        Link::Text(config) => (name, Some((config, false))),
    });
    let configs = texts(links, kind, labels, base)?;
    let scope = &rendering.scope;
    rendering.template.render(
        kind,
        &Context {
            labels,
            values: &scope.values,
            secrets: &scope.secrets,
            is_secret: rendering.has_secrets,
            configs: &configs,
            config_dir: "",
            base_url: base.as_str(),
            profile: &scope.profile,
            assignment: &scope.assignment,
            machine: &scope.machine,
            revision: "",
        },
    )
}

/// What the names of configs print: the URL, or the text of one that may not be fetched.
fn texts<'c>(
    links: impl ExactSizeIterator<Item = (&'c String, Option<(&'c Arc<Config>, bool)>)>,
    kind: Kind,
    labels: &Labels,
    base: &BaseUrl,
) -> Result<Vec<(&'c str, String)>, Problem> {
    let text = |name: &str, (config, exposed): (&Arc<Config>, bool)| match &config.body {
        _ if exposed => Ok(config_url(config, name, labels, base)),
        Body::Fixed(text) => {
            Ok(String::from_utf8_lossy(&text.with_base_url(base.as_str())).into_owned())
        }
        Body::Rendered(inner) => config_text(inner, kind, labels, base),
    };
    let mut texts = Vec::with_capacity(links.len());
    for (name, link) in links {
        if let Some(link) = link {
            texts.push((name.as_str(), text(name, link)?));
        }
    }
    Ok(texts)
}

/// A config's URL: its id, the labels that its bytes depend on, and their signature where ids are made under a key. One whose
/// id is made of secrets that are not known here stands there by `name`.
#[must_use]
pub fn config_url(config: &Config, name: &str, labels: &Labels, base: &BaseUrl) -> String {
    let mut url = config.url(base.as_str(), name);
    let query = query(config.id, &config.labels, config.signer.as_ref(), labels);
    if !query.is_empty() {
        url.push('?');
        url.push_str(&query);
    }
    url
}

/// A config directory's URL; the labels are one path segment, and each config's name follows the last slash.
fn directory_url(directory: &ConfigDir, labels: &Labels, base: &BaseUrl) -> String {
    let mut url = directory.url(base.as_str());
    url.push('/');
    let signer = directory.signer.as_ref();
    let query = query(directory.id, &directory.labels, signer, labels);
    if !query.is_empty() {
        url.push_str(&query);
        url.push('/');
    }
    url
}

fn query(id: ConfigId, used: &BTreeSet<String>, signer: Option<&IdKey>, labels: &Labels) -> String {
    let mut query = String::new();
    encode_query(carried(used, labels), &mut query);
    if let Some(key) = signer {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(SIGNATURE_KEY);
        query.push('=');
        query.push_str(&id::label_signature(key, id, carried(used, labels)));
    }
    query
}

/// What a label query under a key ends in.
const SIGNATURE_KEY: &str = "sig";

/// A label query whose signature has been set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedQuery {
    /// The query without its last `sig=…`.
    pub query: String,
    /// What stood there: hex digits, if all is well.
    signature: Option<String>,
}

impl SignedQuery {
    /// Takes a query apart. The last `sig` is the signature, since a label may have the same name; a client may have written
    /// it in another case or with escapes, and others may have added parameters behind it.
    #[must_use]
    pub fn of(query: &str) -> Self {
        let mut bytes = Vec::new();
        let mut is_signature = |parameter: &&str| {
            decode_percent(parameter.split('=').next().unwrap_or(""), &mut bytes);
            bytes.eq_ignore_ascii_case(SIGNATURE_KEY.as_bytes())
        };
        let parameters: Vec<&str> = query.split('&').collect();
        let Some(at) = parameters.iter().rposition(&mut is_signature) else {
            return Self {
                query: query.to_owned(),
                signature: None,
            };
        };
        let (before, from) = parameters.split_at(at);
        let (signature, after) = from.split_first().unwrap_or((&"", &[]));
        let (_, value) = signature.split_once('=').unwrap_or_default();
        decode_percent(value, &mut bytes);
        Self {
            query: [before, after].concat().join("&"),
            signature: String::from_utf8(bytes).ok(),
        }
    }

    /// Whether the signature is that of the labels that the URL of this id carries.
    #[must_use]
    pub fn is_signed(
        &self,
        key: &IdKey,
        id: ConfigId,
        used: &BTreeSet<String>,
        labels: &Labels,
    ) -> bool {
        let signature = self.signature.as_deref().unwrap_or("");
        id::is_label_signature(key, id, carried(used, labels), signature)
    }
}

/// The labels that are used and that the machine sent, sorted; those of `--label` are known to every server and left out.
fn carried<'l>(
    used: &'l BTreeSet<String>,
    labels: &'l Labels,
) -> impl Iterator<Item = (&'l str, &'l str)> {
    let sent = used.iter().filter(|key| !labels.is_fixed(key));
    sent.filter_map(|key| Some((key.as_str(), labels.get(key)?)))
}
