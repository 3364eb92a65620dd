//! What would be published and boot wrongly: a table of rules, each of which warns.
//!
//! A rule looks at what was written, once for each Profile or Assignment, never once for each machine. The one thing that only
//! a rendered script can tell, the length of its lines, is asked where scripts are rendered (`Bodies::script`).

mod config;
mod ipxe;
mod label;
mod length;
mod script;
mod shadow;

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Locator, Manifests};

use super::content::{Contents, Loaded};
use super::resolve::Resolved;

pub(super) use length::{Excess, MAX_COMMAND_LINE_BYTES, MAX_WORDS, excesses, place};

/// What the rules look at.
pub(super) struct Subject<'a> {
    pub(super) manifests: &'a Manifests,
    pub(super) resolved: &'a Resolved,
    pub(super) contents: &'a Contents<'a>,
    pub(super) locator: &'a Locator<'a>,
}

/// One rule: the code that it tells, and what it does. Its doc comment says what it ensures.
struct Lint {
    code: &'static str,
    /// Whether it may be asked of some manifests while others could not be read.
    is_local: bool,
    check: fn(&Subject<'_>, &mut Vec<Diagnostic>),
}

const LINTS: [Lint; 11] = [
    local("unknown-command", script::unknown_commands),
    local("unused-initrd", script::unused_initrds),
    local("unknown-initrd", script::unknown_initrds),
    local("long-line", script::long_lines),
    local("long-command-line", script::long_command_lines),
    local("unused-config", config::unused),
    local("incomplete-seed", config::incomplete_seeds),
    whole("unsent-label", label::unsent),
    local("misspelt-label", label::misspelt),
    local("unknown-platform", label::unknown_platforms),
    whole("never-wins", shadow::never_wins),
];

const fn local(code: &'static str, check: fn(&Subject<'_>, &mut Vec<Diagnostic>)) -> Lint {
    Lint {
        code,
        is_local: true,
        check,
    }
}

const fn whole(code: &'static str, check: fn(&Subject<'_>, &mut Vec<Diagnostic>)) -> Lint {
    Lint {
        code,
        is_local: false,
        check,
    }
}

/// Asks every rule.
pub(super) fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let is_error = |one: &Diagnostic| one.severity() == Severity::Error;
    let complete = !subject.manifests.diagnostics.iter().any(is_error);
    for lint in LINTS.iter().filter(|lint| complete || lint.is_local) {
        let before = found.len();
        (lint.check)(subject, found);
        debug_assert!(
            found.iter().skip(before).all(|one| one.code() == lint.code),
            "a rule tells its own code"
        );
    }
}

impl<'a> Subject<'a> {
    /// The Profiles that nothing is wrong with.
    fn profiles(&self) -> impl Iterator<Item = &'a Loaded<'a>> {
        self.contents.profiles.iter().flatten()
    }

    /// Those of them that no Assignment uses, which are rendered for nobody.
    fn unused_profiles(&self) -> impl Iterator<Item = &'a Loaded<'a>> {
        let candidates = self.resolved.candidates.iter().flatten();
        let used: BTreeSet<usize> = candidates.map(|one| one.profile).collect();
        let all = self.contents.profiles.iter().enumerate();
        all.filter(move |(place, _)| !used.contains(place))
            .filter_map(|(_, loaded)| loaded.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::rules;

    #[test]
    fn every_lint_is_a_rule_that_warns() {
        let warns = |code: &str| {
            rules()
                .iter()
                .any(|rule| rule.code == code && rule.severity == Severity::Warning)
        };
        for lint in &LINTS {
            assert!(warns(lint.code), "{}", lint.code);
        }
    }
}
