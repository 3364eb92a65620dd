//! Machines that were seen lately, and those that nobody assigned.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use maud::{Markup, html};

use super::View;
use super::health::grouped;
use super::place;
use super::suggest;
use super::time::ago;
use crate::label::{Identity, Labels, encode_query};
use crate::observe::{Machine, Seen};
use crate::snapshot::{NoMatch, Snapshot};

/// How many machines are shown as seen lately: what fits some screens, and is read.
const MAX_SEEN: usize = 30;

/// How many machines are shown with an Assignment to copy; each is as long as what it said.
const MAX_UNASSIGNED: usize = 20;

/// How many labels of a machine are shown beside its name.
const MAX_LABELS: usize = 4;

/// The most characters of a label that are shown in a table; an explanation has all of them.
const MAX_CHARS: usize = 48;

/// The machines of the page at `/`.
pub(super) struct Lately {
    /// The last ones, the last one first.
    recent: Vec<Machine>,
    /// The last of those that no Assignment selects now.
    unassigned: Vec<Machine>,
    pub(super) unassigned_in_all: usize,
    pub(super) in_all: usize,
    forgotten: u64,
    /// How many were given each Profile.
    pub(super) by_profile: HashMap<String, usize>,
}

impl Lately {
    pub(super) fn of(view: &View<'_>) -> Self {
        Self::among(&view.seen(), view)
    }

    fn among(seen: &Seen, view: &View<'_>) -> Self {
        let mut by_profile: HashMap<&str, usize> = HashMap::new();
        for machine in seen.named.iter().chain(&seen.others) {
            if let Some(profile) = &machine.profile {
                *by_profile.entry(profile).or_default() += 1;
            }
        }
        let own = |(name, count): (&str, usize)| (name.to_owned(), count);
        let others = seen.others.iter();
        let unassigned: Vec<&Machine> = others.filter(|one| is_unassigned(view, one)).collect();
        Self {
            recent: last(seen, MAX_SEEN, |_| true).0,
            unassigned_in_all: unassigned.len(),
            unassigned: unassigned
                .into_iter()
                .take(MAX_UNASSIGNED)
                .cloned()
                .collect(),
            in_all: seen.named.len() + seen.others.len(),
            forgotten: seen.forgotten,
            by_profile: by_profile.into_iter().map(own).collect(),
        }
    }
}

/// The last machines of which this is true, the last one first, and how many there are in all.
pub(super) fn last(
    seen: &Seen,
    most: usize,
    is_wanted: impl Fn(&Machine) -> bool,
) -> (Vec<Machine>, usize) {
    let all = seen.named.iter().chain(&seen.others);
    let mut wanted: Vec<&Machine> = all.filter(|one| is_wanted(one)).collect();
    let count = wanted.len();
    wanted.sort_by_key(|one| Reverse(one.last_seen));
    (wanted.into_iter().take(most).cloned().collect(), count)
}

/// Whether nobody assigned it when it asked, and nobody has since.
fn is_unassigned(view: &View<'_>, machine: &Machine) -> bool {
    let Some(snapshot) = view.publication.snapshot.as_deref() else {
        return machine.is_unassigned();
    };
    let found = |labels: Labels| matches!(snapshot.find(&labels), Err(NoMatch::Unassigned));
    machine.is_unassigned() && labels(view, machine).is_some_and(found)
}

/// What the machine said of itself.
pub(super) fn labels(view: &View<'_>, machine: &Machine) -> Option<Labels> {
    Labels::parse(&query(machine), &view.sources.fixed_labels).ok()
}

/// The same as a query.
fn query(machine: &Machine) -> String {
    let mut query = String::new();
    let labels = machine.labels.iter();
    encode_query(labels.map(|(key, value)| (&**key, &**value)), &mut query);
    query
}

/// The machines that nobody assigned, each with the Assignment to copy.
pub(super) fn unassigned(view: &View<'_>, lately: &Lately) -> Markup {
    let shown = &lately.unassigned;
    let Some(snapshot) = view.publication.snapshot.as_deref() else {
        return html! {};
    };
    if shown.is_empty() {
        return html! {};
    }
    html! {
        section.panel aria-labelledby="unassigned" {
            h2 #unassigned { "Machines nobody assigned " span.total { (grouped(lately.unassigned_in_all)) } }
            ul.cards {
                @for machine in shown {
                    li data-key={ "unassigned " (key(machine)) } {
                        div.who { (link(machine)) " " (said(machine)) }
                        p.more {
                            "asked " (ago(machine.last_seen, view.now.wall)) ", " (times(machine.requests))
                            ", from " code { (machine.client) }
                        }
                        @if let Some(labels) = labels(view, machine) {
                            (proposal(snapshot, &labels, &format!("yaml {}", key(machine)), false))
                        }
                    }
                }
            }
            @if let Some(more @ 1..) = lately.unassigned_in_all.checked_sub(shown.len()) {
                p.more { "and " (grouped(more)) " more; search, or see " a href="/api/machines" { "/api/machines" } }
            }
        }
    }
}

/// The Assignment to copy.
pub(super) fn proposal(snapshot: &Snapshot, labels: &Labels, key: &str, is_open: bool) -> Markup {
    let Some(yaml) = suggest::assignment(snapshot, labels) else {
        return html! { p.more { "No Profile has a script yet, so there is nothing to assign." } };
    };
    html! {
        details.copy data-key=(key) open[is_open] {
            summary { "Assignment to copy" }
            pre.yaml tabindex="0" aria-label="Assignment as YAML" { (yaml) }
        }
    }
}

/// The machines that were seen lately.
pub(super) fn seen(view: &View<'_>, lately: &Lately) -> Markup {
    html! {
        section.panel aria-labelledby="seen" {
            h2 #seen { "Machines seen " span.total { (grouped(lately.in_all)) } }
            @if lately.recent.is_empty() {
                p.empty {
                    "No machine has asked since the server started. The first one to boot from "
                    code { "/boot.ipxe" } " shows up here."
                }
            } @else {
                (table(view, &lately.recent, "The machines that asked last, and what they got"))
                @if let Some(more @ 1..) = lately.in_all.checked_sub(lately.recent.len()) {
                    p.more {
                        "and " (grouped(more)) " more that asked before; search, or see "
                        a href="/api/machines" { "/api/machines" }
                    }
                }
            }
            @if lately.forgotten > 0 {
                p.more {
                    (grouped(usize::try_from(lately.forgotten).unwrap_or(usize::MAX)))
                    " were forgotten, because others needed their places"
                }
            }
        }
    }
}

/// A table of machines.
pub(super) fn table(view: &View<'_>, machines: &[Machine], caption: &str) -> Markup {
    html! {
        table.machines {
            caption.unseen { (caption) }
            thead {
                tr {
                    th scope="col" { "Machine" }
                    th scope="col" { "Got" }
                    th scope="col" { "When" }
                    th scope="col" { "From" }
                }
            }
            tbody { @for machine in machines { (row(view, machine)) } }
        }
    }
}

fn row(view: &View<'_>, machine: &Machine) -> Markup {
    let class = if machine.status < 400 { "ok" } else { "no" };
    html! {
        tr data-key={ "seen " (key(machine)) } {
            th scope="row" data-label="Machine" { div { (link(machine)) " " (said(machine)) } }
            td data-label="Got" {
                div {
                    span.answer.(class) { (machine.status) " " (machine.reason) }
                    @if let Some(profile) = &machine.profile { " " span.name { (profile) } }
                    @if let Some(config) = machine.config.as_ref().filter(|_| machine.route != "script") {
                        " " span.tag { "config " (cut(config)) }
                    }
                    @if let Some(assignment) = &machine.assignment {
                        div.more {
                            "by " span.name { (assignment) }
                            @if let Some(place) = place::of_assignment(view, assignment) { " " (place) }
                        }
                    }
                }
            }
            td data-label="When" {
                div {
                    (ago(machine.last_seen, view.now.wall))
                    @if machine.requests > 1 { div.more { (times(machine.requests)) } }
                }
            }
            td data-label="From" { code { (machine.client) } }
        }
    }
}

/// The labels that people call a machine by, the best one first.
const NAMES: [&str; 5] = ["hostname", "serial", "mac", "uuid", "asset"];

/// The label that people call this machine by, if its Assignment has no name for it.
fn naming(machine: &Machine) -> Option<&(String, String)> {
    let of = |key: &str| machine.labels.iter().find(|(known, _)| known == key);
    if machine.machine.is_some() {
        return None;
    }
    NAMES.into_iter().find_map(of)
}

/// What people call the machine, leading to why it gets what it gets.
pub(super) fn link(machine: &Machine) -> Markup {
    let label = naming(machine).map(|(_, value)| value);
    let name = machine.machine.as_ref().or(label);
    html! {
        a.machine href={ "/explain?" (query(machine)) } {
            @match name {
                Some(name) => bdi { (cut(name)) },
                None => "says nothing of itself",
            }
        }
    }
}

/// The first of its other labels, those that tell it from others before all.
fn said(machine: &Machine) -> Markup {
    let name = naming(machine);
    let others = machine.labels.iter().filter(|label| Some(*label) != name);
    let more = others.clone().count().checked_sub(MAX_LABELS);
    let shown = others.take(MAX_LABELS);
    html! {
        span.labels {
            @for (key, value) in shown { (label(key, value)) " " }
            @if let Some(more @ 1..) = more {
                span.more { "+" (more) }
            }
        }
    }
}

/// One label.
fn label(key: &str, value: &str) -> Markup {
    html! { span.label { span.key { (cut(key)) } " " bdi { (cut(value)) } } }
}

/// A text that is not longer than a table bears.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or("")),
        None => text.to_owned(),
    }
}

/// What tells a row from others when the page is refreshed.
fn key(machine: &Machine) -> String {
    let mut labels = machine.labels.iter();
    let identity = labels.find(|(key, _)| Identity::from_key(key).is_some());
    identity.map_or_else(
        || machine.client.to_string(),
        |(key, value)| format!("{key}={value}"),
    )
}

fn times(requests: u64) -> String {
    match requests {
        1 => "once".to_owned(),
        count => format!(
            "{} times",
            grouped(usize::try_from(count).unwrap_or(usize::MAX))
        ),
    }
}

/// All labels of an explanation, each key with its values.
pub(super) fn by_key(labels: &Labels) -> BTreeMap<&str, Vec<&str>> {
    let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, _) in labels.iter() {
        by_key
            .entry(key)
            .or_insert_with(|| labels.all(key).collect());
    }
    by_key
}
