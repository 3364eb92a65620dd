//! Templates that show of a label what was said, and nothing that would depend on it.

use minijinja::machinery::ast::{CallArg, Expr, Stmt};
use minijinja::machinery::parse;

use super::{engine, lexis};

/// Whether the text, as minijinja reads it, does nothing but print names, values and labels one after the other, perhaps
/// through filters. Whatever looks something up, compares or branches is none, whether a label has a part in it or not.
pub(super) fn only_prints(text: &str) -> bool {
    let Ok(Stmt::Template(template)) = parse(text, "0", lexis::syntax()) else {
        return false;
    };
    template.children.iter().all(|child| match child {
        Stmt::EmitRaw(_) => true,
        Stmt::EmitExpr(emit) => is_plain(&emit.expr),
        _ => false,
    })
}

fn is_plain(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Var(_) | Expr::Const(_) => true,
        Expr::GetAttr(field) => is_plain(&field.expr),
        Expr::GetItem(item) => {
            is_plain(&item.expr) && matches!(item.subscript_expr, Expr::Const(_))
        }
        Expr::Filter(filter) => {
            // `~` joins two texts; any other filter may look something up by what it is given.
            let joins = filter.name == engine::JOIN;
            filter.expr.as_ref().is_some_and(is_plain)
                && filter.args.iter().all(|argument| match argument {
                    CallArg::Pos(Expr::Const(_)) | CallArg::Kwarg(_, Expr::Const(_)) => true,
                    CallArg::Pos(other) => joins && is_plain(other),
                    _ => false,
                })
        }
        _ => false,
    }
}
