//! stub
mod problem;
pub mod limits {
    pub const SOURCE_BYTES: usize = 1;
    pub const FUEL: u64 = 1;
    pub const WORK: u64 = 1;
    pub const OUTPUT_BYTES: usize = 1;
}
use crate::label::Labels;
use crate::tree::RepoPath;
pub use problem::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Script,
    Json,
    Other,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Current,
    Older,
}
#[derive(Clone, Debug)]
pub struct Source {
    pub path: RepoPath,
    pub text: Arc<str>,
}
pub struct Scope<'a> {
    pub configs: &'a BTreeSet<String>,
    pub dialect: Dialect,
    pub in_script: bool,
}
#[derive(Debug)]
pub struct Template;
#[derive(Debug, Default)]
pub struct Usage {
    pub labels: BTreeSet<String>,
    pub values: Vec<ValuePath>,
    pub configs: BTreeSet<String>,
    pub config_dir: bool,
    pub base_url: bool,
    pub revision: bool,
    pub profile_name: bool,
    pub assignment_name: bool,
    pub machine_name: bool,
    pub base_is_plain: bool,
    pub bare_labels: Vec<Place>,
}
#[derive(Debug)]
pub struct ValuePath {
    pub path: Vec<String>,
    pub place: Place,
    pub computed: bool,
    pub printed: bool,
}
#[derive(Debug, Clone)]
pub struct Values;
impl Values {
    pub fn from_json(_: &serde_json::Value) -> Self {
        Self
    }
}
pub struct Context<'a> {
    pub labels: &'a Labels,
    pub values: &'a Values,
    pub configs: &'a BTreeMap<String, String>,
    pub config_dir: &'a str,
    pub base_url: &'a str,
    pub profile: &'a str,
    pub assignment: &'a str,
    pub machine: &'a str,
    pub revision: &'a str,
}
pub fn parse(
    _: &Source,
    _: &Scope<'_>,
    _: &dyn Fn(&RepoPath) -> Result<Arc<str>, IncludeError>,
) -> Result<Template, Vec<Problem>> {
    todo!()
}
impl Template {
    pub fn usage(&self) -> &Usage {
        todo!()
    }
    pub fn sources(&self) -> &[Source] {
        todo!()
    }
    pub fn render(&self, _: Kind, _: &Context<'_>) -> Result<String, Problem> {
        todo!()
    }
}
