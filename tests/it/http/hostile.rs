//! Clients that are slow, greedy or gone: they end, and others are served meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{MAC, Server, config, settings, snapshot};
use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE};
use crate::support::process::Process;
use gitboot::http::Limits;

const SHORT: Duration = Duration::from_millis(300);

/// How long to listen for an end between two bytes of a drip.
const DROP: Duration = Duration::from_millis(20);

/// Sends byte after byte until the server ends the connection; returns how long that took.
fn drip(address: SocketAddr, begin: &str, endless: u8) -> Duration {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DROP)).unwrap();
    let since = Instant::now();
    let begin = begin.bytes().chain(std::iter::repeat(endless));
    for byte in begin {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        match stream.read(&mut [0; 1024]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        assert!(since.elapsed() < DEADLINE, "the drip goes on");
    }
    since.elapsed()
}

#[test]
fn dripping_clients_end_and_disturb_nobody() {
    let server = Server::with(
        settings(),
        Limits {
            header_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut other = server.connect();
    std::thread::scope(|scope| {
        let drips = [
            ("GET /health HTTP/1.1\r\nHost: a\r\nX: ", b'x'),
            ("", b'G'),
            ("\r\n", b'\r'),
            // The first request is answered, the second one drips.
            ("GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /", b'x'),
            // A body that drips is as bad.
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
                b'x',
            ),
        ]
        .map(|(begin, endless)| scope.spawn(move || drip(server.address, begin, endless)));
        while !drips.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert_eq!(other.get("/health").status, 200);
        }
        for drip in drips {
            let took = drip.join().unwrap();
            assert!(took >= SHORT, "{took:?}");
            assert!(took < DEADLINE / 2, "{took:?}");
        }
    });
}

#[test]
fn a_client_that_never_reads_ends_and_disturbs_nobody() {
    // More than the kernel holds for a connection.
    let large = config("large", &"x".repeat(32 << 20));
    let mut server = Server::with(
        settings(),
        Limits {
            idle_timeout: SHORT,
            ..Limits::default()
        },
    );
    server.publish(snapshot("one", MAC, None, &[Arc::clone(&large)]));
    let target = format!("/config/{}", large.id);
    let mut deaf = server.connect();
    deaf.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    // Its answer has begun, and gets no further.
    assert_eq!(deaf.head().status, 200);
    let mut other = server.connect();
    let until = Instant::now() + DEADLINE;
    while server.door.connections() > 1 {
        assert_eq!(other.get("/health").status, 200);
        assert!(Instant::now() < until, "the client is still there");
    }
    drop(deaf);
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let server = Server::start();
    for begun in ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for _ in 0..50 {
            let mut client = server.connect();
            client.send(begun);
        }
        for _ in 0..20 {
            let mut half = server.connect();
            half.send(begun);
            half.no_more();
            half.drop_rest();
        }
    }
    let until = Instant::now() + DEADLINE;
    while server.door.connections() > 0 {
        assert!(
            Instant::now() < until,
            "{} are left",
            server.door.connections()
        );
        std::thread::yield_now();
    }
    assert_eq!(server.get("/health").status, 200);
}

/// A connection that comes from this address.
fn connect_from(source: [u8; 4], to: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Client::of(socket.into())
}

#[test]
fn one_address_cannot_take_all_connections() {
    const LIMIT: usize = 100;
    let repo = Repository::with_files(&[("empty.yaml", "# nothing\n")]);
    let mut server = Process::start(
        &[
            "serve",
            &format!("--repo={}", repo.path().display()),
            "--state-dir=none",
            "--listen=127.0.0.1:0",
            "--max-connections-per-address=100",
            "--allow-empty",
        ],
        &[],
    );
    let address = server.address();
    let mut kept = Vec::new();
    let mut turned_away = 0;
    for _ in 0..300 {
        let mut client = Client::connect(address);
        client.try_send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_response() {
            Some(response) => {
                assert_eq!(response.status, 200);
                kept.push(client);
            }
            None => turned_away += 1,
        }
    }
    assert_eq!((kept.len(), turned_away), (LIMIT, 200));
    let line = server.line_with("turned away");
    assert!(
        line.contains("a connection from 127.0.0.1 is turned away, 100 are open (`--max-connections-per-address`)"),
        "{line}"
    );
    assert_eq!(
        connect_from([127, 0, 0, 2], address).get("/health").status,
        200
    );
    for client in &mut kept {
        assert_eq!(client.get("/boot.ipxe").status, 200);
    }
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.log.matches("turned away").count(), 1, "{}", ended.log);
}

#[test]
fn what_cannot_be_parsed_gets_one_answer_and_an_end() {
    let server = Server::start();
    let mut other = server.connect();
    let long = |bytes: usize| "a".repeat(bytes);
    let get = "GET /health HTTP/1.1\r\nHost: a\r\n";
    let many: Vec<String> = (0..200).map(|n| format!("X{n}: y\r\n")).collect();
    let cases = [
        (
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned(),
            400,
        ),
        ("junk\r\n\r\n".to_owned(), 400),
        ("GET  /health HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400),
        (format!("{get} folded\r\n\r\n"), 400),
        (format!("{get}X: a\x01b\r\n\r\n"), 400),
        (format!("{get}Content-Length: -1\r\n\r\n"), 400),
        (
            format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400,
        ),
        (format!("{get}Transfer-Encoding: gzip\r\n\r\n"), 400),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(70_000)),
            414,
        ),
        (format!("{get}X: {}\r\n\r\n", long(90_000)), 431),
        (format!("{get}{}\r\n", many.concat()), 431),
    ];
    for (request, status) in cases {
        let shown = request.escape_debug().take(60).collect::<String>();
        let mut client = server.connect();
        client.try_send(&request);
        client.try_send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, status, "{shown}");
        // One that came whole before it was too much gets words of ours.
        assert!(
            matches!(response.text(), "" | "the header is too large\n"),
            "{response:?}"
        );
        client.drop_rest();
        assert_eq!(other.get("/health").status, 200);
    }
}
