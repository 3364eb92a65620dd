//! Where `--allowed-signers-file` is given: whose commits are served, and that none goes back in time.

use std::fs;

use super::steps::{checked, pushed, restarted, started, stopped};
use super::world::World;
use crate::support::git;
use crate::support::ssh::Key;

rows! {
    "a commit by a listed signer is served" at Path:
        listed, started, march, checked
        => serves(New);
    "a commit is not signed" at Path:
        listed, started, pushed, checked
        => refuses(Old, "signature").because("is not signed");
    "a commit is signed by a stranger" at Path:
        listed, started, by_a_stranger, checked
        => refuses(Old, "signature").because("is not among the allowed signers");
    "a commit was changed after it was signed" at Path:
        listed, started, tampered, checked
        => refuses(Old, "signature").because("was changed");
    "a commit is signed with GPG" at Path:
        listed, started, by_gpg, checked
        => refuses(Old, "signature").because("signed with GPG");
    "the key is listed for another namespace" at Path:
        listed, started, |w| list(w, "namespaces=\"file\""), march, checked
        => refuses(Old, "signature").because("has no namespace `git`");
    "the time of the key was over" at Path:
        listed, started, |w| list(w, "valid-before=\"20240201Z\""), march, checked
        => refuses(Old, "signature").because("`valid-before`");
    "the key was revoked" at Path:
        listed, started, revoked, march, checked
        => refuses(Old, "signature").because("is not among the allowed signers");
    "the list of signers is gone" at Path:
        listed, started, march, |w| fs::remove_file(w.file("allowed_signers")).unwrap(), checked
        => refuses(Old, "signature").because("cannot be read, so nothing new is accepted");
    "a refused commit is served as soon as its signer is listed" at Path:
        listed, started, revoked, march, checked, |w| list(w, ""), checked
        => serves(New).after_refusals(1);
    "a stored commit by a signer who is no longer listed is not served" at Path:
        listed, started, stopped, revoked,
        |w| fs::rename(w.work.path(), w.work.parent().join("gone")).unwrap(), started
        => fails(Nothing, "not_found");

    "an older commit is a rollback" at Path:
        listed, march_first, started, february, checked
        => refuses(Old, "rollback").because("2505600 s older");
    "an older commit is a rollback after a restart, too" at Path:
        listed, march_first, started, stopped, february, started
        => refuses(Old, "rollback");
    "an older commit is served with --allow-rollback" at Path:
        listed, |w| w.settings.allow_rollback = true, march_first, started, february, checked
        => serves(New);
    "a newer commit ends the rollback" at Path:
        listed, march_first, started, february, checked, april, checked, restarted
        => serves(New);
}

/// The one commit of the repository is signed by somebody on the list.
fn listed(world: &mut World) {
    world.signer = Some(Key::new(world.work.parent(), "ann", "ed25519"));
    list(world, "");
    world.settings.allowed_signers = Some(world.file("allowed_signers"));
    world.commits.clear();
    signed_at(world, "2024-01-15T00:00:00Z");
}

/// The signer stands on the list with these options, and nobody else.
fn list(world: &mut World, options: &str) {
    let line = format!(
        "ann {options} {}\n",
        world.signer.as_ref().unwrap().public()
    );
    world.write("allowed_signers", &line.replace("  ", " "));
}

fn revoked(world: &mut World) {
    world.write("allowed_signers", "# nobody\n");
}

fn signed_at(world: &mut World, date: &str) {
    let key = world.signer.take().unwrap();
    world.sign(&key, date);
    world.signer = Some(key);
}

fn february(world: &mut World) {
    signed_at(world, "2024-02-01T00:00:00Z");
}

fn march(world: &mut World) {
    signed_at(world, "2024-03-01T00:00:00Z");
}

fn march_first(world: &mut World) {
    world.commits.clear();
    march(world);
}

fn april(world: &mut World) {
    signed_at(world, "2024-04-01T00:00:00Z");
}

fn by_a_stranger(world: &mut World) {
    let key = Key::new(world.work.parent(), "stranger", "ed25519");
    world.sign(&key, "2024-03-01T00:00:00Z");
}

/// The message is longer than the one that was signed.
fn tampered(world: &mut World) {
    march(world);
    let raw = raw_head(world);
    replace_head(world, &format!("{raw}x"));
}

fn by_gpg(world: &mut World) {
    pushed(world);
    let raw = raw_head(world);
    let (headers, message) = raw.split_once("\n\n").unwrap();
    let signature = "-----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----";
    replace_head(
        world,
        &format!("{headers}\ngpgsig {signature}\n\n{message}"),
    );
}

fn raw_head(world: &World) -> String {
    let mut command = git::command(world.work.path());
    let output = command.args(["cat-file", "commit", "HEAD"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn replace_head(world: &mut World, raw: &str) {
    let arguments = [
        "hash-object",
        "-t",
        "commit",
        "--literally",
        "-w",
        "--stdin",
    ];
    let commit = git::run_with_input(world.work.path(), &arguments, raw.as_bytes());
    world.work.set_ref("refs/heads/main", &commit);
    world.commits.push(commit);
}
