//! Templates that do nothing but print, as nearly all boot scripts: they are looked through once, so that a render walks over
//! pieces and needs no virtual machine.
//!
//! Whatever is out of the ordinary (a value that is missing, null or a list, too much output) is left to minijinja, which
//! knows the words for it. Builds for debugging render everything both ways and compare.

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::parse;

use super::run::Shape;
use super::value::printed;
use super::{Context, Kind, engine, filters, lexis, limits};

/// The most pieces of a template that is walked over: far fewer than a render may execute instructions, so that none of them
/// comes to the limit of [`limits::FUEL`]. What they print is bounded by [`limits::OUTPUT_BYTES`], and what that costs of
/// [`limits::WORK`] is at most twice as much.
const MAX_PIECES: usize = 10_000;

/// What is printed, one after the other.
#[derive(Debug)]
pub(super) struct Plain(Box<[Piece]>);

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    /// A label by its canonical key, escaped.
    Label(Box<str>),
    /// A value by its path.
    Value(Box<[Box<str>]>),
    Config(Box<str>),
    Name(Name),
}

#[derive(Clone, Copy, Debug)]
enum Name {
    BaseUrl,
    ConfigDir,
    Revision,
    Profile,
    Assignment,
    Machine,
}

impl Plain {
    /// The pieces of a template as minijinja reads it, or `None` when it does more than to print.
    pub(super) fn of(text: &str, shape: &Shape) -> Option<Self> {
        let Ok(Stmt::Template(template)) = parse(text, "0", lexis::syntax()) else {
            return None;
        };
        if template.children.len() > MAX_PIECES {
            return None;
        }
        let pieces = template.children.iter().map(|child| match child {
            Stmt::EmitRaw(raw) => Some(Piece::Text(raw.raw.into())),
            Stmt::EmitExpr(emit) => piece(&emit.expr, shape),
            _ => None,
        });
        pieces.collect::<Option<_>>().map(Self)
    }

    /// What is printed, or `None` when that has to be found out the long way.
    pub(super) fn render(&self, kind: Kind, context: &Context<'_>) -> Option<String> {
        let mut out = String::with_capacity(self.literal_bytes() + 256);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Label(key) => {
                    let value = context.labels.label(key).unwrap_or("");
                    filters::push_escaped(kind, value, &mut out);
                }
                Piece::Value(path) => {
                    let mut value = context.values.value();
                    for step in path {
                        value = value.get_attr(step).ok()?;
                    }
                    out.push_str(&printed(&value).ok()?);
                }
                Piece::Config(name) => out.push_str(context.configs.text(name)?),
                Piece::Name(name) => out.push_str(match name {
                    Name::BaseUrl => context.base_url,
                    Name::ConfigDir => context.config_dir,
                    Name::Revision => context.revision,
                    Name::Profile => context.profile,
                    Name::Assignment => context.assignment,
                    Name::Machine => context.machine,
                }),
            }
            if out.len() > limits::OUTPUT_BYTES {
                return None;
            }
        }
        Some(out)
    }

    fn literal_bytes(&self) -> usize {
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            _ => 0,
        });
        texts.sum()
    }
}

/// What an expression prints, if it is a name, a value, or a label with the filter that escapes it.
fn piece(expr: &Expr<'_>, shape: &Shape) -> Option<Piece> {
    match expr {
        Expr::Filter(filter) if filter.name == engine::ESCAPE && filter.args.is_empty() => {
            let (base, field) = field(filter.expr.as_ref()?)?;
            let place = shape.labels.iter().position(|one| **one == *field)?;
            let key = shape.label_keys.get(place)?;
            (base == "labels").then(|| Piece::Label(key.as_str().into()))
        }
        Expr::Var(variable) => Some(match variable.id {
            "base_url" => Piece::Name(Name::BaseUrl),
            "config_dir" => Piece::Name(Name::ConfigDir),
            "revision" => Piece::Name(Name::Revision),
            name if shape.plain.iter().any(|plain| **plain == *name) => Piece::Config(name.into()),
            _ => return None,
        }),
        Expr::GetAttr(_) | Expr::GetItem(_) => match field(expr) {
            Some(("configs", name)) => Some(Piece::Config(name.into())),
            Some(("profile", "name")) => Some(Piece::Name(Name::Profile)),
            Some(("assignment", "name")) => Some(Piece::Name(Name::Assignment)),
            Some(("machine", "name")) => Some(Piece::Name(Name::Machine)),
            _ => value(expr),
        },
        _ => None,
    }
}

/// `base.field` or `base["field"]`.
fn field<'a>(expr: &'a Expr<'_>) -> Option<(&'a str, &'a str)> {
    let (base, name) = match expr {
        Expr::GetAttr(field) => (&field.expr, field.name),
        Expr::GetItem(item) => match &item.subscript_expr {
            Expr::Const(key) => (&item.expr, key.value.as_str()?),
            _ => return None,
        },
        _ => return None,
    };
    match base {
        Expr::Var(variable) => Some((variable.id, name)),
        _ => None,
    }
}

/// `values.a.b`, dots alone.
fn value(expr: &Expr<'_>) -> Option<Piece> {
    let mut path = Vec::new();
    let mut inner = expr;
    while let Expr::GetAttr(field) = inner {
        path.push(Box::from(field.name));
        inner = &field.expr;
    }
    path.reverse();
    let is_values = matches!(inner, Expr::Var(variable) if variable.id == "values");
    (is_values && !path.is_empty()).then(|| Piece::Value(path.into()))
}
