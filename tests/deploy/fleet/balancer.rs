//! What stands before the replicas: `HAProxy`, which leads each request to the next one that is ready.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::replica::Place;
use super::soon;

/// A running `haproxy`; killed when dropped.
pub(super) struct Balancer {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    /// Leads a request on after 503, which is what a replica says that does not know a config that another one handed out.
    /// Otherwise it asks once, as a Service of Kubernetes does: what a replica loses, the client loses.
    pub(super) strict: SocketAddr,
    /// Asks another replica when a connection is refused or breaks, too. A request may have been told to come back a few times
    /// before that, which counts as tries.
    pub(super) patient: SocketAddr,
}

impl Balancer {
    /// Starts it at this address, with its files in this folder.
    pub(super) fn start(address: Ipv4Addr, replicas: &[Place], folder: &Path) -> Self {
        let strict = SocketAddr::from((address, 8080));
        let patient = SocketAddr::from((address, 8081));
        let socket = folder.join("haproxy.sock");
        let log = folder.join("haproxy.log");
        let mut config = format!(
            "\
global
    stats socket {}
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option forwardfor
    balance roundrobin
    timeout connect 5s
    timeout check 5s
    timeout client 30s
    timeout server 30s
    retries 10
    option redispatch 1
    retry-on 503
",
            socket.display()
        );
        let readiness =
            "    option httpchk GET /ready\n    default-server check inter 100ms fall 1 rise 1\n";
        let servers = |options: &str| -> String {
            let lines = replicas.iter().map(|place| {
                format!("    server {} {} {options}\n", place.0, place.boot())
                    .replace("OWN", &place.0.to_string())
            });
            lines.collect()
        };
        write!(
            config,
            "listen strict\n    bind {strict}\n{readiness}{}",
            servers("")
        )
        .unwrap();
        write!(
            config,
            "listen patient\n    bind {patient}\n    retry-on conn-failure empty-response 503\n{}",
            servers("track strict/OWN")
        )
        .unwrap();
        let file = folder.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .env(
                "PATH",
                "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin",
            )
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .spawn()
            .expect("haproxy is installed: apt-get install haproxy");
        Self {
            child,
            socket,
            log,
            strict,
            patient,
        }
    }

    /// Waits until so many replicas get requests.
    pub(super) fn has_up(&self, count: usize) {
        soon(&format!("{count} replicas are up"), || self.up() == count);
    }

    fn up(&self) -> usize {
        let Ok(mut stream) = UnixStream::connect(&self.socket) else {
            return 0;
        };
        stream.write_all(b"show stat\n").unwrap();
        let mut table = String::new();
        stream.read_to_string(&mut table).unwrap();
        let servers = table.lines().filter(|line| line.starts_with("strict,127."));
        servers.filter(|line| line.contains(",UP,")).count()
    }

    /// The last lines of its log that tell of something else than an answer.
    pub(super) fn trouble(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" 200 ")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
