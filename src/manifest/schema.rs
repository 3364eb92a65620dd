//! JSON Schemas of the manifests, for editors that complete and check YAML while it is written.
//!
//! They are written by hand, in draft 7, which every YAML server reads, with `errorMessage`, `patternErrorMessage`,
//! `defaultSnippets` and `doNotSuggest` for the servers that know these. Whatever gitboot accepts, they accept, but for
//! some nulls that count as absent; what a schema cannot say (is there such a Profile, does this number print as written) is
//! left to `validate`.

use serde_json::{Map, Value, json};

use super::{GROUP, VERSION};

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaOf {
    /// A Profile.
    Profile,
    /// An Assignment.
    Assignment,
    /// Either of them, or a `List` of them: for editors that know one schema a file.
    Any,
}

const PROFILE: &str = include_str!("schema/profile.json");
const ASSIGNMENT: &str = include_str!("schema/assignment.json");

/// The schema as one JSON document that stands for itself, with a closing newline.
#[must_use]
pub fn schema(of: SchemaOf) -> String {
    match of {
        SchemaOf::Profile => PROFILE.to_owned(),
        SchemaOf::Assignment => ASSIGNMENT.to_owned(),
        SchemaOf::Any => format!("{:#}\n", any()),
    }
}

/// Both schemas in one. The kind decides which of them holds, so that a mistake is told as one of that kind.
fn any() -> Value {
    let mut definitions = Map::new();
    let mut snippets = Vec::new();
    for (name, text) in [("Profile", PROFILE), ("Assignment", ASSIGNMENT)] {
        let mut one = parse(text);
        if let Some(Value::Object(shared)) = one.remove("definitions") {
            definitions.extend(shared);
        }
        if let Some(Value::Array(own)) = one.remove("defaultSnippets") {
            snippets.extend(own);
        }
        one.remove("$schema");
        definitions.insert(name.to_owned(), Value::Object(one));
    }
    let is = |kind: &str| json!({"properties": {"kind": {"const": kind}}, "required": ["kind"]});
    let then = |kind: &str| json!({"$ref": format!("#/definitions/{kind}")});
    definitions.insert(
        "manifest".to_owned(),
        json!({
            "properties": {"kind": {"enum": ["Profile", "Assignment"]}},
            "allOf": [
                {"if": is("Profile"), "then": then("Profile")},
                {"if": is("Assignment"), "then": then("Assignment")},
            ],
            "required": ["apiVersion", "kind"],
        }),
    );
    definitions.insert(
        "List".to_owned(),
        json!({
            "properties": {
                "apiVersion": {"const": "v1"},
                "kind": {"const": "List"},
                "items": {
                    "description": "The manifests.",
                    "type": "array",
                    "items": {"type": "object", "allOf": [then("manifest")]},
                },
                "metadata": {"description": "Written by a Kubernetes server, and ignored."},
            },
            "required": ["items"],
            "additionalProperties": false,
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "gitboot manifest",
        "description": "A Profile, which says what to boot, or an Assignment, which says who boots what.",
        "type": ["object", "null"],
        "properties": {
            "apiVersion": {"default": format!("{GROUP}/{VERSION}")},
            "kind": {
                "description": "`Profile` says what to boot, `Assignment` who boots what; `List` is what `kubectl get -o yaml` prints.",
                "enum": ["Profile", "Assignment", "List"],
            },
        },
        "required": ["apiVersion", "kind"],
        "if": is("List"),
        "then": then("List"),
        "else": then("manifest"),
        "defaultSnippets": snippets,
        "definitions": definitions,
    })
}

fn parse(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("the schemas are part of the program, and a test reads them")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{LIST_FIELDS, assignment, profile};
    use super::*;
    use crate::label::{Identity, canonical_key};

    fn at(of: SchemaOf, pointer: &str) -> Value {
        let document: Value = serde_json::from_str(&schema(of)).unwrap();
        let found = document.pointer(pointer).cloned();
        found.unwrap_or_else(|| panic!("{of:?} has no {pointer}"))
    }

    /// The properties of the object schema at a pointer, which must allow no others.
    fn properties(of: SchemaOf, pointer: &str) -> BTreeSet<String> {
        let object = at(of, pointer);
        assert_eq!(object["additionalProperties"], false, "{of:?} {pointer}");
        object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    fn names(fields: &[&str]) -> BTreeSet<String> {
        fields.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_schemas_know_the_fields_that_are_read() {
        use SchemaOf::{Any, Assignment, Profile};
        let defined = |name: &str| format!("/definitions/{name}");
        for (of, pointer, fields) in [
            (Profile, String::new(), profile::TOP_FIELDS),
            (Profile, defined("metadata"), profile::METADATA_FIELDS),
            (Profile, defined("profileSpec"), profile::SPEC_FIELDS),
            (Profile, defined("script"), profile::SCRIPT_FIELDS),
            (Profile, defined("config"), profile::CONFIG_FIELDS),
            (Profile, defined("contentEntry"), profile::CONTENT_FIELDS),
            (
                Profile,
                defined("valuesFrom/items"),
                profile::VALUES_FROM_FIELDS,
            ),
            (Assignment, String::new(), assignment::TOP_FIELDS),
            (
                Assignment,
                defined("assignmentSpec"),
                assignment::SPEC_FIELDS,
            ),
            (Any, defined("List"), LIST_FIELDS),
        ] {
            assert_eq!(properties(of, &pointer), names(fields), "{of:?} {pointer}");
        }
    }

    #[test]
    fn what_both_schemas_define_is_the_same() {
        let of = |of| at(of, "/definitions").as_object().unwrap().clone();
        let (profile, assignment) = (of(SchemaOf::Profile), of(SchemaOf::Assignment));
        let shared: Vec<_> = profile
            .keys()
            .filter(|name| assignment.contains_key(*name))
            .collect();
        assert_eq!(shared, ["file", "metadata", "name", "values", "valuesFrom"]);
        for name in shared {
            assert_eq!(profile[name], assignment[name], "{name}");
        }
        assert_eq!(
            at(SchemaOf::Profile, "/properties/apiVersion"),
            at(SchemaOf::Assignment, "/properties/apiVersion")
        );
    }

    #[test]
    fn every_spelling_of_a_label_has_the_schema_of_the_label() {
        let selectors = at(SchemaOf::Assignment, "/definitions/selectors/properties");
        let machine = properties(SchemaOf::Assignment, "/definitions/machine");
        for (name, schema) in selectors.as_object().unwrap() {
            let key = canonical_key(name).unwrap();
            let identity = Identity::from_key(&key);
            assert_eq!(machine.contains(name), identity.is_some(), "{name}");
            let schema = schema.to_string();
            let target = format!("\"#/definitions/{key}\"");
            if *name != key {
                assert!(
                    schema.contains(&target) && schema.contains("deprecated"),
                    "{name}"
                );
            } else if identity.is_some() || key == "buildarch" {
                assert!(schema.contains(&target), "{name}");
            }
        }
        let all = names(&["asset", "mac", "serial", "uuid", "name", "values"]);
        let is_alias = |name: &String| canonical_key(name).is_some_and(|key| key != **name);
        let plain: BTreeSet<_> = machine
            .iter()
            .filter(|name| !is_alias(name))
            .cloned()
            .collect();
        assert_eq!(plain, all);
        // The aliases of the contract, section 4.
        let aliases = [
            "uuids",
            "uuidList",
            "serialNumber",
            "serialNumbers",
            "serials",
            "macs",
            "macAddress",
            "macAddresses",
            "arch",
        ];
        let known: BTreeSet<_> = selectors
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| is_alias(name))
            .cloned()
            .collect();
        assert_eq!(known, names(&aliases));
    }

    #[test]
    fn every_field_is_described() {
        fn walk(document: &Value, schema: &Value, path: &str) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}/{name}");
                let target = field["$ref"]
                    .as_str()
                    .and_then(|at| document.pointer(&at[1..]));
                let described = [Some(field), target].into_iter().flatten();
                assert!(
                    described
                        .into_iter()
                        .any(|one| one["description"].is_string()),
                    "{path}"
                );
                walk(document, field, &path);
            }
        }
        for text in [PROFILE, ASSIGNMENT] {
            let document: Value = serde_json::from_str(text).unwrap();
            walk(&document, &document, "");
            for (name, schema) in document["definitions"].as_object().unwrap() {
                walk(&document, schema, name);
            }
        }
    }

    #[test]
    fn enumerations_are_those_of_the_reader() {
        let versions = at(SchemaOf::Profile, "/properties/apiVersion/enum");
        let groups = std::iter::once(GROUP).chain(super::super::OLDER_GROUPS);
        let expected: Vec<_> = groups.map(|group| format!("{group}/{VERSION}")).collect();
        assert_eq!(versions, json!(expected));
        let priority = at(
            SchemaOf::Assignment,
            "/definitions/assignmentSpec/properties/priority",
        );
        assert_eq!(priority["minimum"], *assignment::PRIORITIES.start());
        assert_eq!(priority["maximum"], *assignment::PRIORITIES.end());
        for arch in at(SchemaOf::Assignment, "/definitions/buildarchValue/enum")
            .as_array()
            .unwrap()
        {
            let normal = crate::label::normalise("buildarch", arch.as_str().unwrap()).unwrap();
            assert!(crate::label::is_buildarch(&normal), "{arch}");
        }
    }
}
