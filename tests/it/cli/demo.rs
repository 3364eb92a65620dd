//! `gitboot demo`, done as its banner says.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::source_tree;
use crate::support::git;
use crate::support::http::{Response, get};
use crate::support::process::{Process, run_in};

/// A running demo and what it says first.
struct Demo {
    process: Process,
    banner: String,
    address: SocketAddr,
}

impl Demo {
    fn start(state: &Path) -> Self {
        let banner = state.with_extension("banner");
        let stdout = File::create(&banner).unwrap();
        let state = state.to_str().unwrap();
        let args = ["demo", "--state-dir", state, "--listen=127.0.0.1:0"];
        // git runs on the other side of a push.
        let path = std::env::var("PATH").unwrap();
        let mut process = Process::start_onto(stdout.into(), &args, &[("PATH", &path)]);
        let address = process.address();
        // The banner is written before the first line of the log.
        let banner = std::fs::read_to_string(banner).unwrap();
        Self {
            process,
            banner,
            address,
        }
    }

    /// What curl would get for the banner's line with this text.
    fn curl(&self, text: &str) -> Response {
        let line = self.banner.lines().find(|line| line.contains(text));
        let line = line.unwrap_or_else(|| panic!("no {text} in {}", self.banner));
        let command = line.trim().strip_prefix("curl ").unwrap();
        let url = command.split([' ', '\'']).find(|word| !word.is_empty());
        let base = format!("http://{}", self.address);
        get(self.address, url.unwrap().strip_prefix(&base).unwrap())
    }

    /// The banner's commands from `git clone` to the push.
    fn commands(&self) -> String {
        let lines = self.banner.lines().map(str::trim);
        let lines: Vec<_> = lines
            .skip_while(|line| !line.starts_with("git clone "))
            .take_while(|line| !line.starts_with("curl "))
            .collect();
        assert_eq!(lines.len(), 4, "{}", self.banner);
        lines.join("\n")
    }

    fn stop(self) {
        self.process.signal("INT");
        let ended = self.process.end();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }
}

/// Runs a text as a shell would that knows who commits.
fn shell(folder: &Path, commands: &str) {
    let git = git::command(folder);
    let vars = git.get_envs();
    let vars = vars.filter_map(|(key, value)| Some((key, value?)));
    let mut shell = Command::new("sh");
    shell
        .args(["-e", "-c", commands])
        .current_dir(folder)
        .env_clear()
        .envs(vars);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{commands}: {output:?}");
}

#[test]
fn the_banner_can_be_followed_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut demo = Demo::start(&state);
    assert!(
        demo.banner.contains("(made from the built-in example)"),
        "{}",
        demo.banner
    );
    demo.process.line_with("published");
    assert_eq!(demo.curl("/boot.ipxe").status, 200);
    let node = demo.curl("a node of the Harvester cluster");
    assert!(
        node.text().contains("config_url=http://"),
        "{}",
        node.text()
    );
    let config = demo.curl("its configuration");
    assert!(
        config.text().contains("hostname: hv-2"),
        "{}",
        config.text()
    );
    let old = demo.curl("a machine that nobody assigned");
    assert!(old.text().contains("has no Assignment"), "{}", old.text());

    shell(folder.path(), &demo.commands());
    demo.process.line_with("published");
    let new = demo.curl("a machine that nobody assigned");
    assert!(
        new.text().contains("This machine is new here"),
        "{}",
        new.text()
    );
    assert_ne!(
        new.header("x-gitboot-revision"),
        old.header("x-gitboot-revision")
    );

    let site = folder.path().join("site");
    shell(
        &site,
        "sed -i 's/profile: .*/profile: nobody/' assignments/unknown.yaml\ngit commit -qam Oops\ngit push -q",
    );
    let refused = git::run(&site, &["rev-parse", "--short=7", "HEAD"]);
    let served = git::run(&site, &["rev-parse", "--short=7", "HEAD~1"]);
    let line = demo.process.line_with(" refused ");
    let expected =
        format!("revision {refused} refused (1 error), still serving {served}, published ");
    assert!(line.contains(&expected), "{line}");
    let line = demo.process.line_with("error[");
    let expected = "assignments/unknown.yaml:8:12: error[unknown-profile]: Assignment `unknown-machines` names \
                    Profile `nobody`, which does not exist";
    assert!(line.contains(expected), "{line}");
    assert_eq!(demo.curl("a machine that nobody assigned"), new);

    shell(&site, "git revert --no-edit HEAD\ngit push -q");
    demo.process.line_with("published");
    demo.stop();

    let mut again = Demo::start(&state);
    assert!(
        again.banner.contains("(found from an earlier run)"),
        "{}",
        again.banner
    );
    again.process.line_with("published");
    let found = again.curl("a machine that nobody assigned");
    assert_eq!(found.text(), new.text());
    again.stop();
}

#[test]
fn what_is_made_is_the_example() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("state"));
    let repository = folder.path().join("state/demo.git");
    shell(
        folder.path(),
        &format!("git clone -q {} site", repository.display()),
    );
    let example = source_tree().join("example-repo");
    shell(
        folder.path(),
        &format!("diff -r -x .git '{}' site", example.display()),
    );
    demo.stop();
}

#[test]
fn a_demo_without_a_folder_is_bad_usage() {
    for (args, vars) in [
        (&["demo", "--state-dir=none"][..], &[][..]),
        (&["demo"], &[]),
        (&["demo", "--interval=10ms"], &[("HOME", "/nonexistent")]),
        (&["demo", "--repo=/x"], &[("HOME", "/nonexistent")]),
    ] {
        let ran = run_in(source_tree(), args, vars);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    let ran = run_in(
        source_tree(),
        &["demo", "--state-dir=/dev/null/x", "--listen=127.0.0.1:0"],
        &[],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("/dev/null/x"), "{ran:?}");
}
