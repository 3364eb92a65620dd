//! The JSON of groups and profiles.

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, import as say};
use crate::tree::RepoPath;

use super::super::Original;
use super::super::go::printed_float;

/// What matchbox reads of a group.
const GROUP_FIELDS: [&str; 6] = [
    "id",
    "name",
    "profile",
    "selector",
    "metadata",
    "requirements",
];
/// What matchbox reads of a profile.
const PROFILE_FIELDS: [&str; 6] = [
    "id",
    "name",
    "boot",
    "ignition_id",
    "cloud_id",
    "generic_id",
];
/// What matchbox reads of a profile's `boot`.
const BOOT_FIELDS: [&str; 3] = ["kernel", "initrd", "args"];

/// A group: who boots what.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) path: RepoPath,
    /// The name of its file without `.json`, by which matchbox knows it.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) profile: String,
    /// As they are written, by key.
    pub(super) selector: Vec<(String, String)>,
    pub(super) metadata: Map<String, Value>,
}

/// A profile: what to boot.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) path: RepoPath,
    /// The name of its file without `.json`, by which groups name it.
    pub(super) id: String,
    pub(super) title: String,
    /// Empty when there is nothing to boot.
    pub(super) kernel: String,
    pub(super) initrd: Vec<String>,
    pub(super) args: Vec<String>,
    /// `ignition_id`, `cloud_id` and `generic_id`; empty when it has none.
    pub(super) ignition: String,
    pub(super) cloud: String,
    pub(super) generic: String,
}

/// The groups and profiles, by their files.
pub(super) fn read(
    original: &Original<'_>,
    found: &mut Vec<Diagnostic>,
) -> (Vec<Group>, Vec<Profile>) {
    let mut groups = Vec::new();
    for (path, id) in json_files(original, "groups", found) {
        match object(original, &path).and_then(|fields| group(&fields)) {
            Ok(mut group) => {
                unknown(original, &path, &group.1, &GROUP_FIELDS, found);
                group.0.path = path;
                group.0.id = id;
                groups.push(metadata(original, group.0, found));
            }
            Err(why) => found.push(say::unreadable(original.find(&path, &[]), &why)),
        }
    }
    let mut profiles = Vec::new();
    for (path, id) in json_files(original, "profiles", found) {
        let read = object(original, &path).and_then(|fields| {
            let boot = map(&fields, "boot")?;
            Ok((profile(&path, id, &fields, &boot)?, fields, boot))
        });
        match read {
            Ok((profile, fields, boot)) => {
                unknown(original, &path, &fields, &PROFILE_FIELDS, found);
                unknown(original, &path, &boot, &BOOT_FIELDS, found);
                profiles.push(profile);
            }
            Err(why) => found.push(say::unreadable(original.find(&path, &[]), &why)),
        }
    }
    (groups, profiles)
}

/// The files that matchbox would read in a folder, with their names without the extension.
fn json_files(
    original: &Original<'_>,
    folder: &str,
    found: &mut Vec<Diagnostic>,
) -> Vec<(RepoPath, String)> {
    let mut files = Vec::new();
    let Ok(root) = RepoPath::parse(folder) else {
        return files;
    };
    for (path, _) in original.tree.below(&root) {
        let name = path.file_name();
        let nested = path.as_str().len() > folder.len() + 1 + name.len();
        match name.strip_suffix(".json") {
            Some(_) if nested => found.push(say::nested(original.find(path, &[]))),
            Some(id) => files.push((path.clone(), id.to_owned())),
            None => {}
        }
    }
    files
}

fn object(original: &Original<'_>, path: &RepoPath) -> Result<Map<String, Value>, String> {
    let text = original.text(path).ok_or("it is no UTF-8 text")?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

fn group(fields: &Map<String, Value>) -> Result<(Group, Map<String, Value>), String> {
    // The field had another name before `selector`.
    let mut selector = map(fields, "selector")?;
    selector.extend(map(fields, "requirements")?);
    let selector = selector.iter().map(|(key, value)| match value {
        Value::String(value) => Ok((key.clone(), value.clone())),
        _ => Err(format!("selector `{key}` is no text")),
    });
    let group = Group {
        path: RepoPath::parse("groups").map_err(|error| error.to_string())?,
        id: String::new(),
        title: text(fields, "name")?,
        profile: text(fields, "profile")?,
        selector: selector.collect::<Result<_, _>>()?,
        metadata: map(fields, "metadata")?,
    };
    Ok((group, fields.clone()))
}

fn profile(
    path: &RepoPath,
    id: String,
    fields: &Map<String, Value>,
    boot: &Map<String, Value>,
) -> Result<Profile, String> {
    Ok(Profile {
        path: path.clone(),
        id,
        title: text(fields, "name")?,
        kernel: text(boot, "kernel")?,
        initrd: texts(boot, "initrd")?,
        args: texts(boot, "args")?,
        ignition: text(fields, "ignition_id")?,
        cloud: text(fields, "cloud_id")?,
        generic: text(fields, "generic_id")?,
    })
}

fn unknown(
    original: &Original<'_>,
    path: &RepoPath,
    fields: &Map<String, Value>,
    known: &[&str],
    found: &mut Vec<Diagnostic>,
) {
    for field in fields
        .keys()
        .filter(|field| !known.contains(&field.as_str()))
    {
        let at = original.find(path, &[field]);
        found.push(say::unknown_field(at, field));
    }
}

/// The metadata as templates print it: numbers that Go prints otherwise become texts.
fn metadata(original: &Original<'_>, mut group: Group, found: &mut Vec<Diagnostic>) -> Group {
    if group.metadata.remove("request").is_some() {
        let at = original.find(&group.path, &["request"]);
        found.push(say::reserved_metadata(at));
    }
    for (key, value) in &mut group.metadata {
        as_printed(value, &mut |text| {
            let at = original.find(&group.path, &[key]);
            found.push(say::number_as_text(at, key, text));
        });
    }
    group
}

fn as_printed(value: &mut Value, told: &mut impl FnMut(&str)) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            let printed = printed_float(float);
            let again = serde_json::from_str::<Value>(&printed).ok();
            *value = match again {
                Some(Value::Number(same)) if same.to_string() == printed => Value::Number(same),
                _ => {
                    told(&printed);
                    Value::String(printed)
                }
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| as_printed(item, told)),
        Value::Object(map) => map.values_mut().for_each(|item| as_printed(item, told)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<String, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{key}` is no text")),
    }
}

fn texts(fields: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let no_texts = || format!("`{key}` is no list of texts");
    match fields.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(no_texts))
            .collect(),
        Some(_) => Err(no_texts()),
    }
}

fn map(fields: &Map<String, Value>, key: &str) -> Result<Map<String, Value>, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(format!("`{key}` is no map")),
    }
}
