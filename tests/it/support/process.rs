//! The real binary.

use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::http::DEADLINE;

/// A running `gitboot`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// What keeps servers that run at once from each other's default port: no operations listener, unless the test wants one.
fn quiet(args: &[&str], vars: &[(&str, &str)]) -> Option<&'static str> {
    let is_server = matches!(args, ["serve" | "demo", ..]);
    let is_given = args.iter().any(|arg| arg.starts_with("--ops-listen"))
        || vars.iter().any(|(name, _)| *name == "GITBOOT_OPS_LISTEN");
    (is_server && !is_given).then_some("--ops-listen=off")
}

/// How a process ended and what it wrote to stderr.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl Process {
    /// Starts `gitboot` with these arguments and variables, and none of the environment's `GITBOOT_…`.
    pub(crate) fn start(args: &[&str], vars: &[(&str, &str)]) -> Self {
        Self::start_onto(Stdio::null(), args, vars)
    }

    /// The same, with somewhere for stdout.
    pub(crate) fn start_onto(stdout: Stdio, args: &[&str], vars: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitboot"));
        command.args(args).env_clear().envs(vars.iter().copied());
        command.args(quiet(args, vars));
        Self::spawn(command.stdout(stdout)).unwrap()
    }

    /// The same with room for so many open files.
    pub(crate) fn start_with_files(files: usize, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_gitboot")]);
        command.args(args).args(quiet(args, &[]));
        command.env_clear().stdout(Stdio::null());
        Self::spawn(&mut command).unwrap()
    }

    /// The same as another user; `None` when that user may not run the program where it is. Only root can.
    pub(crate) fn start_as(user: u32, args: &[&str]) -> Option<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitboot"));
        command.args(args).args(quiet(args, &[]));
        command.env_clear().current_dir("/");
        match Self::spawn(command.uid(user).gid(user).stdout(Stdio::null())) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            started => Some(started.unwrap()),
        }
    }

    /// Starts another program, which logs to stderr, too.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::spawn(command).unwrap()
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// Waits for the next line that holds this text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        self.line_within(text, DEADLINE)
    }

    /// The same for what may take longer.
    pub(crate) fn line_within(&mut self, text: &str, time: Duration) -> String {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with `{text}` ({error}): {:#?}", self.seen),
            }
        }
    }

    /// Waits for the address that the server listens on next.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.line_with("listening on http://");
        let (_, address) = line.split_once("http://").unwrap();
        // In JSON, a quotation mark follows.
        let end = address.find(|c| !matches!(c, '0'..='9' | 'a'..='f' | '.' | ':' | '[' | ']'));
        address[..end.unwrap_or(address.len())].parse().unwrap()
    }

    /// Waits for the address of the operations listener; it comes after those of all others.
    pub(crate) fn operations(&mut self) -> SocketAddr {
        let line = self.line_with("operations on http://");
        let (_, address) = line.split_once("http://").unwrap();
        address.trim().parse().unwrap()
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A figure of `/proc/PID/status` in bytes, such as `VmHWM`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}");
    }

    /// Waits until the process has ended.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                // The pipe is closed when the process ends.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running: {:#?}", self.seen),
            }
        }
        let code = self.child.wait().unwrap().code();
        let log = self.seen.join("\n");
        Ended { code, log }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command that ends by itself wrote, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `gitboot` in a folder until it ends, with nothing of this environment.
pub(crate) fn run_in(folder: &Path, args: &[&str], vars: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_gitboot"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
