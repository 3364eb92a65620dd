//! Commits that cannot be served, and some that only look like it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use gitboot::tree::{Limits, RepoPath};

use super::Served::None as Nothing;
use super::steps::{away, back, broken, checked, mended, pushed, started};
use super::world::Place::{Http, Path};
use super::world::{MANIFESTS, World};
use super::{New, Old, Row, row};
use crate::support::git::noise;

/// An id that no object has.
const NOTHING: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) fn rows() -> Vec<Row> {
    [manifests(), paths(), limits()]
        .into_iter()
        .flatten()
        .collect()
}

fn manifests() -> Vec<Row> {
    let pushes = |scenario, change: super::Step| row(scenario, Path, [started, change, checked]);
    vec![
        pushes("a manifest has an error", broken)
            .refuses(Old, "content")
            .because("broken.yaml:1:1: error[not-a-manifest]"),
        row(
            "a refused revision is counted once, however often it is seen",
            Http,
            [
                started,
                broken,
                checked,
                checked,
                away,
                checked,
                back,
                checked,
                |w| {
                    assert_eq!(
                        w.server().builds(),
                        2,
                        "a refused revision is compiled once"
                    )
                },
            ],
        )
        .refuses(Old, "content")
        .after_errors("server", 1),
        row(
            "the error is mended",
            Path,
            [started, broken, checked, mended, checked],
        )
        .serves(New)
        .after_refusals(1),
        row(
            "one bad commit follows another",
            Path,
            [started, broken, checked, broken_again, checked],
        )
        .refuses(Old, "content")
        .after_refusals(2),
        row(
            "the very first commit has an error",
            Path,
            [broken, started],
        )
        .refuses(Nothing, "content"),
        pushes("an Assignment names a Profile that does not exist", |w| {
            w.commit(&[(
                "site.yaml",
                &MANIFESTS.replace("profile: worker", "profile: wroker"),
            )]);
        })
        .refuses(Old, "content")
        .because("error[unknown-profile]"),
        pushes("all manifests are gone", |w| {
            fs::remove_file(w.work.path().join("site.yaml")).unwrap();
            w.commit(&[("README", "moved\n")]);
        })
        .refuses(Old, "content")
        .because("error[empty-tree]: the tree has no Profile"),
        row(
            "all manifests are gone, with --allow-empty",
            Path,
            [
                |w| w.settings.allow_empty = true,
                started,
                |w| w.commit(&[("site.yaml", "# nothing\n")]),
                checked,
            ],
        )
        .serves(New),
        pushes("a manifest has the marks of a merge conflict", |w| {
            let conflict = "<<<<<<< HEAD\n=======\n>>>>>>> other\n";
            w.commit(&[("site.yaml", &format!("{MANIFESTS}{conflict}"))]);
        })
        .refuses(Old, "content")
        .because("error[merge-conflict]"),
        pushes("a manifest is a pointer of Git LFS", |w| {
            let pointer = format!(
                "version https://git-lfs.github.com/spec/v1\noid sha256:{:064}\nsize 12\n",
                0
            );
            w.commit(&[("site.yaml", &pointer)]);
        })
        .refuses(Old, "content")
        .because("error[lfs-pointer]"),
        pushes("YAML grows exponentially", exponential)
            .refuses(Old, "content")
            .because("error[yaml-budget]"),
        pushes("YAML grows with the square of its size", quadratic)
            .refuses(Old, "content")
            .because("error[yaml-budget]"),
    ]
}

/// What may stand where in a tree.
fn paths() -> Vec<Row> {
    let holds = |scenario, change: super::Step| row(scenario, Http, [started, change, checked]);
    vec![
        holds("a path holds `..`", |w| name(w, b".."))
            .refuses(Old, "content")
            .because("the path `..` is refused"),
        holds("a path holds `.git`", |w| name(w, b".git"))
            .refuses(Old, "content")
            .because("the path `.git` is refused"),
        holds("a path holds `.GIT`", |w| name(w, b".GIT"))
            .refuses(Old, "content")
            .because("the path `.GIT` is refused"),
        holds("a name holds a slash", |w| name(w, b"a/b"))
            .refuses(Old, "content")
            .because("a name holds a slash"),
        holds("a name holds control characters", |w| name(w, b"a\x1b[31m"))
            .refuses(Old, "content")
            .because("the path `a\\u{1b}[31m` is refused"),
        holds("a name is not UTF-8", |w| name(w, b"a\xff"))
            .refuses(Old, "content")
            .because("it is not UTF-8"),
        holds("a name stands twice in its folder", |w| {
            let blob = w.good_blob();
            w.raw(&[("100644", b"a.yaml", &blob), ("100644", b"a.yaml", &blob)]);
        })
        .refuses(Old, "content")
        .because("`a.yaml` stands twice in its folder"),
        holds("a manifest is a symlink", |w| link(w, "other.yaml"))
            .refuses(Old, "content")
            .because("is a symbolic link"),
        holds("a symlink that nobody names is ignored", |w| {
            link(w, "other")
        })
        .serves(New),
        holds("a manifest is a submodule", |w| {
            submodule(w, b"module.yaml")
        })
        .refuses(Old, "content")
        .because("is a submodule"),
        holds("a submodule that nobody names is ignored", |w| {
            submodule(w, b"module")
        })
        .serves(New),
        row(
            "a change outside --path moves the revision and compiles nothing",
            Http,
            [
                in_a_folder,
                started,
                |w| w.commit(&[("README", "not served\n")]),
                checked,
                |w| assert_eq!(w.server().builds(), 1),
            ],
        )
        .serves(New),
        row(
            "an error outside --path is nobody's",
            Http,
            [in_a_folder, started, broken, checked],
        )
        .serves(New),
        row(
            "the folder of --path is gone",
            Http,
            [
                in_a_folder,
                started,
                |w| fs::rename(w.work.path().join("boot"), w.work.path().join("toob")).unwrap(),
                |w| w.commit(&[]),
                checked,
            ],
        )
        .refuses(Old, "content")
        .because("error[empty-tree]: the commit has no folder at `boot`"),
    ]
}

/// Trees that are too large.
fn limits() -> Vec<Row> {
    let limited = |scenario, limit: super::Step, change: super::Step| {
        row(scenario, Http, [limit, started, change, checked])
    };
    vec![
        limited("a bomb of trees", |w| w.settings.limits.files = 500, bomb)
            .refuses(Old, "limit")
            .because("more than the limit of 500 files"),
        limited("folders are too deep", few, |w| {
            let path = format!("{}f", "a/".repeat(Limits::default().depth + 1));
            w.commit(&[(&path, "x")]);
        })
        .refuses(Old, "limit")
        .because("deeper than the limit of 32 folders"),
        limited("there are too many files", few, |w| {
            let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
            w.commit(&files);
        })
        .refuses(Old, "limit")
        .because("more than the limit of 10 files"),
        limited("a file is too large", few, |w| {
            w.commit(&[("large", &"x".repeat(10_001))]);
        })
        .refuses(Old, "limit")
        .because("`large` is larger than the limit of 10000 bytes"),
        limited("the files are too large in all", few, |w| {
            let text = "x".repeat(9_000);
            w.commit(&[("one", &text), ("two", &text), ("three", &text)]);
        })
        .refuses(Old, "limit")
        .because("more than the limit of 20000 bytes in all"),
        limited(
            "a fetch brings too many bytes",
            |w| w.settings.wire_bytes = 20_000,
            |w| {
                w.commit(&[("noise", &noise(100_000))]);
            },
        )
        .refuses(Old, "limit")
        .because("more bytes than the limit for one fetch"),
        limited(
            "a small pack unpacks to too much",
            |w| w.settings.unpacked_bytes = 100_000,
            |w| {
                w.commit(&[("zeros", &"\0".repeat(1_000_000))]);
            },
        )
        .refuses(Old, "limit")
        .because("larger than the limit of 100000 bytes unpacked"),
        row(
            "the large file goes away again",
            Http,
            [
                few,
                started,
                |w| w.commit(&[("large", &"x".repeat(10_001))]),
                checked,
                |w| fs::remove_file(w.work.path().join("large")).unwrap(),
                pushed,
                checked,
            ],
        )
        .serves(New)
        .after_refusals(1),
    ]
}

fn broken_again(world: &mut World) {
    world.commit(&[("broken.yaml", "kind: Assignmend\n")]);
}

/// A file with this name beside the good ones.
fn name(world: &mut World, name: &[u8]) {
    let blob = world.good_blob();
    world.raw(&[("100644", name, &blob), ("100644", b"site.yaml", &blob)]);
}

fn link(world: &mut World, name: &str) {
    symlink("site.yaml", world.work.path().join(name)).unwrap();
    world.commit(&[]);
}

fn submodule(world: &mut World, name: &[u8]) {
    let blob = world.good_blob();
    world.raw(&[("160000", name, NOTHING), ("100644", b"site.yaml", &blob)]);
}

/// The manifests stand in the folder of `--path`.
fn in_a_folder(world: &mut World) {
    fs::remove_file(world.work.path().join("site.yaml")).unwrap();
    world.commits.clear();
    world.commit(&[("boot/site.yaml", MANIFESTS)]);
    world.settings.path = Some(RepoPath::parse("boot").unwrap());
}

/// Limits that small trees are over.
fn few(world: &mut World) {
    world.settings.limits = Limits {
        files: 10,
        file_bytes: 10_000,
        total_bytes: 20_000,
        ..Limits::default()
    };
}

/// Ten folders that each hold the next level ten times over.
fn bomb(world: &mut World) {
    let mut id = world.good_blob();
    let mut mode = "100644";
    for _ in 0..8 {
        let names: Vec<[u8; 1]> = (b'a'..b'k').map(|name| [name]).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (mode, &name[..], id.as_str()))
            .collect();
        id = world.work.raw_tree(&entries);
        mode = "40000";
    }
    let commit = world.work.commit_tree(&id);
    world.commits.push(commit);
}

fn exponential(world: &mut World) {
    let mut text = "a: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        writeln!(text, "a{n}: &a{n} [*a{0}, *a{0}]", n - 1).unwrap();
    }
    world.commit(&[("bomb.yaml", &text)]);
}

fn quadratic(world: &mut World) {
    let text = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x,".repeat(5_000),
        "*a,".repeat(5_000)
    );
    world.commit(&[("bomb.yaml", &text)]);
}
