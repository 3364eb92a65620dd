//! Machines that are installed, by the Profile `local-disk` of the example repository.

use std::path::Path;

use crate::disk::{self, GREETING};
use crate::machine::{Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::Site;
use crate::stage::Stage;

pub(super) fn bios(stage: &Stage, report: &Report) {
    boots_its_disk(stage, report, Firmware::Bios, "Booting from the first disk");
}

pub(super) fn uefi(stage: &Stage, report: &Report) {
    boots_its_disk(stage, report, Firmware::Uefi, "Booting from the local disk");
}

fn boots_its_disk(stage: &Stage, report: &Report, firmware: Firmware, says: &str) {
    let site = Site::absent(report);
    site.create();
    site.add_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("example-repo"));
    let revision = site.push(&[]);
    let mut server = Server::start(&site.path(), &[], report);
    server.published(&revision);
    // `db-2` of the example, known by its serial number.
    let mut machine = Machine::new(firmware, "52:54:00:00:06:01", &server.boot_file());
    machine.serial = "EXAMPLE-0402";
    let folder = tempfile::tempdir().unwrap();
    disk::attach(&mut machine, folder.path());
    let machine = machine.start(stage.accelerator, report);
    machine.line_with(says);
    machine.line_with(GREETING);
    let line = server.line_with("route=\"script\"");
    assert!(line.contains("machine=\"db-2\""), "{line}");
}
