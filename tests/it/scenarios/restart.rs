//! What is served after a restart, until the repository answers and when it does not.

use std::fs;
use std::time::Instant;

use gitboot::publish::Outcome;
use gitboot::tree::{Limits, RepoPath};

use super::Served::None as Nothing;
use super::server::wait_for;
use super::steps::{
    away, back, broken, checked, counted_from_here, forgetful, impatient, on_main, pushed,
    restarted, silent, started, stopped,
};
use super::world::Place::{Http, Path};
use super::world::{World, flip, truncate};
use super::{New, Old, Row, row};

pub(super) fn rows() -> Vec<Row> {
    [survives(), damaged(), settings()]
        .into_iter()
        .flatten()
        .collect()
}

fn survives() -> Vec<Row> {
    vec![
        row(
            "a restart while the remote is away serves the last good revision",
            Http,
            [started, away, restarted],
        )
        .fails(Old, "server"),
        row(
            "the remote comes back after the restart",
            Http,
            [started, away, restarted, pushed, back, checked],
        )
        .serves(New)
        .after_errors("server", 1),
        row(
            "a restart serves before the remote answers",
            Http,
            [impatient, started, silent, stopped, serves_at_once],
        )
        .fails(Old, "timeout"),
        row(
            "a restart while HEAD is refused serves the last good revision",
            Http,
            [started, broken, checked, restarted],
        )
        .refuses(Old, "content"),
        row(
            "a restart on an unchanged remote fetches nothing",
            Http,
            [started, stopped, counted_from_here, started, |w| {
                w.expect_asked(1, 0)
            }],
        )
        .serves(Old),
        row(
            "a restart on a remote that went on takes the new revision",
            Http,
            [started, stopped, pushed, started],
        )
        .serves(New),
        row(
            "a boot in flight survives a restart",
            Http,
            [
                started,
                pushed,
                |w| w.remember_configs(),
                checked,
                away,
                restarted,
                |w| w.expect_remembered(true),
            ],
        )
        .fails(New, "server"),
        row(
            "a boot in flight does not survive a restart with --retain 0",
            Http,
            [
                started,
                pushed,
                |w| w.remember_configs(),
                checked,
                away,
                forgetful,
                restarted,
                |w| w.expect_remembered(false),
            ],
        )
        .fails(New, "server"),
        row(
            "a local repository is gone after a restart",
            Path,
            [
                started,
                stopped,
                |w| fs::rename(w.work.path(), w.work.parent().join("gone")).unwrap(),
                started,
            ],
        )
        .fails(Old, "not_found"),
    ]
}

/// Files of the state directory that cannot be used.
fn damaged() -> Vec<Row> {
    let with = |scenario, damage: super::Step| {
        row(scenario, Http, [started, stopped, damage, away, started]).fails(Nothing, "server")
    };
    vec![
        with("bits of the stored tree are flipped", |w| {
            flip(&w.stored_tree())
        }),
        with("the stored tree is cut", |w| truncate(&w.stored_tree())),
        with("the stored tree is empty", |w| {
            fs::write(w.stored_tree(), "").unwrap()
        }),
        with("the stored tree is of another version", |w| {
            fs::write(w.stored_tree(), "gitboot tree 2\nof the future").unwrap();
        }),
        with("the stored tree is a folder", |w| {
            let file = w.stored_tree();
            fs::remove_file(&file).unwrap();
            fs::create_dir(file).unwrap();
        }),
        with("the state directory is lost between two starts", |w| {
            fs::remove_dir_all(w.state_dir()).unwrap();
        }),
        row(
            "a damaged tree does not stand in the way of the remote",
            Http,
            [
                started,
                stopped,
                |w| flip(&w.stored_tree()),
                started,
                stopped,
                away,
                started,
            ],
        )
        .fails(Old, "server"),
    ]
}

/// Settings that changed between two starts.
fn settings() -> Vec<Row> {
    vec![
        row(
            "another --repo serves nothing of the old one",
            Http,
            [started, stopped, other_repo, away, started],
        )
        .fails(Nothing, "server"),
        row(
            "another --ref serves nothing of the old one",
            Http,
            [started, stopped, on_main, away, started],
        )
        .fails(Nothing, "server"),
        row(
            "another --path serves nothing of the old one",
            Http,
            [
                started,
                stopped,
                |w| w.settings.path = Some(RepoPath::parse("boot").unwrap()),
                away,
                started,
            ],
        )
        .fails(Nothing, "server"),
        row(
            "back at the first --ref, its tree is still there",
            Http,
            [
                started,
                stopped,
                on_main,
                started,
                stopped,
                |w| w.settings.reference = None,
                away,
                started,
            ],
        )
        .fails(Old, "server"),
        row(
            "a limit was lowered below what is stored",
            Http,
            [
                started,
                stopped,
                |w| {
                    w.settings.limits = Limits {
                        files: 0,
                        ..Limits::default()
                    }
                },
                away,
                started,
            ],
        )
        .fails(Nothing, "server"),
        row(
            "what is stored is refused by the new settings",
            Http,
            [
                |w| w.settings.allow_empty = true,
                |w| w.commit(&[("site.yaml", "# nothing\n")]),
                started,
                stopped,
                |w| w.settings.allow_empty = false,
                away,
                started,
            ],
        )
        .fails(Nothing, "server"),
        row(
            "without a state directory a restart needs the remote",
            Http,
            [
                |w| w.settings.state_dir = None,
                started,
                stopped,
                away,
                started,
            ],
        )
        .fails(Nothing, "server"),
    ]
}

/// The last good revision is there while the first check still waits; the issue wants it within a second.
fn serves_at_once(world: &mut World) {
    let began = Instant::now();
    let mut server = world.begin();
    wait_for("the stored revision", || server.served().is_some());
    assert_eq!(server.outcome(), Outcome::Restored);
    assert!(began.elapsed().as_secs() < 1, "{:?}", began.elapsed());
    server.first_check();
    world.install(server);
}

fn other_repo(world: &mut World) {
    world.settings.repo = world.http().url("repo").parse().unwrap();
}
