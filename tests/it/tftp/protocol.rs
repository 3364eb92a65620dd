//! What clients that keep to the RFCs get.

use std::time::{Duration, Instant};

use gitboot::tftp::Limits;

use super::{Client, Server, content, data, error};

#[test]
fn files_of_all_lengths_arrive() {
    let server = Server::start();
    for bytes in [0, 1, 511, 512, 513, 1024, 70_000] {
        server.write("file", &content(bytes));
        assert_eq!(server.ask("file", "").rest(512), content(bytes), "{bytes}");
    }
}

#[test]
fn options_are_told_and_kept() {
    let server = Server::start();
    server.write("file", &content(3000));
    let client = server.ask("file", "blksize 1432 odd 1 tsize 0 timeout 2");
    let from = client.expect(b"\0\x06blksize\x001432\0tsize\x003000\0timeout\x002\0");
    assert_ne!(from.port(), server.address.port());
    client.ack(0, from);
    assert_eq!(client.rest(1432), content(3000));
}

#[test]
fn without_a_known_option_the_first_block_comes_at_once() {
    let server = Server::start();
    server.write("file", b"x");
    let client = server.ask("file", "multicast 1 blksize 7 timeout 0 windowsize 0");
    client.expect(&data(1, b"x"));
}

#[test]
fn a_window_is_sent_before_it_is_acknowledged() {
    let server = Server::start();
    server.write("file", &content(70));
    let client = server.ask("file", "blksize 10 windowsize 3");
    let from = client.expect(b"\0\x06blksize\x0010\0windowsize\x003\0");
    client.ack(0, from);
    let block = |number: u16| {
        let start = (usize::from(number) - 1) * 10;
        data(number, &content(70)[start..70.min(start + 10)])
    };
    for number in [1, 2, 3] {
        client.expect(&block(number));
    }
    // The third one is lost, as it were.
    client.ack(2, from);
    for number in [3, 4, 5] {
        client.expect(&block(number));
    }
    client.ack(5, from);
    for number in [6, 7, 8] {
        client.expect(&block(number));
    }
    client.ack(8, from);
    server.runtime.block_on(server.hatch.empty());
}

#[test]
fn the_count_of_blocks_begins_again_in_large_files() {
    let server = Server::start();
    let all = content(8 * 66_000 + 3);
    server.write("large", &all);
    let client = server.ask("large", "blksize 8");
    let (_, from) = client.next();
    client.ack(0, from);
    assert!(client.rest(8) == all);
}

#[test]
fn texts_get_the_line_ends_that_netascii_wants() {
    let server = Server::start();
    server.write("text", b"one\ntwo\rthree\r\n");
    let client = Client::new(server.address);
    client.ask("text", "netascii", "tsize 0");
    let from = client.expect(b"\0\x06tsize\x0019\0");
    client.ack(0, from);
    client.expect(&data(1, b"one\r\ntwo\r\0three\r\0\r\n"));
    server.write("long", &content((64 << 10) + 1));
    client.ask("long", "NetASCII", "");
    client.expect(&error(
        0,
        "netascii is for texts up to 64 KiB, ask for octet",
    ));
    client.ask("text", "mail", "");
    client.expect(&error(4, "the modes are octet and netascii"));
}

#[test]
fn what_is_lost_is_sent_again() {
    let server = Server::start();
    server.write("file", &content(600));
    let client = server.ask("file", "timeout 1");
    let oack = b"\0\x06timeout\x001\0";
    let began = Instant::now();
    client.expect(oack);
    let from = client.expect(oack);
    assert!(began.elapsed() > Duration::from_millis(900));
    client.ack(0, from);
    client.expect(&data(1, &content(600)[..512]));
    client.expect(&data(1, &content(600)[..512]));
    client.ack(1, from);
    client.expect(&data(2, &content(600)[512..]));
    client.ack(2, from);
    server.runtime.block_on(server.hatch.empty());
}

#[test]
fn a_request_that_is_repeated_is_one_transfer() {
    let server = Server::start();
    server.write("file", &content(600));
    let client = server.ask("file", "timeout 5");
    let from = client.expect(b"\0\x06timeout\x005\0");
    client.ask("file", "octet", "timeout 5");
    client.ask("file", "octet", "timeout 5");
    client.ack(0, from);
    let again = client.expect(&data(1, &content(600)[..512]));
    assert_eq!(from, again);
    client.ack(1, from);
    client.expect(&data(2, &content(600)[512..]));
    assert_eq!(server.hatch.transfers(), 1);
    // Another request from the same port: the client has begun anew.
    client.ask("file", "octet", "");
    let new = client.expect(&data(1, &content(600)[..512]));
    assert_ne!(from, new);
    client.ack(1, new);
    client.expect(&data(2, &content(600)[512..]));
    client.ack(2, new);
    server.runtime.block_on(server.hatch.empty());
}

#[test]
fn a_client_that_gives_up_frees_its_place() {
    let server = Server::start();
    server.write("file", &content(600));
    let client = server.ask("file", "tsize 0");
    let from = client.expect(b"\0\x06tsize\x00600\0");
    client.send(&error(8, "only asked for the size"), from);
    server.runtime.block_on(server.hatch.empty());
}

#[test]
fn ipv6_and_addresses_of_both_families_work() {
    let server = Server::with("[::]:0", Limits::default(), |_| true);
    server.write("file", b"x");
    for (asked, told) in [("[::1]", "::1"), ("127.0.0.1", "127.0.0.1")] {
        let address = format!("{asked}:{}", server.address.port())
            .parse()
            .unwrap();
        let client = Client::new(address);
        client.ask("boot.ipxe", "octet", "");
        let script = format!("#!ipxe\necho {told}\n");
        let from = client.expect(&data(1, script.as_bytes()));
        assert_eq!(from.ip(), address.ip());
        client.ack(1, from);
    }
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let server = Server::with("0.0.0.0:0", Limits::default(), |_| true);
    for asked in ["127.0.0.1", "127.0.0.2", "127.7.7.7"] {
        let address = format!("{asked}:{}", server.address.port())
            .parse()
            .unwrap();
        let client = Client::new(address);
        client.ask("boot.ipxe", "octet", "");
        let script = format!("#!ipxe\necho {asked}\n");
        let from = client.expect(&data(1, script.as_bytes()));
        assert_eq!(from.ip().to_string(), asked);
        client.ack(1, from);
        client.ask("missing", "octet", "");
        assert_eq!(
            client.expect(&error(1, "no such file")).ip().to_string(),
            asked
        );
    }
}

#[test]
fn two_names_are_the_server_s_own() {
    let server = Server::start();
    std::fs::create_dir(server.root().join("efi")).unwrap();
    for name in [
        "boot.ipxe",
        "autoexec.ipxe",
        "efi/autoexec.ipxe",
        "efi/boot.ipxe",
    ] {
        server.write(name, b"a file");
    }
    let own = b"#!ipxe\necho 127.0.0.1\n";
    for (name, expected) in [
        ("boot.ipxe", &own[..]),
        ("/boot.ipxe", own),
        ("autoexec.ipxe", own),
        ("/autoexec.ipxe", own),
        ("/efi/autoexec.ipxe", own),
        (r"\efi\missing\autoexec.ipxe", own),
        ("efi/boot.ipxe", b"a file"),
    ] {
        assert_eq!(server.ask(name, "").rest(512), expected, "{name}");
    }
    server
        .ask("../autoexec.ipxe", "")
        .expect(&error(2, "access violation"));
}
