//! A commit with a mistake.

use super::chain::boots;
use crate::machine::{Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, linux};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:05:01";
const CONFIG: &str = "colour: blue\n";

/// A refused commit between two boots changes nothing.
pub(super) fn commit(stage: &Stage, report: &Report) {
    let who = format!("machines: [{{mac: \"{MAC}\"}}]");
    let profile = linux(stage, "blue", CONFIG);
    let files = [
        ("blue.yaml", profile.as_str()),
        ("who.yaml", &assignment("blue", &who)),
    ];
    let site = Site::new(report, &files);
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let machine = Machine::new(Firmware::Bios, MAC, &server.boot_file());
    let running = machine.start(stage.accelerator, report);
    boots(&running, &mut server, "blue", CONFIG);

    let revision = site.push(&[("who.yaml", &assignment("blau", &who))]);
    server.line_with(&format!(
        "revision {revision} refused (1 error), still serving"
    ));
    server.line_with("error[unknown-profile]");
    drop(running);
    let running = machine.start(stage.accelerator, report);
    boots(&running, &mut server, "blue", CONFIG);
}
