//! What cannot be brought over from another boot server, or only with a difference. Places are in the files of that server.

use super::super::{Diagnostic, Location, names};

/// A file that is not what its format says.
#[must_use]
pub fn unreadable(at: Location, what: &str) -> Diagnostic {
    Diagnostic::error(
        "import-unreadable",
        at,
        format!("the file cannot be read: {what}"),
    )
    .note("nothing of this file was converted")
}

/// A field that means nothing to the other server.
#[must_use]
pub fn unknown_field(at: Location, field: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-unknown-field",
        at,
        format!("`{field}` is no field that matchbox reads, and is left out"),
    )
}

/// A construct without an equivalent.
#[must_use]
pub fn no_equivalent(at: Location, construct: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "import-no-equivalent",
        at,
        format!("`{construct}` is not converted"),
    )
    .note(why.to_owned())
    .help_line(
        "write this part by hand in gitboot's template language, or change the original and import again",
    )
}

/// A template that is left out because of what was said about its constructs.
#[must_use]
pub fn template_left_out(at: Location, count: usize) -> Diagnostic {
    let constructs = match count {
        1 => "a construct".to_owned(),
        count => format!("{count} constructs"),
    };
    Diagnostic::error(
        "import-left-out",
        at,
        format!("the template is left out: {constructs} of it cannot be converted"),
    )
    .note("a template is converted whole or not at all; scripts that name it are written but not served")
}

/// Butane or a Container Linux Config, which matchbox translates when it is asked.
#[must_use]
pub fn butane(at: Location) -> Diagnostic {
    Diagnostic::error(
        "import-butane",
        at,
        "the file is left out: it is Butane, or an older Container Linux Config, and no Ignition".to_owned(),
    )
    .note("matchbox translates it at every request; gitboot serves what is committed and translates nothing")
    .help_line("run `butane --strict` (or `ct` for the older format) in a CI job, commit the result as `.ign`, and name it in the Profile")
    .help_line("`{{ values.name }}` inside a string survives the translation, and gitboot fills it in")
}

/// A file that a profile names and that is not there.
#[must_use]
pub fn file_missing(at: Location, file: &str) -> Diagnostic {
    Diagnostic::error(
        "import-missing-file",
        at,
        format!("`{file}` does not exist"),
    )
    .note("matchbox answers 404 to whoever asks for it")
    .help_line("add the file, or take its name out of the profile")
}

/// A group of a profile that is not there.
#[must_use]
pub fn profile_missing(at: Location, profile: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-missing-profile",
        at,
        format!("profile `{profile}` does not exist"),
    )
    .note("matchbox answers 404 to these machines; an empty Profile makes gitboot do the same")
}

/// A selector that no machine can satisfy here as it does there.
#[must_use]
pub fn selector(at: Location, key: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        "import-selector",
        at,
        format!("the group is left out: its selector `{key}` {why}"),
    )
    .note("machines of this group get what else selects them, perhaps the default")
    .help_line("give the group another selector, and import again")
}

/// A selector that asks for what nobody says.
#[must_use]
pub fn label_not_sent(at: Location, key: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-label-not-sent",
        at,
        format!("no machine says `{key}` by itself"),
    )
    .note("the first script of either server sends uuid, mac, serial, hostname and domain; gitboot's also asset, manufacturer, product, buildarch and platform")
    .help_line("add it to the URL that machines chain to, or to all requests with `serve --label`; a machine that is installed is better moved to another Assignment")
}

/// A group that another one hides.
#[must_use]
pub fn never_selected(at: Location, other: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-never-selected",
        at,
        format!(
            "the group is left out: `{other}` has the same selectors, and matchbox takes that one"
        ),
    )
    .note("older versions of matchbox took either of the two")
}

/// A machine that two groups select, and that gitboot gives to the other one.
#[must_use]
pub fn rank_differs<'a>(at: Location, others: impl Iterator<Item = &'a str>) -> Diagnostic {
    let others = names(others);
    Diagnostic::warning(
        "import-rank",
        at,
        format!("machines that this group shares with {others} get the latter from gitboot"),
    )
    .note("matchbox takes the group with the most selectors; gitboot prefers what names a machine by uuid, serial, mac or asset")
    .help_line("where such a machine exists, move it to an Assignment of its own that names it and has this group's Profile")
}

/// A URL of the other server that cannot become one of ours.
#[must_use]
pub fn endpoint(at: Location, url: &str, why: &str) -> Diagnostic {
    Diagnostic::error("import-endpoint", at, format!("`{url}` is not converted"))
        .note(why.to_owned())
        .note("the Profile is written without its script, so that nobody boots half of it")
}

/// A URL of the other server that gives nothing there either.
#[must_use]
pub fn dead_endpoint(at: Location, url: &str, field: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-dead-endpoint",
        at,
        format!("`{url}` stays as it is"),
    )
    .note(format!(
        "the profile has no `{field}`, so matchbox answers 404 to it; another server may be meant"
    ))
}

/// A URL that asks the other server as somebody else.
#[must_use]
pub fn endpoint_selects<'a>(
    at: Location,
    url: &str,
    groups: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let groups = names(groups);
    Diagnostic::warning(
        "import-endpoint-selects",
        at,
        format!("`{url}` does not say all that selects {groups}"),
    )
    .note("matchbox may answer it with the config of another group; in gitboot a script always names the configs of its own Profile")
}

/// Files that the other server has and we have not.
#[must_use]
pub fn assets(at: Location) -> Diagnostic {
    Diagnostic::warning(
        "import-assets",
        at,
        "the profile boots from matchbox's `/assets`, which gitboot does not serve".to_owned(),
    )
    .help_line("serve the folder with any web server, and write its address before `/assets` in the script; or let a proxy send `/assets` of gitboot's own address there")
}

/// A profile whose templates nobody's data was there for.
#[must_use]
pub fn unused_profile(at: Location) -> Diagnostic {
    Diagnostic::warning(
        "import-unused-profile",
        at,
        "no group uses this profile".to_owned(),
    )
    .note("what its templates do with their data could not be checked; each `range` is taken for one over a list")
}

/// Data that a template asks for and a group has not.
#[must_use]
pub fn lacking<'a>(at: Location, name: &str, groups: impl Iterator<Item = &'a str>) -> Diagnostic {
    let groups = names(groups);
    Diagnostic::error(
        "import-lacking",
        at,
        format!("`{name}` is asked for, and missing in the metadata of {groups}"),
    )
    .note("matchbox answers 404 to these machines; gitboot refuses the commit")
    .help_line(format!("add it to `values` of the Assignment, or a default to `values` of the Profile: `values.{name}`"))
}

/// The same where it is only asked whether it is there.
#[must_use]
pub fn softened<'a>(at: Location, name: &str, groups: impl Iterator<Item = &'a str>) -> Diagnostic {
    let groups = names(groups);
    Diagnostic::warning(
        "import-default",
        at,
        format!("`{name}` is missing in the metadata of {groups}, and reads as false there"),
    )
    .note("matchbox answers 404 to these machines, since only `index . \"name\"` may ask for what is missing; the Profile has an empty default now")
}

/// A number that prints in an odd way.
#[must_use]
pub fn number_as_text(at: Location, key: &str, text: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-number",
        at,
        format!("the number in `{key}` becomes the text `{text}`"),
    )
    .note("that is how matchbox prints it; every number of JSON is a float there")
    .help_line("write the number as it should print, in quotes")
}

/// Metadata under a name that the other server takes for itself.
#[must_use]
pub fn reserved_metadata(at: Location) -> Diagnostic {
    Diagnostic::warning(
        "import-reserved",
        at,
        "metadata under `request` is left out: matchbox overwrites it".to_owned(),
    )
}

/// An address of the other server in a file that is served as it is.
#[must_use]
pub fn address_in_body(at: Location, url: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-address",
        at,
        format!("`{url}` is an address of matchbox and stays as it is"),
    )
    .help_line("make what it serves a config of the Profile, and print its URL here: `{{ configs[\"name\"] }}`")
}

/// A folder that the other server does not look into.
#[must_use]
pub fn nested(at: Location) -> Diagnostic {
    Diagnostic::warning(
        "import-nested",
        at,
        "the file is left out: matchbox reads no folders inside this one".to_owned(),
    )
    .help_line("import a folder whose `groups` holds the files themselves")
}

/// An entry of `maclist` that says too little.
#[must_use]
pub fn phs_shape(at: Location, what: &str) -> Diagnostic {
    Diagnostic::error("import-shape", at, what.to_owned())
        .note("`maclist` is a list of maps, each with `macaddress`, a text, and `values`, a map")
}

/// A MAC that is none.
#[must_use]
pub fn phs_mac(at: Location, why: &str) -> Diagnostic {
    Diagnostic::error(
        "import-mac",
        at,
        format!("the machine is left out: its `macaddress` {why}"),
    )
}

/// A machine that stands there twice.
#[must_use]
pub fn phs_twice(at: Location, mac: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-twice",
        at,
        format!(
            "machine `{mac}` stands here and again below; the last one counts, as in the original"
        ),
    )
}

/// Data of before the address of the downloads was a field.
#[must_use]
pub fn phs_older(at: Location, assumed: &str) -> Diagnostic {
    Diagnostic::warning(
        "import-older-data",
        at,
        "`downloadserver` is missing, as in data of older versions".to_owned(),
    )
    .note(format!("those had `{assumed}` in their code, and asked it for `vmlinuz`, `initrd` and `rootfs.squashfs`; the script is the one of that time"))
    .help_line("correct `downloadserver` in `values` of the Profile")
}

/// Text that the original takes for a boolean.
#[must_use]
pub fn phs_boolean(at: Location, word: &str) -> Diagnostic {
    Diagnostic::error(
        "import-boolean",
        at,
        format!("`{word}` is a boolean to the original and a text to gitboot"),
    )
    .help_line("write `true` or `false`, or put quotes around it, and import again")
}
