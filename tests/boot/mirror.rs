//! A small HTTP server for the kernel and the initramfs, as a site's mirror is.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

/// A server on the loopback interface that lives as long as the tests.
pub(crate) struct Mirror {
    pub(crate) port: u16,
}

impl Mirror {
    /// Serves these files by their paths.
    pub(crate) fn start(files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let files = Arc::new(files);
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let files = Arc::clone(&files);
                std::thread::spawn(move || serve(stream, &files));
            }
        });
        Self { port }
    }
}

/// Answers the requests of one connection until it is closed, by whichever side.
fn serve(stream: TcpStream, files: &BTreeMap<&str, Vec<u8>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        stream.read_line(&mut request).ok()?;
        let path = request.split(' ').nth(1)?.to_owned();
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).ok()?;
            if header.trim_end().is_empty() {
                break;
            }
        }
        let (status, body) = match files.get(path.as_str()) {
            Some(body) => ("200 OK", body.as_slice()),
            None => ("404 Not Found", b"".as_slice()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes()).ok()?;
        stream.get_mut().write_all(body).ok()?;
    }
}
