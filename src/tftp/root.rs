//! `--tftp-root`: names that strangers send, to open files below one folder and nowhere else.
//!
//! The kernel itself keeps the way within the folder (`openat2` with `RESOLVE_BENEATH`), so that no link and no renaming while it is
//! walked leads out. Links that stay within are followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::Mode;

use super::packet::Code;

/// How often a way is walked anew when something was renamed on it meanwhile.
const ATTEMPTS: usize = 8;

/// For files: never waits for the other end of a pipe, and never becomes the process's terminal.
const OF_FILE: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// For folders on the way.
const OF_FOLDER: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Why a file is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such file, or none that could ever be.
    NotFound,
    /// The name leads out of the folder, or to what is no regular file, or what may not be read.
    Forbidden,
    /// The system fails.
    Broken,
}

impl Refusal {
    /// What the client is told.
    pub(super) fn told(self) -> (Code, &'static str) {
        match self {
            Self::NotFound => (Code::NotFound, "no such file"),
            Self::Forbidden => (Code::AccessViolation, "access violation"),
            Self::Broken => (Code::Other, "the file cannot be read"),
        }
    }
}

/// The parts of a name: `/` and `\` separate them, a leading one means the root, empty ones and `.` say nothing.
pub(super) fn parts(name: &str) -> Result<Vec<&str>, Refusal> {
    let parts = name.split(['/', '\\']);
    let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(Refusal::Forbidden);
    }
    if parts.is_empty() || name.chars().any(char::is_control) {
        return Err(Refusal::NotFound);
    }
    Ok(parts)
}

/// Opens a regular file below this folder; says how many bytes it has.
pub(super) fn open_below(root: &Path, parts: &[&str]) -> Result<(File, u64), Refusal> {
    // Anew each time, so that a folder that is put in the place of another one counts.
    let root = open(root, OF_FOLDER, Mode::empty()).map_err(broken)?;
    let file = match beneath(&root, &parts.join("/")) {
        // Old kernels, and sandboxes that know no better.
        Err(Errno::ENOSYS | Errno::EPERM) => without_links(root, parts),
        opened => opened,
    };
    let file = File::from(file.map_err(refusal)?);
    let metadata = file.metadata().map_err(|_| Refusal::Broken)?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(Refusal::Forbidden)
    }
}

/// Ensures that there is a folder to serve from.
pub(super) fn check(root: &Path) -> io::Result<()> {
    open(root, OF_FOLDER, Mode::empty())?;
    Ok(())
}

fn beneath(root: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let how = OpenHow::new().flags(OF_FILE).resolve(resolve);
    let mut opened = Err(Errno::EAGAIN);
    for _ in 0..ATTEMPTS {
        opened = openat2(root, path, how);
        if !matches!(opened, Err(Errno::EAGAIN | Errno::EINTR)) {
            break;
        }
    }
    opened
}

/// The same, step by step and past no link at all.
fn without_links(root: OwnedFd, parts: &[&str]) -> Result<OwnedFd, Errno> {
    let (file, folders) = parts.split_last().ok_or(Errno::ENOENT)?;
    let mut folder = root;
    for part in folders {
        let flags = OF_FOLDER.union(OFlag::O_NOFOLLOW);
        folder = openat(folder.as_fd(), *part, flags, Mode::empty())?;
    }
    openat(
        folder.as_fd(),
        *file,
        OF_FILE.union(OFlag::O_NOFOLLOW),
        Mode::empty(),
    )
}

fn refusal(error: Errno) -> Refusal {
    match error {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::EINVAL => Refusal::NotFound,
        // `EXDEV` is the way out; `ENXIO` a socket or the device of a driver that is not there.
        Errno::EXDEV | Errno::ELOOP | Errno::EACCES | Errno::EPERM | Errno::EAGAIN => {
            Refusal::Forbidden
        }
        Errno::ENXIO | Errno::ENODEV => Refusal::Forbidden,
        other => broken(other),
    }
}

fn broken(error: Errno) -> Refusal {
    tracing::warn!("files for TFTP cannot be read: {error}");
    Refusal::Broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    fn read(opened: Result<(File, u64), Refusal>) -> Result<String, Refusal> {
        let (mut file, bytes) = opened?;
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, bytes);
        Ok(text)
    }

    fn get(root: &Path, name: &str) -> Result<String, Refusal> {
        read(open_below(root, &parts(name)?))
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/sub/deep")).unwrap();
        fs::write(at("secret"), "secret").unwrap();
        fs::write(at("root/file"), "file").unwrap();
        fs::write(at("root/sub/deep/file"), "deep").unwrap();
        symlink("sub/deep/file", at("root/inside")).unwrap();
        symlink("../sub/../file", at("root/sub/round")).unwrap();
        symlink("../secret", at("root/outside")).unwrap();
        symlink(at("secret"), at("root/absolute")).unwrap();
        symlink("..", at("root/up")).unwrap();
        symlink("loop", at("root/loop")).unwrap();
        symlink("/proc/self/root", at("root/magic")).unwrap();
        nix::unistd::mkfifo(&at("root/pipe"), Mode::S_IRUSR).unwrap();
        std::os::unix::net::UnixListener::bind(at("root/socket")).unwrap();
        folder
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(parts("a/b"), Ok(vec!["a", "b"]));
        assert_eq!(parts("//a/./b/"), Ok(vec!["a", "b"]));
        assert_eq!(parts(r"\boot\bcd"), Ok(vec!["boot", "bcd"]));
        assert_eq!(parts("a..b/...c"), Ok(vec!["a..b", "...c"]));
        for name in ["..", "../a", "a/../b", r"..\a", r"a\..\..\b", "/.."] {
            assert_eq!(parts(name), Err(Refusal::Forbidden), "{name}");
        }
        for name in ["", "/", ".", "//./", "a\nb", "\u{1b}[m"] {
            assert_eq!(parts(name), Err(Refusal::NotFound), "{name:?}");
        }
    }

    #[test]
    fn only_regular_files_below_the_root_are_opened() {
        let folder = folder();
        let root = folder.path().join("root");
        for (name, text) in [
            ("file", "file"),
            ("/file", "file"),
            ("sub/deep/file", "deep"),
            (r"sub\deep\file", "deep"),
            ("inside", "deep"),
            ("sub/round", "file"),
        ] {
            assert_eq!(get(&root, name), Ok(text.to_owned()), "{name}");
        }
        let long = "x".repeat(300);
        let deep = "x/".repeat(400);
        for name in ["missing", "file/below", "sub/missing", &long, &deep] {
            assert_eq!(get(&root, name), Err(Refusal::NotFound), "{name}");
        }
        let absolute = folder.path().join("secret");
        assert_eq!(
            get(&root, absolute.to_str().unwrap()),
            Err(Refusal::NotFound)
        );
        for name in [
            "outside",
            "absolute",
            "up",
            "up/secret",
            "loop",
            "magic",
            "magic/etc/passwd",
            "sub",
            "pipe",
            "socket",
            "../secret",
        ] {
            assert_eq!(get(&root, name), Err(Refusal::Forbidden), "{name}");
        }
    }

    #[test]
    fn without_the_kernel_s_help_no_link_is_followed() {
        let folder = folder();
        let open_in = |name: &str| {
            let root = open(&folder.path().join("root"), OF_FOLDER, Mode::empty()).unwrap();
            without_links(root, &parts(name).unwrap()).map(|_| ())
        };
        assert_eq!(open_in("file"), Ok(()));
        assert_eq!(open_in("sub/deep/file"), Ok(()));
        assert_eq!(open_in("pipe"), Ok(()));
        for name in ["inside", "outside", "absolute", "loop"] {
            assert_eq!(open_in(name), Err(Errno::ELOOP), "{name}");
        }
        for name in ["up/secret", "magic/etc/passwd", "file/below"] {
            assert_eq!(open_in(name), Err(Errno::ENOTDIR), "{name}");
        }
    }

    #[test]
    fn a_folder_in_the_place_of_another_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), name).unwrap();
        }
        symlink("one", at("root")).unwrap();
        assert_eq!(get(&at("root"), "file"), Ok("one".to_owned()));
        symlink("two", at("new")).unwrap();
        fs::rename(at("new"), at("root")).unwrap();
        assert_eq!(get(&at("root"), "file"), Ok("two".to_owned()));
        assert!(
            check(&at("root")).is_ok()
                && check(&at("root/file")).is_err()
                && check(&at("none")).is_err()
        );
    }
}
