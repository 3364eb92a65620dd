//! `Tree` → typed documents: each file alone, under a budget, all mistakes at once.
//!
//! This room knows one file at a time. What needs two (does the Profile exist, is this YAML file somebody's content) is the
//! business of `compile`; so a file that is no manifest is only a *suspect* here.

mod assignment;
mod cache;
mod fields;
mod gate;
mod ignored;
mod locate;
mod machines;
mod outline;
mod place;
mod profile;
mod schema;
mod spoiled;
mod values;
mod yaml;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Location, document as say};
use crate::tree::{Entry, RepoPath, Tree};

pub use assignment::{Assignment, ProfileChoice, Selector};
pub use cache::Cache;
pub use locate::Step;
pub use machines::{Machine, Machines};
pub use place::{Locator, Origin, Part};
pub use profile::{Body, Content, FileRef, Profile};
pub use schema::{SchemaOf, schema};
pub use spoiled::{Spoiled, spoiled};
pub use values::read_values_file;
pub use yaml::Budget;

use fields::{Pending, Reader};
use gate::Gate;
use place::{BYTE_ORDER_MARK, FileMap};
use yaml::{FaultKind, Node};

/// The group of the current API.
const GROUP: &str = "gitboot.dev";
/// The only version of each group.
const VERSION: &str = "v1alpha1";
/// The groups of the systems that gitboot replaces (contract, section 2).
const OLDER_GROUPS: [&str; 2] = ["shaper.amahdha.com", "ipxe.cloud.alexandre.mahdhaoui.com"];
/// The fields of a `List`; what its `metadata` holds is a server's affair.
const LIST_FIELDS: &[&str] = &["apiVersion", "items", "kind", "metadata"];
/// Diagnostics that one file may cause. A generated file repeats its mistake on every line; a thousand of them are more
/// than anybody mends before running the check again.
const MAX_DIAGNOSTICS_PER_FILE: usize = 1000;

/// Everything that the files of one tree say, each for itself.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The Profiles by name; those of one name in the order of files and documents.
    pub profiles: Vec<Profile>,
    /// The Assignments by name; those of one name in the order of files and documents. A cache shares them: there may be
    /// a hundred thousand, of which one has changed.
    pub assignments: Vec<Arc<Assignment>>,
    /// What is wrong for certain.
    pub diagnostics: Vec<Diagnostic>,
    /// Files that are an error unless a manifest or a template names them as content.
    pub suspects: Vec<Suspect>,
    /// Files that hold a manifest, good or bad.
    pub files: BTreeSet<RepoPath>,
    /// Manifest files that could not be read whole: what they name is unknown.
    pub unread: BTreeSet<RepoPath>,
}

/// A `*.yaml` file that is no manifest.
#[derive(Debug)]
pub struct Suspect {
    /// The file.
    pub path: RepoPath,
    /// What to say unless somebody names it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads every manifest of a tree.
#[must_use]
pub fn parse(tree: &Tree, budget: Budget) -> Manifests {
    let (mut all, files) = manifest_files(tree);
    for file in parse_in_parallel(&files, budget) {
        all.add(file);
    }
    all.sort();
    all
}

/// Reads every manifest of a tree, but those that the cache knows. The result is that of [`parse`].
#[must_use]
pub fn parse_changed(tree: &Tree, budget: Budget, cache: &mut Cache) -> Manifests {
    let (mut all, files) = manifest_files(tree);
    cache.update(&files, budget, |changed| parse_in_parallel(changed, budget));
    for file in cache.files() {
        all.add(file);
    }
    all.sort();
    all
}

/// The files that have to be manifests, in the order of their paths, and what is wrong with those that are none.
fn manifest_files(tree: &Tree) -> (Manifests, Vec<(&RepoPath, &bytes::Bytes)>) {
    let mut all = Manifests::default();
    let ignored = ignored::Ignored::new(tree, &mut all.diagnostics);
    let mut files = Vec::new();
    for (path, entry) in tree
        .iter()
        .filter(|(path, _)| path.is_yaml() && !ignored.contains(path))
    {
        match entry {
            Entry::File(bytes) => files.push((path, bytes)),
            Entry::Symlink => all.diagnostics.push(say::manifest_is_no_file(
                Location::of_file(path),
                "a symbolic link",
            )),
            Entry::Submodule => all.diagnostics.push(say::manifest_is_no_file(
                Location::of_file(path),
                "a submodule",
            )),
        }
    }
    (all, files)
}

impl Manifests {
    /// Where a document stands means nothing: neither ranks nor messages may depend on it.
    fn sort(&mut self) {
        self.profiles
            .sort_by(|one, other| one.name.cmp(&other.name));
        self.assignments
            .sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn add(&mut self, file: File) {
        let File {
            path,
            ours,
            unread,
            profiles,
            assignments,
            diagnostics,
        } = file;
        if ours {
            if unread {
                self.unread.insert(path.clone());
            }
            self.files.insert(path);
            self.diagnostics.extend(diagnostics);
        } else if !diagnostics.is_empty() {
            self.suspects.push(Suspect { path, diagnostics });
        }
        self.profiles.extend(profiles);
        self.assignments.extend(assignments);
    }
}

/// Files are independent of each other, so each core takes a run of them; the order of the results is that of the files.
fn parse_in_parallel(files: &[(&RepoPath, &bytes::Bytes)], budget: Budget) -> Vec<File> {
    /// Below this, starting a thread costs more than it saves.
    const FILES_PER_THREAD: usize = 64;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(cores).max(FILES_PER_THREAD);
    let gate = Gate::new(outline::most_events(budget));
    let parse_run = |run: &[(&RepoPath, &bytes::Bytes)]| -> Vec<File> {
        run.iter()
            .map(|(path, bytes)| {
                gate.pass(outline::weight(bytes), || File::parse(path, bytes, budget))
            })
            .collect()
    };
    if files.len() <= share {
        return parse_run(files);
    }
    std::thread::scope(|scope| {
        let runs: Vec<_> = files
            .chunks(share)
            .map(|run| scope.spawn(move || parse_run(run)))
            .collect();
        runs.into_iter()
            .flat_map(|run| {
                run.join()
                    .expect("reading a file is total: it returns diagnostics and never panics")
            })
            .collect()
    })
}

/// What one file says.
#[derive(Clone, Debug)]
struct File {
    path: RepoPath,
    /// Whether any of its documents is a manifest of ours.
    ours: bool,
    /// Whether part of it could not be read.
    unread: bool,
    profiles: Vec<Profile>,
    assignments: Vec<Arc<Assignment>>,
    diagnostics: Vec<Diagnostic>,
}

impl File {
    fn parse(path: &RepoPath, bytes: &[u8], budget: Budget) -> Self {
        let mut file = Self {
            path: path.clone(),
            ours: false,
            unread: false,
            profiles: Vec::new(),
            assignments: Vec::new(),
            diagnostics: Vec::new(),
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            file.unread = true;
            file.diagnostics
                .push(say::not_utf8(Location::of_file(path)));
            return file;
        };
        let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        match spoiled(body.as_bytes()) {
            Some(spoiled) => file.spoil(body, spoiled),
            None => file.read(text, budget),
        }
        file
    }

    /// Says what stands in the place of the manifests; nothing in the file is read.
    fn spoil(&mut self, text: &str, spoiled: Spoiled) {
        let map = FileMap::of_text(self.path.clone(), text);
        self.unread = true;
        self.diagnostics.push(match spoiled {
            Spoiled::LfsPointer => say::lfs_pointer(map.fault(Some((1, 1)))),
            Spoiled::Conflict(line) => {
                self.ours = mentions_our_group(text);
                say::merge_conflict(map.fault(Some((line, 1))))
            }
        });
    }

    fn read(&mut self, text: &str, budget: Budget) {
        let mut pending = Vec::new();
        let mut faults = Vec::new();
        let mut foreign = Vec::new();
        let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        for (index, document) in yaml::documents(body, budget).into_iter().enumerate() {
            match document {
                Err(fault) => faults.push(fault),
                Ok(mut node) if !node.is_null() => {
                    let mut reader = Reader::new(&mut pending, index);
                    reader.check_duplicates(&node);
                    reader.apply_merges(&mut node);
                    self.document(&node, &mut reader, &mut foreign);
                }
                Ok(_) => {}
            }
        }
        self.unread = !faults.is_empty();
        self.ours |= !faults.is_empty() && mentions_our_group(body);
        if !self.ours && pending.is_empty() && faults.is_empty() && foreign.is_empty() {
            return;
        }
        let map = FileMap::of_yaml(self.path.clone(), text, budget);
        let faults = faults.into_iter().map(|fault| (fault.at, fault.kind));
        self.diagnostics
            .extend(faults.map(|(at, kind)| yaml_fault(map.fault(at), &kind, budget)));
        // A foreign document's duplicate keys are its own affair.
        if self.ours || foreign.is_empty() {
            self.diagnostics.extend(placed(pending, &map));
        }
        for (index, mut steps, header) in foreign {
            if matches!(header, Header::Foreign(_)) {
                steps.push(Step::from("apiVersion"));
            }
            self.diagnostics
                .push(header.diagnostic(map.place(index, &steps, Part::Value), self.ours));
        }
    }

    /// One document: a manifest, a `List` of manifests, or something foreign.
    fn document(
        &mut self,
        node: &Node,
        reader: &mut Reader<'_>,
        foreign: &mut Vec<(usize, Vec<Step>, Header)>,
    ) {
        let header = Header::of(node);
        if !header.is_list() {
            return self.manifest(node, &header, Vec::new(), reader, foreign);
        }
        for (index, item) in list_items(node, reader).iter().enumerate() {
            let prefix = vec![Step::from("items"), Step::from(index)];
            self.manifest(item, &Header::of(item), prefix, reader, foreign);
        }
    }

    fn manifest(
        &mut self,
        node: &Node,
        header: &Header,
        prefix: Vec<Step>,
        reader: &mut Reader<'_>,
        foreign: &mut Vec<(usize, Vec<Step>, Header)>,
    ) {
        let Header::Ours {
            older,
            version_known,
            kind,
        } = header
        else {
            // A foreign document is told by its header, or by the value under the first key.
            foreign.push((reader.document(), prefix, header.clone()));
            return;
        };
        self.ours = true;
        let origin = Origin {
            path: self.path.clone(),
            document: reader.document(),
            prefix,
            line: node.get("metadata").map_or(0, Node::line),
        };
        reader.enter(origin);
        if !version_known {
            let written = node
                .get("apiVersion")
                .and_then(Node::as_text)
                .unwrap_or("")
                .to_owned();
            reader.at(&["apiVersion".into()], Part::Value, move |at| {
                say::unknown_api_version(at, &written)
            });
            return;
        }
        match kind.as_deref() {
            Some("Profile") => self.profiles.extend(profile::read(node, *older, reader)),
            Some("Assignment") => self
                .assignments
                .extend(assignment::read(node, *older, reader).map(Arc::new)),
            Some(other) => {
                let other = other.to_owned();
                reader.at(&["kind".into()], Part::Value, move |at| {
                    say::unknown_kind(at, &other)
                });
            }
            None => reader.at(&[], Part::Value, |at| {
                say::missing_field(at, "kind", "`Profile` or `Assignment`")
            }),
        }
    }
}

/// The items of a `List`.
fn list_items<'n>(node: &'n Node, reader: &mut Reader<'_>) -> &'n [Node] {
    let Some(fields) = reader.fields(node, &[], "a `List`", LIST_FIELDS) else {
        return &[];
    };
    match fields.get("items") {
        Some((Node::List(items), _)) => return items,
        Some((other, steps)) => {
            let found = other.description();
            reader.at(&steps, Part::Value, move |at| {
                say::wrong_type(at, "`items`", "a list", found)
            });
        }
        None => reader.at(&[], Part::Value, |at| {
            say::missing_field(at, "items", "the list of manifests")
        }),
    }
    &[]
}

/// What the first two fields of a document say it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Header {
    /// One of our groups.
    Ours {
        older: bool,
        version_known: bool,
        kind: Option<String>,
    },
    /// A Kubernetes `List`.
    List,
    /// A document with an `apiVersion` of somebody else.
    Foreign(String),
    /// Not even an `apiVersion`.
    None,
}

impl Header {
    fn of(node: &Node) -> Self {
        let text = |key: &str| node.get(key).and_then(Node::as_text).map(str::to_owned);
        let Some(api_version) = text("apiVersion") else {
            return Self::None;
        };
        let kind = text("kind");
        if api_version == "v1" && kind.as_deref() == Some("List") {
            return Self::List;
        }
        let (group, version) = api_version.split_once('/').unwrap_or((&api_version, ""));
        let older = OLDER_GROUPS.contains(&group);
        if older || group == GROUP {
            return Self::Ours {
                older,
                version_known: version == VERSION,
                kind,
            };
        }
        Self::Foreign(api_version)
    }

    fn is_list(&self) -> bool {
        *self == Self::List
    }

    fn diagnostic(&self, at: Location, among_ours: bool) -> Diagnostic {
        match self {
            Self::Foreign(api_version) => say::foreign_api_version(at, api_version, among_ours),
            Self::List => say::nested_list(at),
            Self::None | Self::Ours { .. } => say::not_a_manifest(at, among_ours),
        }
    }
}

/// Pending diagnostics with their places; over the limit, the last one says how many more there are.
fn placed(pending: Vec<Pending>, map: &FileMap) -> Vec<Diagnostic> {
    let more = pending.len().saturating_sub(MAX_DIAGNOSTICS_PER_FILE);
    let mut all: Vec<Diagnostic> = pending
        .into_iter()
        .take(MAX_DIAGNOSTICS_PER_FILE)
        .map(|one| (one.say)(map.place(one.document, &one.steps, one.part)))
        .collect();
    if more > 0 {
        all.push(say::more_in_this_file(map.end(), more));
    }
    all
}

/// Whether a file that cannot be read looks as if it was meant for us.
fn mentions_our_group(text: &str) -> bool {
    text.lines().any(|line| {
        let rest = line.trim_start_matches([' ', '-', '{']);
        rest.strip_prefix("apiVersion:")
            .map(|value| value.trim_start().trim_start_matches(['"', '\'']))
            .is_some_and(|value| {
                std::iter::once(GROUP)
                    .chain(OLDER_GROUPS)
                    .any(|group| value.starts_with(group))
            })
    })
}

fn yaml_fault(at: Location, kind: &FaultKind, budget: Budget) -> Diagnostic {
    match kind {
        FaultKind::Syntax(words) => say::yaml_syntax(at, words),
        FaultKind::Tag => say::yaml_tag(at),
        FaultKind::ComplexKey => say::yaml_complex_key(at),
        FaultKind::Budget => say::yaml_budget(at, budget.nodes, budget.bytes),
        FaultKind::Documents => say::too_many_documents(at, yaml::MAX_DOCUMENTS),
        FaultKind::Depth => say::yaml_depth(at, yaml::MAX_DEPTH),
    }
}
