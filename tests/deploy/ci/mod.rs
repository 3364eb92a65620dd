//! `deploy/ci/`: the shell of both files is run as runners run it, against a real repository and a forge on loopback.

mod forge;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;

use crate::support::git::Repository;
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::pki::Authority;
use forge::{Forge, Kind, robot};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn file(kind: Kind) -> PathBuf {
    root().join(match kind {
        Kind::GitHub => "deploy/ci/github/gitboot.yaml",
        Kind::GitLab => "deploy/ci/gitlab/gitboot.yaml",
    })
}

fn document(kind: Kind) -> Value {
    serde_yaml::from_str(&fs::read_to_string(file(kind)).unwrap()).unwrap()
}

/// The step of this name in a job of the workflow.
fn step(job: &str, name: &str) -> Value {
    let workflow = document(Kind::GitHub);
    let steps = workflow["jobs"][job]["steps"].as_sequence().unwrap();
    let step = steps.iter().find(|step| step["name"] == name);
    step.unwrap_or_else(|| panic!("no step `{name}` in `{job}`"))
        .clone()
}

/// The lines of a job's `script`.
fn script(job: &str) -> String {
    let lines = document(Kind::GitLab)[job]["script"].clone();
    let lines: Vec<String> = serde_yaml::from_value(lines).unwrap();
    lines.join("\n")
}

/// What ran: its exit code, and everything that it printed.
struct Ran(Option<i32>, String);

/// A clone in which a branch is to be merged.
struct Change {
    clone: Repository,
    /// The commit that it starts from.
    base: String,
}

const UNKNOWN: &str = "assignments/unknown.yaml";
const SCRIPT: &str = "scripts/unknown-machine.ipxe";

impl Change {
    fn new() -> Self {
        let clone = Repository::of_folder(&root().join("example-repo"));
        let base = clone.head();
        Self { clone, base }
    }

    /// Replaces a text in a file in a branch of one commit, and merges that, as a forge does to try it.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.before(file);
        assert!(text.contains(from), "{file} has no {from}");
        self.set(file, &text.replace(from, to));
    }

    fn set(&self, file: &str, text: &str) {
        self.clone
            .git(&["checkout", "-q", "-f", "-B", "branch", &self.base]);
        self.clone.commit(&[(file, text)]);
        self.clone
            .git(&["checkout", "-q", "-f", "-B", "merged", &self.base]);
        self.clone
            .git(&["merge", "-q", "--no-ff", "-m", "merge", "branch"]);
    }

    fn undo(&self) {
        self.set(SCRIPT, &self.before(SCRIPT));
    }

    /// A file as it was before the change.
    fn before(&self, file: &str) -> String {
        let text = self.clone.git(&["show", &format!("{}:{file}", self.base)]);
        format!("{text}\n")
    }

    /// Runs a script as GitHub's runner does, which GitLab's does, too, when there is a bash.
    fn run(&self, script: &str, variables: &[(&str, String)]) -> Ran {
        let binary = Path::new(env!("CARGO_BIN_EXE_gitboot")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(self.clone.path())
            .env_clear()
            .env("PATH", path)
            .env("GITBOOT_DIR", ".")
            .env("GITBOOT_SECRET_NAMES", "")
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        Ran(output.status.code(), String::from_utf8(said).unwrap())
    }

    /// Runs the steps of GitHub's job `diff`; of a fork, those that a fork gets.
    fn on_github(&self, forge: &Forge, is_fork: bool) -> String {
        let [summary, output] = ["summary", "output"].map(|name| {
            let file = forge.folder().join(name);
            fs::write(&file, "").unwrap();
            file
        });
        let common = [
            ("GITHUB_STEP_SUMMARY", summary.display().to_string()),
            ("GITHUB_OUTPUT", output.display().to_string()),
        ];
        let compare = step("diff", "Compare");
        let Ran(code, said) = self.run(compare["run"].as_str().unwrap(), &common);
        assert_eq!(code, Some(0), "{said}");
        let comment = step("diff", "Comment");
        assert_eq!(
            comment["if"], "github.event.pull_request.head.repo.full_name == github.repository",
            "a fork's token must not be asked to write"
        );
        if !is_fork {
            let output = fs::read_to_string(output).unwrap();
            let code = output.trim().strip_prefix("code=").unwrap().to_owned();
            assert_eq!(comment["env"]["CODE"], "${{ steps.compare.outputs.code }}");
            assert_eq!(
                comment["env"]["NUMBER"],
                "${{ github.event.pull_request.number }}"
            );
            let variables = [
                ("GH_TOKEN", "secret-token".to_owned()),
                ("CODE", code),
                ("NUMBER", "7".to_owned()),
                ("GITHUB_API_URL", forge.url()),
                ("GITHUB_REPOSITORY", "ann/site".to_owned()),
            ];
            let Ran(code, said) = self.run(comment["run"].as_str().unwrap(), &variables);
            assert_eq!(code, Some(0), "{said}");
            assert!(!said.contains("secret-token"), "{said}");
        }
        fs::read_to_string(summary).unwrap()
    }

    /// Runs GitLab's job `gitboot:diff`; without a token, as a fork does.
    fn on_gitlab(&self, forge: &Forge, is_fork: bool) -> String {
        let mut variables = vec![
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", self.base.clone()),
            ("CI_API_V4_URL", forge.url()),
            ("CI_PROJECT_ID", "3".to_owned()),
            ("CI_MERGE_REQUEST_IID", "7".to_owned()),
        ];
        if !is_fork {
            variables.push(("GITBOOT_GITLAB_TOKEN", "secret-token".to_owned()));
        }
        let Ran(code, said) = self.run(&script("gitboot:diff"), &variables);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("secret-token"), "{said}");
        said
    }
}

#[test]
fn one_comment_says_what_a_change_would_mean_and_is_kept_up_to_date() {
    [Kind::GitHub, Kind::GitLab]
        .into_iter()
        .for_each(keeps_one_comment);
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, told from its beginning to its end"
)]
fn keeps_one_comment(kind: Kind) {
    let (change, forge) = (Change::new(), Forge::new(kind));
    let run = |is_fork| match kind {
        Kind::GitHub => change.on_github(&forge, is_fork),
        Kind::GitLab => change.on_gitlab(&forge, is_fork),
    };
    let (create, update) = match kind {
        Kind::GitHub => (
            "POST /repos/ann/site/issues/7/comments",
            "PATCH /repos/ann/site/issues/comments/1151",
        ),
        Kind::GitLab => (
            "POST /projects/3/merge_requests/7/notes",
            "PUT /projects/3/merge_requests/7/notes/1151",
        ),
    };
    let told = || {
        forge
            .held
            .lock()
            .unwrap()
            .comments
            .last()
            .unwrap()
            .body
            .clone()
    };
    // The talk of people takes more than a page, and one of them imitates us.
    forge.talk("5", 150, "nice");
    forge.talk("5", 1, "<!-- gitboot diff -->\nall is well");

    change.set("notes.txt", "nothing that anybody boots\n");
    let report = run(false);
    assert!(report.contains("nothing differs"), "{report}");
    assert_eq!(forge.changes(), Vec::<String>::new());

    change.edit(SCRIPT, "has no Assignment", "is new here");
    let report = run(true);
    assert!(
        report.contains("+echo This machine is new here."),
        "{report}"
    );
    assert_eq!(
        forge.changes(),
        Vec::<String>::new(),
        "a fork writes nothing"
    );
    run(false);
    assert_eq!(forge.changes(), [create]);
    assert!(told().starts_with("<!-- gitboot diff -->\n"), "{}", told());
    assert!(
        told().contains("+echo This machine is new here."),
        "{}",
        told()
    );

    change.edit(SCRIPT, "has no Assignment", "is newer here");
    run(false);
    assert_eq!(forge.changes(), [update]);
    assert!(
        told().contains("+echo This machine is newer here."),
        "{}",
        told()
    );

    change.edit(UNKNOWN, "profile: unknown-machine", "profile: nobody");
    run(false);
    assert_eq!(forge.changes(), [update]);
    assert!(told().contains("unknown-profile"), "{}", told());

    change.undo();
    run(false);
    assert_eq!(forge.changes(), [update]);
    assert!(!told().contains("unknown-profile"), "{}", told());
    let held = forge.held.lock().unwrap();
    let ours = held
        .comments
        .iter()
        .filter(|comment| comment.author == robot(kind));
    assert_eq!(ours.count(), 1);
}

#[test]
fn mistakes_show_at_their_lines() {
    let change = Change::new();
    change.edit(UNKNOWN, "profile: unknown-machine", "profile: nobody");
    let validate = step("validate", "Validate");
    let Ran(code, said) = change.run(validate["run"].as_str().unwrap(), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.starts_with("::error file=assignments/unknown.yaml,line=8"),
        "{said}"
    );

    let Ran(code, said) = change.run(&script("gitboot:validate"), &[]);
    assert_eq!(code, Some(2), "{said}");
    let report = fs::read(change.clone.path().join("gl-code-quality-report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let [one] = report.as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_eq!(one["check_name"], "unknown-profile");
    assert_eq!(one["severity"], "blocker");
    assert_eq!(
        one["location"],
        serde_json::json!({"path": UNKNOWN, "lines": {"begin": 8}})
    );
    assert!(
        one["fingerprint"]
            .as_str()
            .is_some_and(|text| text.len() > 20),
        "{one}"
    );
    assert!(
        one["description"].as_str().unwrap().contains("`nobody`"),
        "{one}"
    );

    change.undo();
    let Ran(code, said) = change.run(validate["run"].as_str().unwrap(), &[]);
    assert_eq!(code, Some(0), "{said}");
    let Ran(code, said) = change.run(&script("gitboot:validate"), &[]);
    assert_eq!(code, Some(0), "{said}");
    let report = fs::read(change.clone.path().join("gl-code-quality-report.json")).unwrap();
    assert_eq!(report, b"[]\n");
}

#[test]
fn code_scanning_gets_what_it_can_read() {
    let (change, forge) = (Change::new(), Forge::new(Kind::GitHub));
    change.edit(UNKNOWN, "profile: unknown-machine", "profile: nobody");
    let upload = step("validate", "Upload to code scanning");
    let condition = upload["if"].as_str().unwrap();
    assert!(
        condition.contains("head.repo.full_name == github.repository"),
        "{condition}"
    );
    let variables = [
        ("GH_TOKEN", "secret-token".to_owned()),
        ("GITHUB_API_URL", forge.url()),
        ("GITHUB_REPOSITORY", "ann/site".to_owned()),
        ("GITHUB_SHA", change.clone.head()),
        ("GITHUB_REF", "refs/pull/7/merge".to_owned()),
    ];
    let Ran(code, said) = change.run(upload["run"].as_str().unwrap(), &variables);
    assert_eq!(code, Some(0), "{said}");
    let held = forge.held.lock().unwrap();
    let [scan] = held.scans.as_slice() else {
        panic!("{:?}", held.scans);
    };
    assert_eq!(scan["commit_sha"], change.clone.head());
    assert_eq!(scan["ref"], "refs/pull/7/merge");
    let packed = scan["sarif"].as_str().unwrap();
    let unpacked = change.run(
        "base64 --decode <<< \"$PACKED\" | gunzip",
        &[("PACKED", packed.to_owned())],
    );
    let document: serde_json::Value = serde_json::from_str(&unpacked.1).unwrap();
    assert_eq!(
        document["runs"][0]["results"][0]["ruleId"],
        "unknown-profile"
    );
}

#[test]
fn the_program_is_installed_only_when_its_digest_is_right() {
    let change = Change::new();
    let authority = Authority::new("Downloads");
    let tls = authority.issue("127.0.0.1").server(None);
    let host = HttpBackend::with_tls(change.clone.parent(), tls);
    host.answer(|_| Answer::Fixed {
        status: 200,
        headers: Vec::new(),
        body: "#!/bin/sh\necho installed\n".into(),
    });
    let folder = change.clone.parent();
    fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    let install = step("validate", "Install gitboot");
    for job in ["diff", "deployed"] {
        assert_eq!(step(job, "Install gitboot"), install, "{job}");
    }
    let install = format!(
        "{}\n\"$RUNNER_TEMP/bin/gitboot\"",
        install["run"].as_str().unwrap()
    );
    let run = |digest: &str| {
        let variables = [
            ("RUNNER_TEMP", folder.join("temp").display().to_string()),
            ("GITHUB_PATH", folder.join("path").display().to_string()),
            (
                "CURL_CA_BUNDLE",
                folder.join("ca.pem").display().to_string(),
            ),
            ("GITBOOT_URL", host.url("gitboot")),
            ("GITBOOT_SHA256", digest.to_owned()),
        ];
        change.run(&install, &variables)
    };
    let digest = change
        .run(
            "printf '#!/bin/sh\\necho installed\\n' | sha256sum | cut -d' ' -f1",
            &[],
        )
        .1;
    let Ran(code, said) = run(digest.trim());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("installed\n"), "{said}");
    for wrong in [
        "",
        &digest.trim().replace(|c: char| c.is_ascii_digit(), "0"),
    ] {
        let Ran(code, said) = run(wrong);
        assert_eq!(code, Some(1), "{said}");
        assert!(!said.contains("installed"), "{said}");
    }
}

#[test]
fn the_job_after_the_merge_waits_for_each_server() {
    let change = Change::new();
    let wait = step("deployed", "Wait until it is served");
    for (script, variable) in [
        (wait["run"].as_str().unwrap().to_owned(), "GITHUB_SHA"),
        (script("gitboot:deployed"), "CI_COMMIT_SHA"),
    ] {
        let variables = [
            (
                "GITBOOT_SERVERS",
                "http://127.0.0.1:1 http://127.0.0.1:2".to_owned(),
            ),
            (variable, change.base.clone()),
        ];
        let shown = script.replace("gitboot wait", "echo gitboot wait");
        let Ran(code, said) = change.run(&shown, &variables);
        let expected = format!(
            "gitboot wait --server http://127.0.0.1:1 --server http://127.0.0.1:2 --revision {} --timeout 5m\n",
            change.base
        );
        assert_eq!((code, said), (Some(0), expected));
        // The program takes these arguments.
        let Ran(code, said) = change.run(&script.replace("5m", "1s"), &variables);
        assert_eq!(code, Some(1), "{said}");
    }
}

/// All shell of both files, without what the forge puts in before a shell sees it.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    let workflow = document(Kind::GitHub);
    for (name, job) in workflow["jobs"].as_mapping().unwrap() {
        for step in job["steps"].as_sequence().unwrap() {
            if let Some(run) = step["run"].as_str() {
                assert_eq!(step["shell"], "bash");
                scripts.push((format!("{name:?} {:?}", step["name"]), run.to_owned()));
            }
        }
    }
    for (name, job) in document(Kind::GitLab).as_mapping().unwrap() {
        for part in ["before_script", "script"] {
            for run in job[part].as_sequence().into_iter().flatten() {
                scripts.push((format!("{name:?} {part}"), run.as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(scripts.len(), 13);
    scripts
}

#[test]
fn scripts_are_shell_and_nothing_of_a_stranger_is_put_into_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in scripts() {
        assert!(
            !script.contains("${{"),
            "{name}: an expression would be read as shell"
        );
        let file = folder.path().join("script");
        fs::write(&file, format!("#!/bin/bash\n{script}")).unwrap();
        let output = Command::new("shellcheck").arg(&file).output();
        let output = output.expect("shellcheck is installed: apt-get install shellcheck");
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn jobs_may_do_no_more_than_they_have_to() {
    let workflow = document(Kind::GitHub);
    assert_eq!(
        workflow["permissions"],
        serde_yaml::from_str::<Value>("{}").unwrap()
    );
    let may = |job: &str| serde_yaml::to_string(&workflow["jobs"][job]["permissions"]).unwrap();
    assert_eq!(may("validate"), "contents: read\nsecurity-events: write\n");
    assert_eq!(may("diff"), "contents: read\npull-requests: write\n");
    assert_eq!(may("deployed"), "{}\n");
    let events: Vec<_> = workflow["on"].as_mapping().unwrap().keys().collect();
    assert_eq!(events, ["pull_request", "push"]);
    for (name, job) in workflow["jobs"].as_mapping().unwrap() {
        for step in job["steps"].as_sequence().unwrap() {
            let Some(uses) = step["uses"].as_str() else {
                continue;
            };
            let (_, pin) = uses.split_once('@').unwrap();
            assert!(
                pin.len() == 40 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name:?}: {uses}"
            );
            assert_eq!(step["with"]["persist-credentials"], false, "{name:?}");
        }
    }
}

#[test]
fn the_forges_know_every_field() {
    let tools = root().join("target/tools/check-jsonschema");
    for (kind, schema) in [
        (Kind::GitHub, "vendor.github-workflows"),
        (Kind::GitLab, "vendor.gitlab-ci"),
    ] {
        let output = Command::new("python3")
            .args(["-m", "check_jsonschema", "--builtin-schema", schema])
            .arg(file(kind))
            .env("PYTHONPATH", &tools)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            ".ci/run puts check-jsonschema into {}: {}",
            tools.display(),
            String::from_utf8_lossy(&said)
        );
    }
}
