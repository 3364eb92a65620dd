//! Requests of every wrong or old shape: which status lines each gets, and whether the connection goes on.

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
fn bodies_end_where_one_header_says() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let inside = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let rows = [
        (
            "a body that looks like a request",
            post(&inside, SMUGGLED),
            METHOD,
            Open,
        ),
        ("the same of GET", get(&inside) + SMUGGLED, OK, Open),
        (
            "a length and chunks",
            post(
                &format!("Content-Length: 5\r\n{chunked}"),
                &format!("0\r\n\r\n{SMUGGLED}"),
            ),
            METHOD,
            Closed,
        ),
        (
            "chunks and a length",
            post(
                &format!("{chunked}Content-Length: 5\r\n"),
                &format!("0\r\n\r\n{SMUGGLED}"),
            ),
            METHOD,
            Closed,
        ),
        (
            "the same of GET",
            get(&format!("{chunked}Content-Length: 5\r\n")) + "0\r\n\r\n" + SMUGGLED,
            OK,
            Closed,
        ),
        (
            "chunks alone",
            post(chunked, &format!("0\r\n\r\n{SMUGGLED}")),
            METHOD,
            Closed,
        ),
        (
            "two lengths",
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "abcdef"),
            BAD,
            Closed,
        ),
        (
            "two equal lengths",
            post("Content-Length: 3\r\nContent-Length: 3\r\n", "a=b"),
            METHOD,
            Open,
        ),
        (
            "a list of lengths",
            post("Content-Length: 3, 3\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a signed length",
            post("Content-Length: +3\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a negative length",
            post("Content-Length: -3\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a hex length",
            post("Content-Length: 0x3\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "an empty length",
            post("Content-Length:\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a length in words",
            post("Content-Length: three\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a length with a blank inside",
            post("Content-Length: 1 2\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "a length above 64 bits",
            post("Content-Length: 18446744073709551616\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "the largest length",
            post("Content-Length: 18446744073709551615\r\n", "a=b"),
            "1.1 431 ;",
            Closed,
        ),
        (
            "identity",
            post(
                "Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
                "a=b",
            ),
            BAD,
            Closed,
        ),
        (
            "gzip",
            post("Transfer-Encoding: gzip\r\n", "a=b"),
            BAD,
            Closed,
        ),
        (
            "chunked, then identity",
            post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "an unknown coding with chunked inside",
            post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "chunked in quotes",
            post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "chunked with a parameter",
            post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "chunked behind a vertical tab",
            post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "chunked behind a tab",
            post("Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "chunked in capitals",
            post("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "chunked twice",
            post(&chunked.repeat(2), "0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "identity, then chunked",
            post(
                &format!("Transfer-Encoding: identity\r\n{chunked}"),
                "0\r\n\r\n",
            ),
            METHOD,
            Closed,
        ),
        (
            "chunked, then identity, in two lines",
            post(
                &format!("{chunked}Transfer-Encoding: identity\r\n"),
                "0\r\n\r\n",
            ),
            BAD,
            Closed,
        ),
        (
            "a blank before the colon",
            post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "a folded line",
            post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "chunks in HTTP/1.0",
            format!("POST / HTTP/1.0\r\n{chunked}\r\n0\r\n\r\n"),
            BAD,
            Closed,
        ),
        (
            "a chunk extension",
            post(chunked, "3;x=\"y\"\r\na=b\r\n0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "a trailer",
            post(chunked, "3\r\na=b\r\n0\r\nContent-Length: 9\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "a chunk size that is no number",
            post(chunked, "z\r\na=b\r\n0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "a chunk size with a sign",
            post(chunked, "-3\r\na=b\r\n0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "a chunk size above 64 bits",
            post(chunked, "ffffffffffffffffff\r\na=b\r\n0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "a chunk that is longer than said",
            post(chunked, "3\r\na=bc\r\n0\r\n\r\n"),
            METHOD,
            Closed,
        ),
        (
            "chunks that end in bare line feeds",
            post(chunked, "3\na=b\n0\n\n"),
            METHOD,
            Closed,
        ),
        (
            "an endless chunk extension",
            post(
                chunked,
                &format!("3;{}\r\na=b\r\n0\r\n\r\n", "x".repeat(20_000)),
            ),
            METHOD,
            Closed,
        ),
        (
            "endless trailers",
            post(chunked, &format!("0\r\n{}\r\n", "X: y\r\n".repeat(20_000))),
            METHOD,
            Closed,
        ),
    ];
    check(&rows);
}

#[test]
fn heads_are_what_the_standard_says_or_nothing() {
    let many = |count: usize| get(&"X: y\r\n".repeat(count - 1));
    let rows = [
        ("no request", String::new(), "", Open),
        (
            "empty lines before one",
            format!("\r\n\r\n{}", get("")),
            OK,
            Open,
        ),
        ("bare line feeds", get("").replace("\r\n", "\n"), OK, Open),
        ("a bare carriage return", get("X: a\rb\r\n"), BAD, Closed),
        (
            "carriage returns alone",
            get("").replace("\r\n", "\r"),
            BAD,
            Closed,
        ),
        ("a folded line", get("X: a\r\n b\r\n"), BAD, Closed),
        (
            "a folded line first",
            "GET /health HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        ("a NUL in a value", get("X: a\0b\r\n"), BAD, Closed),
        ("a NUL in a name", get("X\0: b\r\n"), BAD, Closed),
        (
            "a NUL in the target",
            "GET /health\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        ("a tab in a value", get("X: a\tb\r\n"), OK, Open),
        (
            "bytes above ASCII in a value",
            get("X: \u{fc}\r\n"),
            OK,
            Open,
        ),
        (
            "bytes above ASCII in a name",
            get("\u{fc}: x\r\n"),
            BAD,
            Closed,
        ),
        ("a blank before the colon", get("X : a\r\n"), BAD, Closed),
        ("a name with a blank", get("X Y: a\r\n"), BAD, Closed),
        ("no name", get(": a\r\n"), BAD, Closed),
        ("no colon", get("X\r\n"), BAD, Closed),
        ("no value", get("X:\r\n"), OK, Open),
        ("100 lines", many(100), OK, Open),
        ("101 lines", many(101), "1.1 431 ;", Closed),
        (
            "a line of 400 kB",
            get(&format!("X: {}\r\n", "y".repeat(400_000))),
            "1.1 431 ;",
            Closed,
        ),
        (
            "a name of 70 kB",
            get(&format!("{}: y\r\n", "x".repeat(70_000))),
            "1.1 431 ;",
            Closed,
        ),
        (
            "a line of 17 kB",
            get(&format!("X: {}\r\n", "y".repeat(17_000))),
            "1.1 431 the header is too large;",
            Open,
        ),
        (
            "a method of 400 kB",
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "G".repeat(400_000)),
            "1.1 431 ;",
            Closed,
        ),
        (
            "a target of 17 kB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(17_000)),
            "1.1 414 the request target is too long;",
            Open,
        ),
        (
            "a target of 70 kB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
            "1.1 414 ;",
            Closed,
        ),
        ("no version", "GET /health\r\n\r\n".to_owned(), BAD, Closed),
        ("HTTP/0.9", "GET /health\r\n".to_owned(), BAD, Closed),
        (
            "HTTP/1.2",
            "GET /health HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "HTTP/1.10",
            "GET /health HTTP/1.10\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "HTTP/2.0",
            "GET /health HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "http/1.1",
            "GET /health http/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "HTTP/2's preface",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned(),
            "",
            Closed,
        ),
        (
            "an upgrade to HTTP/2",
            get(
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
            OK,
            Open,
        ),
        (
            "a TLS client",
            "\x16\x03\x01\x02\0\x01\0\x01\u{7f}".to_owned() + &"\0".repeat(500),
            BAD,
            Closed,
        ),
        (
            "an SSH client",
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "two blanks",
            "GET  /health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "tabs for blanks",
            "GET\t/health\tHTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "a blank in the target",
            "GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "a blank at the end",
            "GET /health HTTP/1.1 \r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "a blank at the beginning",
            " GET /health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "a method with a colon",
            "GET: /health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            BAD,
            Closed,
        ),
        (
            "a method in small letters",
            "get /health HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            METHOD,
            Open,
        ),
        (
            "bytes above ASCII in the target",
            "GET /nope\u{fc} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            NOT_FOUND,
            Open,
        ),
        (
            "a fragment",
            "GET /health#x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            OK,
            Open,
        ),
        (
            "no host",
            "GET /health HTTP/1.1\r\n\r\n".to_owned(),
            BAD_HOST,
            Open,
        ),
        ("two hosts", get("Host: a\r\n"), BAD_HOST, Open),
        (
            "two hosts, two spellings",
            get("HOST: b\r\n"),
            BAD_HOST,
            Open,
        ),
        (
            "blanks around the host",
            "GET /health HTTP/1.1\r\nHost: \t a \t\r\n\r\n".to_owned(),
            OK,
            Open,
        ),
    ];
    check(&rows);
}

#[test]
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
