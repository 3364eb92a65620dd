//! What is played, the longest first.

mod cards;
mod chain;
mod disk;
mod first_script;
mod refused;
mod startup;
mod storm;
mod tftp;
mod unknown;

use crate::report::Report;
use crate::stage::Stage;

/// One story about machines, a server and a repository.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Plays it; a failure is a panic.
    pub(crate) play: fn(&Stage, &Report),
}

/// Those with one machine on at a time.
pub(crate) const SIDE_BY_SIDE: [Scenario; 16] = [
    scenario("chain-uefi", chain::uefi),
    scenario("chain-bios", chain::bios),
    scenario("first-stage-tftp-uefi", tftp::uefi),
    scenario("first-stage-tftp-bios", tftp::bios),
    scenario(
        "unknown-without-default-uefi",
        unknown::without_default_uefi,
    ),
    scenario(
        "unknown-without-default-bios",
        unknown::without_default_bios,
    ),
    scenario("first-script-cable", first_script::cable),
    scenario("first-script-shell", first_script::shell),
    scenario("not-ready", startup::not_ready),
    scenario("refused-commit", refused::commit),
    scenario("local-disk-uefi", disk::uefi),
    scenario("local-disk-bios", disk::bios),
    scenario("second-card-known", cards::second_is_known),
    scenario("first-card-without-dhcp", cards::first_has_no_dhcp),
    scenario("unknown-with-default", unknown::with_default),
    scenario("first-script-odd-values", first_script::odd_values),
];

/// Those that have the whole machine for themselves.
pub(crate) const ALONE: [Scenario; 1] = [scenario("storm", storm::all_at_once)];

const fn scenario(name: &'static str, play: fn(&Stage, &Report)) -> Scenario {
    Scenario { name, play }
}
