//! Why a machine gets what it gets: what `/api/explain` tells, for people.

use ::http::StatusCode;
use maud::{Markup, html};

use super::View;
use super::health::{Level, commit};
use super::machines::{self, by_key, last, proposal};
use super::place;
use crate::explain::{Report, SentConfig};
use crate::label::{Dropped, Identity, LabelError, Labels};
use crate::observe::Machine;
use crate::ops::explain::{asked, unsigned};
use crate::ops::reply::Reply;
use crate::snapshot::{
    Candidate, Explanation, Lost, NoMatch, ProfileCandidate, Snapshot, Tier, Verdict,
};

/// How many machines with these identities are shown as seen.
const MAX_SEEN: usize = 5;

/// How many candidates are shown; those that nearly match are ten at most, by the explanation itself.
const MAX_CANDIDATES: usize = 100;

/// The most bytes of a script that are shown; real ones have some kilobytes.
const MAX_SCRIPT_BYTES: usize = 256 << 10;

/// The page at `/explain?label=value&…`.
pub(in crate::ops) fn explained(view: &View<'_>, query: &str) -> Reply {
    let Some(snapshot) = view.publication.snapshot.as_deref() else {
        let why = "Nothing is published yet, so no machine gets anything.";
        return sorry(view, query, StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let (labels, dropped) = match asked(query, view.sources) {
        Ok(said) => said,
        Err(LabelError::TooMany) => {
            let why = "A machine that says more than 64 things gets 400.";
            return sorry(view, query, StatusCode::BAD_REQUEST, why);
        }
        Err(LabelError::Repeated(_)) => {
            let why =
                "A machine that says two things for one label gets 400; only mac may be repeated.";
            return sorry(view, query, StatusCode::BAD_REQUEST, why);
        }
    };
    let explanation = snapshot.explain(&labels);
    let said = (&labels, &*dropped);
    let report = Report::new(
        snapshot.revision(),
        said,
        &explanation,
        None,
        &view.sources.base,
    );
    let main = html! {
        (verdict(&report, snapshot))
        (seen(view, &labels))
        (told(&labels, &dropped))
        @if let Some(is_open) = asks_for_a_profile(&explanation, &labels) {
            section.panel aria-labelledby="proposal" {
                h2 #proposal { "Give it a Profile of its own" }
                (proposal(snapshot, &labels, "yaml", is_open))
            }
        }
        (candidates(view, snapshot, &report, &explanation))
        (profiles(view, snapshot, &report, &explanation))
        (sent(&report))
    };
    view.page("Explain", typed(query), main).reply()
}

/// Whether somebody may want to assign this machine, and whether that is likely: nobody has, or only a default is for it.
fn asks_for_a_profile(explanation: &Explanation<'_>, labels: &Labels) -> Option<bool> {
    let says_who = |identity: Identity| labels.identities(identity).len() > 0;
    match &explanation.outcome {
        Err(NoMatch::Unassigned) => Some(true),
        Ok(_) if Identity::ALL.into_iter().any(says_who) => {
            let winner = explanation.candidates.first()?;
            (winner.rank.tier == Tier::Default).then_some(false)
        }
        _ => None,
    }
}

/// Why there is no explanation.
fn sorry(view: &View<'_>, query: &str, status: StatusCode, why: &str) -> Reply {
    let main = html! {
        section.health.bad { (Level::Bad.sign()) div { h1 { "No explanation" } p { (why) } } }
    };
    super::Page {
        status,
        ..view.page("Explain", typed(query), main)
    }
    .reply()
}

/// What is in the search field: the query as it can be typed again.
fn typed(query: &str) -> String {
    query.chars().take(4096).collect()
}

fn verdict(report: &Report<'_>, snapshot: &Snapshot) -> Markup {
    let level = match report.outcome() {
        "ok" => Level::Good,
        "unassigned" | "no_script" => Level::Attention,
        _ => Level::Bad,
    };
    html! {
        section.health.(level.class()) aria-labelledby="result" {
            (level.sign())
            div {
                h1 #result { (prose(&report.result())) }
                p { "at revision " (commit(snapshot.revision())) }
            }
        }
    }
}

/// The machines that were seen with one of these identities.
fn seen(view: &View<'_>, labels: &Labels) -> Markup {
    let is_it = |machine: &Machine| {
        let mut said = machine.labels.iter();
        said.any(|(key, value)| {
            Identity::from_key(key).is_some_and(|identity| {
                let mut own = labels.identities(identity);
                own.any(|own| own == value)
            })
        })
    };
    let (seen, _) = last(&view.seen(), MAX_SEEN, is_it);
    html! {
        @if !seen.is_empty() {
            section.panel aria-labelledby="seen" {
                h2 #seen { "Seen" }
                (machines::table(view, &seen, "Machines that were seen with one of these identities"))
            }
        }
    }
}

fn told(labels: &Labels, dropped: &[Dropped]) -> Markup {
    let all = by_key(labels);
    html! {
        section.panel aria-labelledby="labels" {
            h2 #labels { "Labels" }
            @if all.is_empty() && dropped.is_empty() {
                p.empty { "It says nothing of itself." }
            } @else {
                dl.pairs {
                    @for (key, values) in &all {
                        dt { (key) }
                        @for value in values {
                            dd {
                                bdi.value { (value) }
                                @if labels.is_fixed(key) { " " span.tag { "--label" } }
                            }
                        }
                    }
                    @for one in dropped {
                        dt { (one.key) }
                        dd { del { bdi.value { (one.value) } } " " span.more { "does not count: it " (one.reason) } }
                    }
                }
            }
        }
    }
}

fn candidates(
    view: &View<'_>,
    snapshot: &Snapshot,
    report: &Report<'_>,
    explanation: &Explanation<'_>,
) -> Markup {
    let is_near = |one: &&Candidate<'_>| {
        let Verdict::Lost(lost) = &one.verdict else {
            return false;
        };
        !matches!(lost, Lost::Outranked(_) | Lost::Barred)
    };
    let all = || explanation.candidates.iter().take(MAX_CANDIDATES);
    let (near, matching): (Vec<_>, Vec<_>) = all().partition(is_near);
    let left = explanation.candidates.len().saturating_sub(MAX_CANDIDATES);
    let list = |some: &[&Candidate<'_>]| {
        html! { @for one in some { (candidate(view, snapshot, report, one)) } }
    };
    html! {
        section.panel aria-labelledby="candidates" {
            h2 #candidates { "Assignments that match, in rank order" }
            @if matching.is_empty() { p.empty { "None." } } @else { ol.ranked { (list(&matching)) } }
            @if !near.is_empty() {
                h3 { "Those that nearly match" }
                ul.ranked { (list(&near)) }
            }
            @if explanation.more + left > 0 { p.more { "and " (explanation.more + left) " more" } }
        }
    }
}

fn candidate(
    view: &View<'_>,
    snapshot: &Snapshot,
    report: &Report<'_>,
    one: &Candidate<'_>,
) -> Markup {
    let has_won = matches!(one.verdict, Verdict::Won(_));
    html! {
        li.won[has_won] {
            div {
                span.name { (prose(&crate::explain::name(one))) } " "
                @if let Some(at) = &one.place { (place::place(view, snapshot, at)) }
            }
            div.more { (crate::explain::standing(one)) }
            p { (prose(&report.verdict(one))) }
        }
    }
}

fn profiles(
    view: &View<'_>,
    snapshot: &Snapshot,
    report: &Report<'_>,
    explanation: &Explanation<'_>,
) -> Markup {
    let all = &explanation.profiles;
    let one = |one: &ProfileCandidate<'_>| {
        html! {
            li.won[one.is_chosen] {
                div {
                    span.name { (one.profile) } " "
                    @if let Some(at) = one.place { (place::place(view, snapshot, at)) }
                }
                p { (report.suitability(one)) }
            }
        }
    };
    html! {
        @if !all.is_empty() {
            section.panel aria-labelledby="profiles" {
                h2 #profiles { "Profile" }
                ul.ranked { @for profile in all.iter().take(MAX_CANDIDATES) { (one(profile)) } }
            }
        }
    }
}

fn sent(report: &Report<'_>) -> Markup {
    let configs = report.configs();
    html! {
        @if let Some(script) = report.script() {
            section.panel aria-labelledby="script" {
                h2 #script { "Script" }
                pre tabindex="0" aria-label="Script" { (shortened(&unsigned(script))) }
            }
        }
        @if !configs.is_empty() {
            section.panel aria-labelledby="configs" {
                h2 #configs { "Configs" }
                ul.configs { @for one in configs { (config(one)) } }
            }
        }
    }
}

fn config(one: &SentConfig<'_>) -> Markup {
    html! {
        li {
            div {
                span.name { (one.name) } " " span.tag { (one.content_type) }
                @if !one.labels.is_empty() { " " span.more { "uses " (one.labels.join(", ")) } }
            }
            @match &one.known {
                Some((id, url)) => {
                    dl.pairs { dt { "id" } dd { code { (id) } } dt { "URL" } dd { code { (unsigned(url)) } } }
                }
                None => p.more { "Its id and URL come of secrets that are not known here." },
            }
        }
    }
}

/// A text with what stands between backticks as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (number, part) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { bdi { (part) } } } @else { (part) }
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_SCRIPT_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_SCRIPT_BYTES);
    format!("{}\n…", text.get(..end).unwrap_or(""))
}
