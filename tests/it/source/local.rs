//! Repositories of this machine, read in place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gitboot::source::{Check, ErrorClass, Remote, Settings, read_revision};
use gitboot::tree::{Limits, Revision};

use super::{check, check_with, failure, listing, path, settings, settings_at};
use crate::support::fixture::GOOD;
use crate::support::git::{self, Repository};
use crate::support::http::get;
use crate::support::process::Process;

#[test]
fn every_kind_of_repository_is_read() {
    let repository = Repository::with_files(&[("a.yaml", "a"), ("sub/b", "b")]);
    let head = repository.head();
    let parent = repository.parent();
    git::run(parent, &["clone", "-q", "--bare", "repo", "bare.git"]);
    git::run(
        parent,
        &["clone", "-q", "--depth=1", "file://./repo", "shallow"].map(|a| {
            if a.starts_with("file") {
                format!("file://{}", repository.path().display())
            } else {
                a.to_owned()
            }
        }),
    );
    repository.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    git::run(&parent.join("bare.git"), &["gc", "-q"]);
    for place in ["repo", "repo/.git", "bare.git", "shallow", "linked"] {
        let tree = check(settings(parent.join(place))).unwrap();
        assert_eq!(listing(&tree), "a.yaml: a\nsub/b: b", "{place}");
        assert_eq!(tree.revision().as_str(), head, "{place}");
    }
    let tree = check(settings(format!("file://{}/bare.git", parent.display()))).unwrap();
    assert_eq!(tree.revision().as_str(), head);
}

#[test]
fn a_ref_is_a_full_ref_else_a_branch_else_a_tag_else_a_commit() {
    let repository = Repository::new();
    let commits: Vec<String> = (1..=6)
        .map(|n| repository.commit(&[("n", &n.to_string())]))
        .collect();
    repository.set_ref("refs/heads/both", &commits[0]);
    repository.set_ref("refs/tags/both", &commits[1]);
    repository.set_ref("refs/tags/light", &commits[1]);
    repository.git(&["tag", "-a", "-m", "x", "annotated", &commits[2]]);
    repository.git(&["tag", "-a", "-m", "x", "nested", "annotated"]);
    repository.set_ref("refs/pull/7/head", &commits[3]);
    repository.set_ref("refs/heads/feature/x", &commits[4]);
    let both = |pack: bool| {
        if pack {
            repository.git(&["pack-refs", "--all"]);
        }
        for (wanted, n) in [
            ("both", "1"),
            ("refs/tags/both", "2"),
            ("light", "2"),
            ("annotated", "3"),
            ("nested", "3"),
            ("refs/tags/annotated", "3"),
            ("refs/pull/7/head", "4"),
            ("feature/x", "5"),
            ("main", "6"),
            ("HEAD", "6"),
            (commits[3].as_str(), "4"),
        ] {
            let tree = check(settings_at(repository.path(), wanted)).unwrap();
            assert_eq!(listing(&tree), format!("n: {n}"), "{wanted}");
        }
        for wanted in [
            "feature",
            "pull/7/head",
            "refs/heads/none",
            "heads/main",
            &commits[3][..7],
            "a..b",
            " ",
        ] {
            let (class, _) = failure(check(settings_at(repository.path(), wanted)));
            assert_eq!(class, ErrorClass::RefNotFound, "{wanted}");
        }
    };
    both(false);
    both(true);
}

#[test]
fn a_detached_head_is_followed_and_an_unborn_one_is_named() {
    let repository = Repository::new();
    let expected = "the repository's HEAD leads to no commit: it is empty, or its default branch does not exist; \
                    push a commit, or name a branch with `--ref`";
    let found = failure(check(settings(repository.path())));
    assert_eq!(found, (ErrorClass::RefNotFound, expected.to_owned()));
    let first = repository.commit(&[("n", "1")]);
    repository.commit(&[("n", "2")]);
    repository.git(&["checkout", "-q", "--detach", &first]);
    assert_eq!(
        listing(&check(settings(repository.path())).unwrap()),
        "n: 1"
    );
}

#[test]
fn a_ref_that_is_no_commit_is_said_so() {
    let repository = Repository::with_files(&[("n", "1")]);
    let blob = repository.blob(b"x");
    repository.set_ref("refs/tags/blob", &blob);
    let found = failure(check(settings_at(repository.path(), "blob")));
    let expected = "the ref `refs/tags/blob` does not lead to a commit".to_owned();
    assert_eq!(found, (ErrorClass::RefNotFound, expected));
}

#[test]
fn a_change_a_force_push_and_a_deleted_ref_are_seen() {
    let bare = Repository::bare();
    let work = Repository::new();
    let first = work.commit(&[("n", "1")]);
    work.push(bare.path(), "main");
    let mut remote = Remote::new(settings_at(bare.path(), "main")).unwrap();
    let Check::Changed(tree) = check_with(&mut remote, None).unwrap() else {
        panic!("unchanged");
    };
    assert_eq!(tree.revision().as_str(), first);
    assert_eq!(
        check_with(&mut remote, Some(&first)).unwrap(),
        Check::Unchanged(Revision::new(&first))
    );
    work.git(&["commit", "-q", "--amend", "-m", "other"]);
    let forced = work.head();
    assert_ne!(forced, first);
    work.push(bare.path(), "main");
    let Check::Moved(tree) = check_with(&mut remote, Some(&first)).unwrap() else {
        panic!("another message is not another tree");
    };
    assert_eq!(tree.revision().as_str(), forced);
    bare.git(&["update-ref", "-d", "refs/heads/main"]);
    let error = check_with(&mut remote, Some(&forced)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::RefNotFound);
    assert_eq!(
        error.to_string(),
        "the repository has no branch, tag or commit `main`"
    );
}

#[test]
fn nothing_is_written_into_a_repository() {
    let repository = Repository::with_files(&[("n", "1")]);
    let before = files_below(repository.path());
    check(settings(repository.path())).unwrap();
    read_revision(repository.path(), "HEAD", &Limits::default()).unwrap();
    gitboot::source::read_directory(repository.path(), &Limits::default()).unwrap();
    assert_eq!(files_below(repository.path()), before);
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let path = entry.path();
        found.push(format!(
            "{} {:?}",
            path.display(),
            metadata.modified().unwrap()
        ));
        if metadata.is_dir() {
            found.extend(files_below(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_of_the_repository_is_served_or_missing() {
    let repository = Repository::with_files(&[("boot/x/a", "1"), ("boot/b", "2"), ("c", "3")]);
    let at = |place: &str, allow_empty| Settings {
        path: Some(path(place)),
        allow_empty,
        ..settings(repository.path())
    };
    assert_eq!(listing(&check(at("boot", false)).unwrap()), "b: 2\nx/a: 1");
    assert_eq!(listing(&check(at("boot/x", false)).unwrap()), "a: 1");
    for missing in ["nowhere", "boot/x/a", "boot/nowhere/x", "BOOT"] {
        let error = check(at(missing, false)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::PathMissing);
        assert_eq!(error.missing_path(), Some(&path(missing)));
        assert_eq!(error.revision().unwrap().as_str(), repository.head());
        assert_eq!(
            error.to_string(),
            format!("the commit has no folder at `{missing}`")
        );
        let tree = check(at(missing, true)).unwrap();
        assert_eq!(listing(&tree), "");
        assert_eq!(tree.revision().as_str(), repository.head());
    }
}

#[test]
fn what_is_no_repository_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let (class, _) = failure(check(settings(folder.path().join("nothing"))));
    assert_eq!(class, ErrorClass::NotFound);
    let (class, message) = failure(check(settings(folder.path())));
    assert!(
        matches!(class, ErrorClass::NotFound | ErrorClass::Unsupported),
        "{class} {message}"
    );
    assert!(
        message.contains("is no repository that can be read"),
        "{message}"
    );
    git::run(
        folder.path(),
        &["init", "-q", "--ref-format=reftable", "reftable"],
    );
    let (class, message) = failure(check(settings(folder.path().join("reftable"))));
    assert_eq!(class, ErrorClass::Unsupported, "{message}");
    assert!(message.contains("reftable"), "{message}");
    git::run(
        folder.path(),
        &["init", "-q", "--object-format=sha256", "long"],
    );
    let (class, message) = failure(check(settings(folder.path().join("long"))));
    assert_eq!(class, ErrorClass::Unsupported, "{message}");
}

#[test]
fn a_missing_object_is_no_tree() {
    let repository = Repository::with_files(&[("a", "lost")]);
    let blob = repository.git(&["rev-parse", "HEAD:a"]);
    fs::remove_file(
        repository
            .path()
            .join(".git/objects")
            .join(&blob[..2])
            .join(&blob[2..]),
    )
    .unwrap();
    let error = check(settings(repository.path())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt);
    assert_eq!(
        error.to_string(),
        format!("the object `{blob}` of `a` is missing from the object store")
    );
    assert!(error.is_transient());
}

#[test]
fn a_revision_is_read_at_the_place_of_the_folder() {
    let repository = Repository::with_files(&[("boot/a", "1"), ("b", "2")]);
    let first = repository.head();
    repository.commit(&[("boot/a", "changed")]);
    let limits = Limits::default();
    let boot = repository.path().join("boot");
    let tree = read_revision(&boot, "HEAD~1", &limits).unwrap();
    assert_eq!(listing(&tree), "a: 1");
    assert_eq!(tree.revision().as_str(), first);
    let tree = read_revision(repository.path(), &first[..8], &limits).unwrap();
    assert_eq!(listing(&tree), "b: 2\nboot/a: 1");
    repository.git(&["tag", "-a", "-m", "x", "v1", &first]);
    assert_eq!(
        listing(&read_revision(&boot, "v1", &limits).unwrap()),
        "a: 1"
    );
    git::run(
        repository.parent(),
        &["clone", "-q", "--bare", "repo", "bare.git"],
    );
    let tree = read_revision(&repository.parent().join("bare.git"), "main", &limits).unwrap();
    assert_eq!(listing(&tree), "b: 2\nboot/a: changed");

    let (class, _) = failure(read_revision(&boot, "nonsense", &limits));
    assert_eq!(class, ErrorClass::RefNotFound);
    fs::create_dir(repository.path().join("new")).unwrap();
    let (class, _) = failure(read_revision(
        &repository.path().join("new"),
        "HEAD",
        &limits,
    ));
    assert_eq!(class, ErrorClass::PathMissing);
    let (class, _) = failure(read_revision(repository.parent(), "HEAD", &limits));
    assert_eq!(class, ErrorClass::NotFound);
    let (class, _) = failure(read_revision(
        &repository.path().join("none"),
        "HEAD",
        &limits,
    ));
    assert_eq!(class, ErrorClass::Disk);
}

#[test]
fn a_linked_work_tree_has_its_own_head() {
    let repository = Repository::with_files(&[("n", "1")]);
    repository.git(&["worktree", "add", "-q", "-b", "other", "../linked"]);
    repository.commit(&[("n", "2")]);
    let linked = repository.parent().join("linked");
    assert_eq!(
        listing(&read_revision(&linked, "HEAD", &Limits::default()).unwrap()),
        "n: 1"
    );
    assert_eq!(listing(&check(settings(&linked)).unwrap()), "n: 1");
    assert_eq!(
        listing(&check(settings(repository.path())).unwrap()),
        "n: 2"
    );
}

#[test]
fn a_push_and_a_repack_during_a_read_are_seen_whole() {
    let bare = Repository::bare();
    let work = Repository::new();
    let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    let commit = |n: usize| {
        let text = n.to_string();
        let files: Vec<(&str, &str)> = names
            .iter()
            .map(|name| (name.as_str(), text.as_str()))
            .collect();
        work.commit(&files);
        work.push(bare.path(), "main");
    };
    commit(0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            // The writer may fail; then nobody says that it is done.
            let started = Instant::now();
            while !is_done.load(Ordering::Relaxed) && started.elapsed() < Duration::from_mins(1) {
                let tree = check(settings(bare.path())).unwrap();
                let texts: BTreeSet<_> = tree
                    .iter()
                    .map(|(path, _)| tree.file(path).unwrap())
                    .collect();
                assert_eq!(tree.iter().count(), names.len());
                assert_eq!(texts.len(), 1, "{}", listing(&tree));
                seen += 1;
            }
            seen
        });
        for n in 1..=20 {
            commit(n);
            bare.git(&["gc", "-q", "--prune=now"]);
        }
        is_done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 1);
    });
}

/// A file of a repository in whose place a pipe stands that nobody writes to: reading it never ends, as on a mount whose
/// server is away.
struct Hanging {
    path: PathBuf,
    kept: PathBuf,
}

impl Hanging {
    fn new(repository: &Repository, name: &str) -> Self {
        let path = repository.path().join(".git").join(name);
        let kept = repository.parent().join("kept");
        fs::rename(&path, &kept).unwrap();
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self { path, kept }
    }

    fn end(self) {
        fs::rename(self.kept, self.path).unwrap();
    }
}

#[test]
fn a_disk_that_hangs_is_given_up_after_the_timeout() {
    let repository = Repository::with_files(&[("n", "1")]);
    repository.git(&["pack-refs", "--all"]);
    let mut remote = Remote::new(Settings {
        git_timeout: Duration::from_millis(300),
        ..settings(repository.path())
    })
    .unwrap();
    let shown = repository.path().display();
    for name in ["HEAD", "config", "packed-refs"] {
        let hanging = Hanging::new(&repository, name);
        let error = check_with(&mut remote, None).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Timeout, "{name}: {error}");
        let message = format!("`{shown}` could not be read within `--git-timeout`; ");
        assert!(error.to_string().starts_with(&message), "{name}: {error}");
        hanging.end();
        check_with(&mut remote, None).unwrap();
    }
}

#[test]
fn a_disk_that_hangs_does_not_hold_the_server() {
    let repository = Repository::with_files(&[("good.yaml", GOOD.split_once('\n').unwrap().1)]);
    let repo = repository.path().to_str().unwrap();
    let mut server = Process::start(
        &[
            "serve",
            "--repo",
            repo,
            "--state-dir=none",
            "--listen=127.0.0.1:0",
            "--interval=1h",
            "--git-timeout=300ms",
        ],
        &[],
    );
    let address = server.address();
    server.line_with("published");
    let hanging = Hanging::new(&repository, "HEAD");
    server.signal("HUP");
    let line = server.line_with("the repository cannot be read");
    assert!(line.contains("class=\"timeout\""), "{line}");
    assert_eq!(get(address, "/ipxe?serial=x").status, 200);
    hanging.end();
    repository.commit(&[("more.yaml", "# more\n")]);
    server.signal("HUP");
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}
