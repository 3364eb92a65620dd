//! A template and everything that it includes, read, walked and compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Environment;
use minijinja::machinery::parse as parse_text;

use super::facts::{Facts, File};
use super::lexis;
use super::rewrite::Origins;
use super::walk::Walker;
use super::{
    Dialect, IncludeError, Place, ProblemKind, Scope, Source, engine, fault, limits, older,
};
use crate::tree::RepoPath;

/// How a file of the tree is had.
pub(super) type Lookup<'l> = dyn Fn(&RepoPath) -> Result<Arc<str>, IncludeError> + 'l;

/// Reads the template and, one after the other, all files that it includes.
pub(super) fn load(source: &Source, scope: &Scope<'_>, lookup: &Lookup<'_>) -> Facts {
    let mut facts = Facts::default();
    let mut indices = BTreeMap::from([(source.path.clone(), 0)]);
    add(&mut facts, source.clone());
    let mut file = 0;
    while file < facts.files.len() {
        let first = facts.includes.len();
        walk(&mut facts, file, scope);
        for include in first..facts.includes.len() {
            find(&mut facts, include, &mut indices, lookup);
        }
        file += 1;
    }
    circles(&mut facts);
    facts
}

fn add(facts: &mut Facts, source: Source) {
    facts.files.push(File {
        text: source.text.as_ref().to_owned(),
        source,
        edits: Vec::new(),
        operators: BTreeMap::new(),
        starts: BTreeMap::new(),
        exports: std::collections::BTreeSet::new(),
    });
}

/// Walks one file, unless it is no template.
fn walk(facts: &mut Facts, index: usize, scope: &Scope<'_>) {
    let Some(file) = facts.files.get_mut(index) else {
        return;
    };
    let path = file.source.path.clone();
    if file.text.len() > limits::SOURCE_BYTES {
        facts.problem(Place { path, range: 0..0 }, ProblemKind::TooLarge);
        return;
    }
    let mut configs = BTreeMap::new();
    let mut foreign = Vec::new();
    if scope.dialect == Dialect::Older {
        let masked = older::mask(&file.text);
        file.text = masked.text;
        configs = masked.configs;
        foreign = masked.foreign;
    }
    let text = file.text.clone();
    let lexemes = lexis::read(&text);
    let is_foreign = !foreign.is_empty();
    for range in foreign {
        let words = "this is an expression of Go templates: only `{{ .name }}` and `{{ index . \"name\" }}` are read here";
        facts.problem(
            Place {
                path: path.clone(),
                range,
            },
            ProblemKind::Unsupported(words.into()),
        );
    }
    match lexemes {
        Ok(lexemes) => match parse_text(&text, path.as_str(), lexis::syntax()) {
            Ok(root) => Walker::new(facts, index, scope, &lexemes, &configs).walk(&root),
            // What Go's expressions leave behind is rarely a template.
            Err(_) if is_foreign => {}
            Err(error) => {
                let (range, words) = fault::syntax(&error, &text);
                facts.problem(Place { path, range }, ProblemKind::Syntax(words));
            }
        },
        Err(range) => {
            let words =
                "this nests too deep or has too many parts: use `{% set %}` to take it apart";
            facts.problem(Place { path, range }, ProblemKind::Syntax(words.into()));
        }
    }
}

/// Finds the file that an `include` names.
fn find(
    facts: &mut Facts,
    index: usize,
    indices: &mut BTreeMap<RepoPath, usize>,
    lookup: &Lookup<'_>,
) {
    let Some(include) = facts.includes.get(index) else {
        return;
    };
    let (place, reference) = (include.place.clone(), include.reference.clone());
    let found = place.path.resolve(&reference).map_err(IncludeError::from);
    let file = match found.map(|path| (indices.get(&path).copied(), path)) {
        Ok((Some(known), _)) => Ok(known),
        Ok((None, _)) if facts.files.len() >= limits::FILES => {
            let words = format!("a template includes at most {} files", limits::FILES - 1);
            facts.problem(place, ProblemKind::Unsupported(words));
            return;
        }
        Ok((None, path)) => lookup(&path).map(|text| {
            let file = facts.files.len();
            indices.insert(path.clone(), file);
            add(facts, Source { path, text });
            file
        }),
        Err(why) => Err(why),
    };
    match file {
        Ok(file) => {
            if let Some(include) = facts.includes.get_mut(index) {
                include.to = Some(file);
            }
            if let Some(from) = facts.includes.get(index).map(|include| include.from) {
                let edit = super::rewrite::Edit {
                    range: place.range,
                    text: format!("\"{file}\""),
                };
                facts
                    .files
                    .get_mut(from)
                    .expect("an include stands in a file")
                    .edits
                    .push(edit);
            }
        }
        Err(why) => facts.problem(place, ProblemKind::IncludeNotFound { reference, why }),
    }
}

/// Ensure that no file includes itself, and that includes do not nest too deep.
fn circles(facts: &mut Facts) {
    let mut state = vec![State::New; facts.files.len()];
    let mut problems = Vec::new();
    depth(facts, 0, &mut state, &mut problems);
    for (place, kind) in problems {
        facts.problem(place, kind);
    }
}

#[derive(Clone, Copy)]
enum State {
    New,
    Open,
    /// How many includes stand inside each other from here on.
    Done(usize),
}

/// The recursion is bounded by [`limits::FILES`].
fn depth(
    facts: &Facts,
    file: usize,
    state: &mut Vec<State>,
    problems: &mut Vec<(Place, ProblemKind)>,
) -> usize {
    match state.get(file) {
        Some(State::Done(depth)) => return *depth,
        Some(State::New) => {}
        Some(State::Open) | None => return 0,
    }
    set(state, file, State::Open);
    let mut deepest = 0;
    for include in facts.includes.iter().filter(|include| include.from == file) {
        let Some(to) = include.to else { continue };
        if matches!(state.get(to), Some(State::Open)) {
            let path = facts.files.get(to).map(|file| file.source.path.clone());
            let path = path.expect("an include leads to a file");
            problems.push((include.place.clone(), ProblemKind::IncludeCycle { path }));
            continue;
        }
        let below = 1 + depth(facts, to, state, problems);
        if below == limits::INCLUDE_DEPTH + 1 {
            let words = format!("includes nest deeper than {} files", limits::INCLUDE_DEPTH);
            problems.push((include.place.clone(), ProblemKind::Unsupported(words)));
        }
        deepest = deepest.max(below);
    }
    set(state, file, State::Done(deepest));
    deepest
}

fn set(state: &mut [State], file: usize, value: State) {
    if let Some(entry) = state.get_mut(file) {
        *entry = value;
    }
}

/// The compiled environment: templates are named by their index.
pub(super) fn compile(facts: &mut Facts) -> (Environment<'static>, Vec<Origins>) {
    let mut environment = engine::environment();
    let mut all = Vec::with_capacity(facts.files.len());
    let mut failures = Vec::new();
    for (index, file) in facts.files.iter_mut().enumerate() {
        let (text, origins) = Origins::of(file);
        if let Err(error) = environment.add_template_owned(index.to_string(), text.clone()) {
            let (range, words) = fault::syntax(&error, &text);
            let place = Place {
                path: file.source.path.clone(),
                range: origins.original(&range),
            };
            failures.push((place, ProblemKind::Syntax(words)));
        }
        all.push(origins);
    }
    for (place, kind) in failures {
        facts.problem(place, kind);
    }
    (environment, all)
}
