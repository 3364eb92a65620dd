//! Trees that git would never make, and how much of one is read.

use std::sync::atomic::AtomicBool;

use gitboot::source::{ErrorClass, Remote, Settings};
use gitboot::tree::Limits;

use super::{check, failure, listing, settings};
use crate::support::git::Repository;

/// An id that no object has.
const NOTHING: &str = "0123456789abcdef0123456789abcdef01234567";

fn refusal(repository: &Repository, tree: &str) -> (ErrorClass, String) {
    let commit = repository.commit_tree(tree);
    let error = check(settings(repository.path())).unwrap_err();
    assert_eq!(error.revision().unwrap().as_str(), commit);
    (error.class(), error.to_string())
}

#[test]
fn names_that_no_tree_may_hold_are_refused() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    for (name, shown) in [
        (&b".."[..], ".."),
        (b".", "."),
        (b".git", ".git"),
        (b".GIT", ".GIT"),
        (b"a/b", "a/b"),
        (b"a\x1b[31m", "a\\u{1b}[31m"),
        (b"a\nb", "a\\u{a}b"),
        (b"a\xff", "a\u{fffd}"),
    ] {
        for (mode, id) in [
            ("100644", blob.as_str()),
            ("40000", NOTHING),
            ("120000", &blob),
        ] {
            let tree = repository.raw_tree(&[(mode, name, id)]);
            let (class, message) = refusal(&repository, &tree);
            assert_eq!(class, ErrorClass::Content, "{shown}: {message}");
            assert!(
                message.starts_with(&format!("the path `{shown}` is refused: ")),
                "{message}"
            );
        }
    }
    let inner = repository.raw_tree(&[("100644", b"..", &blob)]);
    let outer = repository.raw_tree(&[("40000", b"folder", &inner)]);
    let (_, message) = refusal(&repository, &outer);
    assert!(
        message.starts_with("the path `folder/..` is refused"),
        "{message}"
    );
}

#[test]
fn a_name_stands_once_in_a_folder() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let folder = repository.raw_tree(&[("100644", b"b", &blob)]);
    for second in [
        ("100644", &b"a"[..], blob.as_str()),
        ("40000", b"a", &folder),
    ] {
        let tree = repository.raw_tree(&[("100644", b"a", &blob), second]);
        let expected = "`a` stands twice in its folder".to_owned();
        assert_eq!(refusal(&repository, &tree), (ErrorClass::Content, expected));
    }
}

#[test]
fn links_submodules_and_executables_are_what_they_are() {
    let repository = Repository::new();
    let blob = repository.blob(b"/etc/passwd");
    let tree = repository.raw_tree(&[
        ("100755", b"exe", &blob),
        ("120000", b"link", &blob),
        ("160000", b"module", NOTHING),
        ("100664", b"old", &blob),
    ]);
    repository.commit_tree(&tree);
    let tree = check(settings(repository.path())).unwrap();
    assert_eq!(
        listing(&tree),
        "exe: /etc/passwd\nlink: a symlink\nmodule: a submodule\nold: /etc/passwd"
    );
    let bytes = |at: &str| tree.file(&super::path(at)).unwrap().as_ptr();
    assert_eq!(bytes("exe"), bytes("old"), "equal blobs share their bytes");
}

#[test]
fn an_empty_file_and_an_empty_tree_are_read() {
    let repository = Repository::with_files(&[("a", "some bytes first"), ("b", "")]);
    assert_eq!(
        listing(&check(settings(repository.path())).unwrap()),
        "a: some bytes first\nb: "
    );
    let empty = repository.raw_tree(&[]);
    repository.commit_tree(&empty);
    assert_eq!(listing(&check(settings(repository.path())).unwrap()), "");
}

#[test]
fn an_object_of_the_wrong_kind_is_corrupt() {
    let repository = Repository::new();
    let blob = repository.blob(b"x");
    let tree = repository.raw_tree(&[("40000", b"a", &blob)]);
    let expected = format!("the object `{blob}` of `a` is a blob, not a tree");
    assert_eq!(refusal(&repository, &tree), (ErrorClass::Corrupt, expected));
}

#[test]
fn a_bomb_of_trees_ends_at_a_limit() {
    // Ten folders that each hold the next level ten times over: 10^n files from n objects.
    for leaf_is_empty in [false, true] {
        let repository = Repository::new();
        let blob = repository.blob(b"boom");
        let mut tree = if leaf_is_empty {
            repository.raw_tree(&[])
        } else {
            repository.raw_tree(&[("100644", b"f", &blob)])
        };
        for _ in 0..20 {
            let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
            let entries: Vec<_> = names
                .iter()
                .map(|name| ("40000", name.as_bytes(), tree.as_str()))
                .collect();
            tree = repository.raw_tree(&entries);
        }
        repository.commit_tree(&tree);
        // A hundredth of the default, so that the test is quick without optimisation.
        let few = Settings {
            limits: Limits {
                files: 2_000,
                ..Limits::default()
            },
            ..settings(repository.path())
        };
        let (class, message) = failure(check(few));
        assert_eq!(class, ErrorClass::Limit, "{message}");
        let too_deep = Settings {
            limits: Limits {
                depth: 5,
                ..Limits::default()
            },
            ..settings(repository.path())
        };
        let (class, message) = failure(check(too_deep));
        assert_eq!(class, ErrorClass::Limit);
        assert_eq!(
            message,
            "`9/9/9/9/9/0` is deeper than the limit of 5 folders"
        );
    }
}

#[test]
fn each_limit_is_exact() {
    let repository = Repository::with_files(&[("a", "12345"), ("d/b", "123")]);
    let exact = Limits {
        files: 2,
        file_bytes: 5,
        // The bytes of the files and of their paths.
        total_bytes: 5 + 3 + 1 + 3,
        depth: 1,
    };
    let check_with = |limits| {
        check(Settings {
            limits,
            ..settings(repository.path())
        })
    };
    assert_eq!(listing(&check_with(exact).unwrap()), "a: 12345\nd/b: 123");
    for (limits, message) in [
        (
            Limits { files: 1, ..exact },
            "the tree holds more than the limit of 1 files",
        ),
        (
            Limits {
                file_bytes: 4,
                ..exact
            },
            "`a` is larger than the limit of 4 bytes",
        ),
        (
            Limits {
                total_bytes: 11,
                ..exact
            },
            "the tree holds more than the limit of 11 bytes in all",
        ),
        (
            Limits { depth: 0, ..exact },
            "`d` is deeper than the limit of 0 folders",
        ),
    ] {
        assert_eq!(
            failure(check_with(limits)),
            (ErrorClass::Limit, message.to_owned())
        );
        let on_disk = gitboot::source::read_directory(repository.path(), &limits);
        assert_eq!(failure(on_disk), (ErrorClass::Limit, message.to_owned()));
    }
    assert!(gitboot::source::read_directory(repository.path(), &exact).is_ok());
}

#[test]
fn a_caller_can_stop_a_read() {
    let repository = Repository::with_files(&[("a", "1")]);
    let mut remote = Remote::new(settings(repository.path())).unwrap();
    let error = remote.check(None, &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Interrupted);
}
