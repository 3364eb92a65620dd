//! Simulated machines by the thousand, which say what iPXE says.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::http::{Client, Response};

/// The stack of a simulated machine's thread, in bytes: it does little.
const STACK: usize = 256 << 10;

/// How many files a crowd may have open, beside those that are already.
const FILES_BESIDE: u64 = 1_000;

/// What became of one boot: how long it took, or what went wrong.
pub(crate) type Outcome = Result<Duration, String>;

/// The MAC of a simulated machine.
pub(crate) fn mac(number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("52:54:00:08:{high:02x}:{low:02x}")
}

/// Lets this process open as many connections as there are machines.
pub(crate) fn raise_limit(machines: u16) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let needed = u64::from(machines) + FILES_BESIDE;
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).expect("a hard limit of more open files");
    }
}

/// Boots so many machines at the same moment, each with an address of its own, and returns what became of each.
pub(crate) fn boot(server: SocketAddr, machines: u16) -> Vec<Outcome> {
    let together = Barrier::new(usize::from(machines));
    std::thread::scope(|scope| {
        let start = |number| {
            let together = &together;
            let thread = std::thread::Builder::new().stack_size(STACK);
            let boot = move || {
                together.wait();
                let began = Instant::now();
                one(server, number).map(|()| began.elapsed())
            };
            thread.spawn_scoped(scope, boot).unwrap()
        };
        let threads: Vec<_> = (0..machines).map(start).collect();
        threads
            .into_iter()
            .map(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err("the connection broke".to_owned()))
            })
            .collect()
    })
}

/// What one machine does: the first script and its own on one connection, the config, as Linux, on another.
fn one(server: SocketAddr, number: u16) -> Result<(), String> {
    let mac = mac(number);
    let mut firmware = connect(server, number);
    let first = ask(&mut firmware, server, "/boot.ipxe", "keep-alive")?;
    if !first.text().starts_with("#!ipxe\n") {
        return Err(format!("no script: {}", first.text()));
    }
    // In the form of `${mac:hexhyp}`.
    let hyphens = mac.replace(':', "-");
    let target = format!("/ipxe?uuid=&mac={hyphens}&mac={hyphens}&mac=&buildarch=i386&serial.hex=");
    let script = ask(&mut firmware, server, &target, "keep-alive")?;
    let script = script.text();
    let generation = word_behind(script, "generation ");
    let config = word_behind(script, "config=");
    let (Some(generation), Some(config)) = (generation, config) else {
        return Err(format!("not its script: {script}"));
    };
    let host = format!("http://{server}");
    let target = config
        .strip_prefix(&host)
        .ok_or_else(|| format!("not below {host}: {config}"))?;
    let config = ask(&mut connect(server, number), server, target, "close")?;
    let expected = format!("machine {number} of generation {generation}\n");
    if config.text() == expected {
        Ok(())
    } else {
        Err(format!("{:?}, not {expected:?}", config.text()))
    }
}

/// The word behind this text.
fn word_behind<'a>(script: &'a str, text: &str) -> Option<&'a str> {
    script.split_once(text)?.1.split_whitespace().next()
}

/// A connection from an address that only this machine has.
fn connect(server: SocketAddr, number: u16) -> Client {
    let [high, low] = number.to_be_bytes();
    let own = SocketAddr::from((Ipv4Addr::new(127, 8, high, low), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&own.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::of(TcpStream::from(socket))
}

/// One request in the words of iPXE.
fn ask(
    client: &mut Client,
    server: SocketAddr,
    target: &str,
    connection: &str,
) -> Result<Response, String> {
    client.send(format!(
        "GET {target} HTTP/1.1\r\nConnection: {connection}\r\nUser-Agent: iPXE/1.0.0+\r\nHost: {server}\r\n\r\n"
    ));
    let response = client.response();
    if response.status == 200 {
        Ok(response)
    } else {
        Err(format!("{} to {target}", response.status))
    }
}
