//! Assignments meet Profiles: every Assignment, and every machine with values of its own, gets its binding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Assignment, Locator, Machine, Manifests};
use crate::snapshot::{Binding, Choice, Entry, Rule, Scope, SelectorValues};
use crate::template::{Values, look_up};
use crate::tree::Revision;

use super::Bound;
use super::body::{Bodies, Built, Setting, exposed};
use super::complaint::{Complaint, Told};
use super::content::{Contents, Loaded, LoadedBody};
use super::rank::tier;
use super::resolve::{Candidate, Resolved};
use super::values::{Layers, merge};

/// Builds rules and bindings.
pub(super) struct Binder<'a> {
    contents: &'a Contents<'a>,
    bodies: Bodies<'a>,
    rules: Vec<Rule>,
}

/// For whom something is bound.
#[derive(Clone, Copy)]
pub(super) struct Whom<'a> {
    pub(super) profile: usize,
    pub(super) loaded: &'a Loaded<'a>,
    pub(super) assignment: &'a str,
    pub(super) machine: Option<(usize, &'a Machine)>,
}

impl std::fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.machine {
            None => write!(f, "Assignment `{}`", self.assignment),
            Some((
                _,
                Machine {
                    name: Some(name), ..
                },
            )) => write!(f, "machine `{name}` of Assignment `{}`", self.assignment),
            Some((place, _)) => write!(
                f,
                "machine {} of Assignment `{}`",
                place + 1,
                self.assignment
            ),
        }
    }
}

impl<'a> Binder<'a> {
    /// Binds every Assignment; what is wrong goes to `found`.
    pub(super) fn bind(
        manifests: &'a Manifests,
        resolved: &Resolved,
        contents: &'a Contents<'a>,
        revision: &'a Revision,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut binder = Self {
            contents,
            bodies: Bodies::new(revision),
            rules: Vec::new(),
        };
        let mut used = BTreeSet::new();
        for ((assignment, candidates), values) in manifests
            .assignments
            .iter()
            .zip(&resolved.candidates)
            .zip(&contents.assignment_values)
        {
            used.extend(candidates.iter().map(|candidate| candidate.profile));
            if let Some(values) = values.as_ref().filter(|_| !assignment.broken) {
                binder.assignment(assignment, candidates, values);
            }
        }
        let complete = resolved
            .candidates
            .iter()
            .all(|candidates| !candidates.is_empty());
        let unused =
            (0..contents.profiles.len()).filter(|number| complete && !used.contains(number));
        unused.for_each(|number| binder.bodies.complaints.unused(number));
        std::mem::take(&mut binder.bodies.complaints).tell(contents, locator, found);
        binder
    }

    pub(super) fn finish(self) -> Bound {
        self.bodies.into_bound(self.rules)
    }

    fn assignment(
        &mut self,
        assignment: &'a Assignment,
        candidates: &[Candidate],
        values: &Layers<'_>,
    ) {
        let mut choices = Vec::new();
        for candidate in candidates {
            let Some(loaded) = self
                .contents
                .profiles
                .get(candidate.profile)
                .and_then(Option::as_ref)
            else {
                return;
            };
            let whom = Whom {
                profile: candidate.profile,
                loaded,
                assignment: &assignment.name,
                machine: None,
            };
            let base = values.onto(loaded.values.clone());
            choices.push(self.choice(whom, assignment, candidate, &base));
        }
        self.rules.push(Rule {
            name: assignment.name.as_str().into(),
            tier: tier(assignment),
            priority: assignment.priority,
            selectors: assignment
                .selectors
                .iter()
                .map(|selector| SelectorValues {
                    key: selector.key.as_str().into(),
                    values: selector
                        .values
                        .iter()
                        .map(|value| value.as_str().into())
                        .collect(),
                })
                .collect(),
            entries: assignment.machines.iter().map(entry).collect(),
            choices,
        });
    }

    fn choice(
        &mut self,
        whom: Whom<'a>,
        assignment: &'a Assignment,
        candidate: &Candidate,
        base: &Map<String, Value>,
    ) -> Choice {
        let mut choice = Choice {
            requires: candidate.requires.clone(),
            shared: None,
            own: BTreeMap::new(),
        };
        let names_machine = bodies(whom.loaded).any(|(_, body)| {
            body.template
                .as_ref()
                .is_some_and(|one| one.usage().machine_name)
        });
        let has_own = |machine: &Machine| {
            !machine.values.is_empty() || (names_machine && machine.name.is_some())
        };
        for (place, machine) in assignment
            .machines
            .iter()
            .enumerate()
            .filter(|(_, machine)| has_own(machine))
        {
            let mut values = base.clone();
            merge(&mut values, &machine.values);
            let whom = Whom {
                machine: Some((place, machine)),
                ..whom
            };
            if let Ok(binding) = self.binding(whom, values) {
                choice.own.insert(place, Arc::new(binding));
            }
        }
        if assignment.machines.is_empty() || !assignment.machines.iter().all(has_own) {
            choice.shared = self.binding(whom, base.clone()).ok().map(Arc::new);
        }
        choice
    }

    fn binding(&mut self, whom: Whom<'a>, values: Map<String, Value>) -> Result<Binding, Told> {
        let values = Value::Object(values);
        self.check_values(whom, &values)?;
        let scope = Arc::new(Scope {
            profile: whom.loaded.profile.name.as_str().into(),
            assignment: whom.assignment.into(),
            machine: whom
                .machine
                .and_then(|(_, machine)| machine.name.clone())
                .unwrap_or_default(),
            values: Values::from_json(&values),
        });
        let mut built: BTreeMap<&str, Built> = BTreeMap::new();
        for (name, body) in &whom.loaded.configs {
            let setting = Setting {
                whom,
                scope: &scope,
                values: &values,
                built: &built,
            };
            let one = self.bodies.config(&setting, name, body)?;
            built.insert(name, one);
        }
        let setting = Setting {
            whom,
            scope: &scope,
            values: &values,
            built: &built,
        };
        let script = whom
            .loaded
            .script
            .as_ref()
            .and_then(|body| body.template.as_ref());
        let script = script
            .map(|template| self.bodies.script(&setting, template))
            .transpose()?;
        Ok(Binding {
            scope,
            script,
            configs: exposed(&built),
        })
    }

    /// Ensure that every value a template writes exists, and that every value it prints as it is can be printed.
    fn check_values(&mut self, whom: Whom<'a>, values: &Value) -> Result<(), Told> {
        let mut result = Ok(());
        for (name, body) in bodies(whom.loaded) {
            let Some(template) = &body.template else {
                continue;
            };
            for (number, one) in template
                .usage()
                .values
                .iter()
                .enumerate()
                .filter(|(_, one)| !one.path.is_empty())
            {
                let complaint = match look_up(values, &one.path) {
                    None => Complaint::Undefined {
                        number,
                        near: near(values, &one.path),
                    },
                    Some(Value::Null) if one.printed => Complaint::Unprintable {
                        number,
                        what: "null",
                    },
                    Some(Value::Array(_)) if one.printed => Complaint::Unprintable {
                        number,
                        what: "a list",
                    },
                    Some(Value::Object(_)) if one.printed => Complaint::Unprintable {
                        number,
                        what: "a map",
                    },
                    Some(_) => continue,
                };
                result = Err(self
                    .bodies
                    .complaints
                    .add(whom.profile, name, complaint, whom));
            }
        }
        result
    }
}

fn bodies<'a>(
    loaded: &'a Loaded<'a>,
) -> impl Iterator<Item = (Option<&'a str>, &'a LoadedBody<'a>)> {
    let script = loaded.script.iter().map(|body| (None, body));
    script.chain(
        loaded
            .configs
            .iter()
            .map(|(name, body)| (Some(*name), body)),
    )
}

fn entry(machine: &Machine) -> Entry {
    Entry {
        name: machine.name.clone().unwrap_or_default(),
        identities: machine
            .identities
            .iter()
            .map(|one| (one.identity, one.values.clone()))
            .collect(),
    }
}

/// A value beside the missing one, spelled alike.
fn near(values: &Value, path: &[String]) -> Option<String> {
    let (last, before) = path.split_last()?;
    let map = look_up(values, before)?.as_object()?;
    let near = crate::diagnostic::similar(last, map.keys().map(String::as_str))?;
    let mut whole: Vec<&str> = vec!["values"];
    whole.extend(before.iter().map(String::as_str));
    whole.push(near);
    Some(whole.join("."))
}
