//! What happens to this machine: to the objects that are kept for the next fetch, to the disk, to the process.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use super::server::wait_for;
use super::steps::{back, checked, counted_from_here, pushed, started};
use super::world::{World, flip, truncate};
use crate::support::http_backend::{Answer, Seen};
use crate::support::process::Process;

rows! {
    // What may become of the objects of the last fetches.

    "a pack is deleted" at Http:
        started, |w| fs::remove_file(w.pack()).unwrap(), pushed, checked, one_store
        => serves(New);
    "a pack is cut" at Http:
        started, |w| truncate(&w.pack()), pushed, checked, one_store
        => serves(New);
    "a pack is empty" at Http:
        started, |w| fs::write(w.pack(), "").unwrap(), pushed, checked, one_store
        => serves(New);
    "bits of a pack are flipped" at Http:
        started, |w| flip(&w.pack()), pushed, checked, one_store
        => serves(New);
    "the index of a pack is deleted" at Http:
        started, |w| fs::remove_file(w.pack().with_extension("idx")).unwrap(), pushed, checked, one_store
        => serves(New);
    "the index of a pack is cut" at Http:
        started, |w| truncate(&w.pack().with_extension("idx")), pushed, checked, one_store
        => serves(New);
    "bits of the index of a pack are flipped" at Http:
        started, |w| flip(&w.pack().with_extension("idx")), pushed, checked, one_store
        => serves(New);
    "a lock is left over" at Http:
        started, |w| fs::write(w.store().join("shallow.lock"), "").unwrap(), pushed, checked, one_store
        => serves(New);
    "half a pack is left over" at Http:
        started, half_a_pack, pushed, checked, one_store
        => serves(New);
    "the configuration of the store is garbage" at Http:
        started, garbage, pushed, checked, one_store
        => serves(New);
    "the list of shallow commits is garbage" at Http:
        started, |w| fs::write(w.store().join("shallow"), "garbage").unwrap(), pushed, checked, one_store
        => serves(New);
    "the store belongs to somebody else" at Http:
        started, given_away, pushed, checked, one_store
        => serves(New);
    "the store is deleted" at Http:
        started, |w| fs::remove_dir_all(w.store()).unwrap(), pushed, checked, one_store
        => serves(New);
    "the state directory is deleted" at Http:
        started, deleted, pushed, checked, one_store
        => serves(New);

    // What other processes left, or do.

    "an earlier process was killed in the middle of a fetch" at Http:
        killed_in_a_fetch, started, one_store
        => serves(Old);
    "folders and locks of dead processes are left over" at Http:
        dead_leftovers, started, one_store
        => serves(Old);
    "two servers share a state directory" at Http:
        started, |w| w.second = Some(w.begin()), |w| w.second.as_mut().unwrap().first_check(), pushed,
        |w| w.second.as_mut().unwrap().check(), checked,
        |w| assert_eq!(w.second.as_ref().unwrap().served(), w.commits.last().cloned())
        => serves(New);

    // Disks that cannot be written.

    "a file takes the place of the state directory" at Http:
        started, pushed, blocked, checked
        => serves(New);
    "the file goes away again" at Http:
        started, blocked, pushed, checked, unblocked, pushed, checked
        => serves(New);
    "the state directory cannot be written" at Http:
        read_only, started, pushed, checked
        => serves(New).for_root();
    "what is served cannot be stored" at Path:
        unwritable, started, pushed, checked
        => serves(New);
    "the disk is full" at Http:
        small_disk, started, incompressible, checked
        => fails(Old, "disk").because("No space left on device").for_root();
    "somebody makes room on the full disk" at Http:
        small_disk, started, incompressible, checked, |w| w.mount(&["-o", "remount,size=50m"]), checked
        => serves(New).after_errors("disk", 1).for_root();
}

/// There is one store, whatever happened.
fn one_store(world: &mut World) {
    world.store();
}

fn half_a_pack(world: &mut World) {
    let packs = world.store().join("objects/pack");
    fs::write(packs.join(".tmp123"), "half a pack").unwrap();
    fs::write(packs.join("pack-1.idx"), "half an index").unwrap();
}

fn garbage(world: &mut World) {
    fs::write(world.store().join("config"), "[[[").unwrap();
    fs::write(world.store().join("HEAD"), [0xff; 100]).unwrap();
}

/// Only root may give files away; to others this is nothing.
fn given_away(world: &mut World) {
    let _ = chown(world.store(), Some(12345), Some(12345));
    let _ = chown(world.pack(), Some(12345), Some(12345));
}

/// A real process is killed while it waits for objects.
fn killed_in_a_fetch(world: &mut World) {
    world.answers_fetches(Answer::Stall(100));
    let repo = format!("--repo={}", world.settings.repo);
    let state = format!("--state-dir={}", world.state_dir().display());
    let process = Process::start(&["serve", &repo, &state, "--listen=127.0.0.1:0"], &[]);
    let http = world.http();
    wait_for("the fetch", || http.take_seen().iter().any(Seen::is_fetch));
    process.signal("KILL");
    assert_eq!(process.end().code, None);
    world.store();
    back(world);
    counted_from_here(world);
}

fn dead_leftovers(world: &mut World) {
    let state = world.state_dir();
    fs::create_dir_all(state.join("gitboot-fetch-dead/objects/pack")).unwrap();
    fs::write(state.join("gitboot-fetch-dead/shallow.lock"), "").unwrap();
    fs::write(state.join("gitboot-fetch-dead.lock"), "").unwrap();
    fs::create_dir(state.join("gitboot-fetch-orphan")).unwrap();
}

fn deleted(world: &mut World) {
    // Nothing is being written there.
    world.server().wait_until_stored();
    fs::remove_dir_all(world.state_dir()).unwrap();
}

fn blocked(world: &mut World) {
    deleted(world);
    fs::write(world.state_dir(), "a file").unwrap();
}

fn unblocked(world: &mut World) {
    fs::remove_file(world.state_dir()).unwrap();
}

fn unwritable(world: &mut World) {
    let file = world.write("file", "");
    world.settings.state_dir = Some(file.join("below"));
}

/// The state directory is on a disk of its own with hardly any room.
fn small_disk(world: &mut World) {
    fs::create_dir(world.state_dir()).unwrap();
    world.mount(&["-t", "tmpfs", "-o", "size=300k", "none"]);
}

/// The state directory is on a disk that nobody may write to.
fn read_only(world: &mut World) {
    fs::create_dir(world.state_dir()).unwrap();
    world.mount(&["-t", "tmpfs", "-o", "ro", "none"]);
}

/// A commit that does not fit.
fn incompressible(world: &mut World) {
    let noise = crate::support::git::noise(1_000_000);
    world.commit(&[("noise.txt", &noise)]);
}

/// Whether this user may mount what the rows for root want.
pub(super) fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).arg(folder.path()).status();
        status.is_ok_and(|status| status.success())
    };
    run("mount", &["-t", "tmpfs", "-o", "size=100k", "none"]) && run("umount", &["--lazy"])
}
