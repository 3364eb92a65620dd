//! `gitboot validate`.

use super::{GOOD, run};
use crate::support::git::Repository;
use crate::support::process::{Ran, run_in};

const OK: &str = "ok: 1 Profile, 1 Assignment, 1 machine, 1 config\n";

/// An Assignment of a Profile that does not exist, at line 4 of its file.
const BAD: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: bad}
spec: {profile: disc, isDefault: true}
";

/// A Profile that nobody uses: right, but worth a warning.
const UNUSED: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: unused}
spec:
  ipxe: |
    #!ipxe
";

fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
    Ran {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

/// A folder outside any work tree.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    folder
}

#[test]
fn the_example_has_not_even_a_warning() {
    let expected = "ok: 7 Profiles, 6 Assignments, 7 machines, 11 configs\n";
    assert_eq!(
        run(&["validate", "--strict", "example-repo"]),
        ran(0, expected, "")
    );
}

#[test]
fn mistakes_are_told_to_the_letter() {
    let folder = folder(&[("good.yaml", GOOD), ("bad.yaml", BAD)]);
    let expected = "\
bad.yaml:4:17: error[unknown-profile]: Assignment `bad` names Profile `disc`, which does not exist
  |
4 | spec: {profile: disc, isDefault: true}
  |                 ^^^^ no Profile has this name
  |
  = note: 1 Profile is defined: `disk`
  = help: a Profile with a similar name exists: `disk`
error: 1 error in 1 file
";
    let path = folder.path().to_str().unwrap();
    assert_eq!(run(&["validate", path]), ran(2, "", expected));
    assert_eq!(
        run_in(folder.path(), &["validate"], &[]),
        ran(2, "", expected)
    );
}

#[test]
fn programs_get_one_json_document_whatever_is_found() {
    let folder = folder(&[("good.yaml", GOOD)]);
    let found = |args: &[&str]| {
        let found = run_in(
            folder.path(),
            &[&["validate", "--format", "json"], args].concat(),
            &[],
        );
        assert_eq!(found.stderr, "");
        let document: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
        (found.code, document)
    };
    let nothing = serde_json::json!({"errors": 0, "warnings": 0, "diagnostics": []});
    assert_eq!(found(&[]), (Some(0), nothing));

    std::fs::write(folder.path().join("unused.yaml"), UNUSED).unwrap();
    let (code, document) = found(&[]);
    assert_eq!((code, &document["warnings"]), (Some(0), &1.into()));
    assert_eq!(found(&["--strict"]), (Some(2), document));

    std::fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    let (code, document) = found(&[]);
    assert_eq!((code, &document["errors"]), (Some(2), &1.into()));
    let first = &document["diagnostics"][0];
    for (field, expected) in [
        ("severity", "error"),
        ("code", "unknown-profile"),
        ("path", "bad.yaml"),
        (
            "message",
            "Assignment `bad` names Profile `disc`, which does not exist",
        ),
    ] {
        assert_eq!(first[field], expected, "{first}");
    }
    assert_eq!(
        (&first["line"], &first["column"], &first["width"]),
        (&4.into(), &17.into(), &4.into())
    );
}

#[test]
fn warnings_count_only_when_asked_for() {
    let folder = folder(&[("good.yaml", GOOD), ("unused.yaml", UNUSED)]);
    let lenient = run_in(folder.path(), &["validate"], &[]);
    assert_eq!(lenient.code, Some(0));
    assert_eq!(
        lenient.stdout,
        "ok: 2 Profiles, 1 Assignment, 1 machine, 1 config\n"
    );
    assert!(
        lenient.stderr.starts_with("unused.yaml:3:") && lenient.stderr.contains(": warning["),
        "{}",
        lenient.stderr
    );
    assert!(
        lenient.stderr.ends_with("warning: 1 warning in 1 file\n"),
        "{}",
        lenient.stderr
    );
    let strict = run_in(folder.path(), &["validate", "--strict"], &[]);
    assert_eq!(strict, ran(2, "", &lenient.stderr));
}

#[test]
fn a_work_tree_is_what_git_would_take() {
    let repo = Repository::with_files(&[("good.yaml", GOOD), (".gitignore", "/ignored.yaml\n")]);
    let validate = |args: &[&str]| run_in(repo.path(), &[&["validate"], args].concat(), &[]);
    repo.write(&[("ignored.yaml", BAD)]);
    assert_eq!(validate(&[]), ran(0, OK, ""));
    repo.write(&[("untracked.yaml", BAD)]);
    assert_eq!(validate(&[]).code, Some(2));
    assert_eq!(validate(&["--ref", "HEAD"]), ran(0, OK, ""));
    repo.commit(&[]);
    assert_eq!(validate(&["--ref", "HEAD"]).code, Some(2));
    assert_eq!(validate(&["--ref", "HEAD~1", "."]), ran(0, OK, ""));
    repo.write(&[("untracked.yaml", "# nothing\n")]);
    assert_eq!(validate(&[]), ran(0, OK, ""));
}

#[test]
fn a_folder_of_a_work_tree_is_the_served_root() {
    let repo = Repository::with_files(&[("sites/lab/good.yaml", GOOD), ("bad.yaml", BAD)]);
    let path = repo.path().join("sites/lab");
    let path = path.to_str().unwrap();
    assert_eq!(run(&["validate", path]), ran(0, OK, ""));
    assert_eq!(run(&["validate", "--ref", "main", path]), ran(0, OK, ""));
    let whole = repo.path().to_str().unwrap();
    assert_eq!(run(&["validate", whole]).code, Some(2));
    assert_eq!(run(&["validate", "--repo", whole]).code, Some(2));
    for root in ["sites/lab", "/sites/lab/"] {
        let args = ["validate", "--repo", whole, "--path", root];
        assert_eq!(run(&args), ran(0, OK, ""));
    }
    repo.git(&["branch", "old"]);
    repo.commit(&[("sites/lab/bad.yaml", BAD)]);
    let args = ["validate", "--repo", whole, "--path", "sites/lab"];
    assert_eq!(run(&args).code, Some(2));
    assert_eq!(
        run(&[&args[..], &["--ref", "old"]].concat()),
        ran(0, OK, "")
    );
}

#[test]
fn nothing_to_serve_is_a_mistake_unless_it_is_meant() {
    let folder = folder(&[("empty.yaml", "# nothing\n")]);
    let refused = run_in(folder.path(), &["validate"], &[]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("error[empty-tree]: "),
        "{refused:?}"
    );
    let expected = "ok: 0 Profiles, 0 Assignments, 0 machines, 0 configs\n";
    assert_eq!(
        run_in(folder.path(), &["validate", "--allow-empty"], &[]),
        ran(0, expected, "")
    );
}

#[test]
fn what_cannot_be_read_is_a_fault_of_the_world() {
    let repo = Repository::with_files(&[("good.yaml", GOOD)]);
    let path = repo.path().to_str().unwrap();
    for (args, named) in [
        (&["/nonexistent"][..], "/nonexistent"),
        (&["--repo", "/nonexistent"], "/nonexistent"),
        (&["--ref", "nope", path], "nope"),
        (&["--repo", path, "--ref", "nope"], "nope"),
    ] {
        let found = run(&[&["validate"], args].concat());
        assert_eq!(found.code, Some(1), "{args:?}: {found:?}");
        assert!(found.stderr.starts_with("error: "), "{found:?}");
        assert!(found.stderr.contains(named), "{found:?}");
        assert_eq!(found.stderr.lines().count(), 1, "{found:?}");
        assert_eq!(found.stdout, "");
    }
}

#[test]
fn limits_hold_here_as_in_the_server() {
    let folder = folder(&[("good.yaml", GOOD), ("more.yaml", "# nothing\n")]);
    let found = run_in(folder.path(), &["validate", "--max-files=1"], &[]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let found = run_in(folder.path(), &["validate", "--max-yaml-nodes=3"], &[]);
    assert_eq!(found.code, Some(2), "{found:?}");
}

#[test]
fn a_fleet_over_the_limit_is_told_as_one_mistake_and_how_to_split_it() {
    let profile = "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: p}\nspec: {ipxe: '#!ipxe '}\n";
    let fleet = "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {name: a}\nspec:\n  profile: p\n  machines:\n";
    let machines: String = (10..40)
        .map(|n| format!("  - {{name: m{n}, mac: 52:54:00:00:00:{n}}}\n"))
        .collect();
    let folder = folder(&[
        ("p.yaml", profile),
        ("a.yaml", &format!("{fleet}{machines}")),
    ]);
    let found = run_in(folder.path(), &["validate", "--max-yaml-nodes=100"], &[]);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found.stderr.contains("= help: split the file: "),
        "{found:?}"
    );
    assert!(
        found.stderr.ends_with("\nerror: 1 error in 1 file\n"),
        "{found:?}"
    );
}

#[test]
fn the_first_script_is_checked_as_a_server_with_the_same_flag_does() {
    let validate = |script: Option<&str>| {
        let mut files = vec![("good.yaml", GOOD)];
        files.extend(script.map(|script| ("boot.ipxe", script)));
        let folder = folder(&files);
        run_in(
            folder.path(),
            &["validate", "--boot-script=/boot.ipxe"],
            &[],
        )
    };
    assert_eq!(validate(Some("#!ipxe\nchain ipxe?\n")), ran(0, OK, ""));
    let expected = "\
boot.ipxe:1:1: error[not-a-script]: the first script does not start with `#!ipxe` and a newline
  |
  = note: `--boot-script` names it: every machine would get it from `/boot.ipxe`, byte for byte
  = note: iPXE on BIOS machines executes anything else as machine code
  = help: make `#!ipxe` the very first line, with nothing before it
error: 1 error in 1 file
";
    assert_eq!(validate(Some("#!/bin/sh\n")), ran(2, "", expected));
    let expected = "\
error[file-not-found]: `boot.ipxe` does not exist in this revision, and `--boot-script` names it
 |
 = note: `--boot-script` names a file below the served root, which `/boot.ipxe` then answers with
error: 1 error
";
    assert_eq!(validate(None), ran(2, "", expected));
    let folder = folder(&[("good.yaml", GOOD)]);
    let named = run_in(folder.path(), &["validate", "--boot-script=good.yaml"], &[]);
    assert!(
        named.stderr.contains("error[manifest-as-content]"),
        "{}",
        named.stderr
    );
    let bad = run_in(folder.path(), &["validate", "--boot-script=../x"], &[]);
    assert_eq!(bad.code, Some(64), "{}", bad.stderr);
}
