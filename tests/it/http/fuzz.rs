//! Bytes that nobody would send: requests that are cut, doubled and spoiled. What comes back is always sound, and nobody
//! gets what is another machine's.
//!
//! `PROPTEST_CASES` says for how long.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::Server;
use crate::support::fixture;

/// A machine and the mark that only its script and its config hold.
struct Owner {
    mark: &'static str,
    /// One of these, without separators and in small letters, stands in whatever asks for its script.
    names: [&'static str; 3],
}

const OWNERS: [Owner; 3] = [
    Owner {
        mark: "M-ALPHA",
        names: ["525400abcdef", "sn1", "534e31"],
    },
    Owner {
        mark: "M-BRAVO",
        names: [
            "47c6da6774774970aa0384e48ff4f6ad",
            "525400abcd01",
            "525400abcd02",
        ],
    },
    Owner {
        mark: "M-CHARLIE",
        names: ["sn3", "534e33", "525400abcd03"],
    },
];

const FLEET: &str = r#"
//- all.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    echo {{ values.mark }} {{ labels.serial }} {{ motd }}
  additionalConfig: {motd: "{{ values.mark }} {{ labels.site }}\n"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: worker
  machines:
    - {mac: "52:54:00:ab:cd:ef", serial: SN1, values: {mark: M-ALPHA}}
    - {uuid: 47c6da67-7477-4970-aa03-84e48ff4f6ad, mac: ["52:54:00:ab:cd:01", "52:54:00:ab:cd:02"], values: {mark: M-BRAVO}}
    - {serial: SN3, mac: "52:54:00:ab:cd:03", values: {mark: M-CHARLIE}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: lab}
spec: {profile: worker, subjectSelectors: {site: [lab]}, values: {mark: M-CLASS}}
"#;

/// One server for all cases.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut server = Server::start();
        server.publish(fixture::snapshot(FLEET));
        server
    })
}

/// Words that mean something to somebody on the way.
const WORDS: [&str; 40] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    "/",
    "//",
    "?",
    "&",
    "=",
    "#",
    "%",
    "%00",
    "%0d%0a",
    "%FFFFFFC3",
    "+",
    ";",
    "..",
    "GET ",
    "HEAD ",
    "/ipxe",
    "/ipxe/",
    "/v1/boot/",
    "/config/",
    "HTTP/1.1",
    "HTTP/1.0",
    "Host: a",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "0\r\n\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "mac=",
    "serial.hex=",
    "site=lab",
    "\u{e9}",
    "http://user@b/",
];

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "mac=52:54:00:ab:cd:ef",
            "mac=52-54-00-AB-CD-EF",
            "mac=5254.00ab.cdef",
            "mac=525400abcd01",
            "serial=SN1",
            "serial=%53N1",
            "serial.hex=534e31",
            "serial=SN3%00",
            "serial=SN3%20",
            "SerialNumber=SN3",
            "site=lab",
            "asset=A",
            "uuid=47C6DA67-7477-4970-AA03-84E48FF4F6AD",
            "uuid=%7b47c6da6774774970aa0384e48ff4f6ad%7D",
            "uuid=",
            "mac=junk",
            "uuid={47c6da67-7477-4970-aa03-84e48ff4f6ad}",
            "mac=52%3A54%3a00:ab:cd:03",
            "buildarch=x86_64",
            "x=y",
        ])
        .prop_map(str::to_owned),
        "[!-~]{0,20}",
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let path = prop_oneof![
        4 => Just("/ipxe".to_owned()),
        2 => select(vec!["/ipxe/525400abcdef", "/ipxe/52-54-00-ab-cd-01", "/v1/boot/525400abcd03/boot.ipxe", "/v1/boot/525400abcd03/motd"])
            .prop_map(str::to_owned),
        1 => select(vec!["/health", "/ready", "/boot.ipxe", "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad", "http://b/ipxe", "*"])
            .prop_map(str::to_owned),
    ];
    let query = prop::collection::vec(label(), 0..5);
    let header = select(vec![
        "",
        "",
        "Connection: close\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "If-None-Match: *\r\n",
        "X: y\r\n",
        "Expect: 100-continue\r\n",
        "X-Forwarded-For: 10.0.0.1\r\n",
    ]);
    let body = select(vec!["", "", "a=b", "3\r\na=b\r\n0\r\n\r\n"]);
    let method = select(vec!["GET", "GET", "GET", "HEAD", "POST", "get"]);
    let version = select(vec!["1.1", "1.1", "1.0", "2.0"]);
    (method, path, query, version, header, body).prop_map(
        |(method, path, query, version, header, body)| {
            let query = query.join("&");
            format!("{method} {path}?{query} HTTP/{version}\r\nHost: a\r\n{header}\r\n{body}")
                .into_bytes()
        },
    )
}

/// What may happen to bytes on their way.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Insert(Index, &'static str),
    Cut(Index, usize),
    Double(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), select(WORDS.to_vec())).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (any::<Index>(), 1..20_usize).prop_map(|(at, bytes)| Mutation::Cut(at, bytes)),
        (any::<Index>(), 1..60_usize).prop_map(|(at, bytes)| Mutation::Double(at, bytes)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let range = |at: &Index, count: usize| {
        let from = at.index(length);
        from..(from + count).min(length)
    };
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(length)] = *byte,
        Mutation::Insert(at, word) => {
            bytes.splice(range(at, 0), word.bytes());
        }
        Mutation::Cut(at, count) => {
            bytes.drain(range(at, *count));
        }
        Mutation::Double(at, count) => {
            let range = range(at, *count);
            let again = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, again);
        }
    }
}

/// One answer as it came.
#[derive(Debug)]
struct Raw {
    status: u16,
    body: Vec<u8>,
}

/// Cuts what came back into answers; an error says what is wrong with it.
fn answers(mut bytes: &[u8], may_be_head: bool) -> Result<Vec<Raw>, String> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or("a head without end")?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
        bytes = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let status = status
            .strip_prefix("HTTP/1.0 ")
            .or_else(|| status.strip_prefix("HTTP/1.1 "))
            .filter(|rest| rest.as_bytes().get(3) == Some(&b' '))
            .and_then(|rest| rest[..3].parse::<u16>().ok())
            .ok_or_else(|| format!("the status line {status:?}"))?;
        let mut lengths = lines.filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let length = match (lengths.next(), lengths.next()) {
            (Some(length), None) => length
                .parse::<usize>()
                .map_err(|_| format!("the length {length}"))?,
            (None, None) if status == 304 => 0,
            other => return Err(format!("lengths {other:?} of {status}")),
        };
        let is_head = may_be_head && (bytes.is_empty() || bytes.starts_with(b"HTTP/1."));
        let length = if is_head { 0 } else { length };
        let body = bytes.get(..length).ok_or("a body that is cut")?.to_vec();
        bytes = &bytes[length..];
        all.push(Raw { status, body });
    }
    Ok(all)
}

/// Percent-escapes decoded, small letters, no separators: what every spelling of a name has in common.
fn bare(bytes: &[u8]) -> String {
    let mut decoded = Vec::new();
    gitboot::label::decode_percent(&String::from_utf8_lossy(bytes), &mut decoded);
    let text = String::from_utf8_lossy(&decoded).to_ascii_lowercase();
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut client = server().connect();
    client.try_send(bytes);
    client.no_more();
    let shown = String::from_utf8_lossy(bytes);
    let may_be_head = bytes.windows(4).any(|four| four == b"HEAD");
    let came = client.rest();
    let answers = answers(&came, may_be_head).map_err(|error| {
        TestCaseError::fail(format!("{error}: {shown:?} -> {}", came.escape_ascii()))
    })?;
    let asked = bare(bytes);
    for answer in &answers {
        prop_assert!(
            [200, 304, 400, 403, 404, 405, 414, 431, 503].contains(&answer.status),
            "{:?} -> {:?}",
            shown,
            answer
        );
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status == 200 && !answer.body.is_empty() {
            let is_other = text == "ok\n" || text == "ready\n" || text.starts_with("M-");
            prop_assert!(
                is_other || text.starts_with("#!ipxe\n"),
                "{:?} -> {:?}",
                shown,
                text
            );
        } else {
            prop_assert!(
                !text.contains("M-") && text.len() < 64,
                "{:?} -> {:?}",
                shown,
                text
            );
        }
        for owner in &OWNERS {
            let is_named = owner.names.iter().any(|name| asked.contains(name));
            prop_assert!(
                is_named || !text.contains(owner.mark),
                "{:?} -> {:?}",
                shown,
                text
            );
        }
        prop_assert!(
            asked.contains("sitelab") || !text.contains("M-CLASS"),
            "{:?} -> {:?}",
            shown,
            text
        );
    }
    Ok(())
}

/// The server is as it was: a script, to the byte.
fn serves() -> Result<(), TestCaseError> {
    let response = server().connect().get("/ipxe?mac=525400abcdef");
    prop_assert_eq!(response.status, 200);
    prop_assert!(
        response
            .text()
            .starts_with("#!ipxe\necho M-ALPHA  http://boot.example/config/"),
        "{:?}",
        response
    );
    Ok(())
}

#[test]
fn the_checks_see_what_is_wrong() {
    assert!(answers(b"HTTP/1.1 200 OK\r\n\r\nx", false).is_err());
    assert!(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx", false).is_err());
    assert!(answers(b"junk", false).is_err());
    let two = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answers(two, false).unwrap().len(), 2);
    assert!(bare(b"mac=52%3A54-00:AB.cd:ef").contains(OWNERS[0].names[0]));
}

proptest! {
    #[test]
    fn spoiled_requests_get_sound_answers_and_nobody_elses(
        requests in prop::collection::vec(request(), 1..4),
        mutations in prop::collection::vec(mutation(), 0..8),
    ) {
        let mut bytes = requests.concat();
        for one in &mutations {
            mutate(&mut bytes, one);
        }
        check(&bytes)?;
        serves()?;
    }

    #[test]
    fn any_bytes_get_sound_answers(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        words in prop::collection::vec(select(WORDS.to_vec()), 0..40),
    ) {
        check(&bytes)?;
        check(words.concat().as_bytes())?;
        serves()?;
    }
}
