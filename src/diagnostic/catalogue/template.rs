//! Templates and the values they use.

use crate::template::ProblemKind;

use super::super::{Diagnostic, Location, names};

/// The code for a config that the Profile does not have.
pub const UNKNOWN_CONFIG: &str = "unknown-config";

/// A mistake inside a template.
#[must_use]
pub fn problem(at: Location, kind: &ProblemKind) -> Diagnostic {
    let (code, message, help) = words(kind);
    Diagnostic::error(code, at, message).help_maybe(help)
}

/// A problem that shows only when a template is rendered, with whom it was rendered for.
#[must_use]
pub fn render_failed(at: Location, kind: &ProblemKind, whom: &str) -> Diagnostic {
    let (code, message, help) = words(kind);
    Diagnostic::error(code, at, format!("{message}, rendered for {whom}")).help_maybe(help)
}

/// The code, the message and the remedy of a problem.
fn words(kind: &ProblemKind) -> Words {
    let near = |what: &str, similar: &Option<String>| {
        similar
            .as_ref()
            .map(|near| format!("{what} with a similar name exists: `{near}`"))
    };
    match kind {
        ProblemKind::Syntax(words) => ("template-syntax", format!("the template cannot be parsed: {words}"), None),
        ProblemKind::TooLarge => (
            "template-limit",
            "the template is too large".to_owned(),
            Some("write `template: false` to serve the file byte for byte".to_owned()),
        ),
        ProblemKind::UnknownVariable { name, similar } => (
            "unknown-variable",
            format!("`{name}` is not in scope"),
            Some(near("a name", similar).unwrap_or_else(|| {
                "templates see `labels`, `values`, `configs`, `config_dir`, `profile`, `assignment`, `machine` and `base_url`".to_owned()
            })),
        ),
        ProblemKind::UnknownConfig { name, similar } => {
            (UNKNOWN_CONFIG, format!("the Profile has no config `{name}`"), near("a config", similar))
        }
        ProblemKind::UnknownFilter { name, similar } => ("unknown-filter", format!("there is no filter `{name}`"), near("a filter", similar)),
        ProblemKind::UnknownTest { name, similar } => ("unknown-test", format!("there is no test `{name}`"), near("a test", similar)),
        ProblemKind::UnknownFunction { name, similar } => {
            ("unknown-function", format!("there is no function `{name}`"), near("a function", similar))
        }
        ProblemKind::UnknownField { of, name, similar } => {
            ("unknown-variable", format!("`{of}` has no field `{name}`"), near("a field", similar))
        }
        ProblemKind::ComputedKey { of } => (
            "computed-key",
            format!("`{of}` takes a literal key only"),
            Some(format!("write `{of}.name` or `{of}[\"name\"]`, so that it is known before a machine boots what is used")),
        ),
        ProblemKind::NoLabelName(name) => ("invalid-label", format!("`{name}` is no label"), None),
        ProblemKind::IncludeNotLiteral => (
            "include",
            "the name of an included file must be written out".to_owned(),
            Some("write `{% include \"file\" %}`".to_owned()),
        ),
        ProblemKind::IncludeNotFound { reference, why } => ("include", format!("`{reference}` cannot be included: {why}"), None),
        ProblemKind::IncludeCycle { path } => ("include", format!("`{path}` includes itself"), None),
        ProblemKind::RevisionOutOfScope => (
            "unknown-variable",
            "`revision` is in scope in scripts only".to_owned(),
            Some("a config's id comes from its content, and would change with every commit".to_owned()),
        ),
        ProblemKind::SecretsOutOfScope => secrets_out_of_scope(),
        ProblemKind::Unsupported(words) => ("template-unsupported", words.clone(), None),
        ProblemKind::Undefined => ("undefined-value", "a look-up finds nothing".to_owned(), None),
        ProblemKind::PrintsNull => (
            "unprintable-value",
            "the expression prints null".to_owned(),
            Some("give the value, or add a filter such as `|default(\"\", true)`".to_owned()),
        ),
        ProblemKind::PrintsCollection { what } => (
            "unprintable-value",
            format!("the expression prints {what}"),
            Some("print one of its parts, or add a filter such as `|tojson` or `|join(\",\")`".to_owned()),
        ),
        ProblemKind::Fuel => ("template-limit", "rendering takes too many steps".to_owned(), None),
        ProblemKind::OutputTooLarge => ("template-limit", "rendering prints too much".to_owned(), None),
        ProblemKind::Failed(words) => ("render-failed", words.clone(), None),
        ProblemKind::FailedInSecret => failed_in_secret(),
    }
}

type Words = (&'static str, String, Option<String>);

fn secrets_out_of_scope() -> Words {
    let help = "anybody who knows what a machine says can fetch its script: move the secret into a config, and name the \
                config here";
    let message = "`secrets` is in scope in configs only".to_owned();
    ("secret-in-script", message, Some(help.to_owned()))
}

fn failed_in_secret() -> Words {
    let message = "the expression fails; why is not told, since that may quote a secret".to_owned();
    let help = "check it with something that is no secret in the secret's place: `gitboot validate --secret-values-file`";
    ("render-failed", message, Some(help.to_owned()))
}

/// A value that some user of the template does not have.
#[must_use]
pub fn undefined_value(at: Location, path: &str, whom: &str, near: Option<&str>) -> Diagnostic {
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

/// A secret where nobody said what secrets there are.
#[must_use]
pub fn no_secrets(at: Location, path: &str) -> Diagnostic {
    Diagnostic::error("no-secrets", at, format!("`{path}` is named, and no secrets are given"))
        .note("secrets stand outside of the repository, so that whoever reads it does not learn them")
        .help_line(
            "give them with `--secret-values-file` and `--id-key-file`, or, to `gitboot validate`, their names with \
             `--secret-names`",
        )
}

/// A secret that is not among those that are given. No other is named: what secrets there are is nobody's business.
#[must_use]
pub fn undefined_secret(at: Location, path: &str) -> Diagnostic {
    Diagnostic::error("undefined-secret", at, format!("`{path}` is not among the secrets"))
        .label("no such secret")
        .note("every secret that a config writes must exist, in whatever branch, so that no machine finds out at boot")
        .help_line("define it in the file of `--secret-values-file`, or correct the name")
}

/// A secret that cannot be printed as it is.
#[must_use]
pub fn unprintable_secret(at: Location, path: &str, what: &str) -> Diagnostic {
    Diagnostic::error(
        "unprintable-value",
        at,
        format!("`{path}` is {what} and cannot be printed"),
    )
    .help_line("print one of its parts, or add a filter such as `|tojson` or `|join(\",\")`")
}

/// A script that would print the secrets of a config.
#[must_use]
pub fn inserted_secret(at: Location, config: &str) -> Diagnostic {
    let message = format!(
        "config `{config}` is inserted into the script, and secrets are in scope in configs only"
    );
    Diagnostic::error("secret-in-script", at, message)
        .note("anybody who knows what a machine says can fetch its script")
        .help_line("write `exposed: true`, so that the script holds the config's URL")
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

/// Configs that name each other, or one that names the directory it is in.
#[must_use]
pub fn circle<'a>(at: Location, configs: impl ExactSizeIterator<Item = &'a str>) -> Diagnostic {
    let message = if configs.len() == 1 {
        format!(
            "config {} names itself, or the directory of all configs that it is in",
            names(configs)
        )
    } else {
        format!("the configs {} name each other in a circle", names(configs))
    };
    Diagnostic::error("config-circle", at, message)
        .note("a config's URL holds an id of its content, so that content cannot hold the URL")
        .help_line("fetch one of them under a fixed URL, such as `/v1/boot/{mac}/{name}`")
}

/// A config that is made of others, which are made of others, and so on for too long.
#[must_use]
pub fn configs_too_deep(at: Location, config: &str, depth: usize) -> Diagnostic {
    let message =
        format!("config `{config}` stands on configs that name each other more than {depth} deep");
    Diagnostic::error("template-limit", at, message)
        .help_line("name the last of them directly, or put what they share into an included file")
}

/// A config for which too many others are rendered, because their text is inserted.
#[must_use]
pub fn configs_too_many(at: Location, config: &str, count: usize) -> Diagnostic {
    let message = format!("config `{config}` is made by rendering more than {count} templates");
    Diagnostic::error("template-limit", at, message)
        .note("a config with `exposed: false` is rendered anew wherever its name stands")
        .help_line("expose some of them, or put what they share into an included file")
}
