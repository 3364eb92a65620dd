//! The hook and the CI jobs of the README, run as they stand there: a push that is wrong is refused with our diagnostics.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::source_tree;
use crate::support::git::{Repository, command};
use crate::support::readme;

const BINARY: &str = env!("CARGO_BIN_EXE_gitboot");

/// What git says about a push that the hook refuses.
const MISTAKE: &str = "\
remote: assignments/unknown.yaml:8:12: error[unknown-profile]: Assignment `unknown-machines` names Profile `nobody`, which does not exist
remote:   |
remote: 8 |   profile: nobody
remote:   |            ^^^^^^ no Profile has this name
";

/// A `PATH` on which the program is found.
fn path() -> String {
    let folder = Path::new(BINARY).parent().unwrap().display();
    format!("{folder}:{}", std::env::var("PATH").unwrap())
}

/// A clone with a commit of the example that is not pushed yet, and the repository with the README's hook.
fn clone_and_remote() -> (Repository, Repository) {
    let remote = Repository::bare();
    let hook = remote.path().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        readme::block_with("sh", "gitboot validate --repo . --ref \"$new\""),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let clone = Repository::new();
    clone.take(&source_tree().join("example-repo"));
    clone.commit(&[]);
    clone.git(&[
        "remote",
        "add",
        "origin",
        &remote.path().display().to_string(),
    ]);
    (clone, remote)
}

/// Names a Profile that does not exist.
fn make_a_mistake(clone: &Repository) -> String {
    let path = clone.path().join("assignments/unknown.yaml");
    let text = fs::read_to_string(path).unwrap();
    let wrong = text.replace("profile: unknown-machine\n", "profile: nobody\n");
    assert_ne!(text, wrong);
    clone.commit(&[("assignments/unknown.yaml", &wrong)])
}

/// Pushes: whether it was taken, and what was said, without the blanks that git puts after what the remote says.
fn push(clone: &Repository, arguments: &[&str]) -> (bool, String) {
    let output = command(clone.path())
        .env("PATH", path())
        .args(["push", "origin"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let lines = said.lines().map(|line| format!("{}\n", line.trim_end()));
    (output.status.success(), lines.collect())
}

#[test]
fn the_hook_refuses_what_the_server_would_refuse() {
    let (clone, remote) = clone_and_remote();
    let (is_taken, said) = push(&clone, &["main"]);
    assert!(is_taken, "{said}");
    assert!(said.contains("remote: ok: 7 Profiles, "), "{said}");
    let good = remote.git(&["rev-parse", "main"]);
    assert_eq!(good, clone.head());

    let bad = make_a_mistake(&clone);
    let (is_taken, said) = push(&clone, &["main"]);
    assert!(!is_taken && said.contains(MISTAKE), "{said}");
    assert!(
        said.contains("remote: error: 1 error in 1 file\n"),
        "{said}"
    );
    assert!(said.contains("(pre-receive hook declined)"), "{said}");
    assert_eq!(remote.git(&["rev-parse", "main"]), good);
    // A push of enough objects to come as a pack is no other case.
    let many: Vec<_> = (0..150)
        .map(|n| (format!("docs/{n}.txt"), format!("{n}\n")))
        .collect();
    let many: Vec<_> = many
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    clone.commit(&many);
    let (is_taken, said) = push(&clone, &["main"]);
    assert!(!is_taken && said.contains(MISTAKE), "{said}");

    clone.git(&["reset", "-q", "--hard", &good]);
    clone.commit(&many);
    let (is_taken, said) = push(&clone, &["main"]);
    assert!(is_taken, "{said}");
    assert_ne!(clone.head(), bad);
}

#[test]
fn the_hook_leaves_everything_else_alone() {
    let (clone, remote) = clone_and_remote();
    assert!(push(&clone, &["main"]).0);
    let good = clone.head();
    make_a_mistake(&clone);
    clone.git(&["tag", "-a", "-m", "no", "v1"]);
    // What is not served may be wrong: work in progress, tags, other branches.
    let (is_taken, said) = push(&clone, &["HEAD:refs/heads/draft", "v1"]);
    assert!(is_taken && !said.contains("remote:"), "{said}");
    // Not even by a commit that the repository has by now.
    let (is_taken, said) = push(&clone, &["HEAD:main"]);
    assert!(!is_taken && said.contains(MISTAKE), "{said}");
    // Of several refs, one that is wrong refuses the push.
    let (is_taken, _) = push(&clone, &["HEAD:refs/heads/other", "HEAD:main"]);
    assert!(!is_taken);
    assert!(push(&clone, &["--delete", "draft"]).0);
    remote.git(&["config", "receive.denyDeleteCurrent", "ignore"]);
    assert!(push(&clone, &["--delete", "main"]).0);
    assert!(push(&clone, &[&format!("{good}:refs/heads/main")]).0);
    assert_eq!(
        remote.git(&["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main\nrefs/tags/v1"
    );
}

#[test]
fn every_command_sees_what_is_pushed_but_not_from_another_repository() {
    let (clone, remote) = clone_and_remote();
    let other = Repository::with_files(&[("good.yaml", super::GOOD)]);
    let hook = format!(
        "#!/bin/sh\nread -r old new ref\ngitboot validate --ref \"$new\" . || exit 3\n\
         gitboot render --repo . --ref \"$new\" --label mac=52:54:00:00:09:99 || exit 4\n\
         gitboot validate --repo {0} --ref main || exit 5\n\
         gitboot validate --repo {0} --ref \"$new\" && exit 6\nexit 0\n",
        other.path().display()
    );
    fs::write(remote.path().join("hooks/pre-receive"), hook).unwrap();
    let (is_taken, said) = push(&clone, &["main"]);
    assert!(is_taken, "{said}");
    assert!(said.contains("remote: #!ipxe\n"), "{said}");
    assert!(
        said.contains("the repository has no branch, tag or commit"),
        "{said}"
    );
}

/// The shell lines of the README's CI job that stands below this line, each as its runner runs it: in a shell that stops at
/// the first failure.
fn ci(first_line: &str, folder: &Path) -> Vec<(Option<i32>, String)> {
    let job: serde_yaml::Value =
        serde_yaml::from_str(&readme::block_with("yaml", first_line)).unwrap();
    let job = &job["validate"]
        .as_mapping()
        .map_or(&job["jobs"]["validate"], |_| &job["validate"]);
    let steps = job["steps"].as_sequence().into_iter().flatten();
    let runs = steps.filter_map(|step| step["run"].as_str());
    let script = job["script"].as_sequence().into_iter().flatten();
    let lines: Vec<&str> = runs
        .chain(script.filter_map(|line| line.as_str()))
        .collect();
    assert!(!lines.is_empty(), "{first_line}");
    let ran = lines.into_iter().map(|line| {
        let output = Command::new("bash")
            .args(["-e", "-c", line])
            .current_dir(folder)
            .env("PATH", path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    });
    ran.collect()
}

#[test]
fn the_ci_jobs_fail_for_a_mistake_and_pass_without() {
    let (clone, _) = clone_and_remote();
    let github = "# .github/workflows/gitboot.yaml";
    let gitlab = "# .gitlab-ci.yml";
    // The jobs are part of the repository that they check.
    clone.commit(&[
        (
            ".github/workflows/gitboot.yaml",
            &readme::block_with("yaml", github),
        ),
        (".gitlab-ci.yml", &readme::block_with("yaml", gitlab)),
    ]);
    for job in [github, gitlab] {
        for (code, said) in ci(job, clone.path()) {
            assert_eq!(code, Some(0), "{job}: {said}");
        }
    }
    make_a_mistake(&clone);
    let [(code, said)] = &ci(github, clone.path())[..] else {
        panic!("one step");
    };
    assert_eq!(*code, Some(2), "{said}");
    assert!(
        said.starts_with("::error file=assignments/unknown.yaml,line=8,col=12,endLine=8,"),
        "{said}"
    );
    let [(code, said)] = &ci(gitlab, clone.path())[..] else {
        panic!("one step");
    };
    assert_eq!(*code, Some(2), "{said}");
    assert!(
        said.starts_with("assignments/unknown.yaml:8:12: error[unknown-profile]: "),
        "{said}"
    );
}

#[test]
fn the_sarif_step_leaves_a_document_to_upload() {
    let (clone, _) = clone_and_remote();
    make_a_mistake(&clone);
    let steps: serde_yaml::Value = serde_yaml::from_str(&readme::block_with(
        "yaml",
        "github/codeql-action/upload-sarif",
    ))
    .unwrap();
    let line = steps[0]["run"].as_str().unwrap();
    let file = steps[1]["with"]["sarif_file"].as_str().unwrap();
    let status = Command::new("bash")
        .args(["-e", "-c", line])
        .current_dir(clone.path())
        .env("PATH", path())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
    let document = fs::read_to_string(clone.path().join(file)).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        document["runs"][0]["results"][0]["ruleId"],
        "unknown-profile"
    );
}
