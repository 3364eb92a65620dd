//! Every way in which a repository can fail, made to happen to the real binary: its class, what it says of the way out, and
//! how long the remote is left alone.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;

use crate::support::fixture::GOOD;
use crate::support::git::Repository;
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::pki::Authority;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::ssh::Key;
use crate::support::sshd::Sshd;

/// A good repository behind a server that can misbehave, and a folder for whatever a test needs.
struct World {
    repo: Repository,
    server: HttpBackend,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (_, manifests) = GOOD.split_once('\n').unwrap();
        let repo = Repository::with_files(&[("site.yaml", manifests)]);
        let server = HttpBackend::new(repo.parent());
        let folder = tempfile::tempdir().unwrap();
        Self {
            repo,
            server,
            folder,
        }
    }

    fn url(&self) -> String {
        self.server.url("repo/.git")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn start(&self, more: &[&str]) -> Process {
        start(&self.url(), more)
    }
}

fn start(repo: &str, more: &[&str]) -> Process {
    let common = ["serve", "--listen=127.0.0.1:0", "--repo", repo];
    let state: &[&str] = if more.contains(&"--state-dir") {
        &[]
    } else {
        &["--state-dir", "none"]
    };
    Process::start(&[&common, state, more].concat(), &[])
}

/// A server on this repository says why it cannot read it: in this class, in a text with this part.
#[track_caller]
fn fails(repo: &str, more: &[&str], class: &str, part: &str) {
    let mut process = start(repo, more);
    let line = process.line_with("the repository cannot be read: ");
    assert!(line.contains(&format!("class=\"{class}\"")), "{line}");
    assert!(line.contains(part), "{line}");
    assert!(line.contains("; nothing is published yet"), "{line}");
}

/// A server on this repository says why it refuses the commit.
#[track_caller]
fn refuses(repo: &str, more: &[&str], code: &str, part: &str) {
    let mut process = start(repo, more);
    process.line_with("refused (1 error), nothing is published yet");
    let line = process.line_with(&format!("error[{code}]: "));
    assert!(line.contains(part), "{line}");
}

fn fixed(status: u16, headers: &[(&'static str, &str)]) -> Answer {
    Answer::Fixed {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        body: Bytes::new(),
    }
}

#[test]
fn a_name_without_an_address_is_dns() {
    // No domain of this name will ever exist (RFC 6761), with a network or without one.
    for (repo, part) in [
        (
            "http://gitboot.invalid/x",
            "the remote's name cannot be resolved: ",
        ),
        (
            "git://gitboot.invalid/x",
            "the remote's name cannot be resolved: ",
        ),
        (
            "ssh://gitboot.invalid/x",
            "the name `gitboot.invalid` cannot be resolved: ",
        ),
    ] {
        fails(repo, &[], "dns", part);
    }
    let proxy = ["--git-proxy", "http://gitboot.invalid:3128"];
    let part = "the name of the proxy of `--git-proxy` cannot be resolved: ";
    fails("http://127.0.0.1/x", &proxy, "dns", part);
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (scheme, part) in [
        ("http", "the remote cannot be reached: "),
        ("git", "the remote cannot be reached: "),
        ("ssh", "`127.0.0.1` cannot be reached over ssh: "),
    ] {
        fails(&format!("{scheme}://{address}/x"), &[], "refused", part);
    }
}

#[test]
fn a_certificate_that_nobody_trusts_is_tls() {
    let world = World::new();
    let config = Authority::new("Lab CA").issue("127.0.0.1").server(None);
    let server = HttpBackend::with_tls(world.repo.parent(), config);
    let part = "name the certificate of the authority with `--git-ca-file`";
    fails(&server.url("repo/.git"), &[], "tls", part);
}

#[test]
fn missing_credentials_are_auth_with_the_flags_that_bring_some() {
    let world = World::new();
    world.server.answer(|_| fixed(401, &[]));
    let part = "give `--git-username` and `--git-password-file`, or `--git-bearer-token-file`";
    fails(&world.url(), &[], "auth", part);
}

#[test]
fn a_proxy_that_wants_a_login_is_auth_and_named() {
    let world = World::new();
    let authority = Authority::new("Lab CA");
    let config = authority.issue("127.0.0.1").server(None);
    let server = HttpBackend::with_tls(world.repo.parent(), config);
    let ca = world.file("ca.pem", &authority.pem);
    let proxy = Proxy::new(Some("407 Proxy Authentication Required"));
    let flags = ["--git-ca-file", &ca, "--git-proxy", &proxy.url()];
    let part = "the proxy of `--git-proxy` wants a login (407), which is not supported";
    fails(&server.url("repo/.git"), &flags, "auth", part);
    // Over plain http the proxy answers in the remote's place.
    world.server.answer(|_| fixed(407, &[]));
    let flags = ["--git-proxy", &world.server.url("")];
    fails("http://git.invalid/x", &flags, "auth", part);
}

#[test]
fn an_unknown_host_key_is_host_key_with_the_command_that_prints_it() {
    let world = World::new();
    let server = Sshd::new("");
    let known_hosts = world.file("known_hosts", "");
    let key = server.client_key().to_str().unwrap().to_owned();
    let flags = [
        "--git-known-hosts-file",
        &known_hosts,
        "--git-ssh-key-file",
        &key,
    ];
    let url = server.url(world.repo.path());
    let path = std::env::var("PATH").unwrap();
    let args = [
        &[
            "serve",
            "--listen=127.0.0.1:0",
            "--state-dir=none",
            "--repo",
            &url,
        ],
        &flags[..],
    ];
    let mut process = Process::start(&args.concat(), &[("PATH", &path)]);
    let line = process.line_with("class=\"host_key\"");
    assert!(line.contains("`ssh-keyscan -p "), "{line}");
}

#[test]
fn a_missing_repository_and_a_missing_ref_are_told_apart() {
    let world = World::new();
    world.server.answer(|_| fixed(404, &[]));
    let part = "there is no repository at this URL (404)";
    fails(&world.url(), &[], "not_found", part);
    world.server.answer(|_| Answer::Git);
    for repo in [&world.url(), world.repo.path().to_str().unwrap()] {
        fails(repo, &["--ref", "nope"], "ref_not_found", "`nope`");
    }
}

#[test]
fn silence_is_timeout_with_the_flag_that_allows_more() {
    let world = World::new();
    world.server.answer(|_| Answer::Stall(0));
    let flags = ["--git-timeout", "300ms"];
    fails(&world.url(), &flags, "timeout", "`--git-timeout`");
}

#[test]
fn what_is_no_git_server_is_protocol() {
    let world = World::new();
    world
        .server
        .answer(|_| fixed(200, &[("content-type", "text/html")]));
    let part = "answers with `text/html`, not with git's smart protocol; check the repository URL";
    fails(&world.url(), &[], "protocol", part);
}

#[test]
fn a_remote_that_cannot_answer_now_is_server() {
    let world = World::new();
    world.server.answer(|_| fixed(503, &[]));
    let part = "the remote cannot answer now (503)";
    fails(&world.url(), &[], "server", part);
    world.server.answer(|_| fixed(429, &[]));
    let part = "the remote is asked too often (429); raise `--interval`, or log in";
    fails(&world.url(), &[], "server", part);
}

#[test]
fn too_much_is_limit_and_names_it() {
    let world = World::new();
    let part = "more bytes than the limit for one fetch";
    refuses(&world.url(), &["--max-wire-bytes", "100"], "limit", part);
    let part = "limit of 10 bytes";
    refuses(&world.url(), &["--max-file-bytes", "10"], "limit", part);
}

#[test]
fn a_damaged_pack_is_corrupt() {
    let world = World::new();
    world.server.answer(|seen| {
        if seen.is_fetch() {
            Answer::Damaged(150)
        } else {
            Answer::Git
        }
    });
    let part = "what the remote sent cannot be stored: ";
    fails(&world.url(), &[], "corrupt", part);
}

#[test]
fn nowhere_to_write_is_disk_and_names_the_folder() {
    let world = World::new();
    let url = world.url();
    let args = [
        "serve",
        "--listen=127.0.0.1:0",
        "--state-dir=/proc/nope",
        "--repo",
        &url,
    ];
    let mut process = Process::start(&args, &[("TMPDIR", "/proc/nope-either")]);
    let line = process.line_with("class=\"disk\"");
    let part = "cannot make a folder for the fetch in `/proc/nope`: ";
    assert!(line.contains(part), "{line}");
}

#[test]
fn a_commit_that_nobody_signed_is_signature() {
    let world = World::new();
    let key = Key::new(world.folder.path(), "ann", "ed25519");
    let list = world.file("signers", &format!("ann {}\n", key.public()));
    let flags = ["--allowed-signers-file", &list];
    refuses(&world.url(), &flags, "signature", "not signed");
}

#[test]
fn a_path_that_leaves_the_tree_is_content() {
    let world = World::new();
    let blob = world.repo.blob(b"x");
    let tree = world.repo.raw_tree(&[("100644", b"..", &blob)]);
    world.repo.commit_tree(&tree);
    refuses(&world.url(), &[], "content", "`..`");
}

/// The pause in milliseconds that the server says next.
fn pause(process: &mut Process) -> u64 {
    let line = process.line_with("the next check is due");
    let (_, millis) = line.split_once("millis=").unwrap();
    millis.trim().parse().unwrap()
}

const DEBUG: &[&str] = &["--interval=1s", "--log-level=gitboot=debug"];

#[test]
fn a_host_that_refuses_us_or_is_asked_too_often_is_spared() {
    let world = World::new();
    world.server.answer(|_| fixed(401, &[]));
    let mut process = world.start(DEBUG);
    pause(&mut process);
    let mut check = |answer: Answer| {
        world.server.answer(move |_| answer.clone());
        process.signal("HUP");
        pause(&mut process)
    };
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let future = "Thu, 01 Jan 2099 00:00:00 GMT";
    for (answer, least, most) in [
        (fixed(401, &[]), 150_000, 300_000),
        (fixed(403, &[]), 150_000, 300_000),
        (fixed(404, &[]), 30_000, 300_000),
        (fixed(429, &[]), 60_000, 300_000),
        (fixed(429, &[("retry-after", "120")]), 120_000, 300_000),
        (fixed(429, &[("retry-after", past)]), 60_000, 300_000),
        (fixed(429, &[("retry-after", future)]), 270_000, 300_000),
        (fixed(503, &[("retry-after", "100")]), 100_000, 300_000),
        (fixed(503, &[("retry-after", "86400")]), 270_000, 300_000),
    ] {
        let said = format!("{answer:?}");
        let found = check(answer);
        assert!((least..=most).contains(&found), "{found} after {said}");
    }
    // What is asked for is done at once.
    world.server.answer(|_| Answer::Git);
    process.signal("HUP");
    process.line_with("published");
    let regular = pause(&mut process);
    assert!((900..=1100).contains(&regular), "{regular}");
}

#[test]
fn nobody_is_spared_who_does_not_mind() {
    let world = World::new();
    world.server.answer(|_| fixed(503, &[]));
    let mut process = world.start(DEBUG);
    assert_eq!(pause(&mut process), 1000);
    // A repository of this machine locks nobody out.
    let repo = world.repo.path().to_str().unwrap();
    let mut process = start(repo, &[DEBUG, &["--ref=nope"]].concat());
    assert_eq!(pause(&mut process), 1000);
    world.server.answer(|_| Answer::Git);
    let mut process = world.start(&[DEBUG, &["--ref=nope"]].concat());
    process.line_with("class=\"ref_not_found\"");
    let found = pause(&mut process);
    assert!((30_000..=60_000).contains(&found), "{found}");
}

#[test]
fn a_new_password_is_noticed_although_the_old_one_was_refused() {
    let world = World::new();
    let authority = Authority::new("Lab CA");
    let config = authority.issue("127.0.0.1").server(None);
    let server = HttpBackend::with_tls(world.repo.parent(), config);
    // `ann:s3cret` as basic authentication has it.
    server.want("Basic YW5uOnMzY3JldA==");
    let ca = world.file("ca.pem", &authority.pem);
    let password = world.file("password", "old\n");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(Path::new(&password), private).unwrap();
    let flags = [
        "--log-level=gitboot=debug",
        "--git-ca-file",
        &ca,
        "--git-username",
        "ann",
        "--git-password-file",
        &password,
    ];
    let mut process = start(&server.url("repo/.git"), &flags);
    process.line_with("class=\"auth\"");
    let found = pause(&mut process);
    assert!((150_000..=300_000).contains(&found), "{found}");
    server.take_seen();
    world.file("password", "s3cret\n");
    process.line_with("published");
    assert!(
        server
            .take_seen()
            .iter()
            .all(|seen| seen.authorization() == Some("Basic YW5uOnMzY3JldA=="))
    );
}
