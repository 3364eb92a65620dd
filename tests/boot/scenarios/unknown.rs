//! Machines that no Assignment names.

use crate::disk::{self, GREETING};
use crate::machine::{Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, script};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:03:01";

/// There is a default.
pub(super) fn with_default(stage: &Stage, report: &Report) {
    let profile = script(
        "welcome",
        "echo script: welcome, ${mac}\nprompt script: waiting",
    );
    let site = Site::new(
        report,
        &[
            ("welcome.yaml", &profile),
            ("who.yaml", &assignment("welcome", "isDefault: true")),
        ],
    );
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    let machine = machine.start(stage.accelerator, report);
    machine.line_with(&format!("script: welcome, {MAC}"));
    machine.prompt("script: waiting");
    let line = server.line_with("route=\"script\"");
    assert!(line.contains("profile=\"welcome\""), "{line}");
}

pub(super) fn without_default_bios(stage: &Stage, report: &Report) {
    without_default(stage, report, Firmware::Bios);
}

pub(super) fn without_default_uefi(stage: &Stage, report: &Report) {
    without_default(stage, report, Firmware::Uefi);
}

/// There is none: the first script asks as often as it was told to, gives up, and the next boot device boots.
fn without_default(stage: &Stage, report: &Report, firmware: Firmware) {
    let who = assignment("other", "machines: [{mac: \"52:54:00:00:03:99\"}]");
    let profile = script("other", "echo script: other");
    let site = Site::new(report, &[("other.yaml", &profile), ("who.yaml", &who)]);
    let mut server = Server::start(&site.path(), &["--boot-attempts", "2"], report);
    server.line_with("published");

    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(firmware, MAC, &server.boot_file());
    disk::attach(&mut machine, folder.path());
    let machine = machine.start(stage.accelerator, report);
    machine.line_with("gitboot: asking for the script of this machine, attempt 1 of 2");
    machine.line_with("gitboot: no script, error");
    machine.line_with("gitboot: trying again in 6 seconds");
    machine.line_with("gitboot: asking for the script of this machine, attempt 2 of 2");
    machine.line_with("gitboot: giving up, going on to the next boot device");
    machine.line_with(GREETING);
    for _ in 0..2 {
        let line = server.line_with("route=\"script\"");
        assert!(line.contains("status=404"), "{line}");
    }
}
