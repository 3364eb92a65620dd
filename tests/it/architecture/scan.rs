//! Rust source read as text: which rooms and which foreign crates a file names.
//!
//! No compiler: just words, `::`, and other characters. That is enough for paths, and the tests of the map plant everything
//! that could slip through.

use std::collections::BTreeSet;

/// What one file names.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) path: String,
    pub(super) room: String,
    /// Other rooms.
    pub(super) rooms: BTreeSet<String>,
    /// Foreign crates.
    pub(super) crates: BTreeSet<String>,
}

/// Reads all files but `src/lib.rs`, which holds the map, and those that are only there for tests.
pub(super) fn scan_all(sources: &[(String, String)], crates: &BTreeSet<String>) -> Vec<Scan> {
    let walks: Vec<(&str, Vec<String>, Walk)> = sources
        .iter()
        .filter(|(path, _)| path != "src/lib.rs")
        .map(|(path, text)| {
            let module = module_of(path);
            let walk = Walk::of(text, if path == "src/main.rs" { &[] } else { &module });
            (path.as_str(), module, walk)
        })
        .collect();
    let test_modules: Vec<Vec<String>> = walks
        .iter()
        .flat_map(|(_, _, walk)| walk.test_modules.clone())
        .collect();
    let is_test = |module: &[String]| test_modules.iter().any(|test| module.starts_with(test));
    walks
        .iter()
        .filter(|(_, module, _)| !is_test(module))
        .map(|(path, module, walk)| {
            let room = module.first().expect("a file has a name").clone();
            let (rooms, crates) = walk.uses(&room, crates);
            let path = (*path).to_owned();
            Scan {
                path,
                room,
                rooms,
                crates,
            }
        })
        .collect()
}

/// The module that a file is: `src/http/routes.rs` is `http::routes`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Other(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Path | Self::Other(_) => None,
        }
    }
}

/// One pass over the tokens of a file.
struct Walk {
    tokens: Vec<Token>,
    at: usize,
    /// Where we are: the file's module and the modules written inside it.
    module: Vec<String>,
    /// One for each open brace: whether it is a module's.
    braces: Vec<bool>,
    /// Paths in use, with `self`, `super` and `crate` resolved to a leading `crate`.
    paths: BTreeSet<Vec<String>>,
    /// Names that mean something of our own in this file, whatever crates there are.
    own_names: BTreeSet<String>,
    /// Modules for tests that are files of their own.
    test_modules: Vec<Vec<String>>,
}

impl Walk {
    fn of(text: &str, module: &[String]) -> Self {
        let mut walk = Self {
            tokens: Lexer::new(text).tokens(),
            at: 0,
            module: module.to_vec(),
            braces: Vec::new(),
            paths: BTreeSet::new(),
            own_names: BTreeSet::new(),
            test_modules: Vec::new(),
        };
        while walk.at < walk.tokens.len() {
            walk.step();
        }
        walk
    }

    /// Other rooms and foreign crates among the paths.
    fn uses(&self, room: &str, crates: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut rooms = BTreeSet::new();
        let mut foreign = BTreeSet::new();
        for path in &self.paths {
            match path.as_slice() {
                [first, second, ..] if first == "crate" => {
                    rooms.insert(second.clone());
                }
                [first, second, ..] if first == "gitboot" && room == "main" => {
                    rooms.insert(second.clone());
                }
                // Behind a leading `::` there is nothing but crates.
                [first, second, ..] if first.is_empty() => {
                    foreign.insert(second.clone());
                }
                [first, ..] if !self.own_names.contains(first) => {
                    foreign.insert(first.clone());
                }
                _ => {}
            }
        }
        rooms.remove(room);
        foreign.retain(|name| crates.contains(name));
        (rooms, foreign)
    }

    fn step(&mut self) {
        if self.sees(&["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            self.paths.clear();
            self.at = self.tokens.len();
        } else if self.sees(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            self.skip_test_item();
        } else if self.sees(&["use"]) && !self.sees(&["use", "<"]) {
            self.at += 1;
            self.use_tree(&[]);
        } else if self.sees(&["mod"]) {
            self.at += 1;
            self.enter_module();
        } else if self.sees(&["{"]) {
            self.braces.push(false);
            self.at += 1;
        } else if self.sees(&["}"]) {
            if self.braces.pop() == Some(true) {
                self.module.pop();
            }
            self.at += 1;
        } else if self.starts_path() {
            let path = self.simple_path();
            if path.len() > 1 {
                self.add(path);
            }
        } else {
            self.at += 1;
        }
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn sees(&self, expected: &[&str]) -> bool {
        expected.iter().enumerate().all(|(ahead, expected)| {
            self.peek(ahead).is_some_and(|token| match token {
                Token::Word(word) => word == expected,
                Token::Path => *expected == "::",
                Token::Other(other) => expected.chars().eq([*other]),
            })
        })
    }

    /// Whether a path starts here: not a field, a method, or what comes after something and `::`.
    fn starts_path(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        let ends_something = |token: Option<&Token>| match token {
            Some(Token::Word(word)) => !matches!(
                word.as_str(),
                "return" | "in" | "as" | "dyn" | "impl" | "for" | "mut"
            ),
            Some(Token::Other(other)) => *other == '>',
            Some(Token::Path) | None => false,
        };
        match (self.peek(0), before(1)) {
            (Some(Token::Path), before) => {
                !ends_something(before) && self.peek(1).is_some_and(|next| next.word().is_some())
            }
            (Some(Token::Word(_)), Some(Token::Path)) => false,
            (Some(Token::Word(_)), Some(Token::Other('.'))) => {
                before(2) == Some(&Token::Other('.'))
            }
            (Some(Token::Word(_)), _) => true,
            _ => false,
        }
    }

    /// Takes `a::b::c`; a leading `::` becomes an empty first name.
    fn simple_path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        if self.sees(&["::"]) {
            path.push(String::new());
            self.at += 1;
        }
        while let Some(word) = self.peek(0).and_then(Token::word) {
            path.push(word.to_owned());
            self.at += 1;
            let goes_on =
                self.sees(&["::"]) && self.peek(1).is_some_and(|next| next.word().is_some());
            if !goes_on {
                break;
            }
            self.at += 1;
        }
        path
    }

    /// Takes a tree of `use`, up to what ends it.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        path.extend(self.simple_path());
        if self.sees(&["::"]) {
            self.at += 1;
        }
        if self.sees(&["{"]) {
            self.at += 1;
            while self.at < self.tokens.len() && !self.sees(&["}"]) {
                self.use_tree(&path);
                if self.sees(&[","]) {
                    self.at += 1;
                }
            }
            self.at += 1;
            return;
        }
        if self.sees(&["*"]) {
            path.push("*".to_owned());
            self.at += 1;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let alias = self
            .sees(&["as"])
            .then(|| self.peek(1).and_then(Token::word));
        if let Some(alias) = alias {
            self.own_names.extend(alias.map(str::to_owned));
            self.at += 2;
        } else if path.iter().filter(|name| !name.is_empty()).count() > 1 {
            self.own_names.extend(path.last().cloned());
        }
        let at = self.at;
        self.add(path);
        // What is no tree at all must not hold us up.
        if !matches!(
            self.tokens.get(at),
            Some(Token::Other(',' | '}' | ';')) | None
        ) {
            self.at += 1;
        }
    }

    fn add(&mut self, path: Vec<String>) {
        let parents = path.iter().take_while(|name| *name == "super").count();
        let from_self = path.first().is_some_and(|first| first == "self");
        if parents == 0 && !from_self {
            self.paths.insert(path);
            return;
        }
        let depth = self.module.len().saturating_sub(parents);
        let rest = path.into_iter().skip(parents.max(1));
        let absolute = std::iter::once("crate".to_owned())
            .chain(self.module.iter().take(depth).cloned())
            .chain(rest);
        self.paths.insert(absolute.collect());
    }

    /// Behind `mod`: enters a module that is written here, remembers the name of one that is a file.
    fn enter_module(&mut self) {
        let Some(name) = self.peek(0).and_then(Token::word).map(str::to_owned) else {
            return;
        };
        self.own_names.insert(name.clone());
        self.at += 1;
        if self.sees(&["{"]) {
            self.at += 1;
            self.braces.push(true);
            self.module.push(name);
        }
    }

    /// At `#[cfg(test)]`: skips the attribute, those after it, and the item that they are for.
    fn skip_test_item(&mut self) {
        while self.sees(&["#"]) {
            self.at += 1;
            self.skip_group();
        }
        if self.sees(&["pub"]) {
            self.at += 1;
            if self.sees(&["("]) {
                self.skip_group();
            }
        }
        if self.sees(&["mod"]) && self.tokens.get(self.at + 2) == Some(&Token::Other(';')) {
            let name = self.peek(1).and_then(Token::word).map(str::to_owned);
            let module = self.module.iter().cloned().chain(name);
            self.test_modules.push(module.collect());
        }
        let first = self.peek(0).and_then(Token::word).unwrap_or_default();
        let ends_in_brace = !matches!(first, "use" | "const" | "static" | "type" | "let");
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Other(';') => {
                    self.at += 1;
                    return;
                }
                Token::Other('{') => {
                    self.skip_group();
                    if ends_in_brace {
                        return;
                    }
                }
                Token::Other('(' | '[') => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }

    /// At an opening bracket of any kind: skips to behind the closing one.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Other('(' | '[' | '{') => depth += 1,
                Token::Other(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

/// Cuts a text into tokens; comments and the insides of literals are none.
struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn new(text: &str) -> Self {
        let chars = text.chars().collect();
        Self { chars, at: 0 }
    }

    fn tokens(mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(current) = self.peek(0) {
            if current.is_whitespace() {
                self.at += 1;
            } else if self.sees("//") {
                self.skip_while(|c| c != '\n');
            } else if self.sees("/*") {
                self.skip_block_comment();
            } else if current == '"' {
                self.skip_string();
            } else if current == '\'' {
                self.skip_character_or_lifetime();
            } else if is_word(current) {
                tokens.extend(self.word().map(Token::Word));
            } else if self.sees("::") {
                self.at += 2;
                tokens.push(Token::Path);
            } else {
                self.at += 1;
                tokens.push(Token::Other(current));
            }
        }
        tokens
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn sees(&self, expected: &str) -> bool {
        let mut here = self.chars.iter().skip(self.at);
        expected.chars().all(|c| here.next() == Some(&c))
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) -> usize {
        let start = self.at;
        while self.peek(0).is_some_and(&goes_on) {
            self.at += 1;
        }
        self.at - start
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            if self.sees("/*") {
                depth += 1;
                self.at += 2;
            } else if self.sees("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.at += 1;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(current) = self.peek(0) {
            self.at += if current == '\\' { 2 } else { 1 };
            if current == '"' {
                return;
            }
        }
    }

    fn skip_raw_string(&mut self) {
        let hashes = self.skip_while(|c| c == '#');
        let end = format!("\"{}", "#".repeat(hashes));
        self.at += 1;
        while self.at < self.chars.len() && !self.sees(&end) {
            self.at += 1;
        }
        self.at += end.len();
    }

    fn skip_character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.at += 3;
            self.skip_while(|c| c != '\'');
            self.at += 1;
        } else if self.peek(2) == Some('\'') {
            self.at += 3;
        } else {
            self.at += 1;
            self.skip_while(is_word);
        }
    }

    /// Takes a word; `None` when it is the prefix of a literal, which is taken with it.
    fn word(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_while(is_word);
        let word: String = self.chars.get(start..self.at)?.iter().collect();
        let hashes = self
            .chars
            .iter()
            .skip(self.at)
            .take_while(|c| **c == '#')
            .count();
        let quote = self.peek(hashes) == Some('"');
        match word.as_str() {
            "r" | "br" | "cr" if quote => {
                self.skip_raw_string();
                None
            }
            "b" | "c" if quote && hashes == 0 => {
                self.skip_string();
                None
            }
            "b" if self.peek(0) == Some('\'') => {
                self.skip_character_or_lifetime();
                None
            }
            "r" if hashes == 1 => {
                self.at += 1;
                self.word()
            }
            _ => Some(word),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
