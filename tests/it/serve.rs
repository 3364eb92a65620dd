//! The running server: settings, signals, exit codes.

use std::net::TcpListener;

use crate::support::git::Repository;
use crate::support::http::{Client, get};
use crate::support::process::{Ended, Process};

const LISTEN: &str = "--listen=127.0.0.1:0";

/// A repository with nothing to serve.
fn nothing() -> Repository {
    Repository::with_files(&[("empty.yaml", "# nothing\n")])
}

fn start(repo: &Repository, more: &[&str]) -> Process {
    let repo = format!("--repo={}", repo.path().display());
    let mut args = vec!["serve", &repo, "--state-dir=none", LISTEN];
    args.extend(more);
    Process::start(&args, &[])
}

fn run(args: &[&str], vars: &[(&str, &str)]) -> Ended {
    Process::start(args, vars).end()
}

#[test]
fn sigterm_lets_load_balancers_notice_and_then_ends() {
    let repo = nothing();
    let mut server = start(&repo, &["--allow-empty", "--drain-delay=700ms"]);
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
    let repo = nothing();
    let mut server = start(&repo, &["--allow-empty", "--drain-delay=0"]);
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
    let repo = nothing();
    let mut server = start(&repo, &["--drain-delay=1h"]);
    server.address();
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let line = " INFO draining, no new connections are taken\n";
    assert!(ended.log.contains(line), "{}", ended.log);
}

#[test]
fn a_second_signal_cuts_the_drain_short() {
    let repo = nothing();
    let mut server = start(&repo, &["--drain-delay=1h"]);
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
    let repo = nothing();
    let mut server = start(&repo, &["--allow-empty", "--interval=1h"]);
    server.address();
    server.line_with("published");
    repo.commit(&[("more.yaml", "# more\n")]);
    server.signal("HUP");
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_is_served() {
    let repo = nothing();
    let mut server = start(&repo, &["--allow-empty", "--interval=1h"]);
    server.address();
    server.line_with("published");
    repo.commit(&[("broken.yaml", "kind: Profil\n")]);
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
    let repo = nothing();
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
    let repo = nothing();
    let mut server = start(&repo, &["--listen=[::]:0"]);
    server.address();
    let port = server.address().port();
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/health").status, 200);
    assert_eq!(
        get(format!("[::1]:{port}").parse().unwrap(), "/health").status,
        200
    );
}

#[test]
fn every_listener_answers_with_its_own_address() {
    let repo = Repository::with_files(&[
        ("profile.yaml", PROFILE),
        (
            "rack.yaml",
            &ASSIGNMENT.replace("machines:", "isDefault: true\n  # machines:"),
        ),
    ]);
    let mut server = start(&repo, &["--listen=127.0.0.1:0", "--listen=[::1]:0"]);
    let addresses = [server.address(), server.address(), server.address()];
    server.line_with("published");
    for address in addresses {
        let base = format!("http://{address}/config/");
        for request in [
            "GET /ipxe HTTP/1.0\r\n\r\n".to_owned(),
            format!("GET /ipxe HTTP/1.1\r\nHost: {address}\r\n\r\n"),
        ] {
            let mut client = Client::connect(address);
            client.send(request);
            let response = client.response();
            assert_eq!(response.status, 200);
            assert_eq!(response.text().matches(&base).count(), 2, "{response:?}");
        }
    }
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

const PROFILE: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel {{ values.mirror }}/vmlinuz ignition.config.url={{ ignition }} ds=nocloud;s={{ config_dir }}
    boot
  additionalConfig:
    ignition: {inline: '{\"ignition\": {\"version\": \"3.4.0\"}, \"x\": \"{{ labels.serial }}\"}'}
    motd: \"hello\\n\"
  values: {mirror: \"http://mirror.example\"}
";

const ASSIGNMENT: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: worker
  machines: [{name: x1, mac: \"52:54:00:ab:cd:ef\"}]
";

/// The URL that follows `key=` in a script, without the server's address.
fn path_after<'s>(script: &'s str, key: &str, base: &str) -> &'s str {
    let (_, rest) = script.split_once(key).unwrap();
    let url = rest.split_whitespace().next().unwrap();
    url.strip_prefix(base).unwrap()
}

#[test]
fn a_push_changes_what_a_machine_boots_and_a_boot_in_flight_goes_on() {
    let repo = Repository::with_files(&[("profile.yaml", PROFILE), ("rack.yaml", ASSIGNMENT)]);
    let mut server = start(&repo, &["--interval=1h", "--log-format=json"]);
    let address = server.address();
    server.line_with("published");
    let base = "http://boot.example";
    let target = "/ipxe?mac=52-54-00-ab-cd-ef&serial=SN%201&hostname=n";
    let response = get(address, target);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        response.header("x-gitboot-revision"),
        Some(repo.head().as_str())
    );
    let ignition = path_after(response.text(), "ignition.config.url=", base);
    let dir = path_after(response.text(), ";s=", base);
    assert!(ignition.ends_with("?serial.hex=534e2031"), "{ignition}");
    assert!(dir.ends_with("/serial.hex=534e2031/"), "{dir}");
    let ignition_body = "{\"ignition\": {\"version\": \"3.4.0\"}, \"x\": \"SN 1\"}";
    let check = |revision: &str| {
        for (target, body) in [
            (ignition.to_owned(), ignition_body),
            (format!("{dir}ignition"), ignition_body),
            (format!("{dir}motd"), "hello\n"),
        ] {
            let response = get(address, &target);
            assert_eq!((response.status, response.text()), (200, body), "{target}");
            assert_eq!(
                response.header("x-gitboot-revision"),
                Some(revision),
                "{target}"
            );
        }
    };
    let first = repo.head();
    check(&first);

    repo.commit(&[("profile.yaml", &PROFILE.replace("3.4.0", "3.5.0"))]);
    server.signal("HUP");
    server.line_with("published");
    let newer = get(address, target);
    assert_ne!(
        path_after(newer.text(), "ignition.config.url=", base),
        ignition
    );
    check(&first);

    repo.commit(&[("rack.yaml", &ASSIGNMENT.replace("worker", "wroker"))]);
    server.signal("HUP");
    server.line_with("refused");
    assert_eq!(get(address, target), newer);
    check(&first);
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn every_answer_to_a_machine_is_one_line() {
    let repo = Repository::with_files(&[("profile.yaml", PROFILE), ("rack.yaml", ASSIGNMENT)]);
    let mut server = start(&repo, &["--log-format=json", "--retain=0"]);
    let address = server.address();
    server.line_with("published");
    let mut answered = |target: &str| {
        let status = get(address, target).status;
        let line = server.line_with("answered");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["status"], status);
        assert_eq!(line["client"], "127.0.0.1");
        assert!(line["micros"].is_u64(), "{line}");
        assert_eq!(line["level"], "INFO");
        line
    };
    let line = answered(
        "/ipxe?mac=525400abcdef&serial=SN1&uuid=47C6DA67-7477-4970-AA03-84E48FF4F6AD&asset=A9",
    );
    for (field, expected) in [
        ("route", "script"),
        ("reason", "ok"),
        ("mac", "52:54:00:ab:cd:ef"),
        ("serial", "SN1"),
        ("uuid", "47c6da67-7477-4970-aa03-84e48ff4f6ad"),
        ("asset", "A9"),
        ("machine", "x1"),
        ("assignment", "rack"),
        ("profile", "worker"),
        ("revision", repo.head().as_str()),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    let line = answered("/v1/boot/525400abcdef/motd");
    assert_eq!(
        (&line["route"], &line["config"]),
        (&"boot_api".into(), &"motd".into())
    );
    for (target, reason) in [
        ("/ipxe?mac=525400abcdee", "unassigned"),
        ("/ipxe/junk", "malformed_mac"),
        ("/ipxe?serial=a&serial=b", "repeated_label"),
        ("/v1/boot/525400abcdef/nope", "unknown_config"),
        ("/v1/boot/junk/motd", "malformed_mac"),
        (
            "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad",
            "unknown_config",
        ),
        ("/config/junk", "malformed_uuid"),
    ] {
        assert_eq!(answered(target)["reason"], reason, "{target}");
    }
}

#[test]
fn no_label_forges_a_log_line() {
    let repo = nothing();
    let mut server = start(&repo, &["--allow-empty"]);
    let address = server.address();
    server.line_with("published");
    let forged = "x%0A2026-01-01T00:00:00Z%20%20INFO%20answered";
    for key in ["serial", "asset", "mac", "uuid", "hostname"] {
        assert_eq!(get(address, &format!("/ipxe?{key}={forged}")).status, 404);
        let line = server.line_with("answered");
        assert!(!line.contains("2026-01-01T00:00:00Z"), "{line}");
    }
    assert_eq!(
        get(address, "/ipxe?serial=a%E2%80%AEb%1b%5B31m").status,
        404
    );
    let line = server.line_with("answered");
    assert!(line.contains("reason=\"unassigned\""), "{line}");
    assert!(
        line.chars().all(|c| !c.is_control() && c != '\u{202e}'),
        "{line}"
    );
    assert_eq!(get(address, "/ipxe?serial=a%E2%80%AEb").status, 404);
    let line = server.line_with("answered");
    assert!(line.contains("serial=\"a\\\\u{202e}b\""), "{line}");
}
