//! What clients that keep to nothing get.

use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::process::Command;

use gitboot::tftp::Limits;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Client, Server, content, data, error};

#[test]
fn nothing_outside_the_root_is_sent_and_nothing_hangs() {
    let server = Server::start();
    std::fs::create_dir(server.root().join("folder")).unwrap();
    server.write("file", b"x");
    symlink("file", server.root().join("inside")).unwrap();
    symlink("/etc/passwd", server.root().join("outside")).unwrap();
    symlink("/etc", server.root().join("etc")).unwrap();
    let pipe = server.root().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let long = "x".repeat(900);
    for (name, code, words) in [
        ("missing", 1, "no such file"),
        ("/etc/passwd", 2, "access violation"),
        ("//usr/bin/env", 1, "no such file"),
        ("../etc/passwd", 2, "access violation"),
        ("folder/../../etc/passwd", 2, "access violation"),
        (r"..\..\etc\passwd", 2, "access violation"),
        ("outside", 2, "access violation"),
        ("etc/passwd", 2, "access violation"),
        ("folder", 2, "access violation"),
        ("pipe", 2, "access violation"),
        ("/", 1, "no such file"),
        ("a\nb", 1, "no such file"),
        (&long, 1, "no such file"),
        (&"x".repeat(1100), 4, "the request is too long"),
        ("", 4, "there is no file name"),
    ] {
        server.ask(name, "").expect(&error(code, words));
    }
    server.ask("inside", "").expect(&data(1, b"x"));
}

#[test]
fn nothing_is_written() {
    let server = Server::start();
    let client = Client::new(server.address);
    client.send(b"\0\x02new\0octet\0", server.address);
    client.expect(&error(2, "nothing can be written here"));
    assert_eq!(std::fs::read_dir(server.root()).unwrap().count(), 0);
}

#[test]
fn who_is_not_allowed_gets_one_line() {
    let server = Server::with("127.0.0.1:0", Limits::default(), |_| false);
    server.write("file", b"x");
    for name in ["file", "missing", "boot.ipxe", "../x"] {
        server.ask(name, "").expect(&error(2, "not allowed"));
    }
}

#[test]
fn packets_of_strangers_disturb_nobody() {
    let server = Server::start();
    server.write("file", &content(1000));
    let client = server.ask("file", "");
    let from = client.expect(&data(1, &content(1000)[..512]));
    let stranger = Client::new(server.address);
    // Errors are never answered; what comes next is the answer to the acknowledgement.
    stranger.send(&error(0, "stop"), from);
    stranger.ack(1, from);
    assert_eq!(stranger.expect(&error(5, "unknown transfer")), from);
    client.ack(1, from);
    client.expect(&data(2, &content(1000)[512..]));
    client.ack(2, from);
    server.runtime.block_on(server.hatch.empty());
}

#[test]
fn a_stranger_s_packets_are_answered_a_few_times_only() {
    let server = Server::start();
    server.write("file", &content(1000));
    let client = server.ask("file", "timeout 9");
    let (_, from) = client.next();
    let stranger = Client::new(server.address);
    for _ in 0..30 {
        stranger.ack(1, from);
    }
    // All of them are there before this one is answered.
    client.ack(0, from);
    client.expect(&data(1, &content(1000)[..512]));
    stranger.socket.set_nonblocking(true).unwrap();
    let mut answers = 0;
    while stranger.socket.recv_from(&mut [0; 100]).is_ok() {
        answers += 1;
    }
    assert_eq!(answers, 8);
}

#[test]
fn what_is_said_twice_is_answered_once() {
    let server = Server::start();
    server.write("file", &content(2000));
    let client = server.ask("file", "timeout 9");
    let (_, from) = client.next();
    for block in 0..4 {
        for _ in 0..3 {
            client.ack(block, from);
        }
    }
    // Four blocks, and none of them twice.
    for (block, part) in (1..).zip(content(2000).chunks(512)) {
        client.expect(&data(block, part));
    }
    client.ack(4, from);
    server.runtime.block_on(server.hatch.empty());
    client.socket.set_nonblocking(true).unwrap();
    assert!(client.socket.recv_from(&mut [0; 100]).is_err());
}

#[test]
fn noise_gets_no_answer_and_stops_nothing() {
    let server = Server::start();
    server.write("file", b"x");
    let client = Client::new(server.address);
    for noise in [
        &b""[..],
        b"\0",
        b"\0\x03\0\x01x",
        b"\0\x04\0\0",
        b"\0\x05\0\x01x\0",
        b"\0\x06",
        &[0xff; 5000],
    ] {
        client.send(noise, server.address);
    }
    client.ask("file", "octet", "");
    client.expect(&data(1, b"x"));
}

#[test]
fn requests_over_a_limit_wait_for_a_place() {
    let limits = Limits {
        max_transfers: 3,
        max_transfers_per_address: 2,
    };
    let server = Server::with("0.0.0.0:0", limits, |_| true);
    server.write("file", b"x");
    let address = format!("127.0.0.1:{}", server.address.port())
        .parse()
        .unwrap();
    let ask = || {
        let client = Client::new(address);
        client.ask("file", "octet", "timeout 9");
        client
    };
    let (one, _two) = (ask(), ask());
    let from = one.expect(b"\0\x06timeout\x009\0");
    // No place for a third one of the same address, but for that of another one.
    let third = ask();
    let other = Client {
        socket: UdpSocket::bind("127.0.0.2:0").unwrap(),
        server: address,
    };
    other.ask("file", "octet", "timeout 9");
    other.expect(b"\0\x06timeout\x009\0");
    assert_eq!(server.hatch.transfers(), 3);
    one.send(&error(0, "enough"), from);
    third
        .socket
        .set_read_timeout(Some(std::time::Duration::from_millis(100)))
        .unwrap();
    // As clients do that hear nothing.
    let mut packet = [0; 100];
    while third.socket.recv_from(&mut packet).is_err() {
        third.ask("file", "octet", "timeout 9");
    }
    assert!(packet.starts_with(b"\0\x06timeout"));
}

#[test]
fn many_clients_at_once_get_whole_files() {
    let limits = Limits {
        max_transfers_per_address: 500,
        ..Limits::default()
    };
    let server = Server::with("127.0.0.1:0", limits, |_| true);
    let all = content(100_000);
    server.write("file", &all);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let client = server.ask("file", "blksize 1432 windowsize 4");
                let (_, from) = client.next();
                client.ack(0, from);
                assert!(windows(&client, 4) == all);
            });
        }
    });
    server.runtime.block_on(server.hatch.empty());
}

/// Reads a file of blocks of 1432 bytes, and acknowledges each window.
fn windows(client: &Client, window: u16) -> Vec<u8> {
    let (mut all, mut known, mut since) = (Vec::new(), 0_u16, 0);
    loop {
        let (packet, from) = client.next();
        if packet[2..4] != (known + 1).to_be_bytes() {
            client.ack(known, from);
            since = 0;
            continue;
        }
        known += 1;
        since += 1;
        all.extend(&packet[4..]);
        let is_last = packet.len() < 1436;
        if since == window || is_last {
            client.ack(known, from);
            since = 0;
        }
        if is_last {
            return all;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn whatever_is_sent_the_next_one_is_served(packets in vec((0..8u8, vec(any::<u8>(), 0..200)), 0..40)) {
        let server = Server::start();
        server.write("file", b"x");
        let client = Client::new(server.address);
        for (kind, rest) in packets {
            client.send(&[&[0, kind], &rest[..]].concat(), server.address);
        }
        let other = server.ask("file", "");
        other.expect(&data(1, b"x"));
    }
}
