//! One request after another on a connection: what they are made of, where each ends, and when the connection does.

use std::time::{Duration, Instant};

use super::exact::published;
use super::{Server, settings};
use gitboot::id::BodyDigest;

#[test]
fn requests_may_follow_each_other_without_waiting() {
    let (server, ids) = published(settings());
    let mut client = server.connect();
    let host = "Host: boot.example\r\n";
    let tag = BodyDigest::of(b"hello\n").entity_tag();
    let motd = format!("/config/{}", ids.motd);
    let round = format!(
        "GET {motd} HTTP/1.1\r\n{host}\r\n\
             HEAD {motd} HTTP/1.1\r\n{host}\r\n\
             GET {motd} HTTP/1.1\r\n{host}If-None-Match: {tag}\r\n\r\n\
             POST {motd} HTTP/1.1\r\n{host}Content-Length: 14\r\n\r\nGET /health H\n\
             PUT / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nGET /\
             GET /health HTTP/1.1\r\n{host}Content-Length: 4\r\n\r\nGET \
             GET /nope HTTP/1.1\r\n{host}\r\n"
    );
    client.send(round.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.response().text(), "hello\n");
        let head = client.head();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("6"))
        );
        assert_eq!(client.response().status, 304);
        assert_eq!(client.response().status, 405);
        assert_eq!(client.response().status, 405);
        assert_eq!(client.response().text(), "ok\n");
        assert_eq!(client.response().status, 404);
    }
    assert_eq!(client.get("/health").status, 200);
    client.get_with("/health", "Connection: close");
    client.end();
}

#[test]
fn nobody_gets_an_interim_answer() {
    let server = Server::start();
    let request = |method: &str, more: &str| {
        format!("{method} /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{more}\r\n")
    };
    let mut client = server.connect();
    client.send(request("GET", ""));
    assert_eq!(client.response().status, 200);
    // The body may come at once, or never; there is no second answer either way.
    for (method, more, body) in [
        ("POST", "Content-Length: 3\r\n", "a=b"),
        ("POST", "Content-Length: 3\r\n", ""),
        (
            "PUT",
            "Transfer-Encoding: chunked\r\n",
            "3\r\na=b\r\n0\r\n\r\n",
        ),
        ("GET", "Content-Length: 3\r\n", ""),
    ] {
        let mut client = server.connect();
        client.send(request(method, more) + body);
        let response = client.response();
        let status = if method == "GET" { 200 } else { 405 };
        assert_eq!(response.status, status, "{method} {more}");
        assert_eq!(response.header("connection"), Some("close"));
        client.end();
    }
    let mut client = server.connect();
    client.send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_large_body_is_thrown_away_and_the_connection_goes_on() {
    const BYTES: usize = 16 << 20;
    let server = Server::start();
    let mut client = server.connect();
    client.send("PUT /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n");
    client.send(vec![b'x'; BYTES]);
    assert_eq!(client.response().status, 405);
    assert_eq!(client.get("/health").status, 200);
    client.send("PUT /ipxe HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n");
    client.send(vec![b'x'; BYTES]);
    client.send("\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 405);
    client.end();
}

#[test]
fn a_body_that_is_too_long_or_never_comes_is_not_waited_for() {
    let server = Server::start();
    let since = Instant::now();
    let mut long = server.connect();
    long.send("POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n");
    long.try_send(vec![b'x'; 8 << 20]);
    let mut never = server.connect();
    never.send("POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab");
    for client in [&mut long, &mut never] {
        let response = client.response();
        assert_eq!(response.status, 405);
        assert_eq!(response.header("connection"), Some("close"));
        client.end();
    }
    assert!(since.elapsed() >= Duration::from_secs(4));
}

#[test]
fn old_clients_are_served_with_and_without_a_host() {
    let (server, ids) = published(settings());
    let local = format!("http://{}", server.address);
    let target = "/ipxe/525400abcdef?serial=SN%201";
    let cases = [
        ("", local.as_str()),
        ("Host: a.example:81\r\n", "http://a.example:81"),
        ("Host: [fec0::2]:81\r\n", "http://[fec0::2]:81"),
        // One that is malformed is as good as none.
        ("Host: user@a\r\n", &local),
        ("Host: a\r\nHost: b\r\n", &local),
    ];
    for (host, base) in cases {
        let mut client = server.connect();
        client.send(format!("GET {target} HTTP/1.0\r\n{host}\r\n"));
        let response = client.response();
        assert_eq!(
            (response.status, response.text()),
            (200, ids.script(base).as_str())
        );
        client.end();
        let mut client = server.connect();
        for _ in 0..2 {
            client.send(format!(
                "GET {target} HTTP/1.0\r\n{host}Connection: Keep-Alive\r\n\r\n"
            ));
            let response = client.response();
            assert_eq!(response.text(), ids.script(base));
            assert_eq!(response.header("connection"), Some("keep-alive"));
        }
    }
}

#[test]
fn absolute_targets_name_the_host_and_count_as_a_whole() {
    let (server, ids) = published(settings());
    let mut client = server.connect();
    for (target, base) in [
        ("http://b.example:81", "http://b.example:81"),
        ("HTTP://[fec0::2]", "http://[fec0::2]"),
        // The scheme is that of the listener.
        ("https://b.example", "http://b.example"),
    ] {
        let response = client.get(&format!("{target}/ipxe/525400abcdef?serial=SN%201"));
        assert_eq!(
            (response.status, response.text()),
            (200, ids.script(base).as_str())
        );
    }
    for bad in ["http://user:hunter2@b", "http://b:0", "http://b;c"] {
        let response = client.get(&format!("{bad}/health"));
        assert_eq!(
            (response.status, response.text()),
            (400, "bad host\n"),
            "{bad}"
        );
    }
    assert_eq!(client.get("http://b.example").status, 404);
    assert_eq!(client.get("http://b.example?x=y").status, 404);
    let longest = format!("http://b.example/nope?{}", "a".repeat((16 << 10) - 22));
    assert_eq!(longest.len(), 16 << 10);
    assert_eq!(client.get(&longest).status, 404);
    assert_eq!(client.get(&format!("{longest}a")).status, 414);
    let mut without = server.connect();
    without.send("GET http://b.example/health HTTP/1.1\r\n\r\n");
    assert_eq!(without.response().status, 400);
}

#[test]
fn a_connection_is_closed_when_the_client_says_so_in_any_spelling() {
    let server = Server::start();
    for header in [
        "Connection: close",
        "connection: Close",
        "Connection: keep-alive, CLOSE",
    ] {
        let mut client = server.connect();
        let response = client.get_with("/health", header);
        assert_eq!(response.header("connection"), Some("close"), "{header}");
        client.end();
    }
}
