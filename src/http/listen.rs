//! Listening sockets.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::tls::{Acceptor, Tls};

/// How many connections may wait to be accepted: the kernel's own default limit, which cuts larger numbers.
const BACKLOG: i32 = 4096;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub(super) socket: TcpListener,
    /// What makes TLS of its connections; `None` for plain HTTP.
    pub(super) tls: Option<Acceptor>,
    address: SocketAddr,
}

impl Listener {
    /// The address that it listens on, the port resolved.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// The local address of a connection that was accepted here.
    pub(super) fn local_address(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        // Only where every address is listened on, the system has to be asked.
        if self.address.ip().is_unspecified() {
            stream.local_addr()
        } else {
            Ok(self.address)
        }
    }

    /// The same socket once more, for the runtime of another thread: whoever is free first takes the next connection.
    pub(super) fn share(&self) -> io::Result<Share> {
        let socket = self.socket.as_fd().try_clone_to_owned()?.into();
        Ok(Share {
            socket,
            tls: self.tls.clone(),
            address: self.address,
        })
    }
}

/// A socket that belongs to no runtime yet.
#[derive(Debug)]
pub(super) struct Share {
    socket: std::net::TcpListener,
    tls: Option<Acceptor>,
    address: SocketAddr,
}

impl Share {
    /// Must be called inside the runtime.
    pub(super) fn listen(self) -> io::Result<Listener> {
        Ok(Listener {
            socket: TcpListener::from_std(self.socket)?,
            tls: self.tls,
            address: self.address,
        })
    }
}

/// An address that cannot be listened on. The text names the address and the way out.
#[derive(Debug)]
pub struct BindError {
    flag: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flag,
            address,
            source,
        } = self;
        write!(f, "cannot listen on `{address}`: ")?;
        match source.kind() {
            ErrorKind::AddrInUse => write!(
                f,
                "the address is in use; stop what listens there or choose another with `{flag}`"
            ),
            ErrorKind::PermissionDenied => write!(
                f,
                "permission denied; ports below 1024 need `CAP_NET_BIND_SERVICE`, or choose another with `{flag}`"
            ),
            ErrorKind::AddrNotAvailable => write!(
                f,
                "no interface has this address; choose another with `{flag}`"
            ),
            _ => write!(f, "{source}; choose another address with `{flag}`"),
        }
    }
}

// The text already says what the system said, so there is no source to print behind it.
impl std::error::Error for BindError {}

/// Listens on all of these addresses. An unspecified IPv6 address takes IPv4 too, unless the same port is asked for on an
/// IPv4 address as well; where there is no IPv6, it takes IPv4 alone. Must be called inside the runtime.
///
/// # Errors
/// Names the first address that cannot be listened on.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, BindError> {
    bind_all("--listen", addresses)
}

/// The same for connections that speak TLS.
///
/// # Errors
/// Names the first address that cannot be listened on.
pub fn bind_tls(addresses: &[SocketAddr], tls: &Tls) -> Result<Vec<Listener>, BindError> {
    let mut listeners = bind_all("--tls-listen", addresses)?;
    for listener in &mut listeners {
        listener.tls = Some(tls.acceptor());
    }
    Ok(listeners)
}

/// Listens on sockets that listen already. Must be called inside the runtime.
///
/// # Errors
/// When one of them cannot be used.
pub fn adopt(sockets: Vec<std::net::TcpListener>) -> io::Result<Vec<Listener>> {
    let one = |socket: std::net::TcpListener| {
        // As with those of our own; see `open`.
        SockRef::from(&socket).set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Listener {
            socket,
            tls: None,
            address,
        })
    };
    sockets.into_iter().map(one).collect()
}

/// The same for connections that speak TLS.
///
/// # Errors
/// When one of them cannot be used.
pub fn adopt_tls(sockets: Vec<std::net::TcpListener>, tls: &Tls) -> io::Result<Vec<Listener>> {
    let mut listeners = adopt(sockets)?;
    for listener in &mut listeners {
        listener.tls = Some(tls.acceptor());
    }
    Ok(listeners)
}

/// Listens for operators on this one address; see [`bind`].
///
/// # Errors
/// Names the address that cannot be listened on.
pub fn bind_ops(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let flag = "--ops-listen";
    let bound = bind_one(address, true).and_then(|listener| listener.socket.into_std());
    bound.map_err(|source| BindError {
        flag,
        address,
        source,
    })
}

fn bind_all(flag: &'static str, addresses: &[SocketAddr]) -> Result<Vec<Listener>, BindError> {
    let one = |&address: &SocketAddr| {
        let alone = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let both = address.port() == 0 || !addresses.iter().any(alone);
        bind_one(address, both).map_err(|source| BindError {
            flag,
            address,
            source,
        })
    };
    addresses.iter().map(one).collect()
}

fn bind_one(address: SocketAddr, both_families: bool) -> io::Result<Listener> {
    let socket = match open(address, both_families) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && is_no_ipv6(&error) => {
            tracing::warn!(
                "this system has no IPv6, so only IPv4 is served on port {}",
                address.port()
            );
            open(
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()),
                false,
            )?
        }
        other => other?,
    };
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok(Listener {
        socket,
        tls: None,
        address,
    })
}

fn open(address: SocketAddr, both_families: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The system's default differs from host to host.
        socket.set_only_v6(!(both_families && address.ip().is_unspecified()))?;
    }
    // A restarted server must not wait for the connections of the last one to time out.
    socket.set_reuse_address(true)?;
    // Answers are one write each; waiting to fill a packet only delays them. Connections inherit this.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Whether a socket could not be made because the kernel knows no IPv6, or has no address of it.
fn is_no_ipv6(error: &io::Error) -> bool {
    // The numbers are those of Linux; the standard library gives the first no stable kind.
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable
}
