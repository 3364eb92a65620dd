//! The running server: flags, log lines, the drain.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Client, content, data, error};
use crate::support::git::Repository;
use crate::support::http::get;
use crate::support::process::{Ended, Process};

const MANIFEST: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: p}
spec: {ipxe: \"#!ipxe\\n\"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: a}
spec: {profile: p, isDefault: true}
";

const BOOT_SCRIPT: &str = "#!ipxe\nchain ipxe?serial={{ not a template }}${serial}\n";

struct Site {
    repo: Repository,
    server: Process,
    http: SocketAddr,
}

fn serve(files: &[(&str, &str)], more: &[&str]) -> Site {
    let repo = Repository::with_files(files);
    let url = format!("--repo={}", repo.path().display());
    let mut args = vec![
        "serve",
        &url,
        "--listen=127.0.0.1:0",
        "--interval=1h",
        "--log-format=json",
    ];
    args.extend(more);
    let mut server = Process::start(&args, &[]);
    let http = server.address();
    Site { repo, server, http }
}

fn tftp_address(server: &mut Process) -> SocketAddr {
    let line: Value = serde_json::from_str(&server.line_with("listening on tftp://")).unwrap();
    let message = line["message"].as_str().unwrap();
    message
        .strip_prefix("listening on tftp://")
        .unwrap()
        .parse()
        .unwrap()
}

fn fetch(address: SocketAddr, file: &str) -> String {
    let client = Client::new(address);
    client.ask(file, "octet", "");
    String::from_utf8(client.rest(512)).unwrap()
}

#[test]
fn the_first_stage_leads_to_http_before_anything_is_published() {
    let more = [
        "--state-dir=none",
        "--tftp-listen=127.0.0.1:0",
        "--path=missing",
    ];
    let mut site = serve(&[("a.yaml", MANIFEST)], &more);
    let address = tftp_address(&mut site.server);
    let script = fetch(address, "/boot.ipxe");
    let chain = format!(
        "\nchain --replace --autofree http://{}/boot.ipxe || ",
        site.http
    );
    assert!(
        script.starts_with("#!ipxe\n") && script.contains(&chain),
        "{script}"
    );
    assert_eq!(fetch(address, "x/autoexec.ipxe"), script);
    let client = Client::new(address);
    client.ask("ipxe.efi", "octet", "");
    client.expect(&error(1, "no such file"));
}

#[test]
fn the_first_stage_leads_to_the_external_url() {
    let more = [
        "--state-dir=none",
        "--tftp-listen=127.0.0.1:0",
        "--external-url=https://boot.example/pxe",
        "--boot-attempts=0",
    ];
    let mut site = serve(&[("a.yaml", MANIFEST)], &more);
    let address = tftp_address(&mut site.server);
    let script = fetch(address, "boot.ipxe");
    let chain = "\nchain --replace --autofree https://boot.example/pxe/boot.ipxe || ";
    assert!(
        script.contains(chain) && !script.contains("exit"),
        "{script}"
    );
}

#[test]
fn each_answer_is_one_log_line() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), content(600)).unwrap();
    let root = format!("--tftp-root={}", root.path().display());
    let more = [
        "--state-dir=none",
        "--tftp-listen=127.0.0.1:0",
        &root,
        "--allow=127.0.0.1",
    ];
    let mut site = serve(&[("a.yaml", MANIFEST)], &more);
    let address = tftp_address(&mut site.server);
    let mut told = || {
        let line: Value = serde_json::from_str(&site.server.line_with("\"tftp\"")).unwrap();
        assert!(
            line["micros"].is_u64() && line["level"] == "INFO" && line["message"] == "answered"
        );
        let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let (status, bytes) = (line["status"].as_u64(), line["bytes"].as_u64());
        let rest = ["client", "file", "reason", "detail"].map(word).join(" ");
        format!("{} {} {rest}", status.unwrap(), bytes.unwrap())
    };
    let client = Client::new(address);
    client.ask("file", "octet", "");
    assert_eq!(client.rest(512), content(600));
    assert_eq!(told(), "200 600 127.0.0.1 file ok -");

    client.ask("no\nsuch\u{1b}", "octet", "");
    client.next();
    assert_eq!(told(), "404 0 127.0.0.1 no\\u{a}such\\u{1b} not_found -");

    client.ask("file", "octet", "tsize 0");
    let from = client.expect(b"\0\x06tsize\x00600\0");
    client.send(&error(8, "enough\n"), from);
    assert_eq!(
        told(),
        "499 0 127.0.0.1 file client_error error 8: enough\\u{a}"
    );

    client.send(b"\0\x02file\0octet\0", address);
    client.next();
    assert_eq!(told(), "405 0 127.0.0.1 - write -");

    client.ask("file", "octet", "timeout 1");
    assert_eq!(told(), "408 0 127.0.0.1 file timeout -");

    let stranger = Client {
        socket: std::net::UdpSocket::bind("127.0.0.2:0").unwrap(),
        server: address,
    };
    stranger.ask("boot.ipxe", "octet", "");
    stranger.expect(&error(2, "not allowed"));
    assert_eq!(told(), "403 0 127.0.0.2 boot.ipxe not_allowed -");
}

#[test]
fn a_transfer_under_way_is_finished_while_draining() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), content(600)).unwrap();
    let root = format!("--tftp-root={}", root.path().display());
    let more = [
        "--state-dir=none",
        "--tftp-listen=127.0.0.1:0",
        &root,
        "--drain-delay=0",
    ];
    let mut site = serve(&[("a.yaml", MANIFEST)], &more);
    let address = tftp_address(&mut site.server);
    let client = Client::new(address);
    client.ask("file", "octet", "");
    let from = client.expect(&data(1, &content(600)[..512]));
    site.server.signal("TERM");
    site.server.line_with("draining");
    client.ack(1, from);
    // Sent again after a second, if the acknowledgement came late.
    let (mut packet, _) = client.next();
    while packet[3] == 1 {
        client.ack(1, from);
        packet = client.next().0;
    }
    assert_eq!(packet, data(2, &content(600)[512..]));
    client.ack(2, from);
    let ended = site.server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.log.contains("\"bytes\":600"), "{}", ended.log);
}

#[test]
fn settings_that_cannot_work_are_told_at_the_start() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |more: &[&str]| -> Ended {
        let args = [
            "serve",
            "--repo=/nowhere",
            "--state-dir=none",
            "--listen=127.0.0.1:0",
        ];
        Process::start(&[&args, more].concat(), &[]).end()
    };
    let ended = run(&["--tftp-listen", &address]);
    let expected = format!(
        "error: cannot listen on `{address}` for TFTP: the address is in use; stop what listens there or choose another with \
         `--tftp-listen`"
    );
    assert_eq!((ended.code, ended.log), (Some(1), expected));
    let ended = run(&["--tftp-listen=127.0.0.1:0", "--tftp-root=/nowhere"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .log
            .contains("cannot serve files from `/nowhere` (`--tftp-root`)"),
        "{}",
        ended.log
    );
    assert_eq!(run(&["--tftp-listen=localhost"]).code, Some(64));
    assert_eq!(run(&["--boot-script=../x"]).code, Some(64));
}

#[test]
fn the_first_script_comes_from_the_repository() {
    let state = tempfile::tempdir().unwrap();
    let state = format!("--state-dir={}", state.path().display());
    let more = [&state, "--boot-script=/first/boot.ipxe"];
    let files = [("a.yaml", MANIFEST), ("first/boot.ipxe", BOOT_SCRIPT)];
    let mut site = serve(&files, &more);
    site.server.line_with("published");
    let first = site.repo.head();
    let is_own = |http: SocketAddr, revision: &str, expected: &str| {
        for path in ["/boot.ipxe", "/boot.ipxe.0", "/autoexec.ipxe"] {
            let answer = get(http, path);
            assert_eq!((answer.status, answer.text()), (200, expected), "{path}");
            assert_eq!(answer.header("x-gitboot-revision"), Some(revision));
        }
    };
    is_own(site.http, &first, BOOT_SCRIPT);

    for (script, why) in [
        ("#!/bin/sh\n", "not-a-script"),
        ("#!ipxe", "not-a-script"),
        ("\n#!ipxe\n", "not-a-script"),
    ] {
        site.repo.commit(&[("first/boot.ipxe", script)]);
        site.server.signal("HUP");
        site.server.line_with("refused");
        site.server.line_with(why);
        is_own(site.http, &first, BOOT_SCRIPT);
    }
    site.repo.git(&["rm", "-q", "first/boot.ipxe"]);
    site.repo.git(&["commit", "-q", "-m", "none"]);
    site.server.signal("HUP");
    site.server.line_with("refused");
    site.server.line_with("file-not-found");

    let other = "#!ipxe\r\necho other\r\n";
    let second = site.repo.commit(&[("first/boot.ipxe", other)]);
    site.server.signal("HUP");
    site.server.line_with("published");
    is_own(site.http, &second, other);

    // After a restart without the repository, the same from the state directory.
    site.server.signal("INT");
    assert_eq!(site.server.end().code, Some(0));
    let url = format!("--repo={}", site.repo.path().display());
    std::fs::rename(site.repo.path(), site.repo.path().with_extension("away")).unwrap();
    let mut args = vec!["serve", &url, "--listen=127.0.0.1:0"];
    args.extend(more);
    let mut server = Process::start(&args, &[]);
    let http = server.address();
    server.line_with("published from the state directory");
    is_own(http, &second, other);
}

#[test]
fn before_the_first_publication_the_first_script_is_the_built_in_one() {
    let mut site = serve(
        &[("a.yaml", MANIFEST)],
        &["--state-dir=none", "--boot-script=boot.ipxe"],
    );
    site.server.line_with("refused");
    site.server.line_with("file-not-found");
    let answer = get(site.http, "/boot.ipxe");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-gitboot-revision"), None);
    assert!(answer.text().contains("gitboot-query"), "{}", answer.text());
}
