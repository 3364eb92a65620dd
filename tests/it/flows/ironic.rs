//! Ironic's boot configuration API: `GET /v1/boot/<MAC>/<NAME>`, with one and the same 404 for everything that is not there.

use super::{BASE, Site, flows, serve};
use crate::support::git::Repository;
use crate::support::http::{Client, get};

#[test]
fn nodes_get_their_files_by_mac_and_name() {
    let mut site = Site::of("ironic");
    // The static DHCP script asks for each card in turn: any port of a node will do, in any spelling.
    let script = site.text("/v1/boot/52-54-00-00-00-a0/boot.ipxe");
    assert_eq!(
        script,
        format!(
            "#!ipxe\nkernel http://mirror.example/ipa.kernel ipa-api-url=http://ironic.example:6385 BOOTIF=${{mac}} \
             boot_method=ipxe network-data={BASE}/v1/boot/${{mac:hexhyp}}/network_data.json ipa-debug=1 \
             systemd.journald.forward_to_console=yes\ninitrd http://mirror.example/ipa.initramfs\nboot\n"
        )
    );
    for mac in [
        "52:54:00:00:00:a0",
        "52:54:00:00:00:A1",
        "52%3A54%3A00%3A00%3A00%3AA1",
        "5254000000a1",
    ] {
        let answer = site.get(&format!("/v1/boot/{mac}/boot.ipxe"));
        assert_eq!(
            (answer.status, answer.text()),
            (200, script.as_str()),
            "{mac}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    let network = |mac: &str, ip: &str| {
        format!(
            "{{\"links\": [{{\"id\": \"port0\", \"type\": \"phy\", \"ethernet_mac_address\": \"{mac}\"}}], \"networks\": \
             [{{\"id\": \"net0\", \"type\": \"ipv4\", \"link\": \"port0\", \"ip_address\": \"{ip}\"}}]}}\n"
        )
    };
    for (mac, ip) in [
        ("52:54:00:00:00:a0", "192.0.2.50"),
        ("52:54:00:00:00:a1", "192.0.2.50"),
        ("52:54:00:00:00:b0", "192.0.2.51"),
    ] {
        let answer = site.get(&format!(
            "/v1/boot/{}/network_data.json",
            mac.replace(':', "-")
        ));
        assert_eq!(answer.text(), network(mac, ip));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for (mac, name) in [("a0", "node-0"), ("b0", "node-1"), ("c0", "node-2")] {
        let text = site.text(&format!("/v1/boot/52-54-00-00-00-{mac}/user-data"));
        assert_eq!(text, format!("#cloud-config\nhostname: {name}\n"));
    }
    let none = site.get("/v1/boot/52-54-00-00-00-99/boot.ipxe");
    assert_eq!((none.status, none.text()), (404, "not found\n"));
    site.finish("ironic.txt");
}

/// What there is nothing for, for one reason each.
const NOTHING: [&str; 14] = [
    // A node that does not exist.
    "/v1/boot/52-54-00-00-00-99/boot.ipxe",
    "/v1/boot/52-54-00-00-00-99/user-data",
    // A node that is deployed and boots from its disk.
    "/v1/boot/52-54-00-00-00-c0/boot.ipxe",
    // A file that this node does not have, and one that no node can have.
    "/v1/boot/52-54-00-00-00-c0/network_data.json",
    "/v1/boot/52-54-00-00-00-a0/vendor-data",
    "/v1/boot/52-54-00-00-00-a0/..%2fnodes.yaml",
    "/v1/boot/52-54-00-00-00-a0/%ff",
    "/v1/boot/52-54-00-00-00-a0/BOOT.IPXE",
    // No MAC, no MAC of anybody, half of one.
    "/v1/boot/node-0/boot.ipxe",
    "/v1/boot/00-00-00-00-00-00/boot.ipxe",
    "/v1/boot/ff-ff-ff-ff-ff-ff/boot.ipxe",
    "/v1/boot/52-54-00-00-00/boot.ipxe",
    // Labels that contradict each other.
    "/v1/boot/52-54-00-00-00-a0/user-data?serial=a&serial=b",
    "/v1/boot/52-54-00-00-00-a0/boot.ipxe?serial=a&serial=b",
];

#[test]
fn whatever_is_not_there_looks_the_same() {
    let site = Site::of("ironic");
    let generic = get(site.address, NOTHING[0]);
    assert_eq!((generic.status, generic.text()), (404, "not found\n"));
    assert_eq!(
        generic.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(generic.header("retry-after"), None);
    for target in NOTHING {
        // Status, headers and body: whoever tries MACs learns nothing from the rest.
        assert_eq!(get(site.address, target), generic, "{target}");
        let mut client = Client::connect(site.address);
        client.send(format!(
            "HEAD {target} HTTP/1.1\r\nHost: boot.example\r\n\r\n"
        ));
        let head = client.head();
        assert_eq!(
            (head.status, &head.headers),
            (404, &generic.headers),
            "{target}"
        );
    }
    // Only reading is possible, and that is said to everybody.
    let mut client = Client::connect(site.address);
    client.send("POST /v1/boot/52-54-00-00-00-a0/boot.ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 405);
}

#[test]
fn without_the_api_there_is_nothing_at_all() {
    let repository = Repository::of_folder(&flows().join("ironic"));
    let (_server, address) = serve(&repository, &["--no-boot-api"]);
    let unknown = get(address, "/no/such/path");
    assert_eq!(unknown.status, 404);
    for target in NOTHING.iter().chain(&[
        "/v1/boot/52-54-00-00-00-a0/boot.ipxe",
        "/v1/boot/52-54-00-00-00-a0/user-data",
    ]) {
        assert_eq!(get(address, target), unknown, "{target}");
    }
    // The node itself still boots.
    assert_eq!(get(address, "/ipxe/52:54:00:00:00:a0").status, 200);
}
