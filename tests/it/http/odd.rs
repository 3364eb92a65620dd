//! Requests that nobody sends on purpose: each gets one answer, and a sound one.

use proptest::prelude::*;

use super::{Server, TREE};
use crate::support::fixture;
use crate::support::http::{Client, Response};

/// Every status that a GET or HEAD without a body may get.
const STATUSES: [u16; 9] = [200, 304, 400, 404, 405, 414, 431, 500, 503];

thread_local! {
    /// One server for all cases of a property.
    static SERVER: Server = {
        let mut server = Server::start();
        server.publish(fixture::snapshot(TREE));
        server
    };
}

fn target() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        "/[!-~]{0,60}",
        "[!-~]{1,40}",
        "/(config|content|ipxe|v1/boot|boot\\.ipxe|health|ready)(/[!-~]{0,40}){0,3}",
        "/{1,3}(ipxe|v1//boot)/{1,2}(52-54-00-ab-cd-ef|525400ABCD01|52%3a54:00%3Aab:cd:ef)/?(boot\\.ipxe|motd|site|%6dotd)?/?",
        "(http|https|x)://[!-~]{0,20}(/[!-~]{0,20})?",
    ];
    let query = prop_oneof![
        Just(String::new()),
        "\\?[!-~]{0,120}",
        "\\?((mac|MAC|uuid|serial|site|serial.hex|a|%6d|=)(=|%3d|)(52-54-00-ab-cd-ef|%[0-9A-F]{2}|%FFFFFFC3|[0-9a-f]{0,20}|x|y)&?){0,6}",
    ];
    (path, query).prop_map(|(path, query)| path + &query)
}

/// A header line, well-formed as such.
fn header() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[A-Za-z][A-Za-z0-9-]{0,12}",
        "(If-None-Match|Range|Accept-Encoding|TE|Upgrade|Connection|Expect|X-Forwarded-For|X-Forwarded-Host|Forwarded|Via|Cookie|Authorization)",
    ];
    let value = prop_oneof![
        "[ -~]{0,40}",
        "(\\*|close|keep-alive|gzip|100-continue|trailers|h2c|bytes=0-1|\"a\",W/\"b\")",
    ];
    (name, value).prop_filter_map("frames a body", |(name, value)| {
        let frames = ["content-length", "transfer-encoding", "host"];
        (!frames.contains(&name.to_ascii_lowercase().as_str()))
            .then(|| format!("{name}: {value}\r\n"))
    })
}

/// Reads the answer to a request and what holds for all of them.
fn sound(client: &mut Client, method: &str, what: &str) -> Result<Response, TestCaseError> {
    let response = if method == "HEAD" {
        client.head()
    } else {
        client.response()
    };
    prop_assert!(
        STATUSES.contains(&response.status),
        "{} {:?}",
        what,
        response
    );
    let has_length = response.header("content-length").is_some();
    prop_assert_eq!(
        has_length,
        response.status != 304,
        "{} {:?}",
        what,
        response
    );
    prop_assert_eq!(response.header("transfer-encoding"), None);
    prop_assert_eq!(response.header("content-encoding"), None);
    prop_assert_eq!(response.header("location"), None);
    if response.status >= 400 && !response.body.is_empty() {
        prop_assert!(response.text().ends_with('\n') && response.text().lines().count() == 1);
        prop_assert!(response.text().len() < 64);
    }
    Ok(response)
}

/// Sends a request and then one whose answer is known, so that a second answer to the first would be seen.
fn one_answer(method: &str, request: &str) -> Result<Response, TestCaseError> {
    SERVER.with(|server| {
        let mut client = server.connect();
        client.send(request);
        client.send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let response = sound(&mut client, method, request)?;
        match client.try_response() {
            Some(next) => prop_assert_eq!((next.status, next.text()), (200, "ok\n")),
            None => prop_assert!(
                response.header("connection") == Some("close") || response.version == "HTTP/1.0",
                "{} {:?}",
                request,
                response
            ),
        }
        client.end();
        Ok(response)
    })
}

proptest! {
    #[test]
    fn odd_requests_get_one_sound_answer(
        method in "GET|HEAD",
        target in target(),
        version in "1\\.[01]",
        host in prop_oneof!["[ -~]{0,30}", "[a-z0-9.:\\[\\]%]{0,20}", "boot.example"],
        headers in proptest::collection::vec(header(), 0..8),
    ) {
        let request = format!("{method} {target} HTTP/{version}\r\nHost: {host}\r\n{}\r\n", headers.concat());
        let response = one_answer(&method, &request)?;
        let is_script = ["/ipxe", "/boot.ipxe", "/autoexec.ipxe"].iter().any(|route| target.starts_with(route));
        if response.status == 200 && is_script && method == "GET" {
            prop_assert!(response.body.starts_with(b"#!ipxe\n"), "{:?}", response);
        }
    }

    #[test]
    fn bodies_of_any_method_never_become_requests(
        method in "GET|HEAD|POST|PUT|[A-Z]{1,9}",
        path in "/(ipxe|health|nope|boot\\.ipxe|config/x|v1/boot/x/y)?",
        chunks in proptest::collection::vec("[ -~\r\n]{1,60}|GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 0..4),
        is_chunked in any::<bool>(),
    ) {
        let body = if is_chunked {
            let chunks = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
            let chunks = chunks.collect::<Vec<_>>().concat();
            format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        } else {
            let body = chunks.concat();
            format!("Content-Length: {}\r\n\r\n{body}", body.len())
        };
        let response = one_answer(&method, &format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{body}"))?;
        let is_served = matches!(method.as_str(), "GET" | "HEAD");
        prop_assert_eq!(response.status == 405, !is_served);
        prop_assert_eq!(response.header("allow"), (!is_served).then_some("GET, HEAD"));
        prop_assert_eq!(response.header("connection"), is_chunked.then_some("close"));
    }
}
