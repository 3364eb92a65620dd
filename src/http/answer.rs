//! From a request and a publication to an answer: pure, so that it is tested without a socket.

mod certified;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::http::{Method, Response, StatusCode};
use bytes::Bytes;

use super::Settings;
use super::access::ClientAddress;
use super::host::authority_of;
use super::reply::{Record, Reply};
use super::request::Asked;
use super::route::Route;
use crate::id::{BodyDigest, ConfigId, IdKey};
use crate::label::{LabelError, Labels};
use crate::observe::otlp::Tracer;
use crate::observe::{self, Answered, Requested};
use crate::publish::{Absence, Publication};
use crate::render::{self, BaseUrl, RenderError, SignedQuery};
use crate::snapshot::{Config, Match, NoMatch};
use crate::tree::Revision;
use certified::uncertified;

/// The longest request target, in bytes: iPXE sends any length, and 64 labels of 256 bytes fit.
const MAX_TARGET_BYTES: usize = 16 << 10;

/// The name under which a Profile's script stands among its configs in the boot API.
const SCRIPT_NAME: &str = "boot.ipxe";

/// After how many seconds clients come back meanwhile.
const STARTING_RETRY_SECONDS: u64 = 5;

/// After how many seconds clients come back that asked for an id of which this server knows nothing yet.
const UNCHECKED_RETRY_SECONDS: u64 = 1;

/// After how many seconds clients come back when another replica may know the id that this one has missed: a load
/// balancer leads them there by and by.
const MISSED_RETRY_SECONDS: u64 = 2;

/// What happened to a request before it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// When it came.
    pub(super) arrived: Instant,
    /// Whether the remote was checked since then, where the request asks for an id that nobody here knows.
    pub(super) is_checked: bool,
}

/// Whether the request can be answered from what is published. It cannot when it asks for an id that nobody here knows.
pub(super) fn is_known(asked: &Asked<'_>, publication: &Publication, settings: &Settings) -> bool {
    let route = Route::of(asked.path);
    let (Route::Config(Some(id)) | Route::ConfigOfDir { id: Some(id), .. }) = route else {
        return true;
    };
    let now = Instant::now();
    let request = Request {
        asked,
        publication,
        settings,
        now,
        is_checked: false,
    };
    publication.snapshot.is_none()
        || publication.config(id, now).is_some()
        || publication.config_dir(id, now).is_some()
        || request.refuse(&route).is_some()
        || request.base().is_none()
}

/// Answers a request and logs the answer if it is one that matters to a machine.
pub(super) fn answer(
    asked: &Asked<'_>,
    publication: &Publication,
    settings: &Settings,
    look: Look,
) -> Response<Bytes> {
    let now = Instant::now();
    let route = Route::of(asked.path);
    let request = Request {
        asked,
        publication,
        settings,
        now,
        is_checked: look.is_checked,
    };
    let (reply, record) = request.answer(&route);
    let name = match &route {
        // A machine that is refused gets no further than this, so somebody has to be told.
        Route::BootScript if reply.status() == StatusCode::FORBIDDEN => Some("boot_script"),
        route => route.logged_as(),
    };
    if record.is_ambiguous {
        observe::metrics().matched_ambiguously();
    }
    let status = reply.status().as_u16();
    let took = look.arrived.elapsed();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if let Some(tracer) = observe::tracer() {
        trace(tracer, asked, &route, (status, &record), took);
    }
    match name {
        Some(name) => observe::answered(&Answered {
            route: name,
            client: asked.client.address(),
            labels: record.labels.as_ref(),
            named: record.named,
            machine: record.machine,
            assignment: record.assignment,
            profile: record.profile,
            config: record.config,
            revision: record.revision,
            status,
            reason: record.reason,
            detail: record.detail.as_deref(),
            micros,
        }),
        None => observe::counted(route.name(), status, record.reason, micros),
    }
    reply.into_response(asked.method == Method::HEAD)
}

/// Traces an answer, where somebody wants that, and monitoring did not ask.
fn trace(
    tracer: &Tracer,
    asked: &Asked<'_>,
    route: &Route<'_>,
    (status, record): (u16, &Record<'_>),
    took: Duration,
) {
    if matches!(route, Route::Health | Route::Ready) {
        return;
    }
    let mut parents = asked.headers.get_all("traceparent").iter();
    // More than one is none (W3C Trace Context, section 3.2.1).
    let parent = parents.next().filter(|_| parents.next().is_none());
    tracer.requested(&Requested {
        method: asked.method.as_str(),
        route: route.template(),
        scheme: asked.arrival.scheme,
        parent: parent.and_then(|parent| parent.to_str().ok()),
        client: asked.client.address(),
        status,
        reason: record.reason,
        machine: record.machine,
        assignment: record.assignment,
        profile: record.profile,
        config: record.config,
        revision: record.revision,
        took,
    });
}

/// The answer when making one ended in a fault of ours.
pub(super) fn fault(asked: &Asked<'_>) -> Response<Bytes> {
    let reply = internal_error();
    let route = Route::of(asked.path);
    let (status, reason, micros) = (reply.status().as_u16(), "fault", 0);
    match route.logged_as() {
        // Whatever is known of the machine was lost with the fault.
        Some(name) => observe::answered(&Answered {
            route: name,
            client: asked.client.address(),
            labels: None,
            named: None,
            machine: None,
            assignment: None,
            profile: None,
            config: None,
            revision: None,
            status,
            reason,
            detail: None,
            micros,
        }),
        None => observe::counted(route.name(), status, reason, micros),
    }
    reply.into_response(asked.method == Method::HEAD)
}

/// What the labels in a config's URL are signed with, and which: those of the config, or of the whole directory.
#[derive(Clone, Copy)]
struct Seal<'s> {
    id: ConfigId,
    labels: &'s BTreeSet<String>,
    key: Option<&'s IdKey>,
}

type Answer<'p> = (Reply, Record<'p>);

/// Everything that one answer is made of.
#[derive(Clone, Copy)]
struct Request<'p> {
    asked: &'p Asked<'p>,
    publication: &'p Publication,
    settings: &'p Settings,
    now: Instant,
    /// See [`Look`].
    is_checked: bool,
}

impl<'p> Request<'p> {
    fn answer(self, route: &Route<'_>) -> Answer<'p> {
        if let Some(refused) = self.refuse(route) {
            return refused;
        }
        let Some(base) = self.base() else {
            let reply = Reply::line(StatusCode::BAD_REQUEST, "bad host\n");
            return (reply, Record::because("bad_host"));
        };
        match route {
            Route::BootScript => (self.boot_script(), Record::because("ok")),
            Route::Script => self.script(None, &base),
            Route::ScriptOfMac(Some(mac)) if self.is_of_another(mac) => not_found("other_machine"),
            Route::ScriptOfMac(Some(mac)) => self.script(Some(mac), &base),
            Route::ScriptOfMac(None) => not_found("malformed_mac"),
            Route::Config(Some(id)) => self.config(*id, &base),
            Route::ConfigOfDir {
                id: Some(id),
                labels,
                name,
            } => self.config_of_dir(*id, labels, name, &base),
            Route::Config(None) | Route::ConfigOfDir { id: None, .. } => {
                not_found("malformed_uuid")
            }
            Route::BootApi { mac, name } if self.settings.boot_api => {
                self.boot_api(mac.as_deref(), name, &base)
            }
            Route::Health => (
                Reply::line(StatusCode::OK, "ok\n").uncached(),
                Record::because("ok"),
            ),
            Route::Ready => self.ready(),
            Route::BootApi { .. } | Route::Unknown => not_found("unknown_route"),
        }
    }

    /// What this route does not take. What is said of everybody comes first, so that it tells nobody anything.
    fn refuse(self, route: &Route<'_>) -> Option<Answer<'p>> {
        if self.asked.target_bytes > MAX_TARGET_BYTES {
            let reply = Reply::line(StatusCode::URI_TOO_LONG, "the request target is too long\n");
            return Some((reply, Record::because("target_too_long")));
        }
        if !matches!(*self.asked.method, Method::GET | Method::HEAD) {
            return Some((Reply::method_not_allowed(), Record::because("method")));
        }
        if self.asked.header_bytes() > self.settings.max_header_bytes {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            let reply = Reply::line(status, "the header is too large\n");
            return Some((reply, Record::because("header_too_large")));
        }
        let is_open = matches!(route, Route::Health | Route::Ready);
        if !is_open && !self.settings.access.admits(self.asked.client) {
            return Some(forbidden(self.asked.client));
        }
        let is_for_all = matches!(
            route,
            Route::BootScript | Route::Config(_) | Route::ConfigOfDir { .. }
        );
        self.shortcoming()
            .filter(|_| !is_open && !is_for_all)
            .map(uncertified)
    }

    /// What URLs start with; `None` for a request without a usable host.
    fn base(self) -> Option<BaseUrl> {
        let (asked, arrival) = (self.asked, self.asked.arrival);
        let authority = authority_of(asked.version, asked.authority, asked.headers, arrival.local)?;
        let external = self.settings.external_url.clone();
        Some(external.unwrap_or_else(|| BaseUrl::of_request(arrival.scheme, &authority)))
    }

    /// The answer as long as nothing is published.
    fn starting(self, record: &mut Record<'_>) -> Reply {
        record.reason = "starting";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let reply = Reply::line(status, "nothing is published yet\n").uncached();
        if self.now < self.settings.starting_until {
            reply.retry_after(STARTING_RETRY_SECONDS)
        } else {
            reply
        }
    }

    /// The first script: the repository's own, where it has one, else the built-in one.
    fn boot_script(self) -> Reply {
        let snapshot = self.publication.snapshot.as_deref();
        match snapshot.and_then(|snapshot| Some((snapshot.boot_script()?, snapshot.revision()))) {
            Some((body, revision)) => Reply::script(body.clone()).of(revision),
            None => Reply::script(self.settings.boot_script.clone()),
        }
    }

    fn script(self, mac: Option<&str>, base: &BaseUrl) -> Answer<'p> {
        let mut record = Record::default();
        let reply = match self.labels(self.asked.query, mac) {
            Ok(labels) => {
                let reply = self.script_for(&labels, base, &mut record);
                record.labels = Some(labels);
                reply
            }
            Err(error) => bad_labels(&error, &mut record),
        };
        (reply.uncached(), record)
    }

    fn script_for(self, labels: &Labels, base: &BaseUrl, record: &mut Record<'p>) -> Reply {
        let Some(snapshot) = self.publication.snapshot.as_deref() else {
            return self.starting(record);
        };
        record.revision = Some(snapshot.revision().as_str());
        let reply = match snapshot.find(labels) {
            Ok(matched) => script(&matched, labels, base, record),
            Err(none) => unassigned(none, record),
        };
        reply.of(snapshot.revision())
    }

    fn labels(self, query: &str, mac: Option<&str>) -> Result<Labels, LabelError> {
        let fixed = &self.settings.fixed_labels;
        match (self.proven(), mac) {
            (Some(proven), _) => Labels::parse_proven(query, proven, fixed),
            (None, Some(mac)) => Labels::parse_with_mac(query, mac, fixed),
            (None, None) => Labels::parse(query, fixed),
        }
    }

    fn config(self, id: ConfigId, base: &BaseUrl) -> Answer<'p> {
        match self.publication.config(id, self.now) {
            Some((config, revision)) => {
                let seal = Seal {
                    id,
                    labels: &config.labels,
                    key: config.signer.as_ref(),
                };
                self.known_config(config, revision, (self.asked.query, seal), base)
            }
            None => self.unknown_config(id),
        }
    }

    fn config_of_dir(self, id: ConfigId, labels: &str, name: &str, base: &BaseUrl) -> Answer<'p> {
        let dir = self.publication.config_dir(id, self.now);
        let found = dir.and_then(|(dir, revision)| Some((dir, dir.configs.get(name)?, revision)));
        let Some((dir, config, revision)) = found else {
            return self.unknown_config(id);
        };
        let query = match (labels, self.asked.query) {
            ("", query) => query.to_owned(),
            (labels, "") => labels.to_owned(),
            (labels, query) => format!("{labels}&{query}"),
        };
        let seal = Seal {
            id,
            labels: &dir.labels,
            key: dir.signer.as_ref(),
        };
        self.known_config(config, revision, (&query, seal), base)
    }

    /// The answer when no config has this id. 404 is final to most clients, so it has to be certain.
    fn unknown_config(self, id: ConfigId) -> Answer<'p> {
        let Some(snapshot) = self.publication.snapshot.as_deref() else {
            let mut record = Record::default();
            return (self.starting(&mut record), record);
        };
        // A directory has all its configs from the beginning, and none is one itself.
        let is_of_other_kind = self.publication.config(id, self.now).is_some()
            || self.publication.config_dir(id, self.now).is_some();
        let retry = match self.publication.absence(self.now) {
            _ if is_of_other_kind => None,
            Absence::Gone => None,
            Absence::Known if self.is_checked => None,
            Absence::Missed if self.is_checked => Some(MISSED_RETRY_SECONDS),
            Absence::Away | Absence::Known | Absence::Missed => Some(UNCHECKED_RETRY_SECONDS),
        };
        let (reply, mut record) = match retry {
            None => not_found("unknown_config"),
            Some(seconds) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let reply = Reply::line(status, "this config is not known here yet\n");
                let reply = reply.uncached().retry_after(seconds);
                (reply, Record::because("not_known_yet"))
            }
        };
        record.revision = Some(snapshot.revision().as_str());
        (reply.of(snapshot.revision()), record)
    }

    fn known_config(
        self,
        config: &'p Config,
        revision: &'p Revision,
        (query, seal): (&str, Seal<'_>),
        base: &BaseUrl,
    ) -> Answer<'p> {
        let mut record = Record {
            config: Some(config.name.as_str()),
            revision: Some(revision.as_str()),
            ..Record::default()
        };
        let signed = seal.key.map(|_| SignedQuery::of(query));
        let query = signed.as_ref().map_or(query, |signed| &signed.query);
        let labels = match self.labels(query, None) {
            Ok(labels) => labels,
            Err(error) => return (bad_labels(&error, &mut record).of(revision), record),
        };
        let is_signed = |signed: SignedQuery| {
            let key = seal.key?;
            Some(signed.is_signed(key, seal.id, seal.labels, &labels))
        };
        // A signature says that this URL was handed out, to whomever it was meant for; without one, labels are claims.
        let refused = match signed.and_then(is_signed) {
            Some(true) => None,
            Some(false) => Some(bad_signature()),
            None => self
                .is_unproven(config, &labels)
                .then(|| uncertified("unproven_labels")),
        };
        if let Some((reply, refused)) = refused {
            record.reason = refused.reason;
            record.labels = Some(labels);
            return (reply.of(revision), record);
        }
        let reply = match render::config(config, &labels, base) {
            Ok(body) => self.config_body(config, body, &mut record),
            Err(error) => failed(&error, &mut record),
        };
        record.labels = Some(labels);
        (reply.of(revision), record)
    }

    fn config_body(self, config: &Config, body: Bytes, record: &mut Record<'_>) -> Reply {
        let says_host = config.prints_base_url && self.settings.external_url.is_none();
        let cacheable = config.labels.is_empty() && !says_host;
        let digest = config.digest().unwrap_or_else(|| BodyDigest::of(&body));
        let headers = self.asked.headers;
        let reply = Reply::config(&config.content_type, body, digest, cacheable, headers);
        record.reason = if reply.status() == StatusCode::NOT_MODIFIED {
            "not_modified"
        } else {
            "ok"
        };
        reply
    }

    /// Ironic's boot configuration API. Whatever goes wrong gives one and the same 404, so that nobody learns which MACs
    /// exist; the log knows the reason.
    fn boot_api(self, mac: Option<&str>, name: &str, base: &BaseUrl) -> Answer<'p> {
        let mut record = Record::default();
        let labels = self.labels(self.asked.query, mac);
        let Some(snapshot) = self.publication.snapshot.as_deref() else {
            let reply = self.starting(&mut record);
            record.labels = labels.ok();
            return (reply, record);
        };
        record.revision = Some(snapshot.revision().as_str());
        let reply = match (mac, labels) {
            (None, _) => {
                record.reason = "malformed_mac";
                None
            }
            (Some(mac), _) if self.is_of_another(mac) => {
                record.reason = "other_machine";
                None
            }
            (_, Err(error)) => Some(bad_labels(&error, &mut record)),
            (_, Ok(labels)) => {
                let reply = match snapshot.find(&labels) {
                    Ok(matched) => self.named(&matched, name, &labels, base, &mut record),
                    Err(none) => Some(unassigned(none, &mut record)),
                };
                record.labels = Some(labels);
                reply
            }
        };
        let is_good =
            |reply: &Reply| matches!(reply.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
        let reply = reply
            .filter(is_good)
            .unwrap_or_else(|| Reply::line(StatusCode::NOT_FOUND, "not found\n"));
        (reply.uncached().of(snapshot.revision()), record)
    }

    /// The script or the config of this name.
    fn named(
        self,
        matched: &Match<'p>,
        name: &str,
        labels: &Labels,
        base: &BaseUrl,
        record: &mut Record<'p>,
    ) -> Option<Reply> {
        if name == SCRIPT_NAME {
            return Some(script(matched, labels, base, record));
        }
        record.matched(matched, labels);
        let Some(config) = matched.config(name) else {
            record.reason = "unknown_config";
            return None;
        };
        record.config = matched.config_name(name);
        match render::config(config, labels, base) {
            Ok(body) => Some(self.config_body(config, body, record)),
            Err(error) => Some(failed(&error, record)),
        }
    }

    fn ready(self) -> Answer<'p> {
        let last_good = self.publication.last_good_check;
        let stale = match (self.settings.ready_max_age, last_good) {
            (Some(limit), Some(at)) => self.now.saturating_duration_since(at) > limit,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let (status, line) = if self.settings.draining.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else if self.publication.snapshot.is_none() {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "nothing is published yet\n",
            )
        } else if stale {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the repository has not been checked for too long\n",
            )
        } else {
            (StatusCode::OK, "ready\n")
        };
        (Reply::line(status, line).uncached(), Record::because("ok"))
    }
}

fn script<'p>(
    matched: &Match<'p>,
    labels: &Labels,
    base: &BaseUrl,
    record: &mut Record<'p>,
) -> Reply {
    record.matched(matched, labels);
    match render::script(matched, labels, base) {
        Ok(body) => {
            record.reason = "ok";
            Reply::script(body)
        }
        Err(error) => failed(&error, record),
    }
}

fn failed(error: &RenderError, record: &mut Record<'_>) -> Reply {
    match error {
        RenderError::NoScript => {
            record.reason = "no_script";
            Reply::line(
                StatusCode::NOT_FOUND,
                "this machine's Profile has no script\n",
            )
        }
        RenderError::Failed(detail) => {
            record.reason = "render_failed";
            record.detail = Some(detail.clone());
            internal_error()
        }
    }
}

fn internal_error() -> Reply {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Reply::line(status, "this could not be rendered\n").uncached()
}

fn unassigned<'p>(none: NoMatch<'p>, record: &mut Record<'p>) -> Reply {
    record.reason = none.reason();
    match none {
        NoMatch::Unassigned => {}
        NoMatch::IdentityConflict { assignment } | NoMatch::NoProfile { assignment } => {
            record.assignment = Some(assignment);
        }
    }
    Reply::line(StatusCode::NOT_FOUND, "no Assignment for this machine\n")
}

fn bad_labels(error: &LabelError, record: &mut Record<'_>) -> Reply {
    let (reason, line) = match error {
        LabelError::TooMany => ("too_many_labels", "too many labels\n"),
        LabelError::Repeated(_) => (
            "repeated_label",
            "a label is repeated with different values\n",
        ),
    };
    record.reason = reason;
    Reply::line(StatusCode::BAD_REQUEST, line).uncached()
}

/// The same words on every path, so that they do not tell which ones exist.
fn forbidden<'p>(client: ClientAddress) -> Answer<'p> {
    let reason = if client.is_certain() {
        "not_allowed"
    } else {
        "malformed_forwarded_for"
    };
    let line = "this address is not allowed here\n";
    let reply = Reply::line(StatusCode::FORBIDDEN, line).uncached();
    (reply, Record::because(reason))
}

/// The answer to labels that nobody signed: the same as to an id that nobody knows.
fn bad_signature<'p>() -> Answer<'p> {
    not_found("bad_signature")
}

fn not_found<'p>(reason: &'static str) -> Answer<'p> {
    // A cache between us must not outlive the commit that makes this path known.
    let reply = Reply::line(StatusCode::NOT_FOUND, "not found\n").uncached();
    (reply, Record::because(reason))
}
