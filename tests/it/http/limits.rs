//! What connections may take, and how they end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{MAC, Server, config, settings, snapshot};
use crate::support::http::{Client, DEADLINE};
use gitboot::http::Limits;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_millis(900);

fn server(limits: Limits) -> Server {
    Server::with(settings(), limits)
}

/// How long the server kept the connection since then.
fn kept(mut client: Client, since: Instant) -> Duration {
    client.end();
    since.elapsed()
}

#[test]
fn a_header_has_to_come_in_time() {
    let server = server(Limits {
        header_timeout: SHORT,
        idle_timeout: DEADLINE,
        ..Limits::default()
    });
    for begun in [
        "",
        "GET /health HT",
        "GET /health HTTP/1.1\r\nHost: a\r\nX: ",
    ] {
        let since = Instant::now();
        let mut client = server.connect();
        client.send(begun);
        let kept = kept(client, since);
        assert!(kept < DEADLINE / 2, "{begun:?}: {kept:?}");
    }
    let mut second = server.connect();
    assert_eq!(second.get("/health").status, 200);
    second.send("GET /hea");
    assert!(kept(second, Instant::now()) < DEADLINE / 2);
}

#[test]
fn an_idle_connection_is_kept_for_longer_than_a_header_may_take() {
    let server = server(Limits {
        header_timeout: SHORT,
        idle_timeout: LONG,
        ..Limits::default()
    });
    let mut client = server.connect();
    let since = Instant::now();
    assert_eq!(client.get("/health").status, 200);
    let kept = kept(client, since);
    assert!((LONG..DEADLINE / 2).contains(&kept), "{kept:?}");
}

#[test]
fn an_idle_connection_is_ended_where_a_header_may_take_longer() {
    let server = server(Limits {
        header_timeout: 2 * DEADLINE,
        idle_timeout: SHORT,
        ..Limits::default()
    });
    let mut client = server.connect();
    assert_eq!(client.get("/health").status, 200);
    let kept = kept(client, Instant::now());
    assert!(kept < DEADLINE / 2, "{kept:?}");
}

#[test]
fn an_answer_has_to_be_taken_in_time() {
    // Much more than is taken until the end.
    let large = config("large", &"x".repeat(64 << 20));
    let mut server = server(Limits {
        idle_timeout: DEADLINE,
        request_timeout: LONG,
        ..Limits::default()
    });
    server.publish(snapshot("one", MAC, None, &[Arc::clone(&large)]));
    let request = format!("GET /config/{} HTTP/1.1\r\nHost: a\r\n\r\n", large.id);
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.set_read_timeout(Some(DEADLINE)).unwrap();
    let since = Instant::now();
    slow.write_all(request.as_bytes()).unwrap();
    let mut quick = server.connect();
    // One request after another is no long one.
    assert_eq!(quick.get("/health").status, 200);
    while server.door.connections() > 1 {
        slow.read_exact(&mut [0; 1 << 10]).unwrap();
        assert_eq!(quick.get("/health").status, 200);
        assert!(
            since.elapsed() < DEADLINE / 2,
            "the answer is still under way"
        );
    }
    assert!(since.elapsed() >= LONG);
    assert_eq!(quick.get("/health").status, 200);
}

#[test]
fn one_address_gets_so_many_connections_and_no_more() {
    let server = server(Limits {
        max_connections_per_address: 2,
        ..Limits::default()
    });
    let mut first = server.connect();
    let mut second = server.connect();
    assert_eq!(first.get("/health").status, 200);
    assert_eq!(second.get("/health").status, 200);
    server.connect().end();
    drop(first);
    let until = Instant::now() + DEADLINE;
    loop {
        let mut again = server.connect();
        again.try_send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        if again.try_response().is_some() {
            break;
        }
        assert!(
            Instant::now() < until,
            "the place of the closed connection is still taken"
        );
    }
    assert_eq!(second.get("/health").status, 200);
}

#[test]
fn connections_over_the_limit_wait_for_their_turn() {
    let server = server(Limits {
        max_connections: 1,
        ..Limits::default()
    });
    let mut first = server.connect();
    assert_eq!(first.get("/health").status, 200);
    let mut second = server.connect();
    second.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.get("/ready").status, 503);
    assert_eq!(server.door.connections(), 1);
    drop(first);
    assert_eq!(second.response().status, 200);
}

#[test]
fn a_closed_door_lets_nobody_in_and_ends_idle_connections() {
    let server = Server::start();
    let mut idle = server.connect();
    assert_eq!(idle.get("/health").status, 200);
    server.door.close();
    idle.end();
    server.runtime.block_on(async {
        tokio::time::timeout(DEADLINE, server.door.empty())
            .await
            .expect("no connection is left");
    });
    let until = Instant::now() + DEADLINE;
    while std::net::TcpStream::connect(server.address).is_ok() {
        assert!(Instant::now() < until, "the listener is still there");
    }
}
