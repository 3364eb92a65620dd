//! What a change would mean: who receives something else from one snapshot than from another, and what.
//!
//! Machines cannot be counted, but what tells them apart can: [`compare`] makes up one machine for each identity that either
//! side names, with all and with parts of what it may send, in every class that makes a difference to it (`who`); it asks
//! both sides what these machines get (`received`); and it puts those together to whom the same happens (`group`). Classes
//! are compared by every combination of the labels that Assignments ask for.
//!
//! Bodies that are made of the same template and values are the same for everybody and are not rendered at all. Those that
//! are not alike are rendered for the labels in question, and if these show no difference for others, too (`literals`).

mod group;
mod human;
mod json;
mod literals;
mod markdown;
mod received;
mod report;
mod scan;
mod signature;
mod text;
mod who;
mod words;

pub use report::{
    Assigned, Change, Compared, Example, Group, Kind, Member, PartChange, PartDiff, Received,
    Report, Revisions, Subject,
};

use crate::snapshot::Snapshot;
use group::groups;
use received::Side;
use scan::{machines, scan, snapshots};
use who::Alphabet;

/// Compares what everybody receives from two snapshots.
#[must_use]
pub fn compare(base: &Snapshot, head: &Snapshot, revisions: Revisions) -> Report {
    let (base, head) = (Side::new(base), Side::new(head));
    let sides = [&base, &head];
    let alphabet = Alphabet::new(snapshots(sides));
    let classes = alphabet.classes(snapshots(sides));
    let units = machines(sides);
    let [machines, by_class] = scan(sides, &units, &alphabet, &classes);
    let compared = Compared {
        machines: units.len(),
        classes: classes.sets.len(),
        class_keys: classes.keys.iter().map(|key| (*key).to_owned()).collect(),
        all_classes: classes.is_whole,
        incomplete_machines: machines.incomplete,
        label_sets: machines.probes + by_class.probes,
    };
    let mut differing: Vec<_> = machines.findings.iter().map(|one| one.unit).collect();
    differing.dedup();
    Report {
        revisions,
        differing_machines: differing.len(),
        differing_classes: by_class.findings.len(),
        compared,
        moved_machines: machines.moved,
        groups: groups(sides, &units, &machines.findings, &by_class.findings),
    }
}
