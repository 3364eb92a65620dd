//! Asking a boot listener of this machine whether it serves, as health checks of containers do: no TLS, no names, no certificates,
//! and so nothing that could be missing.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The most bytes of an answer that are read: its first line has a dozen.
const MAX_HEAD_BYTES: usize = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the process serves: `/health`.
    Serving,
    /// Whether it has something to serve and is not draining: `/ready`.
    Ready,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Serving => "/health",
            Self::Ready => "/ready",
        }
    }
}

/// Asks a server that listens on this address; whoever listens on all addresses is asked on loopback.
///
/// # Errors
/// Says what was asked and what came in place of 200 within `time`.
pub fn ask(listening: SocketAddr, question: Question, time: Duration) -> Result<(), String> {
    let until = Instant::now() + time;
    let mut errors = Vec::new();
    for address in reachable(listening) {
        match status(address, question.path(), until) {
            Ok(200) => return Ok(()),
            Ok(code) => {
                return Err(format!(
                    "`http://{address}{}` answers {code}",
                    question.path()
                ));
            }
            Err(error) => errors.push(format!("`http://{address}` does not answer: {error}")),
        }
    }
    Err(errors.join("; "))
}

/// Where a server of this machine that listens there can be reached, the likelier first.
fn reachable(listening: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, listening.port());
    match listening.ip() {
        // `[::]` takes IPv4, too, and nothing else on machines without IPv6.
        IpAddr::V6(ip) if ip.is_unspecified() => vec![
            at(Ipv4Addr::LOCALHOST.into()),
            at(Ipv6Addr::LOCALHOST.into()),
        ],
        IpAddr::V4(ip) if ip.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
        _ => vec![listening],
    }
}

/// The status of the answer to a GET.
fn status(address: SocketAddr, path: &str, until: Instant) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = Vec::new();
    let mut buffer = [0; MAX_HEAD_BYTES];
    while head.len() < MAX_HEAD_BYTES && !head.contains(&b'\n') {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer)? {
            0 => break,
            count => head.extend(buffer.iter().take(count)),
        }
    }
    code(&head).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it speaks no HTTP"))
}

/// The status in the first line of an answer.
fn code(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.trim_end().parse().ok()
}

/// The time until then, which is never none: a timeout of zero would be an error of another kind.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// How long a question on loopback may take before a test fails.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Answers one question with these bytes, and returns what was asked.
    fn answering(answer: &'static [u8]) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (address, thread)
    }

    #[test]
    fn a_question_is_a_plain_get() {
        let (address, server) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ask(address, Question::Ready, DEADLINE), Ok(()));
        assert_eq!(
            server.join().unwrap(),
            format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        );
    }

    #[test]
    fn everything_but_200_is_told() {
        for (answer, why) in [
            (
                &b"HTTP/1.1 503 Service Unavailable\r\n"[..],
                "/health` answers 503",
            ),
            (b"HTTP/1.0 404\r\n", "/health` answers 404"),
            (
                b"SSH-2.0-OpenSSH_9.2\r\n",
                "` does not answer: it speaks no HTTP",
            ),
            (b"HTTP/1.1 \n", "` does not answer: it speaks no HTTP"),
            (&[b'x'; 1 << 10], "` does not answer: it speaks no HTTP"),
            (b"", "` does not answer: it speaks no HTTP"),
        ] {
            let (address, _server) = answering(answer);
            assert_eq!(
                ask(address, Question::Serving, DEADLINE),
                Err(format!("`http://{address}{why}"))
            );
        }
    }

    #[test]
    fn silence_ends_with_the_time() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let error = ask(address, Question::Serving, Duration::from_millis(50)).unwrap_err();
        assert!(error.starts_with(&format!("`http://{address}` does not answer")));
    }

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listening, expected) in [
            ("[::]:80", &["127.0.0.1:80", "[::1]:80"][..]),
            ("0.0.0.0:80", &["127.0.0.1:80"]),
            ("10.0.0.5:80", &["10.0.0.5:80"]),
            ("[fd00::1]:80", &["[fd00::1]:80"]),
        ] {
            let found: Vec<String> = reachable(listening.parse().unwrap())
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found, expected, "{listening}");
        }
    }
}
