//! `deploy/systemd/`: units that systemd takes, that let the server do little, and that name what exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::run_in;

/// How exposed the service may be, in tenths, as `systemd-analyze security` counts: that of the README.
const EXPOSURE: u32 = 11;

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd")
}

fn read(name: &str) -> String {
    fs::read_to_string(units().join(name)).unwrap()
}

fn names(ending: &str) -> Vec<String> {
    let entries = fs::read_dir(units()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

/// Runs systemd's own checker; says how it ended and what it wrote.
fn analyze(args: &[&str], files: &[PathBuf]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(args)
        .args(files)
        .env("LC_ALL", "C")
        .output()
        .expect("systemd-analyze is there (Debian's `systemd`)");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn systemd_takes_the_units() {
    // The program is wherever this machine has it; all else is taken as it is.
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for name in names(".service").into_iter().chain(names(".socket")) {
        let text = read(&name).replace("/usr/local/bin/gitboot", env!("CARGO_BIN_EXE_gitboot"));
        let path = folder.path().join(&name);
        fs::write(&path, text).unwrap();
        files.push(path);
    }
    assert_eq!(files.len(), 5);
    let (is_good, text) = analyze(&["verify", "--man=no"], &files);
    let complaints: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("gitboot"))
        .collect();
    assert!(is_good && complaints.is_empty(), "{text}");

    // Something that it does not take, so that the above says something.
    let broken = folder.path().join("gitboot-broken.socket");
    fs::write(&broken, "[Socket]\nListenStreams=80\n").unwrap();
    let (_, text) = analyze(&["verify", "--man=no"], &[broken]);
    assert!(text.contains("ListenStreams"), "{text}");
}

#[test]
fn the_service_is_exposed_no_more_than_the_readme_says() {
    let unit = [units().join("gitboot.service")];
    let at = |tenths: u32| format!("--threshold={tenths}");
    let (is_good, text) = analyze(&["security", "--offline=true", &at(EXPOSURE)], &unit);
    assert!(is_good, "{text}");
    let (is_good, _) = analyze(&["security", "--offline=true", &at(EXPOSURE - 1)], &unit);
    assert!(!is_good, "it is less exposed than the README says");
    let told = format!("says {}.{} (\"OK\")", EXPOSURE / 10, EXPOSURE % 10);
    assert!(read("README.md").contains(&told), "{told}");
}

#[test]
fn every_flag_and_variable_of_the_units_exists() {
    let help = run_in(&units(), &["serve", "--help"], &[]).stdout;
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let flags: BTreeSet<&str> = words.filter(|word| word.starts_with("--")).collect();
    let known: BTreeSet<String> = flags
        .iter()
        .map(|flag| format!("GITBOOT_{}", flag[2..].to_uppercase().replace('-', "_")))
        .collect();
    let mut seen = BTreeSet::new();
    for name in names("") {
        let text = read(&name);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("GITBOOT_")) {
            assert!(known.contains(word), "{name}: {word}");
            seen.insert(word.to_owned());
        }
        let ours = |line: &str| line.contains("gitboot serve");
        if text.lines().any(ours) && name.ends_with(".service") {
            let line = text
                .lines()
                .find(|line| line.starts_with("ExecStart="))
                .unwrap();
            for flag in line.split(' ').filter(|word| word.starts_with("--")) {
                assert!(flags.contains(flag), "{name}: {flag}");
            }
        }
    }
    assert!(seen.contains("GITBOOT_REPO") && seen.len() > 12, "{seen:?}");
    // A unit that is meant for a socket says so by a name that the server knows.
    for name in names(".socket") {
        let text = read(&name);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("FileDescriptorName="));
        assert!(
            ["http", "https", "ops", "tftp"].contains(&line.unwrap()),
            "{name}"
        );
        assert!(text.contains("\nService=gitboot.service\n"), "{name}");
    }
}

#[test]
fn the_time_to_stop_is_longer_than_the_drain() {
    let help = run_in(&units(), &["serve", "--help"], &[]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let seconds = |flag: &str| {
        let (_, rest) = help.split_once(&format!(" {flag} <")).unwrap();
        let (_, rest) = rest.split_once("[default: ").unwrap();
        let (number, _) = rest.split_once("s]").unwrap();
        number.parse::<u64>().unwrap()
    };
    let unit = read("gitboot.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let stop: u64 = line.unwrap().trim_end_matches('s').parse().unwrap();
    assert!(stop > seconds("--drain-delay") + seconds("--drain"));
}

/// Without a service manager that runs, systemd's own tool opens the port and starts the real server at the first connection.
#[test]
fn systemds_own_tool_passes_a_socket_on() {
    use crate::support::git::Repository;
    use crate::support::http::get;
    use std::net::{SocketAddr, TcpListener};
    use std::time::{Duration, Instant};

    let repo = Repository::with_files(&[("empty.yaml", "# nothing\n")]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let address: SocketAddr = free.unwrap();
    let mut child = Command::new("systemd-socket-activate")
        .arg(format!("--listen={address}"))
        .args(["--fdname=http", env!("CARGO_BIN_EXE_gitboot"), "serve"])
        .arg(format!("--repo={}", repo.path().display()))
        .args(["--state-dir=none", "--allow-empty", "--ops-listen=off"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("systemd-socket-activate is there (Debian's `systemd`)");
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nobody listens on {address}");
        std::thread::yield_now();
    }
    let answer = get(address, "/boot.ipxe");
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(answer.status, 200);
}
