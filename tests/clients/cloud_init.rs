//! cloud-init's NoCloud data source: user-data, meta-data, vendor-data and network-config.

use std::process::Command;

use crate::debian::{self, Release};
use crate::machine::{BASE, Booted, Machine, flow, render};

/// What of cloud-init runs: everything that reads from us, and modules that show what it read.
const SETTINGS: (&str, &str) = (
    "etc/cloud/cloud.cfg.d/90_test.cfg",
    "\
datasource_list: [NoCloud, None]
cloud_init_modules: [bootcmd, write-files, set_hostname]
cloud_config_modules: [timezone, runcmd]
cloud_final_modules: [scripts-vendor, scripts-user]
",
);

/// The stages in the order of a boot. What stands in `/run` is kept for the test.
const STAGES: [&str; 5] = [
    "cloud-init init --local",
    "cloud-init init",
    "cloud-init modules --mode=config",
    "cloud-init modules --mode=final",
    "cp /run/cloud-init/instance-data.json /var/lib/cloud/instance-data.json",
];

/// Where it writes Debian's kind of network settings.
const INTERFACES: &str = "etc/network/interfaces.d/50-cloud-init";

fn machine<'m>(release: Release, mac: &'m str, query: &'m str) -> Machine<'m> {
    Machine {
        release,
        mac,
        query,
        cmdline: None,
        flags: "",
        late: false,
        files: &[SETTINGS],
        steps: &STAGES,
    }
}

/// A command line that every version understands.
const BY_MAC: &str =
    "root=LABEL=root ds=nocloud-net;s=http://192.0.2.1:8080/v1/boot/08-00-27-00-00-03/\n";

/// The machine whose seed is found by its MAC.
fn by_mac(release: Release) -> Machine<'static> {
    machine(release, "08:00:27:00:00:03", "mac=08-00-27-00-00-03")
}

/// A file of the instance that cloud-init keeps.
fn kept(booted: &Booted, instance: &str, name: &str) -> String {
    booted.file(&format!("var/lib/cloud/instances/{instance}/{name}"))
}

/// What cloud-init says that the meta-data are.
fn meta_data(booted: &Booted) -> serde_json::Value {
    let all = booted.file("var/lib/cloud/instance-data.json");
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    all["ds"]["meta_data"].clone()
}

/// Ensures that cloud-init has read and done what stands in the repository for a machine.
fn assert_has_read(booted: &Booted, host: &str, serial: &str, timezone: &str) {
    assert_eq!(
        kept(booted, host, "user-data.txt"),
        config(host, serial, "user-data")
    );
    let meta_data = meta_data(booted);
    assert_eq!(meta_data["instance-id"], host);
    assert_eq!(meta_data["local-hostname"], host);
    assert_eq!(meta_data["serial"], serial);
    assert_eq!(booted.file("etc/hostname"), format!("{host}\n"));
    assert_eq!(booted.file("etc/timezone"), format!("{timezone}\n"));
    assert_eq!(
        booted.file("etc/gitboot-user"),
        format!("user-data of {host} with ${{HOME}}\n")
    );
    // A command of the machine, run by cloud-init, under the name that it was given.
    assert_eq!(booted.file("etc/gitboot-ran"), format!("ran on {host}\n"));
}

/// What the server sends to one of the flow's machines.
fn config(host: &str, serial: &str, name: &str) -> String {
    let mac = format!("mac=08:00:27:00:00:0{}", host.trim_start_matches("node-"));
    let mut labels = vec![mac];
    if !serial.is_empty() {
        labels.push(format!("serial={serial}"));
    }
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    render(&flow("diskless"), &labels, &["--config", name])
}

fn names(answers: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, status): &(&str, &str)| ((*name).to_owned(), (*status).to_owned());
    answers.iter().map(owned).collect()
}

/// A seed of `config_dir`, with labels in its address.
fn reads_a_config_dir(release: Release) -> Booted {
    let query = "mac=08-00-27-00-00-01&serial=SN41";
    let booted = machine(release, "08:00:27:00:00:01", query).boot(&flow("diskless"));
    assert_has_read(&booted, "node-1", "SN41", "Europe/Berlin");
    let vendor = kept(&booted, "node-1", "vendor-data.txt");
    assert_eq!(vendor, config("node-1", "SN41", "vendor-data"));
    assert_eq!(booted.file("etc/gitboot-vendor"), "vendor-data of node-1\n");
    let seed = booted
        .cmdline
        .split_whitespace()
        .find_map(|word| word.strip_prefix("ds=nocloud-net;s="));
    let seed = seed.unwrap();
    assert!(seed.starts_with(&format!("{BASE}/config/")), "{seed}");
    assert!(
        seed.ends_with("/mac=08:00:27:00:00:01&serial=SN41/"),
        "{seed}"
    );
    let source = kept(&booted, "node-1", "datasource");
    assert!(
        source.contains(&format!("[seed=cmdline,{seed}]")),
        "{source}"
    );
    booted
}

#[test]
fn cloud_init_22_reads_a_config_dir() {
    let booted = reads_a_config_dir(Release::Bookworm);
    // This version takes its network from elsewhere and does not ask.
    let asked = names(&[
        ("meta-data", "200"),
        ("user-data", "200"),
        ("vendor-data", "200"),
    ]);
    assert_eq!(booted.configs(), asked, "{}", booted.log);
}

#[test]
fn cloud_init_25_reads_a_config_dir_and_its_network() {
    let booted = reads_a_config_dir(Release::Trixie);
    let asked = names(&[
        ("network-config", "200"),
        ("meta-data", "200"),
        ("user-data", "200"),
        ("vendor-data", "200"),
    ]);
    assert_eq!(booted.configs(), asked, "{}", booted.log);
    let network = kept(&booted, "node-1", "network-config.json");
    let network: serde_json::Value = serde_json::from_str(&network).unwrap();
    let served: serde_json::Value =
        serde_yaml::from_str(&config("node-1", "SN41", "network-config")).unwrap();
    assert_eq!(network, served);
    let interfaces = booted.file(INTERFACES);
    assert!(
        interfaces.contains("iface eth0 inet static\n    address 192.0.2.71/24\n"),
        "{interfaces}"
    );
}

/// A seed of `/v1/boot/{mac}/` that has user-data and meta-data only.
fn does_without_what_is_missing(machine: &Machine<'_>) -> Booted {
    let booted = machine.boot(&flow("diskless"));
    assert_has_read(&booted, "node-3", "", "Etc/UTC");
    let seed = format!(";s={BASE}/v1/boot/08-00-27-00-00-03/");
    let mut words = booted.cmdline.split_whitespace();
    assert!(words.any(|word| word.starts_with("ds=nocloud") && word.ends_with(&seed)));
    assert_eq!(kept(&booted, "node-3", "vendor-data.txt"), "");
    // It is told at once and for good, and never `later`.
    let statuses = booted.configs().into_iter().map(|(_, status)| status);
    let (found, missing): (Vec<_>, Vec<_>) = statuses.partition(|status| status == "200");
    assert_eq!(found.len(), 2, "{}", booted.log);
    assert!(!missing.is_empty(), "{}", booted.log);
    assert!(
        missing.iter().all(|status| status == "404"),
        "{}",
        booted.log
    );
    booted
}

#[test]
fn cloud_init_22_does_without_vendor_data() {
    // What its script says is for newer versions: this one reads over HTTP, and then does not use what it read.
    does_without_what_is_missing(&Machine {
        cmdline: Some(BY_MAC.to_owned()),
        ..by_mac(Release::Bookworm)
    });
}

#[test]
fn cloud_init_25_does_without_vendor_data_and_network() {
    let booted = does_without_what_is_missing(&by_mac(Release::Trixie));
    // No network of ours: its own fallback, the one card by DHCP.
    let interfaces = booted.file(INTERFACES);
    assert!(
        interfaces.contains("iface eth0 inet dhcp\n"),
        "{interfaces}"
    );
}

#[test]
fn cloud_init_does_not_wait_for_files_that_are_empty() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("diskless");
    debian::run(
        Command::new("cp")
            .arg("-r")
            .arg(flow("diskless"))
            .arg(&copy),
    );
    let profiles = copy.join("profiles/diskless.yaml");
    let text = std::fs::read_to_string(&profiles).unwrap();
    let with_all = "    meta-data: {file: /configs/meta-data.yaml}\n    vendor-data: \"\"\n    network-config: \"\"\n  valuesFrom";
    let text = text.replace(
        "    meta-data: {file: /configs/meta-data.yaml}\n  valuesFrom",
        with_all,
    );
    assert!(text.contains(with_all));
    std::fs::write(profiles, text).unwrap();
    let booted = by_mac(Release::Trixie).boot(&copy);
    assert_has_read(&booted, "node-3", "", "Etc/UTC");
    let asked = names(&[
        ("network-config", "200"),
        ("meta-data", "200"),
        ("user-data", "200"),
        ("vendor-data", "200"),
    ]);
    assert_eq!(booted.configs(), asked, "{}", booted.log);
    let interfaces = booted.file(INTERFACES);
    assert!(
        interfaces.contains("iface eth0 inet dhcp\n"),
        "{interfaces}"
    );
}

#[test]
fn cloud_init_waits_for_a_server_that_has_nothing_yet() {
    for release in [Release::Bookworm, Release::Trixie] {
        let machine = Machine {
            cmdline: Some(BY_MAC.to_owned()),
            late: true,
            ..by_mac(release)
        };
        let booted = machine.boot(&flow("diskless"));
        assert_has_read(&booted, "node-3", "", "Etc/UTC");
        let (_, first) = &booted.configs()[0];
        assert_eq!(first, "503", "{}", booted.log);
    }
}

/// The way without a data source: `cloud-config-url` on the command line, as matchbox and shaper document it.
#[test]
fn cloud_init_reads_a_url_on_the_command_line() {
    let query = "uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad&buildarch=x86_64";
    for release in [Release::Bookworm, Release::Trixie] {
        let machine = Machine {
            steps: &STAGES[..1],
            ..machine(release, "08:00:27:00:00:05", query)
        };
        let booted = machine.boot(&flow("shaper"));
        let labels = [
            "uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad",
            "buildarch=x86_64",
        ];
        let served = render(&flow("shaper"), &labels, &["--config", "cloud-init"]);
        // It puts a header of its own before what it got.
        let kept = booted.file("etc/cloud/cloud.cfg.d/91_kernel_cmdline_url.cfg");
        assert_eq!(kept, format!("#cloud-config{served}"));
        assert_eq!(booted.configs(), names(&[("cloud-init", "200")]));
    }
}
