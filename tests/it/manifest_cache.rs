//! The cache of parsed manifests: the same result, whatever changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use gitboot::compile::{Options, compile};
use gitboot::manifest::{Budget, Cache, Manifests, parse, parse_changed};
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use proptest::prelude::*;

use crate::support::fixture::{GOOD, tree};

/// What a file may say: right, wrong in several ways, foreign, or nothing.
fn texts() -> Vec<String> {
    let good = GOOD.split_once('\n').unwrap().1.to_owned();
    vec![
        good.clone(),
        good.replace("good", "better"),
        good.replace("isDefault", "isDefalut"),
        "apiVersion: v1\nkind: ConfigMap\n".to_owned(),
        "a: [\n".to_owned(),
        "# nothing\n".to_owned(),
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\na: 1\na: 2\n".to_owned(),
    ]
}

fn tree_of(files: &[(u8, usize)]) -> Tree {
    let texts = texts();
    let part =
        |(name, text): &(u8, usize)| format!("//- {name}.yaml\n{}", texts[text % texts.len()]);
    tree(&files.iter().map(part).collect::<String>())
}

proptest! {
    #[test]
    fn a_cache_changes_nothing(
        trees in prop::collection::vec(prop::collection::vec((0..6_u8, 0..7_usize), 0..6), 1..5),
        nodes in prop::collection::vec(prop::sample::select(vec![4_usize, 100_000]), 5),
    ) {
        let mut cache = Cache::default();
        for (files, nodes) in trees.iter().zip(nodes) {
            let tree = tree_of(files);
            let budget = Budget { nodes, ..Budget::default() };
            let expected = format!("{:?}", parse(&tree, budget));
            prop_assert_eq!(format!("{:?}", parse_changed(&tree, budget, &mut cache)), expected);
        }
    }
}

/// Where files may be: manifests by their name, or not, at several depths.
const PATHS: [&str; 9] = [
    "a.yaml",
    "b.yml",
    "sub/a.yaml",
    "sub/deep/c.yaml",
    "sub-a.yaml",
    "content.yaml",
    ".hidden.yaml",
    "notes.txt",
    "sub",
];

/// Where rules on what is no manifest may be, and what they may say.
const RULES: [&str; 2] = [".gitbootignore", "sub/.gitbootignore"];
const PATTERNS: [&str; 7] = [
    "a.yaml\n",
    "/a.yaml\n",
    "sub/\n",
    "*.yaml\n!b.yaml\n",
    "content.yaml\n",
    "[\n",
    "",
];

/// What a file may say besides [`texts`]: Profiles that name others as content, and what git leaves behind.
fn more_texts() -> Vec<String> {
    let naming = |name: &str, file: &str| {
        format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: {name}}}\nspec:\n  ipxe: \"#!ipxe\\n\"\n  \
             additionalConfig: {{x: {{file: {file}}}}}\n"
        )
    };
    let mut all = texts();
    all.extend([
        naming("good", "/content.yaml"),
        naming("better", "a.yaml"),
        naming("best", "/notes.txt"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_owned(),
        "<<<<<<< HEAD\n=======\n>>>>>>> other\n".to_owned(),
        "\u{feff}# nothing\n".to_owned(),
    ]);
    all
}

/// What somebody does to the files between two commits.
#[derive(Clone, Debug)]
enum Edit {
    /// Says something else at a path, or the same again in other bytes.
    Write(usize, usize),
    Remove(usize),
    Rename(usize, usize),
    Swap(usize, usize),
    /// Puts a link there.
    Link(usize),
    /// Puts a submodule there.
    Module(usize),
    /// Changes which files are no manifests.
    Ignore(usize, usize),
    /// Allows fewer or more YAML nodes.
    Budget(usize),
}

fn edits() -> impl Strategy<Value = Edit> {
    let path = 0..PATHS.len();
    let text = 0..more_texts().len();
    prop_oneof![
        6 => (path.clone(), text).prop_map(|(path, text)| Edit::Write(path, text)),
        2 => path.clone().prop_map(Edit::Remove),
        3 => (path.clone(), path.clone()).prop_map(|(from, to)| Edit::Rename(from, to)),
        3 => (path.clone(), path.clone()).prop_map(|(one, other)| Edit::Swap(one, other)),
        1 => path.clone().prop_map(Edit::Link),
        1 => path.prop_map(Edit::Module),
        2 => (0..RULES.len(), 0..PATTERNS.len()).prop_map(|(at, rule)| Edit::Ignore(at, rule)),
        1 => prop::sample::select(vec![4_usize, 100_000]).prop_map(Edit::Budget),
    ]
}

/// The files of a commit; those that an edit leaves alone share their bytes, as those of a repository do.
#[derive(Default)]
struct Files {
    entries: BTreeMap<RepoPath, Entry>,
    budget: Budget,
}

impl Files {
    fn apply(&mut self, edit: &Edit) {
        let path = |at: usize| RepoPath::parse(PATHS[at]).unwrap();
        match *edit {
            Edit::Write(at, text) => {
                let text = more_texts().swap_remove(text);
                self.put(path(at), Some(Entry::File(Bytes::from(text))));
            }
            Edit::Remove(at) => self.put(path(at), None),
            Edit::Rename(from, to) => {
                let moved = self.entries.remove(&path(from));
                self.put(path(to), moved);
            }
            Edit::Swap(one, other) => {
                let (one, other) = (path(one), path(other));
                let (first, second) = (self.entries.remove(&one), self.entries.remove(&other));
                self.put(one, second);
                self.put(other, first);
            }
            Edit::Link(at) => self.put(path(at), Some(Entry::Symlink)),
            Edit::Module(at) => self.put(path(at), Some(Entry::Submodule)),
            Edit::Ignore(at, rule) => {
                let rules = Bytes::from_static(PATTERNS[rule].as_bytes());
                let path = RepoPath::parse(RULES[at]).unwrap();
                self.put(path, Some(Entry::File(rules)));
            }
            Edit::Budget(nodes) => self.budget.nodes = nodes,
        }
    }

    /// Nothing is a file and a folder at once: what is put there last stays.
    fn put(&mut self, path: RepoPath, entry: Option<Entry>) {
        self.entries.remove(&path);
        let Some(entry) = entry else {
            return;
        };
        let is_below = |one: &RepoPath, other: &RepoPath| {
            let rest = one.as_str().strip_prefix(other.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        self.entries
            .retain(|known, _| !is_below(known, &path) && !is_below(&path, known));
        self.entries.insert(path, entry);
    }

    fn tree(&self) -> Tree {
        Tree::new(Revision::new("r"), self.entries.clone())
    }
}

/// Everything that somebody could see of a compiled tree.
fn compiled(tree: &Tree, manifests: &Manifests, budget: Budget) -> String {
    let options = Options {
        budget,
        ..Options::default()
    };
    let (snapshot, diagnostics) = compile(tree, manifests, &options);
    let served = snapshot.map(|snapshot| {
        let mut ids: Vec<String> = snapshot.configs().map(|(id, _)| id.to_string()).collect();
        ids.sort();
        (snapshot.counts(), ids)
    });
    format!("{served:?}\n{}", diagnostics.render_human())
}

proptest! {
    #[test]
    fn whatever_is_edited_the_cache_says_what_a_fresh_look_says(edits in prop::collection::vec(edits(), 1..24)) {
        let mut files = Files::default();
        let mut cache = Cache::default();
        for edit in &edits {
            files.apply(edit);
            let tree = files.tree();
            let fresh = parse(&tree, files.budget);
            let cached = parse_changed(&tree, files.budget, &mut cache);
            prop_assert_eq!(format!("{:?}", cached), format!("{:?}", fresh), "after {:?}", edit);
            prop_assert_eq!(
                compiled(&tree, &cached, files.budget),
                compiled(&tree, &fresh, files.budget),
                "after {:?}", edit
            );
        }
    }
}
