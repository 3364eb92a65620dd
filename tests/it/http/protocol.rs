//! What holds for every answer, whatever is asked.

use std::time::Instant;

use proptest::prelude::*;

use super::{Server, settings};
use gitboot::http::Limits;

#[test]
fn other_methods_are_refused_on_any_path_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = server.connect();
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get",
    ] {
        for path in [
            "/",
            "/ipxe",
            "/boot.ipxe",
            "/health",
            "/nope",
            "/v1/boot/x/y",
        ] {
            client.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
            ));
            client.send("a=b");
            let response = client.response();
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.header("allow"), Some("GET, HEAD"));
            assert_eq!(response.text(), "only GET and HEAD are served\n");
            assert_eq!(response.header("connection"), None);
        }
    }
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn chunked_bodies_are_thrown_away_too() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(
        "POST /ipxe HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.status, 405);
    // Where a proxy in front may have seen another end of the body, the next request is not what it seems.
    assert_eq!(response.header("connection"), Some("close"));
    client.end();
}

#[test]
fn nobody_is_asked_to_continue() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(
        "POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.status, 405);
    assert_eq!(response.header("connection"), Some("close"));
    client.end();
}

#[test]
fn targets_that_are_no_paths_are_answered_too() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 405);
    client.send("GET host HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 404);
    client.send("CONNECT host:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 405);
}

#[test]
fn head_is_get_without_a_body() {
    let server = Server::start();
    let mut client = server.connect();
    for target in [
        "/boot.ipxe",
        "/ipxe?mac=x",
        "/health",
        "/ready",
        "/nope",
        "/v1/boot/525400abcdef/x",
    ] {
        let got = client.get(target);
        client.send(format!(
            "HEAD {target} HTTP/1.1\r\nHost: boot.example\r\n\r\n"
        ));
        let head = client.head();
        assert_eq!(
            (head.status, &head.headers),
            (got.status, &got.headers),
            "{target}"
        );
        assert_eq!(
            got.header("content-length"),
            Some(got.body.len().to_string().as_str())
        );
    }
}

#[test]
fn connections_are_kept_unless_the_client_says_otherwise() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.get("/health").version, "HTTP/1.1");
    assert_eq!(
        client
            .get_with("/health", "Connection: close")
            .header("connection"),
        Some("close")
    );
    client.end();

    let mut old = server.connect();
    old.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(old.response().status, 200);
    old.send("GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().status, 200);
    old.end();
}

#[test]
fn a_client_may_close_its_half_after_the_request() {
    let server = Server::start();
    let mut client = server.connect();
    client.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    client.no_more();
    assert_eq!(client.response().status, 200);
    client.end();
}

#[test]
fn http_1_1_needs_one_well_formed_host() {
    let server = Server::start();
    let bad = [
        "",
        "Host:\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a:99999\r\n",
        "Host: [::1\r\n",
        "Host: ${mac}\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
    ];
    for host in bad {
        for path in ["/boot.ipxe", "/ipxe?uuid=x", "/nope"] {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.1\r\n{host}\r\n"));
            let response = client.response();
            assert_eq!(
                (response.status, response.text()),
                (400, "bad host\n"),
                "{host:?} {path}"
            );
        }
    }
    for host in ["a", "a.example:8080", "10.0.2.2", "[fec0::2]:27734"] {
        let mut client = server.connect();
        client.send(format!("GET /boot.ipxe HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, 200, "{host:?}");
    }
    let mut old = server.connect();
    old.send("GET /boot.ipxe HTTP/1.0\r\n\r\n");
    assert_eq!(old.response().status, 200);
}

#[test]
fn targets_over_16_kib_are_too_long() {
    let server = Server::start();
    let mut client = server.connect();
    let longest = format!("/nope?{}", "a".repeat((16 << 10) - 6));
    assert_eq!(client.get(&longest).status, 404);
    let response = client.get(&format!("{longest}a"));
    assert_eq!(
        (response.status, response.text()),
        (414, "the request target is too long\n")
    );
    assert_eq!(client.get(&format!("/{}", "a".repeat(60_000))).status, 414);
    assert_eq!(client.get("/health").status, 200);
    assert_eq!(server.get(&format!("/{}", "a".repeat(70_000))).status, 414);
}

#[test]
fn headers_over_16_kib_are_too_large() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(
        client
            .get_with("/health", &format!("X: {}", "a".repeat(16_000)))
            .status,
        200
    );
    let response = client.get_with("/health", &format!("X: {}", "a".repeat(16_400)));
    assert_eq!(
        (response.status, response.text()),
        (431, "the header is too large\n")
    );
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn the_header_limit_is_a_setting() {
    let max_header_bytes = 64;
    let limits = Limits {
        max_header_bytes,
        ..Limits::default()
    };
    let settings = gitboot::http::Settings {
        max_header_bytes,
        ..settings()
    };
    let server = Server::with(settings, limits);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(
        server
            .connect()
            .get_with("/health", &format!("X: {}", "a".repeat(60)))
            .status,
        431
    );
}

#[test]
fn what_is_no_http_gets_an_error_and_no_more() {
    let server = Server::start();
    for junk in [
        "junk\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = server.connect();
        client.send(junk);
        let response = client.try_response();
        assert!(
            response.is_none_or(|response| response.status == 400),
            "{junk:?}"
        );
    }
    assert_eq!(server.get("/health").status, 200);
}

/// Every status that a machine can meet before anything is published.
const STATUSES: [u16; 7] = [200, 400, 404, 405, 414, 431, 503];

proptest! {
    #[test]
    fn no_target_and_no_host_is_too_odd(
        targets in proptest::collection::vec("/?[!-~]{0,60}|/(config|ipxe|v1/boot|content)/[!-~]{0,60}|/ipxe\\?[!-~]{0,200}", 1..8),
        host in "[ -~]{0,30}|[a-z0-9.:\\[\\]%]{0,20}",
    ) {
        SHARED.with(|server| {
            for target in &targets {
                let mut client = server.connect();
                client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
                let response = client.response();
                prop_assert!(STATUSES.contains(&response.status), "{response:?}");
                if response.status == 200 && !target.contains("health") {
                    prop_assert!(response.body.starts_with(b"#!ipxe\n"), "{response:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_bytes_end_the_server(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        SHARED.with(|server| {
            let mut client = server.connect();
            client.send(&bytes);
            client.no_more();
            client.drop_rest();
            prop_assert_eq!(server.get("/health").status, 200);
            Ok(())
        })?;
    }
}

thread_local! {
    /// One server for all cases of a property.
    static SHARED: Server = Server::start();
}

#[test]
fn clients_are_asked_to_come_back_only_while_the_server_starts() {
    let targets = [
        "/ipxe?uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad",
        "/ipxe/525400abcdef",
        "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad",
        "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad/a=b/user-data",
        "/v1/boot/525400abcdef/user-data",
        "/v1/boot/junk/user-data",
    ];
    let starting = Server::start();
    let late = gitboot::http::Settings {
        starting_until: Instant::now(),
        ..settings()
    };
    let late = Server::with(late, Limits::default());
    for target in targets {
        let response = starting.get(target);
        assert_eq!(
            (response.status, response.text()),
            (503, "nothing is published yet\n"),
            "{target}"
        );
        assert_eq!(response.header("retry-after"), Some("5"), "{target}");
        let response = late.get(target);
        assert_eq!(response.status, 503, "{target}");
        assert_eq!(response.header("retry-after"), None, "{target}");
        assert_eq!(response.header("x-gitboot-revision"), None, "{target}");
    }
    for target in [
        "/ipxe/junk",
        "/ipxe/000000000000",
        "/config/junk",
        "/nope",
        "/",
    ] {
        let response = starting.get(target);
        assert_eq!(
            (response.status, response.text()),
            (404, "not found\n"),
            "{target}"
        );
        assert_eq!(response.header("retry-after"), None, "{target}");
    }
}

#[test]
fn boot_ipxe_is_there_from_the_first_moment() {
    let server = Server::start();
    for path in [
        "/boot.ipxe",
        "/boot.ipxe.0",
        "/autoexec.ipxe",
        "//boot.ipxe",
        "/boot.ipxe/",
        "/boot.ipxe?a=b",
    ] {
        let response = server.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.body, gitboot::http::boot_script(10));
        assert_eq!(
            response.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
}
