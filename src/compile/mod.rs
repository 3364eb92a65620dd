//! Documents → `Snapshot`: resolve names, merge values, check templates, make ids, rank, find conflicts.
//!
//! The one room that sees two files at once. It reads no clock, no disk and no network: the same tree gives the same
//! snapshot, the same ids and the same diagnostics, byte for byte.

mod bind;
mod body;
mod claim;
mod complaint;
mod content;
mod files;
mod lint;
mod overlap;
mod provenance;
mod rank;
mod resolve;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, content as say};
use crate::manifest::{Budget, Locator, Manifests};
use crate::snapshot::Snapshot;
use crate::tree::Tree;

pub use provenance::{Chosen, Layer, Overridden, Place, Provenance, Source, Sourced, provenance};

use bind::Binder;
use content::Contents;
use files::Files;

/// What the compiler is told besides the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Publish a tree without any Profile or Assignment (`--allow-empty`).
    pub allow_empty: bool,
    /// How much one YAML file may unfold to.
    pub budget: Budget,
}

/// Compiles one tree. There is a snapshot exactly when no diagnostic is an error.
#[must_use]
pub fn compile(
    tree: &Tree,
    manifests: &Manifests,
    options: &Options,
) -> (Option<Snapshot>, Diagnostics) {
    let locator = Locator::new(tree, options.budget);
    let files = Files::new(tree, &manifests.files);
    let mut found = manifests.diagnostics.clone();

    let resolved = resolve::resolve(manifests, tree, &locator, &mut found);
    let contents = Contents::load(manifests, &files, &locator, options.budget, &mut found);
    rank::check(manifests, &locator, &mut found);
    let binder = Binder::bind(
        manifests,
        &resolved,
        &contents,
        tree.revision(),
        &locator,
        &mut found,
    );
    let subject = lint::Subject {
        manifests,
        resolved: &resolved,
        contents: &contents,
        locator: &locator,
    };
    lint::check(&subject, &mut found);
    found.extend(files.unnamed(manifests, &found));
    found.extend(files.conflicts(&locator));
    if !has_error(&found) {
        check_empty(manifests, options, &mut found);
    }
    if has_error(&found) {
        return (None, Diagnostics::new(found));
    }

    let Bound {
        rules,
        configs,
        directories,
    } = binder.finish();
    let snapshot = Snapshot::new(
        tree.revision().clone(),
        manifests.profiles.len(),
        rules,
        configs,
        directories,
    );
    (Some(snapshot), Diagnostics::new(found))
}

/// What binding leaves for the snapshot.
struct Bound {
    rules: Vec<crate::snapshot::Rule>,
    configs: HashMap<crate::id::ConfigId, Arc<crate::snapshot::Config>>,
    directories: HashMap<crate::id::ConfigId, Arc<crate::snapshot::ConfigDir>>,
}

/// Ensure that a tree does not take every machine's script away by accident.
fn check_empty(manifests: &Manifests, options: &Options, found: &mut Vec<Diagnostic>) {
    if options.allow_empty {
        return;
    }
    if manifests.profiles.is_empty() {
        found.push(say::empty_tree("Profile"));
    } else if manifests.assignments.is_empty() {
        found.push(say::empty_tree("Assignment"));
    }
}

fn has_error(found: &[Diagnostic]) -> bool {
    found
        .iter()
        .any(|one| one.severity() == crate::diagnostic::Severity::Error)
}

/// The files in which something is wrong.
fn files_with_errors(found: &[Diagnostic]) -> BTreeSet<&crate::tree::RepoPath> {
    found
        .iter()
        .filter_map(|one| Some(&one.location()?.path))
        .collect()
}
