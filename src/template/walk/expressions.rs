//! Expressions: what a value may derive from, and the operators that become filters.

use std::ops::Range;

use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr, Spanned, UnaryOpKind};

use super::{Position, Walker};
use crate::template::facts::{Argument, Call, Role, Taint};
use crate::template::lexis::{self, Lexed, Lexeme};
use crate::template::{ProblemKind, engine, names};

impl Walker<'_> {
    pub(super) fn expression(&mut self, expression: &Expr<'_>, position: Position) -> Taint {
        match expression {
            Expr::Const(_) => Taint::clean(),
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => {
                self.look_up(expression, position)
            }
            Expr::Slice(slice) => self.slice(slice),
            Expr::UnaryOp(unary) => {
                let taint = self.expression(&unary.expr, Position::INNER);
                match unary.op {
                    UnaryOpKind::Neg => taint,
                    UnaryOpKind::Not => Taint::clean(),
                }
            }
            Expr::BinOp(binary) => self.binary(binary, position),
            Expr::Compare(compare) => self.comparison(compare),
            Expr::IfExpr(cond) => {
                self.expression(&cond.test_expr, Position::INNER);
                let taint = self.expression(&cond.true_expr, Position::INNER);
                let other = cond
                    .false_expr
                    .as_ref()
                    .map(|other| self.expression(other, Position::INNER));
                taint.or(other.unwrap_or_default())
            }
            Expr::Filter(filter) => self.filter(filter),
            Expr::Test(test) => self.test(test),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let constant = list.as_const().is_some();
                self.container(
                    &[&list.items],
                    lexis::range(list.span()),
                    constant,
                    position,
                )
            }
            Expr::Tuple(tuple) => {
                let constant = tuple.as_const().is_some();
                self.container(
                    &[&tuple.items],
                    lexis::range(tuple.span()),
                    constant,
                    position,
                )
            }
            Expr::Map(map) => {
                let constant = map.as_const().is_some();
                self.container(
                    &[&map.keys, &map.values],
                    lexis::range(map.span()),
                    constant,
                    position,
                )
            }
        }
    }

    /// A tuple without parentheses, which starts at `start`.
    pub(super) fn open_tuple(&mut self, tuple: &Spanned<ast::Tuple<'_>>, start: usize) -> Taint {
        let end = lexis::range(tuple.span()).end;
        self.edit(start..start, "(");
        let taint = self.container(&[&tuple.items], start..end, true, Position::INNER);
        let measure = engine::MEASURE;
        self.edit(end..end, &format!(")|{measure}"));
        taint
    }

    /// A list or map literal. What is no constant goes through the filter that bounds its depth.
    fn container(
        &mut self,
        parts: &[&[Expr<'_>]],
        span: Range<usize>,
        constant: bool,
        position: Position,
    ) -> Taint {
        let mut taint = Taint::clean();
        for item in parts.iter().copied().flatten() {
            taint = taint.or(self.expression(item, Position::ITEM));
        }
        if !constant && !position.item {
            let measure = engine::MEASURE;
            self.edit(span.start..span.start, "(");
            self.edit(span.end..span.end, &format!("|{measure})"));
        }
        taint
    }

    fn slice(&mut self, slice: &Spanned<ast::Slice<'_>>) -> Taint {
        for bound in [&slice.start, &slice.stop].into_iter().flatten() {
            self.expression(bound, Position::INNER);
        }
        if let Some(step) = &slice.step {
            let forward = matches!(step, Expr::Const(step) if step.value.as_usize().is_some_and(|step| step > 0));
            if !forward {
                self.unsupported(
                    lexis::range(step.span()),
                    "the step of a slice is a positive number: use `|reverse`",
                );
            }
        }
        let taint = self.expression(&slice.expr, Position::INNER);
        self.reached(&slice.expr, engine::REACH_SLICE);
        taint
    }

    /// Charges for what it takes to find something in `base`, before the bracket (or, in `a.0`, the dot) that asks for it.
    pub(super) fn reached(&mut self, base: &Expr<'_>, filter: &str) {
        // What is written out is no longer than the template.
        if matches!(base, Expr::List(_) | Expr::Tuple(_) | Expr::Map(_)) {
            return;
        }
        let bracket = self.operator(lexis::range(base.span()).end);
        let bracket = bracket.map(|bracket| bracket.range.clone());
        let start = self.start(base);
        let (Some(bracket), Some(start)) = (
            bracket.filter(|at| ["[", "."].contains(&self.text(at))),
            start,
        ) else {
            self.unsupported(lexis::range(base.span()), "this look-up cannot be read");
            return;
        };
        self.edit(start..start, "(");
        self.edit(bracket.start..bracket.start, &format!("|{filter})"));
    }

    /// Where an operand starts with all its parentheses; minijinja forgets them, and what is left of the last dot or
    /// bracket but one.
    fn start(&self, operand: &Expr<'_>) -> Option<usize> {
        let mut parentheses = 0;
        let mut expression = operand;
        loop {
            let after = self
                .lexemes
                .from(lexis::range(expression.span()).end)
                .iter();
            parentheses += after
                .take_while(|lexed| lexed.lexeme == Lexeme::ParenClose)
                .count();
            expression = match expression {
                Expr::GetAttr(field) => &field.expr,
                Expr::GetItem(item) => &item.expr,
                Expr::Slice(slice) => &slice.expr,
                Expr::Call(call) => &call.expr,
                _ => break,
            };
        }
        let start = lexis::range(expression.span()).start;
        let Some(last) = parentheses.checked_sub(1) else {
            return Some(start);
        };
        let before = self.lexemes.before(start).iter().rev();
        let opening = before
            .take_while(|lexed| lexed.lexeme == Lexeme::ParenOpen)
            .nth(last)?;
        Some(opening.range.start)
    }

    fn binary(&mut self, binary: &Spanned<ast::BinOp<'_>>, position: Position) -> Taint {
        let filter = match binary.op {
            BinOpKind::Concat => Some(engine::JOIN),
            BinOpKind::Add => Some(engine::ADD),
            BinOpKind::Mul => Some(engine::MULTIPLY),
            _ => None,
        };
        let joined = matches!(binary.op, BinOpKind::Concat) && position.plain;
        let operand = Position {
            plain: joined,
            ..Position::INNER
        };
        let taint = self
            .expression(&binary.left, operand)
            .or(self.expression(&binary.right, operand));
        if let Some(filter) = filter {
            self.operator_to_filter(binary, filter);
        }
        match binary.op {
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::In => {
                let left = lexis::range(binary.left.span()).end;
                self.compared(left, &binary.right, lexis::range(binary.span()).end);
                Taint::clean()
            }
            BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow
            | BinOpKind::Concat => taint,
        }
    }

    /// `a < b < c`.
    fn comparison(&mut self, compare: &Spanned<ast::Compare<'_>>) -> Taint {
        self.expression(&compare.expr, Position::INNER);
        let mut left = lexis::range(compare.expr.span()).end;
        for (index, operand) in compare.ops.iter().enumerate() {
            self.expression(&operand.expr, Position::INNER);
            let bare = lexis::range(operand.expr.span()).end;
            let end = if index + 1 == compare.ops.len() {
                lexis::range(compare.span()).end
            } else {
                self.closed(bare)
            };
            self.compared(left, &operand.expr, end);
            left = bare;
        }
        Taint::clean()
    }

    /// Charges for the right side of a comparison that ends at `end`; `left` is where its left side ends. A constant
    /// there bounds the cost by itself.
    fn compared(&mut self, left: usize, right: &Expr<'_>, end: usize) {
        if matches!(right, Expr::Const(_)) {
            return;
        }
        let operator = self.operator(left).map(|operator| operator.range.clone());
        let operator = match operator {
            Some(first) if self.text(&first) == "not" => {
                self.operator(first.end).map(|second| second.range.clone())
            }
            operator => operator,
        };
        let Some(operator) = operator.filter(|operator| operator.end <= end) else {
            self.unsupported(left..end.max(left), "this operator cannot be read");
            return;
        };
        let measure = engine::MEASURE;
        self.edit(operator.end..operator.end, "(");
        self.edit(end..end, &format!(")|{measure}"));
    }

    /// The operator after an operand that ends at `offset`, perhaps before closing parentheses.
    fn operator(&self, offset: usize) -> Option<&Lexed> {
        self.lexemes
            .from(offset)
            .iter()
            .find(|lexed| lexed.lexeme != Lexeme::ParenClose)
    }

    /// Where the parentheses close around an operand that ends at `offset`.
    fn closed(&self, offset: usize) -> usize {
        let after = self.lexemes.from(offset).iter();
        after
            .take_while(|lexed| lexed.lexeme == Lexeme::ParenClose)
            .last()
            .map_or(offset, |lexed| lexed.range.end)
    }

    /// `left op right` → `(left)|filter(right)`; a chain gets one pair of parentheses, for the parser's sake.
    fn operator_to_filter(&mut self, binary: &Spanned<ast::BinOp<'_>>, filter: &str) {
        let span = lexis::range(binary.span());
        let left = lexis::range(binary.left.span()).end;
        let operator = self
            .operator(left)
            .filter(|lexed| lexed.lexeme == Lexeme::Operator);
        let Some(operator) = operator.map(|operator| operator.range.clone()) else {
            self.unsupported(span, "this operator cannot be read");
            return;
        };
        let parentheses = self.closed(left) != left;
        let start = operator.start;
        let is_filter_already = !parentheses
            && matches!(&binary.left, Expr::BinOp(left)
                if matches!(left.op, BinOpKind::Concat | BinOpKind::Add | BinOpKind::Mul));
        if is_filter_already {
            self.edit(operator, &format!("|{filter}("));
        } else {
            self.edit(span.start..span.start, "(");
            self.edit(operator, &format!(")|{filter}("));
        }
        self.edit(span.end..span.end, ")");
        if let Some(file) = self.facts.files.get_mut(self.file) {
            file.operators.insert(start, span);
        }
    }

    fn filter(&mut self, filter: &Spanned<ast::Filter<'_>>) -> Taint {
        let input = filter
            .expr
            .as_ref()
            .map(|input| self.expression(input, Position::INNER));
        let span = lexis::range(filter.span());
        if !engine::is_filter(filter.name) {
            let similar = names::similar(filter.name, engine::filter_names());
            self.problem(
                span.clone(),
                ProblemKind::UnknownFilter {
                    name: filter.name.to_owned(),
                    similar,
                },
            );
        }
        match filter.name {
            "map" => self.names_filter(&filter.args, span),
            "select" | "reject" => self.names_test(&filter.args, 0, span),
            "selectattr" | "rejectattr" => self.names_test(&filter.args, 1, span),
            _ => {}
        }
        input.unwrap_or_default().or(self.arguments(&filter.args))
    }

    /// Ensure that `map("filter")` names a filter literally.
    fn names_filter(&mut self, arguments: &[CallArg<'_>], span: Range<usize>) {
        let Some(CallArg::Pos(name)) = arguments.first() else {
            if !matches!(arguments.first(), Some(CallArg::Kwarg("attribute", _))) {
                self.unsupported(span, "`map` takes the name of a filter, or `attribute=`");
            }
            return;
        };
        match literal(name) {
            Some(name) if engine::is_filter(&name) => {}
            Some(name) => {
                let similar = names::similar(&name, engine::filter_names());
                self.problem(span, ProblemKind::UnknownFilter { name, similar });
            }
            None => self.unsupported(
                span,
                "the filter that `map` applies is named by a literal text",
            ),
        }
    }

    /// Ensure that `select("test")` and its like name a test literally.
    fn names_test(&mut self, arguments: &[CallArg<'_>], index: usize, span: Range<usize>) {
        match arguments.get(index) {
            None => {}
            Some(CallArg::Pos(name)) => match literal(name) {
                Some(name) if engine::is_test(&name) => {}
                Some(name) => {
                    let similar = names::similar(&name, engine::test_names());
                    self.problem(span, ProblemKind::UnknownTest { name, similar });
                }
                None => self.unsupported(span, "the test is named by a literal text"),
            },
            Some(_) => self.unsupported(span, "the test is named by a literal text"),
        }
    }

    fn test(&mut self, test: &Spanned<ast::Test<'_>>) -> Taint {
        if !engine::is_test(test.name) {
            let similar = names::similar(test.name, engine::test_names());
            let span = lexis::range(test.span());
            self.problem(
                span,
                ProblemKind::UnknownTest {
                    name: test.name.to_owned(),
                    similar,
                },
            );
        }
        match &test.expr {
            Expr::Var(name) if !names::is_reserved(name.id) => {
                self.r#use(name.id, Role::Tested, lexis::range(name.span()), false);
            }
            Expr::Var(name) if name.id == "caller" && self.macros > 0 => {}
            tested => {
                self.expression(tested, Position::INNER);
            }
        }
        self.arguments(&test.args);
        Taint::clean()
    }

    /// The arguments of a filter, test or function, taken together.
    pub(super) fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Taint {
        self.each_argument(arguments)
            .into_iter()
            .fold(Taint::clean(), |all, (_, taint)| all.or(taint))
    }

    fn each_argument(&mut self, arguments: &[CallArg<'_>]) -> Vec<(Argument, Taint)> {
        let mut taints = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let (key, value) = match argument {
                CallArg::Pos(value) => (Argument::At(index), value),
                CallArg::Kwarg(name, value) => (Argument::Named((*name).to_owned()), value),
                CallArg::PosSplat(value) | CallArg::KwargSplat(value) => (Argument::Any, value),
            };
            let taint = self.expression(value, Position::INNER);
            taints.push((key, taint));
        }
        if arguments
            .iter()
            .any(|argument| matches!(argument, CallArg::PosSplat(_)))
        {
            // A list of unknown length shifts what follows.
            for (key, _) in &mut taints {
                *key = Argument::Any;
            }
        }
        taints
    }

    /// A call. What macros print is escaped inside of them, so only functions hand on what labels gave.
    pub(super) fn call(&mut self, call: &Spanned<ast::Call<'_>>) -> Taint {
        let span = lexis::range(call.span());
        match &call.expr {
            Expr::Var(callee) => {
                let place = lexis::range(callee.span());
                match callee.id {
                    "range" | "dict" => return self.arguments(&call.args),
                    "namespace" => self.unsupported(
                        place,
                        "`namespace(…)` stands alone: `{% set name = namespace(…) %}`",
                    ),
                    "loop" => self.unsupported(
                        place,
                        "`loop(…)` does not work here: use a macro that calls itself",
                    ),
                    "super" => self.unsupported(
                        place,
                        "`block` and `extends` do not work here: use `include`",
                    ),
                    "caller" if self.macros > 0 => return self.macro_call("caller", &call.args),
                    name if names::is_reserved(name) => {
                        let kind = ProblemKind::UnknownFunction {
                            name: name.to_owned(),
                            similar: None,
                        };
                        self.problem(place, kind);
                    }
                    name => {
                        self.r#use(name, Role::Called, place, false);
                        return self.macro_call(name, &call.args);
                    }
                }
            }
            Expr::GetAttr(method) => {
                if let Expr::Var(base) = &method.expr {
                    let place = lexis::range(base.span()).start..span.end;
                    return self.method_call(base.id, method.name, &call.args, place);
                }
                self.expression(&method.expr, Position::INNER);
                self.unsupported(span, method_words(method.name));
            }
            callee => {
                self.expression(callee, Position::INNER);
                self.unsupported(span, "only functions and macros can be called");
            }
        }
        self.arguments(&call.args)
    }

    fn method_call(
        &mut self,
        base: &str,
        name: &str,
        arguments: &[CallArg<'_>],
        place: Range<usize>,
    ) -> Taint {
        match (base, name) {
            ("loop", "cycle") if !self.loops.is_empty() => {
                let positional = arguments
                    .iter()
                    .all(|argument| matches!(argument, CallArg::Pos(_)));
                if arguments.is_empty() || !positional {
                    self.unsupported(place, "`loop.cycle` takes the values to choose from");
                }
                self.arguments(arguments)
            }
            ("loop", "changed") if !self.loops.is_empty() => {
                self.changed(arguments, place);
                Taint::clean()
            }
            _ if names::is_reserved(base) => {
                self.unsupported(place, method_words(name));
                self.arguments(arguments)
            }
            _ => {
                self.r#use(base, Role::FieldCalled(name.to_owned()), place, false);
                self.macro_call(name, arguments)
            }
        }
    }

    /// `loop.changed(…)` compares what it is given with what it was given before, so it is charged for.
    fn changed(&mut self, arguments: &[CallArg<'_>], place: Range<usize>) {
        let positional = arguments
            .iter()
            .all(|argument| matches!(argument, CallArg::Pos(_)));
        let opening = self.lexemes.from(place.start).iter();
        let opening = opening
            .skip_while(|lexed| lexed.lexeme != Lexeme::ParenOpen)
            .map(|lexed| lexed.range.end)
            .next();
        self.arguments(arguments);
        let Some(opening) = opening.filter(|_| positional && !arguments.is_empty()) else {
            self.unsupported(place, "`loop.changed` takes the values to compare");
            return;
        };
        let measure = engine::MEASURE;
        let closing = place.end.saturating_sub(1);
        self.edit(opening..opening, "(");
        self.edit(closing..closing, &format!(")|{measure}"));
    }

    fn macro_call(&mut self, name: &str, arguments: &[CallArg<'_>]) -> Taint {
        let arguments = self.each_argument(arguments);
        self.facts.calls.push(Call {
            callee: name.to_owned(),
            arguments,
        });
        Taint::clean()
    }
}

/// What is said about `value.method()`.
pub(in crate::template) fn method_words(name: &str) -> String {
    if engine::is_filter(name) {
        format!("values have no methods: write `|{name}` instead of `.{name}()`")
    } else {
        format!("values have no methods, so `{name}()` cannot be called; there are filters")
    }
}

fn literal(expression: &Expr<'_>) -> Option<String> {
    match expression {
        Expr::Const(constant) => constant.value.as_str().map(str::to_owned),
        _ => None,
    }
}
