//! `gitboot render`.

use super::GOOD;
use crate::support::git::Repository;
use crate::support::process::{Ran, run_in};

/// Configs, and no script.
const NO_SCRIPT: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: configs-only}
spec:
  additionalConfig: {motd: hi}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: configs-only}
spec:
  profile: configs-only
  machines: [{serial: SN1}]
";

/// A look-up that only a machine can make fail.
const COMPUTED: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: computed}
spec:
  ipxe: |
    #!ipxe
    echo {{ values.rows[labels.rack] }}
  values: {rows: {r1: one}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: computed}
spec:
  profile: computed
  machines: [{serial: SN2}]
";

fn render(args: &[&str]) -> Ran {
    let files = [
        ("good.yaml", GOOD),
        ("no-script.yaml", NO_SCRIPT),
        ("computed.yaml", COMPUTED),
    ];
    let repo = Repository::with_files(&files);
    run_in(repo.path(), &[&["render"], args].concat(), &[])
}

fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
    Ran {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

const MAC: &str = "--label=mac=52-54-00-AB-CD-EF";

#[test]
fn the_script_and_the_configs_of_a_machine_go_to_stdout() {
    let found = render(&[MAC, "--label=serial=a b"]);
    assert_eq!((found.code, found.stderr.as_str()), (Some(0), ""));
    let (url, rest) = found.stdout.split_once(' ').unwrap();
    assert_eq!(url, "#!ipxe\necho");
    let (url, rest) = rest.split_once(' ').unwrap();
    assert!(url.starts_with("http://gitboot.invalid/config/"), "{url}");
    assert_eq!(rest, "a%20b\n");
    assert_eq!(render(&[MAC, "--config", "motd"]), ran(0, "hello\n", ""));
    let based = render(&[MAC, "--external-url", "https://boot.example/x/"]);
    assert!(
        based
            .stdout
            .starts_with("#!ipxe\necho https://boot.example/x/config/"),
        "{based:?}"
    );
}

#[test]
fn who_gets_nothing_is_told_with_3() {
    let cases: [(&[&str], &str); 5] = [
        (&[], "error: these labels get nothing: unassigned\n"),
        (
            &["--label=mac=52:54:00:ab:cd:ee"],
            "error: these labels get nothing: unassigned\n",
        ),
        (
            &["--label=serial=SN1"],
            "error: Profile `configs-only` has no script\n",
        ),
        (
            &[MAC, "--config", "user-data"],
            "error: Profile `disk` has no config `user-data`\n",
        ),
        (
            &[MAC, "--config", "boot.ipxe"],
            "error: Profile `disk` has no config `boot.ipxe`\n",
        ),
    ];
    for (args, said) in cases {
        assert_eq!(render(args), ran(3, "", said), "{args:?}");
    }
    assert_eq!(
        render(&["--label=serial=SN1", "--config=motd"]),
        ran(0, "hi", "")
    );
}

#[test]
fn what_a_server_would_drop_is_told_and_dropped() {
    let found = render(&[
        MAC,
        "--label=uuid=junk",
        "--label=asset=None",
        "--label=product=",
    ]);
    assert_eq!(found.code, Some(0));
    let lines: Vec<_> = found.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "warning: label `uuid` is dropped: its value is not a UUID",
            "warning: label `asset` is dropped: its value is a placeholder that many machines share",
            "warning: label `product` is dropped: its value is empty",
        ]
    );
    assert_eq!(found.stdout, render(&[MAC]).stdout);
}

#[test]
fn labels_that_a_server_refuses_are_bad_usage() {
    let many: Vec<String> = (0..65).map(|at| format!("--label=k{at}=v")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases: [&[&str]; 5] = [
        &["--label=serial=a", "--label=serialNumber=b"],
        &["--label=buildarch=arm64", "--label=arch=x86_64"],
        &["--label=mac"],
        &["--external-url=ftp://boot.example"],
        &many,
    ];
    for args in cases {
        let found = render(args);
        assert_eq!(found.code, Some(64), "{args:?}: {found:?}");
        assert_eq!(found.stdout, "", "{args:?}");
        assert!(found.stderr.starts_with("error: "), "{found:?}");
    }
    // One value twice is one value.
    let same = render(&["--label=serial=SN1", "--label=serials=SN1", "--config=motd"]);
    assert_eq!(same, ran(0, "hi", ""));
}

#[test]
fn a_look_up_that_fails_at_boot_fails_here() {
    let found = render(&["--label=serial=SN2", "--label=rack=r1"]);
    assert_eq!(found, ran(0, "#!ipxe\necho one\n", ""));
    let found = render(&["--label=serial=SN2", "--label=rack=r2"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    assert!(
        found
            .stderr
            .starts_with("error: the server would answer 500: "),
        "{found:?}"
    );
}

#[test]
fn manifests_with_errors_print_nothing_but_the_errors() {
    let repo = Repository::with_files(&[("good.yaml", GOOD)]);
    repo.write(&[("bad.yaml", "kind: Profil\n")]);
    let validated = run_in(repo.path(), &["validate"], &[]);
    assert_eq!(validated.code, Some(2));
    let found = run_in(repo.path(), &["render", MAC], &[]);
    assert_eq!(found, ran(2, "", &validated.stderr));
    let committed = run_in(repo.path(), &["render", MAC, "--ref=HEAD"], &[]);
    assert_eq!(committed.code, Some(0), "{committed:?}");
    let path = repo.path().to_str().unwrap();
    let remote = run_in(repo.parent(), &["render", MAC, "--repo", path], &[]);
    assert_eq!(remote, committed);
    let missing = run_in(repo.path(), &["render", MAC, "/nonexistent"], &[]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
}

#[test]
fn a_working_tree_has_a_revision_of_its_own() {
    let profile = GOOD.replace("{{ motd }}", "{{ revision }}");
    let repo = Repository::with_files(&[("good.yaml", &profile)]);
    let committed = run_in(repo.path(), &["render", MAC, "--ref=main"], &[]);
    assert_eq!(committed.stdout, format!("#!ipxe\necho {} \n", repo.head()));
    let disk = run_in(repo.path(), &["render", MAC], &[]);
    assert_eq!(disk.stdout, "#!ipxe\necho worktree \n");
}
