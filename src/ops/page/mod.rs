//! The pages for people: `/`, the search, and why a machine gets what it gets.
//!
//! Pages are made of [`maud`]'s markup, which escapes whatever is put into it: a machine whose serial is HTML shows that HTML.
//! [`frame::Page::reply`] alone makes bytes of markup, shows what would be invisible, and sets the policy that lets a browser run
//! nothing but our own script. Every list is as long as its limit says, whatever machines and repositories hold.

mod explained;
mod fleet;
mod form;
mod frame;
mod health;
mod machines;
mod place;
mod query;
mod search;
mod suggest;
mod time;
mod visible;

use ::http::StatusCode;
use maud::html;

use super::Sources;
use super::reply::Reply;
use crate::observe::{Register, Seen};
use crate::publish::{Moment, Outcome, Publication};
use frame::Page;
use health::{Health, Signs};
use machines::Lately;

pub(super) use explained::explained;
pub(super) use form::{Filled, form};
pub(super) use search::search;

/// What pages are made of, at one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) publication: &'a Publication,
    pub(super) sources: &'a Sources,
    pub(super) register: Option<&'a Register>,
    pub(super) now: Moment,
    /// Whether whoever looks has a session that can be ended.
    pub(super) can_leave: bool,
}

impl View<'_> {
    /// All machines that were seen; none where nobody notes them.
    fn seen(&self) -> Seen {
        let seen = self.register.map(|register| register.seen(usize::MAX));
        seen.unwrap_or_default()
    }

    fn health(&self) -> Health {
        let signs = Signs {
            is_draining: (self.sources.is_draining)(),
            max_age: self.sources.ready_max_age,
        };
        Health::of(self.publication, signs, self.now.instant)
    }

    /// A page of this server.
    fn page(&self, title: &str, typed: String, main: maud::Markup) -> Page {
        Page {
            status: StatusCode::OK,
            title: format!("{title} – gitboot"),
            level: self.health().level,
            is_live: false,
            typed: Some(typed),
            can_leave: self.can_leave,
            main,
        }
    }
}

/// The page at `/`.
pub(super) fn front(view: &View<'_>) -> Reply {
    let publication = view.publication;
    let health = view.health();
    let lately = Lately::of(view);
    let last = publication.last_attempt.as_ref();
    let failure = last.and_then(|last| match &last.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Restored | Outcome::Published | Outcome::Refused(_) => None,
    });
    let main = html! {
        (health::banner(view, health, &lately))
        @if let Some(failure) = failure {
            (health::failed(failure, publication.failing_since, view))
        }
        @if let Some(refusal) = publication.refused.as_deref() { (health::refused(refusal)) }
        (machines::unassigned(view, &lately))
        (fleet::by_profile(view, &lately))
        (machines::seen(view, &lately))
    };
    Page {
        is_live: true,
        ..view.page(health.word, String::new(), main)
    }
    .reply()
}
