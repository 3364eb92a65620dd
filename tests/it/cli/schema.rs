//! `gitboot schema`: what an editor is told agrees with what gitboot does.

use std::path::{Path, PathBuf};

use gitboot::label::{Rejection, canonical_key, normalise};
use gitboot::manifest::{Budget, parse};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{GOOD, run, source_tree};
use crate::support::fixture::{build, golden_files, tree};
use crate::support::readme;

/// A manifest in every spelling that README and example do not show: older groups, aliases, what a server writes.
const SPELLINGS: &str = r##"
apiVersion: shaper.amahdha.com/v1alpha1
kind: Profile
metadata:
  name: 819f1859-a669-410b-adfc-d0bc128e2d7a
  creationTimestamp: null
  generation: 1
  uid: 1dd9ac0f-2ee0-4f8e-8b0d-2f0f0b8f6a0c
  annotations: {}
spec:
  ipxeTemplate: "#!ipxe\n"
  additionalContent:
    - {name: ignitionFile, exposed: true, inline: "{}"}
    - {name: unsaid, inline: hidden, template: null}
    - {name: other, file: other.txt, contentType: text/plain}
status: {}
---
apiVersion: ipxe.cloud.alexandre.mahdhaoui.com/v1alpha1
kind: Assignment
metadata: {name: default-arm64, namespace: default, managedFields: []}
spec:
  subjectSelectors: {buildarch: [aarch64], uuidList: []}
  profileName: other
  isDefault: true
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: 1.5, labels: null}
spec:
  subjectSelector: {Arch: amd64, "chassis-type": 10, serialNumbers: [1, true], site: no}
  profileSelectors: {os: flatcar, lts: 1}
  machines:
    - {macAddress: 525400123456, values: null}
    - {MACS: ["52-54-00-12-34-56", 5254.0012.3456]}
    - {name: 7, uuids: "{47C6DA67-7477-4970-AA03-84E48FF4F6AD}", asset: 0x1f}
  priority: -1000
  values: {a: 1}
  valuesFrom: null
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: configs-only}
spec: {additionalConfig: {a: 1, b: {inline: x, contentType: null}, c: {file: 7, template: null}}, values: null}
"##;

fn printed(kind: &str) -> Value {
    let ran = run(&["schema", kind]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{kind}");
    serde_json::from_str(&ran.stdout).unwrap()
}

fn validator(schema: &Value) -> Validator {
    assert!(jsonschema::meta::is_valid(schema));
    jsonschema::draft7::new(schema).unwrap()
}

/// The three schemas.
struct Schemas {
    profile: Validator,
    assignment: Validator,
    all: Validator,
}

impl Schemas {
    fn new() -> Self {
        let of = |kind| validator(&printed(kind));
        Self {
            profile: of("profile"),
            assignment: of("assignment"),
            all: of("all"),
        }
    }

    /// What is wrong with a document: by the schema of its kind, which has to agree with the one for all.
    fn errors(&self, document: &Value) -> Vec<String> {
        let list = |validator: &Validator| -> Vec<String> {
            let errors = validator.iter_errors(document);
            errors
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect()
        };
        let all = list(&self.all);
        let own = match document["kind"].as_str() {
            Some("Profile") => &self.profile,
            Some("Assignment") => &self.assignment,
            _ => return all,
        };
        assert_eq!(own.is_valid(document), all.is_empty(), "{document}");
        list(own)
    }
}

/// YAML as an editor reads it: keys are texts, and `<<` is applied.
fn as_json(yaml: &serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Number(number) => serde_json::to_value(number).unwrap(),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(items) => items.iter().map(as_json).collect(),
        Yaml::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| {
                    let key = match as_json(key) {
                        Value::String(key) => key,
                        other => other.to_string(),
                    };
                    (key, as_json(value))
                })
                .collect::<Map<_, _>>(),
        ),
        Yaml::Tagged(tagged) => as_json(&tagged.value),
    }
}

/// The documents of a text, as far as it is YAML: each with its first line, its last one and itself.
fn documents(text: &str) -> Vec<(usize, usize, Value)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut first = 0;
    for end in 0..=lines.len() {
        if end < lines.len() && lines[end] != "---" {
            continue;
        }
        let part = lines[first..end].join("\n");
        if let Ok(mut yaml) = serde_yaml::from_str::<serde_yaml::Value>(&part)
            && yaml.apply_merge().is_ok()
            && !yaml.is_null()
        {
            found.push((first + 1, end, as_json(&yaml)));
        }
        first = end + 1;
    }
    found
}

fn is_manifest(document: &Value) -> bool {
    document["apiVersion"]
        .as_str()
        .is_some_and(|version| version.contains("/v1alpha1"))
}

/// Every manifest that is shown to anybody as right: the example, the README, and the spellings above.
fn examples() -> Vec<(String, Value)> {
    fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                yaml_files(&path, found);
            } else if path.extension().is_some_and(|suffix| suffix == "yaml") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    yaml_files(&source_tree().join("example-repo"), &mut files);
    files.sort();
    let mut texts: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    texts.extend(
        readme::blocks("yaml")
            .into_iter()
            .map(|block| ("README".to_owned(), block)),
    );
    texts.push(("SPELLINGS".to_owned(), SPELLINGS.to_owned()));
    texts.push(("GOOD".to_owned(), GOOD.to_owned()));
    let found: Vec<_> = texts
        .iter()
        .flat_map(|(name, text)| {
            documents(text)
                .into_iter()
                .map(move |(.., one)| (name.clone(), one))
        })
        .filter(|(_, one)| is_manifest(one))
        .collect();
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// Whether gitboot finds nothing wrong in a document when it looks at that alone.
fn is_accepted(document: &Value) -> bool {
    // JSON is YAML.
    let manifests = parse(
        &tree(&format!("//- a.yaml\n{document}\n")),
        Budget::default(),
    );
    manifests.diagnostics.is_empty() && manifests.suspects.is_empty()
}

#[test]
fn every_example_satisfies_its_schema() {
    let schemas = Schemas::new();
    for (name, document) in examples() {
        assert_eq!(schemas.errors(&document), [""; 0], "{name}: {document:#}");
        assert!(is_accepted(&document), "{name}: {document:#}");
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [document]});
        assert_eq!(schemas.errors(&list), [""; 0], "{name}");
    }
    for validator in [&schemas.profile, &schemas.assignment, &schemas.all] {
        assert!(
            validator.is_valid(&Value::Null),
            "a document of comments is nothing"
        );
        assert!(!validator.is_valid(&json!({"apiVersion": "v1", "kind": "ConfigMap"})));
    }
}

/// Calls `visit` with the document in which one node is another one, for each node and some others.
fn mutate(document: &Value, visit: &mut impl FnMut(&str, &Value)) {
    fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    pointers(value, format!("{at}/{key}"), found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
        found.push(at);
    }
    let others = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1001),
        json!(1.5),
        json!(""),
        json!("x"),
        json!(" x/y "),
        json!([]),
        json!(["x"]),
        json!([null]),
        json!({}),
        json!({"x": "y"}),
        json!({"file": "x"}),
        json!({"inline": "x", "file": "y"}),
        json!({"mac": "52:54:00:12:34:56"}),
        json!([{"serial": ["SN42"]}]),
        json!("47c6da67-7477-4970-aa03-84e48ff4f6ad"),
    ];
    let mut found = Vec::new();
    pointers(document, String::new(), &mut found);
    for pointer in found.iter().filter(|pointer| !pointer.is_empty()) {
        for other in &others {
            let mut mutant = document.clone();
            *mutant.pointer_mut(pointer).unwrap() = other.clone();
            visit(pointer, &mutant);
        }
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut mutant = document.clone();
        if let Some(Value::Object(fields)) = mutant.pointer_mut(parent) {
            fields.remove(&key.replace("~1", "/").replace("~0", "~"));
            visit(pointer, &mutant);
        }
    }
}

/// What the schemas refuse although nothing is wrong in that one file: what can name nothing, and nulls in the place of a
/// field that another one excludes.
fn is_stricter_on_purpose(document: &Value, errors: &[String]) -> bool {
    let names_nothing = |error: &String| {
        let path = error.split(':').next().unwrap();
        ["/profile", "/profileName", "/file"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    let spec = &document["spec"];
    let is_null = |field: &str| spec.get(field).is_some_and(Value::is_null);
    let configs = spec["additionalConfig"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, config)| config);
    let contents = spec["additionalContent"].as_array().into_iter().flatten();
    let bodies = configs
        .chain(contents)
        .chain([&spec["ipxe"], &spec["ipxeTemplate"]]);
    let has_null_body = bodies.into_iter().any(|body| {
        ["inline", "file"]
            .iter()
            .any(|field| body.get(field).is_some_and(Value::is_null))
    });
    errors.iter().all(names_nothing)
        || ["profile", "profileName", "profileSelectors"]
            .into_iter()
            .any(is_null)
        || has_null_body
}

#[test]
fn whatever_is_accepted_satisfies_its_schema() {
    let schemas = Schemas::new();
    let (mut accepted, mut refused, mut caught) = (0, 0, 0);
    for (name, document) in examples() {
        mutate(&document, &mut |pointer, mutant| {
            let errors = schemas.errors(mutant);
            if is_accepted(mutant) {
                accepted += 1;
                assert!(
                    errors.is_empty() || is_stricter_on_purpose(mutant, &errors),
                    "{name} at {pointer}: {errors:#?} in {mutant:#}"
                );
            } else {
                refused += 1;
                caught += usize::from(!errors.is_empty());
            }
        });
    }
    // Most of what is wrong with a manifest by itself is seen while it is typed.
    assert!(accepted > 1000 && refused > 2000, "{accepted} {refused}");
    assert!(caught * 10 > refused * 9, "{caught} of {refused}");
}

/// The mistakes that a schema tells, wherever they are made.
const TOLD: [&str; 16] = [
    "default-names-machines",
    "empty-selector",
    "exclusive-fields",
    "invalid-config-name",
    "invalid-content-type",
    "invalid-name",
    "invalid-priority",
    "malformed-mac",
    "malformed-uuid",
    "missing-field",
    "selects-nobody",
    "unknown-api-version",
    "unknown-buildarch",
    "unknown-field",
    "unknown-kind",
    "unsupported-source",
];

#[test]
fn every_documented_mistake_is_told_by_the_schema_or_by_validate() {
    let schemas = Schemas::new();
    let mut told = std::collections::BTreeSet::new();
    for golden in golden_files("diagnostics") {
        let text = std::fs::read_to_string(&golden).unwrap();
        let fixture = text
            .split("//= ")
            .next()
            .unwrap()
            .replace("//- ALONE\n", "");
        let (_, diagnostics) = build(&fixture);
        assert!(!diagnostics.is_empty(), "{}", golden.display());
        for part in fixture.split("//- ").skip(1) {
            let (path, body) = part.split_once('\n').unwrap();
            for (first, last, document) in documents(body)
                .into_iter()
                .filter(|(.., one)| one["apiVersion"].is_string())
            {
                let codes = diagnostics.iter().filter(|one| {
                    let at = one.location().filter(|at| at.path.as_str() == path);
                    at.is_some_and(|at| (first..=last).contains(&at.line))
                });
                let codes: Vec<&str> = codes.map(gitboot::diagnostic::Diagnostic::code).collect();
                let errors = schemas.errors(&document);
                if let Some(code) = codes.iter().find(|code| TOLD.contains(code)) {
                    assert!(
                        !errors.is_empty(),
                        "{}: {code} in {document:#}",
                        golden.display()
                    );
                    told.extend(
                        codes
                            .iter()
                            .filter(|code| TOLD.contains(code))
                            .map(ToString::to_string),
                    );
                } else if codes.is_empty() {
                    assert_eq!(errors, [""; 0], "{}: {document:#}", golden.display());
                }
            }
        }
    }
    assert_eq!(
        told.len(),
        TOLD.len(),
        "no golden file has all of them: {told:?}"
    );
}

/// The schema of one definition of the Assignment's.
fn definition(name: &str) -> Validator {
    let schema = printed("assignment");
    validator(
        &json!({"$ref": format!("#/definitions/{name}"), "definitions": schema["definitions"]}),
    )
}

/// Texts that are nearly identities.
fn nearly() -> impl Strategy<Value = String> {
    let group = prop_oneof![
        "[0-9a-fA-F]{2}",
        "[0-9a-fA-F]{4}",
        "[0-9a-fA-F]{8}",
        "[0-9a-gA-G]{1,3}"
    ];
    let groups = prop::collection::vec(group, 1..22);
    let separator = prop_oneof!["", "[:.-]", "[:-]"];
    let plain = (groups, separator).prop_map(|(groups, separator)| groups.join(&separator));
    let exact = prop_oneof![
        "([0-9a-f]{2}:){5}[0-9a-f]{2}",
        "([0-9A-F]{2}-){7}[0-9A-F]{2}",
        "([0-9a-f]{2}:){19}[0-9a-f]{2}",
        "([0-9a-f]{4}[.]){2}[0-9a-f]{4}",
        "([0-9a-f]{4}[.]){9}[0-9a-f]{4}",
        "[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{40}",
        "[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "[0-9a-f]{32}",
    ];
    let wrapped = prop_oneof![
        Just(("", "")),
        Just(("{", "}")),
        Just(("urn:uuid:", "")),
        Just(("URN:Uuid:", "")),
        Just((" ", "\t")),
        Just(("{", "")),
        Just(("", "-")),
        Just(("", ":")),
        Just(("x", "")),
    ];
    (prop_oneof![plain, exact], wrapped)
        .prop_map(|(text, (before, after))| format!("{before}{text}{after}"))
}

#[test]
fn patterns_accept_exactly_what_is_an_identity() {
    for (key, name) in [("mac", "macValue"), ("uuid", "uuidValue")] {
        let validator = definition(name);
        let check = |text: &str| {
            // That a vendor filled in nothing is for `validate` to tell; words that stand for nothing are not even the shape
            // of an address, which has twelve digits at least.
            let digits = text.chars().filter(char::is_ascii_hexdigit).count();
            let is_one = match normalise(key, text) {
                Ok(_) => true,
                Err(Rejection::Junk) => digits >= 12,
                Err(_) => false,
            };
            assert_eq!(validator.is_valid(&json!(text)), is_one, "{key} {text:?}");
        };
        proptest!(ProptestConfig::with_cases(1000), |(text in nearly())| check(&text));
        for text in [
            "",
            " ",
            "0",
            "52:54:00:12:34:56",
            "52:54:00:12:34:5",
            "5254.0012.3456",
            "{47c6da67-7477-4970-aa03-84e48ff4f6ad}",
        ] {
            check(text);
        }
    }
}

#[test]
fn every_spelling_of_an_identity_names_a_machine() {
    let validator = definition("machine");
    let words = [
        "mac",
        "MACS",
        "macAddress",
        "macaddresses",
        "Uuid",
        "uuids",
        "uuidList",
        "serial",
        "serials",
        "serialNumber",
        "SERIALNUMBERS",
        "asset",
        "Asset",
        "assets",
        "arch",
        "ip",
        "macaddr",
        "name",
        "values",
    ];
    for word in words {
        let is_identity = canonical_key(word)
            .is_some_and(|key| ["mac", "uuid", "serial", "asset"].contains(&&*key));
        let value = if canonical_key(word).as_deref() == Some("uuid") {
            "47c6da67-7477-4970-aa03-84e48ff4f6ad"
        } else {
            "52:54:00:12:34:56"
        };
        assert_eq!(
            validator.is_valid(&json!({word: value})),
            is_identity,
            "{word}"
        );
    }
}

#[test]
fn a_kind_is_one_of_three() {
    for args in [
        &["schema"][..],
        &["schema", "Profile"],
        &["schema", "machine"],
        &["schema", "profile", "x"],
    ] {
        assert_eq!(run(args).code, Some(64), "{args:?}");
    }
    for kind in ["profile", "assignment", "all"] {
        let schema = printed(kind);
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(
            !schema.to_string().contains("\"$ref\":\"http"),
            "it stands for itself"
        );
    }
}
