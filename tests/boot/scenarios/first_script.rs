//! `/boot.ipxe` itself: what people see and can do, and what arrives of what machines say.

use crate::machine::{Card, Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, script};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:07:01";

/// The key that asks for a shell, Ctrl-B as in iPXE's own banner.
const CTRL_B: &[u8] = &[0x02];

/// It says that it waits, and each time longer; a key opens a shell; leaving the shell goes on; and once the machine has
/// an Assignment, it boots.
pub(super) fn shell(stage: &Stage, report: &Report) {
    let profile = script("late", "echo script: better late\nprompt script: waiting");
    let nobody = assignment("late", "machines: [{mac: \"52:54:00:00:07:99\"}]");
    let site = Site::new(report, &[("late.yaml", &profile), ("who.yaml", &nobody)]);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    let mut machine = machine.start(stage.accelerator, report);

    machine.line_with("asking for the script of this machine, attempt 1 of 10");
    machine.line_with("gitboot: trying again in 6 seconds");
    machine.line_with("attempt 2 of 10");
    machine.line_with("gitboot: trying again in 12 seconds");
    machine.prompt("gitboot: press Ctrl-B for a shell");
    machine.types(CTRL_B);
    machine.prompt("iPXE>");
    machine.types(b"echo shell: on ${platform}\r");
    machine.line_with("shell: on pcbios");

    let somebody = assignment("late", &format!("machines: [{{mac: \"{MAC}\"}}]"));
    let revision = site.push(&[("who.yaml", &somebody)]);
    server.published(&revision);
    machine.types(b"exit\r");
    machine.line_with("attempt 3 of 10");
    machine.line_with("script: better late");
    machine.prompt("script: waiting");
}

/// While the machine waits for its Assignment, its cable is moved to its other card: it follows, and boots.
pub(super) fn cable(stage: &Stage, report: &Report) {
    const SECOND: &str = "52:54:00:00:07:02";
    let profile = script(
        "late",
        "echo script: through ${mac}\nprompt script: waiting",
    );
    let nobody = assignment("late", "machines: [{mac: \"52:54:00:00:07:99\"}]");
    let site = Site::new(report, &[("late.yaml", &profile), ("who.yaml", &nobody)]);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let mut machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    machine.cards.push(Card::new(SECOND));
    let machine = machine.start(stage.accelerator, report);

    machine.line_with("gitboot: trying again in 6 seconds");
    machine.cable(0, false);
    let somebody = assignment("late", &format!("machines: [{{mac: \"{SECOND}\"}}]"));
    let revision = site.push(&[("who.yaml", &somebody)]);
    server.published(&revision);
    machine.line_with("gitboot: the server does not answer, trying every network card");
    machine.line_with("Configuring (net1");
    machine.line_with("attempt 2 of 10");
    machine.line_with(&format!("script: through {SECOND}"));
    machine.prompt("script: waiting");
}

/// Whatever a vendor wrote into the firmware arrives as it is.
pub(super) fn odd_values(stage: &Stage, report: &Report) {
    const SERIAL: &str = "A&B=C+D 50% #7/\"<x>\"?:;@\u{fc}";
    let profile = script(
        "odd",
        "echo script: known by its serial number\nprompt script: waiting",
    );
    let who = format!("machines: [{{name: odd, serial: {SERIAL:?}}}]");
    let site = Site::new(
        report,
        &[
            ("odd.yaml", &profile),
            ("who.yaml", &assignment("odd", &who)),
        ],
    );
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let mut machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    machine.serial = SERIAL;
    let machine = machine.start(stage.accelerator, report);
    machine.line_with("script: known by its serial number");
    machine.prompt("script: waiting");
    let line = server.line_with("route=\"script\"");
    assert!(line.contains("machine=\"odd\""), "{line}");
}
