//! Traces for OpenTelemetry, over OTLP/HTTP in protobuf. Off unless somebody asks for it.
//!
//! OpenTelemetry's own crates bring a second HTTP client and a subscriber that takes a lock for each span; what is needed of
//! them is a page of messages and a queue. Nothing that a machine says about itself stands in a span, no body, no query, and
//! no id of a config, which opens it.

mod context;
mod export;
mod settings;
pub mod wire;

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use context::{Context, Parent};
use export::Exporter;
use wire::{KeyValue, Span, Status};

pub use settings::{Sample, Settings, Unusable};

/// Where the spans of this process go.
static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Makes spans.
#[derive(Debug)]
pub struct Tracer {
    exporter: Exporter,
    sample: f64,
    /// What the control plane is about, the innermost last: it does one thing at a time, so this is all that it knows of
    /// itself. Requests do not look at it.
    open: Mutex<Vec<Context>>,
}

/// Sends the last spans when it is dropped.
#[derive(Debug)]
#[must_use = "the last spans are lost without it"]
pub struct Traces(());

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(tracer) = tracer() {
            tracer.exporter.flush();
        }
    }
}

/// From now on, spans are sent. The first call wins.
///
/// # Errors
/// When the thread that sends them cannot be started.
pub fn trace_to(settings: Settings) -> io::Result<Traces> {
    let tracer = Tracer {
        sample: settings.sample,
        exporter: Exporter::start(settings)?,
        open: Mutex::default(),
    };
    let _ = TRACER.set(tracer);
    Ok(Traces(()))
}

/// What makes spans; `None` where nobody wants any. Costs one load.
#[must_use]
pub fn tracer() -> Option<&'static Tracer> {
    TRACER.get()
}

/// An answer of the boot listener, as its span tells it.
#[derive(Clone, Copy, Debug)]
pub struct Requested<'a> {
    /// The method.
    pub method: &'a str,
    /// The route with names in place of what differs; `None` for no route of ours.
    pub route: Option<&'static str>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The header `traceparent`.
    pub parent: Option<&'a str>,
    /// Who asked.
    pub client: IpAddr,
    /// The status.
    pub status: u16,
    /// Why this status, in one word.
    pub reason: &'a str,
    /// The named machine that matched.
    pub machine: Option<&'a str>,
    /// The Assignment that won.
    pub assignment: Option<&'a str>,
    /// The Profile it assigns.
    pub profile: Option<&'a str>,
    /// The config's name.
    pub config: Option<&'a str>,
    /// The revision that the answer comes from.
    pub revision: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
}

impl Tracer {
    /// Makes a span of an answer, where it is chosen: with the client's own trace, else by chance.
    pub fn requested(&self, request: &Requested<'_>) {
        let parent = request.parent.and_then(Parent::parse);
        let is_chosen = match parent {
            Some(parent) => parent.is_sampled,
            None => self.sample > 0.0 && rand::random::<f64>() < self.sample,
        };
        if is_chosen {
            self.exporter
                .send(span_of(request, parent.map(|one| one.context)));
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<Context>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods that may be named; a stranger's own one is `_OTHER` (semantic conventions for HTTP).
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

fn span_of(request: &Requested<'_>, parent: Option<Context>) -> Span {
    let method = METHODS.iter().find(|known| **known == request.method);
    let name = *method.unwrap_or(&"HTTP");
    let mut attributes = vec![
        KeyValue::text("http.request.method", *method.unwrap_or(&"_OTHER")),
        KeyValue::number("http.response.status_code", u64::from(request.status)),
        KeyValue::text("url.scheme", request.scheme),
        KeyValue::text("client.address", request.client.to_string()),
        KeyValue::text("gitboot.reason", request.reason),
    ];
    for (key, value) in [
        ("http.route", request.route),
        ("gitboot.machine", request.machine),
        ("gitboot.assignment", request.assignment),
        ("gitboot.profile", request.profile),
        ("gitboot.config", request.config),
        ("gitboot.revision", request.revision),
    ] {
        attributes.extend(value.map(|value| KeyValue::text(key, value)));
    }
    let is_fault = request.status >= 500;
    if is_fault {
        attributes.push(KeyValue::text("error.type", request.status.to_string()));
    }
    let name = match request.route {
        Some(route) => format!("{name} {route}"),
        None => name.to_owned(),
    };
    span(
        (Context::below(parent), parent),
        name,
        wire::SERVER,
        request.took,
        attributes,
        is_fault,
    )
}

/// A span that ends now.
fn span(
    (own, parent): (Context, Option<Context>),
    name: String,
    kind: i32,
    took: Duration,
    attributes: Vec<KeyValue>,
    is_fault: bool,
) -> Span {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Span {
        trace_id: own.trace.to_be_bytes().to_vec(),
        span_id: own.span.to_be_bytes().to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span.to_be_bytes().to_vec()),
        name,
        kind,
        start_time_unix_nano: nanos(now.saturating_sub(took)),
        end_time_unix_nano: nanos(now),
        attributes,
        status: is_fault.then_some(Status { code: wire::ERROR }),
    }
}

/// A part of the control plane's work; its span ends when it is dropped, and is inside of that of the part around it.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Stage(Option<Open>);

#[derive(Debug)]
struct Open {
    name: &'static str,
    began: Instant,
    own: Context,
    parent: Option<Context>,
    attributes: Vec<KeyValue>,
    is_fault: bool,
}

/// Begins a part of the control plane's work.
pub fn stage(name: &'static str) -> Stage {
    Stage(tracer().map(|tracer| {
        let mut open = tracer.open();
        let parent = open.last().copied();
        let own = Context::below(parent);
        open.push(own);
        Open {
            name,
            began: Instant::now(),
            own,
            parent,
            attributes: Vec::new(),
            is_fault: false,
        }
    }))
}

impl Stage {
    /// Notes something about it.
    pub fn note(&mut self, key: &str, value: &str) {
        if let Some(open) = &mut self.0 {
            open.attributes.push(KeyValue::text(key, value));
        }
    }

    /// Notes that it failed, by the class of the failure.
    pub fn fail(&mut self, class: &str) {
        self.note("error.type", class);
        if let Some(open) = &mut self.0 {
            open.is_fault = true;
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (Some(open), Some(tracer)) = (self.0.take(), tracer()) else {
            return;
        };
        let mut all = tracer.open();
        if let Some(place) = all.iter().position(|one| *one == open.own) {
            all.truncate(place);
        }
        drop(all);
        tracer.exporter.send(span(
            (open.own, open.parent),
            open.name.to_owned(),
            wire::INTERNAL,
            open.began.elapsed(),
            open.attributes,
            open.is_fault,
        ));
    }
}
