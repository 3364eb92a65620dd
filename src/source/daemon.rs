//! A `git daemon`: git's own protocol over a bare TCP connection.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};

use super::error::{ErrorClass, SourceError};
use super::stream::{Line, Postmortem, Reader, TICK, Writer};
use super::url::Address;
use super::watch::Watch;

/// The port of a `git daemon`, as registered with IANA.
const PORT: u16 = 9418;

/// A connection to a `git daemon`.
pub(super) type DaemonConnection<'a> =
    Connection<Reader<'a, TcpStream, Nothing>, Writer<'a, TcpStream, Nothing>>;

/// A daemon says nothing about its end.
pub(super) struct Nothing;

impl Postmortem for Nothing {
    fn reason(&mut self) -> Option<SourceError> {
        None
    }
}

/// Connects.
pub(super) fn open<'a>(
    address: &Address,
    watch: &'a Watch<'a>,
) -> Result<DaemonConnection<'a>, SourceError> {
    let port = address.port.unwrap_or(PORT);
    let socket = connect(&address.host, port, watch)?;
    let (reader, writer) = Line::split(socket, Nothing, watch);
    Ok(Connection::new(
        reader,
        writer,
        Protocol::V2,
        address.path.as_str(),
        Some((address.host.as_str(), address.port)),
        ConnectMode::Daemon,
        false,
    ))
}

/// Resolves and connects on a thread of its own: neither can be interrupted, but both can be left alone. The thread
/// ends by itself, at the latest when the resolver and the last address have timed out.
fn connect(host: &str, port: u16, watch: &Watch<'_>) -> Result<TcpStream, SourceError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (host, patience) = (host.to_owned(), watch.patience());
    std::thread::spawn(move || {
        // Nobody waits any more when the check is over.
        let _ = sender.send(connect_blocking(&host, port, patience));
    });
    loop {
        watch.look()?;
        match receiver.recv_timeout(TICK.min(watch.left())) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the connection to the remote could not be made";
                return Err(SourceError::new(ErrorClass::Refused, message));
            }
        }
    }
}

fn connect_blocking(host: &str, port: u16, patience: Duration) -> Result<TcpStream, SourceError> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| {
        SourceError::caused(
            ErrorClass::Dns,
            "the remote's name cannot be resolved",
            &error,
        )
    })?;
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    let class = match last.kind() {
        io::ErrorKind::TimedOut => ErrorClass::Timeout,
        _ => ErrorClass::Refused,
    };
    Err(SourceError::caused(
        class,
        "the remote cannot be reached",
        &last,
    ))
}
