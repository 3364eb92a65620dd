//! The thread that posts spans to a collector. Nobody waits for it: what does not fit into its queue is counted and dropped.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use prost::Message as _;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};

use super::settings::Settings;
use super::wire::{Request, Resource, ResourceSpans, Scope, ScopeSpans, Span};
use crate::observe::metrics;

/// How many spans may wait: what OpenTelemetry's libraries take, about two megabytes.
const MAX_WAITING: usize = 2048;

/// How many spans go out at once, a quarter of them, as there.
const MAX_BATCH: usize = 512;

/// How long a span waits for company.
const GATHERING: Duration = Duration::from_secs(1);

/// How long to rest before the same batch is sent again to a collector that is busy or restarts.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// How long the end of the process waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Exporter(SyncSender<Message>);

enum Message {
    Span(Box<Span>),
    /// Everything before it is to be sent now, and then this is told.
    Flush(SyncSender<()>),
}

impl Exporter {
    /// Starts the thread.
    pub(super) fn start(settings: Settings) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let run = move || Post::new(settings).run(&receiver);
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(run)?;
        Ok(Self(sender))
    }

    /// Hands a span over, or counts it as dropped. Waits for nobody.
    pub(super) fn send(&self, span: Span) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.0.try_send(Message::Span(Box::new(span)))
        {
            metrics().spans_dropped(1);
        }
    }

    /// Waits until everything was sent, but not for long.
    pub(super) fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(LAST_WORDS);
        }
    }
}

struct Post {
    settings: Settings,
    /// `None` where no connection can be made at all.
    client: Option<Client>,
    /// Whether it was told that the collector takes nothing.
    is_failing: bool,
}

/// Why a batch did not arrive.
enum Failure {
    /// It may arrive later.
    Passing(String),
    /// It never will.
    Final(String),
}

impl Post {
    fn new(settings: Settings) -> Self {
        let client = client(&settings)
            .inspect_err(|why| tracing::warn!("traces cannot be sent: {why}"))
            .ok();
        let is_failing = client.is_none();
        Self {
            settings,
            client,
            is_failing,
        }
    }

    /// Sends until all senders are gone.
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut batch = Vec::new();
        while let Ok(first) = receiver.recv() {
            let until = Instant::now() + GATHERING;
            let mut flushed = None;
            let mut next = Ok(first);
            while let Ok(message) = next {
                match message {
                    Message::Span(span) => batch.push(*span),
                    Message::Flush(done) => flushed = Some(done),
                }
                if batch.len() >= MAX_BATCH || flushed.is_some() {
                    break;
                }
                next = receiver.recv_timeout(until.saturating_duration_since(Instant::now()));
                if matches!(next, Err(RecvTimeoutError::Disconnected)) {
                    break;
                }
            }
            if !batch.is_empty() {
                self.post(std::mem::take(&mut batch));
            }
            if let Some(done) = flushed {
                let _ = done.try_send(());
            }
        }
    }

    fn post(&mut self, spans: Vec<Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let request = Request {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: self.settings.resource.clone(),
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(Scope {
                        name: "gitboot".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    }),
                    spans,
                }],
            }],
        };
        let body = request.encode_to_vec();
        let mut pauses = RETRIES.iter();
        let why = loop {
            match self.try_post(body.clone()) {
                Ok(()) => {
                    metrics().spans_exported(count);
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("traces arrive again");
                    }
                    return;
                }
                Err(Failure::Final(why)) => break why,
                // While it fails, one attempt for each batch is enough.
                Err(Failure::Passing(why)) => match pauses.next().filter(|_| !self.is_failing) {
                    Some(pause) => std::thread::sleep(*pause),
                    None => break why,
                },
            }
        };
        metrics().spans_dropped(count);
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                "traces are dropped until the collector takes them: {why}; machines boot all the same"
            );
        }
    }

    fn try_post(&self, body: Vec<u8>) -> Result<(), Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::Final("no connection can be made".to_owned()));
        };
        let request = client.post(self.settings.url.clone()).body(body);
        // In words of our own: those of the library name URLs.
        let response = request.send().map_err(|error| {
            Failure::Passing(if error.is_timeout() {
                "it does not answer in time".to_owned()
            } else if error.is_connect() {
                "it cannot be reached".to_owned()
            } else {
                "the connection broke".to_owned()
            })
        })?;
        let status = response.status();
        let why = || format!("it answers {}", status.as_u16());
        match status {
            status if status.is_success() => Ok(()),
            // Those that may be sent again (OTLP, section "Retryable Response Codes").
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Passing(why())),
            _ => Err(Failure::Final(why())),
        }
    }
}

fn client(settings: &Settings) -> Result<Client, String> {
    // The first caller in the process wins; ring is the only provider compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = settings.headers.clone();
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    headers.insert(CONTENT_TYPE, protobuf);
    let builder = || {
        Client::builder()
            .timeout(settings.timeout)
            .user_agent(concat!("gitboot/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .default_headers(headers.clone())
    };
    let built = match &settings.certificates {
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| format!("the certificates cannot be read: {}", error.kind()))?;
            let found = Certificate::from_pem_bundle(&pem)
                .map_err(|_| "the file of certificates holds none".to_owned())?;
            builder().tls_certs_only(found).build()
        }
        // Without the system's certificates there is no TLS, and plain HTTP all the same.
        None => builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build()),
    };
    built.map_err(|_| "the client cannot be made".to_owned())
}
