//! What Go printed is what the converted template prints.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Converted, convert};
use crate::template::{self, Context, Dialect, Kind, Scope, Source, Values};
use crate::tree::RepoPath;

/// Templates with what Go 1.19 printed for them, with `missingkey=error` as matchbox sets it.
const GOLDEN: &str = include_str!("../../../tests/golden/import/go-templates.json");

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

fn parsed(text: &str) -> Result<template::Template, Vec<template::Problem>> {
    let source = Source {
        path: RepoPath::parse("t.txt").unwrap(),
        text: text.into(),
    };
    let scope = Scope {
        configs: &BTreeSet::new(),
        dialect: Dialect::Current,
        in_script: false,
    };
    template::parse(&source, &scope, &|_| unreachable!())
}

/// What a converted template prints; the defaults are those that a Profile would get.
fn printed(converted: &Converted, data: &Map<String, Value>) -> String {
    let mut values = data.clone();
    for keys in &converted.optional {
        let mut map = &mut values;
        let (last, before) = keys.split_last().unwrap();
        for key in before {
            map = map.get_mut(key).unwrap().as_object_mut().unwrap();
        }
        map.entry(last.clone()).or_insert(json!(""));
    }
    let labels = BTreeMap::from([("mac".to_owned(), "52:54:00:00:00:01".to_owned())]);
    let context = Context {
        labels: &labels,
        values: &Values::from_json(&Value::Object(values)),
        secrets: &crate::secret::Secret::new(Values::none()),
        is_secret: false,
        configs: &BTreeMap::new(),
        config_dir: "",
        base_url: "",
        profile: "",
        assignment: "",
        machine: "",
        revision: "",
    };
    let template = parsed(&converted.text).unwrap_or_else(|why| panic!("{why:?}"));
    template
        .render(Kind::Other, &context)
        .unwrap_or_else(|why| panic!("{}: {why:?}", converted.text))
}

#[test]
fn what_is_converted_prints_what_go_prints() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let data = object(golden["data"].clone());
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 60);
    for case in cases {
        let text = case["template"].as_str().unwrap();
        let converted = convert(text, std::slice::from_ref(&data), &[])
            .unwrap_or_else(|why| panic!("{text}: {why:?}"));
        assert_eq!(
            printed(&converted, &data),
            case["printed"].as_str().unwrap(),
            "{text}\n{}",
            converted.text
        );
    }
}

/// The constructs that are told, and why.
fn faults(text: &str, data: &[Map<String, Value>]) -> Vec<(String, &'static str)> {
    let found = convert(text, data, &[]).err().unwrap_or_default();
    let told = |fault: &super::Fault| (text[fault.range.clone()].to_owned(), fault.why);
    found.iter().map(told).collect()
}

/// Templates, the construct that has no equivalent, and how the reason begins.
const REFUSED: [(&str, &str, &str); 22] = [
    (
        "a {{.request.raw_query}}",
        "{{.request.raw_query}}",
        "gitboot has no raw query",
    ),
    (
        "{{template \"x\" .}}",
        "{{template \"x\" .}}",
        "templates inside templates",
    ),
    (
        "{{define \"x\"}}{{.s}}{{end}}",
        "{{define \"x\"}}",
        "templates inside templates",
    ),
    (
        "{{.s | toUpper}}",
        "{{.s | toUpper}}",
        "this function has no equivalent",
    ),
    (
        "{{urlquery .s}}",
        "{{urlquery .s}}",
        "this function has no equivalent",
    ),
    ("{{.l}}", "{{.l}}", "this prints a list or a map"),
    ("{{.}}", "{{.}}", "this prints a list or a map"),
    ("{{.z}}", "{{.z}}", "this prints `<no value>`"),
    (
        "{{index . \"none\"}}",
        "{{index . \"none\"}}",
        "this prints `<no value>`",
    ),
    (
        "{{if eq .n 1}}x{{end}}",
        "{{if eq .n 1}}",
        "Go compares two texts",
    ),
    ("{{len .s}}", "{{len .s}}", "`len` counts bytes"),
    (
        "{{printf \"%d\" .n}}",
        "{{printf \"%d\" .n}}",
        "`printf` would print an error",
    ),
    (
        "{{printf \"%q\" .s}}",
        "{{printf \"%q\" .s}}",
        "`printf` is converted for",
    ),
    (
        "{{range .s}}x{{end}}",
        "{{range .s}}",
        "`range` is converted where",
    ),
    (
        "{{range .l}}{{break}}{{end}}",
        "{{break}}",
        "a loop cannot be left early",
    ),
    (
        "{{$x := .s}}{{$x = .n}}",
        "{{$x = .n}}",
        "a variable that is assigned again",
    ),
    (
        "{{index .m .s}}",
        "{{index .m .s}}",
        "`index` is converted for literal keys",
    ),
    ("{{.none.a}}", "{{.none.a}}", "some group lacks the map"),
    ("{{if .s}}x", "{{if .s}}", "this block has no `{{end}}`"),
    ("x{{end}}", "{{end}}", "this ends nothing"),
    ("x{{ .s", "{{", "the action has no end"),
    ("x{{ .s ? }}", "?", "this character means nothing"),
];

#[test]
fn what_has_no_equivalent_is_told_with_its_place() {
    let data = [object(
        json!({"s": "a", "n": 1, "l": ["x"], "m": {"a": "1"}, "z": null}),
    )];
    for (text, construct, why) in REFUSED {
        let found = faults(text, &data);
        assert!(
            matches!(&found[..], [(one, told)] if one == construct && told.starts_with(why)),
            "{text}: {found:?}"
        );
    }
    let both = "{{.l}} {{range .s}}x{{end}} {{foo}}";
    assert_eq!(faults(both, &data).len(), 3);
}

#[test]
fn data_decide() {
    let data = [
        object(json!({"a": ["x"], "b": "1"})),
        object(json!({"a": {"k": "x"}})),
    ];
    assert_eq!(faults("{{range .a}}{{.}}{{end}}", &data).len(), 1);
    let converted = convert("{{if index . \"b\"}}{{.b}}{{end}}", &data, &[]).unwrap();
    assert_eq!(converted.text, "{% if values.b %}{{ values.b }}{% endif %}");
    assert_eq!(converted.optional, BTreeSet::from([vec!["b".to_owned()]]));
    assert!(converted.softened.is_empty() && converted.lacking.is_empty());
    let converted = convert("{{if .b}}x{{end}}", &data, &[]).unwrap();
    assert_eq!(converted.softened, [(0..9, vec!["b".to_owned()])]);
    let converted = convert("-{{.b}}", &data, &[]).unwrap();
    assert_eq!(converted.lacking, [(1..7, vec!["b".to_owned()])]);
    assert!(converted.optional.is_empty());
}

#[test]
fn variables_of_loops_have_names_that_nothing_else_has() {
    let data = [object(json!({"a": ["x"]}))];
    for (text, expected) in [
        (
            "{{range $values := .a}}{{$values}}{{end}}",
            "{% for values2 in values.a %}{{ values2 }}{% endfor %}",
        ),
        (
            "{{range $c := .a}}{{$c}}{{end}}",
            "{% for c2 in values.a %}{{ c2 }}{% endfor %}",
        ),
        (
            "{{range .a}}{{range $.a}}{{.}}{{end}}{{end}}",
            "{% for item in values.a %}{% for item2 in values.a %}{{ item2 }}{% endfor %}{% endfor %}",
        ),
    ] {
        assert_eq!(convert(text, &data, &["c"]).unwrap().text, expected);
    }
}

/// Something like a template.
fn any_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z{}%#$ \n-]{0,4}",
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("{{- ".to_owned()),
        Just(" -}}".to_owned()),
        prop::sample::select(vec![
            "{{if .s}}",
            "{{else}}",
            "{{end}}",
            "{{range $i, $e := .l}}",
            "{{range .m}}",
            "{{with .m}}",
            "{{.s}}",
            "{{- .s -}}",
            "{{/* c */}}",
            "{{$x := .s}}",
            "{{$x}}",
            "{{.}}",
            "{{$e}}",
            "{{printf \"%s{\" .s}}",
            "{{index . \"none\"}}",
            "{{else if .n}}",
            "{{.request.query.mac}}",
            "{{(.m).a}}",
            "{{.l | len}}",
            "{{\"{%\"}}",
            "{{define \"x\"}}",
            "{{and .s (or .n .l)}}",
            "{{not .s}}",
            "{{`raw`}}",
            "((((((",
            "|",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_converted_can_be_read(text in any_template()) {
        let data = [object(json!({"s": "a", "n": 1, "l": ["x"], "m": {"a": "1"}}))];
        if let Ok(converted) = convert(&text, &data, &[]) {
            let read = parsed(&converted.text);
            prop_assert!(read.is_ok(), "{} {:?}", converted.text, read.err());
        }
    }

    #[test]
    fn text_without_actions_stays_as_it_is(text in "[a-z{}%# \n-]{0,24}") {
        prop_assume!(!text.contains("{{"));
        let converted = convert(&text, &[], &[]).unwrap();
        prop_assert_eq!(printed(&converted, &Map::new()), text);
    }
}
