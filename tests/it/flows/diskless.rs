//! Fedora CoreOS from memory and cloud-init machines on iSCSI, with the images as a table.

use super::{BASE, Site, assert_is_first_script, flows, target_after};
use crate::support::http::{Client, get};
use crate::support::process::{Process, run_in};

const LIVE: &str = "/ipxe?uuid=2f1214fe-59ba-9f42-a5c5-1af6f124aaf7&mac=08-00-27-c3-62-83&domain=&hostname=&serial=0";

fn coreos(version: &str, config: &str) -> String {
    let file = format!("http://mirror.example/assets/coreos/fedora-coreos-{version}-live");
    // The name of the kernel changed between the two.
    let kernel = if version.starts_with("34") {
        "kernel-"
    } else {
        "kernel."
    };
    format!(
        "#!ipxe\nkernel {file}-{kernel}x86_64 initrd=main coreos.live.rootfs_url={file}-rootfs.x86_64.img \
         ignition.firstboot ignition.platform.id=metal ignition.config.url={BASE}{config}\n\
         initrd --name main {file}-initramfs.x86_64.img\nboot\n"
    )
}

#[test]
fn fedora_coreos_boots_from_memory() {
    let mut site = Site::of("diskless");
    assert_is_first_script(&site);
    // The documented request: empty labels count as absent, and so does the serial number `0` of many a board.
    let script = site.text(LIVE);
    let target = target_after(&script, "ignition.config.url=");
    assert_eq!(script, coreos("34.20210725.3.0", &target));
    // Only the label that the config prints is in its address.
    assert!(target.ends_with("?mac=08:00:27:c3:62:83"), "{target}");

    let ignition = site.get(&target);
    assert_eq!(ignition.status, 200);
    assert_eq!(
        ignition.header("content-type"),
        Some("application/vnd.coreos.ignition+json")
    );
    let config: serde_json::Value = serde_json::from_slice(&ignition.body).unwrap();
    let files = &config["storage"]["files"];
    assert_eq!(files[0]["contents"]["source"], "data:,vm-1%0A");
    assert_eq!(files[1]["contents"]["source"], "data:,08:00:27:c3:62:83%0A");
    let tag = ignition.header("etag").unwrap();
    let again = site.get_with(&target, &format!("If-None-Match: {tag}"));
    assert_eq!((again.status, again.text()), (304, ""));
    // What Ignition says it would like.
    let accept = "Accept: application/vnd.coreos.ignition+json;version=3.3.0, */*;q=0.1";
    assert_eq!(site.get_with(&target, accept).body, ignition.body);
    // A config that does not exist is final, and no reason to try again.
    let gone = target.replace("/config/", "/config/0");
    let answer = site.get_with(&gone, accept);
    assert_eq!((answer.status, answer.header("retry-after")), (404, None));

    let script = site.text("/ipxe?mac=08-00-27-c3-62-84");
    let target = target_after(&script, "ignition.config.url=");
    assert_eq!(script, coreos("42.20250705.3.0", &target));
    let other = site.text(&target);
    assert!(other.contains("vm-2") && !other.contains("vm-1"), "{other}");
    assert_eq!(site.get("/ipxe?mac=08-00-27-c3-62-85").status, 404);
    site.finish("coreos-live.txt");
}

/// What the iSCSI machines have in common.
fn volume(host: &str) -> String {
    format!(
        "#!ipxe\nset initiator-iqn iqn.2021-08.example.machine:{host}\n\
         set root-path iscsi:192.0.2.10::::iqn.2021-08.example.storage:{host}\n"
    )
}

fn kernel(host: &str, seed: &str) -> String {
    let debian = "http://mirror.example/assets/debian/12";
    format!(
        "{}sanhook --drive 0x80 ${{root-path}}\n\
         kernel {debian}/vmlinuz initrd=main ip=ibft iscsi_auto root=LABEL=root {seed}\n\
         initrd --name main {debian}/initrd.img\nboot\n",
        volume(host)
    )
}

/// The files of a seed with their types, as the machine gets them.
fn seed_files(
    host: &str,
    serial: &str,
    timezone: &str,
) -> [(&'static str, &'static str, String); 3] {
    let user_data = format!(
        "#cloud-config\ntimezone: {timezone}\nwrite_files:\n  - path: /etc/gitboot-user\n    permissions: \"0600\"\n    \
         content: |\n      user-data of {host} with ${{HOME}}\n\
         runcmd:\n  - [sh, -c, \"echo ran on $(hostname) > /etc/gitboot-ran\"]\n"
    );
    let meta_data = format!("instance-id: {host}\nlocal-hostname: {host}\nserial: \"{serial}\"\n");
    let vendor_data = format!("#!/bin/sh\necho vendor-data of {host} > /etc/gitboot-vendor\n");
    let plain = "text/plain; charset=utf-8";
    [
        ("user-data", "text/cloud-config", user_data),
        ("meta-data", plain, meta_data),
        ("vendor-data", plain, vendor_data),
    ]
}

#[test]
fn machines_without_a_disk_find_their_seed() {
    let mut site = Site::of("diskless");
    // All files of one machine under one address, with the labels that some of them print.
    for (number, timezone) in [(1, "Europe/Berlin"), (2, "Etc/UTC")] {
        let host = format!("node-{number}");
        let script = site.text(&format!(
            "/ipxe?mac=08-00-27-00-00-0{number}&serial=SN4{number}"
        ));
        let seed = target_after(&script, "ds=nocloud-net;s=");
        assert_eq!(
            script,
            kernel(&host, &format!("ds=nocloud-net;s={BASE}{seed}"))
        );
        let labels = format!("/mac=08:00:27:00:00:0{number}&serial=SN4{number}/");
        assert!(seed.ends_with(&labels), "{seed}");
        let network = format!(
            "version: 2\nethernets:\n  uplink:\n    match:\n      macaddress: \"08:00:27:00:00:0{number}\"\n    \
             set-name: eth0\n    addresses: [\"192.0.2.7{number}/24\"]\n"
        );
        let network = ("network-config", "text/plain; charset=utf-8", network);
        let files = seed_files(&host, &format!("SN4{number}"), timezone);
        for (name, content_type, text) in files.into_iter().chain([network]) {
            let answer = site.get(&format!("{seed}{name}"));
            assert_eq!((answer.status, answer.text()), (200, text.as_str()));
            assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
        }
    }
    // The seed by MAC is two of the files, now and after every push. `${mac:hexhyp}` is for iPXE.
    let script = site.text("/ipxe?mac=08-00-27-00-00-03");
    let seed = format!("ds=nocloud;s={BASE}/v1/boot/${{mac:hexhyp}}/");
    assert_eq!(script, kernel("node-3", &seed));
    for (name, content_type, text) in seed_files("node-3", "", "Etc/UTC").into_iter().take(2) {
        let answer = site.get(&format!("/v1/boot/08-00-27-00-00-03/{name}"));
        assert_eq!((answer.status, answer.text()), (200, text.as_str()));
        assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
    }
    // cloud-init asks for everything there may be; what is not there is 404, not `later`.
    for name in ["vendor-data", "network-config"] {
        let missing = site.get(&format!("/v1/boot/08-00-27-00-00-03/{name}"));
        assert_eq!((missing.status, missing.header("retry-after")), (404, None));
    }
    // A volume that boots by itself.
    let script = site.text("/ipxe?mac=08-00-27-00-00-04");
    assert_eq!(
        script,
        format!("{}sanboot --drive 0x80 ${{root-path}}\n", volume("node-4"))
    );
    site.finish("diskless.txt");
}

#[test]
fn a_torn_seed_is_never_served() {
    let mut site = Site::of("diskless");
    let script = site.text("/ipxe?mac=08-00-27-00-00-01&serial=SN41");
    let seed = target_after(&script, "ds=nocloud-net;s=");
    let user_data = site.text(&format!("{seed}user-data"));
    // A push between the first file and the second.
    let machines = site.edited("machines.yaml", "hostname: node-1", "hostname: renamed");
    site.push(&[("machines.yaml", &machines)], "published");
    let meta_data = site.text(&format!("{seed}meta-data"));
    assert!(user_data.contains("user-data of node-1"), "{user_data}");
    assert!(
        meta_data.contains("local-hostname: node-1\n"),
        "{meta_data}"
    );
    // The next boot gets the new one, all of it.
    let script = site.text("/ipxe?mac=08-00-27-00-00-01&serial=SN41");
    let next = target_after(&script, "ds=nocloud-net;s=");
    assert_ne!(next, seed);
    for name in ["user-data", "meta-data", "vendor-data"] {
        let text = site.text(&format!("{next}{name}"));
        assert!(
            text.contains("renamed") && !text.contains("node-1"),
            "{text}"
        );
    }
}

#[test]
fn the_table_of_images_decides_for_everybody_who_names_a_row() {
    let list = |what| {
        let ran = run_in(&flows(), &["list", what, "diskless"], &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout
    };
    assert_eq!(
        list("machines"),
        "\
NAME    ASSIGNMENT       PROFILE          WHERE             IDENTITIES
node-3  diskless-by-mac  diskless-by-mac  machines.yaml:28  mac=08:00:27:00:00:03
node-1  diskless-kernel  diskless-kernel  machines.yaml:18  mac=08:00:27:00:00:01
node-2  diskless-kernel  diskless-kernel  machines.yaml:19  mac=08:00:27:00:00:02
node-4  diskless-volume  diskless-volume  machines.yaml:36  mac=08:00:27:00:00:04
vm-1    live             coreos-live      machines.yaml:8   mac=08:00:27:c3:62:83
vm-2    live             coreos-live      machines.yaml:9   mac=08:00:27:c3:62:84
"
    );
    let mut site = Site::of("diskless");
    let script = |site: &Site, mac: &str| {
        let answer = get(site.address, &format!("/ipxe?mac={mac}"));
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    let (old, other, debian) = (
        "08-00-27-c3-62-83",
        "08-00-27-c3-62-84",
        "08-00-27-00-00-01",
    );
    let before = [old, other, debian].map(|mac| script(&site, mac));

    // One row changes: two Profiles read the table, and who names the row gets the new image.
    let images = site.edited("images.yaml", "34.20210725.3.0", "34.20211031.3.0");
    site.push(&[("images.yaml", &images)], "published");
    let new = before[0].replace("34.20210725.3.0", "34.20211031.3.0");
    assert_eq!(
        [old, other, debian].map(|mac| script(&site, mac)),
        [new.clone(), before[1].clone(), before[2].clone()]
    );

    // A machine that names no row of the table never boots: the commit is refused.
    let machines = site.edited(
        "machines.yaml",
        "image: fedora-coreos-42",
        "image: fedora-coreos-24",
    );
    let line = site.push(&[("machines.yaml", &machines)], "refused");
    assert!(line.contains("refused (1 error)"), "{line}");
    let line = site.server.line_with("error[");
    assert!(line.contains("coreos-live.yaml:"), "{line}");
    assert_eq!(script(&site, old), new);
    assert_eq!(script(&site, other), before[1]);
}

#[test]
fn nothing_is_said_to_be_missing_before_there_is_a_commit() {
    // Nothing published yet: 503 says `later`, and Ignition, iPXE and cloud-init come back.
    let args = [
        "serve",
        "--repo=/nonexistent/never.git",
        "--state-dir=none",
        "--listen=127.0.0.1:0",
    ];
    let mut server = Process::start(&args, &[]);
    let address = server.address();
    for target in [
        LIVE,
        "/config/00a90bd2-d812-8e00-9c5d-1e4bdc40d670?mac=08:00:27:c3:62:83",
        "/v1/boot/08-00-27-00-00-03/user-data",
    ] {
        let answer = Client::connect(address).get(target);
        assert_eq!(answer.status, 503, "{target}");
        assert!(answer.header("retry-after").is_some(), "{target}");
    }
}
