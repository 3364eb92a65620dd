//! TLS as an operator meets it: flags, log lines, and the recipe of the README.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::support::fixture::GOOD;
use crate::support::git::Repository;
use crate::support::http::{DEADLINE, get};
use crate::support::pki::{Authority, Identity};
use crate::support::process::Process;
use crate::support::readme;

/// A repository with something to serve, and beside it a certificate with its root.
struct World {
    repository: Repository,
    authority: Authority,
}

impl World {
    fn new() -> Self {
        let (_, manifests) = GOOD.split_once('\n').unwrap();
        let world = Self {
            repository: Repository::with_files(&[("good.yaml", manifests)]),
            authority: Authority::new("Lab CA"),
        };
        world.show(&world.authority.issue("boot.example"));
        world
    }

    fn folder(&self) -> &Path {
        self.repository.parent()
    }

    fn show(&self, pair: &Identity) {
        let chain = format!("{}{}", pair.certificate, self.authority.pem);
        fs::write(self.folder().join("tls.crt"), chain).unwrap();
        fs::write(self.folder().join("tls.key"), &pair.key).unwrap();
    }

    fn file(&self, flag: &str, name: &str) -> String {
        format!("--tls-{flag}-file={}", self.folder().join(name).display())
    }

    fn start(&self, more: &[&str]) -> Process {
        let repo = format!("--repo={}", self.repository.path().display());
        let all = ["serve", &repo, "--state-dir=none", "--listen=127.0.0.1:0"];
        Process::start(&[&all, more].concat(), &[])
    }

    /// With a listener for TLS.
    fn start_tls(&self, more: &[&str]) -> Process {
        let [cert, key] = [self.file("cert", "tls.crt"), self.file("key", "tls.key")];
        let tls = ["--tls-listen=127.0.0.1:0", &cert, &key];
        self.start(&[&tls, more].concat())
    }
}

/// The addresses for http and https.
fn addresses(server: &mut Process) -> (SocketAddr, SocketAddr) {
    let plain = server.address();
    let line = server.line_with("listening on https://");
    let (_, address) = line.split_once("https://").unwrap();
    (plain, address.parse().unwrap())
}

/// What curl gets, with more arguments.
fn curl(
    folder: &Path,
    args: &[&str],
    address: SocketAddr,
    host: &str,
    path: &str,
) -> (bool, String) {
    let port = address.port();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", &DEADLINE.as_secs().to_string()])
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .args(args)
        .arg(format!("https://{host}:{port}{path}"))
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn flags_that_do_not_go_together_end_with_64() {
    let world = World::new();
    let [cert, key, ca] = [
        world.file("cert", "tls.crt"),
        world.file("key", "tls.key"),
        world.file("client-ca", "tls.crt"),
    ];
    let listen = "--tls-listen=127.0.0.1:0";
    let both = [listen, &cert, &key];
    let with = |more: &[&'static str]| -> Vec<String> {
        both.iter().chain(more).map(ToString::to_string).collect()
    };
    let all = |args: &[&str]| -> Vec<String> { args.iter().map(ToString::to_string).collect() };
    let pair = "`--tls-listen` needs `--tls-cert-file` and `--tls-key-file`";
    let unused = "flags that start with `--tls-` are for `--tls-listen`, which is not given";
    let mut lone_ca = with(&[]);
    lone_ca.push(ca.clone());
    let cases = [
        (all(&[listen]), pair),
        (all(&[listen, &cert]), pair),
        (all(&[listen, &key]), pair),
        (all(&[&cert, &key]), unused),
        (all(&[&ca, "--tls-client-auth=required"]), unused),
        (
            with(&["--tls-client-auth=required"]),
            "`--tls-client-auth` needs `--tls-client-ca-file`",
        ),
        (
            with(&["--tls-client-auth=optional"]),
            "`--tls-client-auth` needs `--tls-client-ca-file`",
        ),
        (lone_ca, "`--tls-client-ca-file` needs `--tls-client-auth`"),
        (
            with(&["--tls-client-label=mac"]),
            "`--tls-client-label` needs `--tls-client-auth required`",
        ),
        (
            with(&["--tls-client-auth=none", "--tls-client-label=mac"]),
            "`--tls-client-label` needs",
        ),
        (
            with(&["--tls-client-label=hostname"]),
            "invalid value 'hostname' for '--tls-client-label <KEY>'",
        ),
        (
            with(&["--tls-client-auth=maybe"]),
            "invalid value 'maybe' for '--tls-client-auth <WHO>'",
        ),
    ];
    for (args, expected) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = world.start(&args).end();
        assert_eq!(ended.code, Some(64), "{args:?}: {}", ended.log);
        assert!(ended.log.contains(expected), "{args:?}: {}", ended.log);
    }
}

#[test]
fn files_that_cannot_be_used_end_the_start() {
    let world = World::new();
    fs::write(
        world.folder().join("tls.key"),
        world.authority.issue("x").key,
    )
    .unwrap();
    let ended = world.start_tls(&[]).end();
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    let path = world.folder().join("tls.key");
    let said = format!(
        "error: `--tls-key-file` (`{}`) does not belong to the certificate of `--tls-cert-file`",
        path.display()
    );
    assert!(ended.log.ends_with(&said), "{}", ended.log);
    fs::remove_file(&path).unwrap();
    let ended = world.start_tls(&[]).end();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let said = format!(
        "error: `--tls-key-file` (`{}`) cannot be read: No such file",
        path.display()
    );
    assert!(ended.log.contains(&said), "{}", ended.log);
    fs::create_dir(&path).unwrap();
    let ended = world.start_tls(&[]).end();
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    assert!(
        ended.log.contains("is no file; name a file in PEM"),
        "{}",
        ended.log
    );
}

#[test]
fn a_taken_address_is_named_with_its_own_flag() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--tls-listen={}", taken.local_addr().unwrap());
    let [cert, key] = [world.file("cert", "tls.crt"), world.file("key", "tls.key")];
    let ended = world.start(&[&listen, &cert, &key]).end();
    assert_eq!(ended.code, Some(1));
    let said =
        "the address is in use; stop what listens there or choose another with `--tls-listen`";
    assert!(ended.log.ends_with(said), "{}", ended.log);
}

#[test]
fn the_log_says_what_is_shown_and_why_something_else_is_not() {
    let world = World::new();
    fs::write(world.folder().join("ca.crt"), &world.authority.pem).unwrap();
    let mut server = world.start_tls(&[]);
    server.line_with(
        " WARN everybody on this machine may read the private key of `--tls-key-file` (`",
    );
    let line = server.line_with(" INFO TLS certificate loaded ");
    assert!(
        line.ends_with("names=\"boot.example\" not_after=4096-01-01T00:00:00Z certificates=2"),
        "{line}"
    );
    let (plain, address) = addresses(&mut server);
    server.line_with("published");
    assert_eq!(get(plain, "/health").text(), "ok\n");
    let health = || {
        curl(
            world.folder(),
            &["--cacert", "ca.crt"],
            address,
            "boot.example",
            "/health",
        )
    };
    assert_eq!(health(), (true, "ok\n".to_owned()));

    // Half of a new pair: noticed by itself, told once, and without effect.
    let next = world.authority.issue("boot.example");
    let key = world.folder().join("tls.key");
    fs::write(&key, &next.key).unwrap();
    let line = server.line_with(" WARN the TLS certificate stays as it was: ");
    let said = format!(
        "`--tls-key-file` (`{}`) does not belong to the certificate of `--tls-cert-file`",
        key.display()
    );
    assert!(line.ends_with(&said), "{line}");
    assert_eq!(health(), (true, "ok\n".to_owned()));
    let expired = world.authority.issue_expired("boot.example");
    world.show(&expired);
    server.signal("HUP");
    let line = server.line_with(" WARN the TLS certificate stays as it was: ");
    assert!(
        line.ends_with("has expired at 2002-01-01T00:00:00Z"),
        "{line}"
    );
    world.show(&next);
    server.signal("HUP");
    server.line_with(" INFO TLS certificate loaded again ");
    assert_eq!(health(), (true, "ok\n".to_owned()));

    // A leaf alone is shown, and told.
    fs::write(world.folder().join("tls.crt"), &next.certificate).unwrap();
    server.line_with("so append the root");

    // Whoever does not speak TLS is told about once.
    assert!(
        !curl(
            world.folder(),
            &["--tls-max", "1.1"],
            address,
            "boot.example",
            "/"
        )
        .0
    );
    let line = server.line_with(" WARN TLS handshake failed: ");
    assert!(line.contains("client=127.0.0.1"), "{line}");
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("PRIVATE"), "{}", ended.log);
    assert_eq!(
        ended.log.matches(" does not belong to ").count(),
        1,
        "{}",
        ended.log
    );
}

#[test]
fn the_recipe_of_the_readme_makes_a_machine_that_is_nobody_else() {
    let world = World::new();
    let folder = world.folder();
    fs::write(
        folder.join("repo/good.yaml"),
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: p}\nspec: {ipxe: \"#!ipxe\\necho {{ machine.name }}\\n\"}\n---\n\
         apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {name: a}\nspec:\n  profile: p\n  machines:\n  \
         - {name: hv-2, mac: \"52:54:00:00:03:02\"}\n  - {name: hv-3, mac: \"52:54:00:00:03:03\"}\n",
    )
    .unwrap();
    world.repository.git(&["commit", "-qam", "two machines"]);
    let recipe = readme::block_with("sh", "openssl req -x509");
    let output = Command::new("sh")
        .args(["-e", "-c", &recipe])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let command = readme::block_with("sh", "--tls-client-label mac").replace("\\\n", " ");
    let flags: Vec<&str> = command
        .split_whitespace()
        .skip_while(|word| *word != "--tls-cert-file")
        .collect();
    let flags: Vec<String> = flags
        .iter()
        .map(|word| match folder.join(word) {
            path if path.is_file() => path.display().to_string(),
            _ => (*word).to_owned(),
        })
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut server = world.start(&[&["--tls-listen=127.0.0.1:0"], &*flags].concat());
    let (plain, address) = addresses(&mut server);
    server.line_with("published");
    let host = "boot.lab.example";
    let machine = [
        "--cacert",
        "ca.crt",
        "--cert",
        "machine.crt",
        "--key",
        "machine.key",
    ];
    let own = (true, "#!ipxe\necho hv-2\n".to_owned());
    for path in [
        "/ipxe",
        "/ipxe?mac=52:54:00:00:03:03",
        "/ipxe/52:54:00:00:03:02",
    ] {
        assert_eq!(curl(folder, &machine, address, host, path), own, "{path}");
    }
    let line = server.line_with("answered");
    assert!(
        line.contains("mac=\"52:54:00:00:03:02\" machine=\"hv-2\""),
        "{line}"
    );
    let other = curl(folder, &machine, address, host, "/ipxe/52:54:00:00:03:03");
    assert_eq!(other, (true, "not found\n".to_owned()));
    server.line_with("reason=\"other_machine\"");
    assert!(!curl(folder, &machine[..2], address, host, "/ipxe").0);
    assert_eq!(get(plain, "/ipxe?mac=52:54:00:00:03:02").status, 403);
    server.line_with("status=403 reason=\"no_client_certificate\"");
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
}
