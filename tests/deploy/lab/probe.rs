//! A DHCP client that says what it likes and shows what it is told.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::network::Network;

/// How long nobody may answer: servers first try whether an address is free.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_secs(4);

/// The options of DHCP (RFC 2132) that are said or read here.
mod option {
    /// PXE's own options.
    pub(super) const VENDOR: u8 = 43;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const VENDOR_CLASS: u8 = 60;
    pub(super) const BOOT_FILE: u8 = 67;
    /// RFC 3004.
    pub(super) const USER_CLASS: u8 = 77;
    /// The three of RFC 4578.
    pub(super) const ARCHITECTURE: u8 = 93;
    pub(super) const INTERFACE: u8 = 94;
    pub(super) const MACHINE: u8 = 97;
}

/// Options of PXE 2.1 within option 43: what may be chosen from a boot server, and what is.
const BOOT_SERVERS: u8 = 8;
const BOOT_ITEM: u8 = 71;

const DISCOVER: u8 = 1;
const REQUEST: u8 = 3;

/// Where the options begin, and what stands before them.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// What a client says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Firmware {
    /// `PXEClient` or `HTTPClient`; nothing for those that do not boot from the network.
    pub(super) vendor: &'static str,
    /// Option 93.
    pub(super) architecture: u16,
    pub(super) is_ipxe: bool,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The address for the client; unspecified from a proxy.
    pub(super) address: Ipv4Addr,
    /// Who says it.
    pub(super) server: Ipv4Addr,
    pub(super) next_server: Ipv4Addr,
    pub(super) boot_file: String,
    pub(super) vendor: String,
    /// The first choice of PXE's menu.
    pub(super) item: Option<[u8; 2]>,
}

/// A client in the network.
pub(super) struct Probe {
    socket: UdpSocket,
    asked: u32,
}

impl Probe {
    /// A client at the place "probe".
    pub(super) fn new(network: &Network) -> Self {
        let place = network.probe();
        // A socket stays where it was made, so only a thread has to go there.
        let there = std::thread::spawn(move || {
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)).unwrap()
        });
        let socket = there.join().unwrap();
        socket.set_broadcast(true).unwrap();
        Self { socket, asked: 0 }
    }

    /// Asks everybody, until somebody makes an offer of the wanted kind.
    pub(super) fn discover(
        &mut self,
        firmware: Firmware,
        is_wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let to = (Ipv4Addr::BROADCAST, 67);
        self.ask(DISCOVER, firmware, None, to, is_wanted)
    }

    /// Asks the boot server that a proxy named for what stands first in its menu.
    pub(super) fn ask_boot_server(&mut self, firmware: Firmware, offer: &Answer) -> Answer {
        let to = (offer.server, 4011);
        self.ask(REQUEST, firmware, offer.item, to, |_| true)
    }

    fn ask(
        &mut self,
        kind: u8,
        firmware: Firmware,
        item: Option<[u8; 2]>,
        to: (Ipv4Addr, u16),
        is_wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        self.asked += 1;
        let message = message(kind, self.asked, firmware, item);
        let until = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        while Instant::now() < until {
            self.socket.send_to(&message, to).unwrap();
            let again = Instant::now() + AGAIN;
            loop {
                let left = again.saturating_duration_since(Instant::now());
                // Zero would mean for ever.
                let left = left.max(Duration::from_millis(1));
                self.socket.set_read_timeout(Some(left)).unwrap();
                let mut bytes = [0; 1500];
                let Ok((length, _)) = self.socket.recv_from(&mut bytes) else {
                    break;
                };
                match read(&bytes[..length], self.asked) {
                    Some(answer) if is_wanted(&answer) => return answer,
                    other => others.extend(other),
                }
            }
        }
        panic!("nobody answers {firmware:?} as expected, only: {others:#?}");
    }
}

/// A message of a client that has no address yet, or, to a boot server, that of the place it is in.
fn message(kind: u8, number: u32, firmware: Firmware, item: Option<[u8; 2]>) -> Vec<u8> {
    // A request of six bytes of Ethernet address, no relay; answers are to be broadcast.
    let mut message = vec![1, 1, 6, 0];
    message.extend(number.to_be_bytes());
    message.extend([0, 0, 0x80, 0]);
    let address = if kind == REQUEST {
        [10, 0, 2, 9]
    } else {
        [0; 4]
    };
    message.extend(address);
    message.resize(28, 0);
    // A machine for each kind, so that no server remembers what it told another one.
    let last = u8::try_from(firmware.architecture).unwrap();
    message.extend([0x52, 0x54, 0, 0, u8::from(firmware.is_ipxe), last]);
    message.resize(OPTIONS - COOKIE.len(), 0);
    message.extend(COOKIE);
    let mut add = |code: u8, value: &[u8]| {
        message.extend([code, u8::try_from(value.len()).unwrap()]);
        message.extend(value);
    };
    add(option::MESSAGE_TYPE, &[kind]);
    add(option::WANTED, &[1, 3, 6, 43, 60, 66, 67, 97]);
    if !firmware.vendor.is_empty() {
        let architecture = firmware.architecture;
        let vendor = format!("{}:Arch:{architecture:05}:UNDI:003016", firmware.vendor);
        add(option::VENDOR_CLASS, vendor.as_bytes());
        add(option::ARCHITECTURE, &architecture.to_be_bytes());
        add(option::INTERFACE, &[1, 3, 16]);
        add(option::MACHINE, &[0; 17]);
    }
    if let Some([high, low]) = item {
        add(option::VENDOR, &[BOOT_ITEM, 4, high, low, 0, 0]);
    }
    if firmware.is_ipxe {
        add(option::USER_CLASS, b"iPXE");
    }
    message.push(255);
    message
}

/// Reads the answer to the question with this number.
fn read(bytes: &[u8], number: u32) -> Option<Answer> {
    let four = |at: usize| <[u8; 4]>::try_from(&bytes[at..at + 4]).unwrap();
    if bytes.len() < OPTIONS || bytes[0] != 2 || four(4) != number.to_be_bytes() {
        return None;
    }
    let mut answer = Answer {
        address: four(16).into(),
        server: Ipv4Addr::UNSPECIFIED,
        next_server: four(20).into(),
        boot_file: text(&bytes[108..236]),
        vendor: String::new(),
        item: None,
    };
    for (code, value) in options(&bytes[OPTIONS..]) {
        match code {
            option::SERVER => answer.server = <[u8; 4]>::try_from(value).unwrap().into(),
            option::VENDOR_CLASS => answer.vendor = text(value),
            option::BOOT_FILE => answer.boot_file = text(value),
            option::VENDOR => {
                let mut inner = options(value).into_iter();
                let servers = inner.find(|(code, _)| *code == BOOT_SERVERS);
                answer.item = servers.map(|(_, value)| [value[0], value[1]]);
            }
            _ => {}
        }
    }
    Some(answer)
}

/// Codes and values of options, up to their end.
fn options(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut options = Vec::new();
    while let [code, length, tail @ ..] = rest {
        match code {
            // Padding has no length.
            0 => rest = &rest[1..],
            255 => break,
            code => {
                let (value, tail) = tail.split_at(usize::from(*length));
                options.push((*code, value));
                rest = tail;
            }
        }
    }
    options
}

/// Text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8(text.to_vec()).unwrap()
}
