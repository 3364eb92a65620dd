//! The DHCP servers, with the files of `deploy/dhcp/` as their users copy them.

use std::process::Command;

use super::compose::Service;
use super::network::SERVER;
use super::site::Lab;
use crate::support::process::Process;

/// The other DHCP server of a network, which knows nothing of booting.
const OTHER: [&str; 11] = [
    "dnsmasq",
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--pid-file=",
    "--user=root",
    "--group=root",
    "--log-facility=-",
    "--port=0",
    "--dhcp-authoritative",
    "--dhcp-range=10.0.2.100,10.0.2.199",
    "--dhcp-leasefile=/run/router.leases",
];

/// A DHCP server that knows of gitboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dhcp {
    /// dnsmasq that hands out addresses.
    Dnsmasq,
    /// dnsmasq that only adds what to boot, beside a server that hands out addresses.
    Proxy,
    /// ISC Kea.
    Kea,
    /// ISC's `dhcpd`.
    Dhcpd,
}

impl Dhcp {
    /// Starts it, and returns what runs when machines get answers.
    pub(super) fn start(self, lab: &Lab) -> Vec<Process> {
        match self {
            Self::Dnsmasq => vec![dnsmasq(lab, "dhcp")],
            Self::Proxy => {
                let mut other = lab.network.start_at_router(&OTHER);
                other.line_with("dnsmasq-dhcp");
                vec![other, dnsmasq(lab, "proxy")]
            }
            Self::Kea => {
                let file = filled_in(lab, "kea-dhcp4.conf");
                let mut kea = lab.network.start(&["kea-dhcp4", "-c", &file], &[]);
                kea.line_with("DHCP4_STARTED");
                vec![kea]
            }
            Self::Dhcpd => {
                let file = filled_in(lab, "dhcpd.conf");
                let line = ["dhcpd", "-f", "-d", "-cf", &file, "lan"];
                let mut dhcpd = lab.network.start(&line, &[]);
                dhcpd.line_with("Server starting service");
                vec![dhcpd]
            }
        }
    }
}

/// dnsmasq as compose.yaml runs it: by its script, with its variables, and with the rights that are left to it.
fn dnsmasq(lab: &Lab, service: &str) -> Process {
    let service = Service::of(service);
    let script = lab.deployed("compose/start-dnsmasq");
    let files = lab.deployed("dhcp");
    let mut variables = service.environment();
    variables.push(("LAB_DHCP_FILES".to_owned(), files));
    let command = service.command();
    assert_eq!(command[0], "start-dnsmasq");
    let mut line = service.rights();
    line.extend(["sh".to_owned(), script]);
    line.extend_from_slice(&command[1..]);
    let mut dnsmasq = lab.network.start(&line, &variables);
    dnsmasq.line_with("dnsmasq-dhcp");
    dnsmasq
}

/// Fills in a file of `deploy/dhcp/` by the command at its top, with the values of the network here.
fn filled_in(lab: &Lab, name: &str) -> String {
    let text = std::fs::read_to_string(lab.deployed(&format!("dhcp/{name}"))).unwrap();
    let (_, rest) = text.split_once("sed -e '").unwrap();
    let (command, _) = rest.split_once('\'').unwrap();
    let command = command
        .replace("/10.1.7.5/", &format!("/{SERVER}/"))
        .replace("/10.1.7.254/", "/10.0.2.1/")
        .replace("/10.1.7./", "/10.0.2./");
    assert!(!command.contains("10.1."), "{command}");
    let output = Command::new("sed")
        .args(["-e", &command, &lab.deployed(&format!("dhcp/{name}"))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}");
    let path = lab.network.work().join(name);
    std::fs::write(&path, output.stdout).unwrap();
    path.display().to_string()
}
