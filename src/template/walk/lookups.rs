//! Look-ups: the built-in names, and what of them is written literally.

use std::ops::Range;

use minijinja::machinery::ast::{Expr, GetItem};

use super::{Position, Walker};
use crate::label;
use crate::template::facts::{Role, Taint};
use crate::template::{ProblemKind, ValuePath, engine, lexis, names};

/// One step of `base.a["b"][c]`.
struct Step<'e, 'a> {
    key: Key<'e, 'a>,
    /// Where minijinja says that it starts: at the base or, from the second step on, at the step before.
    start: usize,
    /// Where it ends.
    end: usize,
}

#[derive(Clone, Copy)]
enum Key<'e, 'a> {
    Field(&'e str),
    Item(&'e Expr<'a>),
}

impl Step<'_, '_> {
    /// The key, when it is a literal text.
    fn text(&self) -> Option<&str> {
        match self.key {
            Key::Field(name) => Some(name),
            Key::Item(Expr::Const(constant)) => constant.value.as_str(),
            Key::Item(_) => None,
        }
    }

    /// The key, when it is a literal text or index.
    fn literal(&self) -> Option<String> {
        let index = || match self.key {
            Key::Item(Expr::Const(constant)) if constant.value.is_integer() => {
                constant.value.as_usize().map(|index| index.to_string())
            }
            _ => None,
        };
        self.text().map(str::to_owned).or_else(index)
    }
}

/// Takes `base.a["b"]` apart.
fn flatten<'e, 'a>(mut expression: &'e Expr<'a>) -> (&'e Expr<'a>, Vec<Step<'e, 'a>>) {
    let mut steps = Vec::new();
    loop {
        let Range { start, end } = lexis::range(expression.span());
        expression = match expression {
            Expr::GetAttr(field) => {
                steps.push(Step {
                    key: Key::Field(field.name),
                    start,
                    end,
                });
                &field.expr
            }
            Expr::GetItem(item) => {
                steps.push(Step {
                    key: Key::Item(&item.subscript_expr),
                    start,
                    end,
                });
                &item.expr
            }
            base => {
                steps.reverse();
                return (base, steps);
            }
        };
    }
}

/// Whether a look-up needs no charge: a literal text finds nothing in a text, and a literal path below `values` was found
/// before anything is rendered.
fn is_found_at_once(item: &GetItem<'_>) -> bool {
    let Expr::Const(key) = &item.subscript_expr else {
        return false;
    };
    let (base, steps) = flatten(&item.expr);
    let is_value = matches!(base, Expr::Var(variable) if variable.id == "values");
    key.value.as_str().is_some() || is_value && steps.iter().all(|step| step.literal().is_some())
}

impl Walker<'_> {
    pub(super) fn look_up(&mut self, expression: &Expr<'_>, position: Position) -> Taint {
        let taint = self.names(expression, position);
        let mut inner = expression;
        loop {
            inner = match inner {
                Expr::GetAttr(field) => &field.expr,
                Expr::GetItem(item) => {
                    if !is_found_at_once(item) {
                        self.reached(&item.expr, engine::REACH_ITEM);
                    }
                    &item.expr
                }
                _ => return taint,
            };
        }
    }

    fn names(&mut self, expression: &Expr<'_>, position: Position) -> Taint {
        let (base, steps) = flatten(expression);
        let Expr::Var(variable) = base else {
            let taint = self.expression(base, Position::INNER);
            self.subscripts(&steps);
            return taint;
        };
        let range = lexis::range(variable.span());
        if let Some(file) = self.facts.files.get_mut(self.file) {
            file.starts
                .extend(steps.iter().map(|step| (step.start, range.start)));
        }
        match variable.id {
            "labels" => return self.label(range, &steps),
            "values" => {
                let path = self.path(range, &steps, position);
                self.facts.usage.values.push(path);
            }
            "secrets" => {
                if self.scope.in_script {
                    self.problem(range.clone(), ProblemKind::SecretsOutOfScope);
                }
                let path = self.path(range, &steps, position);
                self.facts.usage.secrets.push(path);
            }
            "configs" => self.configs(range, &steps, position),
            "config_dir" | "base_url" => {
                let usage = &mut self.facts.usage;
                usage.config_dir |= variable.id == "config_dir";
                usage.base_url |= variable.id == "base_url";
                self.base_use(position.plain && steps.is_empty());
                self.subscripts(&steps);
            }
            "revision" => {
                if !self.scope.in_script {
                    self.problem(range, ProblemKind::RevisionOutOfScope);
                }
                self.facts.usage.revision = true;
                self.subscripts(&steps);
            }
            "profile" | "assignment" | "machine" => self.named(variable.id, range, &steps),
            "loop" => return self.loop_field(range, &steps),
            "self" | "super" => self.unsupported(
                range,
                "`block` and `extends` do not work here: use `include`",
            ),
            name if names::is_reserved(name) => {
                self.unsupported(range, format!("`{name}` is a function: write `{name}(…)`"));
            }
            name => {
                let role = match steps.first().map(|step| step.key) {
                    Some(Key::Field(field)) => Role::Field(field.to_owned()),
                    _ => Role::Value,
                };
                self.r#use(name, role, range, position.plain && steps.is_empty());
                self.subscripts(&steps);
                return Taint::name(name);
            }
        }
        Taint::clean()
    }

    /// Walks computed keys, and gives what they derive from. A key chooses a value, it does not become part of it.
    fn subscripts(&mut self, steps: &[Step<'_, '_>]) -> Taint {
        let mut keys = Taint::clean();
        for step in steps {
            if let Key::Item(key) = step.key {
                keys = keys.or(self.expression(key, Position::INNER));
            }
        }
        keys
    }

    fn label(&mut self, range: Range<usize>, steps: &[Step<'_, '_>]) -> Taint {
        let Some((step, rest)) = steps.split_first() else {
            self.problem(range, ProblemKind::ComputedKey { of: "labels" });
            return Taint::label();
        };
        let range = range.start..step.end;
        match step
            .text()
            .map(|written| (written, label::canonical_key(written)))
        {
            Some((written, Some(key))) => {
                self.facts
                    .label_keys
                    .insert(written.to_owned(), key.clone());
                let place = self.place(range);
                let usage = &mut self.facts.usage;
                usage.label_places.entry(key.clone()).or_insert(place);
                usage.labels.insert(key);
            }
            Some((written, None)) => {
                self.problem(range, ProblemKind::NoLabelName(written.to_owned()));
            }
            None => {
                self.problem(range, ProblemKind::ComputedKey { of: "labels" });
                self.subscripts(std::slice::from_ref(step));
            }
        }
        self.subscripts(rest);
        Taint::label()
    }

    /// What is written of a way into `values` or `secrets`.
    fn path(
        &mut self,
        range: Range<usize>,
        steps: &[Step<'_, '_>],
        position: Position,
    ) -> ValuePath {
        let path: Vec<String> = steps.iter().map_while(Step::literal).collect();
        let end = path
            .len()
            .checked_sub(1)
            .and_then(|last| steps.get(last))
            .map_or(range.end, |step| step.end);
        let computed = path.is_empty() || path.len() < steps.len();
        let printed = position.whole && !computed;
        let keys = self.subscripts(steps.get(path.len()..).unwrap_or_default());
        // Where the name stands alone, a variable may hold it, and anything may be looked up in that.
        let is_alone = computed && path.len() == steps.len();
        ValuePath {
            path,
            place: self.place(range.start..end),
            computed,
            by_label: is_alone || keys.label || !keys.names.is_empty(),
            printed,
        }
    }

    fn configs(&mut self, range: Range<usize>, steps: &[Step<'_, '_>], position: Position) {
        let Some((step, rest)) = steps.split_first() else {
            self.problem(range, ProblemKind::ComputedKey { of: "configs" });
            return;
        };
        let range = range.start..step.end;
        if let Some(name) = step.text() {
            self.config(name, range, position.plain && rest.is_empty());
        } else {
            self.problem(range, ProblemKind::ComputedKey { of: "configs" });
            self.subscripts(std::slice::from_ref(step));
        }
        self.subscripts(rest);
    }

    fn config(&mut self, name: &str, range: Range<usize>, plain: bool) {
        if self.scope.configs.contains(name) {
            self.facts.usage.configs.insert(name.to_owned());
        } else {
            let similar = names::similar(name, self.scope.configs.iter().map(String::as_str));
            self.problem(
                range,
                ProblemKind::UnknownConfig {
                    name: name.to_owned(),
                    similar,
                },
            );
        }
        self.base_use(plain);
    }

    /// `{{ .x }}` of the older groups.
    pub(super) fn older_config(&mut self, range: Range<usize>, name: &str) {
        self.config(name, range.clone(), self.captures == 0);
        self.edit(
            range,
            &format!("configs[{}]", super::super::filters::quoted(name)),
        );
    }

    fn base_use(&mut self, plain: bool) {
        self.facts.base_uses += 1;
        self.facts.base_is_mangled |= !plain;
    }

    /// `profile.name` and its like.
    fn named(&mut self, of: &str, range: Range<usize>, steps: &[Step<'_, '_>]) {
        match steps
            .split_first()
            .map(|(step, rest)| (step.text(), step.end, rest))
        {
            Some((Some("name"), _, rest)) => {
                let usage = &mut self.facts.usage;
                usage.profile_name |= of == "profile";
                usage.assignment_name |= of == "assignment";
                usage.machine_name |= of == "machine";
                self.subscripts(rest);
            }
            Some((Some(name), end, _)) => {
                let similar = names::similar(name, ["name"]);
                let kind = ProblemKind::UnknownField {
                    of: of.to_owned(),
                    name: name.to_owned(),
                    similar,
                };
                self.problem(range.start..end, kind);
            }
            Some((None, end, _)) => self.unsupported(
                range.start..end,
                format!("`{of}` has one field: `{of}.name`"),
            ),
            None => self.unsupported(range, format!("`{of}` is no text: write `{of}.name`")),
        }
    }

    fn loop_field(&mut self, range: Range<usize>, steps: &[Step<'_, '_>]) -> Taint {
        let Some(items) = self.loops.last().cloned() else {
            self.problem(
                range,
                ProblemKind::UnknownVariable {
                    name: "loop".into(),
                    similar: None,
                },
            );
            return Taint::clean();
        };
        match steps.first().map(|step| (step.text(), step.end)) {
            Some((Some(name), _)) if names::LOOP_FIELDS.contains(&name) => {
                self.subscripts(steps);
                if matches!(name, "previtem" | "nextitem") {
                    return items;
                }
            }
            Some((Some(name), end)) => {
                let similar = names::similar(name, names::LOOP_FIELDS);
                let kind = ProblemKind::UnknownField {
                    of: "loop".into(),
                    name: name.to_owned(),
                    similar,
                };
                self.problem(range.start..end, kind);
            }
            _ => self.unsupported(range, "`loop` is no value: write `loop.index` and its like"),
        }
        Taint::clean()
    }
}
