//! Where a body ends: what two readers of one stream could disagree about.

use super::Then::{Closed, Open};
use super::{BAD, METHOD, OK, SMUGGLED, check, get, post};

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
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
