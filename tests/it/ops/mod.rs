//! The operations listener.

mod access;
mod api;
mod hook;
mod metrics;
mod page;
mod status;
mod wait;

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE, Response};
use crate::support::process::Process;

const FLEET: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk, labels: {os: none}}
spec:
  ipxe: |
    #!ipxe
    chain {{ motd }}
  additionalConfig: {motd: 'serial {{ labels.serial }}'}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: racks}
spec:
  profile: disk
  machines: [{name: one, mac: '52:54:00:00:00:01'}, {mac: '52:54:00:00:00:02', serial: S2}]
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: site-x}
spec: {profile: disk, subjectSelectors: {site: [x]}}
";

/// A server that looks at its repository when it is told to, and files beside it.
struct Site {
    repo: Repository,
    server: Process,
    boot: SocketAddr,
    ops: SocketAddr,
}

impl Site {
    fn start(manifests: &str, more: &[&str]) -> Self {
        let repo = Repository::with_files(&[("all.yaml", manifests)]);
        Self::over(repo, more)
    }

    fn over(repo: Repository, more: &[&str]) -> Self {
        let url = format!("--repo={}", repo.path().display());
        let mut args = vec!["serve", &url, "--listen=127.0.0.1:0", "--interval=1h"];
        for flag in ["--state-dir=none", "--ops-listen=127.0.0.1:0"] {
            let (name, _) = flag.split_once('=').unwrap();
            if !more.iter().any(|one| one.starts_with(name)) {
                args.push(flag);
            }
        }
        args.extend(more);
        let mut server = Process::start(&args, &[]);
        let boot = server.address();
        let ops = server.operations();
        let ops = SocketAddr::from(([127, 0, 0, 1], ops.port()));
        Self {
            repo,
            server,
            boot,
            ops,
        }
    }

    /// The same, once something is published.
    fn published(manifests: &str, more: &[&str]) -> Self {
        let mut site = Self::start(manifests, more);
        site.server.line_with("published");
        site
    }

    fn get(&self, target: &str) -> Response {
        get(self.ops, target)
    }

    fn json(&self, target: &str) -> Value {
        let answer = self.get(target);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What `/status` says once this is true of it.
    fn status_when(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let status = self.json("/status");
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < until, "{status:#}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A file beside the repository, as a flag.
    fn file(repo: &Repository, flag: &str, text: &str) -> String {
        let path = repo.parent().join(flag.trim_start_matches('-'));
        fs::write(&path, text).unwrap();
        format!("{flag}={}", path.display())
    }
}

fn get(address: SocketAddr, target: &str) -> Response {
    send(address, "GET", target, "")
}

/// One request with these further lines, by the name of this machine.
fn send(address: SocketAddr, method: &str, target: &str, lines: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
    ));
    client.response()
}
