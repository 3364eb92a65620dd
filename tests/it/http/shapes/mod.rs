//! Requests of every wrong or old shape: which status lines each gets, and whether the connection goes on.

mod bodies;
mod heads;

use std::fmt::Write as _;

use super::{Server, TREE};
use crate::support::fixture;

/// The state of a connection after all that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The next request is answered.
    Open,
    /// The server ends it.
    Closed,
}
use Then::{Closed, Open};

/// A script that nothing else here asks for, on a connection that ends afterwards.
const PROBE: &str = "GET /boot.ipxe?probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a smuggled request would look like.
const SMUGGLED: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends the bytes and then a request whose answer is known. The statuses and first words of what came before it.
fn ask(server: &Server, bytes: &[u8]) -> (String, Then) {
    let mut client = server.connect();
    client.try_send(bytes);
    client.try_send(PROBE);
    client.no_more();
    let mut told = String::new();
    while let Some(response) = client.try_response() {
        if response.body.starts_with(b"#!ipxe\n") {
            client.end();
            return (told.trim_end().to_owned(), Open);
        }
        let version = response.version.strip_prefix("HTTP/").unwrap();
        let words = response.text().trim_end();
        write!(told, "{version} {} {words}; ", response.status).unwrap();
    }
    (told.trim_end().to_owned(), Closed)
}

fn check(rows: &[(&str, String, &str, Then)]) {
    let mut server = Server::start();
    server.publish(fixture::snapshot(TREE));
    let mut other = server.connect();
    let mut wrong = String::new();
    for (what, request, told, then) in rows {
        let found = ask(&server, request.as_bytes());
        if found != ((*told).to_owned(), *then) {
            writeln!(wrong, "{what}: {found:?} instead of {:?}", (told, then)).unwrap();
        }
        assert_eq!(other.get("/health").status, 200, "{what}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

const OK: &str = "1.1 200 ok;";
const BAD: &str = "1.1 400 ;";
const BAD_HOST: &str = "1.1 400 bad host;";
const METHOD: &str = "1.1 405 only GET and HEAD are served;";
const NOT_FOUND: &str = "1.1 404 not found;";

fn get(more: &str) -> String {
    format!("GET /health HTTP/1.1\r\nHost: a\r\n{more}\r\n")
}

fn post(more: &str, body: &str) -> String {
    format!("POST /health HTTP/1.1\r\nHost: a\r\n{more}\r\n{body}")
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn targets_of_every_form_are_understood() {
    let line = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let old = |more: &str| format!("GET /health HTTP/1.0\r\n{more}\r\n");
    let rows = [
        ("absolute", line("http://a/health"), OK, Open),
        (
            "absolute, another host",
            line("http://b.example:81/health"),
            OK,
            Open,
        ),
        ("absolute, https", line("https://a/health"), OK, Open),
        (
            "absolute, an unknown scheme",
            line("ftp://a/health"),
            OK,
            Open,
        ),
        (
            "absolute with a user",
            line("http://user:hunter2@a/health"),
            BAD_HOST,
            Open,
        ),
        ("absolute without a path", line("http://a"), NOT_FOUND, Open),
        (
            "absolute without a host",
            line("http:///health"),
            BAD,
            Closed,
        ),
        (
            "absolute, a host and no Host",
            "GET http://a/health HTTP/1.1\r\n\r\n".to_owned(),
            BAD_HOST,
            Open,
        ),
        ("asterisk", line("*"), NOT_FOUND, Open),
        (
            "OPTIONS *",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            METHOD,
            Open,
        ),
        ("authority", line("a:80"), NOT_FOUND, Open),
        (
            "CONNECT",
            "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            METHOD,
            Open,
        ),
        ("no slash", line("health"), NOT_FOUND, Open),
        ("two slashes", line("//health"), OK, Open),
        ("a network path", line("//a/health"), NOT_FOUND, Open),
        ("dots", line("/x/../health"), NOT_FOUND, Open),
        ("encoded dots", line("/x/%2e%2e/health"), NOT_FOUND, Open),
        ("a backslash", line("\\health"), BAD, Closed),
        ("HTTP/1.0", old(""), "1.0 200 ok;", Closed),
        (
            "HTTP/1.0, two hosts",
            old("Host: a\r\nHost: b\r\n"),
            "1.0 200 ok;",
            Closed,
        ),
        (
            "HTTP/1.0, kept",
            old("Connection: keep-alive\r\n"),
            "1.0 200 ok;",
            Open,
        ),
        (
            "HTTP/1.0, absolute",
            "GET http://a/health HTTP/1.0\r\n\r\n".to_owned(),
            "1.0 200 ok;",
            Closed,
        ),
        (
            "HTTP/1.0 with a body",
            format!(
                "POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            "1.0 405 only GET and HEAD are served;",
            Closed,
        ),
    ];
    check(&rows);
}
