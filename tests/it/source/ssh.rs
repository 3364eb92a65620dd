//! Repositories of a real sshd.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gitboot::source::{Check, Credentials, ErrorClass, Remote, Settings};

use super::{check, check_with, failure, listing, settings};
use crate::support::git::Repository;
use crate::support::sshd::{Sshd, keygen};

/// Far longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

/// A repository with one file, a server, and copies of its keys that a test may change.
struct World {
    work: Repository,
    server: Sshd,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with_options("AcceptEnv GIT_PROTOCOL")
    }

    fn with_options(options: &str) -> Self {
        let world = Self {
            work: Repository::with_files(&[("n", "1")]),
            server: Sshd::new(options),
            folder: tempfile::tempdir().unwrap(),
        };
        world.put_key(&world.server.client_key());
        world.put_known_hosts(&world.server.known_host());
        world
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("a key")
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known hosts")
    }

    fn put_key(&self, from: &Path) {
        // A copy keeps the permissions.
        fs::copy(from, self.key()).unwrap();
    }

    fn put_known_hosts(&self, text: &str) {
        fs::write(self.known_hosts(), text).unwrap();
    }

    fn url(&self) -> String {
        self.server.url(self.work.path())
    }

    fn settings(&self, url: &str) -> Settings {
        Settings {
            credentials: Credentials {
                ssh_key_file: Some(self.key()),
                known_hosts_file: Some(self.known_hosts()),
                ..Credentials::default()
            },
            state_dir: Some(self.folder.path().join("state")),
            ..settings(url)
        }
    }

    fn remote(&self) -> Remote {
        Remote::new(self.settings(&self.url())).unwrap()
    }

    /// Nothing of ours is left, neither files nor processes, but the store that the next fetch builds on.
    fn assert_tidy(&self) {
        let state = self.folder.path().join("state");
        let names = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let left = names.filter(|name| !name.to_string_lossy().starts_with("gitboot-fetch-"));
        assert_eq!(left.count(), 0);
        assert_eq!(self.processes(), Vec::<String>::new());
    }

    /// The command lines of every `ssh` of this world.
    fn processes(&self) -> Vec<String> {
        let ours = self.folder.path().to_str().unwrap();
        let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(ours).then_some(line)
        });
        lines.collect()
    }
}

fn class_and_text(remote: &mut Remote) -> (ErrorClass, String) {
    let error = check_with(remote, None).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn a_server_is_followed_with_either_protocol() {
    for options in ["AcceptEnv GIT_PROTOCOL", ""] {
        let world = World::with_options(options);
        let mut remote = world.remote();
        let mut known: Option<String> = None;
        for n in 1..4 {
            let head = world.work.commit(&[("n", &n.to_string())]);
            let Check::Changed(tree) = check_with(&mut remote, known.as_deref()).unwrap() else {
                panic!("unchanged at {n}");
            };
            assert_eq!(listing(&tree), format!("n: {n}"));
            assert_eq!(tree.revision().as_str(), head);
            let unchanged = check_with(&mut remote, Some(&head)).unwrap();
            assert!(matches!(unchanged, Check::Unchanged(_)));
            known = Some(head);
        }
        world.assert_tidy();
    }
}

#[test]
fn a_large_fetch_arrives_whole() {
    let world = World::new();
    let noise: String = (0..400_000_u32)
        .map(|n| char::from(b'a' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 28).unwrap()))
        .collect();
    world.work.commit(&[("noise", &noise)]);
    let tree = check(world.settings(&world.url())).unwrap();
    assert_eq!(tree.file(&super::path("noise")).unwrap(), noise.as_str());
}

#[test]
fn what_the_server_does_not_have_is_told_apart() {
    let world = World::new();
    let (class, message) = failure(check(world.settings(&format!("{}-none", world.url()))));
    assert_eq!(class, ErrorClass::NotFound, "{message}");
    let prefix = "there is no repository at this path: fatal: '";
    assert!(message.starts_with(prefix), "{message}");
    let (class, message) = failure(check(Settings {
        reference: Some("none".to_owned()),
        ..world.settings(&world.url())
    }));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
    world.assert_tidy();
}

#[test]
fn a_key_is_read_again_at_every_attempt() {
    let world = World::new();
    let mut remote = world.remote();
    let path = world.key();
    let shown = path.display();
    let other = world.folder.path().join("other");
    keygen(&other);

    world.put_key(&other);
    let denied = format!(
        "`127.0.0.1` does not accept the key of `--git-ssh-key-file` (`{shown}`); is its public half registered there, \
         and is the user name right"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::Auth, denied));

    fs::write(&path, "s3cret").unwrap();
    let unusable = format!(
        "the key of `--git-ssh-key-file` (`{shown}`) is not a private key that ssh can read"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::Auth, unusable));

    fs::remove_file(&path).unwrap();
    let missing = format!(
        "the key of `--git-ssh-key-file` (`{shown}`) cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::Auth, missing));

    world.put_key(&world.server.client_key());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = format!(
        "ssh does not use the key of `--git-ssh-key-file` (`{shown}`), because others can read it; \
         `chmod 600 {shown}` mends that"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::Auth, open));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = check_with(&mut remote, None).unwrap();
    assert!(matches!(found, Check::Changed(_)));
    world.assert_tidy();
}

#[test]
fn a_host_key_is_always_checked() {
    let world = World::new();
    let mut remote = world.remote();
    let file = world.known_hosts();
    let file = format!("`--git-known-hosts-file` (`{}`)", file.display());
    let port = world.url();
    let port = port.rsplit(':').next().unwrap().split('/').next().unwrap();
    let scan = format!("`ssh-keyscan -p {port} 127.0.0.1` prints it");

    world.put_known_hosts("");
    let unknown = format!(
        "the host key of `127.0.0.1` is not in {file}; {scan}, to be added after its fingerprint was compared"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::HostKey, unknown));

    let other = keygen(&world.folder.path().join("other"));
    world.put_known_hosts(&format!("[127.0.0.1]:{port} {other}"));
    let changed = format!(
        "the host key of `127.0.0.1` is another than the one in {file}: somebody may be in between, or the host has a \
         new key; {scan}, to replace the old one after its fingerprint was compared"
    );
    assert_eq!(class_and_text(&mut remote), (ErrorClass::HostKey, changed));

    fs::remove_file(world.known_hosts()).unwrap();
    let (class, message) = class_and_text(&mut remote);
    assert_eq!(class, ErrorClass::HostKey, "{message}");
    assert!(message.contains("No such file"), "{message}");

    world.put_known_hosts(&world.server.known_host());
    let found = check_with(&mut remote, None).unwrap();
    assert!(matches!(found, Check::Changed(_)));
    world.assert_tidy();
}

#[test]
fn a_server_that_is_away_silent_or_something_else_is_told_apart() {
    let world = World::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("ssh://{}/x", listener.local_addr().unwrap());
    let quick = || Settings {
        git_timeout: Duration::from_millis(700),
        ..world.settings(&url)
    };
    let started = Instant::now();
    let found = failure(check(quick()));
    let message = "the remote did not finish within `--git-timeout`";
    assert_eq!(found, (ErrorClass::Timeout, message.to_owned()));
    assert!(started.elapsed() < LONG);
    world.assert_tidy();

    let (silent, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        let check = scope.spawn(|| failure(check(world.settings(&url))));
        let (stream, _) = listener.accept().unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n\0\0\0\0".repeat(1000);
        // The client may leave before it has read everything.
        let _ = std::io::Write::write_all(&mut &stream, &answer);
        drop(stream);
        let (class, message) = check.join().unwrap();
        assert_eq!(class, ErrorClass::Protocol, "{message}");
    });
    drop((silent, listener));
    let (class, message) = failure(check(world.settings(&url)));
    assert_eq!(class, ErrorClass::Refused, "{message}");
    assert!(message.contains("Connection refused"), "{message}");
    world.assert_tidy();
}

#[test]
fn a_server_that_hangs_after_the_login_is_left_and_its_process_killed() {
    let world = World::new();
    world.server.force("cat >/dev/null");
    let started = Instant::now();
    let found = failure(check(Settings {
        git_timeout: Duration::from_millis(900),
        ..world.settings(&world.url())
    }));
    let message = "the remote did not finish within `--git-timeout`";
    assert_eq!(found, (ErrorClass::Timeout, message.to_owned()));
    assert!(started.elapsed() < LONG);
    world.assert_tidy();

    let mut remote = world.remote();
    let interrupt = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let check = scope.spawn(|| remote.check(None, &interrupt));
        while world.processes().is_empty() {
            assert!(started.elapsed() < LONG);
            std::thread::yield_now();
        }
        interrupt.store(true, Ordering::Relaxed);
        let error = check.join().unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Interrupted);
    });
    assert!(started.elapsed() < LONG);
    world.assert_tidy();
}

#[test]
fn a_server_whose_command_fails_is_quoted() {
    let world = World::new();
    world
        .server
        .force("echo 'ERROR: the project could not be found' >&2; exit 1");
    let found = failure(check(world.settings(&world.url())));
    let message = "there is no repository at this path: ERROR: the project could not be found";
    assert_eq!(found, (ErrorClass::NotFound, message.to_owned()));
    world.assert_tidy();
}
