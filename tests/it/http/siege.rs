//! Very many clients at once, and a system that has no more to give: what they take is bounded, and others are served.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{MAC, Server, settings, snapshot};
use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE, get};
use crate::support::process::Process;
use gitboot::http::Limits;

const SHORT: Duration = Duration::from_millis(300);

/// The connections that are held at once.
const IDLE: usize = 10_000;

/// Those of one address, below the limit for one.
const OF_ONE_ADDRESS: usize = 250;

/// More memory than an idle connection takes, in bytes; in a debug build it was 13,200, hyper's first buffer of 8 KiB included.
const BYTES_OF_ONE: u64 = 16 << 10;

/// Tells the process that holds connections where to.
const HOLD: &str = "GITBOOT_TEST_HOLD";

fn server(files: usize, more: &[&str]) -> (Process, SocketAddr, Repository) {
    let repo = Repository::with_files(&[("empty.yaml", "# nothing\n")]);
    let url = format!("--repo={}", repo.path().display());
    let mut args = vec![
        "serve",
        &url,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
        "--allow-empty",
    ];
    args.extend(more);
    let mut server = Process::start_with_files(files, &args);
    let address = server.address();
    server.line_with("published");
    (server, address, repo)
}

/// Another process of this program that runs [`the_holder_holds`] alone, as one process may not have enough files for all.
fn holder(address: SocketAddr) -> Child {
    let this = std::env::current_exe().unwrap();
    let script = format!("ulimit -n {} && exec \"$0\" \"$@\"", IDLE + 100);
    Command::new("sh")
        .args(["-c", &script])
        .arg(this)
        .args(["--exact", "http::siege::the_holder_holds", "--nocapture"])
        .env(HOLD, address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Nothing, unless this process was started to hold connections: then it does until its input ends.
#[test]
fn the_holder_holds() {
    let Ok(address) = std::env::var(HOLD) else {
        return;
    };
    let address: SocketAddr = address.parse().unwrap();
    let held: Vec<Client> = (0..IDLE)
        .map(|number| {
            let source = u8::try_from(number / OF_ONE_ADDRESS + 1).unwrap();
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket
                .bind(&SocketAddr::from(([127, 0, 1, source], 0)).into())
                .unwrap();
            socket.connect(&address.into()).unwrap();
            let mut client = Client::of(socket.into());
            assert_eq!(client.get("/health").status, 200);
            client
        })
        .collect();
    println!("\nheld {}", held.len());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(held);
}

#[test]
fn ten_thousand_idle_connections_take_little_and_disturb_nobody() {
    let (server, address, _repo) = server(IDLE + 200, &["--idle-timeout=10m"]);
    assert_eq!(get(address, "/health").status, 200);
    let before = server.memory("VmRSS");
    let mut holder = holder(address);
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    // What the test binary says at its end must still find a reader.
    let mut told = lines.map_while(Result::ok);
    let held = told.find(|line| line.starts_with("held"));
    assert_eq!(held.as_deref(), Some("held 10000"));
    let taken = server.memory("VmRSS").saturating_sub(before);
    let of_one = taken / u64::try_from(IDLE).unwrap();
    assert!(of_one < BYTES_OF_ONE, "{of_one} bytes a connection");
    for _ in 0..100 {
        assert_eq!(get(address, "/boot.ipxe").status, 200);
    }
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    drop(told);
    assert_eq!(get(address, "/boot.ipxe").status, 200);
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn a_system_without_more_files_is_waited_for() {
    let (mut server, address, _repo) = server(64, &[]);
    let mut all: Vec<Client> = (0..100).map(|_| Client::connect(address)).collect();
    let line = server.line_with("no connection can be accepted for now");
    assert!(line.contains(" WARN "), "{line}");
    // Those that are in are served.
    assert_eq!(all[0].get("/health").status, 200);
    // The others as soon as there is room.
    let mut last = all.pop().unwrap();
    last.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(all);
    assert_eq!(last.response().status, 200);
    assert_eq!(get(address, "/boot.ipxe").status, 200);
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn slow_headers_of_many_at_once_end_in_time() {
    const MANY: usize = 240;
    let server = Server::with(
        settings(),
        Limits {
            header_timeout: SHORT,
            ..Limits::default()
        },
    );
    let mut other = server.connect();
    let since = Instant::now();
    let mut many: Vec<TcpStream> = (0..MANY)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let mut bytes = b"GET /health HTTP/1.1\r\nHost: a\r\n"
        .iter()
        .chain(b"X: y\r\n".iter().cycle());
    while !many.is_empty() {
        let byte = bytes.next().unwrap();
        // An ended connection is reset by what comes after its end.
        many.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
        assert_eq!(other.get("/health").status, 200);
        assert!(since.elapsed() < DEADLINE, "{} are left", many.len());
    }
    assert!(since.elapsed() >= SHORT);
}

#[test]
fn a_flood_of_requests_without_a_reader_is_not_stored() {
    /// What the kernel's buffers hold for both directions, and some.
    const MOST: usize = 64 << 20;
    let mut server = Server::with(
        settings(),
        Limits {
            idle_timeout: SHORT,
            ..Limits::default()
        },
    );
    server.publish(snapshot("one", MAC, Some("#!ipxe\nexit\n"), &[]));
    let request = format!("GET /ipxe/{MAC} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(1000);
    let mut flood = TcpStream::connect(server.address).unwrap();
    flood.set_write_timeout(Some(DEADLINE)).unwrap();
    let mut sent = 0;
    // The server takes no more once nobody takes its answers, and then ends the connection.
    let error = loop {
        match flood.write(&request.as_bytes()[sent % (request.len() / 1000)..]) {
            Ok(bytes) => sent += bytes,
            Err(error) => break error,
        }
        assert!(sent < MOST, "{sent} bytes are taken");
        assert_eq!(server.get("/health").status, 200);
    };
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        "{error}"
    );
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_drain_ends_at_its_deadline_whoever_is_still_there() {
    let (mut server, address, _repo) = server(
        256,
        &[
            "--drain-delay=300ms",
            "--drain=300ms",
            "--header-timeout=10m",
        ],
    );
    let mut stuck = Client::connect(address);
    stuck.send("POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let mut begun = Client::connect(address);
    begun.send("GET /ipxe HT");
    assert_eq!(get(address, "/ready").status, 200);
    server.signal("TERM");
    server.line_with("draining");
    assert_eq!(get(address, "/ready").status, 503);
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    stuck.end();
    begun.end();
}
