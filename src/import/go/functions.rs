//! The functions of Go templates.

use super::Fault;
use super::expression::{Expression, Origin, Piece, RAW_QUERY, Reader, WHOLE, member, quoted};
use super::shape::{Kind, Kinds, Step};

impl Reader<'_, '_, '_> {
    /// A function of Go's with its arguments.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: &[Expression],
    ) -> Result<Expression, Fault> {
        if arguments
            .iter()
            .any(|argument| argument.origin == Origin::RawQuery)
        {
            return Err(self.fault(RAW_QUERY));
        }
        if name != "index" && arguments.iter().any(Expression::is_root) {
            return Err(self.fault(WHOLE));
        }
        match name {
            "index" => self.index(arguments),
            "and" | "or" => self.connective(name, arguments),
            "not" => match arguments {
                [one] => {
                    self.condition(one);
                    let code = format!("not {}", one.operand());
                    Ok(Expression::calculated(code, false, [Kind::Bool]))
                }
                _ => Err(self.fault("`not` takes one argument")),
            },
            "len" => match arguments {
                [one] if self.holds_only(one, &[Kind::List, Kind::Map, Kind::Missing]) => {
                    let code = format!("{}|length", one.operand());
                    Ok(Expression::calculated(code, true, [Kind::Integer]))
                }
                _ => Err(self.fault("`len` counts bytes of a text where gitboot counts characters, and is converted for lists and maps only")),
            },
            "eq" | "ne" | "lt" | "le" | "gt" | "ge" => self.comparison(name, arguments),
            "print" => match arguments {
                [one] => {
                    self.printable(one)?;
                    Ok(joined(vec![Piece::Code(one.code.clone())]))
                }
                _ => Err(self.fault("`print` with several arguments puts blanks between some of them")),
            },
            "printf" => self.printf(arguments),
            _ => Err(self.fault("this function has no equivalent")),
        }
    }

    fn holds_only(&self, value: &Expression, allowed: &[Kind]) -> bool {
        self.kinds(value).iter().all(|kind| allowed.contains(kind))
    }

    /// A value that is only asked whether it is there: it may be missing.
    fn condition(&mut self, value: &Expression) {
        self.writer.asked(value);
    }

    fn index(&mut self, arguments: &[Expression]) -> Result<Expression, Fault> {
        let Some((of, keys)) = arguments.split_first() else {
            return Err(self.fault("`index` takes arguments"));
        };
        let mut value = of.clone();
        for key in keys {
            value = self.index_once(&value, key)?;
        }
        Ok(value)
    }

    fn index_once(&mut self, of: &Expression, key: &Expression) -> Result<Expression, Fault> {
        match (&of.origin, &key.origin) {
            (Origin::Unknown, _) | (_, Origin::Unknown) => Ok(Expression::unknown()),
            (Origin::Data { path, .. }, Origin::Literal(name)) => {
                if path.is_empty() && name == "request" {
                    return Ok(Expression::simple("", Origin::Request));
                }
                let mut whole = path.clone();
                whole.push(Step::Key(name.clone()));
                let code = member(&of.operand(), name);
                // Only what the Profile can give a default to may be missing in our expressions.
                let is_in_list = path.contains(&Step::Each);
                let code = if is_in_list {
                    format!("{code}|default(\"\")")
                } else {
                    code
                };
                let mut value = self.data(code, whole, true);
                value.simple = !is_in_list;
                Ok(value)
            }
            (Origin::Data { path, .. }, Origin::Calculated(number))
                if number.contains(&Kind::Integer)
                    && key.code.bytes().all(|byte| byte.is_ascii_digit())
                    && self.holds_only(of, &[Kind::List]) =>
            {
                let mut whole = path.clone();
                whole.push(Step::Each);
                let code = format!("{}[{}]", of.operand(), key.code);
                Ok(self.data(code, whole, false))
            }
            (Origin::Query, Origin::Literal(name)) => self.label(name),
            _ => Err(self.fault(
                "`index` is converted for literal keys of maps and literal positions in lists",
            )),
        }
    }

    fn connective(&mut self, name: &str, arguments: &[Expression]) -> Result<Expression, Fault> {
        let mut found = Kinds::new();
        for argument in arguments {
            self.condition(argument);
            found.extend(self.kinds(argument));
        }
        let codes: Vec<String> = arguments.iter().map(Expression::operand).collect();
        match arguments {
            [] => Err(self.fault("`and` and `or` take arguments")),
            [one] => Ok(one.clone()),
            _ => Ok(Expression::calculated(
                codes.join(&format!(" {name} ")),
                false,
                found,
            )),
        }
    }

    fn comparison(&mut self, name: &str, arguments: &[Expression]) -> Result<Expression, Fault> {
        let operator = match name {
            "eq" => "==",
            "ne" => "!=",
            "lt" => "<",
            "le" => "<=",
            "gt" => ">",
            _ => ">=",
        };
        let Some((left, others)) = arguments.split_first() else {
            return Err(self.fault("a comparison takes arguments"));
        };
        if others.is_empty() || (others.len() > 1 && name != "eq") {
            return Err(self.fault("this is not the number of arguments that the comparison takes"));
        }
        let mut codes = Vec::new();
        for right in others {
            self.comparable(left, right, name == "eq" || name == "ne")?;
            codes.push(format!("{} {operator} {}", left.operand(), right.operand()));
        }
        Ok(Expression::calculated(
            codes.join(" or "),
            false,
            [Kind::Bool],
        ))
    }

    /// Go compares values of one basic type only, and fails otherwise.
    fn comparable(
        &self,
        left: &Expression,
        right: &Expression,
        equality: bool,
    ) -> Result<(), Fault> {
        if left.origin == Origin::Unknown || right.origin == Origin::Unknown {
            return Ok(());
        }
        let mut all = self.kinds(left);
        all.extend(self.kinds(right));
        let missing = all.remove(&Kind::Missing) | all.remove(&Kind::Unreachable);
        let basic = match all.iter().collect::<Vec<_>>()[..] {
            [] => true,
            [kind] => {
                matches!(kind, Kind::Text | Kind::Integer | Kind::Float)
                    || (equality && *kind == Kind::Bool)
            }
            _ => false,
        };
        if !basic {
            return Err(self.fault(
                "Go compares two texts, two numbers of one type or two booleans, and fails for anything else: numbers of JSON are no integers",
            ));
        }
        let definite =
            |one: &Expression| matches!(&one.origin, Origin::Literal(text) if !text.is_empty());
        if missing && !(equality && (definite(left) || definite(right))) {
            return Err(self.fault("some group lacks the value that is compared here"));
        }
        Ok(())
    }

    fn printf(&mut self, arguments: &[Expression]) -> Result<Expression, Fault> {
        let Some((
            Expression {
                origin: Origin::Literal(format),
                ..
            },
            values,
        )) = arguments.split_first()
        else {
            return Err(self.fault("`printf` is converted for literal formats only"));
        };
        let mut values = values.iter();
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            let allowed: &[Kind] = match chars.next() {
                Some('%') => {
                    text.push('%');
                    continue;
                }
                Some('s') => &[Kind::Text],
                Some('d') => &[Kind::Integer],
                Some('t') => &[Kind::Bool],
                Some('v') => &[Kind::Text, Kind::Integer, Kind::Float, Kind::Bool],
                _ => {
                    return Err(self
                        .fault("`printf` is converted for `%s`, `%v`, `%d`, `%t` and `%%` only"));
                }
            };
            let value = values
                .next()
                .filter(|value| self.holds_only(value, allowed));
            let Some(value) = value else {
                return Err(self.fault(
                    "`printf` would print an error here: a value is missing or has another type",
                ));
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Code(value.code.clone()));
        }
        if values.next().is_some() {
            return Err(self.fault("`printf` would print an error here: a value is left over"));
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(joined(pieces))
    }
}

/// A text made of these pieces.
fn joined(pieces: Vec<Piece>) -> Expression {
    let codes: Vec<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => quoted(text),
            Piece::Code(code) => format!("({code})|string"),
        })
        .collect();
    let code = if codes.is_empty() {
        "\"\"".to_owned()
    } else {
        codes.join(" ~ ")
    };
    Expression {
        code,
        simple: codes.len() < 2,
        origin: Origin::Joined(pieces),
    }
}
