//! Flags of `serve` from environment variables: `GITBOOT_<FLAG>` for `--<flag>`.

use std::ffi::{OsStr, OsString};

use clap::{ArgAction, Command};

/// The command whose flags have variables.
const COMMAND: &str = "serve";

/// The arguments with `--flag=value` added for every flag of `serve` that has a non-empty variable and is not among
/// them. The lines of a repeatable flag's variable are its values; a switch is on for `true` and `1`, off for `false`
/// and `0`. Variables that name no flag are left alone.
#[must_use]
pub fn with_environment(
    cli: &Command,
    mut args: Vec<OsString>,
    vars: &[(OsString, OsString)],
) -> Vec<OsString> {
    // The first argument is the program itself.
    let is_ours = args.get(1).is_some_and(|name| name == COMMAND);
    let Some(command) = cli.find_subcommand(COMMAND).filter(|_| is_ours) else {
        return args;
    };
    let mut added = Vec::new();
    for argument in command.get_arguments() {
        let Some(long) = argument.get_long() else {
            continue;
        };
        let Some(value) = variable(long, vars).filter(|_| !is_given(long, &args)) else {
            continue;
        };
        match argument.get_action() {
            ArgAction::Append => added.extend(lines(value).map(|line| flag(long, line))),
            ArgAction::SetTrue if is_on(value) => added.push(OsString::from(format!("--{long}"))),
            ArgAction::SetTrue if is_off(value) => {}
            ArgAction::Help | ArgAction::Version => {}
            // For a switch, clap says that it takes no such value.
            _ => added.push(flag(long, value)),
        }
    }
    args.splice(2..2, added);
    args
}

/// The lines of a repeatable flag's variable, for commands that have to know what `serve` is told; `None` without any.
pub(super) fn values(long: &str, vars: &[(OsString, OsString)]) -> Option<Vec<OsString>> {
    let values: Vec<OsString> = lines(variable(long, vars)?).map(OsStr::to_owned).collect();
    (!values.is_empty()).then_some(values)
}

fn variable<'v>(long: &str, vars: &'v [(OsString, OsString)]) -> Option<&'v OsStr> {
    let name = format!("GITBOOT_{}", long.to_ascii_uppercase().replace('-', "_"));
    let found = vars.iter().find(|(key, _)| *key == *name);
    found
        .map(|(_, value)| value.as_os_str())
        .filter(|value| !value.is_empty())
}

fn is_given(long: &str, args: &[OsString]) -> bool {
    let flags = args.iter().take_while(|arg| *arg != "--");
    let mut texts = flags.filter_map(|arg| arg.to_str()?.strip_prefix("--"));
    texts.any(|text| {
        text.strip_prefix(long)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn flag(long: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{long}="));
    flag.push(value);
    flag
}

/// The lines that are not empty. A value that is not UTF-8 is one line, about which clap complains.
fn lines(value: &OsStr) -> impl Iterator<Item = &OsStr> {
    let (text, rest) = match value.to_str() {
        Some(text) => (text, None),
        None => ("", Some(value)),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(OsStr::new).chain(rest)
}

fn is_on(value: &OsStr) -> bool {
    value.eq_ignore_ascii_case("true") || value == "1"
}

fn is_off(value: &OsStr) -> bool {
    value.eq_ignore_ascii_case("false") || value == "0"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn cli() -> Command {
        let serve = Command::new("serve")
            .arg(Arg::new("repo").long("repo"))
            .arg(Arg::new("listen").long("listen").action(ArgAction::Append))
            .arg(
                Arg::new("no-boot-api")
                    .long("no-boot-api")
                    .action(ArgAction::SetTrue),
            );
        Command::new("gitboot")
            .subcommand(serve)
            .subcommand(Command::new("demo"))
    }

    fn with(args: &str, vars: &[(&str, &str)]) -> Vec<String> {
        let args = args.split(' ').map(OsString::from).collect();
        let vars: Vec<_> = vars
            .iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v)))
            .collect();
        let args = with_environment(&cli(), args, &vars);
        args.into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect()
    }

    #[test]
    fn variables_become_flags() {
        let found = with(
            "gitboot serve",
            &[
                ("GITBOOT_REPO", "https://git.example/a b"),
                ("GITBOOT_COLOUR", "x"),
            ],
        );
        assert_eq!(
            found,
            ["gitboot", "serve", "--repo=https://git.example/a b"]
        );
    }

    #[test]
    fn flags_win_over_variables() {
        let vars = [("GITBOOT_REPO", "env")];
        assert_eq!(
            with("gitboot serve --repo flag", &vars),
            ["gitboot", "serve", "--repo", "flag"]
        );
        assert_eq!(
            with("gitboot serve --repo=flag", &vars),
            ["gitboot", "serve", "--repo=flag"]
        );
        let other = with("gitboot serve --repository flag", &vars);
        assert_eq!(
            other,
            ["gitboot", "serve", "--repo=env", "--repository", "flag"]
        );
    }

    #[test]
    fn repeatable_flags_split_on_newlines() {
        let found = with(
            "gitboot serve",
            &[("GITBOOT_LISTEN", "[::]:80\n\n 127.0.0.1:81 \r\n")],
        );
        assert_eq!(
            found,
            [
                "gitboot",
                "serve",
                "--listen=[::]:80",
                "--listen=127.0.0.1:81"
            ]
        );
    }

    #[test]
    fn switches_are_on_or_off() {
        for (value, expected) in [
            ("true", 1),
            ("1", 1),
            ("TRUE", 1),
            ("false", 0),
            ("0", 0),
            ("", 0),
        ] {
            let found = with("gitboot serve", &[("GITBOOT_NO_BOOT_API", value)]);
            assert_eq!(found.len() - 2, expected, "{value:?}: {found:?}");
        }
        let odd = with("gitboot serve", &[("GITBOOT_NO_BOOT_API", "maybe")]);
        assert_eq!(odd, ["gitboot", "serve", "--no-boot-api=maybe"]);
    }

    #[test]
    fn empty_variables_and_other_commands_are_left_alone() {
        assert_eq!(
            with("gitboot serve", &[("GITBOOT_REPO", "")]),
            ["gitboot", "serve"]
        );
        assert_eq!(
            with("gitboot demo", &[("GITBOOT_REPO", "x")]),
            ["gitboot", "demo"]
        );
        assert_eq!(with("gitboot", &[("GITBOOT_REPO", "x")]), ["gitboot"]);
    }
}
