//! A serial console: what firmware, iPXE and Linux write to it, as lines that can be waited for.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What has been written so far, readable while a thread goes on writing it.
#[derive(Clone, Default)]
pub(crate) struct Console {
    shared: Arc<(Mutex<Screen>, Condvar)>,
}

impl Console {
    /// Reads from a machine until it is switched off, in a thread of its own.
    pub(crate) fn read(from: impl Read + Send + 'static) -> Self {
        let console = Self::default();
        let writer = console.clone();
        std::thread::spawn(move || writer.follow(from));
        console
    }

    fn follow(&self, mut from: impl Read) {
        let (screen, changed) = &*self.shared;
        let mut bytes = [0; 4096];
        loop {
            let read = from.read(&mut bytes).unwrap_or(0);
            let mut screen = screen.lock().unwrap();
            screen.is_over = read == 0;
            bytes[..read].iter().for_each(|byte| screen.take(*byte));
            changed.notify_all();
            if read == 0 {
                return;
            }
        }
    }

    /// Waits for the next line that holds this text, and leaves what stands behind it for the next call. A `Prompt` need
    /// not be a whole line. `Err` is why there is none: the machine is off, or the time is up.
    pub(crate) fn wait(
        &self,
        text: &str,
        kind: Kind,
        time: Duration,
    ) -> Result<String, &'static str> {
        let until = Instant::now() + time;
        let (screen, changed) = &*self.shared;
        let mut screen = screen.lock().unwrap();
        loop {
            if let Some(line) = screen.next_with(text, kind) {
                return Ok(line);
            }
            let left = until.saturating_duration_since(Instant::now());
            if screen.is_over {
                return Err("the machine went off");
            }
            if left.is_zero() {
                return Err("the time is up");
            }
            screen = changed.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Whether this text has been written at all.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// All that was written.
    pub(crate) fn text(&self) -> String {
        let screen = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = screen.lines.join("\n");
        text.push('\n');
        text.push_str(&screen.line);
        text
    }
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line up to its end.
    Line,
    /// A line that may be unfinished: it waits for a key.
    Prompt,
}

/// The text on a terminal that never scrolls: escape sequences, carriage returns and backspaces are carried out or dropped.
#[derive(Default)]
struct Screen {
    /// The lines that are finished.
    lines: Vec<String>,
    /// The line that is being written.
    line: String,
    escape: Escape,
    /// The first line that nobody has waited for yet.
    unread: usize,
    is_over: bool,
}

/// How far into an escape sequence the console is.
#[derive(Default, Clone, Copy)]
enum Escape {
    #[default]
    None,
    Begun,
    Parameters,
}

impl Screen {
    fn take(&mut self, byte: u8) {
        match (self.escape, byte) {
            (_, 0x1b) => self.escape = Escape::Begun,
            (Escape::Begun, b'[') => self.escape = Escape::Parameters,
            (Escape::Parameters, b'@'..=b'~') => {
                self.escape = Escape::None;
                // Firmware puts the cursor somewhere else where others would write a new line.
                if byte == b'H' && !self.line.is_empty() {
                    self.end_line();
                }
            }
            (Escape::Begun, _) => self.escape = Escape::None,
            (Escape::Parameters, _) | (Escape::None, b'\r') => {}
            (Escape::None, b'\n') => self.end_line(),
            (Escape::None, 0x08) => {
                self.line.pop();
            }
            (Escape::None, b' '..=b'~') => self.line.push(char::from(byte)),
            (Escape::None, _) => self.line.push_str(&format!("<{byte:02x}>")),
        }
    }

    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
    }

    /// The next line with this text that nobody has waited for.
    fn next_with(&mut self, text: &str, kind: Kind) -> Option<String> {
        let unread = self.lines.get(self.unread..).unwrap_or_default();
        let finished = unread.iter().position(|line| line.contains(text));
        if let Some(at) = finished {
            self.unread += at + 1;
            return self.lines.get(self.unread - 1).cloned();
        }
        if kind == Kind::Prompt && self.line.contains(text) {
            // Whatever answers the key may take the prompt back and go on in the same line.
            self.end_line();
            self.unread = self.lines.len();
            return self.lines.last().cloned();
        }
        None
    }
}
