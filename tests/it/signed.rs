//! Signed commits, as a user meets them: the flags and the recipe of the README.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::fixture::GOOD;
use crate::support::git::{self, Repository};
use crate::support::process::Process;
use crate::support::ssh::Key;

/// A repository with something to serve.
fn repository() -> Repository {
    let (_, manifests) = GOOD.split_once('\n').unwrap();
    Repository::with_files(&[("good.yaml", manifests)])
}

#[test]
fn only_signed_commits_are_served_and_none_that_is_older() {
    let repository = repository();
    let parent = repository.parent();
    let key = Key::new(parent, "ann", "ed25519");
    let list = parent.join("allowed_signers");
    let repo = format!("--repo={}", repository.path().display());
    let list_flag = format!("--allowed-signers-file={}", list.display());
    let mut args = vec![
        "serve",
        &repo,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
        &list_flag,
    ];
    let mut server = Process::start(&args, &[]);
    server.address();
    server.line_with("refused (1 error), nothing is published yet");
    server.line_with("error[signature]: the allowed signers in ");

    // The list appears, then a signature.
    fs::write(&list, format!("ann {}\n", key.public())).unwrap();
    server.signal("HUP");
    server.line_with("error[signature]: the commit is not signed; ");
    let newest = key.commit_at(&repository, "2024-03-01T00:00:00Z");
    server.signal("HUP");
    let line = server.line_with("published");
    assert!(line.contains("signer=\"ann\""), "{line}");
    assert!(line.contains(&newest), "{line}");

    // An older commit, signed as well.
    repository.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let older = key.commit_at(&repository, "2024-02-01T00:00:00Z");
    server.signal("HUP");
    let line = server.line_with("refused (1 error), still serving");
    assert!(line.contains(&older), "{line}");
    server
        .line_with("error[rollback]: the commit is 2505600 s older than the one that is served; ");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));

    // The other way round it is good, and with the flag back again.
    args.push("--allow-rollback");
    let mut server = Process::start(&args, &[]);
    server.address();
    server.line_with("published");
    repository.set_ref("refs/heads/main", &newest);
    server.signal("HUP");
    server.line_with("published");
    repository.set_ref("refs/heads/main", &older);
    server.signal("HUP");
    let line = server.line_with("published");
    assert!(line.contains(&older), "{line}");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn what_was_stored_is_verified_again_and_still_cannot_go_back() {
    let repository = repository();
    let parent = repository.parent();
    let key = Key::new(parent, "ann", "ed25519");
    let list = parent.join("allowed_signers");
    let allowed = format!("ann {}\n", key.public());
    fs::write(&list, &allowed).unwrap();
    let first = repository.head();
    key.commit_at(&repository, "2024-03-01T00:00:00Z");
    let repo = format!("--repo={}", repository.path().display());
    let list_flag = format!("--allowed-signers-file={}", list.display());
    let state = format!("--state-dir={}", parent.join("state").display());
    let args = ["serve", &repo, &state, "--listen=127.0.0.1:0", &list_flag];
    let mut server = Process::start(&args, &[]);
    server.address();
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));

    // An older commit after a restart.
    repository.git(&["reset", "-q", "--hard", &first]);
    key.commit_at(&repository, "2024-02-01T00:00:00Z");
    let mut server = Process::start(&args, &[]);
    server.line_with("published from the state directory");
    server.line_with("refused (1 error), still serving");
    server.line_with("error[rollback]: ");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));

    // A key that was revoked in between.
    fs::write(&list, "# nobody\n").unwrap();
    let mut server = Process::start(&args, &[]);
    server.line_with("in the state directory is not served");
    server
        .line_with("error[signature]: the commit is signed by a key that is not among the allowed");
    server.line_with("refused (1 error), nothing is published yet");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn validate_and_render_look_at_signatures_too() {
    let repository = repository();
    let parent = repository.parent();
    let key = Key::new(parent, "ann", "ed25519");
    let list = parent.join("allowed_signers");
    fs::write(&list, format!("ann {}\n", key.public())).unwrap();
    let repo = format!("--repo={}", repository.path().display());
    let list = format!("--allowed-signers-file={}", list.display());
    let label = "--label=serial=1";
    for args in [
        &["validate", &repo, &list][..],
        &["render", &repo, &list, label],
    ] {
        let ended = Process::start(args, &[]).end();
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        assert_eq!(
            ended.log,
            "error: the commit is not signed; sign with an SSH key that the allowed signers list (`git commit -S`)"
        );
    }
    key.commit(&repository, &[]);
    for args in [
        &["validate", &repo, &list][..],
        &["render", &repo, &list, label],
    ] {
        let ended = Process::start(args, &[]).end();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
    let ended = Process::start(&["validate", &list], &[]).end();
    assert_eq!(ended.code, Some(64), "{}", ended.log);
}

/// The commands of the first shell block after a heading of the README.
fn recipe(heading: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once(heading).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_recipe_of_the_readme_works() {
    let repository = repository();
    let home = repository.parent();
    fs::create_dir(home.join(".ssh")).unwrap();
    git::run(home, &["clone", "-q", "--bare", "repo", "origin.git"]);
    let origin = home.join("origin.git");
    git::run(home, &["clone", "-q", origin.to_str().unwrap(), "clone"]);
    let binary = Path::new(env!("CARGO_BIN_EXE_gitboot"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary.parent().unwrap().display());
    let output = Command::new("sh")
        .args(["-e", "-c", &recipe("### Signed commits\n")])
        .current_dir(home.join("clone"))
        .env_clear()
        .envs([("HOME", home.to_str().unwrap()), ("PATH", &path)])
        .envs([
            ("GIT_CONFIG_COUNT", "3"),
            ("GIT_CONFIG_KEY_0", "user.name"),
            ("GIT_CONFIG_VALUE_0", "Ann"),
            ("GIT_CONFIG_KEY_1", "user.email"),
            ("GIT_CONFIG_VALUE_1", "ann@example.com"),
            ("GIT_CONFIG_KEY_2", "safe.directory"),
            ("GIT_CONFIG_VALUE_2", "*"),
        ])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out, "ok: 1 Profile, 1 Assignment, 0 machines, 0 configs\n");
}
