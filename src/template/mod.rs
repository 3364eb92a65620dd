//! Strict templates: minijinja, set up so that files survive it.
//!
//! [`parse`] reads a template with everything it includes, checks each name in each branch, lists what it mentions, and
//! compiles it once; [`Template::render`] is cheap and may run on many threads at once.
//!
//! **Labels are the one untrusted input.** Whether a printed expression may derive from a label is found out by data
//! flow over the syntax trees (`walk`, `taint`, `resolve`); such expressions are wrapped into an escaping filter before
//! minijinja compiles the text (`rewrite`), and places are mapped back.
//!
//! Nothing a repository or a machine sends ends the process: [`limits`] bounds native recursion (at parse time, and in
//! values), instructions, memory and output.

mod echo;
mod engine;
mod facts;
mod fault;
mod filters;
mod lexis;
pub mod limits;
mod names;
mod older;
mod operators;
mod plain;
mod problem;
mod resolve;
mod rewrite;
mod run;
mod skeleton;
mod taint;
#[cfg(test)]
mod tests;
mod unit;
mod value;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use minijinja::Environment;

use crate::label::Labels;
use crate::secret::Secret;
use crate::tree::RepoPath;
use fault::Location;
use plain::Plain;
pub use problem::{IncludeError, Place, Problem, ProblemKind};
use rewrite::Origins;
use run::{Printed, Root, Shape};
pub use skeleton::{EXPRESSION, STATEMENT, Skeleton, skeleton};
pub use value::{Keys, Values, look_up, printed_number};

/// How labels are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An iPXE script: every byte outside `A-Za-z0-9-._~:@/+,=` becomes `%XX`.
    Script,
    /// A JSON body: the content of a JSON string.
    Json,
    /// Anything else: not at all; there are filters.
    Other,
}

/// Which spellings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Ours.
    Current,
    /// Also `{{ .x }}`, `{{ .AdditionalContent.x }}` and `{{ index . "x" }}` of the older API groups.
    Older,
}

/// A template's text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file; for an inline body the manifest. References are relative to it.
    pub path: RepoPath,
    /// The text.
    pub text: Arc<str>,
}

/// What a template may mention.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The config names of the Profile.
    pub configs: &'a BTreeSet<String>,
    /// Which spellings are read.
    pub dialect: Dialect,
    /// Whether it is a script: only there `revision` is in scope, and only there `secrets` is not.
    pub in_script: bool,
}

/// What a template and everything that it includes mention, in whatever branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one built-in name is mentioned"
)]
pub struct Usage {
    /// Canonical keys of labels.
    pub labels: BTreeSet<String>,
    /// Where each of them is written first.
    pub label_places: BTreeMap<String, Place>,
    /// Every `values.…` in the order of the text, file by file.
    pub values: Vec<ValuePath>,
    /// Every `secrets.…`, in the same order; only configs have any.
    pub secrets: Vec<ValuePath>,
    /// Config names, by `configs["x"]`, `configs.x` or a plain variable.
    pub configs: BTreeSet<String>,
    /// `config_dir` is mentioned.
    pub config_dir: bool,
    /// `base_url` is mentioned.
    pub base_url: bool,
    /// `revision` is mentioned.
    pub revision: bool,
    /// `profile.name` is mentioned.
    pub profile_name: bool,
    /// `assignment.name` is mentioned.
    pub assignment_name: bool,
    /// `machine.name` is mentioned.
    pub machine_name: bool,
    /// Every use of `configs`, `config_dir` and `base_url` is printed as it is, alone or joined by `~`: the output can
    /// be split at a mark that stands for the base URL. True also when there is none.
    pub base_is_plain: bool,
    /// Printed expressions that may derive from a label and end in no filter that escapes.
    pub bare_labels: Vec<Place>,
}

/// One `values.a.b` or `secrets.a.b` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuePath {
    /// The longest literal prefix; a literal index in decimal. See [`look_up`].
    pub path: Vec<String>,
    /// From `values` or `secrets` to the end of that prefix.
    pub place: Place,
    /// A look-up that is not literal follows, or `values` or `secrets` stands alone.
    pub computed: bool,
    /// What follows may be computed from a label, so that only a machine's label can tell whether it is there.
    pub by_label: bool,
    /// It is the whole of a `{{ … }}`.
    pub printed: bool,
}

/// Where the labels of a machine come from.
pub trait LabelSource {
    /// The value of a canonical key, if the machine sent one.
    fn label(&self, key: &str) -> Option<&str>;
}

impl LabelSource for Labels {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)
    }
}

impl LabelSource for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// Where the texts of configs come from while a template is rendered.
pub trait ConfigSource {
    /// What the name prints.
    fn text(&self, name: &str) -> Option<&str>;
}

impl ConfigSource for BTreeMap<String, String> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// The few that one template names.
impl ConfigSource for Vec<(&str, String)> {
    fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.iter().find(|(known, _)| *known == name)?;
        Some(text)
    }
}

/// What one render has in scope.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What the machine said about itself.
    pub labels: &'a dyn LabelSource,
    /// The merged values.
    pub values: &'a Values,
    /// What `secrets` holds; what it gives reaches no message.
    pub secrets: &'a Secret<Values>,
    /// Whether any part of it, or a text among `configs`, may be secret: then a failure is not told in words that may quote it.
    pub is_secret: bool,
    /// What `configs["name"]` prints; a name that is missing here is undefined.
    pub configs: &'a dyn ConfigSource,
    /// What `config_dir` prints.
    pub config_dir: &'a str,
    /// What `base_url` prints.
    pub base_url: &'a str,
    /// The name of the Profile.
    pub profile: &'a str,
    /// The name of the Assignment.
    pub assignment: &'a str,
    /// The name of the machine, or nothing.
    pub machine: &'a str,
    /// The revision.
    pub revision: &'a str,
}

/// A template that was checked and compiled, with all it includes.
pub struct Template {
    environment: Environment<'static>,
    usage: Usage,
    /// The template, then what it includes, sorted by path.
    sources: Vec<Source>,
    /// The same files in the order in which they were found, by which minijinja names them.
    order: Vec<usize>,
    origins: Vec<Origins>,
    shape: Arc<Shape>,
    /// The pieces of a template that does nothing but print.
    plain: Option<Plain>,
}

/// Reads, checks and compiles a template.
///
/// `lookup` gives the text of a regular UTF-8 file of the same revision.
///
/// # Errors
/// Everything that is wrong with it, sorted by path and position.
pub fn parse(
    source: &Source,
    scope: &Scope<'_>,
    lookup: &dyn Fn(&RepoPath) -> Result<Arc<str>, IncludeError>,
) -> Result<Template, Vec<Problem>> {
    let mut facts = unit::load(source, scope, lookup);
    let plain_configs = resolve::resolve(&mut facts, scope);
    if !facts.problems.is_empty() {
        return Err(sorted(facts.problems));
    }
    let (environment, origins) = unit::compile(&mut facts);
    if !facts.problems.is_empty() {
        return Err(sorted(facts.problems));
    }
    let names = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| name.as_str().into()).collect::<Vec<_>>()
    };
    let shape = Shape {
        labels: names(&mut facts.label_keys.keys()).into(),
        label_keys: facts.label_keys.values().cloned().collect(),
        configs: names(&mut facts.usage.configs.iter()).into(),
        plain: names(&mut plain_configs.iter()).into(),
    };
    let compiled = environment.get_template("0").ok();
    let plain = compiled.and_then(|template| Plain::of(template.source(), &shape));
    let mut indexed: Vec<(usize, Source)> = facts
        .files
        .into_iter()
        .map(|file| file.source)
        .enumerate()
        .collect();
    indexed.sort_by(|(a, one), (b, other)| (*a != 0, &one.path).cmp(&(*b != 0, &other.path)));
    let mut order = vec![0; indexed.len()];
    for (position, (index, _)) in indexed.iter().enumerate() {
        if let Some(entry) = order.get_mut(*index) {
            *entry = position;
        }
    }
    let sources = indexed.into_iter().map(|(_, source)| source).collect();
    Ok(Template {
        environment,
        usage: facts.usage,
        sources,
        order,
        origins,
        shape: Arc::new(shape),
        plain,
    })
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    let key = |problem: &Problem| {
        (
            problem.place.path.clone(),
            problem.place.range.start,
            problem.place.range.end,
        )
    };
    problems.sort_by_cached_key(key);
    problems.dedup();
    problems
}

impl Template {
    /// What it and everything it includes mention.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The template first, then everything included, sorted by path.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether both are the same text once labels are escaped and older spellings are read, files that they include and all.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        let text = |template: &Self, file: usize| {
            let compiled = template.environment.get_template(&file.to_string());
            compiled.ok().map(|one| one.source().to_owned())
        };
        std::ptr::eq(self, other)
            || (self.order.len() == other.order.len()
                && self.shape == other.shape
                && self
                    .sources
                    .iter()
                    .map(|one| &one.text)
                    .eq(other.sources.iter().map(|one| &one.text))
                && (0..self.order.len()).all(|file| text(self, file) == text(other, file)))
    }

    /// Whether it shows of a label what the machine said and nothing that depends on it: it prints names, values and labels,
    /// and looks nothing up. Reads the text again, which takes about as long as to render it.
    #[must_use]
    pub fn only_prints(&self) -> bool {
        let compiled = self.environment.get_template("0");
        compiled.is_ok_and(|compiled| echo::only_prints(compiled.source()))
    }

    /// Renders it.
    ///
    /// # Errors
    /// The first thing that cannot be printed, looked up or done within the limits, with its place.
    pub fn render(&self, kind: Kind, context: &Context<'_>) -> Result<String, Problem> {
        let plain = self.plain.as_ref();
        if let Some(text) = plain.and_then(|plain| plain.render(kind, context)) {
            debug_assert_eq!(self.interpret(kind, context).as_ref(), Ok(&text));
            return Ok(text);
        }
        self.interpret(kind, context)
    }

    fn interpret(&self, kind: Kind, context: &Context<'_>) -> Result<String, Problem> {
        let root = Root::new(&self.shape, kind, context);
        let mut printed = Printed::default();
        let rendered = self.environment.get_template("0").and_then(|template| {
            template
                .render_captured_to(minijinja::Value::from_object(root), &mut printed)
                .map(drop)
        });
        rendered
            .and_then(|()| {
                String::from_utf8(printed.0).map_err(|_| fault::failed("this is no text"))
            })
            .map_err(|error| self.problem(&error))
            .map_err(|problem| problem.without_words(context.is_secret))
    }

    /// What failed, and where in the original text.
    fn problem(&self, error: &minijinja::Error) -> Problem {
        let (kind, location) = fault::read(error);
        let name = location.as_ref().map_or("0", |location| location.name);
        let file = name.parse().unwrap_or(0);
        let range = match (location, self.origins.get(file)) {
            (
                Some(Location {
                    range: Some(range), ..
                }),
                Some(origins),
            ) => origins.original(&range),
            (Some(Location { line, .. }), Some(origins)) => {
                match self.environment.get_template(name) {
                    Ok(template) => origins.line(template.source(), line),
                    Err(_) => 0..0,
                }
            }
            _ => 0..0,
        };
        let source = self
            .order
            .get(file)
            .and_then(|&index| self.sources.get(index));
        let source = source.expect("every file of a template is one of its sources");
        let place = Place {
            path: source.path.clone(),
            range: fault::clip(range, &source.text),
        };
        Problem { place, kind }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("sources", &self.sources)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
