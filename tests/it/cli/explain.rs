//! `gitboot explain`.

use gitboot::explain::Report;
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::BaseUrl;
use serde_json::{Value, json};

use super::{GOOD, run, source_tree};
use crate::support::fixture::{golden, snapshot};
use crate::support::git::Repository;
use crate::support::process::{Ran, run_in};

/// One Assignment for each rule that ranks, and one for each way to miss.
const FLEET: &str = r##"
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo {{ values.a | tojson }} {{ values.net.dns }} {{ values.rows[labels.rack] }}
  values: {a: 1, net: {dns: none, ntp: pool}, rows: {"": none, r1: one}}
  valuesFrom: [{file: base.yaml}]
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: configs-only}
spec:
  additionalConfig: {motd: "hi {{ labels.serial | sh }}", seed: {inline: "{}", contentType: application/json}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: for-arm, labels: {os: talos, assignment/ipxe-buildarch: arm64, assignment/ipxe-board: x}}
spec: {ipxe: "#!ipxe\necho arm\n"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: for-x86, labels: {os: talos, assignment/ipxe-buildarch: x86_64}}
spec: {ipxe: "#!ipxe\necho x86\n"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: both}
spec:
  profile: disk
  priority: 5
  subjectSelectors: {site: [lab, prod, test, spare]}
  machines:
    - {name: x0, serial: SN0}
    - {name: x1, mac: "52:54:00:00:00:01", uuid: 10000000-0000-4000-8000-00000000000a, values: {a: [3], net: {dns: mine}}}
    - {mac: "52:54:00:00:00:02"}
  values: {a: 2, extra: "one\ttwo"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: fewer-keys}
spec: {profile: disk, priority: 5, machines: [{mac: "52:54:00:00:00:01"}]}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: lower}
spec: {profile: disk, machines: [{mac: "52:54:00:00:00:01"}]}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: by-uuid}
spec: {profile: disk, priority: 1, machines: [{uuid: 10000000-0000-4000-8000-00000000000b}]}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: by-mac}
spec: {profile: disk, priority: 1, machines: [{mac: "52:54:00:00:00:0b"}, {mac: "52:54:00:00:00:0c"}]}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: by-asset-and-site}
spec: {profile: configs-only, subjectSelectors: {asset: A1, site: lab}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: talos}
spec: {profileSelectors: {os: talos}, subjectSelectors: {product: Board 7}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec: {profile: disk, subjectSelectors: {rack: r1, site: lab}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: room}
spec: {profile: disk, subjectSelectors: {room: "7", site: lab}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rest}
spec: {profile: disk, isDefault: true, subjectSelectors: {platform: [efi, pcbios]}}
"##;

fn fleet() -> Repository {
    let base = "a: 0\nnet:\n  dns: 192.0.2.53\n  ntp: {}\n";
    Repository::with_files(&[("fleet.yaml", FLEET), ("base.yaml", base)])
}

fn explain(repo: &Repository, args: &[&str]) -> Ran {
    run_in(repo.path(), &[&["explain"], args].concat(), &[])
}

/// Holds what commands print to a golden file.
fn check(name: &str, runs: impl Iterator<Item = (String, Ran)>) {
    let mut text = String::new();
    for (args, ran) in runs {
        let code = ran.code.unwrap();
        text.push_str(&format!("$ gitboot explain {args}\n{}", ran.stdout));
        let stderr = ran.stderr.lines().map(|line| format!("! {line}\n"));
        text.push_str(&format!(
            "{}exit code {code}\n\n",
            stderr.collect::<String>()
        ));
    }
    golden(
        &source_tree().join("tests/golden/explain").join(name),
        &text,
    );
}

const M1: &str = "--label=mac=52:54:00:00:00:01";

#[test]
fn everything_that_ranks_is_explained() {
    let repo = fleet();
    let cases: [&[&str]; 7] = [
        // Keys, priority, tier; labels of every kind.
        &[
            M1,
            "--label=site=lab",
            "--label=rack=r1",
            "--label=platform=efi",
            "--label=serial=None",
        ],
        // Identity, the order of MACs.
        &[
            "--label=mac=52-54-00-00-00-0C",
            "--label=uuid={10000000-0000-4000-8000-00000000000B}",
            "--label=mac=5254.0000.000b",
        ],
        &[
            "--label=mac=52:54:00:00:00:0c",
            "--label=mac=52:54:00:00:00:0b",
        ],
        // The name.
        &["--label=rack=r1", "--label=room=7", "--label=site=lab"],
        // The Profile by the machine's own label.
        &["--label=product=Board 7", "--label=arch=amd64"],
        // Configs without a script.
        &[
            "--label=asset=A1",
            "--label=site=lab",
            "--label=serial=it's",
        ],
        // What only this machine makes fail.
        &["--label=platform=efi", "--label=rack=r2"],
    ];
    let runs = cases
        .iter()
        .map(|args| (args.join(" "), explain(&repo, args)));
    check("ranks.txt", runs);
}

#[test]
fn everything_that_nearly_matches_is_explained() {
    let repo = fleet();
    let cases: [&[&str]; 7] = [
        &[],
        &["--label=site=lab"],
        &[M1, "--label=site=elsewhere"],
        &[
            M1,
            "--label=uuid=10000000-0000-4000-8000-0000000000ff",
            "--label=platform=efi",
        ],
        &[
            "--label=serial=SN0",
            "--label=mac=junk",
            "--label=mac=00:00:00:00:00:00",
            "--label=x\u{7}=1",
            "--label=product=",
        ],
        &["--label=product=Board 7"],
        &["--label=product=Board 7", "--label=buildarch=riscv64"],
    ];
    let runs = cases
        .iter()
        .map(|args| (args.join(" "), explain(&repo, args)));
    check("misses.txt", runs);
}

#[test]
fn machines_of_the_example_are_explained() {
    let cases: [&[&str]; 3] = [
        &[
            "--label=mac=52:54:00:00:03:03",
            "--external-url=https://boot.example/x",
        ],
        &[
            "--label=product=Example Node 200",
            "--label=buildarch=aarch64",
        ],
        &[
            "--label=mac=52:54:00:00:02:01",
            "--label=uuid=7b1d2f1e-5a0c-4f3e-9c55-0a6d4c1b2e02",
        ],
    ];
    let runs = cases.iter().map(|args| {
        let ran = run(&[&["explain"], *args, &["example-repo"]].concat());
        (format!("{} example-repo", args.join(" ")), ran)
    });
    check("example.txt", runs);
}

/// Values by every way into a file: a `List`, anchors, merge keys, long and odd ones.
const PLACES: &str = r##"# One list of everything.
apiVersion: v1
kind: List
items:
  - apiVersion: gitboot.dev/v1alpha1
    kind: Profile
    metadata: {name: disk}
    spec:
      ipxe: "#!ipxe\n"
      values:
        defaults: &defaults
          dns: 192.0.2.53
          proxy: {host: p, port: 3128}
        net:
          <<: *defaults
          dns: 192.0.2.54
        alias: *defaults
        "odd.key":
          "": true
        long: "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語"
        text: |
          two
          lines
  - apiVersion: gitboot.dev/v1alpha1
    kind: Assignment
    metadata: {name: rest}
    spec:
      profile: disk
      valuesFrom: [{file: one.yaml}, {file: two.yaml}, {file: one.yaml}]
      isDefault: true
      values:
        net: null
"##;

#[test]
fn values_stand_where_they_are_written() {
    let repo = Repository::with_files(&[
        ("all.yaml", PLACES),
        ("one.yaml", "\u{feff}# one\nnet:\n  dns: one\n"),
        ("two.yaml", "---\nnet:\n  proxy: [a,\n    b]\n  dns: two\n"),
    ]);
    let run = (String::new(), explain(&repo, &[]));
    check("places.txt", std::iter::once(run));
}

#[test]
fn a_snapshot_explains_without_its_files() {
    let snapshot = snapshot(&format!("//- good.yaml\n{GOOD}"));
    let pairs = [("mac", "52:54:00:ab:cd:ef"), ("uuid", "junk")];
    let (labels, dropped) = Labels::from_pairs(pairs, &FixedLabels::default()).unwrap();
    let base = BaseUrl::parse("http://boot.example").unwrap();
    let explanation = snapshot.explain(&labels);
    let report = Report::new(
        snapshot.revision(),
        (&labels, &dropped),
        &explanation,
        None,
        &base,
    );
    let said: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(said["assignment"], "rack");
    assert_eq!(said["dropped"][0]["reason"], "malformed_uuid");
    assert_eq!(said["candidates"][0]["machine"], "x1");
    let candidate = &said["candidates"][0];
    assert_eq!(
        (&candidate["path"], &candidate["line"]),
        (&json!("good.yaml"), &json!(16))
    );
    assert_eq!(said["values"], json!([]));
    assert_eq!(said["configs"][0]["name"], "motd");
    assert!(
        report
            .text()
            .contains("\n  1. `rack`, machine `x1` (good.yaml:16)\n")
    );
}

#[test]
fn json_says_the_same_and_stays() {
    let repo = fleet();
    let cases: [&[&str]; 2] = [
        &[
            M1,
            "--label=site=lab",
            "--label=serial=None",
            "--label=serial.hex=zz",
            "--format=json",
        ],
        &[
            "--label=product=Board 7",
            "--label=site=lab",
            "--format=json",
        ],
    ];
    let runs = cases
        .iter()
        .map(|args| (args.join(" "), explain(&repo, args)));
    check("json.txt", runs);
    let example = [
        "explain",
        "--label=product=Example Node 100",
        "--label=buildarch=x86_64",
        "--format=json",
        "example-repo",
    ];
    check(
        "example-json.txt",
        std::iter::once((example[1..].join(" "), run(&example))),
    );
    let ran = run(&example);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rendered = run(&["render", example[1], example[2], "example-repo"]);
    assert_eq!(said["script"].as_str(), Some(rendered.stdout.as_str()));
}

#[test]
fn the_readme_lists_every_field_of_the_json() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("| field of `explain` |").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let repo = fleet();
    let args = [
        M1,
        "--label=site=lab",
        "--label=serial=None",
        "--format=json",
    ];
    let said: Value = serde_json::from_str(&explain(&repo, &args).stdout).unwrap();
    let mut known = Vec::new();
    for (key, value) in said.as_object().unwrap() {
        known.push(key.clone());
        let is_list_of_objects = value.get(0).is_some_and(Value::is_object);
        if is_list_of_objects {
            let fields = value[0].as_object().unwrap().keys();
            known.extend(fields.map(|field| format!("{key}[].{field}")));
        }
    }
    // This machine has no config.
    known.extend(
        ["content_type", "id", "labels", "name", "url"].map(|one| format!("configs[].{one}")),
    );
    known.sort();
    let mut documented: Vec<String> = documented.iter().map(|one| (*one).to_owned()).collect();
    documented.sort();
    assert_eq!(documented, known);
}

#[test]
fn the_text_fits_80_columns_but_for_what_must_not_be_broken() {
    let repo = fleet();
    let args = [
        M1,
        "--label=site=lab",
        "--label=rack=r1",
        "--label=platform=efi",
    ];
    for args in [&args[..], &args[..1], &[]] {
        let ran = explain(&repo, args);
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn ten_thousand_assignments_stay_readable() {
    let mut text = GOOD.to_owned();
    for number in 0..3000 {
        text.push_str(&format!(
            "---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: class-{number}}}\n\
             spec: {{profile: disk, subjectSelectors: {{site: lab, rack: r{number}}}}}\n"
        ));
    }
    let repo = Repository::with_files(&[("all.yaml", &text)]);
    let ran = explain(&repo, &["--label=site=lab", "--label=rack=r7"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("\n  1. `class-7` (all.yaml:"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("\n  and 2989 more\n"), "{ran:?}");
    assert!(ran.stdout.lines().count() < 60, "{ran:?}");
}

#[test]
fn manifests_with_errors_are_told_as_by_validate() {
    let repo = Repository::with_files(&[("good.yaml", GOOD)]);
    repo.write(&[("bad.yaml", "kind: Profil\n")]);
    let validated = run_in(repo.path(), &["validate"], &[]);
    let told = Ran {
        code: Some(2),
        stdout: String::new(),
        stderr: validated.stderr,
    };
    assert_eq!(explain(&repo, &[M1]), told);
    assert_eq!(run_in(repo.path(), &["list", "profiles"], &[]), told);
    let head = ["--label=mac=52:54:00:ab:cd:ef", "--ref=HEAD"];
    assert_eq!(explain(&repo, &head).code, Some(0));
    let bad = explain(&repo, &["--label=mac"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(64), ""));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let mut shown = 0;
    for block in readme.split("```\n") {
        let command = block
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("$ gitboot "));
        let Some(command) =
            command.filter(|one| one.starts_with("explain") || one.starts_with("list"))
        else {
            continue;
        };
        let (_, printed) = block.split_once('\n').unwrap();
        let ran = run(&command.split(' ').collect::<Vec<_>>());
        // A script at the end may be left out.
        let expected = match printed.strip_suffix("…\n") {
            Some(start) => ran.stdout.get(..start.len()).unwrap_or("").to_owned() + "…\n",
            None => ran.stdout,
        };
        assert_eq!(printed, expected, "{command}");
        shown += 1;
    }
    assert!(shown >= 3, "{shown}");
}
