//! Every way to a repository: a change comes through.

use super::steps::{back, checked, pushed, started};
use super::world::World;
use crate::support::git;
use crate::support::http_backend::Answer;

rows! {
    "a path of this machine is followed" at Path:
        started, pushed, checked
        => serves(New);
    "a file URL is followed" at FileUrl:
        started, pushed, checked
        => serves(New);
    "a bare repository is followed" at Path:
        bare, started, pushed, mirrored, checked
        => serves(New);
    "a server of smart HTTP is followed" at Http:
        started, pushed, checked
        => serves(New);
    "a server that knows only the old protocol is followed" at Http:
        old_git, started, pushed, checked
        => serves(New);
    "a server behind TLS is followed" at Https:
        started, pushed, checked
        => serves(New);
    "a server that wants a client certificate is followed" at HttpsForClients:
        started, pushed, checked
        => serves(New);
    "a server behind a forward proxy is followed" at Proxied:
        started, pushed, checked
        => serves(New);
    "a server of ssh is followed" at Ssh:
        started, pushed, checked
        => serves(New);
    "a git daemon is followed" at Daemon:
        started, pushed, checked
        => serves(New);
    "a redirect to the same repository elsewhere is followed" at Http:
        started, pushed, |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"), checked
        => serves(New);
    "after the redirect ends, the old address is asked again" at Http:
        |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"), started, back, pushed,
        |w| w.elsewhere = None, checked
        => serves(New);
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
