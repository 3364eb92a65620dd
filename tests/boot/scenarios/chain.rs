//! From power on to a Linux with its config, then a push, a reboot, and another config.

use crate::machine::{Firmware, Machine, Running};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, digest, linux};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:01:01";
const BLUE: &str = "colour: blue\n";
const GREEN: &str = "colour: green\n";

pub(super) fn bios(stage: &Stage, report: &Report) {
    chain(stage, report, Firmware::Bios);
}

pub(super) fn uefi(stage: &Stage, report: &Report) {
    chain(stage, report, Firmware::Uefi);
}

fn chain(stage: &Stage, report: &Report, firmware: Firmware) {
    let who = format!("machines: [{{name: node-1, mac: \"{MAC}\"}}]");
    let (blue, green) = (linux(stage, "blue", BLUE), linux(stage, "green", GREEN));
    let first = assignment("blue", &who);
    let files = [
        ("blue.yaml", blue.as_str()),
        ("green.yaml", green.as_str()),
        ("who.yaml", first.as_str()),
    ];
    let site = Site::new(report, &files);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");

    // DHCP names a script on the TFTP server beside it, as where machines of all kinds boot from one DHCP server.
    let tftp = tempfile::tempdir().unwrap();
    let first = format!(
        "#!ipxe\nchain --replace --autofree {}\n",
        server.boot_file()
    );
    std::fs::write(tftp.path().join("site.ipxe"), first).unwrap();
    let mut machine = Machine::new(firmware, MAC, "site.ipxe");
    machine.tftp = Some(tftp.path().to_owned());
    let running = machine.start(stage.accelerator, report);
    running.line_with("site.ipxe... ok");
    boots(&running, &mut server, "blue", BLUE);

    let revision = site.push(&[("who.yaml", &assignment("green", &who))]);
    server.published(&revision);
    // Off before it is on again: QEMU's network would remember the connections of the boot before.
    drop(running);
    let running = machine.start(stage.accelerator, report);
    boots(&running, &mut server, "green", GREEN);
}

/// Ensure that the machine asks, boots this Profile and gets this config.
pub(super) fn boots(machine: &Running, server: &mut Server, profile: &str, config: &str) {
    machine.line_with("gitboot: asking for the script of this machine, attempt 1");
    machine.line_with(&format!("script: this is {profile}"));
    let line = server.line_with("route=\"script\"");
    assert!(line.contains(&format!("profile=\"{profile}\"")), "{line}");
    gets(machine, server, config);
}

/// Ensure that the booted Linux gets this config.
pub(super) fn gets(machine: &Running, server: &mut Server, config: &str) {
    machine.line_with("guest: asking for");
    let line = machine.line_with("guest: config ");
    let expected = digest(config);
    assert!(line.contains(&expected), "{line}, not {expected}");
    server.line_with("route=\"config\"");
    machine.line_with("guest: done");
}
