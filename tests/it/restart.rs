//! The real binary across restarts: what it serves while the remote is away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;

use crate::support::git::Repository;
use crate::support::http::{DEADLINE, Response, get};
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::process::Process;
use crate::support::ssh::Key;

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel vmlinuz ignition.config.url={{ ignition }} ds=nocloud;s={{ config_dir }}
    boot
  additionalConfig:
    ignition: {inline: '{\"x\": \"one {{ labels.serial }}\"}'}
    motd: \"one\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: worker, isDefault: true}
";

const SCRIPT: &str = "/ipxe?serial=S1";
const UNKNOWN: &str = "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad";

/// A remote that can go away, and a state directory.
struct Site {
    repo: Repository,
    backend: HttpBackend,
    state: TempDir,
}

impl Site {
    fn new() -> Self {
        let repo = Repository::with_files(&[("site.yaml", MANIFESTS)]);
        let backend = HttpBackend::new(repo.parent());
        let state = tempfile::tempdir().unwrap();
        Self {
            repo,
            backend,
            state,
        }
    }

    fn start(&self, more: &[&str]) -> Process {
        let repo = format!("--repo={}", self.backend.url("repo/.git"));
        let state = format!("--state-dir={}", self.state.path().display());
        let listen = "--listen=127.0.0.1:0";
        let args = [&["serve", &repo, &state, listen, "--interval=1h"], more].concat();
        Process::start(&args, &[])
    }

    /// The same commit with another text in all configs.
    fn push(&self, text: &str) {
        let manifests = MANIFESTS.replace("one", text);
        self.repo.commit(&[("site.yaml", &manifests)]);
    }

    fn go_away(&self) {
        self.backend.answer(|_| Answer::Fixed {
            status: 503,
            headers: Vec::new(),
            body: Bytes::new(),
        });
    }

    fn trees(&self) -> Vec<PathBuf> {
        trees(self.state.path())
    }

    /// Waits until this many trees are on disk.
    fn stored(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.trees().len() != count {
            assert!(Instant::now() < until, "{:?}", self.trees());
            std::thread::yield_now();
        }
    }
}

fn trees(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_tree = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("gitboot-tree-") && !name.contains("tmp")
    };
    paths.filter(is_tree).collect()
}

fn kill(server: Process) {
    server.signal("KILL");
    assert_eq!(server.end().code, None);
}

fn retry_after(response: &Response) -> (u16, Option<&str>) {
    (response.status, response.header("retry-after"))
}

/// The configs that a script names, as targets.
fn configs(script: &str) -> [String; 3] {
    let url_after = |key: &str| {
        let (_, rest) = script.split_once(key).unwrap();
        let url = rest.split_whitespace().next().unwrap();
        url.strip_prefix("http://boot.example").unwrap().to_owned()
    };
    let dir = url_after(";s=");
    let [ignition, motd] = ["ignition", "motd"].map(|name| format!("{dir}{name}"));
    [url_after("ignition.config.url="), ignition, motd]
}

#[test]
fn a_boot_in_flight_survives_a_crash_while_the_remote_is_away() {
    let site = Site::new();
    let mut server = site.start(&[]);
    let address = server.address();
    server.line_with("published");
    let first = get(address, SCRIPT);
    let in_flight = configs(first.text()).map(|target| (get(address, &target), target));
    assert!(in_flight.iter().all(|(response, _)| response.status == 200));
    site.push("two");
    server.signal("HUP");
    server.line_with("published");
    let second = get(address, SCRIPT);
    assert_ne!(second.text(), first.text());
    site.stored(2);
    kill(server);
    site.go_away();

    let mut server = site.start(&[]);
    let address = server.address();
    let line = server.line_with("published from the state directory");
    assert!(line.contains(&site.repo.head()), "{line}");
    assert_eq!(get(address, "/ready").status, 200);
    assert_eq!(get(address, SCRIPT), second);
    server.line_with("the repository cannot be read");
    for (response, target) in &in_flight {
        assert_eq!(get(address, target), *response, "{target}");
    }
    assert_eq!(retry_after(&get(address, UNKNOWN)), (503, Some("1")));
    kill(server);

    let mut server = site.start(&["--retain=1s"]);
    let address = server.address();
    server.line_with("published from the state directory");
    let (_, target) = &in_flight[0];
    let until = Instant::now() + DEADLINE;
    while get(address, target).status != 404 {
        assert!(Instant::now() < until, "still there");
    }
    assert_eq!(get(address, SCRIPT), second);
    kill(server);

    let mut server = site.start(&["--retain=0", "--ready-max-age=1h"]);
    let address = server.address();
    server.line_with("the repository cannot be read");
    assert_eq!(get(address, &in_flight[1].1).status, 404);
    assert_eq!(get(address, "/ready").status, 503);
}

#[test]
fn a_restart_remembers_when_the_remote_last_answered() {
    let site = Site::new();
    let mut server = site.start(&[]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    site.go_away();
    let file = site.trees().remove(0);
    for (minutes, expected) in [(2, (503, Some("1"))), (10, (404, None))] {
        let ago = SystemTime::now() - Duration::from_mins(minutes);
        File::open(&file).unwrap().set_modified(ago).unwrap();
        let mut server = site.start(&["--retain=5m"]);
        let address = server.address();
        server.line_with("the repository cannot be read");
        assert_eq!(retry_after(&get(address, UNKNOWN)), expected);
        assert_eq!(get(address, SCRIPT).status, 200);
        kill(server);
    }
    site.backend.answer(|_| Answer::Git);
    let server = site.start(&[]);
    let age = || file.metadata().unwrap().modified().unwrap().elapsed();
    let until = Instant::now() + DEADLINE;
    while age().is_ok_and(|age| age > Duration::from_mins(1)) {
        assert!(Instant::now() < until, "it is not noted");
    }
    kill(server);
}

#[test]
fn an_unchanged_remote_is_not_fetched_again_after_a_restart() {
    let site = Site::new();
    let mut server = site.start(&[]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    site.backend.take_seen();
    let mut server = site.start(&["--log-level=debug", "--ready-max-age=1h"]);
    let address = server.address();
    server.line_with("the remote has nothing new");
    let seen = site.backend.take_seen();
    assert!(!seen.is_empty());
    assert!(
        !seen
            .iter()
            .any(crate::support::http_backend::Seen::is_fetch)
    );
    let until = Instant::now() + DEADLINE;
    while get(address, "/ready").status != 200 {
        assert!(Instant::now() < until, "never ready");
    }
}

#[test]
fn a_refused_revision_is_refused_again_and_the_last_good_one_served() {
    let site = Site::new();
    let good = site.repo.head();
    let mut server = site.start(&[]);
    server.line_with("published");
    site.stored(1);
    site.repo.commit(&[("broken.yaml", "kind: Profil\n")]);
    server.signal("HUP");
    server.line_with("refused");
    kill(server);
    let mut server = site.start(&[]);
    let address = server.address();
    server.line_with("published from the state directory");
    let line = server.line_with("refused (1 error)");
    assert!(line.contains("still serving"), "{line}");
    server.line_with("broken.yaml:1:");
    let script = get(address, SCRIPT);
    assert_eq!(script.header("x-gitboot-revision"), Some(good.as_str()));
}

#[test]
fn a_damaged_file_is_told_and_not_served() {
    let site = Site::new();
    let mut server = site.start(&[]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    let file = site.trees().remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    site.go_away();
    let mut server = site.start(&[]);
    let address = server.address();
    server.line_with("is not used: it is damaged");
    server.line_with("nothing is published yet");
    assert_eq!(get(address, "/ready").status, 503);
    assert_eq!(retry_after(&get(address, SCRIPT)), (503, Some("5")));
}

#[test]
fn another_ref_gets_nothing_of_this_one() {
    let site = Site::new();
    let mut server = site.start(&[]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    site.go_away();
    for other in ["--ref=main", "--path=x"] {
        let mut server = site.start(&[other]);
        let address = server.address();
        server.line_with("nothing is published yet");
        assert_eq!(get(address, "/ready").status, 503, "{other}");
    }
}

#[test]
fn what_this_version_refuses_is_not_served_from_disk_either() {
    let site = Site::new();
    let (empty, good) = ("# nothing\n", MANIFESTS);
    site.repo.commit(&[("site.yaml", empty)]);
    let mut server = site.start(&["--allow-empty"]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    site.go_away();
    let mut server = site.start(&[]);
    let address = server.address();
    server.line_with("in the state directory is not served: this server refuses it");
    server.line_with("error[empty-tree]");
    server.line_with("nothing is published yet");
    assert_eq!(get(address, "/ready").status, 503);
    site.repo.commit(&[("site.yaml", good)]);
    site.backend.answer(|_| Answer::Git);
    server.signal("HUP");
    server.line_with("published");
    assert_eq!(get(address, "/ready").status, 200);
}

#[test]
fn what_a_signer_signed_who_is_no_longer_trusted_is_not_served_from_disk() {
    let site = Site::new();
    let key = Key::new(site.repo.parent(), "ann", "ed25519");
    key.commit(&site.repo, &[]);
    let list = site.repo.parent().join("allowed_signers");
    std::fs::write(&list, format!("ann {}\n", key.public())).unwrap();
    let signers = format!("--allowed-signers-file={}", list.display());
    let mut server = site.start(&[&signers]);
    server.line_with("published");
    site.stored(1);
    kill(server);
    site.go_away();
    let mut server = site.start(&[&signers]);
    let address = server.address();
    server.line_with("published from the state directory");
    assert_eq!(get(address, "/ready").status, 200);
    kill(server);
    std::fs::write(&list, "# nobody\n").unwrap();
    let mut server = site.start(&[&signers]);
    let address = server.address();
    server.line_with("in the state directory is not served: this server refuses it");
    server.line_with("error[signature]");
    server.line_with("nothing is published yet");
    assert_eq!(get(address, "/ready").status, 503);
}

#[test]
fn a_disk_that_cannot_be_written_is_told_once_and_stops_nothing() {
    let repo = Repository::with_files(&[("site.yaml", MANIFESTS)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut server = Process::start(
        &[
            "serve",
            &format!("--repo={}", repo.path().display()),
            &format!("--state-dir={}", file.join("state").display()),
            "--listen=127.0.0.1:0",
            "--interval=1h",
        ],
        &[],
    );
    let address = server.address();
    server.line_with("cannot be written, so a restart needs the repository");
    server.line_with("published");
    assert_eq!(get(address, SCRIPT).status, 200);
    repo.commit(&[("more.yaml", "# more\n")]);
    server.signal("HUP");
    server.line_with("published");
    assert_eq!(get(address, SCRIPT).status, 200);
    server.signal("INT");
    let ended = server.end();
    assert_eq!(
        ended.log.matches("cannot be written").count(),
        1,
        "{}",
        ended.log
    );
}

#[test]
fn without_a_state_directory_nothing_is_written() {
    let repo = Repository::with_files(&[("site.yaml", MANIFESTS)]);
    let home = tempfile::tempdir().unwrap();
    let home_text = home.path().to_str().unwrap();
    let vars = [("HOME", home_text), ("XDG_STATE_HOME", home_text)];
    let repo_flag = format!("--repo={}", repo.path().display());
    let mut args = vec![
        "serve",
        &repo_flag,
        "--listen=127.0.0.1:0",
        "--state-dir=none",
    ];
    let mut server = Process::start(&args, &vars);
    server.address();
    server.line_with("published");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);

    // With one, the same server does write.
    args.pop();
    let mut server = Process::start(&args, &vars);
    server.address();
    server.line_with("published");
    let state = home.path().join("gitboot");
    let until = Instant::now() + DEADLINE;
    while !state.exists() || trees(&state).len() != 1 {
        assert!(Instant::now() < until, "nothing in {}", state.display());
    }
}
