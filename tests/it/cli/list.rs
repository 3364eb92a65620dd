//! `gitboot list`.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{GOOD, run, source_tree};
use crate::support::fixture::golden;
use crate::support::git::Repository;
use crate::support::process::{Ran, run_in};

const WHAT: [&str; 3] = ["profiles", "assignments", "machines"];

/// Names of every length, in every alphabet.
const ODD: &str = r#"
apiVersion: v1
kind: List
items:
  - apiVersion: gitboot.dev/v1alpha1
    kind: Profile
    metadata: {name: unused, labels: {title: "日本語", owner: ann}}
    spec: {additionalConfig: {motd: hi, seed: "{}"}}
  - apiVersion: gitboot.dev/v1alpha1
    kind: Assignment
    metadata: {name: a-name-that-is-longer-than-any-column-has-room-for}
    spec:
      profile: disk
      priority: -7
      subjectSelectors: {site: [a, b, c, d], title: "日本"}
      machines:
        - {serial: [SN1, "SN 2"], asset: A1, uuid: 10000000-0000-4000-8000-00000000000a}
        - {name: "機械", mac: "52:54:00:00:00:02"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rest}
spec: {profile: disk, isDefault: true}
"#;

fn check(name: &str, list: impl Fn(&[&str]) -> Ran) {
    let mut text = String::new();
    for what in WHAT {
        for more in [&[][..], &["--format=json"]] {
            let args = [&["list", what], more].concat();
            let ran = list(&args);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
            let _ = write!(text, "$ gitboot {}\n{}\n", args.join(" "), ran.stdout);
        }
    }
    golden(&source_tree().join("tests/golden/list").join(name), &text);
}

#[test]
fn the_example_is_listed() {
    check("example.txt", |args| {
        run(&[args, &["example-repo"]].concat())
    });
}

#[test]
fn everything_is_listed_whatever_it_is_called() {
    let repo = Repository::with_files(&[("good.yaml", GOOD), ("odd.yaml", ODD)]);
    check("odd.txt", |args| run_in(repo.path(), args, &[]));
}

#[test]
fn nothing_is_listed_as_nothing() {
    let repo = Repository::new();
    let list = |args: &[&str]| {
        let ran = run_in(
            repo.path(),
            &[&["list", "--allow-empty"], args].concat(),
            &[],
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        ran.stdout
    };
    assert_eq!(list(&["machines", "--format=json"]), "[\n]\n");
    assert_eq!(
        list(&["machines"]),
        "NAME  ASSIGNMENT  PROFILE  WHERE  IDENTITIES\n"
    );
    let what = run_in(repo.path(), &["list", "everything"], &[]);
    assert_eq!((what.code, what.stdout.as_str()), (Some(64), ""));
}

/// Twenty Assignments of five hundred machines each.
fn many() -> Repository {
    let mut text = GOOD.to_owned();
    for rack in 0..20 {
        let _ = write!(
            text,
            "---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: rack-{rack}}}\n\
             spec:\n  profile: disk\n  machines:\n"
        );
        for number in 0..500 {
            let mac = format!(
                "02:00:00:{rack:02x}:{:02x}:{:02x}",
                number >> 8,
                number & 255
            );
            let _ = writeln!(text, "    - {{name: m-{rack}-{number}, mac: \"{mac}\"}}");
        }
    }
    Repository::with_files(&[("all.yaml", &text)])
}

#[test]
fn all_machines_are_listed_and_a_reader_may_leave_early() {
    let repo = many();
    let list = |format| run_in(repo.path(), &["list", "machines", format], &[]).stdout;
    assert_eq!(list("--format=human").lines().count(), 10_002);
    let machines: Vec<Value> = serde_json::from_str(&list("--format=json")).unwrap();
    assert_eq!(machines.len(), 10_001);
    // More than a pipe holds, and nobody who reads it.
    for format in ["--format=human", "--format=json"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gitboot"))
            .args(["list", "machines", format])
            .current_dir(repo.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), stderr.as_str()), (Some(0), ""));
    }
}
