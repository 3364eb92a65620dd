//! TFTP, over real sockets.

mod clients;
mod hostile;
mod process;
mod protocol;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gitboot::tftp::{self, Hatch, Limits, Settings};
use tempfile::TempDir;

use crate::support::http::DEADLINE;

/// A server on a port of its own; it ends when dropped.
struct Server {
    address: SocketAddr,
    hatch: Arc<Hatch>,
    root: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        Self::with("127.0.0.1:0", Limits::default(), |_| true)
    }

    fn with(listen: &str, limits: Limits, admits: fn(IpAddr) -> bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let hatch = Hatch::new(Settings {
            root: Some(root.path().to_owned()),
            limits,
            admits: Box::new(admits),
            script: Box::new(|asked| Bytes::from(format!("#!ipxe\necho {asked}\n"))),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            tftp::bind(&[listen.parse().unwrap()]).unwrap().remove(0)
        };
        let address = listener.address();
        runtime.spawn(Arc::clone(&hatch).serve(listener));
        Self {
            address,
            hatch,
            root,
            runtime,
        }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.root().join(name), bytes).unwrap();
    }

    /// Asks for a file with these options, as `name value name value`.
    fn ask(&self, file: &str, options: &str) -> Client {
        let client = Client::new(self.address);
        client.ask(file, "octet", options);
        client
    }
}

/// One port of a client.
struct Client {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let any = if server.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, server }
    }

    fn ask(&self, file: &str, mode: &str, options: &str) {
        let options: String = options
            .split_whitespace()
            .map(|word| format!("{word}\0"))
            .collect();
        let request = format!("\0\x01{file}\0{mode}\0{options}");
        self.send(request.as_bytes(), self.server);
    }

    fn send(&self, packet: &[u8], to: SocketAddr) {
        self.socket.send_to(packet, to).unwrap();
    }

    fn ack(&self, block: u16, to: SocketAddr) {
        self.send(&[&[0, 4][..], &block.to_be_bytes()].concat(), to);
    }

    /// The next packet and who sent it.
    fn next(&self) -> (Vec<u8>, SocketAddr) {
        let mut packet = vec![0; 70_000];
        let (length, from) = self.socket.recv_from(&mut packet).unwrap();
        packet.truncate(length);
        (packet, from)
    }

    /// Waits for a packet and compares it.
    fn expect(&self, packet: &[u8]) -> SocketAddr {
        let (got, from) = self.next();
        assert_eq!(
            got.escape_ascii().to_string(),
            packet.escape_ascii().to_string()
        );
        from
    }

    /// Reads a file to its end, block by block.
    fn rest(&self, block: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut expected = 1_u16;
        loop {
            let (packet, from) = self.next();
            assert_eq!(packet[..2], [0, 3], "{}", packet.escape_ascii());
            if packet[2..4] == expected.to_be_bytes() {
                all.extend(&packet[4..]);
                self.ack(expected, from);
                expected = expected.wrapping_add(1);
                if packet.len() < block + 4 {
                    return all;
                }
            }
        }
    }
}

/// A block as it is on the wire.
fn data(block: u16, content: &[u8]) -> Vec<u8> {
    [&[0, 3][..], &block.to_be_bytes(), content].concat()
}

/// An error as it is on the wire.
fn error(code: u8, words: &str) -> Vec<u8> {
    [&[0, 5, 0, code], words.as_bytes(), &[0]].concat()
}

/// Bytes that differ from block to block.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}
