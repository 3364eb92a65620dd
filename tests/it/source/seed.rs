//! A repository made without git is one that git takes.

use gitboot::source::{Check, ErrorClass, Remote, seed};

use super::{check_with, listing, path, settings};
use crate::support::git;

#[test]
fn a_seeded_repository_is_cloned_edited_and_pushed_to() {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("demo.git");
    let files = [
        ("profiles/a.yaml", "a"),
        ("profiles/sub/b", "b"),
        // Git sorts a folder as if its name ended in a slash.
        ("profiles-x", "c"),
        ("profiles.x", "d"),
    ];
    let files = files
        .iter()
        .map(|(name, text)| (path(name), text.as_bytes()));
    let revision = seed::create_bare(&bare, files, "start here", "main").unwrap();

    git::run(&bare, &["fsck", "--strict", "--no-dangling"]);
    git::run(folder.path(), &["clone", "-q", "demo.git", "clone"]);
    let clone = folder.path().join("clone");
    assert_eq!(
        git::run(&clone, &["log", "--format=%H %an <%ae> %cn <%ce> %s"]),
        format!(
            "{revision} gitboot demo <demo@gitboot.invalid> gitboot demo <demo@gitboot.invalid> start here"
        )
    );
    assert_eq!(git::run(&clone, &["branch", "--show-current"]), "main");

    let mut remote = Remote::new(settings(&bare)).unwrap();
    let Check::Changed(tree) = check_with(&mut remote, None).unwrap() else {
        panic!("unchanged");
    };
    assert_eq!(
        listing(&tree),
        "profiles-x: c\nprofiles.x: d\nprofiles/a.yaml: a\nprofiles/sub/b: b"
    );
    std::fs::write(clone.join("profiles-x"), "changed").unwrap();
    git::run(&clone, &["commit", "-q", "-a", "-m", "edit"]);
    git::run(&clone, &["push", "-q"]);
    let Check::Changed(tree) = check_with(&mut remote, Some(revision.as_str())).unwrap() else {
        panic!("unchanged");
    };
    assert_eq!(
        tree.revision().as_str(),
        git::run(&clone, &["rev-parse", "HEAD"])
    );
    assert!(listing(&tree).starts_with("profiles-x: changed\n"));
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    let error = seed::create_bare(folder.path(), std::iter::empty(), "x", "main").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Disk);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
