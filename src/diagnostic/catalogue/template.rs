//! Templates and the values they use.

use super::super::{Diagnostic, Location, names};

/// A mistake inside a template, in the template room's words.
#[must_use]
pub fn problem(
    at: Location,
    code: &'static str,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic::error(code, at, message).help_maybe(help)
}

/// A value that some user of the template does not have.
#[must_use]
pub fn undefined_value<'a>(
    at: Location,
    path: &str,
    users: impl Iterator<Item = &'a str>,
    near: Option<&str>,
) -> Diagnostic {
    /// More than this nobody reads in one line.
    const SHOWN: usize = 3;
    let users: Vec<&str> = users.collect();
    let mut whom = users
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if users.len() > SHOWN {
        whom.push_str(&format!(" and {} more", users.len() - SHOWN));
    }
    Diagnostic::error("undefined-value", at, format!("`{path}` is not defined for {whom}"))
        .label("no such value")
        .note("every value that a template writes must exist, in whatever branch, so that no machine finds out at boot")
        .help_maybe(near.map(|near| format!("a value with a similar name exists: `{near}`")))
        .help_line("define it in the Assignment, or give it a default in the Profile's `values`")
}

/// A value that cannot be printed as it is.
#[must_use]
pub fn unprintable_value(at: Location, path: &str, what: &str, whom: &str) -> Diagnostic {
    Diagnostic::error(
        "unprintable-value",
        at,
        format!("`{path}` is {what} for {whom} and cannot be printed"),
    )
    .help_line("print one of its parts, or add a filter such as `|tojson` or `|join(\",\")`")
}

/// A label that a body prints without a filter for its syntax.
#[must_use]
pub fn bare_label(at: Location, config: &str) -> Diagnostic {
    Diagnostic::warning(
        "bare-label",
        at,
        format!("config `{config}` prints a label without a filter"),
    )
    .label("whatever the machine says")
    .note("a machine's labels may hold quotes, blanks and anything else but control characters")
    .help_line(
        "add `|yaml`, `|sh`, `|tojson` or `|urlencode`, or `|safe` if any text is harmless here",
    )
}

/// Configs that name each other.
#[must_use]
pub fn circle<'a>(at: Location, configs: impl Iterator<Item = &'a str>) -> Diagnostic {
    Diagnostic::error(
        "config-circle",
        at,
        format!("the configs {} name each other in a circle", names(configs)),
    )
    .note("a config's URL holds an id of its content, so that content cannot hold the URL")
    .help_line("fetch one of them under a fixed URL, such as `/v1/boot/{mac}/{name}`")
}

/// A render that failed with the values at hand.
#[must_use]
pub fn render_failed(at: Location, what: &str, whom: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "render-failed",
        at,
        format!("{what} cannot be rendered for {whom}: {why}"),
    )
}
