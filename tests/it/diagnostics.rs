//! Every text about somebody's repository, to the letter: each golden file is a tree, a line `//= `, and what is said of it.

use crate::support::fixture::{GOOD, build, golden, golden_files};

#[test]
fn every_diagnostic_reads_as_its_golden_file() {
    for path in golden_files("diagnostics") {
        let text = std::fs::read_to_string(&path).unwrap();
        let fixture = text.split("//= ").next().unwrap();
        // A golden file that brings its own Profile and Assignment says so.
        let whole = if fixture.contains("//- ALONE\n") {
            fixture.replace("//- ALONE\n", "")
        } else {
            format!("{fixture}{GOOD}")
        };
        let (snapshot, diagnostics) = build(&whole);
        assert_eq!(
            snapshot.is_none(),
            diagnostics.error_count() > 0,
            "{}",
            path.display()
        );
        assert!(!diagnostics.is_empty(), "{}", path.display());
        golden(
            &path,
            &format!("{fixture}//= \n{}", diagnostics.render_human()),
        );
    }
}

#[test]
fn no_golden_file_shows_a_secret() {
    for path in golden_files("diagnostics") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, said) = text.split_once("//= ").unwrap();
        assert!(
            !said.contains("hunter2"),
            "{} shows a value",
            path.display()
        );
    }
}

#[test]
fn the_readme_lists_every_rule() {
    let readme = include_str!("../../README.md");
    let (_, checked) = readme.split_once("\n## What is checked\n").unwrap();
    let (checked, _) = checked.split_once("\n## ").unwrap();
    let rows: Vec<&str> = checked
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let rules: Vec<String> = gitboot::diagnostic::rules()
        .iter()
        .map(|rule| {
            let severity = rule.severity.as_str();
            format!("| `{}` | {severity} | {} |", rule.code, rule.ensure)
        })
        .collect();
    assert_eq!(rows, rules);
}
