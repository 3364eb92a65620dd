//! The lexical side: delimiters, the tokens that the rewriting needs, and the guard against deep nesting.

use std::ops::Range;
use std::sync::OnceLock;

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::limits;

/// The delimiters. `{# #}` is none: `${#list}` belongs to the shell. Comments are `{%# … #%}`.
pub(super) fn syntax() -> SyntaxConfig {
    static SYNTAX: OnceLock<SyntaxConfig> = OnceLock::new();
    SYNTAX
        .get_or_init(|| {
            SyntaxConfig::builder()
                .comment_delimiters("{%#", "#%}")
                .keep_trailing_newline(true)
                .build()
                .expect("the delimiters differ from each other")
        })
        .clone()
}

/// The tokens that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexeme {
    VariableStart,
    VariableEnd,
    BlockStart,
    BlockEnd,
    ParenOpen,
    ParenClose,
    Operator,
    Text,
    Other,
}

/// A token and its bytes.
#[derive(Clone, Debug)]
pub(super) struct Lexed {
    pub(super) lexeme: Lexeme,
    pub(super) range: Range<usize>,
}

/// The tokens of a text, up to the first that cannot be read: the parser then says why.
pub(super) struct Lexemes(Vec<Lexed>);

impl Lexemes {
    /// The tokens from `offset` on.
    pub(super) fn from(&self, offset: usize) -> &[Lexed] {
        let index = self.0.partition_point(|lexed| lexed.range.start < offset);
        self.0.get(index..).unwrap_or_default()
    }

    /// The tokens before `offset`.
    pub(super) fn before(&self, offset: usize) -> &[Lexed] {
        let index = self.0.partition_point(|lexed| lexed.range.start < offset);
        self.0.get(..index).unwrap_or_default()
    }

    /// Where the statement that has its keyword at `offset` ends its (opening) tag.
    pub(super) fn tag_end(&self, offset: usize) -> Option<Range<usize>> {
        let end = self
            .from(offset)
            .iter()
            .find(|lexed| lexed.lexeme == Lexeme::BlockEnd)?;
        Some(end.range.clone())
    }
}

/// The bytes of a span.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Reads the tokens of a text.
///
/// # Errors
/// Gives the place of a token that nests too deep for the parser, which recurses natively.
pub(super) fn read(text: &str) -> Result<Lexemes, Range<usize>> {
    let mut lexemes = Vec::new();
    let mut guard = Guard::default();
    for token in tokenize(text, false, syntax()) {
        let Ok((token, span)) = token else { break };
        if !guard.admits(&token) {
            return Err(range(span));
        }
        lexemes.push(Lexed {
            lexeme: lexeme(&token),
            range: range(span),
        });
    }
    Ok(Lexemes(lexemes))
}

fn lexeme(token: &Token<'_>) -> Lexeme {
    match token {
        Token::VariableStart => Lexeme::VariableStart,
        Token::VariableEnd => Lexeme::VariableEnd,
        Token::BlockStart => Lexeme::BlockStart,
        Token::BlockEnd => Lexeme::BlockEnd,
        Token::ParenOpen => Lexeme::ParenOpen,
        Token::ParenClose => Lexeme::ParenClose,
        Token::Plus | Token::Mul | Token::Tilde => Lexeme::Operator,
        Token::TemplateData(_) => Lexeme::Text,
        _ => Lexeme::Other,
    }
}

/// Counts what the parser would recurse over, mostly without a limit of its own.
#[derive(Default)]
struct Guard<'t> {
    /// Tokens since the last comma, for the tag and each bracket in it that is open.
    chains: Vec<usize>,
    /// Their sum.
    chain: usize,
    /// `elif` branches, for each block that is open.
    blocks: Vec<usize>,
    /// Their sum.
    elifs: usize,
    /// The first word of the statement that is read.
    keyword: Option<&'t str>,
    /// For the tag and each bracket in it that is open, how deep what was read in it will nest once its look-ups are charged
    /// for: those of the operand that is read, and the most of those before it.
    heights: Vec<(usize, usize)>,
    /// Whether a bracket here would look something up.
    after_operand: bool,
    /// Whether it assigns: `{% set x = … %}` opens no block.
    assigns: bool,
    at_keyword: bool,
}

impl<'t> Guard<'t> {
    fn admits(&mut self, token: &Token<'t>) -> bool {
        self.measure(token);
        match token {
            Token::VariableStart | Token::BlockStart => {
                self.chains = vec![0];
                self.chain = 0;
                self.keyword = None;
                self.assigns = false;
            }
            Token::BlockEnd => self.statement(),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.step();
                self.chains.push(0);
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.chain -= self.chains.pop().unwrap_or_default();
                self.step();
            }
            Token::Comma => self.chain -= self.chains.last_mut().map_or(0, std::mem::take),
            Token::Ident(word) if self.at_keyword => self.keyword = Some(word),
            Token::Assign if self.chains.len() == 1 => self.assigns = true,
            _ => self.step(),
        }
        self.at_keyword = matches!(token, Token::BlockStart);
        self.chain <= limits::CHAIN
            && self.elifs <= limits::ELIFS
            && self.chains.len() <= limits::NESTING + 1
            && self
                .heights
                .last()
                .is_none_or(|(now, _)| *now <= 2 * limits::NESTING)
            && self.blocks.len() <= limits::NESTING
    }

    fn measure(&mut self, token: &Token<'t>) {
        let level = self.heights.last_mut();
        match token {
            Token::VariableStart | Token::BlockStart => self.heights = vec![(0, 0)],
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                if let Some((now, _)) = level
                    && self.after_operand
                    && matches!(token, Token::BracketOpen)
                {
                    *now += 1;
                }
                self.heights.push((0, 0));
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                let (now, most) = self.heights.pop().unwrap_or_default();
                if let Some((outer, _)) = self.heights.last_mut() {
                    *outer = (*outer).max(now.max(most) + 1);
                }
            }
            Token::Dot | Token::Ident(_) | Token::Int(_) => {}
            _ => {
                if let Some((now, most)) = level {
                    *most = (*most).max(*now);
                    *now = 0;
                }
            }
        }
        self.after_operand = matches!(
            token,
            Token::Ident(_)
                | Token::Int(_)
                | Token::Str(_)
                | Token::String(_)
                | Token::ParenClose
                | Token::BracketClose
                | Token::BraceClose
        );
    }

    fn step(&mut self) {
        if let Some(chain) = self.chains.last_mut() {
            *chain += 1;
            self.chain += 1;
        }
    }

    /// Opens or closes the block of a statement.
    fn statement(&mut self) {
        match self.keyword {
            Some("elif") => {
                if let Some(elifs) = self.blocks.last_mut() {
                    *elifs += 1;
                    self.elifs += 1;
                }
            }
            Some("set") if self.assigns => {}
            Some(
                "if" | "for" | "with" | "set" | "autoescape" | "filter" | "block" | "macro"
                | "call",
            ) => {
                self.blocks.push(0);
            }
            Some(word) if word.starts_with("end") => {
                self.elifs -= self.blocks.pop().unwrap_or_default();
            }
            _ => {}
        }
    }
}
