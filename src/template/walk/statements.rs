//! Statements.

use std::ops::Range;

use minijinja::machinery::ast::{self, Expr, Spanned, Stmt};

use super::{Position, Walker};
use crate::template::facts::{Alias, Emit, Include, Kind, Role, Taint};
use crate::template::lexis::{self, Lexeme};
use crate::template::{ProblemKind, engine};

impl Walker<'_> {
    pub(super) fn body(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.body(&template.children),
            Stmt::EmitRaw(raw) => {
                if let Some(bytes) = self.raw.last_mut() {
                    *bytes += raw.raw.len();
                }
            }
            Stmt::EmitExpr(emit) => self.emit(emit),
            Stmt::ForLoop(each) => self.for_loop(each),
            Stmt::IfCond(cond) => {
                self.expression(&cond.expr, Position::INNER);
                self.body(&cond.true_body);
                self.body(&cond.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.assignment(target, value);
                }
                self.body(&with.body);
            }
            Stmt::Set(set) => self.assignment(&set.target, &set.expr),
            Stmt::SetBlock(set) => {
                let taint = set.filter.as_ref().map_or_else(Taint::clean, |filter| {
                    self.expression(filter, Position::INNER)
                });
                self.target(&set.target, &taint);
                self.captured(&set.body);
            }
            Stmt::FilterBlock(block) => self.filter_block(block),
            Stmt::Macro(declared) => {
                let span = lexis::range(declared.span());
                self.bind(declared.name, Kind::Macro, span.start..span.start);
                self.declaration(declared, span.start);
            }
            Stmt::CallBlock(block) => {
                self.call(&block.call);
                self.declaration(&block.macro_decl, lexis::range(block.span()).start);
            }
            Stmt::Do(call) => {
                self.call(&call.call);
            }
            Stmt::Include(include) => {
                if include.ignore_missing {
                    let span = lexis::range(include.span());
                    self.unsupported(span, "`ignore missing` would depend on what the commit lacks: include a file that exists");
                }
                self.include(&include.name);
            }
            Stmt::Import(import) => self.import(import),
            Stmt::FromImport(import) => self.import_names(import),
            Stmt::AutoEscape(block) => {
                let words = "`autoescape` has no meaning here: what derives from a label is escaped, and `|safe` switches it off";
                self.unsupported(lexis::range(block.span()), words);
                self.body(&block.body);
            }
            Stmt::Block(block) => {
                let words = "`block` and `extends` do not work here: use `include`, or a macro with `import`";
                self.unsupported(keyword(block.span(), "block"), words);
                self.body(&block.body);
            }
            Stmt::Extends(extends) => {
                let words = "`block` and `extends` do not work here: use `include`, or a macro with `import`";
                self.unsupported(keyword(extends.span(), "extends"), words);
            }
        }
    }

    fn emit(&mut self, emit: &Spanned<ast::EmitExpr<'_>>) {
        let span = lexis::range(emit.span());
        let open = match self.lexemes.from(span.start).first() {
            Some(start) if start.lexeme == Lexeme::VariableStart => start.range.end,
            _ => span.start,
        };
        if let Some((range, name)) = self.older.get(&lexis::range(emit.expr.span()).start) {
            let (range, name) = (range.clone(), name.clone());
            self.older_config(range, &name);
            return;
        }
        let uses = self.facts.uses.len();
        let base = self.facts.base_uses;
        let plain = self.captures == 0;
        let taint = self.expression(
            &emit.expr,
            Position {
                whole: true,
                plain,
                item: false,
            },
        );
        let written = self.trimmed(open..span.end);
        let emitted = Emit {
            file: self.file,
            open: Some(open),
            close: span.end,
            taint,
            escaped: matches!(&emit.expr, Expr::Filter(filter) if engine::escapes(filter.name)),
            base: self.facts.base_uses > base,
            uses: uses..self.facts.uses.len(),
            place: self.place(written),
        };
        self.facts.emits.push(emitted);
    }

    /// A range without the white space at its start.
    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text(&range);
        let blanks = text.len() - text.trim_start().len();
        range.start + blanks..range.end
    }

    fn for_loop(&mut self, each: &Spanned<ast::ForLoop<'_>>) {
        let span = lexis::range(each.span());
        if each.recursive {
            self.unsupported(
                span.start..span.start + 3,
                "a `recursive` loop does not work here: use a macro that calls itself",
            );
        }
        let taint = self.expression(&each.iter, Position::INNER);
        self.target(&each.target, &taint);
        if let Some(filter) = &each.filter_expr {
            self.expression(filter, Position::INNER);
        }
        self.loops.push(taint);
        self.repeated(&each.body, span.start);
        self.loops.pop();
        self.body(&each.else_body);
    }

    /// A body that may run often. `statement` is where its statement has its keyword.
    fn repeated(&mut self, body: &[Stmt<'_>], statement: usize) {
        self.raw.push(0);
        self.body(body);
        let raw = self.raw.pop().unwrap_or_default();
        if let Some(end) = self.lexemes.tag_end(statement) {
            // The inserted tag takes over how the tag before it treats the white space that follows.
            let marker = if self.text(&end).starts_with('-') {
                "-"
            } else {
                ""
            };
            self.charge(end.end, raw, marker);
        }
    }

    /// A body whose output becomes a value.
    fn captured(&mut self, body: &[Stmt<'_>]) {
        self.captures += 1;
        self.body(body);
        self.captures -= 1;
    }

    /// What a macro or the block of a `call` declares. `statement` is where its statement has its keyword.
    fn declaration(&mut self, declared: &ast::Macro<'_>, statement: usize) {
        let defaults = declared.args.len().saturating_sub(declared.defaults.len());
        self.macros += 1;
        let mut parameters = Vec::with_capacity(declared.args.len());
        for (index, parameter) in declared.args.iter().enumerate() {
            let default = index
                .checked_sub(defaults)
                .and_then(|index| declared.defaults.get(index));
            let taint = default.map_or_else(Taint::clean, |default| {
                self.expression(default, Position::INNER)
            });
            self.target(parameter, &taint);
            if let Expr::Var(name) = parameter {
                parameters.push(name.id.to_owned());
            }
        }
        self.facts
            .macros
            .entry(declared.name.to_owned())
            .or_default()
            .push(parameters);
        let loops = std::mem::take(&mut self.loops);
        self.captures += 1;
        self.repeated(&declared.body, statement);
        self.captures -= 1;
        self.loops = loops;
        self.macros -= 1;
    }

    fn filter_block(&mut self, block: &Spanned<ast::FilterBlock<'_>>) {
        let uses = self.facts.uses.len();
        let taint = self.expression(&block.filter, Position::INNER);
        let span = lexis::range(block.filter.span());
        let emitted = Emit {
            file: self.file,
            open: None,
            close: span.end,
            taint,
            escaped: matches!(&block.filter, Expr::Filter(filter) if engine::escapes(filter.name)),
            base: false,
            uses: uses..uses,
            place: self.place(span),
        };
        self.facts.emits.push(emitted);
        self.captured(&block.body);
    }

    /// `target = value`, of `set` and `with`.
    fn assignment(&mut self, target: &Expr<'_>, value: &Expr<'_>) {
        if let (Expr::Var(name), Expr::Call(call)) = (target, value)
            && matches!(&call.expr, Expr::Var(function) if function.id == "namespace")
        {
            let taint = self.arguments(&call.args);
            self.bind(name.id, Kind::Namespace, lexis::range(name.span()));
            self.flow(name.id, taint);
            return;
        }
        let start = self.value_start(target);
        let taint = match (value, start) {
            (Expr::Tuple(tuple), Some(start)) if start != lexis::range(tuple.span()).start => {
                self.open_tuple(tuple, start)
            }
            _ => self.expression(value, Position::INNER),
        };
        self.target(target, &taint);
    }

    /// Where the value of `target = value` starts: the span of a tuple without parentheses starts at its second item.
    fn value_start(&self, target: &Expr<'_>) -> Option<usize> {
        let mut after = self.lexemes.from(lexis::range(target.span()).end).iter();
        let assign = after.find(|lexed| lexed.lexeme != Lexeme::ParenClose)?;
        let value = after.next()?;
        Some(value.range.start.max(assign.range.end))
    }

    /// Assigns to a name, to a field of a namespace, or to several names.
    fn target(&mut self, target: &Expr<'_>, taint: &Taint) {
        match target {
            Expr::Var(name) => {
                self.bind(name.id, Kind::Variable, lexis::range(name.span()));
                self.flow(name.id, taint.clone());
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item, taint)),
            Expr::GetAttr(field) => {
                let span = lexis::range(field.span());
                if let Expr::Var(name) = &field.expr {
                    self.r#use(name.id, Role::FieldSet, span, false);
                    self.flow(name.id, taint.clone());
                } else {
                    self.unsupported(span, "only a field of a namespace can be assigned");
                }
            }
            other => self.unsupported(lexis::range(other.span()), "this cannot be assigned"),
        }
    }

    /// Notes a file that is included or imported, and gives the index of the note.
    fn include(&mut self, name: &Expr<'_>) -> Option<usize> {
        let range = lexis::range(name.span());
        let literal = match name {
            Expr::Const(constant) => constant.value.as_str().map(str::to_owned),
            _ => None,
        };
        let Some(reference) = literal else {
            self.problem(range, ProblemKind::IncludeNotLiteral);
            return None;
        };
        let place = self.place(range);
        let captured = self.captures > 0;
        self.facts.includes.push(Include {
            from: self.file,
            to: None,
            reference,
            place,
            captured,
        });
        Some(self.facts.includes.len() - 1)
    }

    fn import(&mut self, import: &Spanned<ast::Import<'_>>) {
        let include = self.include(&import.expr);
        let range = lexis::range(import.name.span());
        let Expr::Var(name) = &import.name else {
            self.unsupported(range, "`import … as` takes a name");
            return;
        };
        self.bind(name.id, Kind::Module, range);
        if let Some(include) = include {
            self.facts
                .modules
                .entry(name.id.to_owned())
                .or_default()
                .push(include);
        }
    }

    fn import_names(&mut self, import: &Spanned<ast::FromImport<'_>>) {
        let Some(include) = self.include(&import.expr) else {
            return;
        };
        for (source, alias) in &import.names {
            let Expr::Var(source) = source else { continue };
            let name = match alias {
                Some(Expr::Var(alias)) => alias.id,
                _ => source.id,
            };
            self.export(name);
            let place = self.place(lexis::range(source.span()));
            let alias = Alias {
                name: name.to_owned(),
                source: source.id.to_owned(),
                include,
                place,
            };
            self.facts.aliases.push(alias);
        }
    }
}

/// Where a statement has its keyword.
fn keyword(span: minijinja::machinery::Span, word: &str) -> Range<usize> {
    let start = lexis::range(span).start;
    start..start + word.len()
}
