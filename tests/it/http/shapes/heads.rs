//! Request lines and header lines.

use super::Then::{Closed, Open};
use super::{BAD, BAD_HOST, METHOD, NOT_FOUND, OK, check, get};

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
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
