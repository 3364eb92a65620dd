//! `gitboot validate --format github` and `--format sarif`: everything that people are told, for programs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use gitboot::diagnostic::Diagnostics;
use gitboot::tree::RepoPath;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{GOOD, source_tree};
use crate::support::fixture::{self, build, golden_files};
use crate::support::git::Repository;
use crate::support::process::run_in;

/// An Assignment of a Profile that does not exist, at line 4 of its file.
const BAD: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: bad}
spec: {profile: disc, isDefault: true}
";

/// What is said of every golden file, with the file's name.
fn all_golden() -> Vec<(String, Diagnostics)> {
    let files = golden_files("diagnostics");
    let told = files.iter().map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let fixture = text.split("//= ").next().unwrap();
        let whole = if fixture.contains("//- ALONE\n") {
            fixture.replace("//- ALONE\n", "")
        } else {
            format!("{fixture}{}", fixture::GOOD)
        };
        (path.display().to_string(), build(&whole).1)
    });
    told.collect()
}

/// The schema that OASIS publishes.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    /// A pattern in it that is none by the rules of its own draft: a bracket too many. Nothing of ours has a language.
    const MISTAKE: &str = "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$";
    fn mend(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                fields.retain(|key, value| key != "pattern" || value != MISTAKE);
                fields.values_mut().for_each(mend);
            }
            Value::Array(items) => items.iter_mut().for_each(mend),
            _ => {}
        }
    }
    let path = source_tree().join("tests/schemas/sarif-2.1.0.json");
    let mut schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    mend(&mut schema);
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).unwrap()
});

fn sarif(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    let errors: Vec<_> = SCHEMA
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    document
}

/// A workflow command as the runner reads it: name, properties and message.
fn command(line: &str) -> (String, Vec<(String, String)>, String) {
    let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
    let (name, properties) = head.split_once(' ').unwrap();
    let plain = |text: &str| {
        let text = text.replace("%2C", ",").replace("%3A", ":");
        text.replace("%0A", "\n")
            .replace("%0D", "\r")
            .replace("%25", "%")
    };
    let properties = properties.split(',').map(|property| {
        let (key, value) = property.split_once('=').unwrap();
        (key.to_owned(), plain(value))
    });
    let message = message
        .replace("%0A", "\n")
        .replace("%0D", "\r")
        .replace("%25", "%");
    (name.to_owned(), properties.collect(), message)
}

#[test]
fn every_format_tells_everything() {
    let place = RepoPath::parse("sites/lab, 50%:1").unwrap();
    for (file, all) in all_golden() {
        let human = all.render_human();
        let github = all.render_github(Some(&place));
        let document = sarif(&all.render_sarif(Some(&place)));
        let results = document["runs"][0]["results"].as_array().unwrap();
        assert_eq!(github.lines().count(), all.iter().count(), "{file}");
        assert_eq!(results.len(), all.iter().count(), "{file}");
        for ((one, line), result) in all.iter().zip(github.lines()).zip(results) {
            let (name, properties, message) = command(line);
            assert!(human.contains(&format!("{one}\n")), "{file}");
            assert_eq!(name, one.severity().as_str());
            let get = |key: &str| {
                properties
                    .iter()
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value.as_str())
            };
            assert_eq!(get("title"), Some(one.code()));
            let Some(at) = one.location() else {
                assert_eq!(properties.len(), 1, "{line}");
                assert!(message.starts_with(&one.to_string()), "{message}");
                continue;
            };
            let path = format!("{place}/{}", at.path);
            assert_eq!(get("file"), Some(path.as_str()));
            assert_eq!(get("line"), Some(at.line.to_string().as_str()));
            assert_eq!(get("col"), Some(at.column.to_string().as_str()));
            assert!(message.starts_with(&format!("{place}/{one}")), "{message}");
            for more in one.notes().iter().chain(one.help()) {
                assert!(message.contains(more.as_str()), "{message}");
                let text = result["message"]["text"].as_str().unwrap();
                assert!(text.contains(&more.replace("](", "\\](")), "{text}");
            }
            assert_eq!(result["ruleId"], one.code());
            let region = &result["locations"][0]["physicalLocation"]["region"];
            assert_eq!(region["startLine"], at.line);
            assert_eq!(region["startColumn"], at.column);
        }
    }
}

#[test]
fn sarif_has_what_github_asks_for() {
    let place = RepoPath::parse("sites/lab").unwrap();
    for (file, all) in all_golden() {
        for place in [None, Some(&place)] {
            let document = sarif(&all.render_sarif(place));
            let run = &document["runs"][0];
            let driver = &run["tool"]["driver"];
            assert_eq!(
                (&driver["name"], &run["columnKind"]),
                (&json!("gitboot"), &json!("unicodeCodePoints"))
            );
            let rules = driver["rules"].as_array().unwrap();
            for rule in rules {
                for pointer in [
                    "/id",
                    "/shortDescription/text",
                    "/fullDescription/text",
                    "/help/text",
                ] {
                    assert!(
                        rule.pointer(pointer).is_some_and(|text| text != ""),
                        "{rule}"
                    );
                }
                let level = rule.pointer("/defaultConfiguration/level").unwrap();
                assert!(level == "error" || level == "warning", "{rule}");
            }
            let mut prints = BTreeSet::new();
            for result in run["results"].as_array().unwrap() {
                let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
                assert_eq!(rules[index]["id"], result["ruleId"]);
                let artifact = result
                    .pointer("/locations/0/physicalLocation/artifactLocation")
                    .unwrap();
                assert_eq!(artifact["uriBaseId"], "%SRCROOT%");
                let uri = artifact["uri"].as_str().unwrap();
                assert!(!uri.is_empty() && !uri.starts_with('/'), "{uri}");
                assert_eq!(uri.starts_with("sites/lab"), place.is_some(), "{uri}");
                let print = result["partialFingerprints"]["primaryLocationLineHash"]
                    .as_str()
                    .unwrap();
                assert!(prints.insert(print.to_owned()), "{file}: {print} twice");
            }
        }
    }
}

#[test]
fn no_format_shows_a_value() {
    for (file, all) in all_golden() {
        for text in [
            all.render_github(None),
            all.render_sarif(None),
            all.render_json(),
        ] {
            assert!(!text.contains("hunter2"), "{file}");
        }
    }
}

#[test]
fn odd_paths_and_texts_end_no_command_and_make_no_link() {
    let text = "//- a, b:c 100% ü[x](y).yaml\nhello: world\n//- [z](1).yaml -> symlink\n";
    let (_, all) = build(&format!("{text}{}", fixture::GOOD));
    let github = all.render_github(None);
    assert!(
        github.contains("::error file=a%2C b%3Ac 100%25 ü[x](y).yaml,line=1,col=1,endLine=1,endColumn=6,title=not-a-manifest::a, b:c 100%25 "),
        "{github}"
    );
    let document = sarif(&all.render_sarif(None));
    let results = document["runs"][0]["results"].as_array().unwrap();
    let uris: Vec<_> = results
        .iter()
        .map(|one| {
            one.pointer("/locations/0/physicalLocation/artifactLocation/uri")
                .unwrap()
        })
        .collect();
    assert_eq!(
        uris,
        [
            "%5Bz%5D%281%29.yaml",
            "a%2C%20b%3Ac%20100%25%20%C3%BC%5Bx%5D%28y%29.yaml"
        ]
    );
    let text = results[0]["message"]["text"].as_str().unwrap();
    assert!(text.starts_with("`[z\\](1).yaml` has the name"), "{text}");
}

#[test]
fn a_fingerprint_outlives_lines_that_move() {
    let prints = |text: &str| {
        let (_, all) = build(&format!("//- bad.yaml\n{text}{}", fixture::GOOD));
        let document = sarif(&all.render_sarif(None));
        document["runs"][0]["results"][0]["partialFingerprints"].clone()
    };
    assert_eq!(prints(BAD), prints(&format!("# a line more\n{BAD}")));
    assert_ne!(prints(BAD), prints(&BAD.replace("disc", "disk")));
}

#[test]
fn paths_start_at_the_top_of_the_repository() {
    let repo =
        Repository::with_files(&[("sites/lab/good.yaml", GOOD), ("sites/lab/bad.yaml", BAD)]);
    let lab = repo.path().join("sites/lab");
    let whole = repo.path().to_str().unwrap();
    let expected = "::error file=sites/lab/bad.yaml,line=4,col=17,endLine=4,endColumn=21,title=unknown-profile::\
        sites/lab/bad.yaml:4:17: error[unknown-profile]: Assignment `bad` names Profile `disc`, which does not exist%0A\
        note: 1 Profile is defined: `disk`%0Ahelp: a Profile with a similar name exists: `disk`\n";
    for (folder, args) in [
        (repo.path(), &["sites/lab"][..]),
        (&lab, &[]),
        (&lab, &["."]),
        (&lab, &["--ref", "HEAD"]),
        (repo.parent(), &["--repo", whole, "--path", "/sites/lab/"]),
    ] {
        let github = run_in(
            folder,
            &[&["validate", "--format", "github"], args].concat(),
            &[],
        );
        assert_eq!(
            (github.code, github.stdout.as_str(), github.stderr.as_str()),
            (Some(2), expected, ""),
            "{args:?}"
        );
        let found = run_in(
            folder,
            &[&["validate", "--format", "sarif"], args].concat(),
            &[],
        );
        assert_eq!((found.code, found.stderr.as_str()), (Some(2), ""));
        let uri = "/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri";
        assert_eq!(
            sarif(&found.stdout).pointer(uri),
            Some(&json!("sites/lab/bad.yaml"))
        );
    }
    // Outside a repository, the served root is all there is.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), BAD).unwrap();
    let github = run_in(folder.path(), &["validate", "--format", "github"], &[]);
    assert!(github.stdout.contains("file=bad.yaml,line=4"), "{github:?}");
}

#[test]
fn a_good_tree_has_no_results() {
    let repo = Repository::with_files(&[("good.yaml", GOOD)]);
    let github = run_in(repo.path(), &["validate", "--format", "github"], &[]);
    assert_eq!(
        (github.code, github.stdout.as_str(), github.stderr.as_str()),
        (Some(0), "", "")
    );
    let found = run_in(repo.path(), &["validate", "--format", "sarif"], &[]);
    let document = sarif(&found.stdout);
    assert_eq!(
        (found.code, &document["runs"][0]["results"]),
        (Some(0), &json!([]))
    );
}

#[test]
fn what_concerns_the_whole_tree_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let github = run_in(folder.path(), &["validate", "--format", "github"], &[]);
    assert_eq!(github.code, Some(2));
    assert!(
        github
            .stdout
            .starts_with("::error title=empty-tree::error[empty-tree]: "),
        "{github:?}"
    );
    let found = run_in(folder.path(), &["validate", "--format", "sarif"], &[]);
    let uri = "/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri";
    assert_eq!(sarif(&found.stdout).pointer(uri), Some(&json!(".")));
}
