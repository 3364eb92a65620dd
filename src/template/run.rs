//! One render: what is in scope, and what it has cost so far.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::fault::fault;
use super::{Context, Kind, ProblemKind, limits};
use crate::secret::Secret;

/// The variable that holds the [`Run`]: no template can spell it.
const RUN: &str = "#run";

/// How labels are escaped in this render, and how much work it has done.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) kind: Kind,
    work: AtomicU64,
}

impl Run {
    /// The run that a filter works for.
    pub(super) fn of(state: &State<'_, '_>) -> Result<Arc<Self>, Error> {
        let run = state
            .lookup(RUN)
            .and_then(|run| run.downcast_object::<Self>());
        run.ok_or_else(|| fault(ProblemKind::Failed("there is no render to work for".into())))
    }

    /// Adds to the work done.
    ///
    /// # Errors
    /// When it passes [`limits::WORK`].
    pub(super) fn charge(&self, bytes: u64) -> Result<(), Error> {
        let before = self
            .work
            .fetch_add(bytes.min(limits::WORK), Ordering::Relaxed);
        if before.saturating_add(bytes) > limits::WORK {
            Err(fault(ProblemKind::Fuel))
        } else {
            Ok(())
        }
    }

    /// Charges for a whole value, and looks that it does not nest too deep.
    pub(super) fn measure(&self, value: &Value) -> Result<(), Error> {
        self.measure_level(value, 0)
    }

    fn measure_level(&self, value: &Value, level: usize) -> Result<(), Error> {
        if let Some(text) = value.as_str() {
            return self.charge(text.len() as u64);
        }
        let Some(object) = value.as_object() else {
            return Ok(());
        };
        if level >= limits::VALUE_DEPTH {
            return Err(fault(ProblemKind::Failed(
                "lists and maps nest too deep".into(),
            )));
        }
        let is_map = object.repr() == ObjectRepr::Map;
        for item in value.try_iter()? {
            self.charge(limits::ITEM_WORK)?;
            self.measure_level(&item, level + 1)?;
            if is_map {
                self.measure_level(&value.get_item(&item)?, level + 1)?;
            }
        }
        Ok(())
    }

    /// Charges for reading a value once, without looking into its items.
    pub(super) fn touch(&self, value: &Value) -> Result<(), Error> {
        let bytes = match value.as_str() {
            Some(text) => text.len() as u64,
            None if value.as_object().is_some() => {
                (value.len().unwrap_or(0) as u64).saturating_mul(limits::ITEM_WORK)
            }
            None => 0,
        };
        self.charge(bytes)
    }
}

impl Object for Run {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// What a template mentions, in the order in which its values are handed over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Label names as written, sorted, and the canonical keys they stand for.
    pub(super) labels: Arc<[Box<str>]>,
    pub(super) label_keys: Box<[String]>,
    /// Config names, sorted.
    pub(super) configs: Arc<[Box<str>]>,
    /// The config names that are used as plain variables.
    pub(super) plain: Box<[Box<str>]>,
}

/// The outermost scope.
#[derive(Debug)]
pub(super) struct Root {
    shape: Arc<Shape>,
    run: Value,
    labels: Value,
    values: Value,
    secrets: Secret<Value>,
    configs: Value,
    config_dir: Value,
    base_url: Value,
    revision: Value,
    profile: Value,
    assignment: Value,
    machine: Value,
}

impl Root {
    pub(super) fn new(shape: &Arc<Shape>, kind: Kind, context: &Context<'_>) -> Self {
        let labels = shape
            .label_keys
            .iter()
            .map(|key| Value::from(context.labels.label(key).unwrap_or("")));
        let configs = shape.configs.iter().map(|name| {
            context
                .configs
                .text(name)
                .map_or(Value::UNDEFINED, Value::from)
        });
        let named = |name: &str| Value::from_object(Named(Value::from(name)));
        Self {
            run: Value::from_object(Run {
                kind,
                work: AtomicU64::new(0),
            }),
            labels: Value::from_object(Table {
                names: shape.labels.clone(),
                values: labels.collect(),
            }),
            values: context.values.value(),
            secrets: Secret::new(context.secrets.expose().value()),
            configs: Value::from_object(Table {
                names: shape.configs.clone(),
                values: configs.collect(),
            }),
            config_dir: Value::from(context.config_dir),
            base_url: Value::from(context.base_url),
            revision: Value::from(context.revision),
            profile: named(context.profile),
            assignment: named(context.assignment),
            machine: named(context.machine),
            shape: shape.clone(),
        }
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let value = match key {
            RUN => &self.run,
            "labels" => &self.labels,
            "values" => &self.values,
            "secrets" => self.secrets.expose(),
            "configs" => &self.configs,
            "config_dir" => &self.config_dir,
            "base_url" => &self.base_url,
            "revision" => &self.revision,
            "profile" => &self.profile,
            "assignment" => &self.assignment,
            "machine" => &self.machine,
            name => {
                self.shape
                    .plain
                    .binary_search_by(|plain| plain.as_ref().cmp(name))
                    .ok()?;
                return self.configs.get_attr(name).ok();
            }
        };
        Some(value.clone())
    }
}

/// `profile` and its like.
#[derive(Debug)]
struct Named(Value);

impl Object for Named {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some("name")).then(|| self.0.clone())
    }
}

/// Values under sorted names.
#[derive(Debug)]
struct Table {
    names: Arc<[Box<str>]>,
    values: Vec<Value>,
}

impl Object for Table {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let index = self
            .names
            .binary_search_by(|name| name.as_ref().cmp(key))
            .ok()?;
        self.values.get(index).cloned()
    }
}

/// What was printed, up to [`limits::OUTPUT_BYTES`].
#[derive(Default)]
pub(super) struct Printed(pub(super) Vec<u8>);

impl io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > limits::OUTPUT_BYTES {
            return Err(io::Error::other("the output is too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
