//! matchbox and the Harvester PXE server: their own data, imported, committed, served, and asked for as they document it.

use super::{BASE, Site, assert_is_first_script, flows, serve, target_after};
use crate::support::git::Repository;
use crate::support::http::get;
use crate::support::process::run_in;

/// Serves what `import` makes of a folder or file of `tests/flows/`.
fn imported(server: &str, source: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    let ran = run_in(
        &flows(),
        &["import", server, source, "--out", out.to_str().unwrap()],
        &[],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Site::serve(Repository::of_folder(&out), &[])
}

#[test]
fn matchbox_boots_fedora_coreos() {
    let mut site = imported("matchbox", "matchbox");
    assert_is_first_script(&site);
    // The name that dnsmasq makes of it.
    let first = get(site.address, "/boot.ipxe");
    assert_eq!(get(site.address, "/boot.ipxe.0"), first);
    let live = "http://mirror.example/fedora-coreos-34.20210725.3.0-live";
    let script = site.text(
        "/ipxe?uuid=2f1214fe-59ba-9f42-a5c5-1af6f124aaf7&mac=08-00-27-c3-62-83&domain=&hostname=&serial=0",
    );
    let target = target_after(&script, "ignition.config.url=");
    assert_eq!(
        script,
        format!(
            "#!ipxe\nkernel {live}-kernel-x86_64 initrd=main coreos.live.rootfs_url={live}-rootfs.x86_64.img \
             ignition.firstboot ignition.platform.id=metal ignition.config.url={BASE}{target}\n\
             initrd --name main {live}-initramfs.x86_64.img\nboot\n"
        )
    );
    let ignition = site.get(&target);
    let original = std::fs::read_to_string(flows().join("matchbox/ignition/live.ign")).unwrap();
    assert_eq!((ignition.status, ignition.text()), (200, original.as_str()));
    assert_eq!(
        ignition.header("content-type"),
        Some("application/vnd.coreos.ignition+json")
    );
    // matchbox's default group.
    let rescue = "#!ipxe\nkernel http://mirror.example/rescue/vmlinuz rescue\n\
                  initrd http://mirror.example/rescue/initrd.img\nboot\n";
    assert_eq!(site.text("/ipxe?mac=08-00-27-c3-62-84"), rescue);
    assert_eq!(site.text("/ipxe"), rescue);
    site.finish("matchbox.txt");
}

#[test]
fn the_harvester_server_keeps_two_locations_apart() {
    let mut site = imported("phs", "phs/data.yaml");
    let nodes = [
        ("52:54:00:52:cb:c1", "192.0.2.31", "create"),
        ("52:54:00:7d:1a:a2", "192.0.2.32", "join"),
        ("52:54:00:c1:6b:56", "198.51.100.41", "create"),
        ("52:54:00:14:26:90", "198.51.100.42", "join"),
    ];
    for (mac, ip, mode) in nodes {
        // `chain http://…/ipxe/${net0/hwaddr}`, as its own script does.
        let script = site.text(&format!("/ipxe/{mac}"));
        assert!(script.contains(&format!(" ip={ip}::")), "{script}");
        let target = target_after(&script, "harvester.install.config_url=");
        let config = site.text(&target);
        let parsed: serde_yaml::Value = serde_yaml::from_str(&config).unwrap();
        let is_x = ip.starts_with("192.");
        let (own, other, vip) = if is_x {
            ("location-x", "location-y", "192.0.2.40")
        } else {
            ("location-y", "location-x", "198.51.100.40")
        };
        assert_eq!(parsed["token"], format!("token-of-{own}"));
        assert_eq!(parsed["install"]["mode"], mode);
        if mode == "create" {
            assert_eq!(parsed["install"]["vip"], vip);
        } else {
            assert_eq!(parsed["server_url"], format!("https://{vip}:8443"));
        }
        let foreign = if is_x { "198.51.100." } else { "192.0.2." };
        for text in [&script, &config] {
            assert!(!text.contains(other) && !text.contains(foreign), "{text}");
        }
    }
    assert_eq!(site.get("/ipxe/52:54:00:00:00:01").status, 404);
    // Each file of an Assignment could be a repository of its own; the ids would be the same.
    let (_again, again) = serve(&site.repository, &[]);
    for (mac, _, _) in nodes {
        let path = format!("/ipxe/{mac}");
        assert_eq!(get(again, &path).body, get(site.address, &path).body);
    }
    site.finish("phs.txt");
}
