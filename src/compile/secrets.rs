//! What templates may know of secrets.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::template::{ValuePath, Values, look_up};

use super::content::Contents;

/// What is known of the secrets that configs name as `secrets.…`.
#[derive(Clone, Debug, Default)]
pub enum Secrets {
    /// There are none: a config that names one is refused.
    #[default]
    None,
    /// Whatever a config names is taken to be there. Nobody here knows what it is, so its name stands in its place.
    Unknown,
    /// The same for these names alone, each a way from map to map; others are refused.
    Names(BTreeSet<Vec<String>>),
    /// All of them, as they are.
    Known(Arc<Secret<Map<String, Value>>>),
}

/// What is wrong with a secret that a config names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody said what secrets there are.
    NoSecrets,
    /// This one is not among them.
    Missing,
    /// It is there and cannot be printed as it is: `null`, `a list` or `a map`.
    Unprintable(&'static str),
}

/// The secrets as one compilation sees them.
#[derive(Debug)]
pub(super) struct Vault {
    /// What ids are made of.
    json: Secret<Value>,
    /// What templates see.
    pub(super) values: Arc<Secret<Values>>,
    /// Whether these are the secrets themselves, and not their names.
    pub(super) is_known: bool,
    /// Whether some config names a secret, so that whoever serves this tree makes all ids under a key.
    pub(super) is_used: bool,
    names: Names,
}

/// Which names may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    None,
    Any,
    These,
}

impl Vault {
    pub(super) fn new(secrets: &Secrets, contents: &Contents<'_>) -> Self {
        let written = contents.secrets();
        let json = match secrets {
            Secrets::None => Map::new(),
            Secrets::Unknown => named(&written),
            Secrets::Names(names) => named(names),
            Secrets::Known(map) => map.expose().clone(),
        };
        let json = Value::Object(json);
        Self {
            values: Arc::new(Secret::new(Values::from_json(&json))),
            json: Secret::new(json),
            is_known: matches!(secrets, Secrets::Known(_)),
            is_used: !written.is_empty(),
            names: match secrets {
                Secrets::None => Names::None,
                Secrets::Unknown => Names::Any,
                Secrets::Names(_) | Secrets::Known(_) => Names::These,
            },
        }
    }

    pub(super) fn json(&self) -> &Value {
        self.json.expose()
    }

    /// Ensure that a secret that a config names exists, and can be printed where it is printed as it is.
    pub(super) fn check(&self, one: &ValuePath) -> Option<Fault> {
        match self.names {
            Names::None => return Some(Fault::NoSecrets),
            Names::Any => return None,
            Names::These if one.path.is_empty() => return None,
            Names::These => {}
        }
        match look_up(self.json(), &one.path) {
            None => Some(Fault::Missing),
            Some(Value::Null) if one.printed => Some(Fault::Unprintable("null")),
            Some(Value::Array(_)) if one.printed => Some(Fault::Unprintable("a list")),
            Some(Value::Object(_)) if one.printed => Some(Fault::Unprintable("a map")),
            Some(_) => None,
        }
    }
}

/// A map of maps in which each secret's name stands in its place. Where one name leads to another, it is a map.
fn named(names: &BTreeSet<Vec<String>>) -> Map<String, Value> {
    let mut all = Map::new();
    for name in names {
        let mut map = &mut all;
        let Some((last, before)) = name.split_last() else {
            continue;
        };
        for step in before {
            let inner = map.entry(step).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            let Value::Object(inner) = inner else {
                return all;
            };
            map = inner;
        }
        let text = format!("<secrets.{}>", name.join("."));
        map.entry(last).or_insert(Value::String(text));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_stand_for_what_nobody_knows() {
        let names = ["b", "a.b", "a.b.c", "a.d"];
        let names = names.map(|name| name.split('.').map(str::to_owned).collect());
        let expected = json!({
            "a": {"b": {"c": "<secrets.a.b.c>"}, "d": "<secrets.a.d>"},
            "b": "<secrets.b>",
        });
        assert_eq!(Value::Object(named(&names.into())), expected);
    }
}
