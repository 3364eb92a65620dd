//! Files as they are on disk.

use std::fs;
use std::os::unix::fs::symlink;

use gitboot::source::{ErrorClass, read_directory};
use gitboot::tree::Limits;

use super::{failure, listing};
use crate::support::git::{self, Repository};

fn read(folder: &std::path::Path) -> String {
    let tree = read_directory(folder, &Limits::default()).unwrap();
    assert_eq!(tree.revision().as_str(), "worktree");
    listing(&tree)
}

#[test]
fn tracked_and_unignored_files_are_read_as_they_are_on_disk() {
    let repository = Repository::new();
    repository.write(&[
        ("kept.log", "tracked though ignored"),
        ("out/kept", "tracked in an ignored folder"),
    ]);
    repository.git(&["add", "-f", "."]);
    repository.commit(&[("a.yaml", "a"), ("gone", "x"), ("edited", "before")]);
    repository.write(&[
        (".gitignore", "*.log\n/out/\n"),
        ("edited", "after"),
        ("new.yaml", "untracked"),
        ("noise.log", "ignored"),
        ("out/noise", "ignored"),
        ("out/deep/noise", "ignored"),
        ("sub/.gitignore", "secret\n"),
        ("sub/secret", "ignored"),
        ("sub/fine", "untracked"),
    ]);
    repository.write(&[(".git/info/exclude", "excluded\n"), ("excluded", "ignored")]);
    fs::remove_file(repository.path().join("gone")).unwrap();
    assert_eq!(
        read(repository.path()),
        ".gitignore: *.log\n/out/\n\na.yaml: a\nedited: after\nkept.log: tracked though ignored\n\
         new.yaml: untracked\nout/kept: tracked in an ignored folder\nsub/.gitignore: secret\n\nsub/fine: untracked"
    );
    assert_eq!(
        read(&repository.path().join("sub")),
        ".gitignore: secret\n\nfine: untracked"
    );
    assert_eq!(
        read(&repository.path().join("out")),
        "kept: tracked in an ignored folder"
    );
}

#[test]
fn a_folder_that_git_ignores_is_read_whole_when_it_is_asked_for() {
    let repository = Repository::new();
    repository.commit(&[(".gitignore", "/build\n")]);
    repository.write(&[("build/site/a.yaml", "a"), ("build/site/b", "b")]);
    assert_eq!(
        read(&repository.path().join("build/site")),
        "a.yaml: a\nb: b"
    );
    assert_eq!(read(repository.path()), ".gitignore: /build\n");
}

#[test]
fn links_are_never_followed_and_repositories_inside_are_submodules() {
    let repository = Repository::with_files(&[("a", "1"), ("swapped/b", "2")]);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("b"), "outside").unwrap();
    let at = |name: &str| repository.path().join(name);
    symlink(outside.path(), at("folder")).unwrap();
    symlink(outside.path().join("b"), at("file")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    fs::remove_dir_all(at("swapped")).unwrap();
    symlink(outside.path(), at("swapped")).unwrap();
    git::run(repository.path(), &["init", "-q", "nested"]);
    repository.write(&[("nested/c", "3")]);
    let module = Repository::with_files(&[("m", "1")]);
    repository.git(&[
        "submodule",
        "add",
        "-q",
        &module.path().display().to_string(),
        "module",
    ]);
    fs::remove_file(at(".gitmodules")).unwrap();
    assert_eq!(
        read(repository.path()),
        "a: 1\ndangling: a symlink\nfile: a symlink\nfolder: a symlink\nmodule: a submodule\n\
         nested: a submodule\nswapped: a symlink"
    );
    // The work tree of the submodule is a work tree of its own.
    assert_eq!(read(&at("module")), "m: 1");
}

#[test]
fn outside_a_work_tree_every_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("sub")).unwrap();
    fs::write(at("sub/a"), "1").unwrap();
    fs::write(at(".gitignore"), "*").unwrap();
    symlink("/etc", at("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert_eq!(
        read(folder.path()),
        ".gitignore: *\nlink: a symlink\nsub/a: 1"
    );
}

#[test]
fn names_that_no_tree_may_hold_are_refused_unless_ignored() {
    let repository = Repository::new();
    repository.write(&[("a\nb", "x")]);
    let found = failure(read_directory(repository.path(), &Limits::default()));
    assert_eq!(found.0, ErrorClass::Content);
    assert!(
        found.1.starts_with("the path `a\\u{a}b` is refused"),
        "{}",
        found.1
    );
    repository.write(&[(".gitignore", "a*\n")]);
    assert_eq!(read(repository.path()), ".gitignore: a*\n");
}

#[test]
fn what_is_no_folder_of_files_is_said_so() {
    let repository = Repository::with_files(&[("a", "1")]);
    let read = |place: &str| {
        failure(read_directory(
            &repository.path().join(place),
            &Limits::default(),
        ))
    };
    assert_eq!(read("none").0, ErrorClass::Disk);
    assert_eq!(read("a").0, ErrorClass::Disk);
    assert_eq!(read(".git").0, ErrorClass::NotFound);
    let bare = Repository::bare();
    let (class, message) = failure(read_directory(bare.path(), &Limits::default()));
    assert_eq!(class, ErrorClass::NotFound);
    assert!(message.contains("name a commit with `--ref`"), "{message}");
}
