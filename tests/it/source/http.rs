//! Repositories over http: what is asked, what is fetched and what is left on disk.

use std::fs;
use std::path::{Path, PathBuf};

use gitboot::source::{Check, ErrorClass, Remote, Settings};
use gitboot::tree::{Limits, Revision};

use super::{check, check_with, failure, listing, path, settings, settings_at};
use crate::support::git::{self, Repository};
use crate::support::http_backend::{Answer, HttpBackend};

pub(super) struct World {
    pub(super) work: Repository,
    pub(super) server: HttpBackend,
    state: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let work = Repository::new();
        let server = HttpBackend::new(work.parent());
        let state = tempfile::tempdir().unwrap();
        Self {
            work,
            server,
            state,
        }
    }

    pub(super) fn with_files(files: &[(&str, &str)]) -> Self {
        let world = Self::new();
        world.work.commit(files);
        world
    }

    pub(super) fn url(&self) -> String {
        self.server.url("repo/.git")
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            state_dir: Some(self.state.path().join("state")),
            ..settings(self.url())
        }
    }

    /// The folder for state.
    pub(super) fn state(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// The folders of fetches.
    pub(super) fn stores(&self) -> Vec<PathBuf> {
        let names = self.left_behind().into_iter();
        names
            .map(|name| self.state().join(name))
            .filter(|path| path.is_dir())
            .collect()
    }

    /// The packs of all fetches with their sizes, the largest first.
    pub(super) fn packs(&self) -> Vec<(u64, PathBuf)> {
        let mut packs = Vec::new();
        for store in self.stores() {
            for entry in fs::read_dir(store.join("objects/pack")).unwrap() {
                let path = entry.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "pack")
                {
                    packs.push((path.metadata().unwrap().len(), path));
                }
            }
        }
        packs.sort();
        packs.reverse();
        packs
    }

    pub(super) fn left_behind(&self) -> Vec<String> {
        names(&self.state.path().join("state"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_unchanged_remote_costs_two_requests_and_no_objects() {
    let world = World::with_files(&[("a", "1"), ("sub/b", "2")]);
    for n in 0..50 {
        world.work.set_ref(&format!("refs/heads/other-{n}"), "HEAD");
    }
    let head = world.work.head();
    let mut remote = Remote::new(world.settings()).unwrap();
    let Check::Changed(tree) = check_with(&mut remote, None).unwrap() else {
        panic!("unchanged");
    };
    assert_eq!(listing(&tree), "a: 1\nsub/b: 2");
    assert_eq!(tree.revision().as_str(), head);
    let seen = world.server.take_seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[2].is_fetch());
    assert!(
        !seen
            .iter()
            .any(|seen| seen.headers.contains_key("authorization"))
    );

    let unchanged = check_with(&mut remote, Some(&head)).unwrap();
    assert_eq!(unchanged, Check::Unchanged(Revision::new(&head)));
    let seen = world.server.take_seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        seen[0].target,
        "/repo/.git/info/refs?service=git-upload-pack"
    );
    let asked = String::from_utf8(seen[1].body.to_vec()).unwrap();
    assert!(asked.contains("command=ls-refs"), "{asked}");
    assert!(asked.contains("ref-prefix HEAD"), "{asked}");
    assert!(!asked.contains("ref-prefix refs/"), "{asked}");
    drop(remote);
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_ref_is_a_full_ref_else_a_branch_else_a_tag_else_a_commit() {
    let world = World::new();
    let commits: Vec<String> = (1..=5)
        .map(|n| world.work.commit(&[("n", &n.to_string())]))
        .collect();
    world.work.set_ref("refs/heads/both", &commits[0]);
    world.work.set_ref("refs/heads/both-and-more", &commits[4]);
    world.work.set_ref("refs/tags/both", &commits[1]);
    world
        .work
        .git(&["tag", "-a", "-m", "x", "annotated", &commits[2]]);
    world
        .work
        .git(&["tag", "-a", "-m", "x", "nested", "annotated"]);
    world.work.set_ref("refs/pull/7/head", &commits[3]);
    for (wanted, n) in [
        ("both", 1),
        ("refs/tags/both", 2),
        ("annotated", 3),
        ("nested", 3),
        ("refs/tags/annotated", 3),
        ("refs/pull/7/head", 4),
        ("HEAD", 5),
        ("main", 5),
        (commits[1].as_str(), 2),
    ] {
        let tree = check(settings_at(world.url(), wanted)).unwrap();
        assert_eq!(listing(&tree), format!("n: {n}"), "{wanted}");
        assert_eq!(tree.revision().as_str(), commits[n - 1], "{wanted}");
    }
    let nothing = "0123456789abcdef0123456789abcdef01234567";
    for wanted in [
        "bot",
        "refs/heads/none",
        "pull/7/head",
        &commits[0][..9],
        nothing,
        "a b",
        "x\ny",
    ] {
        let (class, message) = failure(check(settings_at(world.url(), wanted)));
        assert_eq!(class, ErrorClass::RefNotFound, "{wanted}: {message}");
    }
    let blob = world.work.blob(b"x");
    world.work.set_ref("refs/tags/blob", &blob);
    let (class, message) = failure(check(settings_at(world.url(), "blob")));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
    world.work.git(&["checkout", "-q", "--detach", &commits[2]]);
    assert_eq!(listing(&check(settings(world.url())).unwrap()), "n: 3");
}

#[test]
fn an_unborn_head_is_named() {
    let world = World::new();
    let (class, message) = failure(check(world.settings()));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
    world.work.commit(&[("n", "1")]);
    world.work.git(&["symbolic-ref", "HEAD", "refs/heads/none"]);
    let (class, message) = failure(check(world.settings()));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
}

#[test]
fn a_hundred_changes_pile_nothing_up_on_disk() {
    let world = World::new();
    let mut remote = Remote::new(world.settings()).unwrap();
    let mut known: Option<String> = None;
    for n in 0..100 {
        let head = world.work.commit(&[("n", &n.to_string())]);
        let Check::Changed(tree) = check_with(&mut remote, known.as_deref()).unwrap() else {
            panic!("unchanged at {n}");
        };
        assert_eq!(listing(&tree), format!("n: {n}"));
        assert_eq!(world.left_behind().len(), 2, "a folder and its lock");
        assert!(world.packs().len() <= 64, "{:?}", world.packs());
        known = Some(head);
    }
    drop(remote);
    assert_eq!(world.left_behind(), Vec::<String>::new());
    let seen = world.server.take_seen();
    assert!(
        seen.iter()
            .all(|seen| !seen.is_fetch() || seen.body.windows(8).any(|w| w == b"deepen 1"))
    );
}

#[test]
fn what_a_killed_process_left_is_removed_at_the_next_start() {
    let world = World::with_files(&[("n", "1")]);
    let state = world.state.path().join("state");
    fs::create_dir_all(state.join("gitboot-fetch-dead/objects/pack")).unwrap();
    fs::write(state.join("gitboot-fetch-dead/shallow.lock"), "").unwrap();
    fs::write(state.join("gitboot-fetch-dead.lock"), "").unwrap();
    fs::write(state.join("mine"), "").unwrap();
    let mut remote = Remote::new(world.settings()).unwrap();
    assert_eq!(world.left_behind(), ["mine"]);
    check_with(&mut remote, None).unwrap();
    drop(remote);
    assert_eq!(world.left_behind(), ["mine"]);
}

#[test]
fn a_folder_of_the_repository_is_served_or_missing() {
    let world = World::with_files(&[("boot/a", "1"), ("b", "2")]);
    let at = |place: &str, allow_empty| Settings {
        path: Some(path(place)),
        allow_empty,
        ..world.settings()
    };
    assert_eq!(listing(&check(at("boot", false)).unwrap()), "a: 1");
    let error = check(at("none", false)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::PathMissing);
    assert_eq!(error.revision().unwrap().as_str(), world.work.head());
    assert_eq!(listing(&check(at("none", true)).unwrap()), "");
}

#[test]
fn a_tree_over_a_limit_is_refused_and_leaves_nothing() {
    let world = World::with_files(&[("a", "1"), ("b", "2")]);
    let error = check(Settings {
        limits: Limits {
            files: 1,
            ..Limits::default()
        },
        ..world.settings()
    })
    .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Limit);
    assert_eq!(error.revision().unwrap().as_str(), world.work.head());
    let found = failure(check(Settings {
        wire_bytes: 100,
        ..world.settings()
    }));
    let expected = "the remote sends more bytes than the limit for one fetch allows";
    assert_eq!(found, (ErrorClass::Limit, expected.to_owned()));
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_small_pack_that_unpacks_to_much_is_refused() {
    let world = World::with_files(&[("other/zeros", &"\0".repeat(3_000_000)), ("boot/a", "1")]);
    let at_most = |unpacked_bytes| {
        check(Settings {
            path: Some(path("boot")),
            wire_bytes: 20_000,
            unpacked_bytes,
            ..world.settings()
        })
    };
    assert_eq!(listing(&at_most(3_100_000).unwrap()), "a: 1");
    let expected = "the objects of the commit are larger than the limit of 3000000 bytes unpacked";
    assert_eq!(
        failure(at_most(3_000_000)),
        (ErrorClass::Limit, expected.to_owned())
    );
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_server_that_knows_only_the_old_protocol_will_do() {
    let world = World::with_files(&[("n", "1")]);
    let first = world.work.head();
    world.work.commit(&[("n", "2")]);
    world.work.git(&["tag", "-a", "-m", "x", "v1", &first]);
    world.server.answer(|_| Answer::OldGit);
    assert_eq!(listing(&check(settings(world.url())).unwrap()), "n: 2");
    assert_eq!(
        listing(&check(settings_at(world.url(), "v1")).unwrap()),
        "n: 1"
    );
    let (class, message) = failure(check(settings_at(world.url(), "none")));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
}

#[test]
fn a_repository_of_another_object_format_is_refused_with_words() {
    let world = World::new();
    git::run(
        world.work.parent(),
        &["init", "-q", "--object-format=sha256", "long"],
    );
    let (class, message) = failure(check(settings(world.server.url("long/.git"))));
    assert_eq!(class, ErrorClass::Unsupported, "{message}");
    assert!(message.contains("SHA-256"), "{message}");
}

#[tokio::test]
async fn a_remote_can_be_dropped_on_an_async_task() {
    let world = tokio::task::spawn_blocking(|| World::with_files(&[("n", "1")]))
        .await
        .unwrap();
    let mut remote = Remote::new(world.settings()).unwrap();
    let (remote, result) = tokio::task::spawn_blocking(move || {
        let result = check_with(&mut remote, None);
        (remote, result)
    })
    .await
    .unwrap();
    assert!(matches!(result.unwrap(), Check::Changed(_)));
    drop(remote);
    tokio::task::spawn_blocking(move || drop(world))
        .await
        .unwrap();
}

#[test]
fn other_checks_of_the_same_state_directory_do_not_disturb() {
    let world = World::with_files(&[("n", "1")]);
    std::thread::scope(|scope| {
        let checks: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| check(world.settings()).map(|tree| listing(&tree))))
            .collect();
        for check in checks {
            assert_eq!(check.join().unwrap().unwrap(), "n: 1");
        }
    });
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_larger_repository_with_deltas_is_read_as_git_reads_it() {
    let world = World::new();
    let base = "a line that repeats\n".repeat(200);
    let texts: Vec<(String, String)> = (0..200)
        .map(|n| (format!("d{}/f{n}", n % 7), format!("{base}{n}\n{base}")))
        .collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    world.work.commit(&files);
    world.work.git(&["repack", "-a", "-d", "-q"]);
    let tree = check(world.settings()).unwrap();
    assert_eq!(tree.iter().count(), 200);
    for (name, text) in files {
        assert_eq!(tree.file(&path(name)).unwrap(), text, "{name}");
    }
    let local = check(settings(world.work.path())).unwrap();
    assert_eq!(tree, local);
    let clone = git::run(world.work.path(), &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(clone.lines().count(), 200);
}
