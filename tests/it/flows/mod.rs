//! The systems that gitboot replaces: the flow that each of them documents, step by step, against the real binary and a real
//! repository made of a folder of `tests/flows/`. A golden file holds the whole conversation.

mod diskless;
mod harvester;
mod imported;
mod ironic;
mod shaper;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::support::fixture::golden;
use crate::support::git::Repository;
use crate::support::http::{Client, Response, get};
use crate::support::process::{Process, run_in};

/// What URLs begin with, since the tests' client asks for this host.
const BASE: &str = "http://boot.example";

/// A server that follows a repository of its own, and everything that was said to it.
struct Site {
    repository: Repository,
    server: Process,
    address: SocketAddr,
    transcript: String,
}

impl Site {
    /// Serves a folder of `tests/flows/`, which has to be without a warning.
    fn of(folder: &str) -> Self {
        let ran = run_in(&flows(), &["validate", "--strict", folder], &[]);
        assert_eq!(ran.code, Some(0), "{folder}: {}", ran.stderr);
        Self::serve(Repository::of_folder(&flows().join(folder)), &[])
    }

    /// Serves a repository with more flags.
    fn serve(repository: Repository, flags: &[&str]) -> Self {
        let (server, address) = serve(&repository, flags);
        Self {
            repository,
            server,
            address,
            transcript: String::new(),
        }
    }

    /// Asks, and writes down what was asked and answered.
    fn get(&mut self, target: &str) -> Response {
        let response = get(self.address, target);
        let of = |name| response.header(name).unwrap_or("-");
        writeln!(
            self.transcript,
            "$ curl '{BASE}{target}'\n{} {}, cache {}\n{}",
            response.status,
            of("content-type"),
            of("cache-control"),
            response.text()
        )
        .unwrap();
        response
    }

    /// The text of an answer that has to be 200.
    fn text(&mut self, target: &str) -> String {
        let response = self.get(target);
        assert_eq!(response.status, 200, "{target}: {response:?}");
        response.text().to_owned()
    }

    /// Asks with a header, as clients do that have the bytes already.
    fn get_with(&self, target: &str, header: &str) -> Response {
        Client::connect(self.address).get_with(target, header)
    }

    /// Commits these files and waits until the server has taken or refused them.
    fn push(&mut self, files: &[(&str, &str)], outcome: &str) -> String {
        self.repository.commit(files);
        self.server.signal("HUP");
        self.server.line_with(outcome)
    }

    /// A file of the repository with one text replaced.
    fn edited(&self, path: &str, from: &str, to: &str) -> String {
        let text = std::fs::read_to_string(self.repository.path().join(path)).unwrap();
        assert!(text.contains(from), "no {from:?} in {path}");
        text.replace(from, to)
    }

    /// Compares the conversation with its golden file.
    fn finish(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/flows");
        golden(&path.join(name), &self.transcript);
    }
}

/// A server for a repository, once it has published.
fn serve(repository: &Repository, flags: &[&str]) -> (Process, SocketAddr) {
    let repo = format!("--repo={}", repository.path().display());
    let mut args = vec!["serve", &repo, "--state-dir=none", "--listen=127.0.0.1:0"];
    // Checks come when a test asks for them.
    args.push("--interval=1h");
    args.extend(flags);
    let mut server = Process::start(&args, &[]);
    let address = server.address();
    server.line_with("published");
    (server, address)
}

/// The folder of the flows.
fn flows() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows")
}

/// The path of the URL that follows a text, such as `config_url=`.
fn target_after(script: &str, key: &str) -> String {
    let (_, rest) = script
        .split_once(&format!("{key}{BASE}"))
        .unwrap_or_else(|| panic!("no {key}{BASE} in {script}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// What the first request of a machine is answered with: a script that says who it is. It is the same for everybody, and
/// stands in no transcript.
fn assert_is_first_script(site: &Site) {
    let response = get(site.address, "/boot.ipxe");
    assert_eq!(response.status, 200);
    let text = response.text();
    assert!(text.starts_with("#!ipxe\n"), "{text}");
    for part in [
        "chain --replace",
        "ipxe?",
        "uuid=${uuid}",
        "mac=${mac:hexhyp}",
        "buildarch=${buildarch}",
        "serial.hex=${serial:hexraw}",
        "hostname.hex=${hostname:hexraw}",
        "domain.hex=${domain:hexraw}",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
