//! Is it healthy, which revision is served since when, and what is wrong.

use std::time::{Duration, Instant};

use maud::{Markup, html};

use super::View;
use super::machines::Lately;
use super::time::ago;
use crate::ops::status::wall;
use crate::publish::{Failure, Moment, Outcome, Publication, Refusal};
use crate::snapshot::{Counts, Snapshot};
use crate::tree::Revision;

/// How well it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should.
    Good,
    /// It is too early to say.
    Waiting,
    /// Machines get what they should, and somebody should look.
    Attention,
    /// Machines get nothing, or are sent elsewhere.
    Bad,
}

impl Level {
    /// The name of its style.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Attention => "attention",
            Self::Bad => "bad",
        }
    }

    /// Six hex digits, dark enough for a white sign.
    pub(super) fn colour(self) -> &'static str {
        match self {
            Self::Good => "1a7f37",
            Self::Waiting => "57606a",
            Self::Attention => "9a6700",
            Self::Bad => "cf222e",
        }
    }

    /// Its sign, drawn in a square of 16 units: nobody has to tell colours apart.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Good => "M4 8.5l2.7 2.7L12 5.4",
            Self::Waiting => "M8 4.2V8l2.6 1.8",
            Self::Attention => "M8 3.8v5M8 12v.2",
            Self::Bad => "M5 5l6 6M11 5l-6 6",
        }
    }

    /// The sign as a picture.
    pub(super) fn sign(self) -> Markup {
        html! {
            svg.sign viewBox="0 0 16 16" aria-hidden="true" { path d=(self.path()) {} }
        }
    }
}

/// How the server does, in a word and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) level: Level,
    pub(super) word: &'static str,
    pub(super) sentence: &'static str,
}

impl Health {
    /// What there is to say first.
    pub(super) fn of(publication: &Publication, signs: Signs, now: Instant) -> Self {
        let last = publication.last_attempt.as_ref().map(|last| &last.outcome);
        let is_stale = match (signs.max_age, publication.last_good_check) {
            (Some(most), Some(last)) => now.saturating_duration_since(last) > most,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let (level, word, sentence) = match (publication.snapshot.is_some(), last) {
            _ if signs.is_draining => (
                Level::Bad,
                "Ending",
                "The server was told to end; new machines should go to another one.",
            ),
            (false, None | Some(Outcome::Restored | Outcome::Published)) => (
                Level::Waiting,
                "Starting",
                "The repository has not answered yet. Machines wait and ask again.",
            ),
            (false, Some(Outcome::Refused(_))) => (
                Level::Bad,
                "Nothing is served",
                "The repository's revision is refused, and there is none from before.",
            ),
            (false, Some(Outcome::Failed(_))) => (
                Level::Bad,
                "Nothing is served",
                "The repository cannot be read, and nothing is kept from before.",
            ),
            (true, _) if is_stale => (
                Level::Bad,
                "Not ready",
                "The repository has not answered for longer than --ready-max-age allows.",
            ),
            (true, Some(Outcome::Failed(_))) => (
                Level::Attention,
                "Repository away",
                "The repository cannot be read. Machines get what was served before.",
            ),
            (true, Some(Outcome::Restored)) => (
                Level::Waiting,
                "Restarted",
                "Machines get what was served before the restart; the repository has not answered yet.",
            ),
            (true, _) if publication.refused.is_some() => (
                Level::Attention,
                "New revision refused",
                "The repository has a newer revision with errors. Machines get what was served before.",
            ),
            (true, _) => (
                Level::Good,
                "Healthy",
                "Machines get what the repository has.",
            ),
        };
        Self {
            level,
            word,
            sentence,
        }
    }
}

/// What else tells whether the server is well.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    /// It is about to end.
    pub(super) is_draining: bool,
    /// How old the last answer of the repository may be.
    pub(super) max_age: Option<Duration>,
}

/// The top of the page.
pub(super) fn banner(view: &View<'_>, health: Health, lately: &Lately) -> Markup {
    let Publication {
        snapshot,
        published_at,
        last_attempt,
        ..
    } = view.publication;
    let snapshot = snapshot.as_deref();
    let last = last_attempt.as_ref();
    let last_check = last.filter(|last| last.outcome != Outcome::Restored);
    let now = view.now.wall;
    html! {
        section.health.(health.level.class()) aria-labelledby="health" {
            (health.level.sign())
            div {
                h1 #health { (health.word) }
                p { (health.sentence) }
            }
        }
        dl.facts {
            div {
                dt { "Served revision" }
                @match snapshot.map(Snapshot::revision) {
                    Some(revision) => dd { (commit(revision)) },
                    None => dd { "none yet" },
                }
                @if let Some(at) = published_at { dd.more { "since " (ago(at.wall, now)) } }
            }
            div {
                dt { "Repository" }
                @match &view.publication.remote {
                    Some(revision) => dd { (commit(revision)) },
                    None => dd { "not known yet" },
                }
                @if let Some(last) = last_check { dd.more { "checked " (ago(last.at.wall, now)) } }
            }
            (counts(snapshot.map(Snapshot::counts).unwrap_or_default(), view.publication.warnings))
            div.count { dt { a href="#seen" { "Seen" } } dd { (grouped(lately.in_all)) } }
            @if lately.unassigned_in_all > 0 {
                div.count { dt { a href="#unassigned" { "Unassigned" } } dd { (grouped(lately.unassigned_in_all)) } }
            }
        }
    }
}

fn counts(counts: Counts, warnings: usize) -> Markup {
    let Counts {
        profiles,
        assignments,
        machines,
        configs,
    } = counts;
    html! {
        @for (name, count) in [
            ("Profiles", profiles), ("Assignments", assignments), ("Named machines", machines), ("Configs", configs),
        ] {
            div.count { dt { (name) } dd { (grouped(count)) } }
        }
        @if warnings > 0 {
            div.count { dt { "Warnings" } dd { (grouped(warnings)) } dd.more { code { "gitboot validate" } } }
        }
    }
}

/// Why the repository's revision is not served, as on a terminal.
pub(super) fn refused(refusal: &Refusal) -> Markup {
    let Refusal {
        revision,
        errors,
        warnings,
        lines,
        text,
    } = refusal;
    let whole = lines.join("\n");
    let text = if text.is_empty() { &whole } else { text };
    html! {
        section.panel.trouble aria-labelledby="refused" {
            h2 #refused { "Revision " (commit(revision)) " is refused" }
            p {
                (counted(*errors, "error"))
                @if *warnings > 0 { " and " (counted(*warnings, "warning")) }
                ". As " code { "gitboot validate" } " prints it:"
            }
            pre.terminal #diagnostics tabindex="0" aria-label="Diagnostics" { (text) }
        }
    }
}

/// Why the repository cannot be read.
pub(super) fn failed(failure: &Failure, since: Option<Moment>, view: &View<'_>) -> Markup {
    let Failure { class, message } = failure;
    html! {
        section.panel.trouble aria-labelledby="failed" {
            h2 #failed { "The repository cannot be read" }
            dl.pairs {
                dt { "Class" } dd { code { (class) } }
                dt { "Message" } dd { (message) }
                @if let Some(since) = since { dt { "Since" } dd { (ago(since.wall, view.now.wall)) } }
                @if let Some(last) = view.publication.last_good_check {
                    dt { "Last answer" } dd { (ago(wall(last), view.now.wall)) }
                }
            }
        }
    }
}

/// A commit's id, short, with the whole of it behind.
pub(super) fn commit(revision: &Revision) -> Markup {
    html! { code.commit title=(revision.as_str()) { (revision.short()) } }
}

/// `1 error`, `2,000 errors`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A count with a comma before every three digits.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::publish::Publisher;

    fn snapshot(name: &str) -> Snapshot {
        Snapshot::new(Revision::new(name), 0, Vec::new(), [].into(), [].into())
    }

    fn word(publication: &Publication, signs: Signs) -> (Level, &'static str) {
        let health = Health::of(publication, signs, Instant::now());
        (health.level, health.word)
    }

    #[test]
    fn every_state_has_a_word() {
        let none = Signs::default();
        let (mut publisher, _current) = Publisher::new(Duration::ZERO);
        let failure = || {
            let message = "away".to_owned();
            Arc::new(Failure {
                class: "transport",
                message,
            })
        };
        let refusal = || {
            Arc::new(Refusal::whole(
                Revision::new("bad"),
                "error[x]: y".to_owned(),
            ))
        };
        let said = |publisher: &Publisher| word(&publisher.current(), none);
        assert_eq!(said(&publisher), (Level::Waiting, "Starting"));
        publisher.fail(failure(), Moment::now());
        assert_eq!(said(&publisher), (Level::Bad, "Nothing is served"));
        publisher.refuse(refusal(), Moment::now());
        assert_eq!(said(&publisher), (Level::Bad, "Nothing is served"));
        publisher.publish(snapshot("a"), Moment::now());
        assert_eq!(said(&publisher), (Level::Good, "Healthy"));
        publisher.refuse(refusal(), Moment::now());
        assert_eq!(said(&publisher), (Level::Attention, "New revision refused"));
        publisher.fail(failure(), Moment::now());
        assert_eq!(said(&publisher), (Level::Attention, "Repository away"));
        publisher.restore(snapshot("a"), Moment::now(), Moment::now());
        publisher.unchanged(Moment::now());
        publisher.restore(snapshot("a"), Moment::now(), Moment::now());
        assert_eq!(said(&publisher), (Level::Waiting, "Restarted"));
    }

    #[test]
    fn ready_says_no_and_so_does_the_page() {
        let (mut publisher, _current) = Publisher::new(Duration::ZERO);
        publisher.publish(snapshot("a"), Moment::now());
        let ending = Signs {
            is_draining: true,
            ..Signs::default()
        };
        assert_eq!(word(&publisher.current(), ending), (Level::Bad, "Ending"));
        let strict = Signs {
            max_age: Some(Duration::from_mins(1)),
            ..Signs::default()
        };
        assert_eq!(word(&publisher.current(), strict).0, Level::Good);
        let later = Instant::now() + Duration::from_secs(61);
        let health = Health::of(&publisher.current(), strict, later);
        assert_eq!(health.word, "Not ready");
    }

    #[test]
    fn counts_are_grouped() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(count), expected);
        }
    }
}
