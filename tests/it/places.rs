//! Where manifests stand: what a snapshot knows, which is read along with the file, is what the slow way finds for messages.

use std::fmt::Write as _;

use gitboot::compile::{Options, compile};
use gitboot::manifest::{Locator, Part, parse};
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use proptest::prelude::*;

/// All lines that a snapshot knows of: of each Profile, each Assignment, and each machine.
fn known(snapshot: &Snapshot) -> Vec<(String, usize)> {
    let mut all: Vec<_> = (snapshot.listed_profiles().iter())
        .map(|one| (format!("{} {}", one.name, one.place.path), one.place.line))
        .collect();
    for (number, rule) in snapshot.rules().iter().enumerate() {
        let entries = (0..rule.entries.len()).map(Some);
        for entry in [None].into_iter().chain(entries) {
            let place = snapshot.place(number, entry).unwrap();
            all.push((
                format!("{} {entry:?} {}", rule.name, place.path),
                place.line,
            ));
        }
        assert_eq!(snapshot.place(number, Some(rule.entries.len())), None);
    }
    assert_eq!(snapshot.place(snapshot.rules().len(), None), None);
    all
}

/// The same as a diagnostic would tell it.
fn told(tree: &Tree) -> Vec<(String, usize)> {
    let options = Options::default();
    let manifests = parse(tree, options.budget);
    let locator = Locator::new(tree, options.budget);
    let name = ["metadata".into(), "name".into()];
    let mut all = Vec::new();
    for one in &manifests.profiles {
        let at = locator.place(&one.origin, &name, Part::Key);
        all.push((format!("{} {}", one.name, at.path), at.line));
    }
    for one in &manifests.assignments {
        let at = locator.place(&one.origin, &name, Part::Key);
        all.push((format!("{} None {}", one.name, at.path), at.line));
        for entry in 0..one.machines.len() {
            let steps = ["spec".into(), "machines".into(), entry.into()];
            let at = locator.place(&one.origin, &steps, Part::Value);
            all.push((
                format!("{} {:?} {}", one.name, Some(entry), at.path),
                at.line,
            ));
        }
    }
    all
}

fn check(files: &[(&str, &str)]) -> Vec<usize> {
    let files = files.iter().map(|(path, text)| {
        let entry = Entry::File(text.as_bytes().to_vec().into());
        (RepoPath::parse(path).unwrap(), entry)
    });
    let tree = Tree::new(Revision::new("0"), files.collect());
    let options = Options::default();
    let (snapshot, diagnostics) = compile(&tree, &parse(&tree, options.budget), &options);
    let snapshot = snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()));
    let known = known(&snapshot);
    assert_eq!(known, told(&tree));
    known.into_iter().map(|(_, line)| line).collect()
}

const HEAD: &str = "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: p}\nspec: {ipxe: \"#!ipxe\\n\"}\n";

#[test]
fn lines_are_those_of_names_and_of_machines() {
    let assignment = "\
# Who boots what.
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata:
  labels: {machines: x}
  annotations: {a: b}
  name: rack
spec:
  profile: p
  values: {machines: [{name: none}], metadata: {name: none}}
  machines:
    - name: one
      mac: 52:54:00:00:00:01

    # The second one.
    - mac:
        - 52:54:00:00:00:02
    - {name: three,
       serial: S3}
    - {serial: S4}
";
    let lines = check(&[("p.yaml", HEAD), ("rack.yaml", assignment)]);
    assert_eq!(lines, [3, 8, 13, 17, 19, 21]);
}

#[test]
fn odd_files_have_lines_too() {
    let list = "\
apiVersion: v1
kind: List
items:
- {apiVersion: gitboot.dev/v1alpha1, kind: Profile, metadata: {name: q}, spec: {ipxe: \"#!ipxe\\n\"}}
- metadata:
    <<: &m {name: a}
    uid: x
  apiVersion: gitboot.dev/v1alpha1
  kind: Assignment
  spec:
    profile: q
    machines:
    - &one {serial: A1}
    - <<: *one
      serial: A2
    -
      serial: A3
";
    let json = "{\"metadata\":{\"name\":\"j\"},\"apiVersion\":\"gitboot.dev/v1alpha1\",\"kind\":\"Assignment\",\n\"spec\":{\
                \"profile\":\"q\",\"machines\":[{\"serial\":\"J1\"},\n{\"serial\":\"J2\"}]}}";
    let alias = "\u{feff}metadata: {name: b}\r\napiVersion: gitboot.dev/v1alpha1\r\nkind: Assignment\r\nspec:\r\n  profile: q\r\n  \
                 values: {all: [&b {serial: B1}]}\r\n  machines: [*b]\r\n";
    let lines = check(&[("b.yml", alias), ("j.yaml", json), ("list.yaml", list)]);
    // Where the name is merged, its map; an alias stands where its anchor does.
    assert_eq!(lines, [4, 6, 13, 14, 17, 1, 6, 1, 2, 3]);
}

proptest! {
    /// Whatever stands before, between and behind.
    #[test]
    fn lines_are_found_between_other_lines(
        gaps in proptest::collection::vec("(|\n|# c\n|\n\n  # at line 7 column 3\n)", 12),
        shapes in proptest::collection::vec(0_u8..4, 1..6),
    ) {
        let mut gaps = gaps.iter().cycle();
        let mut gap = || gaps.next().map_or("", String::as_str);
        let mut text = format!(
            "{}{HEAD}---\n{}apiVersion: gitboot.dev/v1alpha1\n{}kind: Assignment\n{}metadata:\n{}  name: a\nspec:\n{}  profile: p\n  machines:\n",
            gap(), gap(), gap(), gap(), gap(), gap(),
        );
        for (number, shape) in shapes.iter().enumerate() {
            text.push_str(gap());
            let _ = match shape {
                0 => writeln!(text, "  - {{serial: S{number}}}"),
                1 => writeln!(text, "  - serial: S{number}\n{}    name: n{number}", gap()),
                2 => writeln!(text, "  -\n{}    \"serial\": S{number}", gap()),
                _ => writeln!(text, "  - ? serial\n    : [S{number},\n       T{number}]"),
            };
        }
        check(&[("all.yaml", &text)]);
    }
}
