//! The Assignment for a machine that has none, to be copied into the repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::label::{Identity, Labels, is_buildarch};
use crate::snapshot::{ListedProfile, Snapshot};

/// How many values of one identity key are proposed: a machine with more network cards is known by these.
const MAX_VALUES: usize = 8;

/// How many other labels a proposal for a class of machines selects by.
const MAX_CLASS_KEYS: usize = 4;

/// What stands for a value that nobody but the reader knows.
const REPLACE: &str = "\"CHANGE-ME\"";

/// How deep values are proposed; each level costs stack.
const MAX_DEPTH: usize = 16;

/// The longest name that is proposed; Kubernetes takes 253 bytes, people read fewer.
const MAX_NAME_BYTES: usize = 40;

/// A manifest that gives the machine a Profile which is there. `None` where no Profile has a script.
pub(super) fn assignment(snapshot: &Snapshot, labels: &Labels) -> Option<String> {
    let profile = usual_profile(snapshot)?;
    let mut yaml = format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata:\n  name: {}\nspec:\n  profile: {}\n",
        quoted(&free_name(snapshot, labels)),
        quoted(&profile.name)
    );
    let identities = identities(snapshot, labels);
    let classes = classes(labels);
    if !identities.is_empty() {
        yaml.push_str("  machines:\n");
        let mut lead = "    - ";
        for (key, values) in &identities {
            write_key(&mut yaml, lead, key, values);
            lead = "      ";
        }
    } else if !classes.is_empty() {
        yaml.push_str("  subjectSelectors:\n");
        for (key, value) in classes {
            write_key(&mut yaml, "    ", key, &[value]);
        }
    } else {
        yaml.push_str("  isDefault: true\n");
    }
    let needs = profile.needs.iter().map(Vec::as_slice);
    let needs: Vec<&[String]> = needs.filter(|path| path.len() <= MAX_DEPTH).collect();
    if !needs.is_empty() {
        yaml.push_str("  values:\n");
        write_values(&mut yaml, 4, &needs);
    }
    Some(yaml)
}

/// A map with something to replace at each of these sorted paths.
fn write_values(yaml: &mut String, indent: usize, paths: &[&[String]]) {
    let blank = " ".repeat(indent);
    for below in paths.chunk_by(|one, other| one.first() == other.first()) {
        let rests: Vec<&[String]> = below
            .iter()
            .filter_map(|path| path.split_first())
            .map(|(_, rest)| rest)
            .filter(|rest| !rest.is_empty())
            .collect();
        let Some(key) = below.first().and_then(|path| path.first()) else {
            continue;
        };
        // Writing into a string cannot fail.
        let _ = if rests.is_empty() {
            writeln!(yaml, "{blank}{}: {REPLACE}", quoted(key))
        } else {
            writeln!(yaml, "{blank}{}:", quoted(key))
        };
        write_values(yaml, indent + 2, &rests);
    }
}

fn write_key(yaml: &mut String, lead: &str, key: &str, values: &[&str]) {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    // Writing into a string cannot fail.
    let _ = match values.as_slice() {
        [one] => writeln!(yaml, "{lead}{}: {one}", quoted(key)),
        all => writeln!(yaml, "{lead}{}: [{}]", quoted(key), all.join(", ")),
    };
}

/// The Profile with a script that most Assignments use, before all others one that needs no values: whoever copies looks at it
/// first.
fn usual_profile(snapshot: &Snapshot) -> Option<&ListedProfile> {
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in snapshot.rules() {
        for choice in &rule.choices {
            *users.entry(&choice.binding.profile).or_default() += 1;
        }
    }
    let with_script = snapshot.listed_profiles().iter();
    let with_script = with_script.filter(|profile| profile.has_script);
    // The first of those that are alike, by name.
    with_script.rev().max_by_key(|profile| {
        let users = users.get(profile.name.as_str());
        (profile.needs.is_empty(), users.copied().unwrap_or(0))
    })
}

/// Its identities, strongest first, without those that another Assignment names already.
fn identities<'l>(snapshot: &Snapshot, labels: &'l Labels) -> Vec<(&'static str, Vec<&'l str>)> {
    let of = |identity: Identity| {
        let values = labels.identities(identity);
        let free = values.filter(|value| snapshot.naming(identity, value).next().is_none());
        (identity.key(), free.take(MAX_VALUES).collect::<Vec<_>>())
    };
    let all = Identity::ALL.into_iter().map(of);
    all.filter(|(_, values)| !values.is_empty()).collect()
}

/// What else it says of itself, for a machine that does not say who it is.
fn classes(labels: &Labels) -> Vec<(&str, &str)> {
    let classes = labels.iter().filter(|(key, value)| {
        Identity::from_key(key).is_none()
            && !labels.is_fixed(key)
            && (*key != "buildarch" || is_buildarch(value))
    });
    classes.take(MAX_CLASS_KEYS).collect()
}

/// A name that no Assignment has: what people call the machine, as far as a name may be that.
fn free_name(snapshot: &Snapshot, labels: &Labels) -> String {
    let said = ["hostname", "serial", "mac", "uuid", "asset"];
    let mut said = said.iter().filter_map(|key| labels.get(key)).map(name);
    let name = said
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "new-machine".to_owned());
    let is_free = |name: &str| {
        let rules = snapshot.rules();
        !rules.iter().any(|rule| &*rule.name == name)
    };
    if is_free(&name) {
        return name;
    }
    // There are fewer Assignments than numbers.
    let mut numbered = (2_usize..).map(|number| format!("{name}-{number}"));
    numbered.find(|name| is_free(name)).unwrap_or(name)
}

/// A text as a DNS-1123 label; empty where nothing of it can be one.
fn name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().take(MAX_NAME_BYTES) {
        match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => name.push(c),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.trim_matches('-').to_owned()
}

/// A scalar that reads as this very text in whatever place: bare where that is beyond doubt, else in double quotes, with nothing
/// in it that is not printable ASCII.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let begins_as_word = text.starts_with(|c: char| c.is_ascii_lowercase());
    let means_more = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if begins_as_word && text.chars().all(is_plain) && !means_more.contains(&&*text.to_lowercase())
    {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        // Writing into a string cannot fail.
        let _ = match (c, u32::from(c)) {
            ('"' | '\\', _) => write!(quoted, "\\{c}"),
            (' '..='~', _) => write!(quoted, "{c}"),
            (_, code @ 0..=0xffff) => write!(quoted, "\\u{code:04X}"),
            (_, code) => write!(quoted, "\\U{code:08X}"),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_there_is_doubt() {
        for (text, expected) in [
            ("uuid", "uuid"),
            ("rack-12", "rack-12"),
            ("no", "\"no\""),
            ("12e3", "\"12e3\""),
            ("52:54:00:00:00:01", "\"52:54:00:00:00:01\""),
            ("a: b #", "\"a: b #\""),
            ("\"\\", "\"\\\"\\\\\""),
            ("\u{202e}ä\u{1f600}", "\"\\u202E\\u00E4\\U0001F600\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    #[test]
    fn names_are_made_of_what_people_call_it() {
        for (text, expected) in [
            ("SN 42/B", "sn-42-b"),
            ("<script>", "script"),
            ("...", ""),
            ("52:54:00:00:00:01", "52-54-00-00-00-01"),
        ] {
            assert_eq!(name(text), expected);
        }
    }
}
