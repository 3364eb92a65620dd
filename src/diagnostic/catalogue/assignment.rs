//! Selectors, machines and priorities.

use crate::label::Rejection;

use super::super::{Diagnostic, Location};

/// Selectors that select nothing.
#[must_use]
pub fn empty_selectors(at: Location, field: &str) -> Diagnostic {
    Diagnostic::error("empty-selector", at, format!("`{field}` is empty"))
        .label("selects nobody, or everybody: it cannot be told")
        .help_line("add a label, name `machines`, or write `isDefault: true` for machines that nothing else selects")
}

/// A label without values.
#[must_use]
pub fn empty_values(at: Location, key: &str) -> Diagnostic {
    Diagnostic::error(
        "empty-selector",
        at,
        format!("label `{key}` has no value to compare with"),
    )
    .label("an empty list matches no machine")
    .help_line("add a value, or remove the label")
}

/// `machines` without a machine.
#[must_use]
pub fn empty_machines(at: Location) -> Diagnostic {
    Diagnostic::error("empty-selector", at, "`machines` is empty".to_owned())
        .label("names nobody")
        .help_line("add a machine, such as `{mac: \"52:54:00:12:34:56\"}`, or remove the field")
}

/// `profileSelectors` without labels.
#[must_use]
pub fn profile_selectors_empty(at: Location, found: &str) -> Diagnostic {
    Diagnostic::error(
        "empty-selector",
        at,
        format!("`profileSelectors` must be a map of labels with at least one entry, not {found}"),
    )
    .help_line("add a label of the Profile, such as `os: flatcar`, or name it with `profile`")
}

/// A key that is no label.
#[must_use]
pub fn invalid_key(at: Location, key: &str) -> Diagnostic {
    Diagnostic::error("invalid-label", at, format!("`{key}` is no label"))
        .note("a label has 1 to 64 bytes and no control characters")
}

/// One label under two spellings.
#[must_use]
pub fn same_key_twice(at: Location, first: &str, second: &str) -> Diagnostic {
    Diagnostic::error(
        "duplicate-key",
        at,
        format!("`{second}` is another spelling of `{first}`, which is given too"),
    )
    .help_line(format!("put all values under `{first}`"))
}

/// Too many combinations of values.
#[must_use]
pub fn too_many_combinations(at: Location, limit: usize) -> Diagnostic {
    Diagnostic::error(
        "too-many-combinations",
        at,
        format!("the values multiply to more than {limit} combinations"),
    )
    .help_line("split the Assignment")
}

/// A value that a machine's request would lose.
#[must_use]
pub fn rejected_value(at: Location, key: &str, value: &str, why: Rejection) -> Diagnostic {
    let (code, what, label, help) = match why {
        Rejection::MalformedMac => (
            "malformed-mac",
            format!("`{value}` is no MAC address"),
            "not a MAC address",
            "write 6, 8 or 20 bytes as hex, such as `52:54:00:12:34:56`, `52-54-00-12-34-56` or `525400123456`",
        ),
        Rejection::MalformedUuid => (
            "malformed-uuid",
            format!("`{value}` is no UUID"),
            "not a UUID",
            "write it as `47c6da67-7477-4970-aa03-84e48ff4f6ad`, in any case, with or without hyphens",
        ),
        Rejection::Junk => (
            "junk-identity",
            format!("`{value}` identifies no machine"),
            "a placeholder of firmware makers",
            "many machines send this value, so it is never compared; select by another key",
        ),
        Rejection::Empty => (
            "empty-selector",
            format!("an empty value of `{key}` matches no machine"),
            "a label without a value counts as absent",
            "remove it",
        ),
        Rejection::Control => (
            "invalid-value",
            format!("a value of `{key}` holds a control character"),
            "no machine can send this",
            "remove the character",
        ),
        Rejection::TooLong => (
            "invalid-value",
            format!("a value of `{key}` is longer than 256 bytes"),
            "no machine can send this",
            "shorten it",
        ),
    };
    Diagnostic::error(code, at, what)
        .label(label)
        .help_line(help)
}

/// A `buildarch` that iPXE does not have.
#[must_use]
pub fn unknown_buildarch(at: Location, value: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown-buildarch",
        at,
        format!("`{value}` is no architecture that iPXE is built for"),
    )
    .label("no machine sends this")
    .note("iPXE's names are `i386`, `x86_64`, `arm32`, `arm64`, `riscv32`, `riscv64` and `loong64`")
    .help_line("`aarch64` and `amd64` are understood as `arm64` and `x86_64`")
}

/// A priority out of range.
#[must_use]
pub fn invalid_priority(at: Location, low: i64, high: i64) -> Diagnostic {
    Diagnostic::error(
        "invalid-priority",
        at,
        format!("`priority` must be a whole number from {low} to {high}"),
    )
}

/// An Assignment for nobody.
#[must_use]
pub fn selects_nobody(at: Location) -> Diagnostic {
    Diagnostic::error(
        "selects-nobody",
        at,
        "the Assignment has neither `subjectSelectors` nor `machines`".to_owned(),
    )
    .help_line("add one of them, or write `isDefault: true` for machines that nothing else selects")
}

/// A default that names machines.
#[must_use]
pub fn default_names_machines(at: Location, key: &str) -> Diagnostic {
    Diagnostic::error("default-names-machines", at, format!("a default cannot select by `{key}`"))
        .label("an identity")
        .note("a default is for machines that nothing else selects; it may narrow by labels such as `buildarch`")
        .help_line("remove `isDefault: true`: an Assignment that names machines wins over every default anyway")
}

/// A field that a machine does not have.
#[must_use]
pub fn unknown_machine_field(at: Location, field: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown-field",
        at,
        format!("a machine has no field `{field}`"),
    )
    .label("unknown field")
    .note("the fields are `name`, `uuid`, `serial`, `mac`, `asset` and `values`")
    .help_line(
        "other labels belong into `subjectSelectors`, other data into the machine's `values`",
    )
}

/// A machine that nothing identifies.
#[must_use]
pub fn machine_without_identity(at: Location) -> Diagnostic {
    Diagnostic::error(
        "missing-field",
        at,
        "the machine has no identity".to_owned(),
    )
    .help_line("add `mac`, `uuid`, `serial` or `asset`")
}

/// A machine's name that cannot be one.
#[must_use]
pub fn invalid_machine_name(at: Location, limit: usize) -> Diagnostic {
    Diagnostic::error(
        "invalid-name",
        at,
        "the machine's name is not usable".to_owned(),
    )
    .note(format!(
        "a name has 1 to {limit} bytes and no control characters"
    ))
}

/// Two machines of one name.
#[must_use]
pub fn machine_name_twice(at: Location, name: &str) -> Diagnostic {
    Diagnostic::error(
        "duplicate-name",
        at,
        format!("two machines of this Assignment are named `{name}`"),
    )
    .label("second time")
    .help_line("rename one of them; a name is optional")
}
