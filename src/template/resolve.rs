//! What the names mean, once every file has been walked, and where labels end up.

use std::collections::BTreeSet;

use super::facts::{Alias, Facts, Kind, Role, Use};
use super::rewrite::Edit;
use super::walk::{method_words, words};
use super::{ProblemKind, Scope, engine, limits, names, taint};

/// Resolves all names, completes the usage, and adds the edits that escape what derives from labels. Gives the names of
/// the configs that are used as plain variables.
pub(super) fn resolve(facts: &mut Facts, scope: &Scope<'_>) -> BTreeSet<String> {
    aliases(facts);
    let plain_configs = uses(facts, scope);
    let tainted = taint::tainted(facts);
    emits(facts, &tainted, &plain_configs);
    let captured = facts.includes.iter().any(|include| include.captured);
    let any = facts.base_uses > 0 || !plain_configs.is_empty();
    facts.usage.base_is_plain = !(facts.base_is_mangled || captured && any);
    plain_configs
        .into_iter()
        .filter_map(|index| facts.uses.get(index))
        .map(|used| used.name.clone())
        .collect()
}

/// Gives the names of `from … import … as name` the kinds of what they import.
fn aliases(facts: &mut Facts) {
    let aliases = facts.aliases.clone();
    for alias in &aliases {
        let exports = facts.exports(target(facts, alias.include));
        if let Some(exports) = exports.filter(|exports| !exports.contains(&alias.source)) {
            let similar = names::similar(&alias.source, exports.iter().map(String::as_str));
            let kind = ProblemKind::UnknownVariable {
                name: alias.source.clone(),
                similar,
            };
            facts.problem(alias.place.clone(), kind);
        }
    }
    // An alias may name another file's alias, as often as includes may stand inside each other.
    for _ in 0..=limits::INCLUDE_DEPTH {
        for alias in &aliases {
            if let Some(&kind) = facts.kinds.get(&alias.source) {
                facts.kinds.entry(alias.name.clone()).or_insert(kind);
            }
        }
    }
    for alias in &aliases {
        settle(facts, alias);
    }
}

/// Ensure that an alias stands for one thing.
fn settle(facts: &mut Facts, alias: &Alias) {
    let (Some(&kind), Some(&known)) =
        (facts.kinds.get(&alias.source), facts.kinds.get(&alias.name))
    else {
        return;
    };
    let source = facts
        .renamed
        .entry(alias.name.clone())
        .or_insert_with(|| alias.source.clone());
    if known != kind || *source != alias.source || names::is_reserved(&alias.name) {
        let text = format!(
            "`{}` is already used for {}: import it `as` another name",
            alias.name,
            words(known)
        );
        facts.problem(alias.place.clone(), ProblemKind::Unsupported(text));
    }
}

pub(super) fn target(facts: &Facts, include: usize) -> Option<usize> {
    facts.includes.get(include)?.to
}

/// Checks every use of a name, and gives the uses (by index) that are plain variables of configs.
fn uses(facts: &mut Facts, scope: &Scope<'_>) -> BTreeSet<usize> {
    let mut configs = BTreeSet::new();
    for (index, used) in facts.uses.clone().into_iter().enumerate() {
        if facts.is_full() {
            break;
        }
        match facts.kinds.get(&used.name) {
            Some(&kind) => {
                if let Err(problem) = check(facts, kind, &used) {
                    facts.problem(used.place, problem);
                }
            }
            None if is_config(scope, &used) => {
                facts.usage.configs.insert(used.name);
                facts.base_is_mangled |= !used.plain;
                configs.insert(index);
            }
            None => {
                let problem = unknown(facts, scope, &used);
                facts.problem(used.place, problem);
            }
        }
    }
    configs
}

fn is_config(scope: &Scope<'_>, used: &Use) -> bool {
    matches!(used.role, Role::Value | Role::Tested | Role::Field(_))
        && names::is_plain(&used.name)
        && scope.configs.contains(&used.name)
}

fn unknown(facts: &Facts, scope: &Scope<'_>, used: &Use) -> ProblemKind {
    let name = used.name.clone();
    let kinds = facts.kinds.keys().map(String::as_str);
    match &used.role {
        Role::Called => {
            let similar = names::similar(&name, kinds.chain(names::FUNCTIONS));
            ProblemKind::UnknownFunction { name, similar }
        }
        Role::FieldCalled(method)
            if is_config(
                scope,
                &Use {
                    role: Role::Value,
                    ..used.clone()
                },
            ) =>
        {
            ProblemKind::Unsupported(method_words(method))
        }
        Role::Value | Role::Tested | Role::Field(_) | Role::FieldCalled(_) | Role::FieldSet => {
            let configs = scope
                .configs
                .iter()
                .map(String::as_str)
                .filter(|name| names::is_plain(name));
            let similar = names::similar(&name, kinds.chain(configs).chain(names::VARIABLES));
            ProblemKind::UnknownVariable { name, similar }
        }
    }
}

/// Ensure that a name is used as its kind allows.
fn check(facts: &Facts, kind: Kind, used: &Use) -> Result<(), ProblemKind> {
    let name = &used.name;
    let unsupported = |text: String| Err(ProblemKind::Unsupported(text));
    match (kind, &used.role) {
        (Kind::Module, Role::Field(field)) => module_field(facts, name, field, false),
        (Kind::Module, Role::FieldCalled(field)) => module_field(facts, name, field, true),
        (_, Role::Tested)
        | (Kind::Variable, Role::Value | Role::Field(_))
        | (Kind::Macro, Role::Called)
        | (Kind::Namespace, Role::Field(_) | Role::FieldSet) => Ok(()),
        (_, Role::FieldCalled(method)) => unsupported(method_words(method)),
        (_, Role::Called) => unsupported(format!("`{name}` is {}, no macro", words(kind))),
        (_, Role::FieldSet) => unsupported(format!(
            "`{name}` is no namespace: `{{% set {name} = namespace() %}}` makes one"
        )),
        (Kind::Macro, _) => unsupported(format!("`{name}` is a macro: write `{name}(…)`")),
        (Kind::Module | Kind::Namespace, _) => {
            unsupported(format!("`{name}` is {}: write `{name}.field`", words(kind)))
        }
    }
}

/// Ensure that an imported file has what is looked up in it.
fn module_field(facts: &Facts, module: &str, field: &str, called: bool) -> Result<(), ProblemKind> {
    for &include in facts.modules.get(module).into_iter().flatten() {
        let Some(exports) = facts.exports(target(facts, include)) else {
            continue;
        };
        if !exports.contains(field) {
            let similar = names::similar(field, exports.iter().map(String::as_str));
            return Err(ProblemKind::UnknownField {
                of: module.to_owned(),
                name: field.to_owned(),
                similar,
            });
        }
    }
    let is_macro = facts.kinds.get(field) == Some(&Kind::Macro);
    match (called, is_macro) {
        (true, false) => Err(ProblemKind::Unsupported(format!(
            "`{module}.{field}` is no macro"
        ))),
        (false, true) => Err(ProblemKind::Unsupported(format!(
            "`{field}` is a macro: write `{module}.{field}(…)`"
        ))),
        _ => Ok(()),
    }
}

/// Escapes what is printed and derives from a label.
fn emits(facts: &mut Facts, tainted: &BTreeSet<String>, plain_configs: &BTreeSet<usize>) {
    for emit in std::mem::take(&mut facts.emits) {
        let is_tainted =
            emit.taint.label || emit.taint.names.iter().any(|name| tainted.contains(name));
        if !is_tainted || emit.escaped {
            continue;
        }
        let prints_base = emit.base || plain_configs.range(emit.uses.clone()).next().is_some();
        facts.base_is_mangled |= prints_base;
        facts.usage.bare_labels.push(emit.place);
        let Some(file) = facts.files.get_mut(emit.file) else {
            continue;
        };
        let escape = engine::ESCAPE;
        let close = match emit.open {
            Some(open) => {
                file.edits.push(Edit {
                    range: open..open,
                    text: "(".into(),
                });
                format!(")|{escape}")
            }
            None => format!("|{escape}"),
        };
        file.edits.push(Edit {
            range: emit.close..emit.close,
            text: close,
        });
    }
}
