//! An explanation for people, made for terminals of 80 columns. Only what must not be broken is longer: scripts, URLs,
//! names.

use std::fmt::Write as _;

use serde_json::Value;

use crate::compile::{Chosen, Source};
use crate::diagnostic::width;
use crate::render::RenderError;
use crate::snapshot::{
    Candidate, FailedKey, Lost, NoMatch, Place, ProfileCandidate, Rank, Step, Verdict,
};

use super::{Report, Sent};

/// The columns of the narrowest terminal that people use.
const COLUMNS: usize = 80;
/// The most columns of a value that are shown; a certificate would bury what stands beside it. JSON has it whole.
const MAX_VALUE_COLUMNS: usize = 200;
/// How many accepted values of a key are named; the rest are counted.
const NAMED_VALUES: usize = 3;

/// What is said where an id is made of secrets, or of a key, that is not known here; in a script, the config's name stands for
/// such an id.
const UNKNOWN_ID: &str =
    "its id and URL come of secrets: give `--secret-values-file` and `--id-key-file` to see them";

impl Report<'_> {
    /// The explanation as text, with a newline at its end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_labels(&mut out);
        wrapped(&mut out, 0, &format!("result: {}", self.result()));
        self.write_candidates(&mut out);
        self.write_profiles(&mut out);
        self.write_values(&mut out);
        if let Some(sent) = &self.sent {
            write_sent(&mut out, sent);
        }
        out
    }

    fn write_labels(&self, out: &mut String) {
        out.push_str("labels\n");
        for (key, _) in self.labels.iter() {
            for value in self.labels.all(key) {
                let _ = writeln!(out, "  {key} = {value}");
            }
        }
        for one in self.dropped {
            let (key, value) = (one.key.escape_debug(), one.value.escape_debug());
            wrapped(
                out,
                2,
                &format!("{key} = \"{value}\": dropped, it {}", one.reason),
            );
        }
        if self.labels.iter().next().is_none() {
            out.push_str("  none\n");
        }
        out.push('\n');
    }

    /// What the machine gets and by which Assignment, or why it gets nothing, in one line.
    #[must_use]
    pub fn result(&self) -> String {
        let sent = match (&self.explanation.outcome, &self.sent) {
            (Err(nothing), _) => return self.nothing(nothing),
            (Ok(_), None) => return self.nothing(&NoMatch::Unassigned),
            (Ok(_), Some(sent)) => sent,
        };
        let matched = sent.matched;
        let winner = self.explanation.candidates.first();
        let by = winner.map_or_else(|| matched.assignment().to_owned(), name);
        let profile = matched.profile();
        match &sent.script {
            Ok(_) => format!("Profile `{profile}`, by Assignment {by}"),
            Err(RenderError::NoScript) => {
                format!("404 no_script: Profile `{profile}`, by Assignment {by}, has no script")
            }
            Err(RenderError::Failed(why)) => format!(
                "500 render_failed: the script of Profile `{profile}`, by Assignment {by}, cannot be rendered: {why}"
            ),
        }
    }

    fn nothing(&self, nothing: &NoMatch<'_>) -> String {
        let why = match nothing {
            NoMatch::Unassigned => "no Assignment selects these labels".to_owned(),
            NoMatch::IdentityConflict { assignment } => format!(
                "one of the `machines` of Assignment `{assignment}` has an identity of this machine, and contradicts \
                 another"
            ),
            NoMatch::NoProfile { assignment } => {
                let suits = |one: &&ProfileCandidate<'_>| one.differing.is_empty();
                match self.explanation.profiles.iter().filter(suits).count() {
                    0 => format!(
                        "Assignment `{assignment}` wins, and none of its Profiles is for this machine"
                    ),
                    left => format!(
                        "Assignment `{assignment}` wins, and nothing that the machine sent tells {left} Profiles apart"
                    ),
                }
            }
        };
        format!("404 {}: {why}", nothing.reason())
    }

    fn write_candidates(&self, out: &mut String) {
        let all = &self.explanation.candidates;
        let is_near = |one: &Candidate<'_>| {
            use Lost::{Contradicted, NotListed, Selectors};
            matches!(
                one.verdict,
                Verdict::Lost(Contradicted(_) | Selectors(_) | NotListed)
            )
        };
        let matching = all.iter().filter(|one| !is_near(one)).count();
        if matching > 0 {
            out.push_str("\nAssignments that match, in rank order\n");
        }
        for (number, one) in all.iter().enumerate() {
            if number == matching {
                out.push_str("\nAssignments that nearly match\n");
            }
            let title = if number < matching {
                format!("{}. {}", number + 1, name(one))
            } else {
                format!("-  {}", name(one))
            };
            wrapped(out, 2, &with_place(&title, one.place.as_ref()));
            wrapped(out, 5, &standing(one));
            wrapped(out, 5, &self.verdict(one));
        }
        if self.explanation.more > 0 {
            let _ = writeln!(out, "  and {} more", self.explanation.more);
        }
    }

    /// Why an Assignment won or lost, as a sentence.
    #[must_use]
    pub fn verdict(&self, one: &Candidate<'_>) -> String {
        let all = &self.explanation.candidates;
        match &one.verdict {
            Verdict::Won(None) => "wins: no other one matches".to_owned(),
            Verdict::Won(Some(step)) => match all.get(1) {
                Some(next) => format!("wins over {}: {}", name(next), told_apart(*step, one, next)),
                None => "wins".to_owned(),
            },
            Verdict::Lost(Lost::Outranked(step)) => match all.first() {
                Some(first) => {
                    format!("loses to {}: {}", name(first), told_apart(*step, first, one))
                }
                None => "loses".to_owned(),
            },
            Verdict::Lost(Lost::Barred) => {
                "loses: a machine that one of the `machines` lists and contradicts gets no class and no default"
                    .to_owned()
            }
            Verdict::Lost(Lost::Contradicted(keys)) => {
                let keys: Vec<String> = keys.iter().map(contradiction).collect();
                format!("contradicted: {}", keys.join("; "))
            }
            Verdict::Lost(Lost::Selectors(keys)) => {
                let keys: Vec<String> = keys.iter().map(failure).collect();
                format!("not selected: {}", keys.join("; "))
            }
            Verdict::Lost(Lost::NotListed) => format!(
                "not listed: its selectors accept this machine, and none of its {} has one of its identities",
                plural(one.rule.entries.len(), "machine")
            ),
        }
    }

    fn write_profiles(&self, out: &mut String) {
        let all = &self.explanation.profiles;
        if all.is_empty() {
            return;
        }
        let choice = self.provenance.and_then(|all| all.choice.as_ref());
        out.push('\n');
        let (title, how) = match choice {
            Some(Chosen {
                labels: Some(labels),
                place,
            }) => {
                let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                let title = format!(
                    "Profiles with {}, as `profileSelectors` asks",
                    labels.join(" ")
                );
                (with_place(&title, Some(place)), None)
            }
            Some(Chosen {
                labels: None,
                place,
            }) => {
                let how = format!("named by `profile` ({})", shown(place));
                ("Profile".to_owned(), Some(how))
            }
            None => ("Profile".to_owned(), None),
        };
        wrapped(out, 0, &title);
        for one in all {
            wrapped(out, 2, &with_place(one.profile, one.place));
            wrapped(
                out,
                5,
                &how.clone().unwrap_or_else(|| self.suitability(one)),
            );
        }
    }

    /// Whether a Profile that the winner may mean is the one, and why.
    #[must_use]
    pub fn suitability(&self, one: &ProfileCandidate<'_>) -> String {
        let label = |(key, value): &(String, String)| {
            let sent: Vec<&str> = self.labels.all(key).collect();
            if sent.is_empty() {
                format!("it is for {key}={value}, and the machine did not send `{key}`")
            } else {
                format!(
                    "it is for {key}={value}, and the machine sent {}",
                    sent.join(", ")
                )
            }
        };
        let reasons: Vec<String> = if one.differing.is_empty() {
            one.requires.iter().map(label).collect()
        } else {
            one.differing.iter().map(|one| label(one)).collect()
        };
        let verdict = match (one.is_chosen, one.differing.is_empty()) {
            (true, _) => "chosen",
            (false, true) => "left over",
            (false, false) => "dropped",
        };
        if reasons.is_empty() {
            verdict.to_owned()
        } else {
            format!("{verdict}: {}", reasons.join("; "))
        }
    }

    fn write_values(&self, out: &mut String) {
        let all = self.provenance.map_or(&[][..], |one| &one.values);
        if all.is_empty() {
            return;
        }
        out.push_str("\nvalues\n");
        for one in all {
            let value = format!("{} = {}", shown_path(&one.path), shown_value(&one.value));
            with_source(out, 2, &value, &one.source);
            for under in &one.under {
                let value = shown_value(&under.value);
                let value = if under.path == one.path {
                    format!("over {value}")
                } else {
                    format!("over {} = {value}", shown_path(&under.path))
                };
                with_source(out, 6, &value, &under.source);
            }
        }
    }
}

fn write_sent(out: &mut String, sent: &Sent<'_>) {
    if let Ok(script) = &sent.script {
        out.push_str("\nscript\n");
        for line in script.lines() {
            let _ = match line {
                "" => writeln!(out),
                line => writeln!(out, "  {line}"),
            };
        }
    }
    if !sent.configs.is_empty() {
        out.push_str("\nconfigs\n");
    }
    for one in &sent.configs {
        let _ = writeln!(out, "  {}", one.name);
        match &one.known {
            Some((id, url)) => {
                let _ = writeln!(out, "     id {id}\n     {url}");
            }
            None => wrapped(out, 5, UNKNOWN_ID),
        }
        let labels = match one.labels.as_slice() {
            [] => String::new(),
            labels => format!(", uses {}", labels.join(", ")),
        };
        let _ = writeln!(out, "     {}{labels}", one.content_type);
    }
}

/// An Assignment and the entry of its `machines`, for the middle of a sentence.
#[must_use]
pub fn name(one: &Candidate<'_>) -> String {
    let assignment = &one.rule.name;
    let Some(place) = one.entry else {
        return format!("`{assignment}`");
    };
    match one.rule.entries.get(place).map(crate::label::Entry::name) {
        Some(name) if !name.is_empty() => format!("`{assignment}`, machine `{name}`"),
        _ => format!("`{assignment}`, machine {}", place + 1),
    }
}

/// The tier, priority and number of keys of an Assignment, and what of the machine it matched.
#[must_use]
pub fn standing(one: &Candidate<'_>) -> String {
    let rule = one.rule;
    let mut text = format!(
        "{}, priority {}, {}",
        rule.tier.as_str(),
        rule.priority,
        plural(rule.keys(), "key")
    );
    let matched: Vec<String> = one
        .matched
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    if !matched.is_empty() {
        let _ = write!(text, "; has {}", matched.join(" "));
    }
    text
}

/// By what one Assignment ranks before another, in the words of section 4 of the contract.
fn told_apart(step: Step, better: &Candidate<'_>, worse: &Candidate<'_>) -> String {
    let (one, other) = (&better.rank, &worse.rank);
    match step {
        Step::Tier => format!("{} before {}", one.tier.as_str(), other.tier.as_str()),
        Step::Priority => format!("priority {} is above {}", one.priority.0, other.priority.0),
        Step::Keys => format!("{} against {}", plural(one.keys.0, "key"), other.keys.0),
        Step::Identity => {
            let key = |rank: &Rank<'_>| rank.strongest().map_or("none", |identity| identity.key());
            format!(
                "matched by {}, a stronger identity than {}",
                key(one),
                key(other)
            )
        }
        Step::MacOrder => format!(
            "its MAC is number {} in the request, the other's number {}",
            one.mac + 1,
            other.mac + 1
        ),
        Step::Entry => "the earlier entry of `machines`".to_owned(),
        Step::Name => format!("`{}` is before `{}` in byte order", one.name, other.name),
    }
}

fn contradiction(one: &FailedKey<'_>) -> String {
    format!(
        "the machine sent {} {}, and the entry says {}",
        one.key,
        one.sent.join(", "),
        wanted(&one.wanted)
    )
}

fn failure(one: &FailedKey<'_>) -> String {
    let wanted = wanted(&one.wanted);
    match one.sent.as_slice() {
        [] => format!(
            "the machine did not send `{}`, which must be {wanted}",
            one.key
        ),
        sent => format!("`{}` is {} and must be {wanted}", one.key, sent.join(", ")),
    }
}

fn wanted(values: &[&str]) -> String {
    let named: Vec<&str> = values.iter().take(NAMED_VALUES).copied().collect();
    match values.len().saturating_sub(NAMED_VALUES) {
        0 => named.join(" or "),
        more => format!("{} or {more} more", named.join(", ")),
    }
}

fn shown(place: &Place) -> String {
    format!("{}:{}", place.path, place.line)
}

fn with_place(title: &str, place: Option<&Place>) -> String {
    match place {
        Some(place) => format!("{title} ({})", shown(place)),
        None => title.to_owned(),
    }
}

/// A value and its source: on one line if they fit, else one below the other.
fn with_source(out: &mut String, indent: usize, value: &str, source: &Source) {
    let source = format!("{}, {}", shown(&source.place), source.layer.as_str());
    let blank = " ".repeat(indent);
    let _ = if indent + width(value) + 2 + width(&source) + 2 <= COLUMNS {
        writeln!(out, "{blank}{value}  ({source})")
    } else {
        writeln!(out, "{blank}{value}\n{blank}    ({source})")
    };
}

/// Keys between dots; one that a dot or a blank would make ambiguous as JSON.
fn shown_path(path: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let keys = path.iter().map(|key| {
        if !key.is_empty() && key.chars().all(is_plain) {
            key.clone()
        } else {
            Value::from(key.as_str()).to_string()
        }
    });
    keys.collect::<Vec<_>>().join(".")
}

/// A value as JSON on one line, cut where it is long.
fn shown_value(value: &Value) -> String {
    let text = value.to_string();
    let mut columns = 0;
    let end = text.char_indices().find(|(_, c)| {
        columns += width(c.encode_utf8(&mut [0; 4]));
        columns > MAX_VALUE_COLUMNS
    });
    match end {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or(""), text.len()),
        None => text,
    }
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Writes a text in lines that fit, those after the first one indented by 3 more.
fn wrapped(out: &mut String, indent: usize, text: &str) {
    let mut column = indent;
    out.push_str(&" ".repeat(indent));
    for (number, word) in text.split(' ').enumerate() {
        let columns = width(word);
        if number > 0 {
            if column + 1 + columns > COLUMNS {
                out.push('\n');
                out.push_str(&" ".repeat(indent + 3));
                column = indent + 3;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += columns;
    }
    out.push('\n');
}
