//! Sockets that are open before the server, and stay while it is restarted.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE, get};
use crate::support::process::{Ended, Process};

const TOKEN: &str = "#!ipxe\n";

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn shared(listener: &TcpListener) -> OwnedFd {
    listener.try_clone().unwrap().into()
}

fn nothing() -> Repository {
    Repository::with_files(&[("empty.yaml", "# nothing\n")])
}

fn start(sockets: Vec<OwnedFd>, names: &str, repo: &Repository, more: &[&str]) -> Process {
    let repo = format!("--repo={}", repo.path().display());
    let mut args = vec!["serve", &repo, "--allow-empty", "--state-dir=none"];
    args.extend(more);
    Process::start_with_sockets(sockets, names, &args, &[])
}

/// How a server ends that cannot use its sockets.
fn refused(sockets: Vec<OwnedFd>, names: &str, more: &[&str]) -> Ended {
    let mut args = vec!["serve", "--repo=/nowhere/boot.git", "--state-dir=none"];
    args.extend(more);
    Process::start_with_sockets(sockets, names, &args, &[]).end()
}

#[test]
fn who_connects_during_a_restart_is_answered_by_the_next_server() {
    let socket = listener();
    let address = socket.local_addr().unwrap();
    let repo = nothing();
    let more = ["--drain-delay=0"];
    let mut server = start(vec![shared(&socket)], "http", &repo, &more);
    assert_eq!(server.address(), address);
    assert!(get(address, "/boot.ipxe").text().starts_with(TOKEN));
    let kept = Client::connect(address);
    server.signal("TERM");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    drop(kept);

    // Nobody serves now, and the socket still takes connections.
    let mut waiting: Vec<Client> = (0..20).map(|_| Client::connect(address)).collect();
    for client in &mut waiting {
        client.send("GET /boot.ipxe HTTP/1.1\r\nHost: boot.example\r\n\r\n");
    }
    let server = start(vec![shared(&socket)], "http", &repo, &more);
    for client in &mut waiting {
        let response = client.response();
        assert_eq!(response.status, 200);
        assert!(response.text().starts_with(TOKEN));
    }
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn each_socket_does_what_its_name_says() {
    let (socket, datagrams) = (listener(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (http, tftp) = (
        socket.local_addr().unwrap(),
        datagrams.local_addr().unwrap(),
    );
    // Without names, its protocol says what a socket is for.
    for names in ["http:tftp", ""] {
        let given = vec![shared(&socket), datagrams.try_clone().unwrap().into()];
        let mut server = start(given, names, &nothing(), &["--drain-delay=0"]);
        let line = server.line_with("service manager");
        let told = format!("sockets of the service manager: http {http}, tftp {tftp}");
        assert!(line.ends_with(&told), "{line}");
        assert_eq!(server.address(), http);
        server.line_with(&format!("listening on tftp://{tftp}"));
        assert_eq!(get(http, "/health").status, 200);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.send_to(b"\0\x01boot.ipxe\0octet\0", tftp).unwrap();
        let mut answer = [0; 600];
        let (length, peer) = client.recv_from(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"\0\x03\0\x01#!ipxe"));
        // Nobody waits for the rest.
        client.send_to(b"\0\x05\0\0enough\0", peer).unwrap();
        server.signal("INT");
        assert_eq!(server.end().code, Some(0));
    }
}

#[test]
fn operators_have_a_socket_of_their_own_with_the_rules_of_its_address() {
    let (boot, ops) = (listener(), listener());
    let given = vec![shared(&boot), shared(&ops)];
    let repo = nothing();
    let repo = format!("--repo={}", repo.path().display());
    let args = ["serve", &repo, "--state-dir=none", "--drain-delay=0"];
    // The helper's own `--ops-listen=off` would be in the way.
    let vars = [("GITBOOT_OPS_LISTEN", "")];
    let mut server = Process::start_with_sockets(given, "http:ops", &args, &vars);
    assert_eq!(server.operations(), ops.local_addr().unwrap());
    let mut client = Client::connect(ops.local_addr().unwrap());
    client.send("GET /api/machines HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let mut client = Client::connect(ops.local_addr().unwrap());
    client.send("GET /api/machines HTTP/1.1\r\nHost: rebound.example\r\n\r\n");
    assert_eq!(client.response().status, 403);
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}

fn stream() -> Vec<OwnedFd> {
    vec![shared(&listener())]
}

fn datagram() -> Vec<OwnedFd> {
    vec![UdpSocket::bind("127.0.0.1:0").unwrap().into()]
}

/// These sockets are refused with these words.
fn check(sockets: Vec<OwnedFd>, names: &str, more: &[&str], expected: &str) {
    let ended = refused(sockets, names, more);
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    assert!(
        ended.log.contains(&format!("error: {expected}")),
        "{}",
        ended.log
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_way_out() {
    check(
        stream(),
        "gitboot.socket",
        &[],
        "socket 1 of the service manager has the name `gitboot.socket`; set `FileDescriptorName=` in its socket unit to \
         `http`, `https`, `ops` or `tftp`",
    );
    check(
        datagram(),
        "http",
        &[],
        "socket 1 of the service manager has the name `http` and is no TCP socket; write `ListenStream=` with a port, or \
         an address and a port, in its socket unit",
    );
    check(
        stream(),
        "tftp",
        &[],
        "socket 1 of the service manager has the name `tftp` and is no UDP socket; write `ListenDatagram=`",
    );
    check(
        stream(),
        "http:ops",
        &[],
        "`LISTEN_FDS` is 1 and `LISTEN_FDNAMES` has 2 names; the service manager has to give each socket one",
    );
    let two = vec![shared(&listener()), shared(&listener())];
    check(
        two,
        "ops:ops",
        &["--ops-listen=127.0.0.1:0"],
        "the service manager gives two sockets of the name `ops`",
    );
    let listening = listener();
    let address = listening.local_addr().unwrap();
    let connected = std::net::TcpStream::connect(address).unwrap();
    check(
        vec![connected.into()],
        "http",
        &[],
        "socket 1 of the service manager has the name `http` and is no socket that listens; remove `Accept=yes` in its \
         socket unit",
    );
    check(
        stream(),
        "https",
        &[],
        "a socket of the name `https` needs `--tls-cert-file` and `--tls-key-file`",
    );
}

#[test]
fn a_flag_and_a_socket_for_the_same_are_refused() {
    for (name, flag, socket) in [
        ("http", "--listen=127.0.0.1:0", stream()),
        ("https", "--tls-listen=127.0.0.1:0", stream()),
        ("ops", "--ops-listen=127.0.0.1:0", stream()),
        ("ops", "--ops-listen=off", stream()),
        ("tftp", "--tftp-listen=127.0.0.1:0", datagram()),
    ] {
        let (known, _) = flag.split_once('=').unwrap();
        let expected = format!(
            "`{known}` and a socket of the service manager with the name `{name}` say both where to listen; remove the \
             flag (or its variable), or the socket unit"
        );
        check(socket, name, &[flag], &expected);
    }
}
