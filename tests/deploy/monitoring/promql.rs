//! As much of PromQL as it takes to know which metrics and labels an expression uses.

/// A series that is selected, with the labels that its matchers name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Label, and the text that it is matched with.
    pub(super) matchers: Vec<(String, String)>,
}

/// What an expression uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) selectors: Vec<Selector>,
    /// The labels of `by`, `on` and the like.
    pub(super) grouped: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    /// A number or a duration.
    Number,
    Sign(char),
}

/// The words that are followed by a list of labels.
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// The words that are neither metrics nor functions.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];

/// What an expression uses. `promtool` says whether it is one.
pub(super) fn uses(expression: &str) -> Uses {
    let tokens = tokens(expression);
    let mut uses = Uses::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        let next = tokens.get(at);
        if GROUPING.contains(&word.as_str()) {
            let list = tokens[at..].iter();
            for token in list.take_while(|token| **token != Token::Sign(')')) {
                if let Token::Word(label) = token {
                    uses.grouped.push(label.clone());
                }
                at += 1;
            }
        } else if is_call(next) || OPERATORS.contains(&word.as_str()) {
            // A function, or an aggregation whose labels come next.
        } else {
            let mut selector = Selector {
                metric: word.clone(),
                ..Selector::default()
            };
            if next == Some(&Token::Sign('{')) {
                while tokens[at] != Token::Sign('}') {
                    if let (Token::Word(label), Some(Token::Text(text))) =
                        (&tokens[at], text_after(&tokens[at..]))
                    {
                        selector.matchers.push((label.clone(), text.clone()));
                    }
                    at += 1;
                }
            }
            uses.selectors.push(selector);
        }
    }
    uses
}

/// Whether what is before this is a function, or an aggregation, whose labels may come first.
fn is_call(next: Option<&Token>) -> bool {
    match next {
        Some(Token::Sign(sign)) => *sign == '(',
        Some(Token::Word(word)) => ["by", "without"].contains(&word.as_str()),
        _ => false,
    }
}

fn text_after(tokens: &[Token]) -> Option<&Token> {
    tokens.iter().find(|token| matches!(token, Token::Text(_)))
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            'a'..='z' | 'A'..='Z' | '_' => {
                let mut word = c.to_string();
                while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            '0'..='9' => {
                while rest.next_if(|c| c.is_alphanumeric() || *c == '.').is_some() {}
                tokens.push(Token::Number);
            }
            '"' | '\'' => {
                let mut text = String::new();
                while let Some(next) = rest.next_if(|next| *next != c) {
                    assert_ne!(next, '\\', "escapes are not read: {expression}");
                    text.push(next);
                }
                rest.next();
                tokens.push(Token::Text(text));
            }
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}

#[test]
fn expressions_are_read() {
    let read = uses(
        "sum by (job, le) (rate(a_bucket{code=~\"5..\", route!=\"x\"}[5m] offset 1h))\n\
         / on (job) group_left (b) other_total unless c > 0.5",
    );
    let metrics: Vec<_> = read
        .selectors
        .iter()
        .map(|one| one.metric.as_str())
        .collect();
    assert_eq!(metrics, ["a_bucket", "other_total", "c"]);
    assert_eq!(read.grouped, ["job", "le", "job", "b"]);
    let matchers = [("code", "5.."), ("route", "x")];
    let matchers = matchers.map(|(label, text)| (label.to_owned(), text.to_owned()));
    assert_eq!(read.selectors[0].matchers, matchers);
}
