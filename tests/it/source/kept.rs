//! What is kept from one fetch to the next: it saves bytes, never changes a result, and may break in any way.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gitboot::source::{Check, ErrorClass, Remote, Settings};

use super::http::World;
use super::{check, check_with, listing, path, settings};
use crate::support::git;
use crate::support::http_backend::{Answer, Seen};
use crate::support::process::Process;

/// The check has to bring this commit's tree, as a fresh look at the repository does.
fn expect_change(world: &World, remote: &mut Remote, known: Option<&str>) -> String {
    let Check::Changed(tree) = check_with(remote, known).unwrap() else {
        panic!("nothing changed");
    };
    assert_eq!(tree, check(settings(world.work.path())).unwrap());
    tree.revision().to_string()
}

fn many_files(world: &World, count: usize) {
    let texts: Vec<(String, String)> = (0..count)
        .map(|n| (format!("d{}/f{n}", n % 20), format!("{}\n", git_noise(n))))
        .collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    world.work.commit(&files);
}

/// Text that does not shrink much.
fn git_noise(n: usize) -> String {
    let mut state = n as u64 + 1;
    let mut text = String::new();
    for _ in 0..20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{state:016x}").unwrap();
    }
    text
}

#[test]
fn one_changed_file_among_many_is_a_small_pack() {
    let world = World::new();
    many_files(&world, 2000);
    let mut remote = Remote::new(world.settings()).unwrap();
    let first = expect_change(&world, &mut remote, None);
    let whole = world.packs()[0].0;
    assert!(whole > 300_000, "{whole}");
    world.server.take_seen();
    world.work.commit(&[("d7/f7", "changed\n")]);
    expect_change(&world, &mut remote, Some(&first));
    let seen = world.server.take_seen();
    let asked = String::from_utf8_lossy(&seen.last().unwrap().body).into_owned();
    assert!(asked.contains(&format!("have {first}")), "{asked}");
    assert!(asked.contains(&format!("shallow {first}")), "{asked}");
    assert!(asked.contains("deepen 1"), "{asked}");
    let packs = world.packs();
    // The commit, the root, one folder of 100 files and the file; bases of deltas may come on top.
    assert!(packs.len() == 2 && packs[1].0 < 12_000, "{packs:?}");
}

#[test]
fn a_commit_that_leaves_the_served_folder_alone_only_moves_the_revision() {
    let world = World::with_files(&[("boot/a", "1"), ("b", "2")]);
    for settings in [world.settings(), settings(world.work.path())] {
        let mut remote = Remote::new(Settings {
            path: Some(path("boot")),
            ..settings
        })
        .unwrap();
        let Check::Changed(before) = check_with(&mut remote, None).unwrap() else {
            panic!("nothing is known yet");
        };
        let head = world.work.commit(&[("b", &world.work.head())]);
        let known = before.revision().as_str();
        let Check::Moved(after) = check_with(&mut remote, Some(known)).unwrap() else {
            panic!("the folder is the same");
        };
        assert_eq!(after.revision().as_str(), head);
        assert_eq!(listing(&after), "a: 1");
        // Against another revision than the last one read, nothing is said to be the same.
        let head = world.work.commit(&[("b", &head)]);
        let Check::Changed(after) = check_with(&mut remote, Some(known)).unwrap() else {
            panic!("it is not known to be the same");
        };
        assert_eq!(after.revision().as_str(), head);
        assert_eq!(listing(&after), "a: 1");
    }
}

#[test]
fn changes_of_every_kind_are_read_as_if_nothing_was_kept() {
    let world = World::with_files(&[("a/b/c", "1"), ("a/b/d", "2"), ("a-b/c", "3"), ("e", "4")]);
    let mut remote = Remote::new(world.settings()).unwrap();
    let mut known = expect_change(&world, &mut remote, None);
    let work = world.work.path();
    let changes: [&dyn Fn(); 9] = [
        &|| world.work.write(&[("a/b/c", "changed")]),
        &|| fs::rename(work.join("a/b"), work.join("a/z")).unwrap(),
        &|| fs::remove_file(work.join("e")).unwrap(),
        &|| world.work.write(&[("e/f", "a folder where a file was")]),
        &|| std::os::unix::fs::symlink("e", work.join("link")).unwrap(),
        &|| fs::remove_dir_all(work.join("e")).unwrap(),
        &|| {
            world
                .work
                .write(&[("e", "a file where a folder was"), ("copy", "3")]);
        },
        &|| fs::remove_dir_all(work.join("a")).unwrap(),
        &|| world.work.write(&[("a/b/c", "1"), ("a/b/d", "2")]),
    ];
    for change in changes {
        change();
        world.work.commit(&[]);
        known = expect_change(&world, &mut remote, Some(&known));
    }
    // Back and forth, to commits that are known and to those without a common one.
    world.work.git(&["reset", "-q", "--hard", "HEAD~5"]);
    known = expect_change(&world, &mut remote, Some(&known));
    world.work.git(&["checkout", "-q", "--orphan", "other"]);
    world.work.commit(&[("a/b/c", "other")]);
    world.work.git(&["branch", "-q", "-f", "main", "other"]);
    expect_change(&world, &mut remote, Some(&known));
    assert_eq!(world.stores().len(), 1);
}

fn flip(file: &Path, at: impl Fn(usize) -> bool) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = fs::read(file).unwrap();
    for (n, byte) in bytes.iter_mut().enumerate() {
        if at(n) {
            *byte ^= 0x40;
        }
    }
    fs::write(file, bytes).unwrap();
}

fn truncate(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    let half = file.metadata().unwrap().len() / 2;
    fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(half)
        .unwrap();
}

#[test]
fn whatever_breaks_in_the_kept_objects_heals_with_the_next_change() {
    type Damage = (&'static str, fn(&Path, &Path));
    let damages: &[Damage] = &[
        ("a deleted pack", |_, pack| fs::remove_file(pack).unwrap()),
        ("a deleted index", |_, pack| {
            fs::remove_file(pack.with_extension("idx")).unwrap();
        }),
        ("a cut pack", |_, pack| truncate(pack)),
        ("a cut index", |_, pack| {
            truncate(&pack.with_extension("idx"));
        }),
        ("an empty pack", |_, pack| {
            fs::remove_file(pack).unwrap();
            fs::write(pack, "").unwrap();
        }),
        ("flipped bits in a pack", |_, pack| {
            flip(pack, |n| n % 7 == 3);
        }),
        ("a flipped header", |_, pack| flip(pack, |n| n < 12)),
        ("flipped bits in an index", |_, pack| {
            flip(&pack.with_extension("idx"), |n| n % 11 == 5);
        }),
        ("other offsets in an index", |_, pack| {
            flip(&pack.with_extension("idx"), |n| n > 1100 && n % 4 == 3);
        }),
        ("a lock", |store, _| {
            fs::write(store.join("shallow.lock"), "").unwrap();
        }),
        ("garbage in the list of shallow commits", |store, _| {
            fs::write(store.join("shallow"), "garbage").unwrap();
        }),
        ("a folder in its place", |store, _| {
            fs::remove_file(store.join("shallow")).unwrap();
            fs::create_dir(store.join("shallow")).unwrap();
        }),
        ("leftovers of packs", |store, _| {
            fs::write(store.join("objects/pack/.tmp123"), "half a pack").unwrap();
            fs::write(store.join("objects/pack/pack-1.idx"), "half an index").unwrap();
        }),
        ("garbage among the settings", |store, _| {
            fs::write(store.join("config"), "[[[").unwrap();
            fs::write(store.join("HEAD"), [0xff; 100]).unwrap();
            fs::write(store.join("objects/info"), "garbage").unwrap();
        }),
        ("no folder", |store, _| fs::remove_dir_all(store).unwrap()),
        ("a file instead of the folder", |store, _| {
            fs::remove_dir_all(store).unwrap();
            fs::write(store, "a file").unwrap();
        }),
        ("files of somebody else", |store, pack| {
            // Only root may give files away; to others this is nothing.
            let _ = std::os::unix::fs::chown(store, Some(12345), Some(12345));
            let _ = std::os::unix::fs::chown(pack, Some(12345), Some(12345));
        }),
    ];
    let world = World::new();
    many_files(&world, 60);
    let mut remote = Remote::new(world.settings()).unwrap();
    let mut known = expect_change(&world, &mut remote, None);
    for (n, (what, damage)) in damages.iter().enumerate() {
        eprintln!("{what}");
        let (store, pack) = (world.stores().remove(0), world.packs().remove(0).1);
        damage(&store, &pack);
        let text = format!("{}{n}", git_noise(3));
        world.work.commit(&[("d3/f3", &text), ("d4/new", what)]);
        known = expect_change(&world, &mut remote, Some(&known));
        if store.is_file() {
            fs::remove_file(&store).unwrap();
        }
        assert_eq!(world.stores().len(), 1, "{what}");
    }
}

#[test]
fn a_killed_server_leaves_nothing_that_stands_in_the_way() {
    let world = World::new();
    many_files(&world, 60);
    let stall = |seen: &Seen| {
        if seen.is_fetch() {
            Answer::Stall(5000)
        } else {
            Answer::Git
        }
    };
    let repo = format!("--repo={}", world.url());
    let state = format!("--state-dir={}", world.state().display());
    let args = [
        "serve",
        &repo,
        &state,
        "--listen=127.0.0.1:0",
        "--allow-empty",
    ];
    for _ in 0..2 {
        world.server.answer(stall);
        let mut server = Process::start(&args, &[]);
        server.address();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !world.server.take_seen().iter().any(Seen::is_fetch) {
            assert!(std::time::Instant::now() < until);
            std::thread::yield_now();
        }
        server.signal("KILL");
        assert_eq!(server.end().code, None);
        assert_eq!(world.stores().len(), 1, "what the killed one left");
    }
    world.server.answer(|_| Answer::Git);
    let mut server = Process::start(&args, &[]);
    server.line_with("listening");
    server.line_with(&world.work.head()[..7]);
    assert_eq!(world.stores().len(), 1);
    // A second one beside it takes a folder of its own, when it has something to fetch.
    let next = world.work.commit(&[("more", "1")]);
    let mut second = Process::start(&args, &[]);
    second.line_with(&next[..7]);
    assert_eq!(world.stores().len(), 2);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_done_without() {
    let world = World::with_files(&[("n", "1")]);
    fs::write(world.state(), "a file").unwrap();
    let mut remote = Remote::new(world.settings()).unwrap();
    let first = expect_change(&world, &mut remote, None);
    drop(remote);

    fs::remove_file(world.state()).unwrap();
    let mut remote = Remote::new(world.settings()).unwrap();
    expect_change(&world, &mut remote, None);
    assert_eq!(world.stores().len(), 1);
    fs::remove_dir_all(world.state()).unwrap();
    fs::write(world.state(), "a file").unwrap();
    world.work.commit(&[("n", "2")]);
    let second = expect_change(&world, &mut remote, Some(&first));
    drop(remote);
    fs::remove_file(world.state()).unwrap();
    let mut remote = Remote::new(world.settings()).unwrap();
    world.work.commit(&[("n", "3")]);
    expect_change(&world, &mut remote, Some(&second));
    assert_eq!(world.stores().len(), 1);
}

#[test]
fn a_full_disk_is_named_and_forgotten_when_there_is_room() {
    let world = World::new();
    many_files(&world, 2000);
    fs::create_dir(world.state()).unwrap();
    let place = world.state().display().to_string();
    let mount = |args: &[&str]| {
        let status = std::process::Command::new("mount")
            .args(args)
            .arg(&place)
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=100k", "none"]) {
        eprintln!("only root may mount; nothing is tested");
        return;
    }
    let mut remote = Remote::new(world.settings()).unwrap();
    let error = check_with(&mut remote, None).map(|_| ()).unwrap_err();
    let left = world.left_behind();
    let grown = mount(&["-o", "remount,size=100m"]);
    let result = check_with(&mut remote, None);
    drop(remote);
    git::run(world.work.path(), &["status", "-s"]);
    let status = std::process::Command::new("umount")
        .arg(&place)
        .status()
        .unwrap();
    assert!(status.success() && grown);
    assert_eq!(error.class(), ErrorClass::Disk, "{error}");
    assert!(error.is_transient(), "{error}");
    assert_eq!(left, Vec::<String>::new());
    assert!(matches!(result.unwrap(), Check::Changed(_)));
}
