//! Answers on their way from the threads that give them to whoever collects them.

use std::cell::RefCell;
use std::mem;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::label::{Identity, Labels};
use crate::observe::{Answered, gathers};

/// How many answers may wait to be collected: a tenth of a second and more of 100,000 requests a second. More are counted as
/// lost.
pub(super) const MAX_WAITING: usize = 16_384;

/// How many answers a thread hands over at once when it does not come to rest: little memory, and a send for many requests.
const MAX_BATCH: usize = 64;

/// The most bytes that are kept of what a machine says: all its identities, as a rule, and what its first script sends.
pub(super) const MAX_SAID_BYTES: usize = 1024;

/// After each field of a record; no label value and no name holds it.
pub(super) const END: char = '\0';

/// Where answers go in this process, once somebody collects them.
static BATCHES: OnceLock<Sender<Batch>> = OnceLock::new();

/// How many answers were noted and not collected yet, be it that they wait or that their threads still keep them.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How many answers could not be handed over.
static LOST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What this thread has not handed over yet.
    static PENDING: RefCell<Batch> = RefCell::default();
}

/// From now on, answers are noted and come out here. `None` when somebody else collects them already.
pub(super) fn open() -> Option<Receiver<Batch>> {
    let (sender, batches) = channel();
    BATCHES.set(sender).ok()?;
    Some(batches)
}

/// How many answers could not be handed over.
pub(super) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Whether an answer was noted that is not collected yet.
pub(super) fn is_any_waiting() -> bool {
    WAITING.load(Ordering::Relaxed) > 0
}

/// Notes an answer to a machine that says who it is, if somebody collects that. Lock-free.
pub(in crate::observe) fn note(event: &Answered<'_>) {
    let (Some(batches), Some(labels)) = (BATCHES.get(), event.labels) else {
        return;
    };
    // A config without labels in its URL says nothing about who fetches it.
    if event.route == "config" && !says_who(labels) {
        return;
    }
    if WAITING.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        LOST.fetch_add(1, Ordering::Relaxed);
        return;
    }
    PENDING.with_borrow_mut(|pending| {
        pending.push(event, labels);
        if pending.answers.len() >= MAX_BATCH || !gathers() {
            pending.send(batches);
        }
    });
}

/// Hands over what this thread has noted.
pub(in crate::observe) fn flush() {
    let Some(batches) = BATCHES.get() else { return };
    PENDING.with_borrow_mut(|pending| {
        if !pending.answers.is_empty() {
            pending.send(batches);
        }
    });
}

fn says_who(labels: &Labels) -> bool {
    let mut all = Identity::ALL.into_iter();
    all.any(|identity| labels.identities(identity).len() > 0)
}

/// A few answers, in few allocations.
#[derive(Debug, Default)]
pub(super) struct Batch {
    answers: Vec<Answer>,
    /// The texts of all, one after the other.
    text: String,
}

#[derive(Debug)]
struct Answer {
    client: IpAddr,
    route: &'static str,
    status: u16,
    /// Where its text ends.
    end: usize,
}

impl Batch {
    pub(super) fn push(&mut self, event: &Answered<'_>, labels: &Labels) {
        let text = &mut self.text;
        for field in [
            Some(event.reason),
            event.named,
            event.machine,
            event.assignment,
            event.profile,
            event.config,
            event.revision,
        ] {
            text.push_str(field.filter(|field| !field.contains(END)).unwrap_or(""));
            text.push(END);
        }
        let most = text.len() + MAX_SAID_BYTES;
        let mut say = |key: &str, value: &str| {
            if text.len() + key.len() + value.len() < most && !value.contains(END) {
                for part in [key, "=", value, "\0"] {
                    text.push_str(part);
                }
            }
        };
        for identity in Identity::ALL {
            for value in labels.identities(identity) {
                say(identity.key(), value);
            }
        }
        for (key, value) in labels.iter() {
            if Identity::from_key(key).is_none() {
                say(key, value);
            }
        }
        self.answers.push(Answer {
            client: event.client,
            route: event.route,
            status: event.status,
            end: self.text.len(),
        });
    }

    fn send(&mut self, batches: &Sender<Self>) {
        // The next one will be about as large.
        let next = Self {
            answers: Vec::with_capacity(self.answers.len()),
            text: String::with_capacity(self.text.len()),
        };
        // Whoever collects does so until the process ends.
        let _ = batches.send(mem::replace(self, next));
    }

    /// Makes room for others; how many answers these are.
    pub(super) fn received(&self) -> usize {
        let count = self.answers.len();
        WAITING.fetch_sub(count, Ordering::Relaxed);
        count
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut start = 0;
        self.answers.iter().map(move |answer| {
            let text = self.text.get(start..answer.end).unwrap_or("");
            start = answer.end;
            Record {
                client: answer.client,
                route: answer.route,
                status: answer.status,
                text,
            }
        })
    }
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'r> {
    pub(super) client: IpAddr,
    pub(super) route: &'static str,
    pub(super) status: u16,
    pub(super) text: &'r str,
}

/// What the text of a record says; empty is what is not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'r> {
    pub(super) reason: &'r str,
    pub(super) named: &'r str,
    pub(super) machine: &'r str,
    pub(super) assignment: &'r str,
    pub(super) profile: &'r str,
    pub(super) config: &'r str,
    pub(super) revision: &'r str,
    labels: &'r str,
}

impl<'r> Record<'r> {
    pub(super) fn fields(self) -> Fields<'r> {
        let mut rest = self.text;
        let mut next = || {
            let (field, others) = rest.split_once(END).unwrap_or((rest, ""));
            rest = others;
            field
        };
        let [
            reason,
            named,
            machine,
            assignment,
            profile,
            config,
            revision,
        ] = std::array::from_fn(|_| next());
        Fields {
            reason,
            named,
            machine,
            assignment,
            profile,
            config,
            revision,
            labels: rest,
        }
    }
}

impl<'r> Fields<'r> {
    /// Each as `key=value`.
    pub(super) fn labels(self) -> impl Iterator<Item = &'r str> {
        self.labels.split_terminator(END)
    }
}
