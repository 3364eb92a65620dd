//! The running server: settings, signals, exit codes.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::http::{Client, get};
use crate::support::process::{Ended, Process};

const LISTEN: &str = "--listen=127.0.0.1:0";

/// A repository with one commit that holds this file.
fn repository(name: &str, content: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
    commit(dir.path(), name, content);
    dir
}

fn commit(dir: &Path, name: &str, content: &str) {
    std::fs::write(dir.join(name), content).unwrap();
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--allow-empty", "--message=x"]);
}

fn git(dir: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let status = Command::new("git")
        .current_dir(dir)
        .args(identity)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .status()
        .unwrap();
    assert!(status.success(), "git {args:?}");
}

fn start(repo: &Path, more: &[&str]) -> Process {
    let repo = format!("--repo={}", repo.display());
    let mut args = vec!["serve", &repo, "--state-dir=none", LISTEN];
    args.extend(more);
    Process::start(&args, &[])
}

fn run(args: &[&str], vars: &[(&str, &str)]) -> Ended {
    Process::start(args, vars).end()
}

#[test]
fn sigterm_lets_load_balancers_notice_and_then_ends() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--allow-empty", "--drain-delay=700ms"]);
    let address = server.address();
    server.line_with("published");
    assert_eq!(get(address, "/ready").status, 200);
    let mut kept = Client::connect(address);
    assert_eq!(kept.get("/health").status, 200);

    server.signal("TERM");
    server.line_with("draining");
    let ready = get(address, "/ready");
    assert_eq!((ready.status, ready.text()), (503, "draining\n"));
    assert_eq!(get(address, "/health").status, 200);
    assert_eq!(kept.get("/boot.ipxe").status, 200);
    kept.end();
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn a_request_under_way_is_answered_while_draining() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--allow-empty", "--drain-delay=0"]);
    let address = server.address();
    let mut client = Client::connect(address);
    assert_eq!(client.get("/health").status, 200);
    client.send("POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    // Its own connection, so that the server has surely read what was sent before.
    assert_eq!(get(address, "/health").status, 200);
    server.signal("TERM");
    server.line_with("draining");
    client.send("cd");
    assert_eq!(client.response().status, 405);
    client.end();
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn sigint_ends_at_once() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--drain-delay=1h"]);
    server.address();
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn a_second_signal_cuts_the_drain_short() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--drain-delay=1h"]);
    server.address();
    server.signal("TERM");
    server.line_with("draining");
    server.signal("TERM");
    let ended = server.end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(
        ended
            .log
            .ends_with("error: ended by a second signal before the drain was over"),
        "{}",
        ended.log
    );
}

#[test]
fn sighup_checks_the_repository_at_once() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--allow-empty", "--interval=1h"]);
    server.address();
    server.line_with("published");
    commit(repo.path(), "more.yaml", "# more\n");
    server.signal("HUP");
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_is_served() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--allow-empty", "--interval=1h"]);
    server.address();
    server.line_with("published");
    commit(repo.path(), "broken.yaml", "kind: Profil\n");
    server.signal("HUP");
    let line = server.line_with("refused");
    assert!(line.contains("refused (1 error), still serving "), "{line}");
    assert!(line.contains(", published "), "{line}");
    let line = server.line_with("broken.yaml:1:");
    assert!(line.contains("error["), "{line}");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn variables_stand_in_for_flags() {
    let repo = repository("empty.yaml", "# nothing\n");
    let vars = [
        ("GITBOOT_REPO", repo.path().to_str().unwrap()),
        ("GITBOOT_STATE_DIR", "none"),
        ("GITBOOT_LISTEN", "127.0.0.1:0\n127.0.0.1:0\n"),
        ("GITBOOT_ALLOW_EMPTY", "true"),
        ("GITBOOT_LABEL", ""),
        ("GITBOOT_NO_SUCH_FLAG", "x"),
        ("GITBOOT_LOG_FORMAT", "json"),
    ];
    let mut server = Process::start(&["serve"], &vars);
    let line = server.line_with("listening on http://");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO");
    server.line_with("listening on http://");
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_taken_address_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(
        &[
            "serve",
            "--repo=/nonexistent",
            "--state-dir=none",
            "--listen",
            &address,
        ],
        &[],
    );
    assert_eq!(ended.code, Some(1));
    let expected = format!(
        "error: cannot listen on `{address}`: the address is in use; stop what listens there or choose another with `--listen`"
    );
    assert!(ended.log.ends_with(&expected), "{}", ended.log);
}

#[test]
fn bad_usage_and_bad_settings_end_with_64() {
    let repo = ["--repo=/nonexistent"];
    let cases: [&[&str]; 12] = [
        &[],
        &["--no-such-flag"],
        &["--interval=0"],
        &["--interval=1"],
        &["--listen=8080"],
        &["--label=mac=52:54:00:00:00:01"],
        &["--label=nonsense"],
        &["--external-url=ftp://x"],
        &["--path=../x"],
        &["--log-level=gitboot=loud"],
        &["--boot-attempts=-1"],
        &["--repo=https://user:hunter2@git.example/x"],
    ];
    for (number, case) in cases.iter().enumerate() {
        let repo: &[&str] = if matches!(number, 0 | 11) { &[] } else { &repo };
        let args = [&["serve"], repo, case].concat();
        let ended = run(&args, &[]);
        assert_eq!(ended.code, Some(64), "{args:?}: {}", ended.log);
        assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    }
    assert_eq!(run(&[], &[]).code, Some(64));
    assert_eq!(run(&["bake"], &[]).code, Some(64));
    assert_eq!(run(&["serve", "--help"], &[]).code, Some(0));
    assert_eq!(run(&["--version"], &[]).code, Some(0));
}

#[test]
fn one_socket_takes_both_families() {
    let repo = repository("empty.yaml", "# nothing\n");
    let mut server = start(repo.path(), &["--listen=[::]:0"]);
    server.address();
    let port = server.address().port();
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/health").status, 200);
    assert_eq!(
        get(format!("[::1]:{port}").parse().unwrap(), "/health").status,
        200
    );
}
