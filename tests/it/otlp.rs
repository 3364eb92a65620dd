//! Traces, as a collector gets them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use gitboot::observe::otlp::wire::{Request, SERVER, Span, Value};
use prost::Message as _;

use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE, get};
use crate::support::process::Process;

const TREE: &str = r##"
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec: {ipxe: "#!ipxe\necho hunter2-body {{ motd }}\n", additionalConfig: {motd: "hunter2-body {{ labels.serial }}"}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec: {profile: worker, machines: [{name: x1, mac: "52:54:00:ab:cd:ef"}]}
"##;

/// What came to a collector: the head of the request, and its body.
pub(crate) type Post = (String, Vec<u8>);

/// A collector that answers with this, and tells what it got.
pub(crate) fn collector(answer: &'static str) -> (String, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, posts) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(post) = read(&stream)
                && sender.send(post).is_ok()
            {
                let _ = (&stream).write_all(answer.as_bytes());
            }
        }
    });
    (url, posts)
}

pub(crate) const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn read(stream: &TcpStream) -> Option<Post> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let (_, length) = lower.split_once("content-length: ")?;
    let mut body = vec![0; length.lines().next()?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn serve(more: &[&str], vars: &[(&str, &str)]) -> (Repository, Process) {
    let repo = Repository::with_files(&[("all.yaml", TREE)]);
    let url = format!("--repo={}", repo.path().display());
    let mut args = vec![
        "serve",
        &url,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
        "--interval=1h",
    ];
    args.extend(more);
    let server = Process::start(&args, vars);
    (repo, server)
}

/// Spans until one has this name.
fn spans_until(posts: &Receiver<Post>, name: &str) -> (Vec<Span>, Vec<Post>) {
    let (mut spans, mut all) = (Vec::new(), Vec::new());
    let until = Instant::now() + DEADLINE;
    while !spans.iter().any(|span: &Span| span.name == name) {
        let left = until.saturating_duration_since(Instant::now());
        let post = posts.recv_timeout(left);
        let post = post.unwrap_or_else(|_| panic!("no span `{name}` among {spans:#?}"));
        let request = Request::decode(post.1.as_slice()).unwrap();
        for resource in request.resource_spans {
            spans.extend(resource.scope_spans.into_iter().flat_map(|one| one.spans));
        }
        all.push(post);
    }
    (spans, all)
}

fn span<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span `{name}` among {spans:#?}"))
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let all = span.attributes.iter();
    all.map(|one| {
        let value = one.value.as_ref().and_then(|value| value.value.as_ref());
        let value = match value.unwrap() {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
        };
        (one.key.as_str(), value)
    })
    .collect()
}

#[test]
fn a_publication_is_a_trace_of_its_parts() {
    let (url, posts) = collector(TAKEN);
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2-key"),
        ("OTEL_SERVICE_NAME", "boot"),
    ];
    let (repo, mut server) = serve(&[], &vars);
    server.line_with("published");
    let (spans, posts) = spans_until(&posts, "poll");
    let (head, body) = &posts[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    for header in [
        "content-type: application/x-protobuf\r\n",
        "x-key: hunter2-key\r\n",
    ] {
        assert!(head.to_lowercase().contains(header), "{head}");
    }
    let text = String::from_utf8_lossy(body);
    assert!(
        text.contains("service.name") && text.contains("boot"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    let poll = span(&spans, "poll");
    assert_eq!((poll.trace_id.len(), poll.span_id.len()), (16, 8));
    assert!(poll.parent_span_id.is_empty());
    assert_eq!(attributes(poll)["gitboot.outcome"], "in_step");
    assert_eq!(attributes(poll)["gitboot.revision"], repo.head());
    for name in ["fetch", "parse", "compile", "publish"] {
        let part = span(&spans, name);
        assert_eq!(part.trace_id, poll.trace_id, "{name}");
        assert_eq!(part.parent_span_id, poll.span_id, "{name}");
        assert!(
            poll.start_time_unix_nano <= part.end_time_unix_nano,
            "{name}"
        );
        assert!(
            part.start_time_unix_nano <= part.end_time_unix_nano,
            "{name}"
        );
    }
    server.signal("INT");
    let ended = server.end();
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
}

#[test]
fn a_request_is_a_part_of_the_client_s_trace() {
    const PARENT: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    let (url, posts) = collector(TAKEN);
    let (repo, mut server) = serve(&["--otlp-sample=0", &format!("--otlp-endpoint={url}")], &[]);
    let address = server.address();
    server.line_with("published");
    let mut client = Client::connect(address);
    let target = "/ipxe/525400abcdef?serial=hunter2-serial";
    // None of these is chosen.
    client.get(target);
    client.get_with(target, &format!("traceparent: 00-{PARENT}-00"));
    client.get_with("/health", &format!("traceparent: 00-{PARENT}-01"));
    let answer = client.get_with(target, &format!("traceparent: 00-{PARENT}-01"));
    assert_eq!(answer.status, 200);
    let (_, config) = answer.text().split_once("http://").unwrap();
    let (_, config) = config.split_once('/').unwrap();
    let config = format!("/{}", config.trim());
    client.get_with(&config, &format!("traceparent: 00-{PARENT}-01"));
    let (spans, posts) = spans_until(&posts, "GET /config/{uuid}");
    let requests: Vec<_> = spans.iter().filter(|span| span.kind == SERVER).collect();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    let script = span(&spans, "GET /ipxe/{mac}");
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let parent = format!("{}-{}", hex(&script.trace_id), hex(&script.parent_span_id));
    assert_eq!(parent, PARENT);
    let expected = BTreeMap::from([
        ("client.address", "127.0.0.1".to_owned()),
        ("gitboot.assignment", "rack".to_owned()),
        ("gitboot.machine", "x1".to_owned()),
        ("gitboot.profile", "worker".to_owned()),
        ("gitboot.reason", "ok".to_owned()),
        ("gitboot.revision", repo.head()),
        ("http.request.method", "GET".to_owned()),
        ("http.response.status_code", "200".to_owned()),
        ("http.route", "/ipxe/{mac}".to_owned()),
        ("url.scheme", "http".to_owned()),
    ]);
    assert_eq!(attributes(script), expected);
    let uuid = &config["/config/".len().."/config/".len() + 36];
    for (head, body) in &posts {
        let text = format!("{head}{}", String::from_utf8_lossy(body));
        for secret in ["hunter2", uuid, "ab:cd:ef"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

/// What `/metrics` says of dropped spans, once it is something.
fn dropped(ops: std::net::SocketAddr) -> u64 {
    let until = Instant::now() + DEADLINE;
    loop {
        let mut client = Client::connect(ops);
        client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let page = client.response();
        let mut lines = page.text().lines();
        let line = lines.find_map(|line| line.strip_prefix("gitboot_otlp_dropped_spans_total "));
        match line.unwrap().parse().unwrap() {
            0 => assert!(Instant::now() < until, "{page:?}"),
            count => return count,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_collector_that_is_away_or_refuses_is_one_warning() {
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (refusing, _posts) =
        collector("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    for (url, why) in [
        (format!("http://{away}"), "it cannot be reached"),
        (refusing, "it answers 401"),
    ] {
        let endpoint = format!("--otlp-endpoint={url}");
        let (_repo, mut server) = serve(
            &[&endpoint, "--otlp-sample=1", "--ops-listen=127.0.0.1:0"],
            &[],
        );
        let address = server.address();
        let ops = server.operations();
        server.line_with("published");
        let first = dropped(ops);
        assert_eq!(get(address, "/ipxe/525400abcdef").status, 200);
        while dropped(ops) == first {
            std::thread::sleep(Duration::from_millis(20));
        }
        server.signal("INT");
        let ended = server.end();
        assert_eq!(
            ended.log.matches("traces are dropped").count(),
            1,
            "{}",
            ended.log
        );
        assert!(ended.log.contains(why), "{}", ended.log);
        assert_eq!(ended.code, Some(0));
    }
}

#[test]
fn a_collector_that_hangs_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap());
    let (_repo, mut server) = serve(
        &[&endpoint, "--otlp-sample=1", "--ops-listen=127.0.0.1:0"],
        &[],
    );
    let address = server.address();
    let ops = server.operations();
    server.line_with("published");
    // More than the queue and a batch.
    let mut client = Client::connect(address);
    for _ in 0..4000 {
        assert_eq!(client.get("/ipxe/525400abcdef").status, 200);
    }
    assert!(dropped(ops) > 0);
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_wrong_flag_is_told_and_a_wrong_variable_keeps_nobody_from_booting() {
    let (_repo, server) = serve(&["--otlp-endpoint=http://user:hunter2@a"], &[]);
    let ended = server.end();
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    let (_repo, mut server) = serve(
        &[],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://hunter2@a:4317")],
    );
    let line = server.line_with("nothing is traced: OTEL_EXPORTER_OTLP_ENDPOINT: ");
    assert!(!line.contains("hunter2"), "{line}");
    server.line_with("published");
}
