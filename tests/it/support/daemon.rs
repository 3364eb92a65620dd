//! Programs that listen, started until they say that they do, and killed when dropped.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use super::git;
use super::http::DEADLINE;

/// How often another port is tried: somebody else may take a free one before the program does.
const ATTEMPTS: usize = 5;

/// A running program.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) port: u16,
}

impl Daemon {
    /// Starts what `command` makes for a port until its standard error holds `ready`.
    pub(crate) fn start(ready: &'static str, command: impl Fn(u16) -> Command) -> Self {
        let mut said = Vec::new();
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let mut child = command(port)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let stderr = BufReader::new(child.stderr.take().unwrap());
            let (sender, lines) = channel();
            // It reads to the end, so that the program is never held up by a full pipe.
            std::thread::spawn(move || {
                for line in stderr.lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
            let daemon = Self { child, port };
            while let Ok(line) = lines.recv_timeout(DEADLINE) {
                let is_ready = line.contains(ready);
                said.push(line);
                if is_ready {
                    return daemon;
                }
            }
        }
        panic!("it does not start: {said:#?}");
    }

    /// A `git daemon` for all repositories below a folder.
    pub(crate) fn git(root: &Path) -> Self {
        let exec_path = git::run(root, &["--exec-path"]);
        Self::start("Ready to rumble", |port| {
            // Not through `git`, which would be killed in its place.
            let mut command = Command::new(Path::new(&exec_path).join("git-daemon"));
            command
                .args(["--verbose", "--export-all", "--listen=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", root.display()))
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "safe.directory")
                .env("GIT_CONFIG_VALUE_0", "*");
            command
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
