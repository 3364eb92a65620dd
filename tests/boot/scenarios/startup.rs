//! A server that has nothing to serve yet.

use super::chain::gets;
use crate::machine::{Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, linux};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:04:01";
const CONFIG: &str = "it was worth waiting for\n";

/// The repository cannot be read when the machine asks: it is told to wait, waits by itself, and boots.
pub(super) fn not_ready(stage: &Stage, report: &Report) {
    let site = Site::absent(report);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("the repository cannot be read");

    let machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    let machine = machine.start(stage.accelerator, report);
    machine.line_with("gitboot: asking for the script of this machine, attempt 1");
    let line = server.line_with("route=\"script\"");
    assert!(line.contains("status=503"), "{line}");

    site.create();
    let profile = linux(stage, "blue", CONFIG);
    let who = assignment("blue", &format!("machines: [{{mac: \"{MAC}\"}}]"));
    let revision = site.push(&[("blue.yaml", &profile), ("who.yaml", &who)]);
    server.published(&revision);
    machine.line_with("script: this is blue");
    gets(&machine, &mut server, CONFIG);
    assert!(
        !machine.has("no script"),
        "iPXE itself waits and asks again"
    );
}
