//! Files that manifests name, bodies and their types.

use crate::tree::PathError;

use super::super::{Diagnostic, Location, names};

/// A config with a name that URLs cannot carry.
#[must_use]
pub fn invalid_config_name(at: Location, name: &str) -> Diagnostic {
    Diagnostic::error(
        "invalid-config-name",
        at,
        format!("`{name}` is no valid name of a config"),
    )
    .help_line("use letters, digits, `.`, `_` and `-`, at most 128, with a letter or digit first")
}

/// The name that the script itself has.
#[must_use]
pub fn reserved_config_name(at: Location, name: &str) -> Diagnostic {
    Diagnostic::error(
        "invalid-config-name",
        at,
        format!("`{name}` is reserved for the Profile's script"),
    )
    .note("`/v1/boot/{mac}/boot.ipxe` serves the script under this name")
    .help_line("rename the config")
}

/// Two configs of one name.
#[must_use]
pub fn config_twice(at: Location, name: &str) -> Diagnostic {
    Diagnostic::error(
        "duplicate-name",
        at,
        format!("the Profile has two configs named `{name}`"),
    )
    .label("second time")
}

/// A content source of an older system.
#[must_use]
pub fn unsupported_source(at: Location, field: &str) -> Diagnostic {
    let (why, instead) = match field {
        "objectRef" => (
            "gitboot reads nothing outside the git repository, and no Kubernetes object",
            "commit the text and name it with `file:`, or write it under `inline:`",
        ),
        "webhook" => (
            "gitboot fetches nothing while it serves, so that a boot depends on nobody else",
            "render the text in a CI job, commit it, and name it with `file:`",
        ),
        _ => (
            "gitboot serves what is committed and transforms nothing",
            "convert Butane to Ignition with `butane` in a CI job, and commit the result",
        ),
    };
    Diagnostic::error(
        "unsupported-source",
        at,
        format!("`{field}` is not supported"),
    )
    .note(why)
    .help_line(instead)
}

/// A content type that is no header value.
#[must_use]
pub fn invalid_content_type(at: Location) -> Diagnostic {
    Diagnostic::error(
        "invalid-content-type",
        at,
        "`contentType` is no valid media type".to_owned(),
    )
    .help_line("write it as `text/plain; charset=utf-8`, in printable ASCII")
}

/// A reference that leads nowhere.
#[must_use]
pub fn bad_reference(at: Location, reference: &str, why: PathError) -> Diagnostic {
    Diagnostic::error(
        "bad-reference",
        at,
        format!("`{reference}` names no file: {why}"),
    )
    .note("a path is relative to the file it stands in; a leading `/` means the served root")
}

/// A file that does not exist.
#[must_use]
pub fn file_not_found(at: Location, resolved: &str, near: Option<&str>) -> Diagnostic {
    Diagnostic::error(
        "file-not-found",
        at,
        format!("`{resolved}` does not exist in this revision"),
    )
    .label("no such file")
    .note("a path is relative to the file it stands in; a leading `/` means the served root")
    .help_maybe(near.map(|near| format!("a file with a similar name exists: `/{near}`")))
}

/// A link, a submodule or a folder where a file is needed.
#[must_use]
pub fn not_a_regular_file(at: Location, resolved: &str, what: &str) -> Diagnostic {
    Diagnostic::error(
        "not-a-file",
        at,
        format!("`{resolved}` is {what}, not a regular file"),
    )
    .note("gitboot reads regular files of one commit and follows nothing that leads elsewhere")
}

/// A manifest that is named as content.
#[must_use]
pub fn manifest_as_content(at: Location, resolved: &str) -> Diagnostic {
    Diagnostic::error(
        "manifest-as-content",
        at,
        format!("`{resolved}` holds a manifest and cannot be content too"),
    )
    .label("a manifest")
    .help_line("move the content into a file of its own")
}

/// A pointer of Git LFS where content should be.
#[must_use]
pub fn lfs_content(at: Location, resolved: &str) -> Diagnostic {
    Diagnostic::error(
        "lfs-pointer",
        at,
        format!("`{resolved}` is a pointer of Git LFS, not the content"),
    )
    .label("only a pointer is here")
    .note("git holds only the pointer; what it points to is on another server and is never fetched")
    .help_line(
        "take the file out of `.gitattributes`, then `git add --renormalize .` and commit; or serve it from a web server \
         and name its URL",
    )
}

/// Both sides of a merge in a file of content. Somebody may mean it, in a text about git.
#[must_use]
pub fn conflict_in_content(at: Location) -> Diagnostic {
    Diagnostic::warning(
        "merge-conflict",
        at,
        "the file holds the marks of a merge conflict, and is served with them".to_owned(),
    )
    .help_line("choose a side of each conflict, remove the marks and commit")
}

/// A template that is not UTF-8.
#[must_use]
pub fn template_not_utf8(at: Location, resolved: &str) -> Diagnostic {
    Diagnostic::error(
        "not-utf8",
        at,
        format!("`{resolved}` is not UTF-8, so it cannot be a template"),
    )
    .help_line("save it as UTF-8, or write `template: false` to serve it byte for byte")
}

/// A body that must be JSON and is not.
#[must_use]
pub fn invalid_json(
    at: Location,
    config: &str,
    content_type: &str,
    why: &str,
    for_whom: Option<&str>,
) -> Diagnostic {
    let with = for_whom.map_or(String::new(), |whom| format!(" when rendered for {whom}"));
    Diagnostic::error(
        "invalid-json",
        at,
        format!("config `{config}` is served as `{content_type}` but is not valid JSON{with}"),
    )
    .note(why.to_owned())
    .help_line("mend the JSON; a machine that gets it would stop at it")
}

/// The same where the reason, or its place, would tell something of a secret.
#[must_use]
pub fn invalid_json_in_secret(
    at: Location,
    config: &str,
    content_type: &str,
    for_whom: Option<&str>,
) -> Diagnostic {
    let why = "why is not told, since that may tell something of a secret";
    invalid_json(at, config, content_type, why, for_whom)
        .help_line("write a secret as `{{ secrets.name|tojson }}`, without quotes around it")
}

/// A script that iPXE would not take for one.
#[must_use]
pub fn not_a_script(at: Location, for_whom: Option<&str>) -> Diagnostic {
    let with = for_whom.map_or(String::new(), |whom| format!(" when rendered for {whom}"));
    Diagnostic::error(
        "not-a-script",
        at,
        format!("the script does not start with `#!ipxe` and a newline{with}"),
    )
    .note("iPXE on BIOS machines executes anything else as machine code")
    .help_line("make `#!ipxe` the very first line, with nothing before it")
}

/// A first script that does not exist.
#[must_use]
pub fn boot_script_not_found(resolved: &str, near: Option<&str>) -> Diagnostic {
    Diagnostic::whole_tree(
        "file-not-found",
        format!("`{resolved}` does not exist in this revision, and `--boot-script` names it"),
    )
    .note(
        "`--boot-script` names a file below the served root, which `/boot.ipxe` then answers with",
    )
    .help_maybe(near.map(|near| format!("a file with a similar name exists: `{near}`")))
}

/// A first script that iPXE would not take for one.
#[must_use]
pub fn boot_script_is_none(at: Location) -> Diagnostic {
    Diagnostic::error(
        "not-a-script",
        at,
        "the first script does not start with `#!ipxe` and a newline".to_owned(),
    )
    .note("`--boot-script` names it: every machine would get it from `/boot.ipxe`, byte for byte")
    .note("iPXE on BIOS machines executes anything else as machine code")
    .help_line("make `#!ipxe` the very first line, with nothing before it")
}

/// Two manifests of one kind and name.
#[must_use]
pub fn duplicate_name(at: Location, kind: &str, name: &str, first: &Location) -> Diagnostic {
    Diagnostic::error(
        "duplicate-name",
        at,
        format!("{kind} `{name}` is defined twice"),
    )
    .label("second definition")
    .note(format!("the first one is at {first}"))
    .help_line("rename one of them")
}

/// A Profile that does not exist.
#[must_use]
pub fn unknown_profile<'a>(
    at: Location,
    assignment: &str,
    profile: &str,
    defined: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let near = super::super::similar(profile, defined.clone()).map(str::to_owned);
    let count = defined.clone().count();
    let note = match count {
        0 => "no Profile is defined".to_owned(),
        1 => format!("1 Profile is defined: {}", names(defined)),
        _ => format!("{count} Profiles are defined: {}", names(defined)),
    };
    Diagnostic::error(
        "unknown-profile",
        at,
        format!("Assignment `{assignment}` names Profile `{profile}`, which does not exist"),
    )
    .label("no Profile has this name")
    .note(note)
    .help_maybe(near.map(|near| format!("a Profile with a similar name exists: `{near}`")))
}

/// A tree that would leave every machine without a script.
#[must_use]
pub fn empty_tree(what: &str) -> Diagnostic {
    Diagnostic::whole_tree("empty-tree", format!("the tree has no {what}"))
        .note("publishing it would take every machine's script away")
        .help_line("check `--path` and `--ref`; pass `--allow-empty` if this is meant")
}

/// A Profile that nobody gets.
#[must_use]
pub fn unused_profile(at: Location, name: &str) -> Diagnostic {
    Diagnostic::warning(
        "unused-profile",
        at,
        format!("no Assignment uses Profile `{name}`"),
    )
    .note("its templates were checked for syntax only")
    .help_line("assign it, or remove it")
}
