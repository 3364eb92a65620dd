//! The first stage over TFTP: a ROM's iPXE loads Debian's iPXE from the server, and that one the way to HTTP.

use std::net::TcpListener;
use std::path::Path;

use super::chain::boots;
use crate::machine::{Firmware, HOST, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::{Site, assignment, linux};
use crate::stage::Stage;

const MAC: &str = "52:54:00:00:09:01";
const CONFIG: &str = "it came all the way from TFTP\n";

pub(super) fn bios(stage: &Stage, report: &Report) {
    first_stage(stage, report, Firmware::Bios, "undionly.kpxe", "boot.ipxe");
}

pub(super) fn uefi(stage: &Stage, report: &Report) {
    first_stage(stage, report, Firmware::Uefi, "ipxe.efi", "autoexec.ipxe");
}

/// DHCP names one file, whoever asks: QEMU's knows no user classes. So that file says something else the second time.
fn first_stage(stage: &Stage, report: &Report, firmware: Firmware, loader: &str, own_script: &str) {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    std::fs::copy(Path::new("/usr/lib/ipxe").join(loader), at(loader)).unwrap();
    std::fs::write(at("first.ipxe"), format!("#!ipxe\nchain {loader}\n")).unwrap();

    let profile = linux(stage, "blue", CONFIG);
    let who = assignment("blue", &format!("machines: [{{mac: \"{MAC}\"}}]"));
    let site = Site::new(report, &[("blue.yaml", &profile), ("who.yaml", &who)]);
    let folder = root.path().display().to_string();
    // The address that is asked is this machine's loopback, where no booted Linux finds anybody but itself.
    let http = format!("127.0.0.1:{}", free_port());
    let external = http.replace("127.0.0.1", HOST);
    let external = format!("http://{external}");
    let tftp = ["--tftp-listen", "127.0.0.1:0", "--tftp-root", &folder];
    let more = [&["--listen", &http, "--external-url", &external], &tftp[..]].concat();
    let mut server = Server::start(&site.path(), &more, report);
    let line = server.line_with("listening on tftp://");
    let (_, port) = line.rsplit_once(':').unwrap();
    server.line_with("published");

    let file = format!("tftp://{HOST}:{port}/first.ipxe");
    let machine = Machine::new(firmware, MAC, &file).start(stage.accelerator, report);
    machine.line_with(&format!("{loader}... ok"));
    let line = server.line_with(&format!("file=\"{loader}\""));
    assert!(line.contains("status=200"), "{line}");
    // A second passes at least until what was loaded has a network. A new file, so that nobody reads half of one.
    std::fs::write(at("new"), format!("#!ipxe\nchain --replace {own_script}\n")).unwrap();
    std::fs::rename(at("new"), at("first.ipxe")).unwrap();

    machine.line_with(&format!("{own_script}... ok"));
    let line = server.line_with(&format!("file=\"{own_script}\""));
    assert!(line.contains("status=200"), "{line}");
    machine.line_with(&format!("asking {external} for boot.ipxe, attempt 1 of 10"));
    boots(&machine, &mut server, "blue", CONFIG);
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
