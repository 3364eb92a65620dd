//! Who may ask, and through which proxies.

use std::net::{SocketAddr, TcpStream};

use gitboot::http::{Access, Limits, Network, Networks, Settings};
use socket2::{Domain, Socket, Type};

use super::{Server, TREE, settings};
use crate::support::fixture;
use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE};
use crate::support::process::{Process, run_in};

const SCRIPT: &str = "/ipxe/525400abcdef";
const REFUSED: (u16, &str) = (403, "this address is not allowed here\n");

fn networks(texts: &[&str]) -> Networks {
    let all = texts.iter().map(|text| Network::parse(text).unwrap());
    all.collect()
}

fn serving(allow: &[&str], trusted_proxies: &[&str]) -> Server {
    let access = Access {
        allow: networks(allow),
        trusted_proxies: networks(trusted_proxies),
    };
    let mut server = Server::with(
        Settings {
            access,
            ..settings()
        },
        Limits::default(),
    );
    server.publish(fixture::snapshot(TREE));
    server
}

/// A connection from another address of this machine.
fn connect_from(from: &str, to: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect_timeout(&to.into(), DEADLINE).unwrap();
    Client::of(TcpStream::from(socket))
}

#[test]
fn everybody_may_ask_without_the_flag() {
    let server = serving(&[], &[]);
    assert_eq!(server.get(SCRIPT).status, 200);
    let mut client = connect_from("127.0.0.2", server.address);
    assert_eq!(client.get(SCRIPT).status, 200);
}

#[test]
fn whoever_is_in_one_of_the_networks_gets_answers() {
    let server = serving(&["192.0.2.0/24", "fd00::/8", "127.0.0.2"], &[]);
    let mut allowed = connect_from("127.0.0.2", server.address);
    let script = allowed.get(SCRIPT);
    assert_eq!(script.status, 200);
    assert!(script.text().starts_with("#!ipxe\n"));
    assert_eq!(allowed.get("/nope").status, 404);
    let mut other = connect_from("127.0.0.3", server.address);
    assert_eq!(other.get(SCRIPT).status, 403);
}

#[test]
fn a_refusal_tells_nothing_about_what_is_there() {
    let server = serving(&["192.0.2.0/24"], &[]);
    let mut client = server.connect();
    let refusal = client.get("/boot.ipxe");
    assert_eq!((refusal.status, refusal.text()), REFUSED);
    let expected = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
    ];
    assert_eq!(super::headers(&refusal), expected);
    for target in [
        "/boot.ipxe.0",
        "/autoexec.ipxe",
        "/ipxe",
        SCRIPT,
        "/ipxe/junk",
        "/ipxe?a=1&a=2",
        "/config/junk",
        "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad",
        "/content/47c6da67-7477-8970-aa03-84e48ff4f6ad/a=b/x",
        "/v1/boot/525400abcdef/boot.ipxe",
        "/v1/boot/525400abcdef/nope",
        "/",
        "/nope",
        "/health/x",
        "/ready%2F",
        "/health%00",
    ] {
        assert_eq!(client.get(target), refusal, "{target}");
        let known = client.get_with(target, "If-None-Match: *");
        assert_eq!(known, refusal, "{target}");
    }
    // Not even a request that would be a bad one.
    client.send(format!("GET {SCRIPT} HTTP/1.1\r\nHost: a b\r\n\r\n"));
    assert_eq!(client.response(), refusal);
    client.send(format!("HEAD {SCRIPT} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let head = client.head();
    assert_eq!((head.status, &head.headers), (403, &refusal.headers));
}

#[test]
fn health_and_readiness_are_for_everybody() {
    let server = serving(&["192.0.2.0/24"], &["127.0.0.0/8"]);
    for target in [
        "/health", "/healthz", "/ready", "/readyz", "//health", "/ready/",
    ] {
        let mut client = server.connect();
        assert_eq!(client.get(target).status, 200, "{target}");
        let junk = client.get_with(target, "X-Forwarded-For: junk");
        assert_eq!(junk.status, 200, "{target}");
    }
}

#[test]
fn what_is_said_of_every_request_is_said_to_everybody() {
    let server = serving(&["192.0.2.0/24"], &[]);
    for path in ["/ipxe", "/nope", "/health"] {
        let mut client = server.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.status, 405, "{path}");
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
    let long = format!("/ipxe?a={}", "x".repeat(17 << 10));
    assert_eq!(server.get(&long).status, 414);
    let large = format!("X-Forwarded-For: {}", "192.0.2.7, ".repeat(2000));
    assert_eq!(server.connect().get_with(SCRIPT, &large).status, 431);
}

#[test]
fn a_trusted_proxy_says_who_asks() {
    // The whole of what it sends, and whether 192.0.2.0/24 is asking.
    let cases = [
        ("X-Forwarded-For: 192.0.2.7", 200),
        ("x-forwarded-for: 192.0.2.7:49152", 200),
        ("X-Forwarded-For: ::ffff:192.0.2.7", 200),
        ("X-Forwarded-For: 203.0.113.9, 192.0.2.7", 200),
        (
            "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.7",
            200,
        ),
        ("X-Forwarded-For: \"junk\" \t;, 192.0.2.7, 127.0.0.9", 200),
        (
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 127.0.0.9",
            200,
        ),
        ("X-Forwarded-For: 192.0.2.7, 203.0.113.9", 403),
        (
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 203.0.113.9",
            403,
        ),
        ("X-Forwarded-For: 192.0.2.7, 203.0.113.9, 127.0.0.9", 403),
        ("X-Forwarded-For: [2001:db8::7]:80", 403),
        ("X-Forwarded-For: 192.0.2.7, unknown", 403),
        ("X-Forwarded-For: 192.0.2.7,", 403),
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For:", 403),
        ("X-Forwarded-For:", 403),
        ("Forwarded: for=192.0.2.7", 403),
        ("X-Real-IP: 192.0.2.7", 403),
        ("X-A: b", 403),
    ];
    let server = serving(&["192.0.2.0/24"], &["127.0.0.0/8"]);
    let mut client = server.connect();
    for (header, status) in cases {
        assert_eq!(client.get_with(SCRIPT, header).status, status, "{header}");
    }
}

#[test]
fn nobody_else_says_who_asks() {
    let server = serving(&["192.0.2.0/24"], &["127.0.0.2"]);
    let header = "X-Forwarded-For: 192.0.2.7";
    let mut proxy = connect_from("127.0.0.2", server.address);
    assert_eq!(proxy.get_with(SCRIPT, header).status, 200);
    let mut other = connect_from("127.0.0.3", server.address);
    assert_eq!(other.get_with(SCRIPT, header).status, 403);
    // Nor is an allowed machine anybody else because of what it sends.
    let server = serving(&["127.0.0.3"], &["127.0.0.2"]);
    let mut allowed = connect_from("127.0.0.3", server.address);
    let header = "X-Forwarded-For: 203.0.113.9, junk";
    assert_eq!(allowed.get_with(SCRIPT, header).status, 200);
}

#[test]
fn a_proxy_that_names_nobody_readable_is_not_taken_for_the_machine() {
    let server = serving(&["127.0.0.1"], &["127.0.0.1"]);
    let mut client = server.connect();
    assert_eq!(client.get(SCRIPT).status, 200);
    assert_eq!(client.get_with(SCRIPT, "X-Forwarded-For: junk").status, 403);
}

#[test]
fn the_limit_for_one_address_is_not_that_of_a_proxy() {
    let access = Access {
        trusted_proxies: networks(&["127.0.0.2"]),
        ..Access::default()
    };
    let limits = Limits {
        max_connections_per_address: 1,
        ..Limits::default()
    };
    let server = Server::with(
        Settings {
            access,
            ..settings()
        },
        limits,
    );
    let mut proxies: Vec<_> = (0..4)
        .map(|_| connect_from("127.0.0.2", server.address))
        .collect();
    for proxy in &mut proxies {
        assert_eq!(proxy.get("/health").status, 200);
    }
    let mut machine = server.connect();
    assert_eq!(machine.get("/health").status, 200);
    server.connect().end();
}

#[test]
fn variables_take_networks_and_the_log_knows_the_machine() {
    let repo = Repository::with_files(&[("all.yaml", fixture_manifests())]);
    let repo = format!("--repo={}", repo.path().display());
    // IPv4 machines come to a socket for both families.
    let args = [
        "serve",
        &repo,
        "--state-dir=none",
        "--listen=[::]:0",
        "--interval=1h",
    ];
    let vars = [
        ("GITBOOT_ALLOW", "192.0.2.0/24\n\n fd00::/8 \n"),
        ("GITBOOT_TRUSTED_PROXY", "127.0.0.1\n::1"),
    ];
    let mut server = Process::start(&args, &vars);
    let port = server.address().port();
    server.line_with("published");
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    let mut said = |target: &str, header: &str| {
        let status = client.get_with(target, header).status;
        let line = server.line_with("answered");
        let (_, line) = line.split_once("answered ").unwrap();
        let words = line.split(' ').filter(|word| {
            ["client=", "route=", "status=", "reason="]
                .iter()
                .any(|field| word.starts_with(field))
        });
        let words: Vec<_> = words.collect();
        assert!(words.contains(&&*format!("status={status}")), "{line}");
        words.join(" ")
    };
    assert_eq!(
        said(SCRIPT, "X-Forwarded-For: junk, 192.0.2.7:1, 127.0.0.1"),
        "client=192.0.2.7 route=\"script\" status=200 reason=\"ok\""
    );
    assert_eq!(
        said(SCRIPT, "X-Forwarded-For: fd00::7"),
        "client=fd00::7 route=\"script\" status=200 reason=\"ok\""
    );
    assert_eq!(
        said(SCRIPT, "X-Forwarded-For: 203.0.113.9"),
        "client=203.0.113.9 route=\"script\" status=403 reason=\"not_allowed\""
    );
    assert_eq!(
        said(SCRIPT, "X-Forwarded-For: 192.0.2.7, junk"),
        "client=127.0.0.1 route=\"script\" status=403 reason=\"malformed_forwarded_for\""
    );
    // A machine that is refused gets no further than this.
    assert_eq!(
        said("/boot.ipxe", "X-Forwarded-For: 203.0.113.9"),
        "client=203.0.113.9 route=\"boot_script\" status=403 reason=\"not_allowed\""
    );
}

/// The manifests of [`TREE`].
fn fixture_manifests() -> &'static str {
    let (_, manifests) = TREE.split_once("//- all.yaml\n").unwrap();
    manifests
}

#[test]
fn what_is_no_network_is_told_at_start() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (flag, message) in [
        ("--allow=10.1.2.3/8", "write `10.0.0.0/8` for the network"),
        ("--allow=10.0.0.0/8,fd00::/8", "repeat the flag"),
        ("--allow=", "networks look like"),
        ("--trusted-proxy=proxy.example", "networks look like"),
    ] {
        let ran = run_in(here, &["serve", "--repo=/x", flag], &[]);
        assert_eq!(ran.code, Some(64), "{flag}: {ran:?}");
        assert!(ran.stderr.contains(message), "{flag}: {ran:?}");
        let name = flag.split('=').next().unwrap();
        assert!(ran.stderr.contains(name), "{flag}: {ran:?}");
    }
}
