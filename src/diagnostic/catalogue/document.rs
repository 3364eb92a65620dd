//! Files, YAML and fields.

use super::super::{Diagnostic, Location, names};

/// A `.yaml` path that is a symbolic link or a submodule.
#[must_use]
pub fn manifest_is_no_file(at: Location, what: &str) -> Diagnostic {
    let name = at.path.file_name().to_owned();
    Diagnostic::error(
        "not-a-file",
        at,
        format!("`{name}` has the name of a manifest but is {what}"),
    )
    .note("gitboot reads regular files of one commit and follows nothing that leads elsewhere")
    .help_line("put the file itself here, or list the path in `.gitbootignore`")
}

/// A line of `.gitbootignore` that is no pattern.
#[must_use]
pub fn bad_ignore_pattern(at: Location, why: &str) -> Diagnostic {
    Diagnostic::error(
        "ignore-pattern",
        at,
        "a line of `.gitbootignore` is no gitignore pattern".to_owned(),
    )
    .note(why.to_owned())
}

/// A manifest that is not UTF-8.
#[must_use]
pub fn not_utf8(at: Location) -> Diagnostic {
    Diagnostic::error("not-utf8", at, "the file is not UTF-8".to_owned())
        .help_line("save it as UTF-8, or list it in `.gitbootignore` if it is no manifest")
}

/// A pointer of Git LFS where a manifest should be.
#[must_use]
pub fn lfs_pointer(at: Location) -> Diagnostic {
    Diagnostic::error(
        "lfs-pointer",
        at,
        "the file is a pointer of Git LFS, not a manifest".to_owned(),
    )
    .note("git holds only the pointer; what it points to is on another server and is never fetched")
    .help_line("take `*.yaml` and `*.yml` out of `.gitattributes`, then `git add --renormalize .` and commit")
}

/// Both sides of a merge in one file.
#[must_use]
pub fn merge_conflict(at: Location) -> Diagnostic {
    Diagnostic::error(
        "merge-conflict",
        at,
        "the file holds the marks of a merge conflict".to_owned(),
    )
    .note("nothing in this file was read")
    .help_line("choose a side of each conflict, remove the marks and commit")
}

/// The YAML parser gave up.
#[must_use]
pub fn yaml_syntax(at: Location, words: &str) -> Diagnostic {
    Diagnostic::error("yaml-syntax", at, format!("the file is not valid YAML: {words}"))
        .note("nothing after this place was read")
        .help_line("mend the YAML; if the file is not meant as a manifest, name it in a Profile or list it in `.gitbootignore`")
}

/// A `!tag`.
#[must_use]
pub fn yaml_tag(at: Location) -> Diagnostic {
    Diagnostic::error(
        "yaml-tag",
        at,
        "YAML tags have no meaning in a manifest".to_owned(),
    )
    .help_line("remove the `!…`; quote the text if it starts with an exclamation mark")
}

/// A list or a map as a key.
#[must_use]
pub fn yaml_complex_key(at: Location) -> Diagnostic {
    Diagnostic::error(
        "yaml-key",
        at,
        "a key must be a plain word, not a list or a map".to_owned(),
    )
    .help_line("if this is a `{{ … }}` of a template, put quotes around it")
}

/// A file that unfolds to too much.
#[must_use]
pub fn yaml_budget(at: Location, nodes: usize, bytes: usize) -> Diagnostic {
    Diagnostic::error(
        "yaml-budget",
        at,
        format!(
            "the file unfolds to more than {nodes} YAML nodes or {} MiB of text",
            bytes >> 20
        ),
    )
    .note(
        "each text, number, list and map is a node: a machine with a name, a MAC and two values has 11; aliases (`*name`) \
         count as often as they are used",
    )
    .help_line("split the file: the machines of one Assignment can stand in several, each with a name of its own")
    .help_line("or raise `--max-yaml-nodes` and `--max-yaml-bytes`, here and on the server; it takes more memory")
}

/// Lists and maps inside each other without an end.
#[must_use]
pub fn yaml_depth(at: Location, limit: usize) -> Diagnostic {
    Diagnostic::error(
        "yaml-depth",
        at,
        format!("lists and maps nest more than {limit} deep"),
    )
    .note("nothing after this place was read")
    .help_line("close the brackets, or put data of other programs into a file of its own")
}

/// A file with too many documents.
#[must_use]
pub fn too_many_documents(at: Location, limit: usize) -> Diagnostic {
    Diagnostic::error(
        "yaml-budget",
        at,
        format!("the file holds more than {limit} documents"),
    )
    .help_line("split the file")
}

/// More diagnostics than are shown.
#[must_use]
pub fn more_in_this_file(at: Location, more: usize) -> Diagnostic {
    Diagnostic::error(
        "more-errors",
        at,
        format!("{more} more errors in this file are not shown"),
    )
    .note("errors like these usually share one cause")
}

/// A document without `apiVersion`; `among_ours` when its file holds manifests too.
#[must_use]
pub fn not_a_manifest(at: Location, among_ours: bool) -> Diagnostic {
    if among_ours {
        return Diagnostic::error(
            "not-a-manifest",
            at,
            "this document has no `apiVersion`, in a file of manifests".to_owned(),
        )
        .help_line(
            "start it with `apiVersion: gitboot.dev/v1alpha1`, or move it into a file of its own",
        );
    }
    Diagnostic::error("not-a-manifest", at, "this YAML is no manifest, and no manifest or template names its file".to_owned())
        .note("a file that ends in `.yaml` or `.yml` is read as manifests, so that a half-written one is never skipped in silence")
        .help_line("start it with `apiVersion: gitboot.dev/v1alpha1`, name it with `file:` where it is content, or list it in `.gitbootignore`")
}

/// A manifest of another system; `among_ours` when its file holds manifests of ours too.
#[must_use]
pub fn foreign_api_version(at: Location, found: &str, among_ours: bool) -> Diagnostic {
    let (and, help) = if among_ours {
        (
            "",
            "correct `apiVersion`, or move the document into a file of its own",
        )
    } else {
        (
            ", and no manifest or template names this file",
            "correct `apiVersion`, name the file with `file:` where it is content, or list it in `.gitbootignore`",
        )
    };
    Diagnostic::error("not-a-manifest", at, format!("`apiVersion: {found}` is not one of gitboot's{and}"))
        .note("gitboot reads `gitboot.dev/v1alpha1`, `shaper.amahdha.com/v1alpha1` and `ipxe.cloud.alexandre.mahdhaoui.com/v1alpha1`")
        .help_line(help)
}

/// A `List` inside a `List`.
#[must_use]
pub fn nested_list(at: Location) -> Diagnostic {
    Diagnostic::error(
        "not-a-manifest",
        at,
        "a `List` inside a `List` is not unpacked".to_owned(),
    )
    .help_line("put its items into the outer list")
}

/// One of our groups with a version that does not exist.
#[must_use]
pub fn unknown_api_version(at: Location, found: &str) -> Diagnostic {
    let group = found.split('/').next().unwrap_or(found).to_owned();
    Diagnostic::error(
        "unknown-api-version",
        at,
        format!("`apiVersion: {found}` does not exist"),
    )
    .label("unknown version")
    .help_line(format!("write `{group}/v1alpha1`"))
}

/// A kind that does not exist.
#[must_use]
pub fn unknown_kind(at: Location, found: &str) -> Diagnostic {
    Diagnostic::error("unknown-kind", at, format!("kind `{found}` does not exist"))
        .label("unknown kind")
        .help_line("the kinds are `Profile` and `Assignment`")
}

/// A field that must be there.
#[must_use]
pub fn missing_field(at: Location, field: &str, what: &str) -> Diagnostic {
    Diagnostic::error("missing-field", at, format!("`{field}` is missing"))
        .help_line(format!("add `{field}`: {what}"))
}

/// A field that does not exist.
#[must_use]
pub fn unknown_field(
    at: Location,
    what: &str,
    field: &str,
    known: &[&str],
    near: Option<&str>,
) -> Diagnostic {
    Diagnostic::error(
        "unknown-field",
        at,
        format!("{what} has no field `{field}`"),
    )
    .label("unknown field")
    .note(format!("the fields are {}", names(known.iter().copied())))
    .help_maybe(near.map(|near| format!("a field with a similar name exists: `{near}`")))
}

/// Two spellings of one field at once.
#[must_use]
pub fn same_field_twice(at: Location, first: &str, second: &str) -> Diagnostic {
    Diagnostic::error(
        "duplicate-key",
        at,
        format!("`{second}` is another spelling of `{first}`, which is given too"),
    )
    .help_line(format!("keep `{first}` alone"))
}

/// Two fields that exclude each other.
#[must_use]
pub fn both_fields(at: Location, first: &str, second: &str) -> Diagnostic {
    Diagnostic::error(
        "exclusive-fields",
        at,
        format!("`{first}` and `{second}` exclude each other"),
    )
    .help_line(format!("keep either `{first}` or `{second}`"))
}

/// A key that a map says twice.
#[must_use]
pub fn duplicate_key(at: Location, key: &str) -> Diagnostic {
    Diagnostic::error("duplicate-key", at, format!("key `{key}` is given twice"))
        .label("second time")
        .note("which of the two was meant cannot be told")
        .help_line("remove one of them")
}

/// `<<` with something that is no map.
#[must_use]
pub fn merge_of_no_map(at: Location) -> Diagnostic {
    Diagnostic::error(
        "merge-key",
        at,
        "`<<` takes a map, or a list of maps".to_owned(),
    )
    .help_line("name an anchor of a map: `<<: *common`")
}

/// A node of the wrong type.
#[must_use]
pub fn wrong_type(at: Location, what: &str, expected: &str, found: &str) -> Diagnostic {
    Diagnostic::error(
        "wrong-type",
        at,
        format!("{what} must be {expected}, not {found}"),
    )
    .label(format!("this is {found}"))
}

/// A name that is no DNS-1123 subdomain.
#[must_use]
pub fn invalid_name(at: Location, found: &str) -> Diagnostic {
    Diagnostic::error("invalid-name", at, format!("`{found}` is no valid name"))
        .label("not a DNS-1123 subdomain")
        .help_line("use lower-case letters, digits, `-` and `.`, at most 253 characters, with a letter or digit at each end")
}

/// A number in free values that prints otherwise than it was written.
#[must_use]
pub fn number_changes(at: Location) -> Diagnostic {
    Diagnostic::error("number-form", at, "this number would not print as it is written".to_owned())
        .label("YAML reads this as another number")
        .note("YAML turns `1.30` into 1.3, `5254001234e5` into a float and `012` into 10 or 12, depending on the reader")
        .help_line("quote it to keep it as text")
}

/// A values file that is no map.
#[must_use]
pub fn values_file_is_no_map(at: Location) -> Diagnostic {
    Diagnostic::error(
        "values-file",
        at,
        "a file named by `valuesFrom` must hold one YAML map".to_owned(),
    )
    .help_line("write `key: value` lines, in one document")
}
