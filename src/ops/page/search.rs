//! Looking for machines by what they say of themselves.

use ::http::HeaderValue;
use maud::{Markup, html};

use super::View;
use super::health::grouped;
use super::machines::{self, last};
use super::query::{Wanted, field, read};
use crate::label::{Identity, encode_query};
use crate::observe::Machine;
use crate::ops::reply::Reply;
use crate::snapshot::{Rule, Snapshot};

/// How many machines that were seen are listed.
const MAX_SEEN: usize = 50;

/// How many machines of Assignments are listed.
const MAX_LISTED: usize = 50;

/// The page at `/search?q=…`: labels lead to their explanation, a word to machines that say something like it.
pub(in crate::ops) fn search(view: &View<'_>, query: &str) -> Reply {
    let typed = field(query, "q").unwrap_or_default();
    match read(&typed) {
        Wanted::Nothing => to("/"),
        Wanted::Labels(pairs) => to(&explain(
            pairs.iter().map(|(key, value)| (&**key, &**value)),
        )),
        Wanted::Word(word) => {
            let main = found(view, &word);
            view.page("Search", typed, main).reply()
        }
    }
}

fn to(place: &str) -> Reply {
    HeaderValue::try_from(place).map_or_else(
        |_| Reply::not_found(),
        |place| Reply::see_other(place, None),
    )
}

/// The page that explains a machine which says this.
fn explain<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut place = "/explain?".to_owned();
    encode_query(labels, &mut place);
    place
}

fn found(view: &View<'_>, word: &str) -> Markup {
    let lower = word.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&lower);
    let says = |machine: &Machine| {
        let mut labels = machine.labels.iter();
        labels.any(|(_, value)| has(value))
            || machine.machine.as_deref().is_some_and(has)
            || machine.assignment.as_deref().is_some_and(has)
            || machine.profile.as_deref().is_some_and(has)
    };
    let (seen, in_all) = last(&view.seen(), MAX_SEEN, says);
    let snapshot = view.publication.snapshot.as_deref();
    let (listed, more) = snapshot.map_or_else(Default::default, |one| listed(one, &has));
    html! {
        h1 { "Search" }
        section.panel aria-labelledby="found" {
            h2 #found { "Machines seen that say " bdi.typed { (word) } " " span.total { (grouped(in_all)) } }
            @if seen.is_empty() { p.empty { "None of those that are remembered." } }
            @else { (machines::table(view, &seen, "Machines that were seen")) }
            @if let Some(more @ 1..) = in_all.checked_sub(seen.len()) { p.more { "and " (grouped(more)) " more" } }
        }
        section.panel aria-labelledby="listed" {
            h2 #listed { "Machines in Assignments" }
            @if listed.is_empty() { p.empty { "None." } }
            @else {
                ul.names {
                    @for (rule, name, identities) in &listed {
                        li {
                            a.machine href=(explain(identities.iter().copied())) { (name) }
                            " " span.more { "of " span.name { (rule.name) } }
                        }
                    }
                }
            }
            @if more { p.more { "and more" } }
        }
        section.panel aria-labelledby="as" {
            h2 #as { "What would a machine get that says" }
            ul.names {
                @for key in ["serial", "hostname", "asset"] {
                    li { a href=(explain([(key, word)].into_iter())) { (key) "=" bdi { (word) } } }
                }
            }
        }
    }
}

/// A machine of an Assignment: what it is called, and its identities.
type Listed<'s> = (&'s Rule, &'s str, Vec<(&'static str, &'s str)>);

/// The first machines in Assignments of which a name or an identity is wanted, and whether there are more.
fn listed<'s>(snapshot: &'s Snapshot, has: &impl Fn(&str) -> bool) -> (Vec<Listed<'s>>, bool) {
    let mut found = Vec::new();
    for rule in snapshot.rules() {
        for entry in rule.entries.iter() {
            let mut identities = entry.identities().iter();
            if !has(entry.name()) && !identities.any(|(_, value)| has(value)) {
                continue;
            }
            if found.len() == MAX_LISTED {
                return (found, true);
            }
            let key = |(identity, value): (Identity, &'s str)| (identity.key(), value);
            // One value of a key is what a machine says; a machine with a list of serials has one of them.
            let mut all: Vec<_> = entry.identities().iter().map(key).collect();
            all.dedup_by_key(|(key, _)| *key);
            let first = all.first().map_or("", |(_, value)| value);
            let name = Some(entry.name()).filter(|name| !name.is_empty());
            found.push((rule, name.unwrap_or(first), all));
        }
    }
    (found, false)
}
