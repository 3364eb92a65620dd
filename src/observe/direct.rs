//! The line of an answer, written without the machinery that all other lines go through: there is one for every boot, and in a
//! boot storm it must not cost more than the answer. A test holds it to what that machinery writes.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::mem;
use std::sync::OnceLock;
use std::time::SystemTime;

use super::lines::Lines;
use super::{Answered, LogFormat, Printable, gathers};
use crate::label::Identity;

/// How many bytes of lines a thread sends at once when it does not come to rest: a few dozen lines.
const MAX_BATCH_BYTES: usize = 16 << 10;

/// Where these lines go in this process.
static DIRECT: OnceLock<Direct> = OnceLock::new();

thread_local! {
    /// The lines that this thread has not sent yet.
    static PENDING: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The way to the thread that writes.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) lines: Lines,
    pub(super) format: LogFormat,
}

impl Direct {
    /// From now on, lines of answers go this way.
    pub(super) fn install(self) {
        // The first log of a process wins, here as in `tracing`.
        let _ = DIRECT.set(self);
    }

    /// The way that is installed.
    pub(super) fn get() -> Option<&'static Self> {
        DIRECT.get()
    }

    /// Sends one line.
    pub(super) fn answered(&self, event: &Answered<'_>) {
        PENDING.with_borrow_mut(|pending| {
            write_line(pending, event, self.format, SystemTime::now());
            if pending.len() >= MAX_BATCH_BYTES || !gathers() {
                self.send(pending);
            }
        });
    }

    fn send(&self, pending: &mut String) {
        // The next ones will be about as many.
        let next = String::with_capacity(pending.len());
        let lines = mem::replace(pending, next);
        self.lines.send(lines.into_bytes());
    }
}

/// Sends the lines that this thread keeps.
pub(super) fn flush() {
    let Some(direct) = Direct::get() else { return };
    PENDING.with_borrow_mut(|pending| {
        if !pending.is_empty() {
            direct.send(pending);
        }
    });
}

/// Writes the line of an event, with its end.
fn write_line(text: &mut String, event: &Answered<'_>, format: LogFormat, now: SystemTime) {
    let mut line = Line { text, format };
    line.start(now);
    line.harmless("client", event.client, format == LogFormat::Json);
    line.text("route", Some(event.route));
    line.number("status", u64::from(event.status));
    line.text("reason", Some(event.reason));
    for identity in [
        Identity::Uuid,
        Identity::Serial,
        Identity::Mac,
        Identity::Asset,
    ] {
        let value = event.labels.and_then(|labels| labels.get(identity.key()));
        line.printable(identity.key(), value);
    }
    line.printable("machine", event.machine);
    line.printable("assignment", event.assignment);
    line.printable("profile", event.profile);
    line.printable("config", event.config);
    line.text("revision", event.revision);
    line.printable("detail", event.detail);
    line.number("micros", event.micros);
    line.end();
}

/// A line while it is put together.
struct Line<'t> {
    text: &'t mut String,
    format: LogFormat,
}

impl Line<'_> {
    fn start(&mut self, now: SystemTime) {
        let time = humantime::format_rfc3339_micros(now);
        // Writing into a string cannot fail.
        let _ = match self.format {
            LogFormat::Human => write!(self.text, "{time}  INFO answered"),
            LogFormat::Json => write!(
                self.text,
                r#"{{"timestamp":"{time}","level":"INFO","message":"answered""#
            ),
        };
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Human => {
                self.text.push(' ');
                self.text.push_str(key);
                self.text.push('=');
            }
            LogFormat::Json => {
                self.text.push_str(",\"");
                self.text.push_str(key);
                self.text.push_str("\":");
            }
        }
    }

    /// Something that needs no escape, in quotation marks or not.
    fn harmless(&mut self, key: &str, value: impl std::fmt::Display, quoted: bool) {
        self.key(key);
        let _ = if quoted {
            write!(self.text, "\"{value}\"")
        } else {
            write!(self.text, "{value}")
        };
    }

    fn number(&mut self, key: &str, value: u64) {
        self.harmless(key, value, false);
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.quoted(value);
        }
    }

    /// A text that a stranger may have written.
    fn printable(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if is_plain(value) && value.len() <= super::MAX_PRINTABLE {
            self.text(key, Some(value));
        } else {
            self.text(key, Some(&Printable(value).to_string()));
        }
    }

    fn quoted(&mut self, value: &str) {
        if is_plain(value) {
            self.text.push('"');
            self.text.push_str(value);
            self.text.push('"');
            return;
        }
        let _ = match self.format {
            LogFormat::Human => write!(self.text, "{value:?}"),
            LogFormat::Json => write!(self.text, "{}", serde_json::Value::from(value)),
        };
    }

    fn end(self) {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        self.text.push('\n');
    }
}

/// Whether a text stands between quotation marks as it is.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{FixedLabels, Labels};
    use proptest::prelude::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `tracing` writes for an event, without its time.
    fn traced(event: &Answered<'_>, format: LogFormat) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = super::super::subscriber()
            .with_writer(move || writer.clone())
            .with_ansi(false);
        let emit = || super::super::trace(event);
        match format {
            LogFormat::Human => tracing::subscriber::with_default(subscriber.finish(), emit),
            LogFormat::Json => {
                tracing::subscriber::with_default(super::super::json(subscriber).finish(), emit);
            }
        }
        let written = buffer.0.lock().unwrap().clone();
        timeless(&String::from_utf8(written).unwrap())
    }

    /// A line with zeros in place of the digits of its time.
    fn timeless(line: &str) -> String {
        let start = line.find("20").unwrap();
        let end = start + "2026-01-02T03:04:05.678901Z".len();
        let time: String = line[start..end]
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        format!("{}{time}{}", &line[..start], &line[end..])
    }

    proptest! {
        #[test]
        fn lines_are_those_that_tracing_writes(
            texts in prop::collection::vec(prop::option::of("\\PC{0,12}|[a-z0-9.\"\\\\ \u{7f}\u{202e}\u{85}é\n]{0,300}"), 6),
            serial in "[A-Z0-9 \"\\\\é%]{1,12}",
            status in 200_u16..600,
            micros in any::<u64>(),
        ) {
            let query = format!("mac=525400abcdef&serial={serial}&asset={serial}");
            let labels = Labels::parse(&query, &FixedLabels::default()).unwrap();
            let text = |at: usize| texts[at].as_deref();
            let event = Answered {
                route: "script",
                client: "fd00::7".parse().unwrap(),
                labels: text(0).map(|_| &labels),
                named: None,
                machine: text(0),
                assignment: text(1),
                profile: text(2),
                config: text(3),
                revision: text(4).map(|_| "4f2a91c"),
                status,
                reason: "ok",
                detail: text(5),
                micros,
            };
            for format in [LogFormat::Human, LogFormat::Json] {
                let mut direct = String::new();
                write_line(&mut direct, &event, format, SystemTime::now());
                prop_assert_eq!(timeless(&direct), traced(&event, format));
            }
        }
    }
}
