//! Documents → `Snapshot`: resolve names, merge values, check templates, make ids, rank, find conflicts.
//!
//! The one room that sees two files at once. It reads no clock, no disk and no network: the same tree gives the same
//! snapshot, the same ids and the same diagnostics, byte for byte.

mod bind;
mod body;
mod claim;
mod complaint;
mod content;
mod draft;
mod files;
mod lint;
mod media;
mod mention;
mod overlap;
mod provenance;
mod rank;
mod resolve;
mod secrets;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;

use crate::diagnostic::{Diagnostic, Diagnostics, content as say};
use crate::id::IdKey;
use crate::manifest::{Assignment, Budget, Locator, Manifests, Origin, Profile};
use crate::snapshot::{self, ListedProfile, Place, RulePlaces, Snapshot};
use crate::tree::{RepoPath, Tree};

pub use provenance::{Chosen, Layer, Overridden, Provenance, Source, Sourced, provenance};
pub use secrets::Secrets;

use bind::Binder;
use body::Outside;
use content::{Contents, Loaded};
use files::Files;
use secrets::Vault;

/// What the compiler is told besides the tree.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Publish a tree without any Profile or Assignment (`--allow-empty`).
    pub allow_empty: bool,
    /// How much one YAML file may unfold to.
    pub budget: Budget,
    /// The key under which ids are made and label queries are signed; without one, ids are plain hashes.
    pub id_key: Option<IdKey>,
    /// What configs find in `secrets`.
    pub secrets: Secrets,
    /// The file that is the first script of every machine, in place of the built-in one (`--boot-script`).
    pub boot_script: Option<RepoPath>,
}

/// Compiles one tree. There is a snapshot exactly when no diagnostic is an error.
#[must_use]
pub fn compile(
    tree: &Tree,
    manifests: &Manifests,
    options: &Options,
) -> (Option<Snapshot>, Diagnostics) {
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    compile_on(threads, tree, manifests, options)
}

/// How many threads there are changes nothing but the time that it takes.
fn compile_on(
    threads: NonZero<usize>,
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
    let vault = Vault::new(&options.secrets, &contents);
    let outside = Outside {
        revision: tree.revision(),
        id_key: options.id_key.as_ref(),
        vault: &vault,
    };
    let binder = Binder::bind(
        manifests, &resolved, &contents, outside, threads, &locator, &mut found,
    );
    let subject = lint::Subject {
        manifests,
        resolved: &resolved,
        contents: &contents,
        locator: &locator,
    };
    lint::check(&subject, &mut found);
    let boot_script = options
        .boot_script
        .as_ref()
        .and_then(|path| first_script(path, &files, &locator, &mut found));
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
    )
    .with_boot_script(boot_script)
    .with_listed_profiles(listed(manifests, &contents))
    .with_places(places(manifests));
    (Some(snapshot), Diagnostics::new(found))
}

/// What people are told of the Profiles.
fn listed(manifests: &Manifests, contents: &Contents<'_>) -> Vec<ListedProfile> {
    let one = |(profile, loaded): (&Profile, &Option<Loaded<'_>>)| ListedProfile {
        needs: loaded.as_ref().map(Loaded::needs).unwrap_or_default(),
        name: profile.name.clone(),
        labels: profile.labels.clone(),
        has_script: profile.script.is_some(),
        configs: profile.configs.keys().cloned().collect(),
        place: place(&profile.origin),
    };
    let both = manifests.profiles.iter().zip(&contents.profiles);
    let mut all: Vec<_> = both.map(one).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// Where the Assignments stand. Those of a tree without errors are its snapshot's rules, in the same order.
fn places(manifests: &Manifests) -> Vec<RulePlaces> {
    let one = |assignment: &Arc<Assignment>| RulePlaces {
        path: assignment.origin.path.clone(),
        line: assignment.origin.line,
        entries: Arc::clone(assignment.machines.lines()),
    };
    manifests.assignments.iter().map(one).collect()
}

fn place(origin: &Origin) -> Place {
    Place {
        path: origin.path.clone(),
        line: usize::try_from(origin.line).unwrap_or(usize::MAX),
    }
}

/// Ensure that the file which takes the place of the built-in first script is a script.
fn first_script(
    path: &RepoPath,
    files: &Files<'_>,
    locator: &Locator<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Bytes> {
    match files.boot_script(path) {
        Ok(bytes) if snapshot::is_script(&bytes) => return Some(bytes),
        Ok(_) => {
            let at = locator.in_file(path, &(0..0), false);
            found.push(say::boot_script_is_none(at));
        }
        Err(problem) => found.push(*problem),
    }
    None
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::label::{FixedLabels, Labels};
    use crate::manifest::parse;
    use crate::render::{self, BaseUrl};
    use crate::tree::{Entry, Revision};

    /// Enough for runs on several threads.
    const ASSIGNMENTS: usize = 300;

    /// Two Profiles with the same configs under other names; the second names a URL that it does not print.
    fn profiles(script: &str) -> String {
        let mut text = String::new();
        for (profile, [label, fixed]) in [("p0", ["one", "two"]), ("p1", ["uno", "dos"])] {
            let unused = if profile == "p1" {
                "{% if false %}{{ base_url }}{% endif %}"
            } else {
                ""
            };
            writeln!(
                text,
                "---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: {profile}}}
spec:
  ipxe: |
    #!ipxe
    echo {{{{ configs['{label}'] }}}} {{{{ configs['{fixed}'] }}}} {{{{ config_dir }}}} {script}
  additionalConfig:
    {label}: |
      {{{{ labels.site }}}} {{{{ values.shared|tojson }}}}
    {fixed}: |
      {unused}{{{{ values.own }}}} {{{{ values.shared|tojson }}}}
    named: '{{{{ machine.name }}}}'
  values: {{own: 1, shared: {{a: {{b: 1}}, c: [1]}}}}"
            )
            .unwrap();
        }
        text
    }

    fn tree(profiles: &str, values: impl Fn(usize) -> String) -> Tree {
        let mut text = profiles.to_owned();
        for number in 0..ASSIGNMENTS {
            // The first half has the one Profile, so that the other one is met first by a later thread.
            let profile = number * 2 / ASSIGNMENTS;
            let values = values(number);
            writeln!(
                text,
                "---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: a{number:03}}}
spec:
  profile: p{profile}
  machines:
    - {{serial: S{number}, name: n{number}, values: {values}}}
    - {{serial: T{number}}}"
            )
            .unwrap();
        }
        let entry = Entry::File(text.into_bytes().into());
        let path = RepoPath::parse("all.yaml").unwrap();
        Tree::new(Revision::new("0"), [(path, entry)].into())
    }

    /// Everything that can be told of a compilation from outside.
    fn told(threads: usize, tree: &Tree) -> String {
        let options = Options::default();
        let manifests = parse(tree, options.budget);
        let threads = NonZero::new(threads).unwrap();
        let (snapshot, diagnostics) = compile_on(threads, tree, &manifests, &options);
        let mut told = diagnostics.render_human();
        let Some(snapshot) = snapshot else {
            return told;
        };
        let base = BaseUrl::parse("http://a").unwrap();
        let serials =
            (0..ASSIGNMENTS).flat_map(|number| [format!("S{number}"), format!("T{number}")]);
        for serial in serials {
            let query = format!("serial={serial}&site=x");
            let labels = Labels::parse(&query, &FixedLabels::default()).unwrap();
            let matched = snapshot.find(&labels).unwrap();
            let script = render::script(&matched, &labels, &base).unwrap();
            writeln!(told, "{serial} {:?} {script:?}", matched.machine()).unwrap();
            for (name, config) in matched.configs() {
                let body = render::config(config, &labels, &base).unwrap();
                let (id, prints) = (config.id, config.prints_base_url);
                writeln!(told, "  {name} {id} {prints} {:?} {body:?}", config.labels).unwrap();
            }
        }
        let mut configs: Vec<String> = (snapshot.configs())
            .map(|(id, config)| format!("{id} {} {}\n", config.name, config.bytes))
            .collect();
        configs.sort();
        told + &configs.concat()
    }

    fn check(tree: &Tree, expected: &str) {
        let alone = told(1, tree);
        assert!(alone.contains(expected), "{alone}");
        for threads in [2, 3, 4] {
            assert!(
                told(threads, tree) == alone,
                "{threads} threads tell another story"
            );
        }
    }

    #[test]
    fn a_snapshot_is_the_same_from_any_number_of_threads() {
        let tree = tree(&profiles(""), |number| {
            format!(
                "{{own: {}, shared: {{a: {{x: {}}}}}}}",
                number % 7,
                number % 3
            )
        });
        check(&tree, "  uno ");
    }

    #[test]
    fn mistakes_are_the_same_from_any_number_of_threads() {
        let tree = tree(
            &profiles("{{ values.own }} {{ values.shared.a.x }}"),
            |number| {
                [
                    "{own: null}",
                    "{own: [1]}",
                    "{shared: {a: {y: 1}}}",
                    "{shared: {a: {x: 1}}}",
                ][number * 5 / ASSIGNMENTS % 4]
                    .to_owned()
            },
        );
        check(&tree, " more");
    }
}
