//! What the service manager is told, in which order and how often.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::git::Repository;
use crate::support::http::{DEADLINE, get};
use crate::support::process::Process;

/// A service manager that only listens.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { folder, socket }
    }

    fn start(&self, args: &[&str], watchdog: Option<&str>) -> Process {
        let path = self.folder.path().join("notify");
        let mut vars = vec![("NOTIFY_SOCKET", path.to_str().unwrap())];
        vars.extend(watchdog.map(|micros| ("WATCHDOG_USEC", micros)));
        let mut all = vec!["serve", "--listen=127.0.0.1:0", "--state-dir=none"];
        all.extend(args);
        Process::start(&all, &vars)
    }

    /// The next message.
    fn hears(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Everything up to the next message that begins like this.
    fn hears_until(&self, start: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.hears());
            if heard.last().unwrap().starts_with(start) {
                return heard;
            }
        }
    }
}

#[test]
fn it_is_ready_and_says_what_is_wrong_where_the_repository_is_away() {
    let manager = Manager::new();
    let mut server = manager.start(&["--repo=/nowhere/boot.git", "--drain-delay=0"], None);
    let address = server.address();
    assert_eq!(manager.hears(), "STATUS=nothing is published yet\n");
    assert_eq!(manager.hears(), "READY=1\n");
    let status = manager
        .hears_until("STATUS=nothing is published yet, the repo")
        .pop();
    let status = status.unwrap();
    assert!(status.contains("cannot be read: "), "{status}");
    assert_eq!(get(address, "/ready").status, 503);
    assert_eq!(get(address, "/health").status, 200);

    server.signal("TERM");
    let stopping = "STOPPING=1\nSTATUS=draining: requests in flight are answered\n";
    assert_eq!(manager.hears(), stopping);
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn a_reload_is_over_when_the_repository_was_asked() {
    let repo = Repository::with_files(&[("empty.yaml", "# nothing\n")]);
    let manager = Manager::new();
    let url = format!("--repo={}", repo.path().display());
    let mut server = manager.start(&[&url, "--allow-empty", "--interval=1h"], None);
    manager.hears_until("READY=1\n");
    server.line_with("published");
    let short = &repo.head()[..7];
    let serving = format!("STATUS=serving {short}\n");
    manager.hears_until(&serving);

    let broken = repo.commit(&[("broken.yaml", "kind: Profil\n")]);
    server.signal("HUP");
    let heard = manager.hears_until("READY=1\n");
    let [reloading, told @ .., _] = &heard[..] else {
        panic!("{heard:?}");
    };
    let clock = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(clock.trim_end().parse::<u64>().unwrap() > 0);
    let refused = format!(
        "STATUS=serving {short}, {} refused (1 error)\n",
        &broken[..7]
    );
    if told.is_empty() {
        assert_eq!(manager.hears(), refused);
    } else {
        assert_eq!(told, [refused]);
    }
    server.signal("INT");
    manager.hears_until("STOPPING=1\n");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn signs_of_life_come_in_time_while_the_repository_hangs() {
    // Connections are taken by the system, and nobody ever answers.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let manager = Manager::new();
    let time = Duration::from_secs(3);
    let repo = format!("--repo=http://{}/boot.git", hanging.local_addr().unwrap());
    let server = manager.start(&[&repo, "--drain-delay=0"], Some("3000000"));
    manager.hears_until("READY=1\n");
    manager.hears_until("WATCHDOG=1\n");
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
        let pause = began.elapsed();
        assert!(pause < time && pause > time / 4, "{pause:?}");
    }
    server.signal("TERM");
    manager.hears_until("STOPPING=1\n");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("hangs"), "{}", ended.log);
}

#[test]
fn a_manager_that_is_gone_changes_nothing() {
    let manager = Manager::new();
    let path = manager.folder.path().join("notify");
    std::fs::remove_file(path).unwrap();
    let mut server = manager.start(&["--repo=/nowhere/boot.git"], Some("3000000"));
    let address = server.address();
    let line = server.line_with("service manager");
    assert!(
        line.contains(" WARN the service manager cannot be told "),
        "{line}"
    );
    assert_eq!(get(address, "/health").status, 200);
    server.signal("HUP");
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    // Said once, and never again.
    let told = ended.log.matches("cannot be told").count();
    assert_eq!(told, 1, "{}", ended.log);
}
