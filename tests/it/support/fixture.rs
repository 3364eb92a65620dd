//! Trees and golden files written as one text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gitboot::compile::{Options, compile};
use gitboot::diagnostic::Diagnostics;
use gitboot::manifest::parse;
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};

/// A Profile that is right, and an Assignment of it: what most fixtures need besides what they are about.
pub(crate) const GOOD: &str = "\
//- good.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: good}
spec:
  ipxe: |
    #!ipxe
    exit
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: good}
spec: {profile: good, isDefault: true}
";

/// A tree from a text: each file starts with a line `//- path`; `//- path -> symlink` and `//- path -> submodule` are those.
/// `\u{…}`-like bytes cannot be written; build such trees by hand.
pub(crate) fn tree(text: &str) -> Tree {
    let mut entries = BTreeMap::new();
    for part in text.split("//- ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let (path, entry) = match head.trim().split_once(" -> ") {
            Some((path, "symlink")) => (path, Entry::Symlink),
            Some((path, "submodule")) => (path, Entry::Submodule),
            Some(other) => panic!("unknown entry {other:?}"),
            None => (head.trim(), Entry::File(body.as_bytes().to_vec().into())),
        };
        entries.insert(RepoPath::parse(path).unwrap(), entry);
    }
    Tree::new(
        Revision::new("0123456789abcdef0123456789abcdef01234567"),
        entries,
    )
}

/// Compiles a fixture.
pub(crate) fn build(text: &str) -> (Option<Snapshot>, Diagnostics) {
    let tree = tree(text);
    let options = Options::default();
    compile(&tree, &parse(&tree, options.budget), &options)
}

/// Compiles a fixture that must be right.
pub(crate) fn snapshot(text: &str) -> Snapshot {
    let (snapshot, diagnostics) = build(text);
    snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()))
}

/// Compares what a test made with a golden file; `BLESS=1` writes it.
pub(crate) fn golden(path: &Path, made: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        golden,
        made,
        "{} differs; look at it, then run with BLESS=1",
        path.display()
    );
}

/// The golden files of one folder, sorted.
pub(crate) fn golden_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}
