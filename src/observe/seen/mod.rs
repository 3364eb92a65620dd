//! The machines that were seen lately.
//!
//! Threads that answer hand over small records, many at a time, and go on; whoever wants to know collects them. Memory is bounded whatever machines
//! say: those that an Assignment names are as many as the repository says, and all others share places in which nobody is pushed
//! out by one client that makes up names.

mod batch;
mod crowd;

use std::net::IpAddr;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::label::Identity;
use batch::{Batch, Record};
use crowd::Crowd;

pub(super) use batch::{flush, note};

/// How many machines that an Assignment names are remembered.
const MAX_NAMED: usize = 32_768;

/// How many others are remembered.
const MAX_STRANGERS: usize = 4096;

/// How many of those one client may be: a rack row behind one translated address.
const MAX_STRANGERS_PER_CLIENT: usize = 1024;

/// How long somebody who asks waits for what threads still keep. They hand it over when they come to rest, a moment after
/// the answer; in a storm there is always more.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often it is looked at meanwhile.
const LOOK_PAUSE: Duration = Duration::from_micros(100);

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// Collects who was seen. There is one in a process.
#[derive(Debug)]
pub struct Register(Mutex<Book>);

#[derive(Debug)]
struct Book {
    batches: Receiver<Batch>,
    named: Crowd<Sighting>,
    others: Crowd<Sighting>,
    /// Room for the name of a machine that an Assignment names.
    name: String,
}

/// What is kept of a machine: its last record as it came, since most are never looked at.
#[derive(Debug)]
struct Sighting {
    client: IpAddr,
    first_seen: SystemTime,
    last_seen: SystemTime,
    requests: u64,
    route: &'static str,
    status: u16,
    config: Option<String>,
    text: String,
}

impl Register {
    /// From now on, answers are noted. `None` when somebody else collects them already.
    #[must_use]
    pub fn open() -> Option<Self> {
        let batches = batch::open()?;
        Some(Self(Mutex::new(Book::new(batches))))
    }

    /// Takes in what waits, and says how many answers that were. To be called ten times a second, since requests do not wait
    /// for it.
    pub fn collect(&self) -> usize {
        self.book().collect(SystemTime::now())
    }

    /// Who was seen until now: up to `limit` of each kind.
    #[must_use]
    pub fn seen(&self, limit: usize) -> Seen {
        let mut book = self.book();
        book.collect_all();
        Seen {
            named: book.named.iter().take(limit).map(Machine::of).collect(),
            others: book.others.iter().take(limit).map(Machine::of).collect(),
            forgotten: book.named.evicted() + book.others.evicted(),
            lost: batch::lost(),
        }
    }

    /// How many are remembered: those that an Assignment names, and all others.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let mut book = self.book();
        book.collect_all();
        (book.named.len(), book.others.len())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(batches: Receiver<Batch>) -> Self {
        Self {
            batches,
            named: Crowd::new(MAX_NAMED, MAX_NAMED),
            others: Crowd::new(MAX_STRANGERS, MAX_STRANGERS_PER_CLIENT),
            name: String::new(),
        }
    }

    fn collect(&mut self, now: SystemTime) -> usize {
        let mut taken = 0;
        // No more than may wait, so that whoever asks gets an answer in a storm, too.
        while taken < batch::MAX_WAITING {
            let Ok(batch) = self.batches.try_recv() else {
                break;
            };
            taken += batch.received();
            for record in batch.records() {
                self.take(record, now);
            }
        }
        taken
    }

    /// The same, and what threads still keep: whoever was answered before somebody asks is seen.
    fn collect_all(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.collect(SystemTime::now());
            if !batch::is_any_waiting() || Instant::now() >= until {
                return;
            }
            thread::sleep(LOOK_PAUSE);
        }
    }

    fn take(&mut self, record: Record<'_>, now: SystemTime) {
        let fields = record.fields();
        let stranger = stranger(fields.labels());
        let unnamed;
        let stranger = if let Some(stranger) = stranger {
            stranger
        } else {
            unnamed = format!("client={}", record.client);
            &unnamed
        };
        if fields.named.is_empty() {
            if let Some(one) = self.others.see_again(stranger) {
                one.note(record, now);
            } else {
                let new = Sighting::first(record, now);
                self.others.take_in(stranger, record.client, new);
            }
            return;
        }
        self.name.clear();
        for part in [fields.assignment, "\0", fields.named] {
            self.name.push_str(part);
        }
        // Whoever nobody assigned a moment ago is the same machine.
        let before = if self.others.len() == 0 {
            None
        } else {
            self.others.remove(stranger)
        };
        if let Some(one) = self.named.see_again(&self.name) {
            one.note(record, now);
        } else {
            let new = match before {
                Some(mut before) => {
                    before.note(record, now);
                    before
                }
                None => Sighting::first(record, now),
            };
            self.named.take_in(&self.name, record.client, new);
        }
    }
}

impl Sighting {
    fn first(record: Record<'_>, now: SystemTime) -> Self {
        let mut new = Self {
            client: record.client,
            first_seen: now,
            last_seen: now,
            requests: 0,
            route: record.route,
            status: record.status,
            config: None,
            text: String::new(),
        };
        new.note(record, now);
        new
    }

    fn note(&mut self, record: Record<'_>, now: SystemTime) {
        self.requests += 1;
        self.client = record.client;
        self.last_seen = now;
        self.route = record.route;
        self.status = record.status;
        let config = record.fields().config;
        if !config.is_empty() {
            config.clone_into(self.config.get_or_insert_default());
        }
        record.text.clone_into(&mut self.text);
    }
}

impl Machine {
    fn of(seen: &Sighting) -> Self {
        let record = Record {
            client: seen.client,
            route: seen.route,
            status: seen.status,
            text: &seen.text,
        };
        let fields = record.fields();
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let labels = fields.labels().filter_map(|label| label.split_once('='));
        Self {
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            client: seen.client,
            first_seen: seen.first_seen,
            last_seen: seen.last_seen,
            requests: seen.requests,
            route: seen.route,
            status: seen.status,
            reason: fields.reason.to_owned(),
            machine: known(fields.machine),
            assignment: known(fields.assignment),
            profile: known(fields.profile),
            config: seen.config.clone(),
            revision: known(fields.revision),
        }
    }
}

/// Under which name a machine is remembered that no Assignment names: the MAC that it boots from, as every first script sends
/// it, else the next best; the label itself. `None` where it says nothing of itself.
fn stranger<'r>(labels: impl Iterator<Item = &'r str>) -> Option<&'r str> {
    let rank = |label: &&str| {
        let (key, _) = label.split_once('=')?;
        let identity = Identity::from_key(key)?;
        Some(match identity {
            Identity::Mac => 0,
            Identity::Uuid => 1,
            Identity::Serial => 2,
            Identity::Asset => 3,
        })
    };
    let mut best: Option<(u8, &str)> = None;
    for label in labels {
        let Some(rank) = rank(&label) else { continue };
        if best.is_none_or(|(least, _)| rank < least) {
            best = Some((rank, label));
        }
        if rank == 0 {
            break;
        }
    }
    best.map(|(_, label)| label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{FixedLabels, Labels};
    use crate::observe::Answered;
    use std::fmt::Write as _;
    use std::sync::mpsc::channel;

    fn book() -> Book {
        Book::new(channel().1)
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

    fn batch(event: &Answered<'_>, labels: &Labels) -> Batch {
        let mut batch = Batch::default();
        batch.push(event, labels);
        batch
    }

    fn see(book: &mut Book, query: &str, client: &str, named: Option<&str>) {
        let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
        let batch = batch(&answered(&labels, client, named), &labels);
        for record in batch.records() {
            book.take(record, SystemTime::now());
        }
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
        let all: Vec<_> = book.others.iter().map(Machine::of).collect();
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
        let one = Machine::of(book.named.iter().next().unwrap());
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
        let real = Machine::of(book.others.iter().last().unwrap());
        assert_eq!(real.labels[0].1, "52:54:00:00:00:02");
    }

    #[test]
    fn a_record_is_bounded_whatever_a_machine_says() {
        let mut query = "mac=52:54:00:00:00:01".to_owned();
        for number in 0..60 {
            write!(query, "&k{number}={}", "x".repeat(250)).unwrap();
        }
        let labels = Labels::parse(&query, &FixedLabels::default()).unwrap();
        let batch = batch(&answered(&labels, "192.0.2.1", None), &labels);
        let record = batch.records().next().unwrap();
        assert!(
            record.text.len() < batch::MAX_SAID_BYTES + 64,
            "{}",
            record.text.len()
        );
        assert!(record.text.contains("mac=52:54:00:00:00:01"));
    }
}
