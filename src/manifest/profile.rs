//! A `Profile` document: what to boot.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use crate::diagnostic::{content as say_content, document as say};

use super::fields::{Fields, Reader};
use super::locate::Step;
use super::place::{Origin, Part};
use super::yaml::Node;

pub(super) const TOP_FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
/// Fields that a Kubernetes server writes into `metadata`, accepted and ignored (contract, section 2).
pub(super) const METADATA_FIELDS: &[&str] = &[
    "name",
    "labels",
    "annotations",
    "creationTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "uid",
];
pub(super) const SPEC_FIELDS: &[&str] = &[
    "ipxe",
    "ipxeTemplate",
    "additionalConfig",
    "additionalContent",
    "values",
    "valuesFrom",
];
pub(super) const SCRIPT_FIELDS: &[&str] = &["inline", "file"];
pub(super) const CONFIG_FIELDS: &[&str] = &["inline", "file", "contentType", "template"];
pub(super) const CONTENT_FIELDS: &[&str] = &[
    "name",
    "exposed",
    "inline",
    "file",
    "contentType",
    "template",
    "postTransformations",
];
pub(super) const VALUES_FROM_FIELDS: &[&str] = &["file"];
/// What the older systems could do and a read-only server does not; each is refused with what to use instead.
const REFUSED_FIELDS: &[&str] = &["objectRef", "webhook", "postTransformations"];
/// The longest name of a config (contract, section 3).
const MAX_CONFIG_NAME_BYTES: usize = 128;
/// The name under which `/v1/boot/{mac}/` serves the script itself.
const RESERVED_CONFIG_NAME: &str = "boot.ipxe";

/// What to boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Where it stands.
    pub origin: Origin,
    /// Whether it is of one of the older API groups.
    pub older: bool,
    /// Its name.
    pub name: String,
    /// Its labels, which `profileSelectors` ask for.
    pub labels: BTreeMap<String, String>,
    /// The script; a Profile may have configs alone.
    pub script: Option<Content>,
    /// The configs by name.
    pub configs: BTreeMap<String, Body>,
    /// Values for its templates.
    pub values: Map<String, Value>,
    /// Files of values under its own.
    pub values_from: Vec<FileRef>,
    /// Whether something in it is wrong, so that what follows from it need not be told.
    pub broken: bool,
}

/// A text, or the file that holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The text stands in the manifest, at these steps.
    Inline(String, Vec<Step>),
    /// The text stands in a file.
    File(FileRef),
}

/// A config of a Profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Its text.
    pub content: Content,
    /// The way to the config.
    pub steps: Vec<Step>,
    /// The content type, if the manifest says one; a valid header value.
    pub content_type: Option<String>,
    /// Whether it is a template, if the manifest says so.
    pub template: Option<bool>,
    /// Whether machines may fetch it; otherwise it is inserted in place of its name.
    pub exposed: bool,
}

/// A file that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// The name as written.
    pub reference: String,
    /// The way to where it is written.
    pub steps: Vec<Step>,
}

pub(super) fn read(node: &Node, older: bool, reader: &mut Reader<'_>) -> Option<Profile> {
    let top = reader.fields(node, &[], "a Profile", TOP_FIELDS)?;
    let metadata = metadata(&top, reader);
    let Some((spec, steps)) = top.get_set("spec") else {
        reader.at(&[], Part::Value, |at| {
            say::missing_field(at, "spec", "what to boot")
        });
        return None;
    };
    let spec = reader.fields(spec, &steps, "a Profile's `spec`", SPEC_FIELDS)?;
    let script = spec
        .aliased(reader, &["ipxe", "ipxeTemplate"])
        .and_then(|(node, steps, _)| script(node, steps, reader));
    let mut configs = BTreeMap::new();
    read_config_map(&spec, reader, &mut configs);
    read_content_list(&spec, reader, &mut configs);
    let (name, labels) = metadata?;
    let values = reader.values(spec.get_set("values"));
    let values_from = values_from(&spec, reader);
    Some(Profile {
        origin: reader.origin(),
        older,
        name,
        labels,
        script,
        configs,
        values,
        values_from,
        broken: reader.is_broken(),
    })
}

/// The name and the labels that every manifest has.
pub(super) fn metadata(
    top: &Fields<'_>,
    reader: &mut Reader<'_>,
) -> Option<(String, BTreeMap<String, String>)> {
    let Some((node, steps)) = top.get_set("metadata") else {
        reader.at(&[], Part::Value, |at| {
            say::missing_field(at, "metadata", "with a `name`")
        });
        return None;
    };
    let metadata = reader.fields(node, &steps, "`metadata`", METADATA_FIELDS)?;
    let labels = labels(&metadata, reader);
    let Some((node, name_steps)) = metadata.get_set("name") else {
        reader.at(&steps, Part::Key, |at| {
            say::missing_field(
                at,
                "metadata.name",
                "a DNS-1123 subdomain such as `rack-12`",
            )
        });
        return None;
    };
    let name = reader.string(node, &name_steps, "`metadata.name`")?;
    if !is_dns_subdomain(&name) {
        reader.at(&name_steps, Part::Value, move |at| {
            say::invalid_name(at, &name)
        });
        return None;
    }
    Some((name, labels))
}

fn labels(metadata: &Fields<'_>, reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some((node, steps)) = metadata.get_set("labels") else {
        return labels;
    };
    let Some(entries) = node.as_map() else {
        let found = node.description();
        reader.at(&steps, Part::Value, move |at| {
            say::wrong_type(at, "`metadata.labels`", "a map", found)
        });
        return labels;
    };
    for (key, value) in entries {
        let mut there = steps.clone();
        there.push(Step::Key(key.clone()));
        if let Some(text) = reader.string(value, &there, "a label") {
            labels.insert(key.to_string(), text);
        }
    }
    labels
}

/// The files of `valuesFrom`.
pub(super) fn values_from(spec: &Fields<'_>, reader: &mut Reader<'_>) -> Vec<FileRef> {
    let mut files = Vec::new();
    let Some((node, steps)) = spec.get_set("valuesFrom") else {
        return files;
    };
    let Node::List(items) = node else {
        let found = node.description();
        reader.at(&steps, Part::Value, move |at| {
            say::wrong_type(at, "`valuesFrom`", "a list of `{file: …}`", found)
        });
        return files;
    };
    for (index, item) in items.iter().enumerate() {
        let mut there = steps.clone();
        there.push(Step::from(index));
        let Some(fields) =
            reader.fields(item, &there, "an entry of `valuesFrom`", VALUES_FROM_FIELDS)
        else {
            continue;
        };
        match fields.get_set("file") {
            Some((node, steps)) => files.extend(file(node, steps, reader)),
            None => reader.at(&there, Part::Value, |at| {
                say::missing_field(at, "file", "the path of a file of values")
            }),
        }
    }
    files
}

fn file(node: &Node, steps: Vec<Step>, reader: &mut Reader<'_>) -> Option<FileRef> {
    let reference = reader.string(node, &steps, "`file`")?;
    Some(FileRef { reference, steps })
}

fn script(node: &Node, steps: Vec<Step>, reader: &mut Reader<'_>) -> Option<Content> {
    if let Some(text) = node.as_text() {
        return Some(Content::Inline(text.to_owned(), steps));
    }
    if node.as_map().is_none() {
        let found = node.description();
        reader.at(&steps, Part::Value, move |at| {
            say::wrong_type(at, "`ipxe`", "a string or `{file: …}`", found)
        });
        return None;
    }
    let fields = reader.fields(node, &steps, "`ipxe`", SCRIPT_FIELDS)?;
    content(&fields, &steps, reader)
}

/// `inline` or `file`, exactly one.
fn content(fields: &Fields<'_>, steps: &[Step], reader: &mut Reader<'_>) -> Option<Content> {
    match (fields.get_set("inline"), fields.get_set("file")) {
        (Some((node, steps)), None) => Some(Content::Inline(
            reader.string(node, &steps, "`inline`")?,
            steps,
        )),
        (None, Some((node, steps))) => Some(Content::File(file(node, steps, reader)?)),
        (Some(_), Some((_, steps))) => {
            reader.at(&steps, Part::Key, |at| {
                say::both_fields(at, "inline", "file")
            });
            None
        }
        (None, None) => {
            reader.at(steps, Part::Key, |at| {
                say::missing_field(
                    at,
                    "inline",
                    "the text itself, or `file`, the path of a file that holds it",
                )
            });
            None
        }
    }
}

fn read_config_map(
    spec: &Fields<'_>,
    reader: &mut Reader<'_>,
    configs: &mut BTreeMap<String, Body>,
) {
    let Some((node, steps)) = spec.get_set("additionalConfig") else {
        return;
    };
    let Some(entries) = node.as_map() else {
        let found = node.description();
        reader.at(&steps, Part::Value, move |at| {
            say::wrong_type(at, "`additionalConfig`", "a map of names", found)
        });
        return;
    };
    for (name, node) in entries {
        let mut there = steps.clone();
        there.push(Step::Key(name.clone()));
        let valid = check_config_name(name, &there, Part::Key, reader);
        let body = match node.as_text() {
            Some(text) => Some(Body {
                content: Content::Inline(text.to_owned(), there.clone()),
                steps: there,
                content_type: None,
                template: None,
                exposed: true,
            }),
            None => body(node, there, "a config", CONFIG_FIELDS, reader),
        };
        if let Some(body) = body.filter(|_| valid) {
            configs.insert(name.to_string(), body);
        }
    }
}

fn read_content_list(
    spec: &Fields<'_>,
    reader: &mut Reader<'_>,
    configs: &mut BTreeMap<String, Body>,
) {
    let Some((node, steps)) = spec.get_set("additionalContent") else {
        return;
    };
    let Node::List(items) = node else {
        let found = node.description();
        reader.at(&steps, Part::Value, move |at| {
            say::wrong_type(
                at,
                "`additionalContent`",
                "a list of `{name, exposed, inline}`",
                found,
            )
        });
        return;
    };
    for (index, item) in items.iter().enumerate() {
        let mut there = steps.clone();
        there.push(Step::from(index));
        let Some(body) = body(
            item,
            there.clone(),
            "an entry of `additionalContent`",
            CONTENT_FIELDS,
            reader,
        ) else {
            continue;
        };
        let Some(node) = item.get("name").filter(|node| !node.is_null()) else {
            reader.at(&there, Part::Value, |at| {
                say::missing_field(at, "name", "what templates call it")
            });
            continue;
        };
        there.push(Step::from("name"));
        let Some(name) = reader.string(node, &there, "`name`") else {
            continue;
        };
        if !check_config_name(&name, &there, Part::Value, reader) {
            continue;
        }
        match configs.entry(name) {
            Entry::Vacant(free) => {
                free.insert(body);
            }
            Entry::Occupied(taken) => {
                let name = taken.key().clone();
                reader.at(&there, Part::Value, move |at| {
                    say_content::config_twice(at, &name)
                });
            }
        }
    }
}

fn body(
    node: &Node,
    steps: Vec<Step>,
    what: &str,
    known: &'static [&'static str],
    reader: &mut Reader<'_>,
) -> Option<Body> {
    let before = reader.count();
    if let Some(entries) = node.as_map() {
        for (key, _) in entries
            .iter()
            .filter(|(key, node)| REFUSED_FIELDS.contains(&&**key) && !asks_nothing(node))
        {
            let mut there = steps.clone();
            there.push(Step::Key(key.clone()));
            let key = key.clone();
            reader.at(&there, Part::Key, move |at| {
                say_content::unsupported_source(at, &key)
            });
        }
    }
    if reader.count() > before {
        return None;
    }
    let fields = reader.fields(node, &steps, what, known)?;
    let content = content(&fields, &steps, reader);
    let content_type = fields
        .get_set("contentType")
        .and_then(|(node, steps)| content_type(node, &steps, reader));
    let template = fields
        .get_set("template")
        .and_then(|(node, steps)| reader.boolean(node, &steps, "`template`"));
    let exposed = if known == CONTENT_FIELDS {
        // A field left out is Go's zero value there.
        fields
            .get_set("exposed")
            .and_then(|(node, steps)| reader.boolean(node, &steps, "`exposed`"))
            .unwrap_or(false)
    } else {
        true
    };
    Some(Body {
        content: content?,
        steps,
        content_type,
        template,
        exposed,
    })
}

/// Whether a field that is refused is only there because an older system writes it out: `postTransformations: []`.
fn asks_nothing(node: &Node) -> bool {
    matches!(node, Node::List(items) if items.is_empty()) || node.is_null()
}

fn content_type(node: &Node, steps: &[Step], reader: &mut Reader<'_>) -> Option<String> {
    let text = reader.string(node, steps, "`contentType`")?;
    let valid = text.contains('/')
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && text.trim() == text;
    if valid {
        return Some(text);
    }
    reader.at(steps, Part::Value, |at| {
        say_content::invalid_content_type(at)
    });
    None
}

fn check_config_name(name: &str, steps: &[Step], part: Part, reader: &mut Reader<'_>) -> bool {
    let owned = name.to_owned();
    if name == RESERVED_CONFIG_NAME {
        reader.at(steps, part, move |at| {
            say_content::reserved_config_name(at, &owned)
        });
        return false;
    }
    let valid = name.len() <= MAX_CONFIG_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !valid {
        reader.at(steps, part, move |at| {
            say_content::invalid_config_name(at, &owned)
        });
    }
    valid
}

/// A DNS-1123 subdomain as Kubernetes names objects: words of lower-case letters, digits and inner hyphens, joined by dots,
/// 253 characters in all. Kubernetes does not bound the single word, and the older groups are its objects.
fn is_dns_subdomain(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}
