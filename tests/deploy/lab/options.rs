//! What every kind of firmware is told, and that iPXE is not sent to itself.

use std::net::Ipv4Addr;

use super::dhcp::Dhcp;
use super::network::SERVER;
use super::probe::{Answer, Firmware, Probe};
use super::site::Lab;

const ARM: &str = "ipxe-arm64.efi";
const FIRST_SCRIPT: &str = "http://10.0.2.2:8080/boot.ipxe";
const HTTP_X86: &str = "http://10.0.2.2:8000/ipxe/ipxe.efi";
const HTTP_ARM: &str = "http://10.0.2.2:8000/ipxe/ipxe-arm64.efi";

/// Vendor class, architecture, whether it is iPXE, and the boot file it gets.
const TABLE: [(&str, u16, bool, &str); 10] = [
    ("PXEClient", 0, false, "undionly.kpxe"),
    ("PXEClient", 7, false, "ipxe.efi"),
    ("PXEClient", 9, false, "ipxe.efi"),
    ("PXEClient", 11, false, ARM),
    ("HTTPClient", 16, false, HTTP_X86),
    ("HTTPClient", 19, false, HTTP_ARM),
    ("PXEClient", 0, true, FIRST_SCRIPT),
    ("PXEClient", 7, true, FIRST_SCRIPT),
    ("PXEClient", 11, true, FIRST_SCRIPT),
    // UEFI on 32 bits: Debian has no iPXE for it.
    ("PXEClient", 6, false, ""),
];

/// Somebody's laptop.
const OTHER: Firmware = Firmware {
    vendor: "",
    architecture: 99,
    is_ipxe: false,
};

#[test]
fn dnsmasq_names_the_boot_file_of_each_architecture() {
    names_boot_files(Dhcp::Dnsmasq);
}

#[test]
fn kea_names_the_boot_file_of_each_architecture() {
    names_boot_files(Dhcp::Kea);
}

#[test]
fn dhcpd_names_the_boot_file_of_each_architecture() {
    names_boot_files(Dhcp::Dhcpd);
}

fn names_boot_files(dhcp: Dhcp) {
    let lab = Lab::new();
    let _servers = dhcp.start(&lab);
    let mut probe = Probe::new(&lab.network);
    let mut told = Vec::new();
    for (vendor, architecture, is_ipxe, _) in TABLE {
        let firmware = Firmware {
            vendor,
            architecture,
            is_ipxe,
        };
        let answer = probe.discover(firmware, |_| true);
        is_from_the_pool(&answer, SERVER);
        if !answer.boot_file.is_empty() {
            assert_eq!(answer.next_server.to_string(), SERVER, "{firmware:?}");
        }
        if vendor == "HTTPClient" {
            assert_eq!(answer.vendor, vendor, "{firmware:?} listens to nobody else");
        }
        told.push((vendor, architecture, is_ipxe, answer.boot_file));
    }
    assert_eq!(
        told,
        TABLE.map(|(a, b, c, file)| (a, b, c, file.to_owned()))
    );

    let answer = probe.discover(OTHER, |_| true);
    is_from_the_pool(&answer, SERVER);
    assert_eq!(answer.boot_file, "");
}

/// The other server gives addresses, the proxy boot files, and neither what is the other's.
#[test]
fn proxy_names_the_boot_file_of_each_architecture() {
    let lab = Lab::new();
    let _servers = Dhcp::Proxy.start(&lab);
    let mut probe = Probe::new(&lab.network);
    let server: Ipv4Addr = SERVER.parse().unwrap();
    let mut told = Vec::new();
    for (vendor, architecture, is_ipxe, expected) in TABLE {
        let firmware = Firmware {
            vendor,
            architecture,
            is_ipxe,
        };
        let answer = probe.discover(firmware, |answer| answer.server != server);
        is_from_the_pool(&answer, "10.0.2.1");
        assert_eq!(answer.boot_file, "", "{answer:?}");
        if expected.is_empty() {
            continue;
        }
        let mut answer = probe.discover(firmware, |answer| answer.server == server);
        assert_eq!(answer.address, Ipv4Addr::UNSPECIFIED, "{answer:?}");
        assert_eq!(answer.vendor, vendor, "{answer:?}");
        if answer.boot_file.is_empty() {
            answer = probe.ask_boot_server(firmware, &answer);
        }
        assert_eq!(answer.next_server, server, "{answer:?}");
        told.push((vendor, architecture, is_ipxe, answer.boot_file));
    }
    let expected = TABLE.map(|(a, b, c, file)| (a, b, c, file.to_owned()));
    assert_eq!(told, expected[..9]);

    let answer = probe.discover(OTHER, |_| true);
    is_from_the_pool(&answer, "10.0.2.1");
    assert_eq!(answer.boot_file, "");
}

/// Ensure that an address was offered by this server.
fn is_from_the_pool(answer: &Answer, server: &str) {
    let [a, b, c, last] = answer.address.octets();
    assert_eq!([a, b, c], [10, 0, 2], "{answer:?}");
    assert!((100..200).contains(&last), "{answer:?}");
    assert_eq!(answer.server.to_string(), server, "{answer:?}");
}
