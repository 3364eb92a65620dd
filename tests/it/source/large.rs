//! Large files beside the served ones: left out where the remote can do so.

use gitboot::source::{Check, ErrorClass, Remote, Settings};
use gitboot::tree::Limits;

use super::http::World;
use super::{check_with, listing, path};

/// What a file may have in these tests, in bytes.
const LIMIT: u64 = 10_000;

fn settings(world: &World) -> Settings {
    Settings {
        path: Some(path("boot")),
        limits: Limits {
            file_bytes: LIMIT,
            ..Limits::default()
        },
        ..world.settings()
    }
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> String {
    let mut state = seed;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
    };
    (0..length).map(next).collect()
}

fn filtering(files: &[(&str, &str)]) -> World {
    let world = World::new();
    world
        .work
        .git(&["config", "uploadpack.allowFilter", "true"]);
    world.work.commit(files);
    world
}

fn files(remote: &mut Remote, known: Option<&str>) -> String {
    match check_with(remote, known).unwrap() {
        Check::Changed(tree) | Check::Moved(tree) => listing(&tree),
        Check::Unchanged(revision) => panic!("unchanged {revision}"),
    }
}

#[test]
fn a_large_file_outside_the_folder_is_not_even_sent() {
    let world = filtering(&[("boot/a", "1"), ("image.iso", &noise(1 << 20, 1))]);
    let mut remote = Remote::new(settings(&world)).unwrap();
    assert_eq!(files(&mut remote, None), "a: 1");
    let (bytes, _) = world.packs()[0];
    assert!(bytes < LIMIT, "{bytes} bytes were sent");
    // The image becomes another, then a small file like it, and is moved to what is served.
    let head = world
        .work
        .commit(&[("boot/a", "2"), ("image.iso", &noise(1 << 20, 2))]);
    assert_eq!(files(&mut remote, None), "a: 2");
    let small = noise(1 << 20, 2)[..9000].to_owned();
    world.work.commit(&[("image.iso", &small)]);
    assert_eq!(files(&mut remote, Some(&head)), "a: 2");
    world.work.git(&["mv", "image.iso", "boot/b"]);
    world.work.commit(&[]);
    assert_eq!(files(&mut remote, None), format!("a: 2\nb: {small}"));
}

#[test]
fn a_large_file_in_the_folder_is_refused_by_its_name() {
    let world = filtering(&[("boot/a", "1")]);
    let mut remote = Remote::new(settings(&world)).unwrap();
    assert_eq!(files(&mut remote, None), "a: 1");
    let exact = noise(usize::try_from(LIMIT).unwrap(), 3);
    world.work.commit(&[("boot/b", &exact)]);
    assert_eq!(files(&mut remote, None), format!("a: 1\nb: {exact}"));
    for _ in 0..2 {
        let head = world.work.commit(&[("boot/b", &format!("{exact}!"))]);
        for _ in 0..2 {
            let error = check_with(&mut remote, None).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Limit);
            assert_eq!(
                error.to_string(),
                "`b` is larger than the limit of 10000 bytes"
            );
            assert_eq!(error.revision().unwrap().as_str(), head);
        }
        world
            .work
            .commit(&[("boot/b", &format!("{}!", &exact[1..]))]);
        let listed = files(&mut remote, None);
        assert!(listed.ends_with('!'), "{listed}");
    }
}
