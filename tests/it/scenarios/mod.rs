//! What can happen to a server and its repository, and what is to come of it: one table.
//!
//! Each row is a story: where the repository is, what happens step by step, and how it ends. It is told to the real loop
//! over the real transports, in this process. The end is the revision that is served, the class of the last attempt, and
//! what the metrics of the process have counted since its start:
//!
//! * `gitboot_sync_errors_total{class=…}`: every check that could not read the repository;
//! * `gitboot_refused_revisions_total`: every revision that was read and refused, once. That is an answer of the
//!   repository, not a failure to read it.
//!
//! After every check of every row it holds as well that no message is empty, runs over a line or holds a secret, and that
//! the time of the last good check moves when, and only when, the repository could be read.
//!
//! `tests/golden/scenarios.txt` is the table for people, written by `BLESS=1`.

/// The rows of a group, in the words `"what happens" at Place: step, step => end;`.
macro_rules! rows {
    ($(
        $scenario:literal at $place:ident: $($step:expr),+
        => $end:ident($served:ident $(, $class:literal)?) $(.$also:ident($($with:expr),*))*;
    )*) => {
        pub(super) fn rows() -> Vec<super::Row> {
            vec![$(
                super::Story {
                    scenario: $scenario,
                    place: super::world::Place::$place,
                    steps: vec![$($step),+],
                }
                .$end(super::Served::$served $(, $class)?)
                $(.$also($($with),*))*
            ),*]
        }
    };
}

mod auth;
mod content;
mod local;
mod remote;
mod restart;
mod server;
mod signed;
mod steps;
mod transport;
mod trigger;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitboot::publish::Outcome;

use crate::support::fixture::golden;
use server::{Tally, class_of, messages};
use world::{Place, World};

/// How many rows of a group run at a time: most of them wait, for git or for a timeout.
const THREADS: usize = 4;

/// Something that happens.
type Step = fn(&mut World);

/// A group: its name and what makes its rows.
type Group = (&'static str, fn() -> Vec<Row>);

/// The groups in the order of the golden file.
const GROUPS: [Group; 8] = [
    ("transport", transport::rows),
    ("remote fault", remote::rows),
    ("local fault", local::rows),
    ("restart", restart::rows),
    ("content", content::rows),
    ("signature", signed::rows),
    ("auth", auth::rows),
    ("trigger", trigger::rows),
];

/// What is served in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// Nothing.
    Nothing,
    /// The first commit of the repository.
    Old,
    /// The commit that the ref was set to last.
    New,
}

/// A story and its end.
struct Row {
    scenario: &'static str,
    place: Place,
    steps: Vec<Step>,
    served: Served,
    class: &'static str,
    errors: Vec<(&'static str, u32)>,
    refused: u32,
    /// What the last message has to say; the tests of `source` and of the diagnostics hold whole ones.
    because: &'static str,
    /// Whether only root can tell it.
    is_for_root: bool,
}

/// The beginning of a row, which says what happens.
struct Story {
    scenario: &'static str,
    place: Place,
    steps: Vec<Step>,
}

impl Story {
    fn ends(self, served: Served, class: &'static str) -> Row {
        let Self {
            scenario,
            place,
            steps,
        } = self;
        Row {
            scenario,
            place,
            steps,
            served,
            class,
            errors: Vec::new(),
            refused: 0,
            because: "",
            is_for_root: false,
        }
    }

    /// The last check finds what is served.
    fn serves(self, served: Served) -> Row {
        self.ends(served, "ok")
    }

    /// The last check, and no other, cannot read the repository.
    fn fails(self, served: Served, class: &'static str) -> Row {
        self.ends(served, class).after_errors(class, 1)
    }

    /// The last check refuses what it reads, and no other does.
    fn refuses(self, served: Served, class: &'static str) -> Row {
        self.ends(served, class).after_refusals(1)
    }
}

impl Row {
    /// So many checks failed with this class, all of them since the start.
    fn after_errors(mut self, class: &'static str, count: u32) -> Self {
        self.errors.retain(|(known, _)| *known != class);
        self.errors.push((class, count));
        self.errors.sort_unstable();
        self
    }

    /// So many revisions were refused since the start.
    fn after_refusals(self, count: u32) -> Self {
        Self {
            refused: count,
            ..self
        }
    }

    /// The last message says this.
    fn because(self, because: &'static str) -> Self {
        Self { because, ..self }
    }

    /// Only root can tell it.
    fn for_root(self) -> Self {
        Self {
            is_for_root: true,
            ..self
        }
    }

    fn expected(&self) -> End {
        End {
            served: self.served,
            class: self.class.to_owned(),
            metric: metric(&self.errors, self.refused),
        }
    }

    /// The line of the golden file.
    fn line(&self, group: &str) -> String {
        let served = match self.served {
            Served::Nothing => "none",
            Served::Old => "old",
            Served::New => "new",
        };
        let (scenario, class) = (self.scenario, self.class);
        let metric = metric(&self.errors, self.refused);
        format!("{group} | {scenario} | {served} | {class} | {metric}\n")
    }

    /// Tells the story; says what is wrong with its end.
    fn run(&self) -> Result<(), String> {
        let told = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(self.place);
            for step in &self.steps {
                step(&mut world);
            }
            let outcome = world.server().outcome();
            (End::of(&mut world, self.served), outcome)
        }));
        let (end, outcome) = told.map_err(|panic| panic_text(panic.as_ref()))?;
        let says_it = messages(&outcome)
            .iter()
            .any(|message| message.contains(self.because));
        if end == self.expected() && (says_it || self.because.is_empty()) {
            return Ok(());
        }
        let (expected, because) = (self.expected(), self.because);
        Err(format!(
            "expected {expected:?} because of {because:?}, ended as {end:?}: {outcome:?}"
        ))
    }
}

/// How a story ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    served: Served,
    class: String,
    metric: String,
}

impl End {
    /// `expected` is what counts where the first commit is the last one, too.
    fn of(world: &mut World, expected: Served) -> Self {
        let (first, last) = (
            world.commits.first().cloned(),
            world.commits.last().cloned(),
        );
        let server = world.server();
        let revision = server.served();
        let what = if revision.is_none() {
            Served::Nothing
        } else if revision == first && (revision != last || expected == Served::Old) {
            Served::Old
        } else if revision == last {
            Served::New
        } else {
            panic!("{revision:?} is served, which is neither {first:?} nor {last:?}");
        };
        if let Outcome::Refused(refusal) = server.outcome() {
            assert_eq!(Some(refusal.revision.to_string()), last, "{refusal:?}");
        }
        let Tally {
            errors, refused, ..
        } = server.tally();
        let errors: Vec<_> = errors
            .iter()
            .map(|(class, count)| (*class, *count))
            .collect();
        Self {
            served: what,
            class: class_of(&server.outcome()).to_owned(),
            metric: metric(&errors, *refused),
        }
    }
}

/// What the metrics have counted, as text.
fn metric(errors: &[(&str, u32)], refused: u32) -> String {
    let errors = errors
        .iter()
        .map(|(class, count)| format!("gitboot_sync_errors_total{{class=\"{class}\"}} +{count}"));
    let refused = (refused > 0).then(|| format!("gitboot_refused_revisions_total +{refused}"));
    let counted: Vec<String> = errors.chain(refused).collect();
    if counted.is_empty() {
        return "unchanged".to_owned();
    }
    counted.join(", ")
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}

/// Runs all rows of a group, some at a time, and tells every one that does not end as it should.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests is to know that some are left out"
)]
fn check(group: &str) {
    let (_, rows) = GROUPS.iter().find(|(name, _)| *name == group).unwrap();
    let mut rows = rows();
    if rows.iter().any(|row| row.is_for_root) && !local::may_mount() {
        eprintln!("only root may mount; the scenarios that need it are left out");
        rows.retain(|row| !row.is_for_root);
    }
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = row.run() {
                        let problem = format!("{}: {problem}", row.scenario);
                        wrong.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} scenarios of the group `{group}`:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_transport_is_followed() {
    check("transport");
}

#[test]
fn faults_of_the_remote_change_nothing() {
    check("remote fault");
}

#[test]
fn faults_of_this_machine_mend_themselves() {
    check("local fault");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    check("restart");
}

#[test]
fn bad_content_is_refused_as_a_whole() {
    check("content");
}

#[test]
fn only_signed_commits_are_served_where_signatures_are_wanted() {
    check("signature");
}

#[test]
fn credentials_are_read_again_and_never_told() {
    check("auth");
}

#[test]
fn checks_begin_when_they_should() {
    check("trigger");
}

#[test]
fn the_table_is_written_down() {
    let mut text = "group | scenario | served | class | metric\n".to_owned();
    let mut scenarios = std::collections::BTreeSet::new();
    for (group, rows) in GROUPS {
        for row in rows() {
            assert!(scenarios.insert(row.scenario), "twice: {}", row.scenario);
            assert!(!row.scenario.contains('|'), "{}", row.scenario);
            text.push_str(&row.line(group));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scenarios.txt");
    golden(&path, &text);
}
