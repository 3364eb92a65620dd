//! The example's machines: what each gets, to the letter, from `render` and from a running server.

use std::fmt::Write as _;

use super::{run, source_tree};
use crate::support::fixture::golden;
use crate::support::git::Repository;
use crate::support::http::get;
use crate::support::process::Process;

/// One machine, with what it says of itself and the configs of its Profile.
struct Machine {
    name: &'static str,
    labels: &'static [(&'static str, &'static str)],
    configs: &'static [&'static str],
}

/// One of every kind that `example-repo/README.md` lists.
const MACHINES: [Machine; 11] = [
    Machine {
        name: "worker-x86-64",
        labels: &[
            ("mac", "52:54:00:00:01:06"),
            ("product", "Example Node 100"),
            ("buildarch", "x86_64"),
        ],
        configs: &["ignition"],
    },
    Machine {
        name: "worker-arm64",
        labels: &[
            ("mac", "52-54-00-00-01-07"),
            ("product", "Example Node 200"),
            ("buildarch", "aarch64"),
        ],
        configs: &["ignition"],
    },
    Machine {
        name: "worker-bios",
        labels: &[("product", "Example Node 100"), ("buildarch", "i386")],
        configs: &[],
    },
    Machine {
        name: "web-1",
        labels: &[
            ("mac", "52:54:00:00:02:01"),
            ("uuid", "7B1D2F1E-5A0C-4F3E-9C55-0A6D4C1B2E01"),
            ("serial", "it's \u{e9}/+%41 $(reboot)"),
        ],
        configs: WEB,
    },
    Machine {
        name: "web-2",
        labels: &[("mac", "52:54:00:00:02:12"), ("mac", "52:54:00:00:02:02")],
        configs: WEB,
    },
    Machine {
        name: "hv-1",
        labels: &[("mac", "525400000301")],
        configs: &["harvester"],
    },
    Machine {
        name: "hv-2",
        labels: &[("mac", "52:54:00:00:03:02"), ("platform", "efi")],
        configs: &["harvester"],
    },
    Machine {
        name: "hv-3",
        labels: &[("serial", "EXAMPLE-0303")],
        configs: &["harvester"],
    },
    Machine {
        name: "db-1-bios",
        labels: &[("mac", "52:54:00:00:04:01"), ("platform", "pcbios")],
        configs: &[],
    },
    Machine {
        name: "db-2-efi",
        labels: &[("serial", "EXAMPLE-0402"), ("platform", "efi")],
        configs: &[],
    },
    Machine {
        name: "unknown",
        labels: &[("mac", "52:54:00:00:09:99")],
        configs: &[],
    },
];

const WEB: &[&str] = &["meta-data", "network-config", "user-data", "vendor-data"];

impl Machine {
    /// `render`'s arguments for this machine.
    fn render<'a>(&self, more: &[&'a str], pairs: &'a mut Vec<String>) -> Vec<&'a str> {
        *pairs = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut args = vec!["render"];
        for pair in pairs.iter() {
            args.extend(["--label", pair]);
        }
        args.extend(more);
        args.push("example-repo");
        args
    }

    /// What `render` prints.
    fn rendered(&self, more: &[&str]) -> String {
        let mut pairs = Vec::new();
        let ran = run(&self.render(more, &mut pairs));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        ran.stdout
    }

    /// The query that says the same, every byte escaped.
    fn query(&self) -> String {
        let mut query = String::new();
        for (key, value) in self.labels {
            let _ = write!(query, "&{key}=");
            for byte in value.bytes() {
                let _ = write!(query, "%{byte:02X}");
            }
        }
        query.split_off(1)
    }
}

/// The example as a repository of its own.
fn example() -> Repository {
    Repository::of_folder(&source_tree().join("example-repo"))
}

#[test]
fn every_machine_gets_what_its_golden_file_says() {
    for machine in &MACHINES {
        let mut text = String::new();
        let config_flags = machine.configs.iter().map(|name| vec!["--config", name]);
        for more in [vec![]].into_iter().chain(config_flags) {
            let mut pairs = Vec::new();
            let args = machine.render(&more, &mut pairs);
            let args: Vec<_> = args.into_iter().map(quoted).collect();
            let _ = writeln!(text, "$ gitboot {}", args.join(" "));
            text.push_str(&machine.rendered(&more));
            text.push('\n');
        }
        let path = format!("tests/golden/example/{}.txt", machine.name);
        golden(&source_tree().join(path), &text);
    }
}

/// An argument as one writes it in a shell.
fn quoted(argument: &str) -> String {
    if argument.contains(' ') {
        format!("'{}'", argument.replace('\'', r"'\''"))
    } else {
        argument.to_owned()
    }
}

#[test]
fn render_prints_byte_for_byte_what_a_server_sends() {
    let repo = example();
    let repo = format!("--repo={}", repo.path().display());
    let base = "https://boot.example/gitboot";
    let servers = [
        (base, vec!["--external-url", base]),
        // The tests' client asks for this host.
        ("http://boot.example", vec![]),
    ];
    for (base, flags) in servers {
        let mut args = vec!["serve", &repo, "--state-dir=none", "--listen=127.0.0.1:0"];
        args.extend(flags);
        let mut server = Process::start(&args, &[]);
        let address = server.address();
        server.line_with("published");
        for machine in &MACHINES {
            let script = machine.rendered(&["--external-url", base]);
            let answer = get(address, &format!("/ipxe?{}", machine.query()));
            assert_eq!((answer.status, answer.text()), (200, script.as_str()));
            let mut resolved = 0;
            for (target, name) in config_targets(&script, base, machine.configs) {
                let config = machine.rendered(&["--external-url", base, "--config", name]);
                let answer = get(address, &target);
                assert_eq!(
                    (answer.status, answer.text()),
                    (200, config.as_str()),
                    "{}: {target}",
                    machine.name
                );
                resolved += 1;
            }
            assert_eq!(resolved, machine.configs.len(), "{}", machine.name);
        }
    }
}

/// Where a script says that the configs are, without the server's address.
fn config_targets<'n>(script: &str, base: &str, names: &[&'n str]) -> Vec<(String, &'n str)> {
    let mut targets = Vec::new();
    for (at, _) in script.match_indices(base) {
        let target = script[at + base.len()..].split_whitespace().next().unwrap();
        assert!(target.starts_with("/config/"), "{target}");
        if target.ends_with('/') {
            targets.extend(names.iter().map(|name| (format!("{target}{name}"), *name)));
        } else {
            let [name] = names else {
                panic!("which of {names:?} is {target}");
            };
            targets.push((target.to_owned(), *name));
        }
    }
    targets
}

#[test]
fn the_boot_api_gives_the_same_files_to_one_mac() {
    let repo = example();
    let repo = format!("--repo={}", repo.path().display());
    let url = "--external-url=http://boot.example";
    let args = [
        "serve",
        &repo,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
        url,
    ];
    let mut server = Process::start(&args, &[]);
    let address = server.address();
    server.line_with("published");
    let machines = [
        ("52:54:00:00:02:01", WEB),
        ("52:54:00:00:03:02", &["harvester"][..]),
    ];
    for (mac, configs) in machines {
        let label = format!("mac={mac}");
        let render = ["render", "--label", &label, url, "example-repo"];
        let dashed = mac.replace(':', "-");
        let script = get(address, &format!("/v1/boot/{dashed}/boot.ipxe"));
        assert_eq!((script.status, script.text()), (200, &*run(&render).stdout));
        assert_eq!(get(address, &format!("/ipxe/{mac}")).text(), script.text());
        for name in configs {
            let expected = run(&[&render[..], &["--config", name]].concat());
            assert_eq!(expected.code, Some(0), "{expected:?}");
            let answer = get(address, &format!("/v1/boot/{dashed}/{name}"));
            assert_eq!((answer.status, answer.text()), (200, &*expected.stdout));
        }
    }
}

#[test]
fn a_contradicted_machine_gets_nothing_from_either() {
    let repo = example();
    let path = repo.path().to_str().unwrap();
    let args = [
        "serve",
        "--repo",
        path,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
    ];
    let mut server = Process::start(&args, &[]);
    let address = server.address();
    server.line_with("published");
    let (mac, uuid) = (
        "mac=52:54:00:00:02:01",
        "uuid=7b1d2f1e-5a0c-4f3e-9c55-0a6d4c1b2e02",
    );
    assert_eq!(get(address, &format!("/ipxe?{mac}&{uuid}")).status, 404);
    let ran = run(&["render", "--label", mac, "--label", uuid, "example-repo"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert_eq!(
        ran.stderr,
        "error: these labels get nothing: identity_conflict\n"
    );
}
