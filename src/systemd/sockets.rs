//! Sockets that listen before the server runs, and stay while it is restarted.

use std::fmt;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::SockRef;

/// What tells one from the other: `FileDescriptorName=` of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Machines that boot.
    Http,
    /// The same with TLS.
    Https,
    /// Operators.
    Ops,
    /// The first stage.
    Tftp,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Ops, Self::Tftp];

    /// Its name in units.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ops => "ops",
            Self::Tftp => "tftp",
        }
    }

    /// The flag that does the same.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Http => "--listen",
            Self::Https => "--tls-listen",
            Self::Ops => "--ops-listen",
            Self::Tftp => "--tftp-listen",
        }
    }
}

/// The sockets that the process was started with.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For machines that boot.
    pub http: Vec<TcpListener>,
    /// The same with TLS.
    pub https: Vec<TcpListener>,
    /// For operators.
    pub ops: Option<TcpListener>,
    /// For the first stage.
    pub tftp: Vec<UdpSocket>,
}

/// Sockets that cannot be used, and which setting of their unit is to blame.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// As many names as sockets are wanted.
    #[error(
        "`LISTEN_FDS` is {sockets} and `LISTEN_FDNAMES` has {names} names; the service manager has to give each socket one"
    )]
    Names {
        /// How many there are.
        sockets: usize,
        /// How many names they have.
        names: usize,
    },
    /// A name of which nobody knows what it is for.
    #[error(
        "socket {number} of the service manager has the name `{name}`; set `FileDescriptorName=` in its socket unit to `http`, `https`, `ops` or `tftp`"
    )]
    Unknown {
        /// Which it is, from 1.
        number: usize,
        /// What it is called.
        name: String,
    },
    /// A socket of another kind than its name says.
    #[error(
        "socket {number} of the service manager has the name `{name}` and is no {wanted}; {fix} in its socket unit"
    )]
    Kind {
        /// Which it is, from 1.
        number: usize,
        /// What it is called.
        name: String,
        /// What it should be.
        wanted: &'static str,
        /// What to write.
        fix: &'static str,
    },
    /// Operators have one address.
    #[error(
        "the service manager gives two sockets of the name `ops`, and one is all that can be used"
    )]
    TwoOps,
    /// The system refuses something.
    #[error("socket {number} of the service manager cannot be used: {source}")]
    System {
        /// Which it is, from 1.
        number: usize,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Sockets {
    /// Takes the sockets of `LISTEN_FDS`, once; `names` is `LISTEN_FDNAMES`. Without names, those for TCP are `http` and those
    /// for UDP `tftp`. Call it before there are threads: the variables are removed.
    ///
    /// # Errors
    /// When a socket has no name that says what it is for, or is not of that kind.
    pub fn take(names: Option<&str>) -> Result<Self, SocketError> {
        let mut given = ListenFd::from_env();
        let count = given.len();
        let mut sockets = Self::default();
        if count == 0 {
            return Ok(sockets);
        }
        let names: Vec<&str> = names.map_or_else(Vec::new, |names| names.split(':').collect());
        if !names.is_empty() && names.len() != count {
            return Err(SocketError::Names {
                sockets: count,
                names: names.len(),
            });
        }
        for index in 0..count {
            let name = names.get(index).copied().unwrap_or(UNNAMED);
            sockets.add(&mut given, index, name)?;
        }
        Ok(sockets)
    }

    fn add(&mut self, given: &mut ListenFd, index: usize, name: &str) -> Result<(), SocketError> {
        let number = index + 1;
        let unknown = || SocketError::Unknown {
            number,
            name: name.to_owned(),
        };
        let named = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let mut place = Place { given, index, name };
        match named {
            None if name != UNNAMED => return Err(unknown()),
            None => match place.tcp() {
                Ok(listener) => self.http.push(listener),
                Err(_) => self.tftp.push(place.udp().map_err(|_| unknown())?),
            },
            Some(Kind::Http) => self.http.push(place.tcp()?),
            Some(Kind::Https) => self.https.push(place.tcp()?),
            Some(Kind::Tftp) => self.tftp.push(place.udp()?),
            Some(Kind::Ops) if self.ops.is_some() => return Err(SocketError::TwoOps),
            Some(Kind::Ops) => self.ops = Some(place.tcp()?),
        }
        Ok(())
    }

    /// Whether there is one of this kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Http => !self.http.is_empty(),
            Kind::Https => !self.https.is_empty(),
            Kind::Ops => self.ops.is_some(),
            Kind::Tftp => !self.tftp.is_empty(),
        }
    }

    /// The address of the one for operators.
    #[must_use]
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops.as_ref()?.local_addr().ok()
    }
}

/// Which there are: `http [::]:80, tftp [::]:69`.
impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp = |kind: Kind, listeners: &mut dyn Iterator<Item = &TcpListener>| {
            listeners
                .filter_map(|listener| Some((kind, listener.local_addr().ok()?)))
                .collect::<Vec<_>>()
        };
        let udp = self.tftp.iter();
        let all = [
            tcp(Kind::Http, &mut self.http.iter()),
            tcp(Kind::Https, &mut self.https.iter()),
            tcp(Kind::Ops, &mut self.ops.iter()),
            udp.filter_map(|socket| Some((Kind::Tftp, socket.local_addr().ok()?)))
                .collect(),
        ];
        for (at, (kind, address)) in all.concat().into_iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} {address}", kind.name())?;
        }
        Ok(())
    }
}

/// The name of a socket that has none, as systemd's own library has it.
const UNNAMED: &str = "unknown";

/// One of the sockets that were given.
struct Place<'a> {
    given: &'a mut ListenFd,
    index: usize,
    name: &'a str,
}

impl Place<'_> {
    /// Ensure that it is a TCP socket which listens.
    fn tcp(&mut self) -> Result<TcpListener, SocketError> {
        let taken = self.given.take_tcp_listener(self.index);
        let listener = taken.ok().flatten().ok_or_else(|| {
            self.wrong(
                "TCP socket",
                "write `ListenStream=` with a port, or an address and a port,",
            )
        })?;
        match SockRef::from(&listener).is_listener() {
            Ok(true) => {}
            Ok(false) => {
                return Err(self.wrong("socket that listens", "remove `Accept=yes`"));
            }
            Err(source) => return Err(self.failed(source)),
        }
        listener
            .set_nonblocking(true)
            .map_err(|source| self.failed(source))?;
        Ok(listener)
    }

    /// Ensure that it is a UDP socket.
    fn udp(&mut self) -> Result<UdpSocket, SocketError> {
        let taken = self.given.take_udp_socket(self.index);
        let socket = taken.ok().flatten().ok_or_else(|| {
            self.wrong(
                "UDP socket",
                "write `ListenDatagram=` with a port, or an address and a port,",
            )
        })?;
        socket
            .set_nonblocking(true)
            .map_err(|source| self.failed(source))?;
        Ok(socket)
    }

    fn wrong(&self, wanted: &'static str, fix: &'static str) -> SocketError {
        SocketError::Kind {
            number: self.index + 1,
            name: self.name.to_owned(),
            wanted,
            fix,
        }
    }

    fn failed(&self, source: std::io::Error) -> SocketError {
        SocketError::System {
            number: self.index + 1,
            source,
        }
    }
}
