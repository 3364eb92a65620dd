//! What is served after a restart, until the repository answers and when it does not.

use std::fs;
use std::time::Instant;

use gitboot::publish::Outcome;
use gitboot::tree::{Limits, RepoPath};

use super::server::wait_for;
use super::steps::{
    away, back, broken, checked, counted_from_here, forgetful, impatient, on_main, pushed,
    restarted, silent, started, stopped,
};
use super::world::{World, flip, truncate};

rows! {
    "a restart while the remote is away serves the last good revision" at Http:
        started, away, restarted
        => fails(Old, "server");
    "the remote comes back after the restart" at Http:
        started, away, restarted, pushed, back, checked
        => serves(New).after_errors("server", 1);
    "a restart serves before the remote answers" at Http:
        impatient, started, silent, stopped, serves_at_once
        => fails(Old, "timeout");
    "a restart while HEAD is refused serves the last good revision" at Http:
        started, broken, checked, restarted
        => refuses(Old, "content");
    "a restart on an unchanged remote fetches nothing" at Http:
        started, stopped, counted_from_here, started, |w| w.expect_asked(1, 0)
        => serves(Old);
    "a restart on a remote that went on takes the new revision" at Http:
        started, stopped, pushed, started
        => serves(New);
    "a boot in flight survives a restart" at Http:
        started, pushed, |w| w.remember_configs(), checked, away, restarted, |w| w.expect_remembered(true)
        => fails(New, "server");
    "a boot in flight does not survive a restart with --retain 0" at Http:
        started, pushed, |w| w.remember_configs(), checked, away, forgetful, restarted,
        |w| w.expect_remembered(false)
        => fails(New, "server");
    "a local repository is gone after a restart" at Path:
        started, stopped, |w| fs::rename(w.work.path(), w.work.parent().join("gone")).unwrap(), started
        => fails(Old, "not_found");

    // Files of the state directory that cannot be used.

    "bits of the stored tree are flipped" at Http:
        started, stopped, |w| flip(&w.stored_tree()), away, started
        => fails(Nothing, "server");
    "the stored tree is cut" at Http:
        started, stopped, |w| truncate(&w.stored_tree()), away, started
        => fails(Nothing, "server");
    "the stored tree is empty" at Http:
        started, stopped, |w| fs::write(w.stored_tree(), "").unwrap(), away, started
        => fails(Nothing, "server");
    "the stored tree is of another version" at Http:
        started, stopped, |w| fs::write(w.stored_tree(), "gitboot tree 2\nof the future").unwrap(), away,
        started
        => fails(Nothing, "server");
    "the stored tree is a folder" at Http:
        started, stopped, now_a_folder, away, started
        => fails(Nothing, "server");
    "the state directory is lost between two starts" at Http:
        started, stopped, |w| fs::remove_dir_all(w.state_dir()).unwrap(), away, started
        => fails(Nothing, "server");
    "a damaged tree does not stand in the way of the remote" at Http:
        started, stopped, |w| flip(&w.stored_tree()), started, stopped, away, started
        => fails(Old, "server");

    // Settings that changed between two starts.

    "another --repo serves nothing of the old one" at Http:
        started, stopped, other_repo, away, started
        => fails(Nothing, "server");
    "another --ref serves nothing of the old one" at Http:
        started, stopped, on_main, away, started
        => fails(Nothing, "server");
    "another --path serves nothing of the old one" at Http:
        started, stopped, |w| w.settings.path = Some(RepoPath::parse("boot").unwrap()), away, started
        => fails(Nothing, "server");
    "back at the first --ref, its tree is still there" at Http:
        started, stopped, on_main, started, stopped, |w| w.settings.reference = None, away, started
        => fails(Old, "server");
    "a limit was lowered below what is stored" at Http:
        started, stopped, |w| w.settings.limits = Limits { files: 0, ..Limits::default() }, away, started
        => fails(Nothing, "server");
    "what is stored is refused by the new settings" at Http:
        |w| w.settings.allow_empty = true, |w| w.commit(&[("site.yaml", "# nothing\n")]), started, stopped,
        |w| w.settings.allow_empty = false, away, started
        => fails(Nothing, "server");
    "without a state directory a restart needs the remote" at Http:
        |w| w.settings.state_dir = None, started, stopped, away, started
        => fails(Nothing, "server");
}

fn now_a_folder(world: &mut World) {
    let file = world.stored_tree();
    fs::remove_file(&file).unwrap();
    fs::create_dir(file).unwrap();
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
