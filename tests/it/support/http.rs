//! A client that sends exactly the bytes it is given and reads one response at a time.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything on a loopback connection may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// One connection, kept open.
pub(crate) struct Client<S: Read = TcpStream> {
    stream: BufReader<S>,
}

/// One response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) version: String,
    pub(crate) status: u16,
    /// Names in lower case, in the order of the wire, without `date`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "two `{name}` in {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    /// A connection that was made elsewhere.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Closes the sending half.
    pub(crate) fn no_more(&mut self) {
        // The server may have closed both halves already.
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }
}

impl<S: Read + Write> Client<S> {
    /// A connection with timeouts of its own.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// What the bytes go through.
    pub(crate) fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    /// Waits for the first byte of a response, or for why none comes.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        match self.stream.fill_buf()? {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends to a server that may have closed the connection already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    /// Reads the response to anything but HEAD.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        let length = match (response.status, response.header("content-length")) {
            (304, _) => 0,
            (_, length) => length.expect("a length").parse().unwrap(),
        };
        response.body = vec![0; length];
        self.stream.read_exact(&mut response.body).unwrap();
        response
    }

    /// Reads a response without a body: to HEAD.
    pub(crate) fn head(&mut self) -> Response {
        let status_line = self.line();
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap().to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            if name != "date" {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Response {
            version,
            status,
            headers,
            body: Vec::new(),
        }
    }

    /// Reads and forgets whatever comes until the end.
    pub(crate) fn drop_rest(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }

    /// Reads whatever comes until the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// Reads a response, or `None` when the server closes the connection without one.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let is_over = self.stream.fill_buf().map_or(true, <[u8]>::is_empty);
        (!is_over).then(|| self.response())
    }

    /// Waits until the server closes the connection; anything it still sends fails the test.
    pub(crate) fn end(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: boot.example\r\n\r\n"
        ));
        self.response()
    }

    pub(crate) fn get_with(&mut self, target: &str, header: &str) -> Response {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: boot.example\r\n{header}\r\n\r\n"
        ));
        self.response()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let line = line.strip_suffix("\r\n");
        line.expect("a whole line before the end of the connection")
            .to_owned()
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str) -> Response {
    Client::connect(address).get(target)
}
