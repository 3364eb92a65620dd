//! Who wins, and where that cannot be told.

use std::fmt::Write as _;

use super::super::{Diagnostic, Location, names};

/// Two that one machine could satisfy, at equal rank.
#[must_use]
pub fn conflict(
    at: Location,
    one: &str,
    other: &str,
    shared: &str,
    first: &Location,
) -> Diagnostic {
    let message = if one == other {
        format!("two machines of Assignment `{one}` share {shared}")
    } else {
        format!("Assignments `{other}` and `{one}` both select {shared}, at equal rank")
    };
    Diagnostic::error("conflict", at, message)
        .label("selected here too")
        .note(format!("the other one is at {first}"))
        .note("a machine that satisfies both could get either script")
        .help_line("remove one of them, set `priority`, or add a label that tells them apart")
}

/// Classes on different labels that one machine could satisfy, at equal rank: the first of the others, and how many there are.
#[must_use]
pub fn overlap<'a>(
    at: Location,
    name: &str,
    first: impl Iterator<Item = &'a str>,
    count: usize,
) -> Diagnostic {
    let first: Vec<&str> = first.collect();
    let mut listed = names(first.iter().copied());
    if count > first.len() {
        let _ = write!(listed, " and {} more", count - first.len());
    }
    Diagnostic::warning(
        "class-overlap",
        at,
        format!(
            "a machine could be selected by Assignment `{name}` and by {listed}, at equal rank"
        ),
    )
    .note("the name then decides, in byte order")
    .help_line("set `priority` to say which one wins")
}

/// Two identity keys in one selector.
#[must_use]
pub fn identities_anded<'a>(
    at: Location,
    name: &str,
    keys: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    Diagnostic::warning(
        "identities-anded",
        at,
        format!(
            "Assignment `{name}` selects by {} at once: a machine must match all of them",
            names(keys)
        ),
    )
    .note("a machine whose mainboard or network card was replaced no longer matches")
    .help_line("use `machines`, where one identity is enough and none may contradict")
}

/// `profileSelectors` that no Profile satisfies.
#[must_use]
pub fn no_profile_has_labels(at: Location, assignment: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown-profile",
        at,
        format!("no Profile has the labels that Assignment `{assignment}` asks for"),
    )
    .label("all of them must be in one Profile's `metadata.labels`")
}

/// `profileSelectors` that several Profiles satisfy, and nothing tells them apart.
#[must_use]
pub fn ambiguous_profiles<'a>(
    at: Location,
    assignment: &str,
    profiles: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    Diagnostic::error("ambiguous-profiles", at, format!("Assignment `{assignment}` could mean {}", names(profiles)))
        .note("several Profiles may share labels only if one label `assignment/ipxe-<key>` with different values tells which machine gets which")
        .help_line("add such a label, as `assignment/ipxe-buildarch: arm64`, to each of them, or name one with `profile`")
}
