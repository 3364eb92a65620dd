//! Keyed ids, signed label queries, and secrets: who gets what, and that nobody else learns of it.

mod commands;
mod keyed;
mod leaks;
mod operations;
mod renewal;
mod search;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::git::Repository;
use crate::support::http::{Response, get};
use crate::support::process::Process;

const KEY: &str = "a key that nobody else has\n";

/// A repository with a server in front of it, and files outside of it.
struct World {
    repo: Repository,
    folder: TempDir,
}

impl World {
    fn new(manifests: &str) -> Self {
        let world = Self {
            repo: Repository::with_files(&[("all.yaml", manifests)]),
            folder: tempfile::tempdir().unwrap(),
        };
        world.write("key", KEY);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in place as a whole.
    fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn key_flag(&self) -> String {
        format!("--id-key-file={}", self.path("key").display())
    }

    fn values_flag(&self) -> String {
        format!("--secret-values-file={}", self.path("values").display())
    }

    /// Starts a server and waits until it has published.
    fn serve(&self, more: &[&str]) -> (Process, SocketAddr) {
        let repo = format!("--repo={}", self.repo.path().display());
        let mut args = vec!["serve", &repo, "--listen=127.0.0.1:0", "--interval=1h"];
        if !more.iter().any(|one| one.starts_with("--state-dir")) {
            args.push("--state-dir=none");
        }
        args.extend(more);
        let mut server = Process::start(&args, &[]);
        let address = server.address();
        published(&mut server);
        (server, address)
    }
}

/// Waits until something is published; other lines may have the word, too.
fn published(server: &mut Process) {
    let is_other =
        |line: &str| line.contains("still serving") || line.contains("nothing is published");
    while is_other(&server.line_with("published")) {}
}

/// The words of a script.
fn words(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{response:?}");
    response
        .text()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The paths of the URLs in a script.
fn targets(address: SocketAddr, query: &str) -> Vec<String> {
    let script = get(address, &format!("/ipxe?{query}"));
    let urls = words(&script).into_iter();
    urls.filter_map(|word| Some(word.strip_prefix("http://boot.example")?.to_owned()))
        .collect()
}
