//! Every way to a repository: a change comes through.

use super::steps::{back, checked, pushed, started};
use super::world::Place::{Daemon, FileUrl, Http, Https, HttpsForClients, Path, Proxied, Ssh};
use super::world::World;
use super::{New, Row, row};
use crate::support::git;
use crate::support::http_backend::Answer;

pub(super) fn rows() -> Vec<Row> {
    const CHANGE: [super::Step; 3] = [started, pushed, checked];
    vec![
        row("a path of this machine is followed", Path, CHANGE).serves(New),
        row("a file URL is followed", FileUrl, CHANGE).serves(New),
        row(
            "a bare repository is followed",
            Path,
            [bare, started, pushed, mirrored, checked],
        )
        .serves(New),
        row("a server of smart HTTP is followed", Http, CHANGE).serves(New),
        row(
            "a server that knows only the old protocol is followed",
            Http,
            [old_git, started, pushed, checked],
        )
        .serves(New),
        row("a server behind TLS is followed", Https, CHANGE).serves(New),
        row(
            "a server that wants a client certificate is followed",
            HttpsForClients,
            CHANGE,
        )
        .serves(New),
        row(
            "a server behind a forward proxy is followed",
            Proxied,
            CHANGE,
        )
        .serves(New),
        row("a server of ssh is followed", Ssh, CHANGE).serves(New),
        row("a git daemon is followed", Daemon, CHANGE).serves(New),
        row(
            "a redirect to the same repository elsewhere is followed",
            Http,
            [
                started,
                pushed,
                |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"),
                checked,
            ],
        )
        .serves(New),
        row(
            "after the redirect ends, the old address is asked again",
            Http,
            [
                |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"),
                started,
                back,
                pushed,
                |w| w.elsewhere = None,
                checked,
            ],
        )
        .serves(New),
    ]
}

/// The repository is a bare clone.
fn bare(world: &mut World) {
    git::run(
        world.work.parent(),
        &["clone", "-q", "--bare", "repo", "bare.git"],
    );
    let path = world.work.parent().join("bare.git");
    world.settings.repo = path.to_str().unwrap().parse().unwrap();
}

/// The bare clone gets what the repository has.
fn mirrored(world: &mut World) {
    world
        .work
        .push(&world.work.parent().join("bare.git"), "main");
}

fn old_git(world: &mut World) {
    world.answers(Answer::OldGit);
}
