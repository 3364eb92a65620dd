//! `range`.

use super::Fault;
use super::assemble::Delimiter;
use super::expression::{Expression, Origin, Reader, is_identifier};
use super::lex::{Action, Token};
use super::shape::{Kind, Step};
use super::writer::{Stop, Writer};

/// Names that mean something in our templates, or that nothing may be called.
const RESERVED: [&str; 46] = [
    "labels",
    "values",
    "configs",
    "config_dir",
    "base_url",
    "profile",
    "assignment",
    "machine",
    "revision",
    "secrets",
    "range",
    "dict",
    "namespace",
    "loop",
    "self",
    "super",
    "caller",
    "true",
    "True",
    "false",
    "False",
    "none",
    "None",
    "not",
    "and",
    "or",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "endif",
    "for",
    "endfor",
    "set",
    "with",
    "block",
    "macro",
    "call",
    "filter",
    "import",
    "from",
    "include",
    "extends",
    "do",
    "recursive",
];

impl Writer<'_, '_> {
    /// `range`, with its body and its `else`.
    pub(super) fn range_block(
        &mut self,
        action: &Action<'_>,
        tokens: &[Token],
    ) -> Result<(), Fault> {
        let scope = self.variables.len();
        let (names, tokens) = self.declaration(tokens).unwrap_or_else(|fault| {
            self.told(fault);
            (Vec::new(), tokens)
        });
        let value = self.pipeline(tokens);
        let is_map = match Reader::new(self, &[]).is_map(&value) {
            Ok(is_map) => is_map,
            Err(fault) => {
                self.told(fault);
                false
            }
        };
        let (key, item) = match &names[..] {
            [] => (None, self.fresh("item")),
            [item] => (None, self.fresh(item)),
            [key, item, ..] => (Some(self.fresh(key)), self.fresh(item)),
        };
        let element = Expression {
            code: item.clone(),
            simple: true,
            origin: match &value.origin {
                Origin::Data { path, .. } => {
                    let path = path.iter().cloned().chain([Step::Each]).collect();
                    Origin::Data {
                        path,
                        lacking: false,
                    }
                }
                _ => Origin::Unknown,
            },
        };
        self.tag(
            action,
            Delimiter::Block,
            head(&value, is_map, key.as_deref(), &item),
        );
        if let (Some(key), [name, ..]) = (&key, &names[..]) {
            let kind = if is_map { Kind::Text } else { Kind::Integer };
            let origin = Origin::Calculated([kind].into());
            let value = Expression {
                code: key.clone(),
                simple: true,
                origin,
            };
            self.variables.push((name.clone(), value));
        }
        if let Some(name) = names.last() {
            self.variables.push((name.clone(), element.clone()));
        }
        self.depth += 1;
        self.dots.push(element);
        let mut end = self.list()?;
        self.dots.pop();
        if let Stop::Else(other, []) = end {
            self.variables.truncate(scope);
            self.tag(other, Delimiter::Block, "else".to_owned());
            end = self.list()?;
        }
        let Stop::End(end) = end else {
            return Err(self.fault("this block has no `{{end}}`"));
        };
        self.tag(end, Delimiter::Block, "endfor".to_owned());
        self.depth -= 1;
        self.variables.truncate(scope);
        Ok(())
    }

    /// A name for a variable of a loop that nothing else has.
    fn fresh(&self, wanted: &str) -> String {
        let wanted = if is_identifier(wanted) {
            wanted
        } else {
            "item"
        };
        let is_taken = |name: &str| {
            RESERVED.contains(&name)
                || self.taken.contains(&name)
                || self.dots.iter().any(|dot| dot.code == name)
                || self.variables.iter().any(|(_, value)| value.code == name)
        };
        let mut name = wanted.to_owned();
        let mut number = 1;
        while is_taken(&name) {
            number += 1;
            name = format!("{wanted}{number}");
        }
        name
    }
}

/// The head of a loop.
fn head(value: &Expression, is_map: bool, key: Option<&str>, item: &str) -> String {
    let code = if value.simple {
        value.code.clone()
    } else {
        format!("({})", value.code)
    };
    match (is_map, key) {
        (true, key) => format!("for {}, {item} in {code}|items", key.unwrap_or("_")),
        (false, None) => format!("for {item} in {code}"),
        // The position in the list, under its own name: `loop` is another one in a loop inside.
        (false, Some(key)) => format!("for {item} in {code} %}}{{% set {key} = loop.index0"),
    }
}
