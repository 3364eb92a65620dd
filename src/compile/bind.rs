//! Assignments meet Profiles: every Assignment, and every machine with values of its own, gets its binding.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZero;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Assignment, Locator, Machine, Manifests};
use crate::snapshot::{
    Binding, Choice, ConfigName, Outfit, Rule, Scope, SelectorValues, Shared, Text,
};
use crate::template::{Keys, Values, look_up};

use super::Bound;
use super::body::{Bodies, Built, Outside, Setting};
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
    keys: Keys,
    /// The names of configs, by the Profile's place.
    names: HashMap<usize, Arc<[ConfigName]>>,
}

/// An Assignment with the Profiles that it may mean and its values.
type Work<'a> = (&'a Assignment, &'a [Candidate], &'a Option<Layers<'a>>);

/// For whom something is bound.
#[derive(Clone, Copy)]
pub(super) struct Whom<'a> {
    pub(super) profile: usize,
    pub(super) loaded: &'a Loaded<'a>,
    pub(super) assignment: &'a str,
    pub(super) machine: Option<Machine<'a>>,
}

impl std::fmt::Display for Whom<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.machine.map(|machine| (machine.name(), machine.place)) {
            None => write!(f, "Assignment `{}`", self.assignment),
            Some((Some(name), _)) => {
                write!(f, "machine `{name}` of Assignment `{}`", self.assignment)
            }
            Some((None, place)) => write!(
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
        resolved: &'a Resolved,
        contents: &'a Contents<'a>,
        outside: Outside<'a>,
        threads: NonZero<usize>,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let all: Vec<Work<'_>> = manifests
            .assignments
            .iter()
            .zip(&resolved.candidates)
            .zip(&contents.assignment_values)
            .map(|((assignment, candidates), values)| (assignment, candidates, values))
            .map(|(assignment, candidates, values)| (assignment.as_ref(), &candidates[..], values))
            .collect();
        let mut binder = Self::bind_in_parallel(&all, contents, outside, threads);
        let used: BTreeSet<usize> = resolved
            .candidates
            .iter()
            .flatten()
            .map(|candidate| candidate.profile)
            .collect();
        // What stands in a file that could not be read may use any of them.
        let complete = manifests.unread.is_empty()
            && resolved
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

    /// Assignments are bound each for itself, so each thread takes a run of them; what comes together afterwards is in the
    /// order of all.
    fn bind_in_parallel(
        all: &[Work<'a>],
        contents: &'a Contents<'a>,
        outside: Outside<'a>,
        threads: NonZero<usize>,
    ) -> Self {
        /// Below this, starting a thread costs more than it saves.
        const ASSIGNMENTS_PER_THREAD: usize = 64;
        let share = all
            .len()
            .div_ceil(threads.get())
            .max(ASSIGNMENTS_PER_THREAD);
        let bind_run = |run: &[Work<'a>]| {
            let mut binder = Self::new(contents, outside);
            for (assignment, candidates, values) in run {
                if let Some(values) = values.as_ref().filter(|_| !assignment.broken) {
                    binder.assignment(assignment, candidates, values);
                }
            }
            binder
        };
        if all.len() <= share {
            return bind_run(all);
        }
        let runs = std::thread::scope(|scope| {
            let runs: Vec<_> = all
                .chunks(share)
                .map(|run| scope.spawn(move || bind_run(run)))
                .collect();
            let ended = runs.into_iter().map(|run| {
                run.join()
                    .expect("binding is total: it notes complaints and never panics")
            });
            ended.collect::<Vec<_>>()
        });
        let mut binder = Self::new(contents, outside);
        for run in runs {
            binder.rules.extend(run.rules);
            binder.bodies.absorb(run.bodies);
        }
        binder
    }

    fn new(contents: &'a Contents<'a>, outside: Outside<'a>) -> Self {
        Self {
            contents,
            bodies: Bodies::new(outside),
            rules: Vec::new(),
            keys: Keys::default(),
            names: HashMap::new(),
        }
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
            entries: Arc::clone(assignment.machines.entries()),
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
        let machines = &assignment.machines;
        let loaded = whom.loaded;
        let profile: Arc<str> = loaded.profile.name.as_str().into();
        let scope = Scope {
            profile: Arc::clone(&profile),
            assignment: whom.assignment.into(),
            machine: Box::default(),
            values: Values::from_json(&Value::Object(base.clone())),
            secrets: self.bodies.secrets(),
        };
        let names_machine = bodies(loaded).any(|(_, body)| {
            body.template
                .as_ref()
                .is_some_and(|one| one.usage().machine_name)
        });
        let has_own = |machine: Machine<'_>| {
            machine.has_values() || (names_machine && machine.name().is_some())
        };
        let mut own = Vec::new();
        let mut last: Option<Outfit> = None;
        for machine in machines.iter().filter(|machine| has_own(*machine)) {
            let over = machine.values();
            let mut values = base.clone();
            merge(&mut values, &over);
            let scope = Scope {
                machine: machine.entry.name().into(),
                values: if over.is_empty() {
                    scope.values.clone()
                } else {
                    scope.values.with(&over, &mut self.keys)
                },
                profile: Arc::clone(&scope.profile),
                assignment: Arc::clone(&scope.assignment),
                secrets: Arc::clone(&scope.secrets),
            };
            let machine = Some(machine);
            let bound = self.outfit(Whom { machine, ..whom }, scope, values);
            if let (Ok((mut outfit, _)), Some(machine)) = (bound, machine) {
                outfit.share(last.as_ref());
                last = Some(outfit.clone());
                own.resize_with(machines.len(), || None);
                if let Some(place) = own.get_mut(machine.place) {
                    *place = Some(outfit);
                }
            }
        }
        let shared = if machines.is_empty() || !machines.iter().all(has_own) {
            let bound = self.outfit(whom, scope, base.clone()).ok();
            bound.map(|(outfit, script)| Shared { outfit, script })
        } else {
            None
        };
        Choice {
            requires: candidate.requires.clone(),
            binding: Binding {
                profile,
                script: loaded
                    .script
                    .as_ref()
                    .and_then(|body| body.template.clone()),
                names: self.names(&whom),
                shared,
                own: own.into(),
            },
        }
    }

    /// The names of a Profile's configs; all that use the Profile share them.
    fn names(&mut self, whom: &Whom<'_>) -> Arc<[ConfigName]> {
        let names = self.names.entry(whom.profile).or_insert_with(|| {
            let configs = whom.loaded.configs.iter();
            let names = configs.map(|(name, body)| ConfigName {
                name: (*name).into(),
                exposed: body.exposed,
            });
            let mut names: Vec<ConfigName> = names.collect();
            names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            names.into()
        });
        Arc::clone(names)
    }

    /// What one machine gets, or all that have nothing of their own, and the script where no label changes it.
    fn outfit(
        &mut self,
        whom: Whom<'a>,
        scope: Scope,
        values: Map<String, Value>,
    ) -> Result<(Outfit, Option<Text>), Told> {
        let values = Value::Object(values);
        self.check_values(whom, &values)?;
        let scope = Arc::new(scope);
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
        let script = script.map(|template| self.bodies.script(&setting, template));
        let (directory, script) = script.transpose()?.unwrap_or_default();
        let outfit = Outfit {
            values: scope.values.clone(),
            configs: built.values().map(|one| Arc::clone(one.config())).collect(),
            directory,
        };
        Ok((outfit, script))
    }

    /// Ensure that every value and secret a template writes exists, and that what it prints as it is can be printed.
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
            for (number, one) in template.usage().secrets.iter().enumerate() {
                if let Some(fault) = self.bodies.outside.vault.check(one) {
                    let complaint = Complaint::Secret { number, fault };
                    result = Err(self
                        .bodies
                        .complaints
                        .add(whom.profile, name, complaint, whom));
                }
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
