//! The packets of TFTP (RFC 1350) and their options (RFC 2347 to 2349, 7440): read from bytes, written to bytes.

/// The longest request that is read, in bytes: RFC 2347 allows 512; firmware with long paths has been seen to need more.
pub(super) const MAX_REQUEST_BYTES: usize = 1024;

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The name of the file, as it was sent.
    pub(super) file: String,
    pub(super) mode: Mode,
    pub(super) options: Options,
}

/// How the file is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Byte for byte.
    Octet,
    /// Text, with the line ends of Telnet.
    Netascii,
}

/// The options that are known, as the client wants them; `None` where it does not, or writes nonsense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The bytes of a block.
    pub(super) blksize: Option<u64>,
    /// Whether the client wants to know how many bytes the file has.
    pub(super) tsize: bool,
    /// After how many seconds a packet counts as lost.
    pub(super) timeout: Option<u64>,
    /// How many blocks are sent before an acknowledgement is waited for.
    pub(super) windowsize: Option<u64>,
}

/// What came to the listening port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A file is wanted.
    Read(Request),
    /// A file would be written.
    Write,
    /// A request that cannot be read; the words are for the client.
    Malformed(&'static str),
    /// No request at all: what is late, lost or sent to stir up an answer. It gets none.
    Noise,
}

/// What came to the port of a transfer from its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// All blocks up to this one have come.
    Ack(u16),
    /// The client gives up, with its code and its words.
    Error(u16, String),
    /// Something that has no business there.
    Noise,
}

/// The errors that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// See the words.
    Other = 0,
    NotFound = 1,
    AccessViolation = 2,
    IllegalOperation = 4,
    UnknownTransfer = 5,
}

/// Reads what came to the listening port.
pub(super) fn asked(packet: &[u8]) -> Asked {
    match split_number(packet) {
        Some((RRQ, _)) if packet.len() > MAX_REQUEST_BYTES => {
            Asked::Malformed("the request is too long")
        }
        Some((RRQ, rest)) => request(rest).unwrap_or_else(Asked::Malformed),
        Some((WRQ, _)) => Asked::Write,
        _ => Asked::Noise,
    }
}

/// Reads what came to the port of a transfer.
pub(super) fn said(packet: &[u8]) -> Said {
    match split_number(packet) {
        Some((ACK, rest)) => split_number(rest).map_or(Said::Noise, |(block, _)| Said::Ack(block)),
        Some((ERROR, rest)) => {
            let (code, words) = split_number(rest).unwrap_or((0, rest));
            let words = words.split(|byte| *byte == 0).next().unwrap_or_default();
            Said::Error(code, String::from_utf8_lossy(words).into_owned())
        }
        _ => Said::Noise,
    }
}

/// An error for the client.
pub(super) fn error(code: Code, words: &str) -> Vec<u8> {
    let mut packet = numbers([ERROR, code as u16]);
    packet.extend(words.bytes().filter(|byte| *byte != 0));
    packet.push(0);
    packet
}

/// One block.
pub(super) fn data(block: u16, content: &[u8]) -> Vec<u8> {
    let mut packet = numbers([DATA, block]);
    packet.extend_from_slice(content);
    packet
}

/// The options that are taken, with their values.
pub(super) fn oack(options: &[(&str, u64)]) -> Vec<u8> {
    let mut packet = OACK.to_be_bytes().to_vec();
    for (name, value) in options {
        packet.extend_from_slice(name.as_bytes());
        packet.push(0);
        packet.extend_from_slice(value.to_string().as_bytes());
        packet.push(0);
    }
    packet
}

fn numbers(numbers: [u16; 2]) -> Vec<u8> {
    numbers.into_iter().flat_map(u16::to_be_bytes).collect()
}

fn split_number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// What stands behind the number of a read request: texts that end in a zero byte. Firmware pads with more of them.
fn request(rest: &[u8]) -> Result<Asked, &'static str> {
    let mut texts = rest.split_inclusive(|byte| *byte == 0);
    let mut text = || -> Option<Option<&str>> {
        let text = texts.next()?.strip_suffix(&[0])?;
        Some(std::str::from_utf8(text).ok())
    };
    let file = text().ok_or("the file name has no end")?;
    let file = file.ok_or("the file name is not UTF-8")?.to_owned();
    if file.is_empty() {
        return Err("there is no file name");
    }
    let mode = text().ok_or("the mode has no end")?.unwrap_or_default();
    let mode = match mode.to_ascii_lowercase().as_str() {
        "octet" => Mode::Octet,
        "netascii" => Mode::Netascii,
        _ => return Err("the modes are octet and netascii"),
    };
    let mut options = Options::default();
    // One that is unknown, or has no value, is as if it were not there (RFC 2347).
    while let (Some(name), Some(value)) = (text(), text()) {
        if let (Some(name), Some(value)) = (name, value) {
            options.take(name, value);
        }
    }
    Ok(Asked::Read(Request {
        file,
        mode,
        options,
    }))
}

impl Options {
    /// Takes note of one. Of one that is given twice, the first counts.
    fn take(&mut self, name: &str, value: &str) {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|_| is_number);
        let slot = match name.to_ascii_lowercase().as_str() {
            "blksize" => &mut self.blksize,
            "timeout" => &mut self.timeout,
            "windowsize" => &mut self.windowsize,
            "tsize" => {
                self.tsize = true;
                return;
            }
            _ => return,
        };
        if slot.is_none() {
            *slot = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(file: &str, mode: Mode, options: Options) -> Asked {
        let file = file.to_owned();
        Asked::Read(Request {
            file,
            mode,
            options,
        })
    }

    #[test]
    fn requests_are_read_as_clients_send_them() {
        let ipxe = Options {
            blksize: Some(1432),
            tsize: true,
            ..Options::default()
        };
        let all = Options {
            timeout: Some(3),
            windowsize: Some(4),
            ..ipxe
        };
        let one = Options {
            blksize: Some(512),
            ..Options::default()
        };
        let cases: [(&[u8], Asked); 9] = [
            (
                b"\0\x01boot.ipxe\0octet\0blksize\x001432\0tsize\x000\0",
                read("boot.ipxe", Mode::Octet, ipxe),
            ),
            (
                b"\0\x01/a\0OCTET\0WindowSize\x004\0BLKSIZE\x001432\0tsize\x000\0timeout\x003\0\0\0\0",
                read("/a", Mode::Octet, all),
            ),
            (
                b"\0\x01a\0netascii\0",
                read("a", Mode::Netascii, Options::default()),
            ),
            (
                b"\0\x01a\0octet\0odd\x001\0blksize\x00512\0blksize\x001024\0",
                read("a", Mode::Octet, one),
            ),
            (
                b"\0\x01a\0octet\0blksize\0+8\0timeout\0x\0windowsize\0\0tsi",
                read("a", Mode::Octet, Options::default()),
            ),
            (
                b"\0\x01\0octet\0",
                Asked::Malformed("there is no file name"),
            ),
            (
                b"\0\x01a\0mail\0",
                Asked::Malformed("the modes are octet and netascii"),
            ),
            (b"\0\x01a\0octet", Asked::Malformed("the mode has no end")),
            (
                b"\0\x01a\xff\0octet\0",
                Asked::Malformed("the file name is not UTF-8"),
            ),
        ];
        for (packet, expected) in cases {
            assert_eq!(asked(packet), expected, "{}", packet.escape_ascii());
        }
        let long = [
            b"\0\x01".as_slice(),
            &[b'a'; MAX_REQUEST_BYTES],
            b"\0octet\0",
        ]
        .concat();
        assert_eq!(asked(&long), Asked::Malformed("the request is too long"));
        assert_eq!(asked(b"\0\x02a\0octet\0"), Asked::Write);
    }

    #[test]
    fn what_is_no_request_gets_no_answer() {
        for packet in [
            b"".as_slice(),
            b"\0",
            b"\x01",
            b"\0\x03\0\x01x",
            b"\0\x04\0\x01",
            b"\0\x05\0\x01x\0",
            b"\x01\0a\0octet\0",
        ] {
            assert_eq!(asked(packet), Asked::Noise, "{}", packet.escape_ascii());
        }
    }

    #[test]
    fn clients_acknowledge_and_give_up() {
        assert_eq!(said(b"\0\x04\xff\xfe"), Said::Ack(0xfffe));
        assert_eq!(said(b"\0\x04\0\x01pad"), Said::Ack(1));
        let words = "no room".to_owned();
        assert_eq!(said(b"\0\x05\0\x03no room\0"), Said::Error(3, words));
        assert_eq!(said(b"\0\x05"), Said::Error(0, String::new()));
        assert_eq!(said(b"\0\x04\0"), Said::Noise);
        assert_eq!(said(b"\0\x01a\0octet\0"), Said::Noise);
    }

    #[test]
    fn packets_are_written_to_the_byte() {
        assert_eq!(data(0xabcd, b"xy"), b"\0\x03\xab\xcdxy");
        assert_eq!(error(Code::NotFound, "no\0pe"), b"\0\x05\0\x01nope\0");
        assert_eq!(
            oack(&[("blksize", 1432), ("tsize", 0)]),
            b"\0\x06blksize\x001432\0tsize\x000\0"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(packet in vec(any::<u8>(), 0..2000), kind in 0..7u8) {
            let _ = (asked(&packet), said(&packet));
            let packet = [&[0, kind][..], &packet].concat();
            let _ = (asked(&packet), said(&packet));
        }

        #[test]
        fn names_and_options_come_through(
            file in "[^\0]{1,100}",
            blksize in any::<u32>(),
            windowsize in any::<u16>(),
        ) {
            let packet = format!("\0\x01{file}\0octet\0blksize\0{blksize}\0x\0y\0windowsize\0{windowsize}\0");
            let options = Options {
                blksize: Some(blksize.into()),
                windowsize: Some(windowsize.into()),
                ..Options::default()
            };
            prop_assert_eq!(asked(packet.as_bytes()), read(&file, Mode::Octet, options));
        }
    }
}
