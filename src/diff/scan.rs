//! Everybody is asked about, on all cores, and what differs is written down.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::received::{Delta, Got, Memory, Part, Side, differ};
use super::report::Change;
use super::who::{Alphabet, Class, Classes, Pair, Unit, labels, merged, units};
use crate::label::Labels;
use crate::snapshot::{Rule, Snapshot};

/// How many machines or classes one thread takes at a time. What is bounded is bounded for each such chunk, so that the
/// report is the same on every machine, however many cores it has.
const CHUNK: usize = 1024;
/// How often a chunk tries other labels where those of a machine show no difference between two templates.
const MAX_LABEL_TRIES: usize = 4096;
/// How often a chunk asks what a class gives to a machine that only one side names and that gets the same from both.
const MAX_CLASS_TRIES: usize = 16_384;

/// Somebody who receives something else.
pub(super) struct Finding<'s> {
    /// The machine's number; `None` for a class.
    pub(super) unit: Option<usize>,
    /// The class labels that were sent.
    pub(super) class: Class<'s>,
    pub(super) labels: Labels,
    pub(super) delta: Delta<'s>,
}

/// What was found, and what was looked at.
#[derive(Default)]
pub(super) struct Scanned<'s> {
    pub(super) findings: Vec<Finding<'s>>,
    /// How many label sets were asked about.
    pub(super) probes: usize,
    /// How many machines have another Assignment and receive the same.
    pub(super) moved: usize,
    /// How many machines were not asked about with every combination of class labels.
    pub(super) incomplete: usize,
}

/// Asks about every machine and every class.
pub(super) fn scan<'s>(
    sides: [&'s Side; 2],
    units: &[Unit<'s>],
    alphabet: &Alphabet<'s>,
    classes: &Classes<'s>,
) -> [Scanned<'s>; 2] {
    let machines = in_chunks(units.len(), |range| {
        let mut scan = Scan::new(sides, alphabet, classes);
        for (number, unit) in units.iter().enumerate().take(range.end).skip(range.start) {
            scan.unit(number, unit);
        }
        scan.done
    });
    let sets = &classes.sets;
    let classes = in_chunks(sets.len(), |range| {
        let mut scan = Scan::new(sides, alphabet, classes);
        for class in sets.get(range).unwrap_or_default() {
            scan.class(class);
        }
        scan.done
    });
    [machines, classes]
}

/// The sides' snapshots.
pub(super) fn snapshots(sides: [&Side; 2]) -> [&Snapshot; 2] {
    sides.map(Side::snapshot)
}

/// The machines of both sides.
pub(super) fn machines(sides: [&Side; 2]) -> Vec<Unit<'_>> {
    units(snapshots(sides))
}

/// Runs `each` over chunks of `0..count` on all cores, and puts the results together in order.
fn in_chunks<'s>(
    count: usize,
    each: impl Fn(std::ops::Range<usize>) -> Scanned<'s> + Sync,
) -> Scanned<'s> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= count {
                return;
            }
            let scanned = each(start..count.min(start + CHUNK));
            let mut done = done.lock().expect("no thread panics while it holds this");
            done.push((start, scanned));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 1..cores.min(count.div_ceil(CHUNK)) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done
        .into_inner()
        .expect("no thread panics while it holds this");
    done.sort_by_key(|(start, _)| *start);
    let mut all = Scanned::default();
    for (_, one) in done {
        all.findings.extend(one.findings);
        all.probes += one.probes;
        all.moved += one.moved;
        all.incomplete += one.incomplete;
    }
    all
}

/// What makes two differences of one machine the same.
type Key<'s> = (Option<Got<'s>>, Option<Got<'s>>, Vec<(Part<'s>, Change)>);

/// One chunk.
struct Scan<'c, 's> {
    sides: [&'s Side; 2],
    alphabet: &'c Alphabet<'s>,
    classes: &'c Classes<'s>,
    /// The class labels that matter to machines which these Assignments name, and whether these are all.
    contexts: HashMap<Vec<*const Rule>, (Vec<Class<'s>>, bool)>,
    memory: Memory,
    class_tries: usize,
    done: Scanned<'s>,
}

impl<'c, 's> Scan<'c, 's> {
    fn new(sides: [&'s Side; 2], alphabet: &'c Alphabet<'s>, classes: &'c Classes<'s>) -> Self {
        Self {
            sides,
            alphabet,
            classes,
            contexts: HashMap::new(),
            memory: Memory::with_tries(MAX_LABEL_TRIES),
            class_tries: MAX_CLASS_TRIES,
            done: Scanned::default(),
        }
    }

    fn class(&mut self, class: &Class<'s>) {
        let Some(labels) = labels(&[], class) else {
            return;
        };
        self.done.probes += 1;
        let [base, head] = self.sides;
        let found = [base.find(&labels), head.find(&labels)];
        let [before, after] = &found;
        if let Some(delta) = differ(self.sides, [before, after], &labels, &mut self.memory) {
            self.done.findings.push(Finding {
                unit: None,
                class: class.clone(),
                labels,
                delta,
            });
        }
    }

    fn unit(&mut self, number: usize, unit: &Unit<'s>) {
        let sides = snapshots(self.sides);
        let rules: Vec<&'s Rule> = sides.iter().flat_map(|side| unit.rules(side)).collect();
        let key = rules.iter().map(|rule| std::ptr::from_ref(*rule)).collect();
        let alphabet = self.alphabet;
        let known = self.contexts.entry(key);
        let (contexts, is_whole) = known.or_insert_with(|| alphabet.contexts(&rules)).clone();
        let mut one = One {
            number,
            known: Vec::new(),
            is_moved: false,
        };
        // What only one side says something about, and the other leaves to classes.
        let mut undecided = Vec::new();
        let sent = unit.sent(sides);
        for identity in &sent {
            for context in &contexts {
                if self.ask(&mut one, identity, context) == Some(Same::Undecided) {
                    undecided.push((identity, context));
                }
            }
        }
        let mut is_whole = is_whole;
        if one.known.is_empty() {
            is_whole &= self.decide(&mut one, &undecided);
        }
        self.done.moved += usize::from(one.is_moved && one.known.is_empty());
        self.done.incomplete += usize::from(!is_whole);
    }

    /// Looks for a class in which a machine gets something else that gets the same without any. Says whether every class
    /// was looked at.
    fn decide(&mut self, one: &mut One<'s>, undecided: &[(&Vec<Pair<'_>>, &Class<'s>)]) -> bool {
        let classes = self.classes;
        for (identity, context) in undecided {
            for class in &classes.sets {
                if self.class_tries == 0 {
                    return false;
                }
                self.class_tries -= 1;
                let Some(class) = merged(context, class).filter(|class| class != *context) else {
                    continue;
                };
                if self.ask(one, identity, &class).is_none() {
                    return true;
                }
            }
        }
        undecided.is_empty() || classes.is_whole
    }

    /// Asks what a machine gets from both sides; `None` when it differs.
    fn ask(&mut self, one: &mut One<'s>, identity: &[Pair<'_>], class: &Class<'s>) -> Option<Same> {
        let Some(labels) = labels(identity, class) else {
            return Some(Same::Known);
        };
        self.done.probes += 1;
        let [base, head] = self.sides;
        let found = [base.find(&labels), head.find(&labels)];
        let [before, after] = &found;
        let is_unnamed = (before.is_unnamed(), after.is_unnamed());
        if is_unnamed == (true, true) {
            return Some(Same::Known);
        }
        let delta = differ(self.sides, [before, after], &labels, &mut self.memory);
        let Some(delta) = delta else {
            one.is_moved |= match (before.matched(), after.matched()) {
                (Some(before), Some(after)) => before.assignment() != after.assignment(),
                _ => false,
            };
            let is_left = is_unnamed.0 != is_unnamed.1;
            return Some(if is_left {
                Same::Undecided
            } else {
                Same::Known
            });
        };
        let key = (delta.before, delta.after, delta.parts.clone());
        if !one.known.contains(&key) {
            one.known.push(key);
            self.done.findings.push(Finding {
                unit: Some(one.number),
                class: class.clone(),
                labels,
                delta,
            });
        }
        None
    }
}

/// Why there is no difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    /// The machine gets the same, or what its class gets.
    Known,
    /// It gets the same, but on one side from its class: in another class it may differ.
    Undecided,
}

/// What is known of one machine.
struct One<'s> {
    number: usize,
    known: Vec<Key<'s>>,
    is_moved: bool,
}
