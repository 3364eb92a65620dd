//! One meaning for each text: lists of manifests, merge keys, duplicate keys, byte order marks, line ends, places.

use gitboot::diagnostic::Diagnostics;
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::{self, BaseUrl};
use gitboot::snapshot::Snapshot;
use proptest::prelude::*;

use crate::support::fixture::{GOOD, build, golden_files, snapshot};

fn codes(diagnostics: &Diagnostics) -> Vec<&'static str> {
    diagnostics
        .iter()
        .map(gitboot::diagnostic::Diagnostic::code)
        .collect()
}

fn winner(snapshot: &Snapshot, query: &str) -> String {
    let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
    snapshot.find(&labels).unwrap().assignment().to_owned()
}

fn config(snapshot: &Snapshot, name: &str) -> String {
    let labels = Labels::default();
    let config = snapshot
        .find(&labels)
        .unwrap()
        .config(name)
        .unwrap()
        .clone();
    let bytes = render::config(&config, &labels, &BaseUrl::parse("http://x").unwrap()).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `kubectl get profiles,assignments -o yaml` prints.
const LIST: &str = "\
//- all.yaml
apiVersion: v1
items:
- apiVersion: gitboot.dev/v1alpha1
  kind: Profile
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {\"apiVersion\":\"gitboot.dev/v1alpha1\"}
    creationTimestamp: \"2024-01-02T03:04:05Z\"
    finalizers: [a]
    generation: 2
    labels: {os: x}
    managedFields: [{manager: kubectl}]
    name: p
    namespace: default
    ownerReferences: []
    resourceVersion: \"1234\"
    uid: 47c6da67-7477-4970-aa03-84e48ff4f6ad
  spec:
    ipxe: \"#!ipxe\\n\"
  status: {ready: true}
- apiVersion: shaper.amahdha.com/v1alpha1
  kind: Assignment
  metadata: {name: a, namespace: default}
  spec: {profileName: p, isDefault: true}
kind: List
metadata:
  resourceVersion: \"\"
";

#[test]
fn a_list_is_unpacked_once() {
    assert_eq!(winner(&snapshot(LIST), ""), "a");
    let nested = LIST.replace(
        "items:\n",
        "items:\n- {apiVersion: v1, kind: List, items: []}\n",
    );
    assert_eq!(codes(&build(&nested).1), ["not-a-manifest"]);
    let foreign = LIST.replace("shaper.amahdha.com/v1alpha1", "apps/v1");
    assert!(codes(&build(&foreign).1).contains(&"not-a-manifest"));
    let (empty, _) = build(&format!(
        "{GOOD}//- b.yaml\napiVersion: v1\nkind: List\nitems: []\n"
    ));
    assert!(empty.is_some());
}

#[test]
fn a_list_that_is_half_written_is_an_error() {
    for (list, code) in [
        ("apiVersion: v1\nkind: List\n", "missing-field"),
        ("apiVersion: v1\nkind: List\nitems:\n", "wrong-type"),
        ("apiVersion: v1\nkind: List\nitems: {}\n", "wrong-type"),
        ("apiVersion: v1\nkind: List\nitems: [x]\n", "not-a-manifest"),
        (
            "apiVersion: v1\nkind: List\nitems: []\nitem: []\n",
            "unknown-field",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: []\nitems: []\n",
            "duplicate-key",
        ),
    ] {
        let (snapshot, diagnostics) = build(&format!("{GOOD}//- b.yaml\n{list}"));
        assert!(snapshot.is_none(), "{list}");
        assert_eq!(codes(&diagnostics), [code], "{list}");
    }
}

#[test]
fn what_a_server_writes_is_ignored_and_nothing_else() {
    let with = |field: &str| {
        codes(&build(&LIST.replace("    uid:", &format!("    {field}: x\n    uid:"))).1)
    };
    for field in ["selfLink", "generateName", "deletionTimestamp", "Labels"] {
        assert_eq!(with(field), ["unknown-field"], "{field}");
    }
    let spec = LIST.replace("spec: {profileName", "statuss: {}\n  spec: {profileName");
    assert_eq!(codes(&build(&spec).1), ["unknown-field"]);
}

#[test]
fn merge_keys_work_anywhere_in_a_manifest() {
    let text = "\
//- a.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: p}
spec:
  additionalConfig:
    <<: {c: one, d: \"{{ values.a }}{{ values.b.c }}{{ values.b.d }}\"}
    c: two
  values:
    one: &one {a: 1, b: &b {c: 2}}
    <<: [{b: {<<: *b, d: 3}}, *one]
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: &name {name: a}
spec: {<<: {profile: p, isDefault: false}, isDefault: true}
";
    let snapshot = snapshot(text);
    assert_eq!(winner(&snapshot, ""), "a");
    assert_eq!(config(&snapshot, "c"), "two");
    assert_eq!(config(&snapshot, "d"), "123");
    for bad in ["<<: 1", "<<: [1]", "<<: ~", "<<: [{a: 1}, x]"] {
        let text = format!(
            "{GOOD}//- b.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{values: {{{bad}}}}}\n"
        );
        assert_eq!(codes(&build(&text).1)[0], "merge-key", "{bad}");
    }
}

/// A document with one map somewhere inside, and the way to it.
fn nested(way: &[bool], map: &str) -> String {
    way.iter().rev().fold(map.to_owned(), |inner, is_list| {
        if *is_list {
            format!("[x, {inner}]")
        } else {
            format!("{{k: {inner}, l: 1}}")
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_key_is_said_once_at_any_depth(
        way in prop::collection::vec(any::<bool>(), 0..20),
        (one, other) in prop_oneof![Just(("a", "a")), Just(("1", "\"1\"")), Just(("'a b'", "\"a b\"")), Just(("<<", "<<"))],
    ) {
        let with = |keys: &str| {
            let values = format!("{{top: {}}}", nested(&way, keys));
            codes(&build(&format!("{GOOD}//- b.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{values: {values}}}\n")).1)
        };
        let value = if one == "<<" { "{}" } else { "1" };
        prop_assert_eq!(with(&format!("{{{one}: {value}, b: 2}}")), vec!["unused-profile"]);
        prop_assert_eq!(with(&format!("{{{one}: {value}, b: 2, {other}: {value}}}")), vec!["duplicate-key"]);
    }
}

/// Where each diagnostic of a tree stands, and what it is.
fn places(text: &str) -> Vec<(String, usize, usize, &'static str)> {
    let (_, diagnostics) = build(text);
    let places = diagnostics.iter().filter_map(|one| {
        let at = one.location()?;
        Some((at.path.to_string(), at.line, at.column, one.code()))
    });
    places.collect()
}

/// The trees of the golden files.
fn mistakes() -> Vec<String> {
    let golden = golden_files("diagnostics").into_iter().map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.split("//= ")
            .next()
            .unwrap()
            .replace("//- ALONE\n", "")
    });
    golden.collect()
}

#[test]
fn line_ends_of_windows_mean_nothing() {
    for text in mistakes() {
        let windows: String = text
            .split_inclusive('\n')
            .map(|line| {
                if line.starts_with("//- ") {
                    line.to_owned()
                } else {
                    line.replace('\n', "\r\n")
                }
            })
            .collect();
        assert_eq!(places(&windows), places(&text), "{text}");
    }
    let windows = GOOD.replace('\n', "\r\n").replace("yaml\r\n", "yaml\n");
    assert_eq!(winner(&snapshot(&windows), ""), "good");
}

#[test]
fn a_byte_order_mark_means_nothing() {
    for text in mistakes() {
        let marked: String = text
            .split_inclusive('\n')
            .map(|line| {
                if line.starts_with("//- ") && line.ends_with("yaml\n") {
                    format!("{line}\u{feff}")
                } else {
                    line.to_owned()
                }
            })
            .collect();
        assert_eq!(places(&marked), places(&text), "{text}");
    }
    let values = "//- a.yaml\n\u{feff}apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: p}\nspec: {additionalConfig: {c: '{{ values.v }}'}, valuesFrom: [{file: v.yaml}]}\n---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {name: a}\nspec: {profile: p, isDefault: true}\n//- v.yaml\n\u{feff}v: 1\n";
    assert_eq!(config(&snapshot(values), "c"), "1");
}

/// Line numbers are those of the file that holds the mistake, whatever its line ends and wherever its body begins.
#[test]
fn a_mistake_in_a_body_is_told_where_it_stands() {
    for (file, line_end) in [
        ("s.ipxe", "\n"),
        ("s.ipxe", "\r\n"),
        ("s.yaml", "\n"),
        ("s.yaml", "\r\n"),
    ] {
        let body: String = [
            "#!ipxe",
            "echo é",
            "",
            "echo é {{ values.missing }}",
            "boot",
        ]
        .map(|line| format!("{line}{line_end}"))
        .concat();
        let text = format!(
            "//- a.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{ipxe: {{file: {file}}}}}\n---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: a}}\nspec: {{profile: p, isDefault: true}}\n//- {file}\n{body}"
        );
        let places = places(&text);
        assert_eq!(places.len(), 1, "{text}");
        assert_eq!(
            (places[0].0.as_str(), places[0].1, places[0].2),
            (file, 4, 11),
            "{file} {line_end:?}"
        );
    }
}

/// A document that has no places (a tag, a list as a key) does not take them from those behind it.
#[test]
fn documents_behind_a_refused_one_keep_their_places() {
    for refused in ["a: !tag x", "? [a]\n: b"] {
        let text = format!(
            "{GOOD}//- b.yaml\n{refused}\n---\n\napiVersion: gitboot.dev/v1alpha1\nkind: Profil\n"
        );
        let places = places(&text);
        let line = refused.lines().count() + 4;
        assert!(
            places.contains(&("b.yaml".to_owned(), line, 7, "unknown-kind")),
            "{places:?}"
        );
    }
}

/// No part of a value or of a config's body is shown, on whatever lines it stands beside a mistake.
#[test]
fn no_excerpt_shows_a_value() {
    let profiles = [
        "values: {a: \"one\n    hunter2\", b: 012}",
        "values: {a: one\n    hunter2, b: 012}",
        "values: {a: 'one\n\n    hunter2', b: 012}",
        "values: {a: hunter2, b: 012, c: hunter2}",
        "values: {a: [hunter2, 012, hunter2]}",
        "values: {? hunter2key\n    : \"x\n    hunter2\", b: 012}",
        "additionalConfig: {a: \"one\n    hunter2\", 'b c': x}",
        "additionalConfig: {a: hunter2, b: {inline: hunter2, fil: x}}",
        "additionalConfig: {a: {inline: \"one\n    hunter2\", fil: hunter2}}",
        "ipxe: \"#!ipxe {{ missing }}\", values: {a: hunter2}",
        "values: {a: hunter2}, ipxe: \"#!ipxe {{ missing }}\"",
        "values: {a: \"one\n    hunter2\"}, ipxe: \"#!ipxe {{ missing }}\"",
        "values: {a: &x hunter2}, ipxe: {file: *x}",
        "values: {a: hunter2}, additionalConfig: {c: \"{{ missing }} hunter2\"}",
    ];
    for spec in profiles {
        let text = format!(
            "{GOOD}//- b.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{{spec}}}\n"
        );
        let (snapshot, diagnostics) = build(&text);
        assert!(snapshot.is_none(), "{spec}");
        let excerpts: Vec<&str> = diagnostics
            .iter()
            .map(|one| one.location().unwrap().excerpt.as_str())
            .collect();
        assert!(
            !excerpts
                .iter()
                .any(|one| one.contains("hunter2") && !one.contains("hunter2key")),
            "{spec}: {excerpts:?}"
        );
    }
}
