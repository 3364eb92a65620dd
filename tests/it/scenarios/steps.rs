//! The steps that most rows are made of.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use gitboot::publish::Outcome;

use super::server::wait_for;
use super::world::World;
use crate::support::http_backend::Answer;

/// Long enough for git on a busy machine, short enough to wait for.
const SOON: Duration = Duration::from_secs(3);

// The server.

/// The server starts and ends its first check.
pub(super) fn started(world: &mut World) {
    world.start();
}

/// The repository is checked.
pub(super) fn checked(world: &mut World) {
    world.server().check();
}

/// The server ends, with everything on disk that belongs there, and a new one ends its first check.
pub(super) fn restarted(world: &mut World) {
    world.stop();
    world.start();
}

/// The server ends, with everything on disk that belongs there.
pub(super) fn stopped(world: &mut World) {
    world.stop();
}

/// `--git-timeout` and `--fetch-timeout` are short.
pub(super) fn impatient(world: &mut World) {
    world.settings.git_timeout = SOON;
    world.settings.fetch_timeout = 4 * SOON;
}

/// Nobody needs to ask for checks: there is one each second.
pub(super) fn eager(world: &mut World) {
    world.interval = Duration::from_secs(1);
}

/// `--retain 0`.
pub(super) fn forgetful(world: &mut World) {
    world.retain = Duration::ZERO;
}

/// The server notices the last commit without being asked.
pub(super) fn noticed(world: &mut World) {
    let tip = world.commits.last().cloned();
    let server = world.server();
    wait_for("the last commit", || server.served() == tip);
    server.note();
}

/// The server notices without being asked that the remote is away.
pub(super) fn missed(world: &mut World) {
    let server = world.server();
    wait_for("a failure", || {
        matches!(server.outcome(), Outcome::Failed(_))
    });
    server.note();
}

// The repository.

/// Somebody pushes a good change.
pub(super) fn pushed(world: &mut World) {
    world.change();
}

/// Somebody pushes a manifest with an error.
pub(super) fn broken(world: &mut World) {
    world.commit(&[("broken.yaml", "kind: Profil\n")]);
}

/// Somebody removes it again.
pub(super) fn mended(world: &mut World) {
    fs::remove_file(world.work.path().join("broken.yaml")).unwrap();
    world.commit(&[]);
}

/// The history is another one, with other files.
pub(super) fn force_pushed(world: &mut World) {
    world.work.git(&["checkout", "-q", "--orphan", "other"]);
    world.change();
    world.work.git(&["branch", "-q", "-f", "main", "other"]);
}

/// The branch is deleted, and `HEAD` leads to nothing.
pub(super) fn deleted(world: &mut World) {
    world.work.git(&["checkout", "-q", "--detach"]);
    world.work.git(&["branch", "-q", "-D", "main"]);
}

/// `--ref main`.
pub(super) fn on_main(world: &mut World) {
    world.settings.reference = Some("main".to_owned());
}

// What the remote does.

/// Nobody listens any more.
pub(super) fn unplugged(world: &mut World) {
    world.unplug();
}

/// The remote does what git does.
pub(super) fn back(world: &mut World) {
    world.answers(Answer::Git);
}

/// The remote says that it cannot answer now.
pub(super) fn away(world: &mut World) {
    world.answers(status(503));
}

/// The remote takes requests and says nothing.
pub(super) fn silent(world: &mut World) {
    world.answers(Answer::Stall(0));
}

/// An answer with this status and nothing else.
pub(super) fn status(status: u16) -> Answer {
    Answer::Fixed {
        status,
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

/// A page with this type.
pub(super) fn page(content_type: &str, body: &'static str) -> Answer {
    Answer::Fixed {
        status: 200,
        headers: vec![("content-type", content_type.to_owned())],
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// What the remote was asked so far does not count.
pub(super) fn counted_from_here(world: &mut World) {
    world.http().take_seen();
}
