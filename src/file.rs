//! Files that an operator names, which somebody may replace at any moment.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc::ENXIO;

/// Opens a file to read it; `None` when it is no regular file. Waits for nobody: what is open is looked at and not the name, so
/// a pipe that takes the file's place meanwhile holds up nothing.
///
/// # Errors
/// There is no such file, or it may not be read.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match opened {
        // A socket, or a device without a driver.
        Err(error) if error.raw_os_error() == Some(ENXIO) => return Ok(None),
        opened => opened?,
    };
    let is_regular = file.metadata()?.is_file();
    Ok(is_regular.then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for (name, is_opened) in [
            ("file", true),
            ("link", true),
            ("pipe", false),
            ("socket", false),
            (".", false),
        ] {
            let opened = open_regular(&path(name)).unwrap();
            assert_eq!(opened.is_some(), is_opened, "{name}");
        }
        let missing = open_regular(&path("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_that_takes_the_place_of_a_file_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let is_over = AtomicBool::new(false);
        let (done, ended) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    fs::write(path("new"), "x").unwrap();
                    fs::rename(path("new"), path("file")).unwrap();
                    mkfifo(&path("new"), Mode::S_IRWXU).unwrap();
                    fs::rename(path("new"), path("file")).unwrap();
                }
            });
            let file = path("file");
            // Not of the scope, which would wait for it for ever.
            std::thread::spawn(move || {
                for _ in 0..20_000 {
                    drop(open_regular(&file));
                }
                done.send(()).unwrap();
            });
            let ended = ended.recv_timeout(Duration::from_mins(1));
            is_over.store(true, Ordering::Relaxed);
            ended.expect("somebody waits for the other end of a pipe");
        });
    }
}
