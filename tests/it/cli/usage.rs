//! Flags, variables, help and bad usage.

use std::collections::BTreeSet;

use super::{run, source_tree};
use crate::support::process::run_in;

const COMMANDS: [&str; 12] = [
    "serve",
    "demo",
    "validate",
    "render",
    "diff",
    "explain",
    "list",
    "wait",
    "health",
    "schema",
    "completions",
    "import",
];

/// The flags of the boot server that people and scripts rely on.
const SERVE: [&str; 19] = [
    "--repo",
    "--ref",
    "--path",
    "--interval",
    "--git-timeout",
    "--fetch-timeout",
    "--state-dir",
    "--allow-empty",
    "--listen",
    "--external-url",
    "--label",
    "--boot-attempts",
    "--no-boot-api",
    "--retain",
    "--ready-max-age",
    "--drain-delay",
    "--drain",
    "--log-format",
    "--help",
];

/// The flags that a text names at the start of its lines, after this mark.
fn flags(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| {
        let rest = line.trim_start();
        let rest = rest.strip_prefix("-h, ").unwrap_or(rest);
        rest.starts_with("--")
            .then(|| rest.split([' ', '`']).next().unwrap().to_owned())
    });
    lines.collect()
}

#[test]
fn help_lists_every_flag_with_its_command() {
    let all = run(&["--help"]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        assert!(all.stdout.contains(&format!("\n  {command} ")), "{command}");
        let long = run(&[command, "--help"]);
        assert_eq!((long.code, long.stderr.as_str()), (Some(0), ""));
        assert_eq!(run(&["help", command]).stdout, long.stdout);
        assert!(flags(&long.stdout).contains("--help"), "{command}");
        let usage = format!("Usage: gitboot {command} ");
        assert!(long.stdout.contains(&usage), "{command}");
    }
    let serve = flags(&run(&["serve", "--help"]).stdout);
    for flag in SERVE {
        assert!(serve.contains(flag), "{flag}");
    }
    let validate = flags(&run(&["validate", "--help"]).stdout);
    let render = flags(&run(&["render", "--help"]).stdout);
    for flag in ["--repo", "--ref", "--path", "--allow-empty"] {
        assert!(validate.contains(flag) && render.contains(flag), "{flag}");
    }
    assert!(validate.contains("--format") && validate.contains("--strict"));
    for flag in ["--label", "--config", "--external-url"] {
        assert!(render.contains(flag), "{flag}");
    }
}

#[test]
fn the_limits_of_a_repository_are_the_same_for_every_command() {
    let limits = |command: &str| {
        let help = run(&[command, "--help"]).stdout;
        let (_, rest) = help.split_once("Limits of the repository").unwrap();
        let end = rest.find("\n\n").unwrap();
        rest[..end].to_owned()
    };
    let serve = limits("serve");
    assert!(
        flags(&serve).iter().all(|flag| flag.starts_with("--max-")),
        "{serve}"
    );
    assert_eq!(limits("validate"), serve);
    assert_eq!(limits("render"), serve);
    assert_eq!(limits("diff"), serve);
    assert_eq!(limits("explain"), serve);
    assert_eq!(limits("list"), serve);
}

#[test]
fn the_readme_lists_every_flag_of_the_server() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let (_, operating) = readme.split_once("\n## Operating").unwrap();
    // The first cell of a row may name several flags that belong together.
    let rows = operating.lines().filter(|line| line.starts_with("| `--"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let documented: BTreeSet<String> = cells
        .flat_map(|cell| cell.split('`').filter(|text| text.starts_with("--")))
        .map(|text| text.split(' ').next().unwrap().to_owned())
        .collect();
    let mut known = flags(&run(&["serve", "--help"]).stdout);
    known.remove("--help");
    assert_eq!(documented, known);
}

#[test]
fn the_readme_tells_the_defaults_of_the_server() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let help = run(&["serve", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut checked = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `--")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, flag, default, ..] = cells[..] else {
            panic!("{line}");
        };
        let flag = flag.trim_matches('`').split(' ').next().unwrap();
        // From this flag to the next.
        let (_, rest) = help.split_once(&format!(" {flag} <")).unwrap_or(("", ""));
        let rest = rest.split(" --").next().unwrap();
        let Some((_, told)) = rest.split_once("[default: ") else {
            continue;
        };
        let plain = default.replace(['`', ','], "").replace(' ', "");
        if plain.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
            let told = told.rsplit_once(']').unwrap().0;
            let told = told
                .strip_suffix("] [possible values: human, json")
                .unwrap_or(told);
            let told = told.split(" Every flag").next().unwrap();
            let told = told.split("] ").next().unwrap();
            assert_eq!(plain, told, "{line}");
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn the_readme_shows_what_a_machine_of_the_example_gets() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    let machine = [
        "render",
        "--label=mac=52:54:00:00:03:02",
        "--external-url=http://localhost:8080",
        "example-repo",
    ];
    let script = run(&machine).stdout;
    assert!(readme.contains(&format!("```\n{script}```\n")), "{script}");
    let summary = run(&["validate", "example-repo"]).stdout;
    assert!(readme.contains(&summary), "{summary}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = concat!("gitboot ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["--version", "-V"] {
        let ran = run(&[flag]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), version));
    }
}

#[test]
fn bad_usage_is_told_on_stderr_with_64() {
    let cases: [&[&str]; 12] = [
        &[],
        &["bake"],
        &["validate", "--no-such-flag"],
        &["validate", "--format=xml"],
        &["validate", "a", "b"],
        &["validate", "--repo=/x", "DIR"],
        &["validate", "--path=sites"],
        &["validate", "--repo=/x", "--path=../y"],
        &["validate", "--repo=https://user:hunter2@git.example/x"],
        &["validate", "--max-file-bytes=4MB"],
        &["render", "--label"],
        &["render", "--external-url=boot.example"],
    ];
    for args in cases {
        let ran = run(args);
        assert_eq!(ran.code, Some(64), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn every_flag_of_serve_reads_its_variable() {
    let flags = flags(&run(&["serve", "--help"]).stdout);
    for flag in flags.iter().filter(|flag| *flag != "--help") {
        let name = flag.trim_start_matches('-').replace('-', "_");
        let name = format!("GITBOOT_{}", name.to_ascii_uppercase());
        // An empty one is none: only the bad address is told.
        let vars = [(name.as_str(), ""), ("GITBOOT_LISTEN", "nowhere")];
        let ran = run_in(source_tree(), &["serve", "--repo=/x"], &vars);
        assert_eq!(ran.code, Some(64), "{name}: {ran:?}");
        assert!(ran.stderr.contains("--listen"), "{name}: {ran:?}");
        // Any text is a path or a name.
        let takes_any = [
            "--repo",
            "--ref",
            "--path",
            "--state-dir",
            "--git-username",
            "--boot-script",
            "--tftp-root",
        ];
        if takes_any.contains(&flag.as_str()) || flag.ends_with("-file") {
            continue;
        }
        let vars = [(name.as_str(), "%%%")];
        let ran = run_in(source_tree(), &["serve", "--repo=/x"], &vars);
        assert_eq!(ran.code, Some(64), "{name}: {ran:?}");
        assert!(ran.stderr.contains(&**flag), "{name}: {ran:?}");
    }
}

#[test]
fn other_commands_read_no_variables() {
    let vars = [
        ("GITBOOT_REPO", "/nonexistent"),
        ("GITBOOT_REF", "nope"),
        ("GITBOOT_MAX_FILES", "0"),
        ("GITBOOT_LABEL", "nonsense"),
    ];
    let ran = run_in(source_tree(), &["validate", "example-repo"], &vars);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
