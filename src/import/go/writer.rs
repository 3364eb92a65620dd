//! Goes over the parts of a template and writes ours.

use std::ops::Range;

use serde_json::{Map, Value};

use super::assemble::{self, Delimiter, Part as Out};
use super::expression::{Expression, Origin, Piece, Reader, WHOLE};
use super::lex::{Action, Body, Part, Token, Word};
use super::shape::{Kind, Step, kinds};
use super::{Converted, Fault};

/// How deep `if`, `range` and `with` may nest: ours nest so deep, and no file does.
const MAX_NESTING: usize = 32;

/// A value that the template asks for.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) path: Vec<Step>,
    pub(super) range: Range<usize>,
    /// By `index`, which may find nothing.
    pub(super) indexed: bool,
    /// Only to see whether it is there.
    pub(super) asked: bool,
    /// In a block that asks first whether it is there.
    pub(super) covered: bool,
}

/// What ends a list of parts.
pub(super) enum Stop<'w> {
    Text,
    End(&'w Action<'w>),
    /// `else`, with the words behind it.
    Else(&'w Action<'w>, &'w [Token]),
}

/// Goes over the parts of a template and writes ours.
pub(super) struct Writer<'w, 'a> {
    parts: &'w [Part<'w>],
    at: usize,
    pub(super) data: &'a [Map<String, Value>],
    pub(super) taken: &'a [&'a str],
    out: Vec<Out>,
    /// What `.` is, innermost last.
    pub(super) dots: Vec<Expression>,
    /// What `$name` is, innermost last.
    pub(super) variables: Vec<(String, Expression)>,
    pub(super) depth: usize,
    /// The action at hand.
    pub(super) range: Range<usize>,
    faults: Vec<Fault>,
    pub(super) uses: Vec<Use>,
    /// What the conditions of the open blocks ask for.
    pub(super) conditions: Vec<Vec<Step>>,
}

impl<'w, 'a> Writer<'w, 'a> {
    /// At the start of a template.
    pub(super) fn new(
        parts: &'w [Part<'w>],
        data: &'a [Map<String, Value>],
        taken: &'a [&'a str],
    ) -> Self {
        Self {
            parts,
            at: 0,
            data,
            taken,
            out: Vec::new(),
            dots: vec![Expression::root()],
            variables: Vec::new(),
            depth: 0,
            range: 0..0,
            faults: Vec::new(),
            uses: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// The whole template.
    ///
    /// # Errors
    /// Every construct that has no equivalent.
    pub(super) fn write(mut self) -> Result<Converted, Vec<Fault>> {
        if let Err(fault) = self.template() {
            self.faults.push(fault);
        }
        self.finish()
    }

    pub(super) fn fault(&self, why: &'static str) -> Fault {
        Fault {
            range: self.range.clone(),
            why,
        }
    }

    pub(super) fn dot(&self) -> &Expression {
        self.dots.last().expect("the first one is never taken away")
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Expression> {
        let found = self.variables.iter().rev().find(|(one, _)| one == name);
        found.map(|(_, value)| value)
    }

    fn template(&mut self) -> Result<(), Fault> {
        match self.list()? {
            Stop::Text => Ok(()),
            Stop::End(action) | Stop::Else(action, _) => {
                self.range = action.range.clone();
                Err(self.fault("this ends nothing"))
            }
        }
    }

    /// Parts up to the `end` or `else` of the block that they stand in.
    pub(super) fn list(&mut self) -> Result<Stop<'w>, Fault> {
        if self.depth > MAX_NESTING {
            return Err(self.fault("blocks nest too deep"));
        }
        while let Some(part) = self.parts.get(self.at) {
            self.at += 1;
            let action = match part {
                Part::Text(text) => {
                    self.out.push(Out::Text((*text).to_owned()));
                    continue;
                }
                Part::Action(action) => action,
            };
            self.range = action.range.clone();
            let tokens = match &action.body {
                Body::Comment(words) => {
                    self.comment(action, words);
                    continue;
                }
                Body::Code(tokens) => tokens.as_slice(),
            };
            let keyword = match tokens.first().map(|token| &token.what) {
                Some(Word::Name(name)) => name.as_str(),
                _ => "",
            };
            let rest = tokens.get(1..).unwrap_or_default();
            match keyword {
                "end" => return Ok(Stop::End(action)),
                "else" => return Ok(Stop::Else(action, rest)),
                "if" | "with" => self.branches(action, rest, keyword == "with")?,
                "range" => self.range_block(action, rest)?,
                "define" | "block" => self.skipped("templates inside templates have no equivalent; write the text where it is used, or `{% include %}` a file")?,
                "template" => self.told(self.fault("templates inside templates have no equivalent; write the text here, or `{% include %}` a file")),
                "break" | "continue" => self.told(self.fault("a loop cannot be left early")),
                _ => self.print(action, tokens),
            }
        }
        Ok(Stop::Text)
    }

    pub(super) fn told(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn tag(&mut self, action: &Action<'_>, delimiter: Delimiter, code: String) {
        self.out.push(Out::Tag {
            delimiter,
            code,
            left: action.trims_left,
            right: action.trims_right,
        });
    }

    fn comment(&mut self, action: &Action<'_>, words: &str) {
        let words = words.trim().replace("#%}", "# %}");
        self.tag(action, Delimiter::Comment, words);
    }

    /// A block that is told and whose parts mean nothing.
    fn skipped(&mut self, why: &'static str) -> Result<(), Fault> {
        self.told(self.fault(why));
        self.depth += 1;
        while let Stop::Else(..) = self.list()? {}
        self.depth -= 1;
        Ok(())
    }

    /// A pipeline; a mistake in it is told, and stands for something that causes no other.
    pub(super) fn pipeline(&mut self, tokens: &[Token]) -> Expression {
        match Reader::new(self, tokens).whole() {
            Ok(value) => value,
            Err(fault) => {
                self.told(fault);
                Expression::unknown()
            }
        }
    }

    /// `$name := ` before a pipeline.
    pub(super) fn declaration<'t>(
        &self,
        tokens: &'t [Token],
    ) -> Result<(Vec<String>, &'t [Token]), Fault> {
        let words: Vec<&Word> = tokens.iter().take(4).map(|token| &token.what).collect();
        match words[..] {
            [Word::Variable(one), Word::Declare, ..] => {
                Ok((vec![one.clone()], tokens.get(2..).unwrap_or_default()))
            }
            [
                Word::Variable(one),
                Word::Comma,
                Word::Variable(two),
                Word::Declare,
            ] => Ok((
                vec![one.clone(), two.clone()],
                tokens.get(4..).unwrap_or_default(),
            )),
            [Word::Variable(_), Word::Assign, ..] => {
                Err(self.fault("a variable that is assigned again has no equivalent"))
            }
            _ => Ok((Vec::new(), tokens)),
        }
    }

    /// What is printed, or declared.
    fn print(&mut self, action: &Action<'_>, tokens: &[Token]) {
        let (names, tokens) = match self.declaration(tokens) {
            Ok(found) => found,
            Err(fault) => return self.told(fault),
        };
        let value = self.pipeline(tokens);
        match &names[..] {
            [] => {}
            [name] => {
                // What is declared is written out where it is used, so that it says where it comes from.
                let words = format!("${name} is {}", value.code.replace("#%}", "# %}"));
                self.variables.push((name.clone(), value));
                return self.tag(action, Delimiter::Comment, words);
            }
            _ => return self.told(self.fault("only `range` declares two variables")),
        }
        if let Err(fault) = Reader::new(self, &[]).printable(&value) {
            return self.told(fault);
        }
        match &value.origin {
            Origin::Joined(pieces) => self.pieces(action, pieces),
            _ => self.tag(action, Delimiter::Print, value.code),
        }
    }

    /// `printf` as what it is: texts and values, one behind the other.
    fn pieces(&mut self, action: &Action<'_>, pieces: &[Piece]) {
        if pieces.is_empty() {
            return self.tag(action, Delimiter::Comment, "nothing".to_owned());
        }
        let last = pieces.len() - 1;
        for (index, piece) in pieces.iter().enumerate() {
            let (left, right) = (
                action.trims_left && index == 0,
                action.trims_right && index == last,
            );
            self.out.push(match piece {
                Piece::Text(text) => Out::Literal {
                    text: text.clone(),
                    left,
                    right,
                },
                Piece::Code(code) => Out::Tag {
                    delimiter: Delimiter::Print,
                    code: code.clone(),
                    left,
                    right,
                },
            });
        }
    }

    /// `if` and `with`, with all their branches.
    fn branches(&mut self, action: &Action<'_>, tokens: &[Token], with: bool) -> Result<(), Fault> {
        let (scope, conditions) = (self.variables.len(), self.conditions.len());
        let (mut action, mut tokens) = (action, tokens);
        let mut keyword = "if";
        self.depth += 1;
        loop {
            let uses = self.uses.len();
            let value = self.bound(tokens);
            self.asked(&value);
            let asked = self.uses.iter().skip(uses);
            self.conditions.extend(asked.map(|one| one.path.clone()));
            self.tag(
                action,
                Delimiter::Block,
                format!("{keyword} {}", value.code),
            );
            if with {
                self.dots.push(value);
            }
            let end = self.list()?;
            if with {
                self.dots.pop();
            }
            match end {
                Stop::Text => return Err(self.fault("this block has no `{{end}}`")),
                Stop::End(end) => {
                    self.tag(end, Delimiter::Block, "endif".to_owned());
                    break;
                }
                Stop::Else(other, []) => {
                    self.tag(other, Delimiter::Block, "else".to_owned());
                    let Stop::End(end) = self.list()? else {
                        return Err(self.fault("this block has no `{{end}}` behind its `{{else}}`"));
                    };
                    self.tag(end, Delimiter::Block, "endif".to_owned());
                    break;
                }
                Stop::Else(other, words) => {
                    self.range = other.range.clone();
                    let is_if = matches!(words.first(), Some(Token { what: Word::Name(name), .. }) if name == "if");
                    if with || !is_if {
                        return Err(self.fault("only `else if` behind `if` has an equivalent"));
                    }
                    (action, tokens) = (other, words.get(1..).unwrap_or_default());
                    keyword = "elif";
                }
            }
        }
        self.depth -= 1;
        self.variables.truncate(scope);
        self.conditions.truncate(conditions);
        Ok(())
    }

    /// The pipeline of a block, whose variable lives as long as the block.
    fn bound(&mut self, tokens: &[Token]) -> Expression {
        match self.declaration(tokens) {
            Ok((names, tokens)) => {
                let value = self.pipeline(tokens);
                if let [name] = &names[..] {
                    self.variables.push((name.clone(), value.clone()));
                } else if !names.is_empty() {
                    self.told(self.fault("only `range` declares two variables"));
                }
                value
            }
            Err(fault) => {
                self.told(fault);
                Expression::unknown()
            }
        }
    }

    /// A value whose truth is asked for.
    pub(super) fn asked(&mut self, value: &Expression) {
        match &value.origin {
            Origin::Data { path, .. } if path.is_empty() => {
                self.told(self.fault(WHOLE));
            }
            Origin::Data { path, .. } => {
                let uses = self.uses.iter_mut().rev();
                if let Some(one) = uses.into_iter().find(|one| one.path == *path) {
                    one.asked = true;
                }
            }
            Origin::RawQuery | Origin::Request | Origin::Query => {
                self.told(self.fault("the request as a whole has no equivalent"));
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Result<Converted, Vec<Fault>> {
        let mut converted = Converted::default();
        for one in &self.uses {
            let keys: Option<Vec<String>> = one.path.iter().map(key).collect();
            if let Some(Step::Key(first)) = one.path.first() {
                converted.used.insert(first.clone());
            }
            let found = kinds(self.data, &one.path);
            let missing = found.contains(&Kind::Missing);
            let unreachable = found.contains(&Kind::Unreachable);
            let fault = |why| Fault {
                range: one.range.clone(),
                why,
            };
            let Some(keys) = keys else {
                // Items of lists have no defaults.
                if unreachable || (missing && !one.indexed && !one.covered) {
                    self.faults.push(fault(
                        "some item of the list lacks this, and Go fails there",
                    ));
                }
                continue;
            };
            if unreachable {
                self.faults.push(fault("some group lacks the map that this is in, or has something else there; give every group one"));
            } else if missing && (one.indexed || one.asked || one.covered) {
                if !one.indexed && !one.covered {
                    converted.softened.push((one.range.clone(), keys.clone()));
                }
                converted.optional.insert(keys);
            } else if missing {
                converted.lacking.push((one.range.clone(), keys));
            }
        }
        converted.text = assemble::assemble(&self.out);
        if self.faults.is_empty() {
            return Ok(converted);
        }
        self.faults
            .sort_by_key(|fault| (fault.range.start, fault.range.end));
        self.faults.dedup();
        Err(self.faults)
    }
}

fn key(step: &Step) -> Option<String> {
    match step {
        Step::Key(key) => Some(key.clone()),
        Step::Each => None,
    }
}
