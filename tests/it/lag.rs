//! Replicas that are not where others are: what they say to a config id that they do not know.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use gitboot::publish::{Absence, Failure, Moment, Publisher};
use gitboot::snapshot::Snapshot;
use gitboot::source::{Check, Remote, Settings};
use gitboot::state::{Key, State};
use gitboot::tree::{Limits, Revision, Tree};

use crate::support::git::Repository;
use crate::support::http::{Client, DEADLINE, get};
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::process::Process;

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel vmlinuz ignition.config.url={{ ignition }} ds=nocloud;s={{ config_dir }}
    boot
  additionalConfig: {ignition: '{\"x\": \"one\"}'}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: worker, isDefault: true}
";

const UNKNOWN: &str = "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad";
const UNKNOWN_DIR: &str = "/content/47c6da67-7477-8970-aa03-84e48ff4f6ad/a=b/x";

struct Site {
    repo: Repository,
    backend: HttpBackend,
}

/// Status, `Retry-After`.
type Said = (u16, Option<String>);

const NOT_FOUND: (u16, Option<&str>) = (404, None);
const UNCHECKED: (u16, Option<&str>) = (503, Some("1"));
const MISSED: (u16, Option<&str>) = (503, Some("2"));

impl Site {
    fn new() -> Self {
        let repo = Repository::with_files(&[("site.yaml", MANIFESTS)]);
        let backend = HttpBackend::new(repo.parent());
        Self { repo, backend }
    }

    fn url(&self) -> String {
        self.backend.url("repo/.git")
    }

    fn start(&self, more: &[&str]) -> Process {
        let repo = format!("--repo={}", self.url());
        let common = ["serve", &repo, "--listen=127.0.0.1:0", "--interval=1h"];
        let state: &[&str] = if more.iter().any(|flag| flag.starts_with("--state-dir")) {
            &[]
        } else {
            &["--state-dir=none"]
        };
        Process::start(&[&common, state, more].concat(), &[])
    }

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

    /// How often the remote was asked since the last call.
    fn asked(&self) -> usize {
        let is_listing = |body: &Bytes| body.windows(15).any(|part| part == b"command=ls-refs");
        let seen = self.backend.take_seen();
        seen.iter().filter(|seen| is_listing(&seen.body)).count()
    }

    /// The tree of the branch's tip.
    fn tree(&self) -> Tree {
        let mut remote = Remote::new(Settings::new(self.url().parse().unwrap())).unwrap();
        match remote.check(None, &AtomicBool::new(false)).unwrap() {
            Check::Changed(tree) => tree,
            other => panic!("{other:?}"),
        }
    }
}

fn said(address: std::net::SocketAddr, target: &str) -> Said {
    let response = get(address, target);
    let retry_after = response.header("retry-after").map(ToOwned::to_owned);
    (response.status, retry_after)
}

#[track_caller]
fn expect(address: std::net::SocketAddr, target: &str, (status, retry): (u16, Option<&str>)) {
    assert_eq!(
        said(address, target),
        (status, retry.map(ToOwned::to_owned))
    );
}

/// Asks until this is the answer.
#[track_caller]
fn expect_soon(address: std::net::SocketAddr, target: &str, (status, retry): (u16, Option<&str>)) {
    let until = Instant::now() + DEADLINE;
    let wanted = (status, retry.map(ToOwned::to_owned));
    while said(address, target) != wanted {
        assert!(Instant::now() < until, "{:?}", said(address, target));
    }
}

/// What happened to a server, and what it means then that nobody there knows an id.
#[test]
fn what_an_unknown_id_means() {
    const RETAIN: Duration = Duration::from_mins(15);
    let (mut publisher, current) = Publisher::new(RETAIN);
    let start = Moment::now();
    let after = |seconds| Moment {
        instant: start.instant + Duration::from_secs(seconds),
        wall: start.wall + Duration::from_secs(seconds),
    };
    let absence = |seconds| current.load().absence(after(seconds).instant);
    let snapshot = || Snapshot::new(Revision::new("r"), 0, Vec::new(), [].into(), [].into());
    let failure = Arc::new(Failure {
        class: "refused",
        message: String::new(),
    });

    publisher.restore(snapshot(), start, start);
    assert_eq!(absence(0), Absence::Known);
    // Before its first answer the remote may be away for as long as after one.
    publisher.fail(Arc::clone(&failure), after(1));
    assert_eq!([absence(1), absence(899)], [Absence::Away; 2]);
    assert_eq!(absence(901), Absence::Gone);
    publisher.unchanged(after(1000));
    assert_eq!(absence(1000), Absence::Known);
    publisher.fail(Arc::clone(&failure), after(1100));
    assert_eq!(absence(1899), Absence::Away);
    assert_eq!(absence(1900), Absence::Gone);
    publisher.missed(Duration::ZERO, after(2000));
    publisher.publish(snapshot(), after(2000));
    assert_eq!([absence(2000), absence(2899)], [Absence::Missed; 2]);
    assert_eq!(absence(2900), Absence::Known);
    publisher.fail(failure, after(2100));
    assert_eq!(absence(2899), Absence::Away);
    assert_eq!(absence(2900), Absence::Gone);
    // An older gap does not shorten the time after a younger one.
    publisher.unchanged(after(2200));
    publisher.missed(Duration::from_secs(800), after(2200));
    assert_eq!(absence(2899), Absence::Missed);
    publisher.missed(Duration::from_secs(899), after(2999));
    assert_eq!(absence(2999), Absence::Missed);
    assert_eq!(absence(3000), Absence::Known);

    let (mut publisher, current) = Publisher::new(Duration::ZERO);
    publisher.missed(Duration::ZERO, start);
    publisher.publish(snapshot(), start);
    assert_eq!(current.load().absence(start.instant), Absence::Known);
}

#[test]
fn a_replica_that_lags_serves_what_another_handed_out() {
    let site = Site::new();
    let mut replicas = [site.start(&[]), site.start(&[])];
    let [first, second] = replicas.each_mut().map(|replica| {
        let address = replica.address();
        replica.line_with("published");
        address
    });
    for text in ["two", "three"] {
        site.push(text);
        replicas[0].signal("HUP");
        replicas[0].line_with("published");
        let script = get(first, "/ipxe?serial=x");
        let (_, url) = script
            .text()
            .split_once("config.url=http://boot.example")
            .unwrap();
        let url = url.split_whitespace().next().unwrap();
        let asked = Instant::now();
        let response = get(second, url);
        let body = format!("{{\"x\": \"{text}\"}}");
        assert_eq!((response.status, response.text()), (200, body.as_str()));
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        let (_, dir) = script.text().split_once(";s=http://boot.example").unwrap();
        let dir = dir.split_whitespace().next().unwrap();
        assert_eq!(get(second, &format!("{dir}ignition")).text(), body);
        // The one that is ahead knows what the other handed out before.
        assert_eq!(get(second, "/ipxe?serial=x").text(), script.text());
    }
}

#[test]
fn only_a_server_that_has_missed_nothing_says_404() {
    let site = Site::new();
    // Nobody can know what was handed out before the start.
    let mut server = site.start(&[]);
    let address = server.address();
    server.line_with("published");
    expect(address, UNKNOWN, MISSED);
    expect(address, UNKNOWN_DIR, MISSED);
    site.go_away();
    server.signal("HUP");
    server.line_with("the repository cannot be read");
    expect(address, UNKNOWN, UNCHECKED);

    // After `--retain` nobody asks for it any more.
    site.backend.answer(|_| Answer::Git);
    let mut server = site.start(&["--retain=1s"]);
    let address = server.address();
    server.line_with("published");
    expect_soon(address, UNKNOWN, NOT_FOUND);
    site.go_away();
    server.signal("HUP");
    server.line_with("the repository cannot be read");
    expect_soon(address, UNKNOWN, NOT_FOUND);
    expect(address, "/v1/boot/52-54-00-00-00-01/nope", NOT_FOUND);
}

#[test]
fn without_retention_an_unknown_id_is_404_once_the_check_has_ended() {
    let site = Site::new();
    let mut server = site.start(&["--retain=0"]);
    let address = server.address();
    server.line_with("published");
    site.asked();
    expect(address, UNKNOWN, NOT_FOUND);
    assert_eq!(site.asked(), 1);
    let mut client = Client::connect(address);
    client.send(format!("HEAD {UNKNOWN_DIR} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.head().status, 404);
    assert_eq!(site.asked(), 1);
    for target in [
        "/config/junk",
        "/v1/boot/52-54-00-00-00-01/nope",
        "/nothing",
    ] {
        expect(address, target, NOT_FOUND);
    }
    assert_eq!(site.asked(), 0);

    // A revision that is refused is an answer of the remote, too.
    site.repo.commit(&[("broken.yaml", "kind: Profil\n")]);
    expect(address, UNKNOWN, NOT_FOUND);
    server.line_with("refused");
    site.go_away();
    expect(address, UNKNOWN, NOT_FOUND);
    server.line_with("the repository cannot be read");
    site.asked();
    expect(address, UNKNOWN, NOT_FOUND);
}

#[test]
fn a_check_that_takes_too_long_is_not_waited_for() {
    let site = Site::new();
    let mut server = site.start(&["--retain=0"]);
    let address = server.address();
    server.line_with("published");
    site.backend.answer(|_| Answer::Stall(0));
    let asked = Instant::now();
    expect(address, UNKNOWN, UNCHECKED);
    assert!(asked.elapsed() >= Duration::from_secs(2));
    let known = get(address, "/ipxe?serial=x");
    assert_eq!(known.status, 200);
}

#[test]
fn a_gap_between_commits_may_hide_ids_that_others_handed_out() {
    let site = Site::new();
    let folder = tempfile::tempdir().unwrap();
    let key = Key {
        repo: site.url(),
        reference: None,
        path: None,
    };
    // A server that has been running for hours.
    let hours_ago = SystemTime::now() - Duration::from_hours(2);
    State::new(
        folder.path().to_owned(),
        key,
        Limits::default(),
        Duration::ZERO,
    )
    .save(&site.tree(), hours_ago)
    .unwrap();
    let state = format!("--state-dir={}", folder.path().display());
    let mut server = site.start(&[&state]);
    let address = server.address();
    server.line_with("published from the state directory");
    expect(address, UNKNOWN, NOT_FOUND);

    site.push("two");
    server.signal("HUP");
    server.line_with("published");
    expect(address, UNKNOWN, NOT_FOUND);

    site.push("three");
    site.push("four");
    site.push("five");
    server.signal("HUP");
    server.line_with("published");
    expect(address, UNKNOWN, MISSED);
}

#[test]
fn the_first_parent_of_a_commit_is_known_without_its_history() {
    let site = Site::new();
    assert_eq!(site.tree().parent(), None);
    let first = site.repo.head();
    site.repo.git(&["checkout", "-q", "-b", "side"]);
    site.push("side");
    site.repo.git(&["checkout", "-q", "main"]);
    site.repo
        .git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let tree = site.tree();
    assert_eq!(tree.parent().map(ToString::to_string), Some(first));
    let object = String::from_utf8(tree.commit().unwrap().raw.to_vec()).unwrap();
    assert_eq!(object.matches("\nparent ").count(), 2, "{object}");
}

#[test]
fn a_stranger_with_random_ids_cannot_make_the_server_hammer_the_remote() {
    let site = Site::new();
    let mut server = site.start(&["--retain=0"]);
    let address = server.address();
    server.line_with("published");
    assert_eq!(site.asked(), 1);
    let started = Instant::now();
    let strangers: Vec<_> = (0..8_u32)
        .map(|stranger| {
            std::thread::spawn(move || {
                for number in 0_u32.. {
                    let target =
                        format!("/config/{stranger:08x}-{number:04x}-8000-8000-000000000000");
                    let asked = Instant::now();
                    match said(address, &target) {
                        (404, None) => {}
                        // A check that takes long lets go of the request after two seconds; the spent budget at once.
                        (503, Some(_)) if asked.elapsed() >= Duration::from_secs(1) => {}
                        (503, Some(_)) => return,
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    for stranger in strangers {
        stranger.join().unwrap();
    }
    // One a second at most, and ten in all.
    assert!(
        started.elapsed() >= Duration::from_secs(9),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(site.asked(), 10);
    expect(address, UNKNOWN, UNCHECKED);
    assert_eq!(site.asked(), 0);

    // Whoever knows better is heard all the same.
    site.push("two");
    server.signal("HUP");
    server.line_with("published");
    assert_eq!(site.asked(), 1);
}
