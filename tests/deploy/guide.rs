//! `deploy/README.md`: its commands, run in a clone of the example beside a server that serves it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::git::{self, Repository};
use crate::support::process::Process;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text() -> String {
    fs::read_to_string(root().join("deploy/README.md")).unwrap()
}

/// The block of the guide in this language under this name.
fn block(language: &str, name: &str) -> String {
    let text = text();
    let fence = format!("\n```{language} {name}\n");
    let mut found = text.split(&fence).skip(1);
    let block = found.next().unwrap_or_else(|| panic!("no block `{name}`"));
    assert_eq!(found.next(), None, "two blocks `{name}`");
    block.split("\n```").next().unwrap().to_owned()
}

/// A clone of the example, the repository it was cloned from, and a server that looks there each second.
struct Site {
    remote: Repository,
    clone: PathBuf,
    boot: String,
    ops: String,
    _server: Process,
}

impl Site {
    fn new() -> Self {
        let first = Repository::of_folder(&root().join("example-repo"));
        let remote = Repository::bare();
        first.push(remote.path(), "main");
        git::run(remote.parent(), &["clone", "-q", "repo.git", "site"]);
        let clone = remote.parent().join("site");
        for (key, value) in [("user.name", "Ann"), ("user.email", "ann@example.com")] {
            git::run(&clone, &["config", key, value]);
        }
        let mut server = Process::start(
            &[
                "serve",
                &format!("--repo={}", remote.path().display()),
                "--state-dir=none",
                "--interval=1s",
                "--listen=127.0.0.1:0",
                "--ops-listen=127.0.0.1:0",
            ],
            &[],
        );
        let boot = format!("http://{}", server.address());
        let ops = format!("http://{}", server.operations());
        Self {
            remote,
            clone,
            boot,
            ops,
            _server: server,
        }
    }

    /// Runs the block of this name. Returns what it printed, after every line that the guide shows was found in it.
    #[track_caller]
    fn run(&self, name: &str) -> String {
        let binary = Path::new(env!("CARGO_BIN_EXE_gitboot")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &block("sh", name)])
            .current_dir(&self.clone)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.remote.parent())
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("BOOT", &self.boot)
            .env("OPS", &self.ops)
            .env("REPO", self.remote.path())
            .env("MIRROR", self.remote.parent().join("mirror.git"))
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{name}: {said}");
        if text().contains(&format!("\n```text {name}\n")) {
            for line in block("text", name).lines() {
                assert!(said.contains(line), "{name}: no {line:?} in {said}");
            }
        }
        said
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.clone.join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }
}

#[test]
fn a_revert_rolls_back() {
    let site = Site::new();
    site.edit("sites/lab.yaml", "mirror.lab", "wrong.lab");
    git::run(&site.clone, &["commit", "-q", "-a", "-m", "wrong"]);
    git::run(&site.clone, &["push", "-q"]);
    // Its `diff` ends with another code when anybody gets something else.
    site.run("rollback");
    let served = git::run(site.remote.path(), &["show", "main:sites/lab.yaml"]);
    assert!(served.contains("mirror.lab"), "{served}");
}

#[test]
fn an_installed_machine_boots_its_disk_after_a_commit() {
    let site = Site::new();
    let said = site.run("install");
    assert!(said.contains("exit 1"), "{said}");
    assert!(
        said.contains("1 of 7 machines and 0 of 8 classes"),
        "{said}"
    );
}

#[test]
fn a_stage_selects_less_and_wins() {
    let said = Site::new().run("stages");
    assert!(said.contains("next.lab.example"), "{said}");
    assert!(said.contains("0 of 7 machines and"), "{said}");
}

#[test]
fn sites_share_a_repository() {
    let said = Site::new().run("sites");
    assert!(said.contains("site=berlin"), "{said}");
    assert!(
        said.contains("0 of 7 machines and 8 of 36 classes"),
        "{said}"
    );
}

#[test]
fn a_folder_is_a_site() {
    let said = Site::new().run("folders");
    assert!(said.contains("hv-2"), "{said}");
}

#[test]
fn a_mirror_is_a_remote() {
    let said = Site::new().run("recovery");
    assert!(said.contains("ok: 7 Profiles"), "{said}");
}

/// Links of the guides lead somewhere.
#[test]
fn links_lead_somewhere() {
    for (file, folder) in [
        ("deploy/README.md", "deploy"),
        ("deploy/ci/README.md", "deploy/ci"),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        for part in text.split("](").skip(1) {
            let (link, _) = part.split_once(')').unwrap();
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = root().join(folder).join(path);
            let is_file = !path.is_empty() && !path.ends_with('/');
            assert!(!is_file || target.exists(), "{file}: {link}");
            if !anchor.is_empty() {
                let target = if path.is_empty() {
                    root().join(file)
                } else {
                    target
                };
                let text = fs::read_to_string(target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| slug(line) == anchor), "{file}: {link}");
            }
        }
    }
}

/// What GitHub makes of a heading.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
