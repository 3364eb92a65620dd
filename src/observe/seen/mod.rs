//! The machines that were seen lately.
//!
//! A request hands over one small record and goes on; whoever wants to know collects them. Memory is bounded whatever machines
//! say: those that an Assignment names are as many as the repository says, and all others share places in which nobody is pushed
//! out by one client that makes up names.

mod crowd;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use super::Answered;
use crate::label::{Identity, Labels};
use crowd::Crowd;

/// How many records may wait to be collected: a tenth of a second of 80,000 requests a second. More are counted as lost.
const MAX_WAITING: usize = 8192;

/// How many machines that an Assignment names are remembered.
const MAX_NAMED: usize = 32_768;

/// How many others are remembered.
const MAX_STRANGERS: usize = 4096;

/// How many of those one client may be: a rack row behind one translated address.
const MAX_STRANGERS_PER_CLIENT: usize = 1024;

/// The most bytes that are kept of what a machine says: all its identities, as a rule, and what its first script sends.
const MAX_SAID_BYTES: usize = 1024;

/// Between the fields of a record; no label value and no name holds it.
const END: char = '\0';

/// Where records go in this process, once somebody collects them.
static RECORDS: OnceLock<SyncSender<Record>> = OnceLock::new();

/// How many records could not be handed over.
static LOST: AtomicU64 = AtomicU64::new(0);

/// One answer, in one allocation.
#[derive(Debug)]
struct Record {
    client: IpAddr,
    route: &'static str,
    status: u16,
    /// `reason`, `named`, `machine`, `assignment`, `profile`, `config` and `revision`, and then labels as `key=value`.
    text: String,
}

/// Notes an answer to a machine that says who it is, if somebody collects that. Lock-free.
pub(super) fn note(event: &Answered<'_>) {
    let Some(records) = RECORDS.get() else {
        return;
    };
    let Some(labels) = event.labels else {
        return;
    };
    // A config without labels in its URL says nothing about who fetches it.
    if event.route == "config" && !says_who(labels) {
        return;
    }
    if records.try_send(record(event, labels)).is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

fn says_who(labels: &Labels) -> bool {
    let mut all = Identity::ALL.into_iter();
    all.any(|identity| labels.identities(identity).len() > 0)
}

fn record(event: &Answered<'_>, labels: &Labels) -> Record {
    let mut text = String::with_capacity(448);
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
            // Writing into a string cannot fail.
            let _ = write!(text, "{key}={value}{END}");
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
    Record {
        client: event.client,
        route: event.route,
        status: event.status,
        text,
    }
}

/// A machine that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What it said of itself when it was seen last, cut at a kilobyte: `mac` may stand more than once.
    pub labels: Vec<(String, String)>,
    /// Who asked last.
    pub client: IpAddr,
    /// When it was seen first.
    pub first_seen: SystemTime,
    /// When it was seen last.
    pub last_seen: SystemTime,
    /// How often it was answered since it was seen first.
    pub requests: u64,
    /// The last answer's route.
    pub route: &'static str,
    /// The last answer's status.
    pub status: u16,
    /// Why, in one word.
    pub reason: String,
    /// Its name, if it has one.
    pub machine: Option<String>,
    /// Its Assignment.
    pub assignment: Option<String>,
    /// Its Profile.
    pub profile: Option<String>,
    /// The config that it fetched last.
    pub config: Option<String>,
    /// The revision that the last answer came from.
    pub revision: Option<String>,
}

impl Machine {
    /// Whether no Assignment selects it.
    #[must_use]
    pub fn is_unassigned(&self) -> bool {
        self.reason == "unassigned"
    }
}

/// Everything that is remembered, as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Machines that an Assignment names, the last one seen first.
    pub named: Vec<Machine>,
    /// Machines of a class or a default, and those that nobody assigned.
    pub others: Vec<Machine>,
    /// How many were forgotten because others needed their places.
    pub forgotten: u64,
    /// How many answers were given so fast that nobody could note whom.
    pub lost: u64,
}

/// Everybody who is remembered, as it is at one moment; the last one seen first.
#[derive(Debug, Default)]
pub struct Crowds<'a> {
    /// Machines that an Assignment names.
    pub named: Vec<&'a Machine>,
    /// Machines of a class or a default, and those that nobody assigned.
    pub others: Vec<&'a Machine>,
    /// How many were forgotten because others needed their places.
    pub forgotten: u64,
}

/// Collects who was seen. There is one in a process.
#[derive(Debug)]
pub struct Register(Mutex<Book>);

#[derive(Debug)]
struct Book {
    records: Receiver<Record>,
    named: Crowd<Machine>,
    others: Crowd<Machine>,
}

impl Register {
    /// From now on, answers are noted. `None` when somebody else collects them already.
    #[must_use]
    pub fn open() -> Option<Self> {
        let (sender, records) = sync_channel(MAX_WAITING);
        RECORDS.set(sender).ok()?;
        Some(Self(Mutex::new(Book::new(records))))
    }

    /// Takes in what waits. To be called ten times a second, since requests do not wait for it.
    pub fn collect(&self) {
        self.book().collect(SystemTime::now());
    }

    /// Who was seen until now: up to `limit` of each kind.
    #[must_use]
    pub fn seen(&self, limit: usize) -> Seen {
        let mut book = self.book();
        book.collect(SystemTime::now());
        Seen {
            named: book.named.iter().take(limit).cloned().collect(),
            others: book.others.iter().take(limit).cloned().collect(),
            forgotten: book.named.evicted() + book.others.evicted(),
            lost: LOST.load(Ordering::Relaxed),
        }
    }

    /// Looks at everybody who was seen until now, without a copy. Whoever is seen meanwhile waits, within bounds.
    pub fn look<T>(&self, look: impl FnOnce(&Crowds<'_>) -> T) -> T {
        let mut book = self.book();
        book.collect(SystemTime::now());
        look(&Crowds {
            named: book.named.iter().collect(),
            others: book.others.iter().collect(),
            forgotten: book.named.evicted() + book.others.evicted(),
        })
    }

    /// How many are remembered: those that an Assignment names, and all others.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let mut book = self.book();
        book.collect(SystemTime::now());
        (book.named.len(), book.others.len())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(records: Receiver<Record>) -> Self {
        Self {
            records,
            named: Crowd::new(MAX_NAMED, MAX_NAMED),
            others: Crowd::new(MAX_STRANGERS, MAX_STRANGERS_PER_CLIENT),
        }
    }

    fn collect(&mut self, now: SystemTime) {
        // No more than fit at once, so that whoever asks gets an answer in a storm, too.
        for _ in 0..MAX_WAITING {
            let Ok(record) = self.records.try_recv() else {
                return;
            };
            self.take(&record, now);
        }
    }

    fn take(&mut self, record: &Record, now: SystemTime) {
        let mut fields = record.text.split(END);
        let mut next = || fields.next().unwrap_or("");
        let [
            reason,
            named,
            machine,
            assignment,
            profile,
            config,
            revision,
        ] = std::array::from_fn(|_| next());
        let labels: Vec<(&str, &str)> = fields.filter_map(|label| label.split_once('=')).collect();
        let stranger = stranger(&labels, record.client);
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let new = || Machine {
            labels: Vec::new(),
            client: record.client,
            first_seen: now,
            last_seen: now,
            requests: 0,
            route: record.route,
            status: record.status,
            reason: String::new(),
            machine: None,
            assignment: None,
            profile: None,
            config: None,
            revision: None,
        };
        let one = if named.is_empty() {
            self.others.see(&stranger, record.client, new)
        } else {
            // Whoever nobody assigned a moment ago is the same machine.
            let before = self.others.remove(&stranger);
            let name = format!("{assignment}{END}{named}");
            let new = || before.unwrap_or_else(new);
            self.named.see(&name, record.client, new)
        };
        one.requests += 1;
        one.client = record.client;
        one.last_seen = now;
        one.route = record.route;
        one.status = record.status;
        reason.clone_into(&mut one.reason);
        one.machine = known(machine);
        one.assignment = known(assignment);
        one.profile = known(profile);
        one.config = known(config).or(one.config.take());
        one.revision = known(revision);
        one.labels = labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
    }
}

/// Under which name a machine is remembered that no Assignment names: the MAC that it boots from, as every first script sends it.
fn stranger(labels: &[(&str, &str)], client: IpAddr) -> String {
    let by = |identity: Identity| labels.iter().find(|(key, _)| *key == identity.key());
    let found = [
        Identity::Mac,
        Identity::Uuid,
        Identity::Serial,
        Identity::Asset,
    ]
    .into_iter()
    .find_map(by);
    found.map_or_else(
        || format!("client={client}"),
        |(key, value)| format!("{key}={value}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::FixedLabels;

    fn book() -> Book {
        Book::new(sync_channel(1).1)
    }

    fn answered<'a>(labels: &'a Labels, client: &str, named: Option<&'a str>) -> Answered<'a> {
        Answered {
            route: "script",
            client: client.parse().unwrap(),
            labels: Some(labels),
            named,
            machine: None,
            assignment: named.map(|_| "one"),
            profile: None,
            config: None,
            revision: None,
            status: if named.is_some() { 200 } else { 404 },
            reason: if named.is_some() { "ok" } else { "unassigned" },
            detail: None,
            micros: 1,
        }
    }

    fn see(book: &mut Book, query: &str, client: &str, named: Option<&str>) {
        let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
        let record = record(&answered(&labels, client, named), &labels);
        book.take(&record, SystemTime::now());
    }

    #[test]
    fn a_machine_is_one_whatever_else_it_says() {
        let mut book = book();
        see(&mut book, "mac=52:54:00:00:00:01", "192.0.2.1", None);
        see(
            &mut book,
            "mac=52:54:00:00:00:01&serial=a",
            "192.0.2.1",
            None,
        );
        let all: Vec<_> = book.others.iter().collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].requests, 2);
        assert!(all[0].is_unassigned());
        let labels: Vec<_> = all[0]
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(labels, ["serial=a", "mac=52:54:00:00:00:01"]);
    }

    #[test]
    fn whoever_is_assigned_is_no_stranger_any_more() {
        let mut book = book();
        see(&mut book, "mac=52:54:00:00:00:01", "192.0.2.1", None);
        see(
            &mut book,
            "mac=52:54:00:00:00:01",
            "192.0.2.1",
            Some("52:54:00:00:00:01"),
        );
        assert_eq!((book.named.len(), book.others.len()), (1, 0));
        let one = book.named.iter().next().unwrap();
        assert_eq!((one.requests, one.is_unassigned()), (2, false));
    }

    #[test]
    fn a_flood_of_invented_macs_neither_grows_it_nor_hides_the_real() {
        let mut book = book();
        see(
            &mut book,
            "mac=52:54:00:00:00:01",
            "192.0.2.1",
            Some("52:54:00:00:00:01"),
        );
        see(&mut book, "mac=52:54:00:00:00:02", "192.0.2.2", None);
        for number in 0..20_000 {
            let mac = format!("mac=52540{number:07x}");
            see(&mut book, &mac, "192.0.2.66", None);
        }
        assert_eq!(book.named.len(), 1);
        assert_eq!(book.others.len(), 1 + MAX_STRANGERS_PER_CLIENT);
        let real = book.others.iter().last().unwrap();
        assert_eq!(real.labels[0].1, "52:54:00:00:00:02");
    }

    #[test]
    fn a_record_is_bounded_whatever_a_machine_says() {
        let mut query = "mac=52:54:00:00:00:01".to_owned();
        for number in 0..60 {
            write!(query, "&k{number}={}", "x".repeat(250)).unwrap();
        }
        let labels = Labels::parse(&query, &FixedLabels::default()).unwrap();
        let record = record(&answered(&labels, "192.0.2.1", None), &labels);
        assert!(
            record.text.len() < MAX_SAID_BYTES + 64,
            "{}",
            record.text.len()
        );
        assert!(record.text.contains("mac=52:54:00:00:00:01"));
    }
}
