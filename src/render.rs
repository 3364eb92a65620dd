//! A match and labels become bytes.
use crate::label::Labels;
use crate::snapshot::{Config, Match};
use bytes::Bytes;

/// What URLs start with: scheme, authority and perhaps a path; never a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);
impl BaseUrl {
    /// Parses `--external-url`: http or https, a host, perhaps a port and a path; no userinfo, query or fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let _ = text;
        todo!()
    }
    /// `scheme://authority` of a request whose Host was already checked.
    pub fn of_request(scheme: &str, authority: &str) -> Self {
        Self(format!("{scheme}://{authority}"))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
/// Why nothing can be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The Profile has no script: HTTP 404.
    #[error("the Profile has no script")]
    NoScript,
    /// A look-up computed from a label failed: HTTP 500, logged.
    #[error("{0}")]
    Failed(String),
}
/// The script of a match.
pub fn script(matched: &Match<'_>, labels: &Labels, base: &BaseUrl) -> Result<Bytes, RenderError> {
    let _ = (matched, labels, base);
    todo!()
}
/// The bytes of a config.
pub fn config(config: &Config, labels: &Labels, base: &BaseUrl) -> Result<Bytes, RenderError> {
    let _ = (config, labels, base);
    todo!()
}
