//! Values: layers merged into one map.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

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
type SharedValues = Arc<Map<String, Value>>;

/// The values that a manifest lays over those of others. They stay apart until then: a scalar of one layer may replace a map
/// below before the next layer puts a map there again.
pub(super) struct Layers<'m> {
    files: Vec<SharedValues>,
    own: &'m Map<String, Value>,
}

impl Layers<'_> {
    /// Lays the files of `valuesFrom` in their order onto `base`, and the manifest's own values on top.
    pub(super) fn onto(&self, mut base: Map<String, Value>) -> Map<String, Value> {
        for file in &self.files {
            merge(&mut base, file);
        }
        merge(&mut base, self.own);
        base
    }
}

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

    /// The files of `valuesFrom` and the manifest's own values; `None` when one cannot be had.
    pub(super) fn layers<'m>(
        &self,
        origin: &Origin,
        from: &[FileRef],
        own: &'m Map<String, Value>,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Layers<'m>> {
        // All are read before the first that is missing ends it, so that every mistake is told.
        let files: Vec<_> = from
            .iter()
            .map(|file| match self.files.named_by(origin, file, locator) {
                Ok((path, _)) => self.read(&path, found),
                Err(diagnostic) => {
                    found.push(*diagnostic);
                    None
                }
            })
            .collect();
        let files = files.into_iter().collect::<Option<_>>()?;
        Some(Layers { files, own })
    }

    fn read(&self, path: &RepoPath, found: &mut Vec<Diagnostic>) -> Option<SharedValues> {
        if let Some(known) = self.read.borrow().get(path) {
            return known.clone();
        }
        let values = match read_values_file(self.files.tree(), path, self.budget) {
            Ok(values) => Some(Arc::new(values)),
            Err(diagnostics) => {
                found.extend(diagnostics);
                None
            }
        };
        self.read.borrow_mut().insert(path.clone(), values.clone());
        values
    }
}
