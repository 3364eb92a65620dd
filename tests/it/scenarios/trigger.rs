//! When the repository is checked, what a check costs, and what an id that nobody here knows leads to.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use gitboot::publish::Absence;
use gitboot::source::{Check, Remote};

use super::server::{state, wait_for};
use super::steps::{
    away, back, broken, checked, counted_from_here, eager, forgetful, missed, noticed, pushed,
    started,
};
use super::world::World;
use crate::support::http_backend::Answer;
use crate::support::process::Process;

/// More than anybody asks for at once.
const CROWD: usize = 50;

rows! {
    "an unchanged remote costs one listing and no objects" at Http:
        started, counted_from_here, checked, |w| w.expect_asked(1, 0)
        => serves(Old);
    "a change costs one listing and one fetch" at Http:
        started, counted_from_here, pushed, checked, |w| w.expect_asked(1, 1)
        => serves(New);
    "a change is noticed after the interval" at Http:
        eager, started, pushed, noticed
        => serves(New);
    "a remote that comes back is noticed without being asked" at Http:
        eager, started, away, missed, pushed, back, noticed
        => serves(New).after_errors("server", 1);
    "SIGHUP makes a running process check at once" at Path:
        hung_up, started
        => serves(New);
    "whoever asks during a check shares one more" at Http:
        started, crowd, |w| w.expect_asked(2, 0)
        => serves(Old);

    "unknown ids lead to one check, however many they are" at Http:
        started, counted_from_here, pushed, strangers, |w| w.expect_asked(1, 1)
        => serves(New);
    "unknown ids find a revision that is refused" at Http:
        started, broken, strangers
        => refuses(Old, "content");
    "a replica that lags learns an id that another one handed out" at Http:
        started, |w| w.settings.state_dir = None, |w| w.second = Some(w.begin()), pushed,
        |w| w.second.as_mut().unwrap().first_check(), |w| w.second.as_mut().unwrap().check(),
        an_id_of_the_second
        => serves(New);
    "a server that started empty may have missed ids" at Http:
        started, |w| expect_absence(w, Absence::Missed)
        => serves(Old);
    "a gap between two commits may hide ids" at Http:
        running_for_hours, started, pushed, checked, |w| expect_absence(w, Absence::Known), pushed, pushed,
        checked, |w| expect_absence(w, Absence::Missed)
        => serves(New);
    "a server without retention has missed nothing" at Http:
        forgetful, started, |w| expect_absence(w, Absence::Known)
        => serves(Old);
    "while the remote is away, an unknown id may be another replica's" at Http:
        started, away, checked, |w| expect_absence(w, Absence::Away)
        => fails(Old, "server");
    "while the remote is away for longer than --retain, nobody waits for an id" at Http:
        forgetful, started, away, checked, |w| expect_absence(w, Absence::Gone)
        => fails(Old, "server");
}

/// Many ask for checks while one is under way.
fn crowd(world: &mut World) {
    world.answers(Answer::Drip(Duration::from_millis(2)));
    counted_from_here(world);
    let waiting = world.server().ask_many(1);
    let http = world.http();
    wait_for("the first check", || !http.seen().is_empty());
    let crowd = world.server().ask_many(CROWD);
    world.server().wait(waiting);
    world.server().wait(crowd);
    world.server().note();
}

/// Strangers ask for ids that nobody knows, and wait for the check that follows.
fn strangers(world: &mut World) {
    let server = world.server();
    server.wonder(CROWD);
    server.note();
}

/// The other replica has handed out the id of a config of the last commit.
fn an_id_of_the_second(world: &mut World) {
    let second = world.second.take().unwrap();
    let id = second.config();
    let server = world.server();
    assert!(!server.knows(id));
    server.wonder(1);
    assert!(server.knows(id));
    server.note();
}

/// What was published two hours ago, and everything before it, is known.
fn running_for_hours(world: &mut World) {
    let mut remote = Remote::new(world.settings.clone()).unwrap();
    let Check::Changed(tree) = remote.check(None, &AtomicBool::new(false)).unwrap() else {
        panic!("nothing is known yet");
    };
    let state = state(&world.settings, world.retain).unwrap();
    let hours_ago = SystemTime::now() - Duration::from_hours(2);
    state.save(&tree, hours_ago).unwrap();
}

fn expect_absence(world: &mut World, expected: Absence) {
    let publication = world.server().current.load();
    assert_eq!(publication.absence(Instant::now()), expected);
}

/// The real binary, long before its next check is due.
fn hung_up(world: &mut World) {
    let repo = format!("--repo={}", world.settings.repo);
    let state = "--state-dir=none";
    let args = [
        "serve",
        &repo,
        state,
        "--listen=127.0.0.1:0",
        "--interval=1h",
    ];
    let mut process = Process::start(&args, &[]);
    process.line_with("published");
    pushed(world);
    process.signal("HUP");
    let line = process.line_with("published");
    let tip = world.commits.last().unwrap();
    assert!(line.contains(tip.as_str()), "{line}");
}
