//! `gitboot diff`.

use std::path::Path;

use super::{run, source_tree};
use crate::support::fixture::golden;
use crate::support::git::Repository;
use crate::support::process::{Ran, run_in};

/// Two Profiles; `{{…}}` stands for what the tests change.
const PROFILES: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel http://mirror.example/{{ values.release }}/vmlinuz ip={{ values.ip }} console=tty0 cfg={{ config }}
    boot
  additionalConfig:
    config: \"hostname: {{ labels.hostname|yaml }}\\n\"
    motd: \"hello\\n\"
  values: {release: \"1.2\", ip: dhcp}
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    sanboot --no-describe --drive 0x80 || exit 1
";

const DEFAULT: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: everybody-else}
spec: {profile: disk, isDefault: true}
";

const CLASS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: lab}
spec:
  profile: disk
  subjectSelectors: {site: [lab, attic], buildarch: x86_64}
";

/// An Assignment of this many machines, each with an address of its own.
fn rack(number: usize, machines: usize) -> String {
    let mut text = format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: rack-{number}}}\nspec:\n  \
         profile: worker\n  machines:\n"
    );
    for machine in 1..=machines {
        text.push_str(&format!(
            "  - {{name: m{number}-{machine}, mac: \"52:54:00:00:{number:02x}:{machine:02x}\", \
             values: {{ip: 192.0.{number}.{machine}}}}}\n"
        ));
    }
    text
}

/// A repository of two racks, a class and a default, with one commit.
fn repository() -> Repository {
    Repository::with_files(&[
        ("profiles.yaml", PROFILES),
        ("default.yaml", DEFAULT),
        ("lab.yaml", CLASS),
        ("rack-1.yaml", &rack(1, 4)),
        ("rack-2.yaml", &rack(2, 8)),
    ])
}

fn diff(repository: &Repository, args: &[&str]) -> Ran {
    run_in(repository.path(), &[&["diff"], args].concat(), &[])
}

/// Compares what a change of the work tree means with a golden file.
fn check(name: &str, change: &[(&str, &str)], args: &[&str]) {
    let repository = repository();
    repository.write(change);
    let ran = diff(&repository, &[&["main", "--exit-code"], args].concat());
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(4), ""),
        "{}",
        ran.stdout
    );
    let path = Path::new("tests/golden/diff").join(name);
    golden(&source_tree().join(path), &ran.stdout);
}

#[test]
fn a_change_of_one_profile_is_one_entry() {
    let change = PROFILES.replace("console=tty0", "console=ttyS0");
    let change = [("profiles.yaml", change.as_str())];
    check("profile.txt", &change, &[]);
    check("profile.md", &change, &["--format=markdown"]);
    check("profile.json", &change, &["--format=json"]);
}

#[test]
fn each_with_its_own_change_is_one_entry_too() {
    let change = rack(2, 8).replace("192.0.2.", "192.0.99.");
    check("addresses.txt", &[("rack-2.yaml", &change)], &[]);
}

#[test]
fn few_with_their_own_changes_are_told_apart() {
    let change = rack(2, 8)
        .replace("192.0.2.3", "192.0.9.3")
        .replace("192.0.2.5", "192.0.9.5");
    check("two-addresses.txt", &[("rack-2.yaml", &change)], &[]);
}

#[test]
fn machines_come_and_go_and_move() {
    let lines = rack(1, 5);
    let lost: Vec<&str> = lines
        .lines()
        .filter(|line| !line.contains("m1-2,"))
        .collect();
    let moved = rack(2, 8).replace("profile: worker", "profile: disk");
    let change = [
        ("rack-1.yaml", lost.join("\n")),
        ("rack-2.yaml", moved),
        ("default.yaml", String::new()),
    ];
    let change = change.iter().map(|(path, text)| (*path, text.as_str()));
    check("moves.txt", &change.collect::<Vec<_>>(), &[]);
}

#[test]
fn a_config_that_prints_labels_is_told_alone() {
    let change = PROFILES.replace("hostname: {{", "host: {{");
    check("config.txt", &[("profiles.yaml", &change)], &[]);
}

#[test]
fn configs_that_come_and_go_are_told() {
    let change = PROFILES.replace("    motd: ", "    issue: ");
    check("configs.txt", &[("profiles.yaml", &change)], &[]);
}

#[test]
fn classes_are_told_by_the_labels_that_make_them() {
    let change = CLASS.replace("profile: disk", "profile: worker");
    check("class.txt", &[("lab.yaml", &change)], &[]);
    check("class.json", &[("lab.yaml", &change)], &["--format=json"]);
}

#[test]
fn a_machine_with_an_assignment_for_each_firmware_is_told_with_the_one_that_differs() {
    let firmware = |profile: &str| {
        let one = |platform: &str, profile: &str| {
            format!(
                "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: {platform}}}\nspec:\n  profile: \
                 {profile}\n  subjectSelectors: {{platform: {platform}}}\n  machines: [{{name: x, uuid: \
                 47c6da67-7477-4970-aa03-84e48ff4f6ad, serial: SN42}}]\n---\n"
            )
        };
        format!("{}{}", one("efi", profile), one("pcbios", "worker"))
    };
    let repository = repository();
    repository.commit(&[("x.yaml", &firmware("worker"))]);
    repository.write(&[("x.yaml", &firmware("disk"))]);
    let found = diff(&repository, &["main"]).stdout;
    let expected = "\
1 machine moves from Profile `worker` to Profile `disk`
  differs: script, config `config` (removed), config `motd` (removed)
  Assignment: `efi`
  machines:
    x uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad serial=SN42 platform=efi
  script for x:
";
    assert!(found.starts_with(expected), "{found}");
    assert!(
        found.contains("\n1 of 13 machines and 0 of 4 classes receive something else\n"),
        "{found}"
    );
}

#[test]
fn the_default_is_told_once() {
    let change = DEFAULT.replace("profile: disk", "profile: worker");
    check("default.txt", &[("default.yaml", &change)], &[]);
}

#[test]
fn a_difference_that_hangs_on_a_label_is_found() {
    let before = PROFILES.replace(
        "    boot\n",
        "    {% if labels.platform == 'efi' %}echo a{% endif %}\n    boot\n",
    );
    let repository = repository();
    repository.commit(&[("profiles.yaml", &before)]);
    let change = |text: &str| {
        repository.write(&[("profiles.yaml", &before.replace("echo a", text))]);
        diff(&repository, &["main"]).stdout
    };
    let found = change("echo b");
    assert!(
        found.contains("\n    (if it also sends platform=efi)\n"),
        "{found}"
    );
    assert!(found.contains("\n    -echo a\n    +echo b\n"), "{found}");
    // A branch that nothing gets to is told as it is written.
    let found = change("{% if labels.a == labels.b ~ 'x' %}echo b{% endif %}");
    assert!(
        found.contains("12 machines get something else from Profile `worker`"),
        "{found}"
    );
}

#[test]
fn what_only_the_template_can_tell_is_shown_as_template() {
    let before = PROFILES.replace(
        "    boot\n",
        "    {% if labels.a|length > 90 %}echo a{% endif %}\n    boot\n",
    );
    let repository = repository();
    repository.commit(&[("profiles.yaml", &before)]);
    repository.write(&[("profiles.yaml", &before.replace("echo a", "echo b"))]);
    let found = diff(&repository, &["main"]).stdout;
    assert!(
        found.contains("  differs: script (perhaps: made in another way)\n"),
        "{found}"
    );
    assert!(
        found.contains("\n    +{% if labels.a|length > 90 %}echo b{% endif %}\n"),
        "{found}"
    );
}

#[test]
fn nothing_differs_when_only_names_of_files_and_assignments_do() {
    let repository = repository();
    let one = repository.head();
    repository.git(&["mv", "rack-1.yaml", "shelf.yaml"]);
    repository.commit(&[(
        "shelf.yaml",
        &rack(1, 4).replace("name: rack-1", "name: shelf"),
    )]);
    let two = repository.head();
    let ran = diff(&repository, &[&one, "HEAD", "--exit-code"]);
    let expected = format!(
        "nothing differs\ncompared `{one}` ({}) → `HEAD` ({})\n  machines: 12, each identity that either side \
         names, whole and in parts\n  classes: 4, all combinations of what Assignments ask of `buildarch`, `site`\n  \
         other labels: absent; ids of configs: shown as their names\n  \
         4 machines have another Assignment and receive the same\n",
        &one[..7],
        &two[..7]
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, expected);
    let ran = diff(&repository, &["HEAD~1", "worktree", ".", "--format=json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["differs"], false);
    assert_eq!(document["head"]["revision"], "worktree");
}

#[test]
fn a_difference_is_no_failure_unless_asked_for() {
    let repository = repository();
    repository.write(&[("default.yaml", "")]);
    assert_eq!(diff(&repository, &["main"]).code, Some(0));
    assert_eq!(diff(&repository, &["main", "--exit-code"]).code, Some(4));
    assert_eq!(
        diff(&repository, &["main", "main", "--exit-code"]).code,
        Some(0)
    );
}

#[test]
fn mistakes_are_told_with_the_side_that_has_them() {
    let repository = repository();
    let good = repository.head();
    let bad = repository.commit(&[("default.yaml", &DEFAULT.replace("disk", "disc"))]);
    let expected = format!(
        "\
default.yaml:4:17: error[unknown-profile]: Assignment `everybody-else` names Profile `disc`, which does not exist
  |
4 | spec: {{profile: disc, isDefault: true}}
  |                 ^^^^ no Profile has this name
  |
  = note: 2 Profiles are defined: `disk`, `worker`
  = help: a Profile with a similar name exists: `disk`

profiles.yaml:11:5: warning[unused-config]: nothing in the Profile names config `motd`
   |
11 |     motd: …
   |     ^^^^
   |
   = note: the script hands out neither its URL nor `{{{{ config_dir }}}}`, so that a machine finds it only under `/v1/boot/{{mac}}/`
   = help: print its URL in the script, as `{{{{ configs[\"motd\"] }}}}`, or remove it
error: 1 error and 1 warning in 2 files
error: SIDE `main` ({}) is no revision that would be served, so there is nothing to compare
",
        &bad[..7]
    );
    for (args, side) in [([good.as_str(), "main"], "HEAD"), (["main", &good], "BASE")] {
        let ran = diff(&repository, &[&args[..], &["--exit-code"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert_eq!(ran.stderr, expected.replace("SIDE", side));
    }
}

#[test]
fn a_folder_that_is_new_is_compared_with_nothing_when_allowed() {
    let repository = Repository::with_files(&[("README", "nothing yet\n")]);
    repository.commit(&[("site/all.yaml", PROFILES), ("site/rack.yaml", &rack(1, 2))]);
    let args = ["HEAD~1", "HEAD", "site", "--exit-code"];
    let ran = diff(&repository, &args);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("BASE `HEAD~1`: "), "{}", ran.stderr);
    let ran = diff(&repository, &[&args[..], &["--allow-empty"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(4), ""));
    let expected = "2 machines are new and get Profile `worker`\n";
    assert!(ran.stdout.starts_with(expected), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_read_is_a_fault_of_the_world() {
    let repository = repository();
    for (args, told) in [
        (["main", "nosuch"], "HEAD `nosuch`: "),
        (["nosuch", "main"], "BASE `nosuch`: "),
    ] {
        let ran = diff(&repository, &args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let ran = diff(&repository, &["main..HEAD"]);
    assert_eq!(ran.code, Some(64));
    assert!(ran.stderr.contains("`main HEAD`"), "{}", ran.stderr);
}

#[test]
fn content_can_neither_drive_a_terminal_nor_break_out_of_markdown() {
    let repository = repository();
    let evil = PROFILES.replace(
        "motd: \"hello\\n\"",
        "motd: \"\\e[2Jhello\\r\\n````\\n</details><script>\\n\\u202e\\n\"",
    );
    let named = rack(1, 4).replace("name: m1-1,", "name: \"a`<b>`` \\u202e@all\",");
    repository.write(&[("profiles.yaml", &evil), ("rack-1.yaml", &named)]);
    for format in ["human", "markdown", "json"] {
        let ran = diff(&repository, &["main", "--format", format]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        // Programs get names to the letter, as JSON escapes them.
        let is_hidden = |one: char| one == '\u{202e}' && format != "json";
        let is_bad = |one: char| one != '\n' && (one.is_control() || is_hidden(one));
        assert!(!ran.stdout.contains(is_bad), "{}", ran.stdout);
        if format == "markdown" {
            assert!(ran.stdout.contains("\n`````diff\n"), "{}", ran.stdout);
            assert!(
                ran.stdout.contains("``` a`<b>`` \\u{202e}@all mac="),
                "{}",
                ran.stdout
            );
        }
    }
}

#[test]
fn markdown_fits_into_a_comment() {
    let profile = |number: usize, word: &str| {
        let line = format!("    echo {}\n", word.repeat(400)).repeat(30);
        format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p{number}}}\nspec:\n  ipxe: |\n    \
             #!ipxe\n{line}---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: a{number}}}\n\
             spec: {{profile: p{number}, machines: [{{serial: S{number}}}]}}\n---\n"
        )
    };
    let all = |word: &str| {
        (1..=40)
            .map(|number| profile(number, word))
            .collect::<String>()
    };
    let repository = Repository::with_files(&[("all.yaml", &all("abc"))]);
    repository.write(&[("all.yaml", &all("abd"))]);
    let ran = diff(&repository, &["main", "--format=markdown"]);
    assert_eq!(ran.code, Some(0));
    let length = ran.stdout.chars().count();
    assert!((40_000..60_000).contains(&length), "{length}");
    assert!(ran.stdout.contains(" more changes cut here**"));
    assert!(ran.stdout.contains("more lines cut)"));
    assert!(ran.stdout.contains("\nCompared `main` ("));
    assert_eq!(
        ran.stdout.matches("<details>").count(),
        ran.stdout.matches("</details>").count()
    );
}

#[test]
fn the_readme_shows_what_a_change_of_the_example_means() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let repository = Repository::new();
    let copied = std::process::Command::new("cp")
        .args([
            "-r",
            "example-repo/.",
            &repository.path().display().to_string(),
        ])
        .current_dir(source_tree())
        .status()
        .unwrap();
    assert!(copied.success());
    repository.commit(&[]);
    let replace = |path: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(repository.path().join(path)).unwrap();
        assert!(text.contains(from));
        repository.write(&[(path, &text.replace(from, to))]);
    };
    replace("assignments/harvester.yaml", "192.0.2.33", "192.0.2.43");
    replace(
        "scripts/unknown-machine.ipxe",
        "has no Assignment",
        "is new here",
    );
    let ran = diff(&repository, &["main"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    // Whatever else changes in the example changes the commit.
    let shown = ran.stdout.replace(&repository.head()[..7], "5afdc9a");
    assert!(readme.contains(&format!("```\n{shown}```\n")), "{shown}");
    for flag in ["--format", "--exit-code", "--allow-empty"] {
        assert!(run(&["diff", "--help"]).stdout.contains(flag), "{flag}");
    }
}
