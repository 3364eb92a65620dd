//! What is sent: bytes in memory, or a file that is read piece by piece.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::packet::{Code, Mode};
use super::root::{self, Refusal};

/// How many bytes of a file are read at once: some forty blocks, so that the disk is asked seldom, and little memory for each
/// of the transfers.
const READ_BYTES: usize = 64 << 10;

/// The longest file that is sent with other line ends, in bytes: each transfer holds all of it, up to twice as long, in memory.
/// Such files are the settings of boot loaders; firmware asks for bytes.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// How many transfers may be at the disk at once: more than any disk does at a time, and an eighth of the threads that the
/// process has for all that blocks. Where a disk hangs, the others are left to those who look after the repository.
const AT_DISK: usize = 64;

static DISK: Semaphore = Semaphore::const_new(AT_DISK);

/// Does something at the disk, once there is a place for it.
pub(super) async fn at_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    // Fails only when the semaphore is closed, which nobody does.
    let place = DISK.acquire().await.map_err(io::Error::other)?;
    let work = tokio::task::spawn_blocking(move || {
        let done = work();
        // Not before, whoever waits for it: a thread at a disk that hangs is one, even when the client is gone.
        drop(place);
        done
    });
    work.await.map_err(io::Error::other)
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Content {
    source: Source,
    bytes: u64,
    /// A piece of the file, and where it begins.
    piece: (u64, Bytes),
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File(Arc<File>),
}

/// Why there is nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsendable {
    pub(super) code: Code,
    pub(super) words: &'static str,
    /// The reason as the log gives it.
    pub(super) reason: &'static str,
    /// What HTTP would answer, for the log.
    pub(super) status: u16,
}

impl Content {
    /// A text that the server itself answers with.
    pub(super) fn of_text(text: &Bytes, mode: Mode) -> Self {
        let text = match mode {
            Mode::Octet => text.clone(),
            Mode::Netascii => netascii(text),
        };
        Self {
            bytes: text.len() as u64,
            source: Source::Memory(text),
            piece: (0, Bytes::new()),
        }
    }

    /// A file below this folder. Blocks.
    pub(super) fn open(root: &Path, parts: &[&str], mode: Mode) -> Result<Self, Unsendable> {
        let (file, bytes) = root::open_below(root, parts)?;
        if mode == Mode::Octet {
            return Ok(Self {
                source: Source::File(Arc::new(file)),
                bytes,
                piece: (0, Bytes::new()),
            });
        }
        if bytes > MAX_TEXT_BYTES {
            return Err(Unsendable {
                code: Code::Other,
                words: "netascii is for texts up to 64 KiB, ask for octet",
                reason: "netascii_too_long",
                status: 413,
            });
        }
        let length = usize::try_from(bytes).map_err(|_| Refusal::Broken)?;
        let text = read(&file, 0, length).map_err(|_| Refusal::Broken)?;
        Ok(Self::of_text(&text, mode))
    }

    /// The number of bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes from here. A file that has become shorter is an error.
    pub(super) async fn read(&mut self, start: u64, length: usize) -> io::Result<Bytes> {
        let (begin, piece) = match &self.source {
            Source::Memory(bytes) => (0, bytes),
            Source::File(file) => {
                if part(self.piece.0, &self.piece.1, start, length).is_none() {
                    let left =
                        usize::try_from(self.bytes.saturating_sub(start)).unwrap_or(usize::MAX);
                    let most = left.min(READ_BYTES.max(length));
                    let file = Arc::clone(file);
                    let piece = at_disk(move || read(&file, start, most)).await??;
                    self.piece = (start, piece);
                }
                (self.piece.0, &self.piece.1)
            }
        };
        part(begin, piece, start, length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl From<Refusal> for Unsendable {
    fn from(refusal: Refusal) -> Self {
        let (code, words) = refusal.told();
        let (reason, status) = match refusal {
            Refusal::NotFound => ("not_found", 404),
            Refusal::Forbidden => ("access_violation", 403),
            Refusal::Broken => ("unreadable", 500),
        };
        Self {
            code,
            words,
            reason,
            status,
        }
    }
}

/// The part of a piece that begins here in the whole, if the piece has all of it.
fn part(begin: u64, piece: &Bytes, start: u64, length: usize) -> Option<Bytes> {
    let from = usize::try_from(start.checked_sub(begin)?).ok()?;
    let to = from.checked_add(length)?;
    (to <= piece.len()).then(|| piece.slice(from..to))
}

fn read(file: &File, start: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes.into())
}

/// A text with the line ends of Telnet (RFC 764): a line feed follows a carriage return, which never stands alone.
fn netascii(text: &[u8]) -> Bytes {
    let mut converted = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\n' => converted.extend_from_slice(b"\r\n"),
            b'\r' => converted.extend_from_slice(b"\r\0"),
            other => converted.push(*other),
        }
    }
    converted.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_read_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<u8> = (0..200_000_u32).map(|at| (at % 253) as u8).collect();
        std::fs::write(folder.path().join("file"), &all).unwrap();
        let mut content = Content::open(folder.path(), &["file"], Mode::Octet).unwrap();
        assert_eq!(content.bytes(), 200_000);
        for (start, length) in [
            (0, 1432),
            (1432, 1432),
            (65_000, 1432),
            (65_000, 65_464),
            (10, 5),
            (199_999, 1),
        ] {
            let bytes = content.read(start as u64, length).await.unwrap();
            assert_eq!(bytes, all[start..start + length], "{start}");
        }
        assert_eq!(content.read(200_000, 0).await.unwrap(), Bytes::new());
        assert!(content.read(199_999, 2).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        let mut content = Content::open(folder.path(), &["file"], Mode::Octet).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(content.read(0, 512).await.is_err());
    }

    #[test]
    fn a_disk_that_hangs_leaves_threads_to_others() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(AT_DISK + 1)
            .enable_time()
            .build()
            .unwrap();
        let (hold, hung) = std::sync::mpsc::channel::<()>();
        let hung = Arc::new(std::sync::Mutex::new(hung));
        runtime.block_on(async {
            for _ in 0..2 * AT_DISK {
                let hung = Arc::clone(&hung);
                // Ends once the other end is gone.
                tokio::spawn(at_disk(move || hung.lock().unwrap().recv().is_ok()));
            }
            // Each of them has its turn.
            for _ in 0..2 * AT_DISK {
                tokio::task::yield_now().await;
            }
            let other = tokio::task::spawn_blocking(|| "done");
            let other = tokio::time::timeout(std::time::Duration::from_secs(20), other).await;
            drop(hold);
            assert_eq!(other.expect("no thread is left").unwrap(), "done");
        });
    }

    #[test]
    fn texts_get_the_line_ends_of_telnet() {
        assert_eq!(netascii(b"a\nb\r\nc\rd"), b"a\r\nb\r\0\r\nc\r\0d"[..]);
        let text = Bytes::from_static(b"a\n");
        assert_eq!(Content::of_text(&text, Mode::Octet).bytes(), 2);
        assert_eq!(Content::of_text(&text, Mode::Netascii).bytes(), 3);
    }
}
