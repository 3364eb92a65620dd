//! Values as templates see them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::ProblemKind;
use super::fault::fault;

/// Merged values, converted once; a clone shares them. Maps iterate in the order of their keys.
#[derive(Clone, Debug)]
pub struct Values(Arc<Map>);

/// The keys of maps, each kept once: a million machines spell the same few.
#[derive(Debug, Default)]
pub struct Keys(HashSet<Arc<str>>);

impl Keys {
    fn shared(&mut self, key: &str) -> Arc<str> {
        if let Some(known) = self.0.get(key) {
            return Arc::clone(known);
        }
        let key: Arc<str> = key.into();
        self.0.insert(Arc::clone(&key));
        key
    }
}

impl Values {
    /// Converts a map of values; anything else has none.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        let nothing = serde_json::Map::new();
        let map = json.as_object().unwrap_or(&nothing);
        Self(lay(None, map, &mut Keys::default()))
    }

    /// No values at all.
    #[must_use]
    pub fn none() -> Self {
        Self::from_json(&serde_json::Value::Null)
    }

    /// These values with a map laid over them: maps merge key by key, anything else replaces. What is below is shared and
    /// not copied.
    #[must_use]
    pub fn with(&self, over: &serde_json::Map<String, serde_json::Value>, keys: &mut Keys) -> Self {
        Self(lay(Some(&self.0), over, keys))
    }

    /// Whether what stands at these paths, or is missing there, prints and computes the same in both.
    #[must_use]
    pub fn agree<'p>(&self, other: &Self, paths: impl Iterator<Item = &'p [String]>) -> bool {
        let mut paths = paths;
        paths.all(|path| alike(self.at(path).as_ref(), other.at(path).as_ref()))
    }

    /// The rules are those of [`look_up`].
    fn at(&self, path: &[String]) -> Option<Value> {
        path.iter().try_fold(self.value(), |value, step| {
            let found = match value.kind() {
                ValueKind::Map => value.get_attr(step),
                _ => value.get_item_by_index(step.parse().ok()?),
            };
            found.ok().filter(|found| !found.is_undefined())
        })
    }

    pub(super) fn value(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.0))
    }
}

/// The equality of minijinja takes `1`, `1.0` and `true` for the same.
fn alike(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) if one.kind() != other.kind() => false,
        (Some(one), Some(other)) => match one.kind() {
            ValueKind::Seq | ValueKind::Map => {
                serde_json::to_string(one).ok() == serde_json::to_string(other).ok()
            }
            _ => one.to_string() == other.to_string(),
        },
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn lay(
    below: Option<&Arc<Map>>,
    over: &serde_json::Map<String, serde_json::Value>,
    keys: &mut Keys,
) -> Arc<Map> {
    let own = over.iter().map(|(key, json)| {
        let value = match json {
            serde_json::Value::Object(above) => {
                let under = below.and_then(|map| map.get(key)?.downcast_object::<Map>());
                Value::from_dyn_object(lay(under.as_ref(), above, keys))
            }
            _ => convert(json, keys),
        };
        (keys.shared(key), value)
    });
    Arc::new(Map {
        own: own.collect(),
        below: below.cloned(),
    })
}

/// What `values.a.b` finds, by the rules that templates follow: a field of a map by its name, an item of a list by its
/// index in decimal.
#[must_use]
pub fn look_up<'v>(
    values: &'v serde_json::Value,
    path: &[String],
) -> Option<&'v serde_json::Value> {
    path.iter().try_fold(values, |value, step| match value {
        serde_json::Value::Object(map) => map.get(step),
        serde_json::Value::Array(list) => {
            let index = step
                .parse::<usize>()
                .ok()
                .filter(|index| index.to_string() == *step)?;
            list.get(index)
        }
        _ => None,
    })
}

/// How a number prints.
#[must_use]
pub fn printed_number(number: &serde_json::Number) -> String {
    convert_number(number).to_string()
}

fn convert(json: &serde_json::Value, keys: &mut Keys) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => convert_number(number),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(list) => list.iter().map(|item| convert(item, keys)).collect(),
        serde_json::Value::Object(map) => Value::from_dyn_object(lay(None, map, keys)),
    }
}

fn convert_number(number: &serde_json::Number) -> Value {
    if let Some(integer) = number.as_i64() {
        Value::from(integer)
    } else if let Some(integer) = number.as_u64() {
        Value::from(integer)
    } else {
        Value::from(number.as_f64().unwrap_or(f64::NAN))
    }
}

/// A map with text keys. An integer finds the key that is spelled so.
#[derive(Debug)]
struct Map {
    /// Sorted by key.
    own: Box<[(Arc<str>, Value)]>,
    /// The map that it is laid over.
    below: Option<Arc<Self>>,
}

impl Map {
    fn get(&self, key: &str) -> Option<&Value> {
        match self.own.binary_search_by(|(own, _)| (**own).cmp(key)) {
            Ok(at) => self.own.get(at).map(|(_, value)| value),
            Err(_) => self.below.as_ref()?.get(key),
        }
    }

    fn keys(&self) -> BTreeSet<Arc<str>> {
        let mut keys = self
            .below
            .as_ref()
            .map_or_else(BTreeSet::new, |below| below.keys());
        keys.extend(self.own.iter().map(|(key, _)| Arc::clone(key)));
        keys
    }
}

impl Object for Map {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(key) => self.get(key).cloned(),
            None if key.is_integer() => self.get(&key.to_string()).cloned(),
            None => None,
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.keys().into_iter().map(Value::from).collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(match &self.below {
            None => self.own.len(),
            Some(_) => self.keys().len(),
        })
    }
}

/// What a value prints.
///
/// # Errors
/// For null, lists, maps and what is undefined.
pub(super) fn printed(value: &Value) -> Result<Cow<'_, str>, Error> {
    let what = match value.kind() {
        ValueKind::String => return Ok(value.as_str().unwrap_or_default().into()),
        ValueKind::Bool => return Ok(if value.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => return Ok(value.to_string().into()),
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => return Err(fault(ProblemKind::PrintsNull)),
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a map",
        _ => "an object",
    };
    Err(fault(ProblemKind::PrintsCollection { what }))
}
