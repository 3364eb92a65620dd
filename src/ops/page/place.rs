//! Where things stand in the repository, as links where it can be read in a browser.

use maud::{Markup, html};

use super::View;
use crate::snapshot::{Candidate, ListedProfile, Snapshot};

/// `assignments/lab.yaml:12`, which leads there where somebody has said how.
pub(super) fn place(view: &View<'_>, snapshot: &Snapshot, path: &str, line: usize) -> Markup {
    let text = format!("{path}:{line}");
    let revision = snapshot.revision().as_str();
    let url = view.sources.source_url.as_ref();
    html! {
        @match url.map(|url| url.of(revision, path, line)) {
            Some(url) => a.place href=(url) rel="noreferrer" { (text) },
            None => span.place { (text) },
        }
    }
}

/// Where an Assignment stands, if it is there.
pub(super) fn of_assignment(view: &View<'_>, name: &str) -> Option<Markup> {
    let snapshot = view.publication.snapshot.as_deref()?;
    let rules = snapshot.rules();
    let _number = rules.binary_search_by(|rule| (*rule.name).cmp(name)).ok()?;
    None
}

/// Where a Profile stands.
pub(super) fn of_profile(view: &View<'_>, snapshot: &Snapshot, profile: &ListedProfile) -> Markup {
    place(view, snapshot, &profile.path, 1)
}

/// Where the Profile of this name stands, if it is there.
pub(super) fn of_profile_named(
    view: &View<'_>,
    snapshot: &Snapshot,
    name: &str,
) -> Option<Markup> {
    let all = snapshot.listed_profiles();
    let number = all.binary_search_by(|one| (*one.name).cmp(name)).ok()?;
    Some(of_profile(view, snapshot, all.get(number)?))
}

/// Where a candidate stands: its entry in `machines`, else the Assignment.
pub(super) fn of_candidate(
    view: &View<'_>,
    _snapshot: &Snapshot,
    one: &Candidate<'_>,
) -> Option<Markup> {
    of_assignment(view, &one.rule.name)
}
