//! From power on to a kernel with its config, in the lab that compose.yaml describes.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::dhcp::Dhcp;
use super::network::{SERVER, TAP};
use super::site::{Lab, MAC, Services};
use crate::boot::accelerator::Accelerator;
use crate::boot::machine::{Firmware, Machine, PATIENCE, Running};
use crate::boot::report::Report;

/// A PXE of a BIOS that is no iPXE, as far as anybody on the network can tell. Free ones are all iPXE, so one of these hides
/// that it is, until it starts what it was told to load.
const PLAIN_PXE: Firmware = Firmware::Script(
    "#!ipxe
set user-class plain
dhcp
clear user-class
chain tftp://${next-server}/${filename}
",
);

#[test]
fn dnsmasq_boots_bios() {
    boots(
        "lab-dnsmasq-bios",
        Dhcp::Dnsmasq,
        PLAIN_PXE,
        "undionly.kpxe",
    );
}

#[test]
fn dnsmasq_boots_uefi() {
    boots(
        "lab-dnsmasq-uefi",
        Dhcp::Dnsmasq,
        Firmware::UefiPxe,
        "ipxe.efi",
    );
}

#[test]
fn dnsmasq_boots_uefi_over_http() {
    boots_over_http("lab-dnsmasq-http", Dhcp::Dnsmasq);
}

#[test]
fn proxy_boots_uefi() {
    boots("lab-proxy-uefi", Dhcp::Proxy, Firmware::UefiPxe, "ipxe.efi");
}

#[test]
fn proxy_boots_uefi_over_http() {
    boots_over_http("lab-proxy-http", Dhcp::Proxy);
}

/// With iPXE in the ROM of its card there is nothing to load over TFTP.
#[test]
fn proxy_boots_bios_with_ipxe() {
    let report = Report::begin("lab-proxy-bios");
    let lab = Lab::new();
    let mut services = lab.start(Dhcp::Proxy);
    let machine = power_on(&lab, Firmware::Bios, &report);
    reaches_kernel(&lab, &mut services, &machine);
}

#[test]
fn kea_boots_uefi() {
    boots("lab-kea-uefi", Dhcp::Kea, Firmware::UefiPxe, "ipxe.efi");
}

#[test]
fn dhcpd_boots_uefi() {
    boots("lab-dhcpd-uefi", Dhcp::Dhcpd, Firmware::UefiPxe, "ipxe.efi");
}

/// DHCP, TFTP, iPXE, HTTP, kernel.
fn boots(name: &'static str, dhcp: Dhcp, firmware: Firmware, loads: &str) {
    let report = Report::begin(name);
    let lab = Lab::new();
    let mut services = lab.start(dhcp);
    let machine = power_on(&lab, firmware, &report);
    let loaded = format!("route=\"tftp\" status=200 reason=\"ok\" file=\"{loads}\"");
    services.gitboot.line_within(&loaded, PATIENCE);
    reaches_kernel(&lab, &mut services, &machine);
}

/// DHCP, HTTP, iPXE, HTTP, kernel.
fn boots_over_http(name: &'static str, dhcp: Dhcp) {
    let report = Report::begin(name);
    let lab = Lab::new();
    let mut services = lab.start(dhcp);
    let machine = power_on(&lab, Firmware::UefiHttp, &report);
    services
        .web
        .line_within("GET /ipxe/ipxe.efi HTTP/1.1\" 200", PATIENCE);
    reaches_kernel(&lab, &mut services, &machine);
}

/// Switches on the machine that the example repository knows. It has no help of a processor: not everywhere is one that can.
fn power_on(lab: &Lab, firmware: Firmware, report: &Report) -> Running {
    let mut machine = Machine::new(firmware, MAC, "");
    machine.cards[0].tap = Some(TAP);
    machine.by = lab.network.by();
    machine.start(Accelerator::Tcg, report)
}

/// Ensure that iPXE is sent on, and that the machine gets the kernel and the config of its own.
fn reaches_kernel(lab: &Lab, services: &mut Services, machine: &Running) {
    machine.line_with(&format!("http://{SERVER}:8080/boot.ipxe... ok"));
    let line = services.gitboot.line_within("route=\"script\"", PATIENCE);
    for part in [
        "status=200",
        MAC,
        "machine=\"node-1\"",
        "profile=\"debian\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
    services
        .web
        .line_within("GET /images/debian/linux HTTP/1.1\" 200", PATIENCE);
    let line = machine.line_with("guest: config ");
    let expected = digest(&lab.preseed());
    assert!(line.contains(&expected), "{line}, not {expected}");
    let line = services.gitboot.line_within("route=\"config\"", PATIENCE);
    assert!(line.contains("config=\"preseed\""), "{line}");
}

/// What `sha256sum` prints of these bytes.
fn digest(bytes: &str) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}
