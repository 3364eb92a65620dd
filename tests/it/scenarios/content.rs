//! Commits that cannot be served, and some that only look like it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use gitboot::tree::{Limits, RepoPath};

use super::steps::{away, back, broken, checked, mended, pushed, started};
use super::world::{MANIFESTS, World};
use crate::support::git::noise;

/// An id that no object has.
const NOTHING: &str = "0123456789abcdef0123456789abcdef01234567";

rows! {
    "a manifest has an error" at Path:
        started, broken, checked
        => refuses(Old, "content").because("broken.yaml:1:1: error[not-a-manifest]");
    "a refused revision is counted once, however often it is seen" at Http:
        started, broken, checked, checked, away, checked, back, checked,
        |w| assert_eq!(w.server().builds(), 2, "a refused revision is compiled once")
        => refuses(Old, "content").after_errors("server", 1);
    "the error is mended" at Path:
        started, broken, checked, mended, checked
        => serves(New).after_refusals(1);
    "one bad commit follows another" at Path:
        started, broken, checked, broken_again, checked
        => refuses(Old, "content").after_refusals(2);
    "the very first commit has an error" at Path:
        broken, started
        => refuses(Nothing, "content");
    "an Assignment names a Profile that does not exist" at Path:
        started, |w| w.commit(&[("site.yaml", &MANIFESTS.replace("profile: worker", "profile: wroker"))]),
        checked
        => refuses(Old, "content").because("error[unknown-profile]");
    "all manifests are gone" at Path:
        started, emptied, checked
        => refuses(Old, "content").because("error[empty-tree]: the tree has no Profile");
    "all manifests are gone, with --allow-empty" at Path:
        |w| w.settings.allow_empty = true, started, |w| w.commit(&[("site.yaml", "# nothing\n")]), checked
        => serves(New);
    "a manifest has the marks of a merge conflict" at Path:
        started, conflicting, checked
        => refuses(Old, "content").because("error[merge-conflict]");
    "a manifest is a pointer of Git LFS" at Path:
        started, kept_by_lfs, checked
        => refuses(Old, "content").because("error[lfs-pointer]");
    "YAML grows exponentially" at Path:
        started, exponential, checked
        => refuses(Old, "content").because("error[yaml-budget]");
    "YAML grows with the square of its size" at Path:
        started, quadratic, checked
        => refuses(Old, "content").because("error[yaml-budget]");

    // What may stand where in a tree.

    "a path holds `..`" at Http:
        started, |w| name(w, b".."), checked
        => refuses(Old, "content").because("the path `..` is refused");
    "a path holds `.git`" at Http:
        started, |w| name(w, b".git"), checked
        => refuses(Old, "content").because("the path `.git` is refused");
    "a path holds `.GIT`" at Http:
        started, |w| name(w, b".GIT"), checked
        => refuses(Old, "content").because("the path `.GIT` is refused");
    "a name holds a slash" at Http:
        started, |w| name(w, b"a/b"), checked
        => refuses(Old, "content").because("a name holds a slash");
    "a name holds control characters" at Http:
        started, |w| name(w, b"a\x1b[31m"), checked
        => refuses(Old, "content").because("the path `a\\u{1b}[31m` is refused");
    "a name is not UTF-8" at Http:
        started, |w| name(w, b"a\xff"), checked
        => refuses(Old, "content").because("it is not UTF-8");
    "a name stands twice in its folder" at Http:
        started, twice, checked
        => refuses(Old, "content").because("`a.yaml` stands twice in its folder");
    "a manifest is a symlink" at Http:
        started, |w| link(w, "other.yaml"), checked
        => refuses(Old, "content").because("is a symbolic link");
    "a symlink that nobody names is ignored" at Http:
        started, |w| link(w, "other"), checked
        => serves(New);
    "a manifest is a submodule" at Http:
        started, |w| submodule(w, b"module.yaml"), checked
        => refuses(Old, "content").because("is a submodule");
    "a submodule that nobody names is ignored" at Http:
        started, |w| submodule(w, b"module"), checked
        => serves(New);
    "a change outside --path moves the revision and compiles nothing" at Http:
        in_a_folder, started, |w| w.commit(&[("README", "not served\n")]), checked,
        |w| assert_eq!(w.server().builds(), 1)
        => serves(New);
    "an error outside --path is nobody's" at Http:
        in_a_folder, started, broken, checked
        => serves(New);
    "the folder of --path is gone" at Http:
        in_a_folder, started,
        |w| fs::rename(w.work.path().join("boot"), w.work.path().join("toob")).unwrap(), |w| w.commit(&[]),
        checked
        => refuses(Old, "content").because("error[empty-tree]: the commit has no folder at `boot`");

    // Trees that are too large.

    "a bomb of trees" at Http:
        |w| w.settings.limits.files = 500, started, bomb, checked
        => refuses(Old, "limit").because("more than the limit of 500 files");
    "folders are too deep" at Http:
        few, started, deep, checked
        => refuses(Old, "limit").because("deeper than the limit of 32 folders");
    "there are too many files" at Http:
        few, started, many, checked
        => refuses(Old, "limit").because("more than the limit of 10 files");
    "a file is too large" at Http:
        few, started, |w| w.commit(&[("large", &"x".repeat(10_001))]), checked
        => refuses(Old, "limit").because("`large` is larger than the limit of 10000 bytes");
    "the files are too large in all" at Http:
        few, started, much, checked
        => refuses(Old, "limit").because("more than the limit of 20000 bytes in all");
    "a fetch brings too many bytes" at Http:
        |w| w.settings.wire_bytes = 20_000, started, |w| w.commit(&[("noise", &noise(100_000))]), checked
        => refuses(Old, "limit").because("more bytes than the limit for one fetch");
    "a small pack unpacks to too much" at Http:
        |w| w.settings.unpacked_bytes = 100_000, started,
        |w| w.commit(&[("zeros", &"\0".repeat(1_000_000))]), checked
        => refuses(Old, "limit").because("larger than the limit of 100000 bytes unpacked");
    "the large file goes away again" at Http:
        few, started, |w| w.commit(&[("large", &"x".repeat(10_001))]), checked,
        |w| fs::remove_file(w.work.path().join("large")).unwrap(), pushed, checked
        => serves(New).after_refusals(1);
}

fn broken_again(world: &mut World) {
    world.commit(&[("broken.yaml", "kind: Assignmend\n")]);
}

/// No manifest is left.
fn emptied(world: &mut World) {
    fs::remove_file(world.work.path().join("site.yaml")).unwrap();
    world.commit(&[("README", "moved\n")]);
}

fn conflicting(world: &mut World) {
    let conflict = "<<<<<<< HEAD\n=======\n>>>>>>> other\n";
    let manifests = format!("{MANIFESTS}{conflict}");
    world.commit(&[("site.yaml", &manifests)]);
}

fn kept_by_lfs(world: &mut World) {
    let version = "version https://git-lfs.github.com/spec/v1";
    let pointer = format!("{version}\noid sha256:{:064}\nsize 12\n", 0);
    world.commit(&[("site.yaml", &pointer)]);
}

/// A file with this name beside the good ones.
fn name(world: &mut World, name: &[u8]) {
    let blob = world.good_blob();
    world.raw(&[("100644", name, &blob), ("100644", b"site.yaml", &blob)]);
}

/// Two files of one name.
fn twice(world: &mut World) {
    let blob = world.good_blob();
    let file = ("100644", &b"a.yaml"[..], blob.as_str());
    world.raw(&[file, file]);
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

fn deep(world: &mut World) {
    let path = format!("{}f", "a/".repeat(Limits::default().depth + 1));
    world.commit(&[(&path, "x")]);
}

fn many(world: &mut World) {
    let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    world.commit(&files);
}

fn much(world: &mut World) {
    let text = "x".repeat(9_000);
    world.commit(&[("one", &text), ("two", &text), ("three", &text)]);
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
