//! What the server tells people: log lines, metrics, and the machines that were seen lately.
//!
//! Everything goes to stderr, one line an event. What a machine sent is untrusted: it passes through [`Printable`].

mod direct;
mod lines;
mod metrics;
pub mod otlp;
mod seen;

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};
use std::net::IpAddr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::label::{Identity, Labels};
use direct::Direct;
use lines::Lines;

pub use metrics::{Exposition, Metrics, metrics};
pub use otlp::{Requested, stage, tracer};
pub use seen::{Machine, Register, Seen};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Which events are logged: a level (`info`) or directives of the form `gitboot=debug,hyper=info`.
#[derive(Debug)]
pub struct LogFilter(EnvFilter);

impl LogFilter {
    /// Parses a filter.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// Keeps the log going; waits for the last lines when it is dropped.
#[derive(Debug)]
#[must_use = "the last lines are lost without it"]
pub struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Sends all events of this process to stderr, panics too. The first call wins; later ones change nothing.
///
/// # Errors
/// When the thread that writes the lines cannot be started.
pub fn init(format: LogFormat, filter: LogFilter) -> io::Result<Log> {
    let lines = Lines::to(io::stderr(), move |count| lost(count, format))?;
    let is_terminal = io::stderr().is_terminal();
    let events = subscriber()
        .with_env_filter(filter.0)
        .with_writer(lines.clone())
        .with_ansi(is_terminal);
    let result = match format {
        LogFormat::Human => events.try_init(),
        LogFormat::Json => json(events).try_init(),
    };
    // Colours are for terminals, and no terminal shows thousands of lines a second.
    if result.is_ok() && !is_terminal {
        let lines = lines.clone();
        Direct { lines, format }.install();
    }
    if result.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.to_string();
            tracing::error!("a fault of the server itself: {}", Printable(&text));
        }));
    }
    Ok(Log(lines))
}

/// How events look, before it is said where they go.
fn subscriber() -> SubscriberBuilder {
    // Lines that cannot be written are lost; to complain about them on stderr would end the thread that logs.
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_target(false)
}

/// The same, as one JSON object a line.
fn json<F, W>(
    events: SubscriberBuilder<DefaultFields, Format, F, W>,
) -> SubscriberBuilder<JsonFields, Format<Json>, F, W> {
    events
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
}

/// The line that tells how many could not be written, in the form of all others.
fn lost(count: u64, format: LogFormat) -> String {
    let message = format!("{count} log lines are lost: stderr was read too slowly");
    let mut timestamp = String::new();
    // Writing into a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    match format {
        LogFormat::Human => format!("{timestamp}  WARN {message}\n"),
        LogFormat::Json => {
            let line =
                serde_json::json!({"timestamp": timestamp, "level": "WARN", "message": message});
            format!("{line}\n")
        }
    }
}

/// One answer of a script, config or `/v1/boot` route.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Which kind of route: `script`, `config` or `boot_api`; `boot_script` for refusals.
    pub route: &'static str,
    /// Who asked.
    pub client: IpAddr,
    /// What the machine says about itself, if that could be read.
    pub labels: Option<&'a Labels>,
    /// By which identity an Assignment names this very machine, be it in its `machines` or in its selectors.
    pub named: Option<&'a str>,
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
    /// The HTTP status.
    pub status: u16,
    /// Why this status, in one word.
    pub reason: &'a str,
    /// What went wrong, for a status 500.
    pub detail: Option<&'a str>,
    /// How long the answer took to make, in microseconds.
    pub micros: u64,
}

/// Counts one answer that is not logged.
pub fn counted(route: &'static str, status: u16, reason: &str, micros: u64) {
    metrics().answered(route, status, reason, micros);
}

thread_local! {
    /// Whether this thread hands over what it tells only when [`flush`] is called, or enough of it has come together.
    static GATHERS: Cell<bool> = const { Cell::new(false) };
}

/// From now on, what this thread tells of answers goes on its way many at a time: in a boot storm it costs more to hand
/// something over than to make it. Whoever calls this calls [`flush`] whenever the thread has nothing else to do.
pub fn gather() {
    GATHERS.set(true);
}

fn gathers() -> bool {
    GATHERS.get()
}

/// Hands over what this thread has told so far.
pub fn flush() {
    seen::flush();
    direct::flush();
}

/// Logs one answer, counts it, and notes which machine it was for.
pub fn answered(event: &Answered<'_>) {
    counted(event.route, event.status, event.reason, event.micros);
    seen::note(event);
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    match Direct::get() {
        Some(direct) => direct.answered(event),
        None => trace(event),
    }
}

/// The event of an answer.
fn trace(event: &Answered<'_>) {
    // Strings, so that lines for people have quotation marks around them: no blank in a serial begins a field.
    let text = |value: Option<&str>| value.map(|value| Printable(value).to_string());
    let label =
        |identity: Identity| text(event.labels.and_then(|labels| labels.get(identity.key())));
    tracing::info!(
        client = %event.client,
        route = event.route,
        status = event.status,
        reason = event.reason,
        uuid = label(Identity::Uuid),
        serial = label(Identity::Serial),
        mac = label(Identity::Mac),
        asset = label(Identity::Asset),
        machine = text(event.machine),
        assignment = text(event.assignment),
        profile = text(event.profile),
        config = text(event.config),
        revision = event.revision,
        detail = text(event.detail),
        micros = event.micros,
        "answered"
    );
}

/// One answer over TFTP, of whatever kind.
#[derive(Clone, Copy, Debug)]
pub struct Transferred<'a> {
    /// Who asked.
    pub client: IpAddr,
    /// The name of the file as it was sent, if that could be read.
    pub file: Option<&'a str>,
    /// The bytes that surely arrived.
    pub bytes: u64,
    /// What HTTP would have answered, so that one rule finds the failures of both; 200 when everything arrived.
    pub status: u16,
    /// Why this status, in one word.
    pub reason: &'a str,
    /// What the client or the system said about a failure.
    pub detail: Option<&'a str>,
    /// How long it took from the request to the end, in microseconds.
    pub micros: u64,
}

/// Logs one answer over TFTP, and counts it.
pub fn transferred(event: &Transferred<'_>) {
    metrics().transferred(event.status, event.bytes);
    let text = |value: Option<&str>| value.map(|value| Printable(value).to_string());
    tracing::info!(
        client = %event.client,
        route = "tftp",
        status = event.status,
        reason = event.reason,
        file = text(event.file),
        bytes = event.bytes,
        detail = text(event.detail),
        micros = event.micros,
        "answered"
    );
}

/// The most bytes of an untrusted text that one log line shows: label values are no longer than this.
const MAX_PRINTABLE: usize = 256;

/// A stranger's text, fit for a terminal and a log file: control characters, line separators and characters that turn
/// the direction of writing come out as escapes, and the text is cut at 256 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.char_indices() {
            if at >= MAX_PRINTABLE {
                return f.write_char('…');
            }
            if is_harmless(c) {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_escapes_what_could_forge_a_line() {
        let shown = Printable("a\nb\u{1b}[31m\u{202e}c\u{7f}é").to_string();
        assert_eq!(shown, "a\\u{a}b\\u{1b}[31m\\u{202e}c\\u{7f}é");
    }

    #[test]
    fn printable_is_cut_at_its_limit() {
        let shown = Printable(&"x".repeat(1000)).to_string();
        assert_eq!(shown, format!("{}…", "x".repeat(MAX_PRINTABLE)));
    }

    #[test]
    fn lost_lines_are_told_in_the_form_of_all_others() {
        let line = lost(3, LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(
            line["message"],
            "3 log lines are lost: stderr was read too slowly"
        );
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        let line = lost(3, LogFormat::Human);
        let (time, rest) = line.split_once("  WARN ").unwrap();
        assert!(time.ends_with('Z'));
        assert_eq!(rest, "3 log lines are lost: stderr was read too slowly\n");
    }

    #[test]
    fn filters_are_levels_or_directives() {
        assert!(LogFilter::parse("debug").is_ok());
        assert!(LogFilter::parse("gitboot=debug,hyper=warn").is_ok());
        assert!(LogFilter::parse("gitboot=loud").is_err());
    }
}
