//! The fleet by Profile.

use std::collections::HashMap;

use maud::{Markup, html};

use super::View;
use super::health::grouped;
use super::machines::Lately;
use super::place;
use crate::snapshot::{ListedProfile, Rule, Snapshot};

/// How many Profiles are shown: more than most sites have, and some screenfuls.
const MAX_PROFILES: usize = 50;

/// How many Assignments of one Profile are named.
const MAX_NAMED: usize = 20;

/// How many Assignments are named on the whole page.
const MAX_NAMED_IN_ALL: usize = 400;

/// Who uses a Profile.
#[derive(Default)]
struct Use<'s> {
    /// The first Assignments, by name.
    named: Vec<&'s Rule>,
    assignments: usize,
    machines: usize,
}

/// A table of all Profiles with their Assignments and machines.
pub(super) fn by_profile(view: &View<'_>, lately: &Lately) -> Markup {
    let Some(snapshot) = view.publication.snapshot.as_deref() else {
        return html! {};
    };
    let all = snapshot.listed_profiles();
    let uses = uses(snapshot);
    let mut left = MAX_NAMED_IN_ALL;
    html! {
        section.panel aria-labelledby="fleet" {
            h2 #fleet { "Fleet by Profile" }
            @if all.is_empty() {
                p.empty { "No Profile is served." }
            } @else {
                table.fleet {
                    caption.unseen { "Profiles with how many Assignments and machines use them" }
                    thead {
                        tr {
                            th scope="col" { "Profile" }
                            th scope="col" { "Assignments" }
                            th.number scope="col" { "Named machines" }
                            th.number scope="col" { "Seen" }
                        }
                    }
                    tbody {
                        @for profile in all.iter().take(MAX_PROFILES) {
                            (row(view, profile, uses.get(profile.name.as_str()), lately, &mut left))
                        }
                    }
                }
                @if let Some(more @ 1..) = all.len().checked_sub(MAX_PROFILES) {
                    p.more { "and " (grouped(more)) " more: " a href="/api/profiles" { "/api/profiles" } }
                }
            }
        }
    }
}

fn row(
    view: &View<'_>,
    profile: &ListedProfile,
    used: Option<&Use<'_>>,
    lately: &Lately,
    left: &mut usize,
) -> Markup {
    let none = Use::default();
    let Use {
        named,
        assignments,
        machines,
    } = used.unwrap_or(&none);
    let shown = named.len().min(*left);
    *left -= shown;
    let seen = lately.by_profile.get(&profile.name).copied().unwrap_or(0);
    html! {
        tr data-key={ "profile " (profile.name) } {
            th scope="row" data-label="Profile" {
                span.name { (profile.name) }
                @if let Some(place) = place::of_profile(view, &profile.name) { " " (place) }
            }
            td data-label="Assignments" {
                @if shown == 0 {
                    (grouped(*assignments))
                } @else {
                    details data-key={ "assignments of " (profile.name) } {
                        summary { (grouped(*assignments)) }
                        ul.names {
                            @for rule in named.iter().take(shown) {
                                li {
                                    span.name { (rule.name) } " "
                                    span.tag { (rule.tier.as_str()) }
                                    @if let Some(place) = place::of_assignment(view, &rule.name) { " " (place) }
                                }
                            }
                            @if let Some(more @ 1..) = assignments.checked_sub(shown) {
                                li.more {
                                    "and " (grouped(more)) " more: "
                                    a href="/api/assignments" { "/api/assignments" }
                                }
                            }
                        }
                    }
                }
            }
            td.number data-label="Named" { (grouped(*machines)) }
            td.number data-label="Seen" { (grouped(seen)) }
        }
    }
}

fn uses(snapshot: &Snapshot) -> HashMap<&str, Use<'_>> {
    let mut uses: HashMap<&str, Use<'_>> = HashMap::new();
    for rule in snapshot.rules() {
        for choice in &rule.choices {
            let one = uses.entry(&choice.binding.profile).or_default();
            one.assignments += 1;
            one.machines += rule.entries.len();
            if one.named.len() < MAX_NAMED {
                one.named.push(rule);
            }
        }
    }
    uses
}
