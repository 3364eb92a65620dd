//! Rules for labels: a machine says only what it is asked.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, lint as say, slip};
use crate::label::SENT;
use crate::manifest::{Assignment, Part};

use super::Subject;
use crate::compile::resolve::requirements;

/// What iPXE says of the firmware that it runs on: the directories `src/interface` and `src/arch/*/include/*`, where each defines its
/// `PLATFORM`.
const PLATFORMS: [&str; 4] = ["pcbios", "efi", "linux", "sbi"];

/// Ensure that a label in a template is one that some machine sends: a first script of one's own and `--label` may send others,
/// for which somebody then asks.
pub(super) fn unsent(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let mut known: BTreeSet<&str> = SENT.into_iter().collect();
    known.extend(selectors(subject).map(|(_, key)| key));
    let profiles = subject.manifests.profiles.iter();
    let required: Vec<String> = profiles
        .flat_map(requirements)
        .map(|(key, _)| key)
        .collect();
    known.extend(required.iter().map(String::as_str));
    for loaded in subject.profiles() {
        let configs = loaded.configs.iter().map(|(_, body)| body);
        for body in loaded.script.iter().chain(configs) {
            let places = body.template.iter();
            let places = places.flat_map(|template| &template.usage().label_places);
            for (key, place) in places.filter(|(key, _)| !known.contains(key.as_str())) {
                let at = body.spot.place(place, subject.locator);
                found.push(say::unsent_label(at, key, known.iter().copied()));
            }
        }
    }
}

/// Ensure that a selector's label is not a slip for one that machines send.
pub(super) fn misspelt(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for assignment in assignments(subject) {
        for selector in &assignment.selectors {
            if let Some(near) = slip(&selector.key, SENT.into_iter()) {
                let at = subject
                    .locator
                    .place(&assignment.origin, &selector.steps, Part::Key);
                found.push(say::misspelt_label(at, &selector.key, near));
            }
        }
    }
}

/// Ensure that a `platform` is one that iPXE runs on.
pub(super) fn unknown_platforms(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for assignment in assignments(subject) {
        let selectors = assignment.selectors.iter();
        for selector in selectors.filter(|one| one.key == "platform") {
            let values = selector.values.iter();
            for value in values.filter(|value| !PLATFORMS.contains(&value.as_str())) {
                let at = subject
                    .locator
                    .place(&assignment.origin, &selector.steps, Part::Value);
                found.push(say::unknown_platform(at, value));
            }
        }
    }
}

fn assignments<'a>(subject: &Subject<'a>) -> impl Iterator<Item = &'a Assignment> {
    let all = subject.manifests.assignments.iter().map(AsRef::as_ref);
    all.filter(|assignment: &&Assignment| !assignment.broken)
}

fn selectors<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a Assignment, &'a str)> {
    assignments(subject).flat_map(|one| {
        let keys = one.selectors.iter();
        keys.map(move |selector| (one, selector.key.as_str()))
    })
}
