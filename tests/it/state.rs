//! Trees on disk: what comes back is what was written, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gitboot::state::{Key, State, StateError};
use gitboot::tree::{Commit, Entry, Limits, RepoPath, Revision, Tree};
use proptest::prelude::*;
use tempfile::TempDir;

const RETAIN: Duration = Duration::from_secs(100);

fn key() -> Key {
    Key {
        repo: "https://git.example/boot.git".to_owned(),
        reference: Some("main".to_owned()),
        path: None,
    }
}

fn state(folder: &Path) -> State {
    State::new(folder.to_owned(), key(), Limits::default(), RETAIN)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// A tree of one of each kind, whose file has this content.
fn tree(revision: &str, parent: Option<&str>, content: &str) -> Tree {
    let path = |text| RepoPath::parse(text).unwrap();
    let entries = BTreeMap::from([
        (path("a/b.yaml"), Entry::File(content.to_owned().into())),
        (path("empty"), Entry::File("".into())),
        (path("link"), Entry::Symlink),
        (path("sub"), Entry::Submodule),
    ]);
    Tree::new(Revision::new(revision), entries).with_commit(Commit {
        time: -5,
        first_parent: parent.map(Revision::new),
        principal: None,
        raw: format!("tree x\n\n{revision}").into(),
    })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A folder in which one tree is stored, and its file.
fn stored() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    state(folder.path())
        .save(&tree("one", None, "1"), at(0))
        .unwrap();
    let file = files(folder.path()).remove(0);
    (folder, file)
}

#[test]
fn what_was_written_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    assert!(state(&folder).newest().unwrap().is_none());
    state(&folder).save(&tree("one", None, "1"), at(0)).unwrap();
    let two = tree("two", Some("one"), "2");
    state(&folder).save(&two, at(50)).unwrap();
    let newest = state(&folder).newest().unwrap().unwrap();
    assert_eq!(newest.tree, two);
    assert_eq!(newest.since, at(50));
    // The first start knew nothing of what was handed out before; the second commit followed on the first.
    assert_eq!(newest.missed, Some(at(0)));
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for file in files(&folder) {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn superseded_trees_stay_until_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path());
    let [one, two, three] = [
        tree("one", None, "1"),
        tree("two", Some("one"), "2"),
        tree("three", Some("two"), "3"),
    ];
    state.save(&one, at(0)).unwrap();
    state.save(&two, at(10)).unwrap();
    state.save(&three, at(40)).unwrap();
    let earlier = |seconds| {
        let earlier = state.earlier(at(seconds)).unwrap().trees;
        let read = |one| (state.read_earlier(one).unwrap(), one.left.as_secs());
        earlier.iter().map(read).collect::<Vec<_>>()
    };
    assert_eq!(earlier(50), [(two.clone(), 90), (one, 60)]);
    assert_eq!(earlier(110), [(two, 30)]);
    assert_eq!(earlier(140), []);
    // A clock that was put back keeps nothing for longer than `--retain`.
    assert_eq!(earlier(0)[0].1, 100);
    assert_eq!(files(folder.path()).len(), 3);
    state
        .save(&tree("four", Some("three"), "4"), at(120))
        .unwrap();
    assert_eq!(files(folder.path()).len(), 3);
}

#[test]
fn without_retention_only_the_newest_stays() {
    let folder = tempfile::tempdir().unwrap();
    state(folder.path())
        .save(&tree("one", None, "1"), at(0))
        .unwrap();
    let forgetful = State::new(
        folder.path().to_owned(),
        key(),
        Limits::default(),
        Duration::ZERO,
    );
    forgetful
        .save(&tree("two", Some("one"), "2"), at(1))
        .unwrap();
    assert!(forgetful.earlier(at(1)).unwrap().trees.is_empty());
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_revision_with_the_same_files_takes_the_place_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path());
    state.save(&tree("one", None, "1"), at(0)).unwrap();
    state.save(&tree("two", Some("one"), "2"), at(10)).unwrap();
    state
        .save(&tree("three", Some("two"), "2"), at(20))
        .unwrap();
    let newest = state.newest().unwrap().unwrap();
    assert_eq!(newest.tree.revision().as_str(), "three");
    assert_eq!((newest.since, newest.missed), (at(10), Some(at(0))));
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn a_gap_between_commits_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path());
    state.save(&tree("one", None, "1"), at(0)).unwrap();
    state
        .save(&tree("three", Some("two"), "3"), at(10))
        .unwrap();
    state
        .save(&tree("four", Some("three"), "4"), at(20))
        .unwrap();
    assert_eq!(state.newest().unwrap().unwrap().missed, Some(at(10)));
}

#[test]
fn a_burst_of_commits_is_kept_and_what_is_lost_of_a_longer_one_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path());
    let save = |number: u64| {
        let content = number.to_string();
        let at = at(0) + Duration::from_millis(number * 10);
        state.save(&tree(&content, None, &content), at).unwrap();
    };
    (0..200).for_each(save);
    let earlier = state.earlier(at(2)).unwrap();
    assert_eq!((earlier.trees.len(), earlier.lost), (199, None));
    (200..260).for_each(save);
    assert_eq!(files(folder.path()).len(), 257);
    let earlier = state.earlier(at(3)).unwrap();
    assert_eq!(earlier.trees.len(), 256);
    // The fourth is the oldest that is still there, and took the place of the third then.
    let lost = at(0) + Duration::from_millis(30);
    assert_eq!(earlier.lost, Some(lost));
    let over = state.earlier(at(101)).unwrap();
    assert_eq!(over.lost, None);
}

#[test]
fn another_repository_ref_or_path_has_files_of_its_own() {
    let (folder, file) = stored();
    let others = [
        Key {
            repo: "https://git.example/other.git".to_owned(),
            ..key()
        },
        Key {
            reference: None,
            ..key()
        },
        Key {
            reference: None,
            path: Some("main".to_owned()),
            ..key()
        },
        Key {
            path: Some("a".to_owned()),
            ..key()
        },
    ];
    for other in others {
        let other = State::new(folder.path().to_owned(), other, Limits::default(), RETAIN);
        assert!(other.newest().unwrap().is_none());
        other.save(&tree("x", None, "x"), at(0)).unwrap();
        let own = files(folder.path()).into_iter().find(|own| *own != file);
        let own = own.unwrap();
        // Whoever renames the files gets nothing either.
        fs::copy(&file, &own).unwrap();
        assert!(matches!(other.newest(), Err(StateError::OtherKey)));
        fs::remove_file(own).unwrap();
    }
}

#[test]
fn what_is_no_tree_of_ours_is_told_apart() {
    let (folder, file) = stored();
    let state = state(folder.path());
    let limits = |limits| State::new(folder.path().to_owned(), key(), limits, RETAIN);
    for small in [
        Limits {
            file_bytes: 0,
            ..Limits::default()
        },
        Limits {
            total_bytes: 10,
            ..Limits::default()
        },
        Limits {
            files: 1,
            ..Limits::default()
        },
    ] {
        let newest = limits(small).newest();
        assert!(matches!(newest, Err(StateError::TooLarge)), "{newest:?}");
    }
    fs::write(&file, "gitboot tree 2\nof the future").unwrap();
    assert!(matches!(state.newest(), Err(StateError::Foreign)));
    fs::write(&file, "").unwrap();
    assert!(matches!(state.newest(), Err(StateError::Damaged)));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(state.newest(), Err(StateError::Foreign)));
}

#[test]
fn a_damaged_file_is_replaced_by_the_next_publication() {
    let (folder, file) = stored();
    fs::write(&file, "nonsense").unwrap();
    let two = tree("two", Some("one"), "2");
    state(folder.path()).save(&two, at(5)).unwrap();
    let newest = state(folder.path()).newest().unwrap().unwrap();
    assert_eq!((newest.tree, newest.missed), (two, Some(at(5))));
    assert!(!file.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_and_keeps_what_it_has() {
    let (folder, file) = stored();
    let before = fs::read(&file).unwrap();
    let blocked = file.join("below-a-file");
    assert!(
        state(&blocked)
            .save(&tree("two", None, "2"), at(1))
            .is_err()
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(files(folder.path()), [file]);
}

proptest! {
    #[test]
    fn whatever_happens_to_a_file_is_noticed(
        position in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<bool>(), more in any::<bool>(),
    ) {
        let (folder, file) = stored();
        let mut bytes = fs::read(&file).unwrap();
        let position = position.index(bytes.len());
        match (cut, more) {
            (true, _) => bytes.truncate(position),
            (false, true) => bytes.insert(position, flip),
            (false, false) => bytes[position] ^= flip,
        }
        fs::write(&file, &bytes).unwrap();
        let newest = state(folder.path()).newest();
        prop_assert!(newest.is_err(), "{:?}", newest);
        state(folder.path()).save(&tree("two", Some("one"), "2"), at(5)).unwrap();
        let newest = state(folder.path()).newest().unwrap().unwrap();
        prop_assert_eq!(newest.tree.revision().as_str(), "two");
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), ours in any::<bool>()) {
        let (folder, file) = stored();
        let start: &[u8] = if ours { b"gitboot tree 1\n" } else { b"" };
        fs::write(&file, [start, &bytes].concat()).unwrap();
        prop_assert!(state(folder.path()).newest().is_err());
    }
}
