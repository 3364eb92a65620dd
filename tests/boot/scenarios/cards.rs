//! Machines with two network cards.

use super::chain::boots;
use crate::machine::{Card, Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, linux};
use crate::stage::Stage;

const FIRST: &str = "52:54:00:00:02:01";
const SECOND: &str = "52:54:00:00:02:02";
const CONFIG: &str = "the second card is known\n";

/// The first card boots, the repository knows the second: its MAC is told too.
pub(super) fn second_is_known(stage: &Stage, report: &Report) {
    two_cards(stage, report, true);
}

/// Nobody answers the first card: iPXE goes on to the second, which boots.
pub(super) fn first_has_no_dhcp(stage: &Stage, report: &Report) {
    two_cards(stage, report, false);
}

fn two_cards(stage: &Stage, report: &Report, first_has_dhcp: bool) {
    let profile = linux(stage, "blue", CONFIG);
    let who = assignment("blue", &format!("machines: [{{mac: \"{SECOND}\"}}]"));
    let site = Site::new(report, &[("blue.yaml", &profile), ("who.yaml", &who)]);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");

    let mut machine = Machine::new(Firmware::Bios, FIRST, &server.boot_file());
    machine.cards = vec![Card::new(FIRST), Card::new(SECOND)];
    machine.cards[0].has_dhcp = first_has_dhcp;
    let machine = machine.start(stage.accelerator, report);
    machine.line_with("net0: ");
    boots(&machine, &mut server, "blue", CONFIG);
}
