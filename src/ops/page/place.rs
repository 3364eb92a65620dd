//! Where things stand in the repository, as links where it can be read in a browser.

use maud::{Markup, html};

use super::View;
use crate::snapshot::{Place, Snapshot};

/// `assignments/lab.yaml:12`, which leads there where somebody has said how.
pub(super) fn place(view: &View<'_>, snapshot: &Snapshot, place: &Place) -> Markup {
    let Place { path, line } = place;
    let text = format!("{path}:{line}");
    let revision = snapshot.revision().as_str();
    let url = view.sources.source_url.as_ref();
    html! {
        @match url.map(|url| url.of(revision, path.as_str(), *line)) {
            Some(url) => a.place href=(url) rel="noreferrer" { (text) },
            None => span.place { (text) },
        }
    }
}

/// Where an Assignment stands, if it is there.
pub(super) fn of_assignment(view: &View<'_>, name: &str) -> Option<Markup> {
    let snapshot = view.publication.snapshot.as_deref()?;
    let rules = snapshot.rules();
    let number = rules.binary_search_by(|rule| (*rule.name).cmp(name)).ok()?;
    Some(place(view, snapshot, &snapshot.place(number, None)?))
}

/// Where the Profile of this name stands, if it is there.
pub(super) fn of_profile(view: &View<'_>, name: &str) -> Option<Markup> {
    let snapshot = view.publication.snapshot.as_deref()?;
    Some(place(view, snapshot, snapshot.profile_place(name)?))
}
