//! One of the servers behind the balancer.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::soon;
use crate::support::http::{Client, Response};
use crate::support::process::Process;

/// What pokes carry.
pub(super) const SECRET: &str = "hush";

/// Where a replica is, whether it runs or not. Each has an address of its own, as a Pod has, so that nothing else takes its
/// ports while it is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) Ipv4Addr);

impl Place {
    /// The boot listener.
    pub(super) fn boot(self) -> SocketAddr {
        (self.0, 8080).into()
    }

    /// The operations listener.
    pub(super) fn ops(self) -> SocketAddr {
        (self.0, 8081).into()
    }

    /// What it says of itself; `None` while it is away.
    pub(super) fn status(self) -> Option<Value> {
        let answer = ask(self.ops(), "GET /status", "")?;
        assert_eq!(answer.status, 200, "{answer:?}");
        Some(serde_json::from_slice(&answer.body).unwrap())
    }

    /// The revision that it serves.
    pub(super) fn served(self) -> Option<String> {
        let revision = self.status()?["served_revision"].as_str()?.to_owned();
        Some(revision)
    }

    /// Whether it has seen a commit, be it good or bad.
    pub(super) fn has_seen(self, revision: &str) -> bool {
        self.status().is_some_and(|status| {
            status["served_revision"] == revision || status["refused"]["revision"] == revision
        })
    }

    /// Tells it of a push, as a forge does.
    pub(super) fn poke(self) {
        let token = format!("X-Gitlab-Token: {SECRET}\r\n");
        if let Some(answer) = ask(self.ops(), "POST /hooks/push", &token) {
            assert_eq!(answer.status, 202, "{answer:?}");
        }
    }
}

/// One request on a connection of its own; `None` when nobody is there.
fn ask(address: SocketAddr, what: &str, header: &str) -> Option<Response> {
    let mut client = Client::of(TcpStream::connect(address).ok()?);
    client.try_send(format!(
        "{what} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n{header}\r\n"
    ));
    client.try_response()
}

/// A replica that is started again and again.
pub(super) struct Replica {
    pub(super) place: Place,
    state: PathBuf,
    args: Vec<String>,
    /// `None` only within [`Self::restart`].
    process: Option<Process>,
}

impl Replica {
    /// Starts it; `folder` is for what it keeps.
    pub(super) fn start(place: Place, repo: &str, folder: &Path) -> Self {
        let state = folder.join(place.0.to_string());
        let args = vec![
            "serve".to_owned(),
            format!("--repo={repo}"),
            format!("--state-dir={}", folder.join(place.0.to_string()).display()),
            format!(
                "--hook-secret-file={}",
                folder.join("hook-secret").display()
            ),
            format!("--listen={}", place.boot()),
            format!("--ops-listen={}", place.ops()),
            "--trusted-proxy=127.0.0.1".to_owned(),
            "--interval=1s".to_owned(),
            // Longer than any boot of the test takes, on whatever machine.
            "--retain=5m".to_owned(),
            // Longer than the balancer takes to notice.
            "--drain-delay=2s".to_owned(),
        ];
        let mut replica = Self {
            place,
            state,
            args,
            process: None,
        };
        replica.begin();
        replica
    }

    fn begin(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.process = Some(Process::start(&args, &[]));
    }

    /// Waits until it may get requests.
    pub(super) fn ready(&self) {
        soon(&format!("{:?} is ready", self.place), || {
            ask(self.place.boot(), "GET /ready", "").is_some_and(|answer| answer.status == 200)
        });
    }

    /// Ends it as a supervisor does, and starts it again.
    pub(super) fn restart(&mut self) {
        let process = self.process.take().unwrap();
        process.signal("TERM");
        let ended = process.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        self.begin();
    }

    /// Ends it as a power failure does, and starts it again.
    pub(super) fn crash(&mut self) {
        drop(self.process.take());
        self.begin();
    }

    /// Whether a restart would serve what is served now. Trees are written in order.
    pub(super) fn has_stored(&self) -> bool {
        let Some(served) = self.place.served() else {
            return false;
        };
        let files = fs::read_dir(&self.state).unwrap().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        let trees = names.filter(|name| name.starts_with("gitboot-tree-") && !name.contains("tmp"));
        let newest = trees
            .max()
            .and_then(|name| fs::read(self.state.join(name)).ok());
        // What is removed meanwhile was not the newest.
        newest.is_some_and(|bytes| {
            bytes
                .windows(served.len())
                .any(|part| part == served.as_bytes())
        })
    }

    /// The open files and the most memory that it has ever held, in bytes.
    pub(super) fn load(&self) -> (usize, u64) {
        let process = self.process.as_ref().unwrap();
        let files = fs::read_dir(format!("/proc/{}/fd", process.id()));
        (files.unwrap().count(), process.memory("VmHWM"))
    }
}
