//! What goes into bodies: values and their layers, files and how they are named, types and templates by default.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;

use gitboot::compile::{Options, compile};
use gitboot::diagnostic::Diagnostics;
use gitboot::label::{FixedLabels, Labels};
use gitboot::manifest::parse;
use gitboot::render::{self, BaseUrl};
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::fixture::{GOOD, build, snapshot};
use crate::support::git;

fn labels(query: &str) -> Labels {
    Labels::parse(query, &FixedLabels::default()).unwrap()
}

/// The bytes of the config `name` for a machine, and their type.
fn fetch(snapshot: &Snapshot, query: &str, name: &str) -> (Vec<u8>, String) {
    let labels = labels(query);
    let matched = snapshot.find(&labels).unwrap();
    let config = matched.config(name).unwrap();
    let base = BaseUrl::parse("http://boot.example").unwrap();
    let bytes = render::config(config, &labels, &base).unwrap();
    (bytes.to_vec(), config.content_type.clone())
}

fn text(snapshot: &Snapshot, name: &str) -> String {
    String::from_utf8(fetch(snapshot, "", name).0).unwrap()
}

fn codes(diagnostics: &Diagnostics) -> Vec<&'static str> {
    diagnostics
        .iter()
        .map(gitboot::diagnostic::Diagnostic::code)
        .collect()
}

/// A Profile with this `spec`, and its default Assignment.
fn profile(spec: &str) -> String {
    format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {spec}\n---
apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: a}}\nspec: {{profile: p, isDefault: true}}\n"
    )
}

/// The errors in a tree that holds a config from this file besides something good.
fn errors_of_reference(reference: &str, others: &str) -> Vec<&'static str> {
    let manifest = profile(&format!(
        "{{additionalConfig: {{c: {{file: {reference}}}}}}}"
    ));
    codes(&build(&format!("//- a/b/all.yaml\n{manifest}{others}")).1)
}

// Values

/// Maps merge, anything else replaces.
fn merge(base: &Value, over: &Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            let mut merged = base.clone();
            for (key, value) in over {
                let value = base
                    .get(key)
                    .map_or_else(|| value.clone(), |below| merge(below, value));
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        _ => over.clone(),
    }
}

fn map() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[xy]{0,2}".prop_map(Value::from),
    ];
    let map = |inner: BoxedStrategy<Value>| {
        prop::collection::btree_map("[abc]", inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed()
    };
    let inner = leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            map(inner.clone()),
            prop::collection::vec(inner, 0..3).prop_map(Value::from)
        ]
    });
    map(inner.boxed())
}

/// A repository with six layers of values, and what `name` renders to for the machine that is all of them.
fn layered(layers: &[Value]) -> String {
    let [one, two, own, three, over, machine] = layers else {
        unreachable!()
    };
    let profile = json!({
        "apiVersion": "gitboot.dev/v1alpha1", "kind": "Profile", "metadata": {"name": "p"},
        "spec": {
            "additionalConfig": {"all": "{{ values|tojson }}"},
            "valuesFrom": [{"file": "one.yaml"}, {"file": "/deep/two.json"}],
            "values": own,
        },
    });
    let assignment = json!({
        "apiVersion": "gitboot.dev/v1alpha1", "kind": "Assignment", "metadata": {"name": "a"},
        "spec": {
            "profile": "p",
            "machines": [{"serial": "SN1", "values": machine}, {"serial": "SN2"}],
            "valuesFrom": [{"file": "three.yml"}],
            "values": over,
        },
    });
    format!(
        "//- p.yaml\n{profile}\n//- deep/a.yaml\n{assignment}\n//- one.yaml\n{one}\n//- deep/two.json\n{two}\n//- deep/three.yml\n{three}\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn later_layers_win(layers in prop::collection::vec(map(), 6)) {
        let snapshot = snapshot(&layered(&layers));
        let all = layers.iter().fold(json!({}), |base, over| merge(&base, over));
        let shared = layers[..5].iter().fold(json!({}), |base, over| merge(&base, over));
        for (serial, expected) in [("SN1", all), ("SN2", shared)] {
            let (bytes, _) = fetch(&snapshot, &format!("serial={serial}"), "all");
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected, "{}", serial);
        }
    }

    /// A number prints as it is written, or it is an error; in quotes it always prints as it is written.
    #[test]
    fn numbers_print_as_they_are_written(number in prop_oneof![
        "[-+]?[0-9]{1,4}",
        "[-+]?[0-9]{1,3}\\.[0-9]{0,3}",
        "[-+]?[1-9][0-9]{15,40}",
        "[-+]?[0-9]{1,2}(\\.[0-9]{1,2})?[eE][-+]?[0-9]{1,3}",
        "0[xob][0-9a-f]{1,4}",
        "[0-9]{1,3}_[0-9]{1,3}",
        "[0-9]{1,2}:[0-9]{2}",
        "[-+]?\\.[a-zA-Z0-9]{1,3}",
        any::<f64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
    ]) {
        let with = |value: &str| format!("//- a.yaml\n{}", profile(&format!("{{additionalConfig: {{c: '{{{{ values.v }}}}'}}, values: {{v: {value}}}}}")));
        let (plain, diagnostics) = build(&with(&number));
        if let Some(snapshot) = plain { prop_assert_eq!(text(&snapshot, "c"), number.clone()) } else { prop_assert_eq!(codes(&diagnostics), vec!["number-form"]) }
        let quoted = snapshot(&with(&format!("'{number}'")));
        prop_assert_eq!(text(&quoted, "c"), number.clone());
        // In labels every scalar is its text, and a machine that sends it is found.
        prop_assume!(number.len() <= 256);
        let selects = snapshot(&format!(
            "{GOOD}//- b.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: b}}\nspec: {{profile: good, subjectSelectors: {{rack: {number}}}}}\n"
        ));
        let found = labels(&format!("rack={}", number.replace('+', "%2B")));
        prop_assert_eq!(selects.find(&found).unwrap().assignment(), "b");
    }
}

#[test]
fn null_and_scalars_of_a_layer_replace_maps_for_good() {
    for between in ["null", "1", "[]", "text"] {
        let files = layered(&[
            json!({"a": {"below": 1}}),
            json!({}),
            json!({"a": {"own": 2}}),
            serde_json::from_str(&format!(
                "{{\"a\": {}}}",
                if between == "text" {
                    "\"text\""
                } else {
                    between
                }
            ))
            .unwrap(),
            json!({"a": {"above": 3}}),
            json!({}),
        ]);
        let (bytes, _) = fetch(&snapshot(&files), "serial=SN1", "all");
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"a\":{\"above\":3}}",
            "{between}"
        );
    }
}

#[test]
fn anchors_and_merge_keys_work_in_values() {
    let files = format!(
        "//- a.yaml\n{}//- v.yaml
base: &base {{a: 1, b: {{c: 2}}}}
more: &more {{a: 9, d: 4}}
one: {{<<: *base, a: 5}}
many: {{<<: [*base, *more], e: 6}}
nested: {{inner: {{<<: {{<<: *more, f: 7}}}}}}
alias: *base
",
        profile("{additionalConfig: {c: '{{ values|tojson }}'}, valuesFrom: [{file: v.yaml}]}")
    );
    let printed: Value = serde_json::from_str(&text(&snapshot(&files), "c")).unwrap();
    assert_eq!(printed["one"], json!({"a": 5, "b": {"c": 2}}));
    assert_eq!(
        printed["many"],
        json!({"a": 1, "b": {"c": 2}, "d": 4, "e": 6})
    );
    assert_eq!(
        printed["nested"],
        json!({"inner": {"a": 9, "d": 4, "f": 7}})
    );
    assert_eq!(printed["alias"], json!({"a": 1, "b": {"c": 2}}));
}

#[test]
fn a_file_of_values_is_one_map() {
    let with = |body: &str| {
        let manifest = profile("{additionalConfig: {c: x}, valuesFrom: [{file: v.yaml}]}");
        codes(&build(&format!("//- a.yaml\n{manifest}//- v.yaml\n{body}")).1)
    };
    for good in ["a: 1\n", "# nothing\n", "", "---\na: 1\n...\n", "{}\n"] {
        assert_eq!(with(good), Vec::<&str>::new(), "{good:?}");
    }
    for (bad, code) in [
        ("- a\n", "values-file"),
        ("text\n", "values-file"),
        ("a: 1\n---\nb: 2\n", "values-file"),
        ("a: 1\na: 2\n", "duplicate-key"),
        ("a: {b: [{c: 1, c: 2}]}\n", "duplicate-key"),
        ("a: 1.30\n", "number-form"),
        ("a: !secret x\n", "yaml-tag"),
        ("a: [\n", "yaml-syntax"),
        (
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: v}\nspec: {}\n",
            "manifest-as-content",
        ),
    ] {
        assert!(with(bad).contains(&code), "{bad:?}: {:?}", with(bad));
    }
}

// What is no manifest

/// Of these paths, those that real git ignores by these `.gitignore` files.
fn ignored_by_git(rules: &BTreeMap<&str, String>, paths: &[String]) -> BTreeSet<String> {
    let repository = git::Repository::new();
    let rules: Vec<(String, &str)> = rules
        .iter()
        .map(|(folder, text)| (format!("{folder}.gitignore"), text.as_str()))
        .collect();
    repository.write(
        &rules
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect::<Vec<_>>(),
    );
    let mut child = git::command(repository.path())
        .args(["check-ignore", "--no-index", "-z", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(paths.join("\0").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    listed.split_terminator('\0').map(str::to_owned).collect()
}

/// Of these paths, those of which nothing is said although nothing in them is right.
fn ignored_by_us(rules: &BTreeMap<&str, String>, paths: &[String]) -> BTreeSet<String> {
    let mut files = GOOD.to_owned();
    for (folder, text) in rules {
        files.push_str(&format!("//- {folder}.gitbootignore\n{text}"));
    }
    for path in paths {
        files.push_str(&format!("//- {path}\nnot: a manifest\n"));
    }
    let (_, diagnostics) = build(&files);
    let told: BTreeSet<String> = diagnostics
        .iter()
        .filter_map(|one| Some(one.location()?.path.to_string()))
        .collect();
    paths
        .iter()
        .filter(|path| !told.contains(*path))
        .cloned()
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gitbootignore_means_what_gitignore_means(
        rules in prop::collection::btree_map(
            prop::sample::select(vec!["", "a/", "a/b/"]),
            prop::collection::vec(
                "(#|!|\\\\!|/)?(a|b|c|\\*|\\*\\*|a\\*|\\?|\\[ab\\]|\\*\\*/b|a/\\*\\*|a/b)(/|\\.yaml|/c\\.yaml|/\\*| |/b/)?",
                0..4,
            ).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect::<String>()),
            1..=3,
        ),
        crlf in any::<bool>(),
    ) {
        let names = ["a", "b", "c"];
        let mut paths: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
        for one in names {
            for two in names {
                paths.push(format!("{one}/{two}.yaml"));
                paths.push(format!("{one}/{two}/c.yml"));
            }
        }
        let theirs = ignored_by_git(&rules, &paths);
        let ours = if crlf {
            let rules = rules.iter().map(|(folder, text)| (*folder, text.replace('\n', "\r\n"))).collect();
            ignored_by_us(&rules, &paths)
        } else {
            ignored_by_us(&rules, &paths)
        };
        prop_assert_eq!(ours, theirs);
    }
}

#[test]
fn names_with_a_dot_in_front_are_no_manifests() {
    let files = [
        ".a.yaml",
        ".github/workflows/ci.yaml",
        "a/.b/c.yaml",
        "a/.d.yml",
    ];
    let bodies: String = files
        .iter()
        .map(|path| format!("//- {path}\nnot: [a manifest\n"))
        .collect();
    assert_eq!(
        codes(&build(&format!("{GOOD}{bodies}")).1),
        Vec::<&str>::new()
    );
    // Yet they may be content.
    let named =
        profile("{additionalConfig: {c: {file: .github/workflows/ci.yaml, template: false}}}");
    let built = snapshot(&format!("//- z.yaml\n{named}{bodies}"));
    assert_eq!(text(&built, "c"), "not: [a manifest\n");
}

#[test]
fn a_manifest_file_is_a_manifest_or_an_error() {
    for nothing in [
        "",
        "# a comment\n",
        "---\n",
        "---\n# a\n---\n...\n",
        "\u{feff}",
        "\u{feff}# a\n",
        "~\n",
        "null\n",
    ] {
        let (snapshot, diagnostics) = build(&format!("{GOOD}//- a.yaml\n{nothing}"));
        assert!(
            snapshot.is_some() && diagnostics.is_empty(),
            "{nothing:?}: {}",
            diagnostics.render_human()
        );
    }
    for (something, code) in [
        ("a: b\n", "not-a-manifest"),
        ("text\n", "not-a-manifest"),
        ("[]\n", "not-a-manifest"),
        ("{}\n", "not-a-manifest"),
        ("kind: Profile\n", "not-a-manifest"),
        ("apiVersion: v1\nkind: ConfigMap\n", "not-a-manifest"),
        (
            "apiVersion: gitboot.dev/v1\nkind: Profile\n",
            "unknown-api-version",
        ),
        (
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profil\n",
            "unknown-kind",
        ),
        ("a: [\n", "yaml-syntax"),
    ] {
        for path in ["a.yaml", "x/y/z.yml"] {
            let (snapshot, diagnostics) = build(&format!("{GOOD}//- {path}\n{something}"));
            assert!(snapshot.is_none());
            assert!(
                codes(&diagnostics).contains(&code),
                "{something:?}: {}",
                diagnostics.render_human()
            );
        }
        let (snapshot, _) = build(&format!(
            "{GOOD}//- a.json\n{something}//- yaml\n{something}"
        ));
        assert!(snapshot.is_some(), "{something:?}");
    }
}

#[test]
fn yaml_that_is_named_is_content_and_no_manifest() {
    let body = "#cloud-config\nusers: [a\n";
    let named = [
        "{additionalConfig: {c: {file: c.yaml}}}",
        "{additionalConfig: {c: \"{% include 'c.yaml' %}\"}}",
        "{ipxe: {file: s.ipxe}, additionalConfig: {c: {file: c.yaml}}}",
        "{additionalContent: [{name: c, exposed: true, file: c.yaml}]}",
    ];
    for spec in named {
        let files = format!(
            "//- a.yaml\n{}//- c.yaml\n{body}//- s.ipxe\n#!ipxe\nexit\n",
            profile(spec)
        );
        assert_eq!(text(&snapshot(&files), "c"), body, "{spec}");
    }
    let manifest = format!("//- a.yaml\n{}//- c.yaml\n", profile(named[0]))
        + GOOD
            .strip_prefix("//- good.yaml\n")
            .unwrap()
            .trim_end()
            .strip_suffix("isDefault: true}")
            .unwrap()
        + "subjectSelectors: {site: x}}\n";
    assert_eq!(codes(&build(&manifest).1), ["manifest-as-content"]);
}

#[test]
fn references_stay_inside_the_served_root() {
    let body = "//- a/b/c.txt\nx\n//- a/c.txt\nx\n//- c.txt\nx\n//- a/b/d/c.txt\nx\n//- a/b/link -> symlink\n//- a/b/module -> submodule\n";
    let good = [
        "c.txt",
        "./c.txt",
        "../c.txt",
        "../../c.txt",
        "/c.txt",
        "/a/b/c.txt",
        "d/c.txt",
        "d/../c.txt",
        "d/./c.txt",
        "/a/../c.txt",
    ];
    for reference in good {
        assert_eq!(
            errors_of_reference(reference, body),
            Vec::<&str>::new(),
            "{reference}"
        );
    }
    let bad = [
        ("../../../c.txt", "bad-reference"),
        ("/../c.txt", "bad-reference"),
        ("d/../../../../c.txt", "bad-reference"),
        ("\"\"", "not-a-file"),
        ("/", "bad-reference"),
        ("missing.txt", "file-not-found"),
        ("c.txt/d", "file-not-found"),
        ("d", "not-a-file"),
        ("link", "not-a-file"),
        ("link/c.txt", "file-not-found"),
        ("module", "not-a-file"),
        ("http://example.com/c.txt", "file-not-found"),
    ];
    for (reference, code) in bad {
        assert_eq!(errors_of_reference(reference, body), [code], "{reference}");
    }
}

#[test]
fn links_and_submodules_matter_only_where_they_look_like_manifests() {
    for (entry, codes_expected) in [
        ("a -> symlink", vec![]),
        ("a/b.txt -> submodule", vec![]),
        (".a.yaml -> symlink", vec![]),
        ("a.yaml -> symlink", vec!["not-a-file"]),
        ("a/b.yml -> symlink", vec!["not-a-file"]),
        ("a.yaml -> submodule", vec!["not-a-file"]),
    ] {
        assert_eq!(
            codes(&build(&format!("{GOOD}//- {entry}\n")).1),
            codes_expected,
            "{entry}"
        );
    }
}

// Types and templates

#[test]
fn content_types_are_guessed_by_name_and_then_by_body() {
    const PLAIN: &str = "text/plain; charset=utf-8";
    const IGNITION: &str = "application/vnd.coreos.ignition+json";
    let ignition = "{\"ignition\": {\"version\": \"3.4.0\"}}";
    let table = [
        ("a.ign", ignition, IGNITION),
        ("a.ign", "{}", IGNITION),
        ("a.IGN", "{}", IGNITION),
        ("a.json", ignition, "application/json"),
        ("a.json", "[]", "application/json"),
        ("a.ks", ignition, PLAIN),
        ("a.cfg", "#cloud-config\n", PLAIN),
        ("a.txt", "{}", PLAIN),
        ("a", ignition, IGNITION),
        ("a.b", "  {\"a\": 1}\n", "application/json"),
        ("a", "[1, 2]", "application/json"),
        ("a", "{\"ignition\": 1}", "application/json"),
        ("a", "{not json", PLAIN),
        ("a", "#cloud-config\nusers: []\n", "text/cloud-config"),
        ("a", "#cloud-config", "text/cloud-config"),
        ("a", "#cloud-configuration\n", PLAIN),
        ("a", "# a\n#cloud-config\n", PLAIN),
        ("user-data.yaml", "#cloud-config\n", "text/cloud-config"),
        ("meta-data.yaml", "instance-id: x\n", PLAIN),
        ("a", "", PLAIN),
        ("a", "hello", PLAIN),
    ];
    for (name, body, expected) in table {
        let files = [
            // In the manifest, by the config's name; in a file, by the file's.
            (
                name,
                format!(
                    "//- p.yaml\n{}",
                    profile(&format!(
                        "{{additionalConfig: {{{name}: {}}}}}",
                        json!(body)
                    ))
                ),
            ),
            (
                "c",
                format!(
                    "//- p.yaml\n{}//- f/{name}\n{body}",
                    profile(&format!("{{additionalConfig: {{c: {{file: f/{name}}}}}}}"))
                ),
            ),
            (
                name,
                format!(
                    "//- p.yaml\n{}//- f/x\n{body}",
                    profile(&format!(
                        "{{additionalConfig: {{{name}: {{file: f/x, template: false}}}}}}"
                    ))
                ),
            ),
        ];
        for (config, files) in files {
            let (bytes, found) = fetch(&snapshot(&files), "", config);
            assert_eq!(found, expected, "{files}");
            assert_eq!(bytes, body.as_bytes());
        }
    }
}

#[test]
fn a_type_that_is_said_wins_and_must_be_a_header_value() {
    let with = |name: &str, body: &str, said: &str| {
        let config = json!({"inline": body, "contentType": said});
        build(&format!(
            "//- p.yaml\n{}",
            profile(&format!("{{additionalConfig: {{{name}: {config}}}}}"))
        ))
    };
    for said in [
        "text/x-shellscript",
        "text/cloud-config",
        "multipart/mixed; boundary=\"==x==\"",
        "application/x-any",
    ] {
        let (snapshot, _) = with("a.txt", "{", said);
        assert_eq!(fetch(&snapshot.unwrap(), "", "a.txt").1, said);
    }
    for said in [
        "",
        "text",
        "text/plain\n",
        "text/plain\r\nx: y",
        " text/plain",
        "text/é",
    ] {
        assert_eq!(
            codes(&with("a", "x", said).1),
            ["invalid-content-type"],
            "{said:?}"
        );
    }
}

#[test]
fn only_json_by_name_or_word_must_be_json() {
    let must = |config: &str, name: &str| {
        let files = format!(
            "//- p.yaml\n{}//- x\n{{\"a\": \n//- x.json\n{{\"a\": \n",
            profile(&format!("{{additionalConfig: {{{name}: {config}}}}}"))
        );
        codes(&build(&files).1)
    };
    let json = "'{\"a\": '";
    for (config, name) in [
        (json, "a.json"),
        (json, "a.ign"),
        ("{file: x.json}", "a"),
        ("{file: x.json, template: false}", "a"),
        ("{file: x, contentType: application/json}", "a"),
        ("{file: x, contentType: application/vnd.x+json; v=1}", "a"),
        ("'{\"a\": {{ values.v|default(1) }}'", "a.json"),
    ] {
        let expected = if config.contains("values") {
            "undefined-value"
        } else {
            "invalid-json"
        };
        assert_eq!(must(config, name), [expected], "{config}");
    }
    for (config, name) in [
        (json, "a"),
        ("{file: x}", "a"),
        ("{file: x.json, contentType: text/plain}", "a.json"),
    ] {
        assert_eq!(must(config, name), Vec::<&str>::new(), "{config}");
    }
}

/// A tree of a manifest and one file with any bytes.
fn with_bytes(manifest: &str, bytes: &[u8]) -> Snapshot {
    let file = |text: &[u8]| Entry::File(text.to_vec().into());
    let tree = Tree::new(
        Revision::new("0123456789abcdef0123456789abcdef01234567"),
        BTreeMap::from([
            (
                RepoPath::parse("a.yaml").unwrap(),
                file(manifest.as_bytes()),
            ),
            (RepoPath::parse("body").unwrap(), file(bytes)),
        ]),
    );
    let options = Options::default();
    let (snapshot, diagnostics) = compile(&tree, &parse(&tree, options.budget), &options);
    snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_no_template_is_served_byte_for_byte(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "(\\{\\{|\\}\\}|\\{%|%\\}|\\$\\{x\\}|[a-z \\r\\n]){0,20}".prop_map(String::into_bytes),
    ]) {
        let said = with_bytes(&profile("{additionalConfig: {c: {file: body, template: false}}}"), &bytes);
        prop_assert_eq!(&fetch(&said, "", "c").0, &bytes);
        let older = profile("{additionalConfig: {c: {file: body}}}").replace("gitboot.dev", "shaper.amahdha.com");
        prop_assert_eq!(&fetch(&with_bytes(&older, &bytes), "", "c").0, &bytes);
        let plain = profile("{additionalConfig: {c: {file: body}}}");
        let marked = [b"## template: jinja\n", bytes.as_slice()].concat();
        prop_assert_eq!(&fetch(&with_bytes(&plain, &marked), "", "c").0, &marked);
        let binary = [bytes.as_slice(), b"\xff"].concat();
        let (sent, content_type) = fetch(&with_bytes(&plain, &binary), "", "c");
        prop_assert_eq!(&sent, &binary);
        prop_assert_eq!(content_type, "text/plain; charset=utf-8");
    }
}

#[test]
fn what_is_a_template_by_default() {
    let body = "{{ values.v }}\n";
    let table = [
        ("gitboot.dev", "", body, "1\n"),
        ("gitboot.dev", ", template: true", body, "1\n"),
        ("gitboot.dev", ", template: false", body, body),
        ("shaper.amahdha.com", "", body, body),
        ("shaper.amahdha.com", ", template: true", body, "1\n"),
        ("ipxe.cloud.alexandre.mahdhaoui.com", "", body, body),
        (
            "gitboot.dev",
            "",
            "## template: jinja\n{{ v }}\n",
            "## template: jinja\n{{ v }}\n",
        ),
        (
            "gitboot.dev",
            ", template: true",
            "## template: jinja\n{{ values.v }}\n",
            "## template: jinja\n1\n",
        ),
        (
            "gitboot.dev",
            "",
            "# template\n{{ values.v }}\n",
            "# template\n1\n",
        ),
    ];
    for (group, said, body, expected) in table {
        for source in ["file: body".to_owned(), format!("inline: {}", json!(body))] {
            let manifest = profile(&format!(
                "{{additionalConfig: {{c: {{{source}{said}}}}}, values: {{v: 1}}}}"
            ))
            .replace("gitboot.dev", group);
            let (sent, _) = fetch(&with_bytes(&manifest, body.as_bytes()), "", "c");
            assert_eq!(
                String::from_utf8(sent).unwrap(),
                expected,
                "{group} {source}{said}"
            );
        }
    }
}

#[test]
fn an_empty_map_of_values_is_no_value_at_all() {
    let files = layered(&vec![Value::Object(Map::new()); 6]);
    let (bytes, _) = fetch(&snapshot(&files), "serial=SN1", "all");
    assert_eq!(bytes, b"{}");
}
