//! Sockets: those that listen, which know to which address a datagram was sent, and those of transfers, which answer from it.

use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _};

use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket that requests come to.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    address: SocketAddr,
}

/// A datagram's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) bytes: usize,
    /// Who sent it; an IPv4 address as such.
    pub(super) peer: SocketAddr,
    /// Where it was sent to; an IPv4 address as such.
    pub(super) local: IpAddr,
}

impl Listener {
    /// The address that it listens on, the port resolved.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a datagram; what does not fit into the buffer is cut.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let received = self
            .socket
            .async_io(Interest::READABLE, || receive(&self.socket, buffer));
        let (bytes, peer, local) = received.await?;
        let peer = peer.ok_or(ErrorKind::InvalidData)?;
        Ok(Datagram {
            bytes,
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()).with_scope_of(peer),
            local: local.unwrap_or(self.address.ip()).to_canonical(),
        })
    }
}

/// An address that cannot be listened on. The text names the address and the way out.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        write!(f, "cannot listen on `{address}` for TFTP: ")?;
        match source.kind() {
            ErrorKind::AddrInUse => f.write_str(
                "the address is in use; stop what listens there or choose another with `--tftp-listen`",
            ),
            ErrorKind::PermissionDenied => f.write_str(
                "permission denied; ports below 1024 need `CAP_NET_BIND_SERVICE`, or choose another with `--tftp-listen`",
            ),
            ErrorKind::AddrNotAvailable => f.write_str(
                "no interface has this address; choose another with `--tftp-listen`",
            ),
            _ => write!(f, "{source}; choose another address with `--tftp-listen`"),
        }
    }
}

// The text already says what the system said, so there is no source to print behind it.
impl std::error::Error for BindError {}

/// Listens on all of these addresses. An unspecified IPv6 address takes IPv4 too, unless the same port is asked for on an
/// IPv4 address as well. Must be called inside the runtime.
///
/// # Errors
/// Names the first address that cannot be listened on.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<Listener>, BindError> {
    let one = |&address: &SocketAddr| {
        let alone = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let both = address.port() == 0 || !addresses.iter().any(alone);
        listen(address, both).map_err(|source| BindError { address, source })
    };
    addresses.iter().map(one).collect()
}

/// Listens on sockets that are bound already. Must be called inside the runtime.
///
/// # Errors
/// When the system refuses to say to which address a datagram was sent.
pub fn adopt(sockets: Vec<std::net::UdpSocket>) -> io::Result<Vec<Listener>> {
    let one = |socket: std::net::UdpSocket| {
        let address = socket.local_addr()?;
        tell_destination(&socket, address)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        Ok(Listener { socket, address })
    };
    sockets.into_iter().map(one).collect()
}

/// The socket of one transfer: its address is the one that was asked, its port is new.
pub(super) fn answering(local: IpAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    // A link-local address means something on one link alone, that of whoever asked.
    let socket = std::net::UdpSocket::bind(SocketAddr::new(local, 0).with_scope_of(peer))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn listen(address: SocketAddr, both_families: bool) -> io::Result<Listener> {
    let any = address.ip().is_unspecified();
    let socket = match open(address, both_families) {
        // The number is Linux's for a system without IPv6.
        Err(error) if any && address.is_ipv6() && error.raw_os_error() == Some(97) => {
            let port = address.port();
            tracing::warn!("this system has no IPv6, so TFTP listens on IPv4 alone, port {port}");
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), false)?
        }
        other => other?,
    };
    let socket = UdpSocket::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

fn open(address: SocketAddr, both_families: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // The system's default differs from host to host.
        socket.set_only_v6(!(both_families && address.ip().is_unspecified()))?;
    }
    tell_destination(&socket, address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Has the system say to which address each datagram was sent.
fn tell_destination(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        setsockopt(socket, Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

type Received = (usize, Option<SocketAddr>, Option<IpAddr>);

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!(nix::libc::in_pktinfo, nix::libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    let received = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)?;
    let locals = received.cmsgs()?.filter_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let octets = info.ipi_addr.s_addr.to_ne_bytes();
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)))
        }
        _ => None,
    });
    let local = locals.last();
    Ok((
        received.bytes,
        received.address.and_then(|address| std_address(&address)),
        local,
    ))
}

fn std_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || Some(SocketAddr::V4((*address.as_sockaddr_in()?).into()));
    let v6 = || Some(SocketAddr::V6((*address.as_sockaddr_in6()?).into()));
    v4().or_else(v6)
}

trait Scoped {
    /// The same address in the scope of another one, where both are IPv6.
    fn with_scope_of(self, other: SocketAddr) -> Self;
}

impl Scoped for SocketAddr {
    fn with_scope_of(self, other: SocketAddr) -> Self {
        match (self, other) {
            (Self::V6(own), Self::V6(other)) => Self::V6(SocketAddrV6::new(
                *own.ip(),
                own.port(),
                0,
                other.scope_id(),
            )),
            (own, _) => own,
        }
    }
}
