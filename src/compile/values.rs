//! Values: layers merged into one map.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Budget, FileRef, Locator, Origin, read_values_file};
use crate::tree::RepoPath;

use super::files::Files;

/// Lays `over` onto `base`: maps merge key by key, anything else replaces (contract, section 4).
pub(super) fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The values of one file.
type SharedValues = Rc<Map<String, Value>>;

/// Files of values, each read once however many manifests name it.
pub(super) struct ValuesFiles<'f, 't> {
    files: &'f Files<'t>,
    budget: Budget,
    /// Absent where the file is wrong, which was told then.
    read: RefCell<HashMap<RepoPath, Option<SharedValues>>>,
}

impl<'f, 't> ValuesFiles<'f, 't> {
    pub(super) fn new(files: &'f Files<'t>, budget: Budget) -> Self {
        Self {
            files,
            budget,
            read: RefCell::new(HashMap::new()),
        }
    }

    /// The files of `valuesFrom`, merged in order, and the manifest's own values on top; `None` when one cannot be had.
    pub(super) fn layered(
        &self,
        origin: &Origin,
        from: &[FileRef],
        own: &Map<String, Value>,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Map<String, Value>> {
        let mut layers = Vec::new();
        for file in from {
            layers.push(match self.files.named_by(origin, file, locator) {
                Ok((path, _)) => self.read(&path, found),
                Err(diagnostic) => {
                    found.push(*diagnostic);
                    None
                }
            });
        }
        let mut merged = Map::new();
        for layer in layers {
            merge(&mut merged, layer?.as_ref());
        }
        merge(&mut merged, own);
        Some(merged)
    }

    fn read(&self, path: &RepoPath, found: &mut Vec<Diagnostic>) -> Option<SharedValues> {
        if let Some(known) = self.read.borrow().get(path) {
            return known.clone();
        }
        let values = match read_values_file(self.files.tree(), path, self.budget) {
            Ok(values) => Some(Rc::new(values)),
            Err(diagnostics) => {
                found.extend(diagnostics);
                None
            }
        };
        self.read.borrow_mut().insert(path.clone(), values.clone());
        values
    }
}
