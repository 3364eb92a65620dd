//! A repository over ssh, through OpenSSH's client: one process for each check, told everything by its arguments.

mod failure;
mod log;

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};

use super::credentials::{Credentials, Named};
use super::error::{ErrorClass, SourceError};
use super::scratch::Scratch;
use super::stream::{Line, Postmortem, Reader, Writer};
use super::url::Address;
use super::watch::Watch;
use failure::Ended;
use log::Log;
pub(super) use log::sweep as sweep_logs;

/// The program.
const SSH: &str = "ssh";
/// The seconds after which ssh asks a silent server whether it is there; it gives up after three.
const ALIVE_SECONDS: u32 = 15;
/// The most bytes that are kept of what the server's commands write to their standard error: some lines.
const MAX_STDERR_BYTES: usize = 8 << 10;
/// How long a process that has closed its streams may take to end before it is killed.
const END_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether it has ended.
const END_TICK: Duration = Duration::from_millis(5);

/// A connection through a running `ssh`.
pub(super) type SshConnection<'a> =
    Connection<Reader<'a, UnixStream, Process>, Writer<'a, UnixStream, Process>>;

/// The way to a repository over ssh.
#[derive(Debug)]
pub(super) struct Ssh {
    address: Address,
    key_file: Option<PathBuf>,
    known_hosts_file: Option<PathBuf>,
    connect_timeout: Duration,
    /// Where the log of a running `ssh` is kept.
    scratch: Scratch,
}

impl Ssh {
    /// Prepares; nothing is started yet.
    pub(super) fn new(
        address: &Address,
        credentials: &Credentials,
        connect_timeout: Duration,
        scratch: &Scratch,
    ) -> Self {
        Self {
            address: address.clone(),
            key_file: credentials.ssh_key_file.clone(),
            known_hosts_file: credentials.known_hosts_file.clone(),
            connect_timeout,
            scratch: scratch.clone(),
        }
    }

    /// Starts `ssh`. It reads the key and the known hosts itself, each time.
    pub(super) fn open<'a>(&self, watch: &'a Watch<'a>) -> Result<SshConnection<'a>, SourceError> {
        for file in [self.key(), self.known_hosts()].into_iter().flatten() {
            file.open()?;
        }
        let log = self.scratch.make(Log::create)?;
        let (ours, theirs) = UnixStream::pair().map_err(|error| no_process(&error))?;
        let stdin = theirs.try_clone().map_err(|error| no_process(&error))?;
        let mut command = Command::new(SSH);
        command
            .args(self.arguments(log.path()))
            .env_clear()
            .envs(["PATH", "HOME"].into_iter().filter_map(variable))
            .env("LC_ALL", "C")
            .env("GIT_PROTOCOL", "version=2")
            .stdin(OwnedFd::from(stdin))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::piped());
        if self.key_file.is_none() {
            command.envs(variable("SSH_AUTH_SOCK"));
        }
        let child = command.spawn().map_err(|error| no_process(&error))?;
        // With it goes our hold on the other end of the stream: only `ssh` keeps that open now.
        drop(command);
        let process = Process::new(child, log, self.names());
        let (reader, writer) = Line::split(ours, process, watch);
        let path = self.address.path.as_str();
        Ok(Connection::new(
            reader,
            writer,
            Protocol::V2,
            path,
            None::<(String, Option<u16>)>,
            ConnectMode::Process,
            false,
        ))
    }

    fn arguments(&self, log: &Path) -> Vec<String> {
        let seconds = self.connect_timeout.as_secs().max(1);
        let mut arguments = vec![
            // No configuration of the user or the machine: what is not said here is OpenSSH's default.
            "-F".to_owned(),
            "/dev/null".to_owned(),
            "-E".to_owned(),
            log.display().to_string(),
            "-T".to_owned(),
            "-x".to_owned(),
            "-a".to_owned(),
        ];
        let mut option = |text: String| arguments.extend(["-o".to_owned(), text]);
        for text in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            "VerifyHostKeyDNS=no",
            "CheckHostIP=no",
            "PreferredAuthentications=publickey",
            "ClearAllForwardings=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "ServerAliveCountMax=3",
            "SendEnv=GIT_PROTOCOL",
        ] {
            option(text.to_owned());
        }
        option(format!("ServerAliveInterval={ALIVE_SECONDS}"));
        option(format!("ConnectTimeout={seconds}"));
        if let Some(path) = &self.known_hosts_file {
            option(format!("UserKnownHostsFile=\"{}\"", path.display()));
            option("GlobalKnownHostsFile=/dev/null".to_owned());
        }
        if let Some(path) = &self.key_file {
            option("IdentitiesOnly=yes".to_owned());
            option("IdentityAgent=none".to_owned());
            option(format!("IdentityFile=\"{}\"", path.display()));
        }
        let Address {
            user,
            host,
            port,
            path,
        } = &self.address;
        if let Some(port) = port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        let command = format!("git-upload-pack {}", quoted(path));
        arguments.extend(["--".to_owned(), host.clone(), command]);
        arguments
    }

    fn key(&self) -> Option<Named<'_>> {
        self.key_file.as_deref().map(|path| Named {
            what: "key",
            flag: "--git-ssh-key-file",
            path,
            class: ErrorClass::Auth,
        })
    }

    fn known_hosts(&self) -> Option<Named<'_>> {
        self.known_hosts_file.as_deref().map(|path| Named {
            what: "known hosts",
            flag: "--git-known-hosts-file",
            path,
            class: ErrorClass::HostKey,
        })
    }

    fn names(&self) -> failure::Names {
        failure::Names {
            host: self.address.host.clone(),
            port: self.address.port,
            key_file: self.key_file.clone(),
            known_hosts_file: self.known_hosts_file.clone(),
        }
    }
}

/// A running `ssh`; killed when it is dropped.
pub(super) struct Process {
    child: Child,
    log: Log,
    names: failure::Names,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Reads what the server's commands complain about; ends with the process.
    listener: Option<JoinHandle<()>>,
}

impl Process {
    fn new(mut child: Child, log: Log, names: failure::Names) -> Self {
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let listener = child.stderr.take().map(|mut pipe| {
            let kept = Arc::clone(&stderr);
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MAX_STDERR_BYTES.saturating_sub(kept.len());
                    kept.extend(buffer.iter().take(count.min(room)));
                }
            })
        });
        Self {
            child,
            log,
            names,
            stderr,
            listener,
        }
    }

    /// Waits until the process has ended, and kills it when that takes too long.
    fn end(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + END_TIME;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(END_TICK),
                result => return result.ok().flatten(),
            }
        }
        self.kill();
        None
    }

    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Postmortem for Process {
    fn reason(&mut self) -> Option<SourceError> {
        let status = self.end();
        if status.is_some_and(|status| status.success()) {
            return None;
        }
        if let Some(listener) = self.listener.take() {
            // The pipe is closed, so it ends at once.
            let _ = listener.join();
        }
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        Some(failure::explain(
            &self.names,
            &Ended {
                code: status.and_then(|status| status.code()),
                log: self.log.read(),
                stderr: String::from_utf8_lossy(&stderr).into_owned(),
            },
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn variable(name: &'static str) -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os(name).map(|value| (name, value))
}

fn no_process(error: &std::io::Error) -> SourceError {
    if error.kind() == std::io::ErrorKind::NotFound {
        let message = "there is no `ssh` on the PATH; install OpenSSH's client, or use https";
        return SourceError::new(ErrorClass::Unsupported, message);
    }
    SourceError::caused(ErrorClass::Disk, "cannot start `ssh`", error)
}

/// The path as one word for the shell at the other side.
fn quoted(path: &str) -> String {
    // Old servers run csh, to which an exclamation mark is special even here.
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_the_shell() {
        assert_eq!(quoted("/srv/a b.git"), "'/srv/a b.git'");
        assert_eq!(quoted("a'; rm -rf /; '!"), "'a'\\''; rm -rf /; '\\'''\\!''");
    }
}
