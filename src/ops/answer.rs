//! From a request to an answer.

use std::path::PathBuf;

use ::http::header::AUTHORIZATION;
use ::http::request::Parts;
use ::http::uri::PathAndQuery;
use ::http::{Method, StatusCode};
use bytes::Bytes;

use super::gate::Gate;
use super::page::{self, Filled, View};
use super::reply::Reply;
use super::route::Route;
use super::{Settings, Sources, explain, file, hook, lists, machines, metrics, status};
use crate::observe::Register;
use crate::publish::{Moment, Publication};

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) body: Body,
}

/// What came behind the head.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it, where it matters.
    Whole(Bytes),
    /// It is longer than anybody's.
    TooLarge,
    /// It broke off, or took too long.
    Broken,
}

/// Where requests are answered.
#[derive(Debug)]
pub(super) struct Desk {
    gate: Gate,
    hook_secret_file: Option<PathBuf>,
    sources: Sources,
    /// Which machines were seen; there is one in a process.
    pub(super) register: Option<Register>,
}

impl Desk {
    pub(super) fn new(settings: &Settings, sources: Sources, register: Option<Register>) -> Self {
        Self {
            gate: Gate::new(settings.address().ip(), settings.token_file.clone()),
            hook_secret_file: settings.hook_secret_file.clone(),
            sources,
            register,
        }
    }

    /// Whether the body of this request changes the answer.
    pub(super) fn wants_body(&self, head: &Parts) -> bool {
        let is_asked_for = self.is_hook(head) || self.is_form(head);
        is_asked_for && head.method == Method::POST && self.gate.is_own(head)
    }

    fn is_hook(&self, head: &Parts) -> bool {
        self.hook_secret_file.is_some() && Route::of(head.uri.path()) == Route::Hook
    }

    /// Whether the form for the token leads here.
    fn is_form(&self, head: &Parts) -> bool {
        self.gate.asks() && Route::of(head.uri.path()) == Route::Front
    }

    pub(super) fn answer(&self, asked: &Asked) -> Reply {
        let head = &asked.head;
        self.answer_whole(asked)
            .headers_alone(head.method == Method::HEAD)
    }

    fn answer_whole(&self, Asked { head, body }: &Asked) -> Reply {
        if !self.gate.is_own(head) {
            let line = "this name is not that of the server\n";
            return Reply::line(StatusCode::FORBIDDEN, line);
        }
        if self.is_hook(head) {
            return self.pushed(head, body);
        }
        let route = Route::of(head.uri.path());
        if route == Route::Hook {
            return Reply::not_found();
        }
        if self.is_form(head) && head.method == Method::POST {
            return self.filled(body);
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let is_form = self.is_form(head);
            let allow = if is_form {
                "GET, HEAD, POST"
            } else {
                "GET, HEAD"
            };
            return Reply::method_not_allowed(allow);
        }
        if route.is_private() && !self.gate.admits(&head.headers) {
            return self.turned_away(route, head);
        }
        let publication = self.sources.current.load();
        let query = head.uri.query().unwrap_or("");
        match route {
            Route::Metrics => metrics::page(&publication, &self.sources, self.register.as_ref()),
            Route::Status => status::document(&publication),
            Route::Profiles => lists::profiles(&publication, query),
            Route::Assignments => lists::assignments(&publication, query),
            Route::Explain => explain::document(&publication, query, &self.sources),
            Route::Machines => machines::document(self.register.as_ref(), query),
            Route::Front => page::front(&self.view(&publication)),
            Route::Explained => page::explained(&self.view(&publication), query),
            Route::Search => page::search(&self.view(&publication), query),
            Route::Hook | Route::Unknown => Reply::not_found(),
        }
    }

    fn view<'a>(&'a self, publication: &'a Publication) -> View<'a> {
        View {
            publication,
            sources: &self.sources,
            register: self.register.as_ref(),
            now: Moment::now(),
            can_leave: self.gate.asks(),
        }
    }

    /// The answer to whoever has not shown the token: a form for people, nothing for all others.
    fn turned_away(&self, route: Route, head: &Parts) -> Reply {
        if head.headers.contains_key(AUTHORIZATION) {
            return Reply::not_found().late();
        }
        if route.is_page() && self.gate.asks() {
            let asked_for = head.uri.path_and_query().map(PathAndQuery::as_str);
            return page::form(asked_for.unwrap_or("/"), false);
        }
        Reply::not_found()
    }

    fn filled(&self, body: &Body) -> Reply {
        let body = match whole(body) {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        Filled::read(body).reply(self.gate.token().as_deref())
    }

    fn pushed(&self, head: &Parts, body: &Body) -> Reply {
        if head.method != Method::POST {
            return Reply::method_not_allowed("POST");
        }
        let body = match whole(body) {
            Ok(body) => body,
            Err(reply) => return *reply,
        };
        let secret = self.hook_secret_file.as_deref().and_then(file::secret);
        if !secret.is_some_and(|secret| hook::is_signed(&secret, &head.headers, body)) {
            let line = "the signature or the token is missing or wrong\n";
            return Reply::line(StatusCode::UNAUTHORIZED, line);
        }
        tracing::debug!("a push was announced: checking the repository now");
        self.sources.poke.ask();
        Reply::line(StatusCode::ACCEPTED, "the repository is checked now\n")
    }
}

/// What was sent, or the answer where that is not all.
fn whole(body: &Body) -> Result<&Bytes, Box<Reply>> {
    match body {
        Body::Whole(body) => Ok(body),
        Body::TooLarge => {
            let line = "the body is too large\n";
            Err(Reply::line(StatusCode::PAYLOAD_TOO_LARGE, line).into())
        }
        Body::Broken => {
            let line = "the body broke off\n";
            Err(Reply::line(StatusCode::REQUEST_TIMEOUT, line).into())
        }
    }
}

/// The answer when making one ended in a fault of ours.
pub(super) fn fault() -> Reply {
    let line = "a fault of the server itself\n";
    Reply::line(StatusCode::INTERNAL_SERVER_ERROR, line)
}
