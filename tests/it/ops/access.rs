//! Who may ask what, and how.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use super::{FLEET, Site, get, send};
use crate::support::git::Repository;
use crate::support::http::Client;
use crate::support::process::Process;

const EVERYWHERE: &str = "--ops-listen=0.0.0.0:0";
const PRIVATE: [&str; 4] = [
    "/api/profiles",
    "/api/assignments",
    "/api/explain?mac=52:54:00:00:00:01",
    "/api/machines",
];

#[test]
fn on_loopback_this_machine_may_ask_everything_by_its_own_names() {
    let site = Site::published(FLEET, &[]);
    for target in PRIVATE.iter().chain(&["/status", "/metrics"]) {
        for (host, status) in [
            ("localhost", 200),
            ("localhost:8081", 200),
            ("127.0.0.1:9", 200),
            ("[::1]:8081", 200),
            ("rebound.example", 403),
            ("rebound.example:8081", 403),
            ("localhost.rebound.example", 403),
            ("10.0.0.1", 403),
            ("", 403),
        ] {
            let mut client = Client::connect(site.ops);
            client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(client.response().status, status, "{target} {host}");
        }
    }
    for (request, status) in [
        ("GET /status HTTP/1.0\r\n\r\n", 200),
        (
            "GET http://rebound.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
            403,
        ),
        (
            "GET /status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            403,
        ),
        ("GET /status HTTP/1.1\r\n\r\n", 403),
    ] {
        let mut client = Client::connect(site.ops);
        client.send(request);
        assert_eq!(client.response().status, status, "{request}");
    }
}

#[test]
fn elsewhere_what_tells_of_the_fleet_needs_the_token() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let flag = Site::file(&repo, "--ops-token-file", "a long token\n");
    let file = flag.split_once('=').unwrap().1.to_owned();
    let mut site = Site::over(repo, &[EVERYWHERE, &flag]);
    site.server.line_with("published");
    let with = |token: &str| format!("Authorization: {token}\r\n");
    for target in PRIVATE {
        for (line, status) in [
            (String::new(), 404),
            (with("Bearer a long token"), 200),
            (with("bearer a long token"), 200),
            (with("Bearer a long toke"), 404),
            (with("Bearer "), 404),
            (with("Basic a long token"), 404),
        ] {
            let answer = send(site.ops, "GET", target, &line);
            assert_eq!(answer.status, status, "{target} {line}");
        }
    }
    assert_eq!(get(site.ops, "/status").status, 200);
    assert_eq!(get(site.ops, "/metrics").status, 200);

    fs::write(&file, "another\n").unwrap();
    let ask = |token: &str| send(site.ops, "GET", "/api/machines", &with(token)).status;
    assert_eq!(ask("Bearer a long token"), 404);
    assert_eq!(ask("Bearer another"), 200);
    fs::write(&file, "").unwrap();
    assert_eq!(ask("Bearer "), 404);
    fs::remove_file(&file).unwrap();
    assert_eq!(ask("Bearer another"), 404);
}

#[test]
fn elsewhere_without_a_token_nobody_has_it() {
    let site = Site::published(FLEET, &[EVERYWHERE]);
    for target in PRIVATE {
        assert_eq!(get(site.ops, target).status, 404, "{target}");
    }
    assert_eq!(get(site.ops, "/status").status, 200);
}

#[test]
fn only_get_and_head_are_served() {
    let site = Site::published(FLEET, &[]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"] {
        for target in ["/status", "/", "/api/machines"] {
            let answer = send(site.ops, method, target, "");
            assert_eq!(answer.status, 405, "{method} {target}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    for target in ["/status", "/metrics", "/api/profiles", "/nothing"] {
        let whole = site.get(target);
        let mut client = Client::connect(site.ops);
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.status, whole.status);
        assert!(head.header("content-length").is_some(), "{target}");
        assert_eq!(head.header("content-type"), whole.header("content-type"));
        assert_eq!(whole.header("cache-control"), Some("no-store"));
        assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
        // The connection stays, and has nothing left over.
        client.send("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.response().status, 404);
    }
}

#[test]
fn an_address_in_use_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = Process::start(
        &[
            "serve",
            "--repo=/x",
            "--state-dir=none",
            "--listen=127.0.0.1:0",
            &format!("--ops-listen={address}"),
        ],
        &[],
    )
    .end();
    assert_eq!(ended.code, Some(1));
    let expected = format!(
        "error: cannot listen on `{address}`: the address is in use; stop what listens there or choose another with `--ops-listen`"
    );
    assert!(ended.log.contains(&expected), "{}", ended.log);
}

#[test]
fn a_port_that_nobody_chose_and_that_is_taken_keeps_no_machine_from_booting() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    // Whether it was free or another program has it already, it is taken now.
    let _taken = TcpListener::bind("127.0.0.1:8081");
    let url = format!("--repo={}", repo.path().display());
    let mut server = Process::start(
        &["serve", &url, "--state-dir=none", "--listen=127.0.0.1:0"],
        // An empty variable is none.
        &[("GITBOOT_OPS_LISTEN", "")],
    );
    let line = server.line_with("metrics and status are off");
    assert!(
        line.contains("`127.0.0.1:8081`: the address is in use") && line.contains("`--ops-listen`"),
        "{line}"
    );
    let address = server.address();
    assert_eq!(get(address, "/health").status, 200);
}

#[test]
fn a_file_that_holds_nothing_ends_the_start() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    for flag in ["--ops-token-file", "--hook-secret-file"] {
        let empty = Site::file(&repo, flag, "\n");
        let pipe = repo.path().join(format!("{flag}.pipe"));
        let made = Command::new("mkfifo")
            .arg("--")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        let pipe = format!("{flag}={}", pipe.display());
        for file in [&*empty, &format!("{flag}=/nonexistent/file"), &pipe] {
            let args = [
                "serve",
                "--repo=/x",
                "--listen=127.0.0.1:0",
                "--ops-listen=127.0.0.1:0",
                file,
            ];
            let ended = Process::start(&args, &[]).end();
            assert_eq!(ended.code, Some(1), "{}", ended.log);
            assert!(ended.log.contains(flag), "{}", ended.log);
        }
    }
}
