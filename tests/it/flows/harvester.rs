//! Harvester by MAC: two isolated locations from one repository, one node that creates a cluster and others that join it, each with
//! its own addresses.

use serde_yaml::Value;

use super::{BASE, Site, flows, serve, target_after};
use crate::support::git::Repository;
use crate::support::http::get;

/// A node, and what its configuration has to say of it.
struct Node {
    name: &'static str,
    location: &'static str,
    mac: &'static str,
    ip: &'static str,
    device: &'static str,
    creates: bool,
}

const fn node(
    location: &'static str,
    name: &'static str,
    mac: &'static str,
    ip: &'static str,
    device: &'static str,
    creates: bool,
) -> Node {
    Node {
        name,
        location,
        mac,
        ip,
        device,
        creates,
    }
}

const NODES: [Node; 7] = [
    node(
        "x",
        "x1",
        "52:54:00:52:cb:c1",
        "192.0.2.31",
        "/dev/vda",
        true,
    ),
    node(
        "x",
        "x2",
        "52:54:00:7d:1a:a2",
        "192.0.2.32",
        "/dev/vda",
        false,
    ),
    node(
        "x",
        "x3",
        "52:54:00:31:3e:b8",
        "192.0.2.33",
        "/dev/sda",
        false,
    ),
    node(
        "y",
        "y1",
        "52:54:00:c1:6b:56",
        "198.51.100.41",
        "/dev/nvme0n1",
        true,
    ),
    node(
        "y",
        "y2",
        "52:54:00:14:26:90",
        "198.51.100.42",
        "/dev/nvme0n1",
        false,
    ),
    node(
        "y",
        "y3",
        "52:54:00:27:8c:78",
        "198.51.100.43",
        "/dev/nvme0n1",
        false,
    ),
    node(
        "y",
        "y4",
        "52:54:00:9d:cb:2f",
        "198.51.100.44",
        "/dev/nvme0n1",
        false,
    ),
];

/// What only one location may ever say.
const MARKS: [(&str, &[&str]); 2] = [
    (
        "x",
        &[
            "token-of-location-x",
            "192.0.2.",
            "x.example",
            "enp1s0",
            "v1.6.0",
            "releases.example",
        ],
    ),
    (
        "y",
        &[
            "token-of-location-y",
            "198.51.100.",
            "y.example",
            "ens3",
            "v1.5.2",
            "nvme0n1",
        ],
    ),
];

impl Node {
    /// The script, but for the address of the config.
    fn script(&self, config: &str) -> String {
        let (releases, version, gateway, netmask, interface) = match self.location {
            "x" => (
                "https://releases.example/harvester",
                "v1.6.0",
                "192.0.2.1",
                "255.255.255.0",
                "enp1s0",
            ),
            _ => (
                "http://mirror.y.example/harvester",
                "v1.5.2",
                "198.51.100.254",
                "255.255.252.0",
                "ens3",
            ),
        };
        let file = format!("harvester-{version}");
        format!(
            "#!ipxe\nkernel {releases}/{version}/{file}-vmlinuz-amd64 initrd={file}-initrd-amd64 \
             ip={}::{gateway}:{netmask}:{}:{interface}:off net.ifnames=1 rd.cos.disable rd.noverifyssl \
             root=live:{releases}/{version}/{file}-rootfs-amd64.squashfs console=tty1 harvester.install.automatic=true \
             harvester.install.config_url={BASE}{config}\ninitrd {releases}/{version}/{file}-initrd-amd64\nboot\n",
            self.ip, self.name
        )
    }

    /// Ensures that the installer is told what this node is.
    fn check(&self, config: &str) {
        let config: Value = serde_yaml::from_str(config).unwrap();
        let install = &config["install"];
        let vip = if self.location == "x" {
            "192.0.2.40"
        } else {
            "198.51.100.40"
        };
        assert_eq!(
            config["token"],
            format!("token-of-location-{}", self.location)
        );
        assert_eq!(config["os"]["hostname"], self.name);
        assert_eq!(install["device"], self.device, "{}", self.name);
        assert_eq!(install["management_interface"]["ip"], self.ip);
        assert_eq!(install["management_interface"]["method"], "static");
        if self.creates {
            assert_eq!(install["mode"], "create");
            assert_eq!(install["vip"], vip);
            assert_eq!(config.get("server_url"), None);
        } else {
            assert_eq!(install["mode"], "join");
            assert_eq!(install.get("vip"), None);
            assert_eq!(config["server_url"], format!("https://{vip}:443"));
        }
    }
}

/// Ensures that an answer says nothing of another location and of no other node.
fn assert_is_only_for(node: &Node, text: &str) {
    for (location, marks) in MARKS {
        for mark in marks {
            let is_own = location == node.location;
            assert!(
                is_own || !text.contains(mark),
                "{} says {mark}: {text}",
                node.name
            );
        }
    }
    for other in NODES.iter().filter(|other| other.name != node.name) {
        for mark in [other.ip, other.mac] {
            assert!(!text.contains(mark), "{} says {mark}: {text}", node.name);
        }
    }
}

#[test]
fn each_node_gets_its_own_script_and_configuration() {
    let mut site = Site::of("harvester");
    for node in &NODES {
        // What its own first script asks for, colons and all: `chain http://…/ipxe/${net0/hwaddr}`.
        let script = site.text(&format!("/ipxe/{}", node.mac));
        let target = target_after(&script, "harvester.install.config_url=");
        assert_eq!(script, node.script(&target));
        let config = site.text(&target);
        node.check(&config);
        for answer in [&script, &config] {
            assert_is_only_for(node, answer);
        }
        // And what gitboot's own first script asks for.
        let dashed = node.mac.replace(':', "-");
        let query = format!("/ipxe?uuid=&mac={dashed}&buildarch=x86_64&platform=efi");
        assert_eq!(get(site.address, &query).text(), script);
        let by_name = get(site.address, &format!("/v1/boot/{dashed}/config"));
        assert_eq!(by_name.text(), config);
    }
    let stranger = site.get("/ipxe/52:54:00:00:00:99");
    assert_eq!(stranger.status, 404);
    site.finish("harvester.txt");
}

#[test]
fn a_server_with_one_location_knows_nothing_of_the_other() {
    let repository = Repository::of_folder(&flows().join("harvester"));
    let (_whole, whole) = serve(&repository, &[]);
    // A config that was never here is a plain 404 when nothing is retained.
    let (_only_x, only_x) = serve(&repository, &["--path=location-x", "--retain=0"]);
    for node in &NODES {
        let path = format!("/ipxe/{}", node.mac);
        let script = get(whole, &path).text().to_owned();
        let target = target_after(&script, "harvester.install.config_url=");
        let config = get(whole, &target);
        assert_eq!(config.status, 200);
        let by_name = format!("/v1/boot/{}/config", node.mac.replace(':', "-"));
        if node.location == "x" {
            // The same bytes under the same id, whatever else the repository holds.
            assert_eq!(get(only_x, &path).text(), script);
            assert_eq!(get(only_x, &target).body, config.body);
            assert_eq!(get(only_x, &by_name).body, config.body);
        } else {
            for target in [&path, &target, &by_name] {
                let answer = get(only_x, target);
                assert_eq!(answer.status, 404, "{target}");
                assert_is_only_for(&NODES[0], answer.text());
            }
        }
    }
}

#[test]
fn a_change_in_one_location_changes_nothing_in_the_other() {
    let mut site = Site::of("harvester");
    let all = |site: &Site| {
        NODES.map(|node| {
            let script = get(site.address, &format!("/ipxe/{}", node.mac))
                .text()
                .to_owned();
            let config = get(site.address, &target_after(&script, "config_url="));
            (script, config.text().to_owned())
        })
    };
    let before = all(&site);
    let location = site.edited(
        "location-y/location.yaml",
        "token-of-location-y",
        "another-token",
    );
    site.push(&[("location-y/location.yaml", &location)], "published");
    for (node, (old, new)) in NODES.iter().zip(before.iter().zip(&all(&site))) {
        if node.location == "x" {
            assert_eq!(old, new);
            continue;
        }
        // Another config is another id, and what a script in flight names is still there.
        assert_ne!(old.0, new.0);
        assert_eq!(new.1, old.1.replace("token-of-location-y", "another-token"));
        let in_flight = get(site.address, &target_after(&old.0, "config_url="));
        assert_eq!(in_flight.text(), old.1);
    }

    // A node without an address of its own is a commit that changes nothing, in either location. Script and config say so.
    let after = all(&site);
    let nodes = site.edited("location-y/nodes.yaml", ", ip: 198.51.100.43", "");
    let line = site.push(&[("location-y/nodes.yaml", &nodes)], "refused");
    assert!(line.contains("refused (2 errors)"), "{line}");
    let line = site.server.line_with("undefined-value");
    assert!(
        line.contains("`values.ip` is not defined for machine `y3`"),
        "{line}"
    );
    assert_eq!(all(&site), after);
}
