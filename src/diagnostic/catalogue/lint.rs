//! What would be published and boot wrongly: warnings, each of a rule of `compile/lint`.

use std::fmt::Display;

use super::super::{Diagnostic, Location, names, similar};

/// A line of a script whose first word is no command.
#[must_use]
pub fn unknown_command(at: Location, command: &str, near: Option<&str>) -> Diagnostic {
    Diagnostic::warning(
        "unknown-command",
        at,
        format!("iPXE has no command `{command}`"),
    )
    .label("no such command")
    .note("a script ends at a command that fails, unless `||` follows it")
    .help_maybe(near.map(|near| format!("a command with a similar name exists: `{near}`")))
}

/// A line with more words than iPXE takes.
#[must_use]
pub fn too_many_words(at: Location, words: usize, limit: usize, whom: Option<&str>) -> Diagnostic {
    let rendered = rendered_for(whom);
    Diagnostic::warning(
        "long-line",
        at,
        format!("the line has more than {limit} words{rendered}"),
    )
    .label(format!("{words} words"))
    .note("iPXE passes at most 255 arguments to a command, and old ones on BIOS machines hang at lines of 300 words")
    .help_line("put parts of it into settings, as in `set args …`, and write `${args}`")
}

/// A kernel command line that the kernel would cut.
#[must_use]
pub fn long_command_line(
    at: Location,
    bytes: usize,
    limit: usize,
    is_least: bool,
    whom: Option<&str>,
) -> Diagnostic {
    let rendered = rendered_for(whom);
    let least = if is_least { "at least " } else { "" };
    Diagnostic::warning(
        "long-command-line",
        at,
        format!("the kernel command line takes more than {limit} bytes{rendered}"),
    )
    .label(format!("{least}{bytes} bytes with the closing NUL"))
    .note("Linux cuts what goes beyond, without a word: the last arguments are lost")
    .help_line(
        "move arguments into a config that the system fetches, such as Ignition or cloud-init",
    )
}

fn rendered_for(whom: Option<&str>) -> String {
    whom.map_or_else(String::new, |whom| format!(", rendered for {whom}"))
}

/// An initrd that has a name and no `initrd=`.
#[must_use]
pub fn unused_initrd<'a>(
    at: Location,
    name: &str,
    named: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let near = similar(name, named)
        .map(|near| format!("an argument with a similar name exists: `initrd={near}`"));
    Diagnostic::warning(
        "unused-initrd",
        at,
        format!("no kernel argument names the initrd `{name}`"),
    )
    .label("fetched, and then found by BIOS machines alone")
    .note("under UEFI a kernel takes the files that its arguments name; only newer iPXE and Linux find the others")
    .help_maybe(near)
    .help_line(format!("add `initrd={name}` to the kernel's arguments"))
}

/// An `initrd=` that names nothing.
#[must_use]
pub fn unknown_initrd<'a>(
    at: Location,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let near = similar(name, known.clone())
        .map(|near| format!("an initrd with a similar name exists: `{near}`"));
    let note = if known.clone().next().is_none() {
        "the script fetches no initrd".to_owned()
    } else {
        format!("the script fetches {}", names(known))
    };
    Diagnostic::warning(
        "unknown-initrd",
        at,
        format!("the kernel argument `initrd={name}` names no initrd of the script"),
    )
    .label("no initrd has this name")
    .note(note)
    .note("under UEFI a kernel that does not find its initrd stops, or goes on without")
    .help_maybe(near)
    .help_line(format!(
        "write `initrd --name {name} …` where it is fetched"
    ))
}

/// A config that no machine is told about.
#[must_use]
pub fn unused_config(at: Location, name: &str, exposed: bool) -> Diagnostic {
    let (note, help) = if exposed {
        (
            "the script hands out neither its URL nor `{{ config_dir }}`, so that a machine finds it only under `/v1/boot/{mac}/`",
            format!(
                "print its URL in the script, as `{{{{ configs[\"{name}\"] }}}}`, or remove it"
            ),
        )
    } else {
        (
            "it is not exposed, so that no machine gets it unless a template inserts it",
            format!("insert it, as `{{{{ configs[\"{name}\"] }}}}`, or remove it"),
        )
    };
    Diagnostic::warning(
        "unused-config",
        at,
        format!("nothing in the Profile names config `{name}`"),
    )
    .note(note)
    .help_line(help)
}

/// One half of what cloud-init asks for.
#[must_use]
pub fn incomplete_seed(at: Location, there: &str, missing: &str) -> Diagnostic {
    Diagnostic::warning(
        "incomplete-seed",
        at,
        format!("the Profile has a config `{there}` but no `{missing}`"),
    )
    .note("cloud-init's NoCloud takes a directory only with `user-data` and `meta-data` in it, and ignores it otherwise")
    .help_line(format!("add a config `{missing}`; an empty one will do"))
}

/// A label that machines do not send by themselves.
#[must_use]
pub fn unsent_label<'a>(
    at: Location,
    key: &str,
    known: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let near =
        similar(key, known).map(|near| format!("a label with a similar name exists: `{near}`"));
    Diagnostic::warning(
        "unsent-label",
        at,
        format!("no machine sends the label `{key}` by itself"),
    )
    .label("empty, unless something else sends it")
    .note("it is not among what `/boot.ipxe` sends, and no Assignment or Profile of the repository asks for it")
    .help_maybe(near)
    .help_line(format!(
        "send it, with `--label {key}=…` or from a first script of your own, and let an Assignment select by it"
    ))
}

/// A selector on what may be a slip of the hand.
#[must_use]
pub fn misspelt_label(at: Location, key: &str, near: &str) -> Diagnostic {
    Diagnostic::warning(
        "misspelt-label",
        at,
        format!("no machine sends the label `{key}` by itself, but every machine sends `{near}`"),
    )
    .label("a slip of the hand, it seems")
    .note("a selector on a label that a machine did not send does not match")
    .help_line(format!(
        "write `{near}`, or choose a name that is less alike"
    ))
}

/// A value of `platform` that iPXE does not have.
#[must_use]
pub fn unknown_platform(at: Location, value: &str) -> Diagnostic {
    let instead = match value.to_ascii_lowercase().as_str() {
        "bios" | "pc" | "legacy" => Some("pcbios"),
        "uefi" => Some("efi"),
        _ => None,
    };
    Diagnostic::warning(
        "unknown-platform",
        at,
        format!("`{value}` is no platform that iPXE runs on"),
    )
    .label("no machine sends this")
    .note("iPXE's names are `pcbios`, `efi`, `linux` and `sbi`")
    .help_maybe(instead.map(|instead| format!("iPXE says `{instead}`")))
}

/// An Assignment that another one always beats.
#[must_use]
pub fn never_wins(at: Location, name: &str, winner: &str, winner_at: &impl Display) -> Diagnostic {
    Diagnostic::warning(
        "never-wins",
        at,
        format!("Assignment `{name}` can never win: `{winner}` selects all its machines at a higher rank"),
    )
    .note(format!("the other one is at {winner_at}"))
    .help_line("lower the `priority` of the other one, let it select less, or remove this one")
}

/// Machines that the selectors beside them rule out.
#[must_use]
pub fn contradicts_selectors(at: Location, name: &str, count: usize, all: bool) -> Diagnostic {
    let message = if all {
        format!(
            "Assignment `{name}` can never win: its selectors rule out every one of its machines"
        )
    } else {
        let machines = if count == 1 {
            "1 machine"
        } else {
            "some machines"
        };
        format!("the selectors of Assignment `{name}` rule out {machines} that it names")
    };
    Diagnostic::warning("never-wins", at, message)
        .label(if count == 1 { "this one".to_owned() } else { format!("this one and {} more", count - 1) })
        .note("a machine must satisfy the selectors and be one of `machines`, and it has only one `uuid`, `serial` and `asset`")
        .help_line("remove the machine, or the identity from `subjectSelectors`")
}
