//! Ignition: `ignition.config.url` on the command line, fetched, checked and applied.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::debian::{self, Release};
use crate::machine::{BASE, Booted, Machine, flow, render};

const STAGES: [&str; 2] = [
    "/usr/lib/dracut/modules.d/30ignition/ignition --root=/sysroot --platform=metal --stage=fetch --log-to-stdout",
    "/usr/lib/dracut/modules.d/30ignition/ignition --root=/sysroot --platform=metal --stage=files --log-to-stdout",
];

/// Debian's Ignition labels files for SELinux, with a program and settings of the system that is set up. This one has none.
const FILES: [(&str, &str); 2] = [
    (
        "sysroot/etc/selinux/config",
        "SELINUX=disabled\nSELINUXTYPE=targeted\n",
    ),
    ("usr/sbin/setfiles", "#!/bin/sh\n"),
];

const LABELS: [&str; 1] = ["mac=08:00:27:c3:62:83"];

fn machine() -> Machine<'static> {
    Machine {
        release: Release::Trixie,
        mac: "08:00:27:c3:62:83",
        query: "mac=08-00-27-c3-62-83&uuid=2f1214fe-59ba-9f42-a5c5-1af6f124aaf7",
        cmdline: None,
        flags: "",
        late: false,
        files: &FILES,
        steps: &STAGES,
    }
}

/// What iPXE would start the kernel of the flow's machine with.
fn cmdline() -> String {
    let script = render(&flow("diskless"), &LABELS, &[]);
    let line = script.lines().find_map(|line| line.strip_prefix("kernel "));
    let (_, arguments) = line.unwrap().split_once(' ').unwrap();
    format!("{arguments}\n")
}

/// Ensures that the machine was set up as its config says.
fn assert_is_set_up(booted: &Booted) {
    let console = &booted.console;
    assert_eq!(console.matches("=== exit code 0").count(), 2, "{console}");
    assert_eq!(booted.file("sysroot/etc/hostname"), "vm-1\n");
    assert_eq!(
        booted.file("sysroot/etc/machine-mac"),
        "08:00:27:c3:62:83\n"
    );
    let mode = |path: &str| {
        let metadata = fs::metadata(booted.path(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("sysroot/etc/hostname"), 0o644);
    assert_eq!(mode("sysroot/etc/machine-mac"), 0o600);
    let unit = booted.file("sysroot/etc/systemd/system/hello.service");
    assert!(unit.contains("ExecStart=/usr/bin/echo hello\n"), "{unit}");
    let preset = booted.file("sysroot/etc/systemd/system-preset/20-ignition.preset");
    assert!(preset.contains("enable hello.service\n"), "{preset}");
}

#[test]
fn ignition_sets_up_a_machine() {
    let booted = machine().boot(&flow("diskless"));
    assert_is_set_up(&booted);
    assert_eq!(booted.cmdline, cmdline());
    // Each stage would fetch again if the first had not kept it.
    let answers = booted.configs();
    assert!(!answers.is_empty(), "{}", booted.log);
    for answer in answers {
        assert_eq!(
            answer,
            ("ignition".to_owned(), "200".to_owned()),
            "{}",
            booted.log
        );
    }
}

#[test]
fn ignition_waits_for_a_server_that_has_nothing_yet() {
    let machine = Machine {
        cmdline: Some(cmdline()),
        late: true,
        ..machine()
    };
    let booted = machine.boot(&flow("diskless"));
    assert_is_set_up(&booted);
    let statuses: Vec<String> = booted
        .configs()
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    assert_eq!(
        statuses.first().map(String::as_str),
        Some("503"),
        "{}",
        booted.log
    );
    assert_eq!(
        statuses.last().map(String::as_str),
        Some("200"),
        "{}",
        booted.log
    );
    assert!(
        statuses
            .iter()
            .all(|status| status == "503" || status == "200"),
        "{statuses:?}"
    );
}

#[test]
fn ignition_gives_up_at_404() {
    let machine = Machine {
        cmdline: Some(format!(
            "ignition.firstboot ignition.config.url={BASE}/config/47c6da67-7477-8970-aa03-84e48ff4f6ad\n"
        )),
        // Without this a server that has just started says that it may have missed what others handed out.
        flags: "--retain=0",
        steps: &STAGES[..1],
        ..machine()
    };
    let booted = machine.boot(&flow("diskless"));
    assert!(
        booted.console.contains("=== exit code 1"),
        "{}",
        booted.console
    );
    assert_eq!(
        booted.configs(),
        [(String::new(), "404".to_owned())],
        "{}",
        booted.log
    );
}

/// Every Ignition file that the example and the flows serve.
#[test]
fn ignition_accepts_what_is_served() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("example-repo");
    let worker = [
        "product=Example Node 100",
        "buildarch=x86_64",
        "mac=52:54:00:00:01:06",
    ];
    let shaper = [
        "uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad",
        "buildarch=arm64",
    ];
    let ipxer = ["serial=c4a94672-05a1-4eda-a186-b4aa4544b146"];
    let served = [
        render(&example, &worker, &["--config", "ignition"]),
        render(&flow("diskless"), &LABELS, &["--config", "ignition"]),
        render(&flow("shaper"), &shaper, &["--config", "ignitionFile"]),
        render(&flow("ipxer"), &ipxer, &["--config", "ignitionFile"]),
        fs::read_to_string(flow("matchbox/ignition/live.ign")).unwrap(),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (number, text) in served.iter().enumerate() {
        let file = folder.path().join(format!("{number}.ign"));
        fs::write(&file, text).unwrap();
        let said = debian::run(
            Command::new(Release::Trixie.root().join("usr/bin/ignition-validate")).arg(&file),
        );
        assert_eq!(said, "", "{text}");
    }
    // It can say no.
    let file = folder.path().join("wrong.ign");
    fs::write(
        &file,
        served[1].replace("\"mode\": 420", "\"mode\": \"0644\""),
    )
    .unwrap();
    let mut command = Command::new(Release::Trixie.root().join("usr/bin/ignition-validate"));
    assert!(!command.arg(&file).output().unwrap().status.success());
}
