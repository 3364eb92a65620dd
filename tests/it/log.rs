//! Log lines: what they say of each answer, and what they never say.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::git::Repository;
use crate::support::http::{Client, get};
use crate::support::process::Process;

const TREE: &str = r#"
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    echo body-of-the-script {{ values.sites[labels.site] }}
  additionalConfig:
    motd: "body-of-the-config\n"
    site: "{{ values.sites[labels.site] }}\n"
  values: {sites: {x: in x}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: silent}
spec: {additionalConfig: {motd: "body-of-the-config\n"}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: worker
  machines: [{name: x1, mac: "52:54:00:ab:cd:ef", serial: SN1}]
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: quiet}
spec: {profile: silent, subjectSelectors: {mac: "52:54:00:ab:cd:02"}}
"#;

fn serve(more: &[&str]) -> (Repository, Process) {
    let repo = Repository::with_files(&[("all.yaml", TREE)]);
    let url = format!("--repo={}", repo.path().display());
    let mut args = vec![
        "serve",
        &url,
        "--state-dir=none",
        "--listen=127.0.0.1:0",
        "--interval=1h",
    ];
    args.extend(more);
    let server = Process::start(&args, &[]);
    (repo, server)
}

/// The line of an answer without what differs each time, as `key=value` words.
fn words(line: &str) -> BTreeSet<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    let fields = line.as_object().unwrap();
    assert!(
        fields["micros"].is_u64() && fields["timestamp"].is_string(),
        "{line}"
    );
    let known = [
        ("level", "INFO"),
        ("client", "127.0.0.1"),
        ("message", "answered"),
    ];
    for (field, expected) in known {
        assert_eq!(fields[field], expected, "{line}");
    }
    fields
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "micros" | "timestamp"))
        .filter(|(key, _)| known.iter().all(|(known, _)| known != key))
        .map(|(key, value)| match value {
            Value::String(value) => format!("{key}={value}"),
            other => format!("{key}={other}"),
        })
        .collect()
}

/// A target, and after it everything that its line says; `fail` is a detail that names a place in the tree.
const ANSWERS: &str = "
/ipxe?mac=525400abcdef&mac=525400abcdee&serial=SN1&asset=A9&site=x&password=hunter2  script 200 ok won mac serial=SN1 asset=A9 rev
/ipxe/525400abcdef?site=x&uuid=47C6DA67-7477-4970-AA03-84E48FF4F6AD  script 200 ok won mac uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad rev
/ipxe/525400abcdef  script 500 render_failed won mac rev fail
/ipxe/525400abcd02  script 404 no_script quiet mac2 rev
/ipxe/525400abcdee  script 404 unassigned mac=52:54:00:ab:cd:ee rev
/ipxe/525400abcdef?serial=SN2  script 404 identity_conflict assignment=rack mac serial=SN2 rev
/ipxe/junk  script 404 malformed_mac
/ipxe?serial=a&serial=b  script 400 repeated_label
/config/junk  config 404 malformed_uuid
/content/junk/x?mac=525400abcdef  config 404 malformed_uuid
/v1/boot/525400abcdef/boot.ipxe?site=x  boot_api 200 ok won mac rev
/v1/boot/525400abcdef/motd?serial=SN1  boot_api 200 ok won config=motd mac serial=SN1 rev
/v1/boot/525400abcdef/site  boot_api 404 render_failed won config=site mac rev fail
/v1/boot/525400abcdef/nope  boot_api 404 unknown_config won mac rev
/v1/boot/525400abcd02/boot.ipxe  boot_api 404 no_script quiet mac2 rev
/v1/boot/525400abcdee/motd  boot_api 404 unassigned mac=52:54:00:ab:cd:ee rev
/v1/boot/525400abcdef/motd?serial=SN2  boot_api 404 identity_conflict assignment=rack mac serial=SN2 rev
/v1/boot/junk/motd  boot_api 404 malformed_mac rev
/v1/boot/525400abcdef/motd?a=1&a=2  boot_api 404 repeated_label rev
http://user:hunter2@boot.example/ipxe/525400abcdef  script 400 bad_host
http://user:hunter2@boot.example/config/junk  config 400 bad_host
http://user:hunter2@boot.example/v1/boot/525400abcdef/motd  boot_api 400 bad_host
";

/// The words of a row of [`ANSWERS`], written out.
fn expected(row: &str, revision: &str) -> BTreeSet<String> {
    let mut words = row.split_whitespace();
    let mut expected: BTreeSet<String> = ["route", "status", "reason"]
        .into_iter()
        .map(|field| format!("{field}={}", words.next().unwrap()))
        .collect();
    for word in words {
        let all = match word {
            "won" => "machine=x1 assignment=rack profile=worker",
            "quiet" => "assignment=quiet profile=silent",
            "mac" => "mac=52:54:00:ab:cd:ef",
            "mac2" => "mac=52:54:00:ab:cd:02",
            "fail" => "detail=in-all.yaml",
            "rev" => &format!("revision={revision}"),
            word => word,
        };
        expected.extend(all.split(' ').map(ToOwned::to_owned));
    }
    expected
}

#[test]
fn an_answer_s_line_says_this_and_no_more() {
    let (repo, mut server) = serve(&["--log-format=json"]);
    let address = server.address();
    server.line_with("published");
    let mut client = Client::connect(address);
    let mut answered = |client: &mut Client, target: &str| {
        // None of these is logged.
        for silent in ["/boot.ipxe", "/health", "/ready", "/nope"] {
            client.get(silent);
        }
        client.get_with(target, "Authorization: Basic aHVudGVyMg==");
        words(&server.line_with("answered"))
    };
    for row in ANSWERS.trim().lines() {
        let (target, row) = row.split_once("  ").unwrap();
        let found: BTreeSet<String> = answered(&mut client, target)
            .into_iter()
            .map(|word| match word.strip_prefix("detail=`all.yaml`, byte ") {
                Some(_) => "detail=in-all.yaml".to_owned(),
                None => word,
            })
            .collect();
        assert_eq!(found, expected(row, &repo.head()), "{target}");
    }
    client.send("POST /ipxe/525400abcdef HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 405);
    let found = words(&server.line_with("answered"));
    assert_eq!(found, expected("script 405 method", ""));
    client.send("HEAD /ipxe/525400abcdef?site=x HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    let found = words(&server.line_with("answered"));
    assert_eq!(found, expected("script 200 ok won mac rev", &repo.head()));
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.log.matches(" published\"").count(),
        1,
        "{}",
        ended.log
    );
    for line in ended.log.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    for secret in ["hunter2", "aHVudGVyMg", "body-of-the", "password"] {
        assert!(!ended.log.contains(secret), "{secret}: {}", ended.log);
    }
}

#[test]
fn a_config_s_line_names_it_and_its_revision() {
    let (repo, mut server) = serve(&["--log-format=json"]);
    let address = server.address();
    server.line_with("published");
    let response = get(address, "/v1/boot/525400abcdef/motd");
    let tag = response.header("etag").unwrap().to_owned();
    server.line_with("answered");
    let known = Client::connect(address).get_with(
        "/v1/boot/525400abcdef/motd",
        &format!("If-None-Match: {tag}"),
    );
    assert_eq!(known.status, 304);
    let found = words(&server.line_with("answered"));
    let expected = [
        "assignment=rack",
        "config=motd",
        "mac=52:54:00:ab:cd:ef",
        "machine=x1",
        "profile=worker",
        "reason=not_modified",
        &format!("revision={}", repo.head()),
        "route=boot_api",
        "status=304",
    ];
    assert_eq!(found, expected.map(ToOwned::to_owned).into());
}

#[test]
fn whoever_is_turned_away_has_a_line_on_every_route_too() {
    let refused = |more: &[&str], status: u16, reason: &str| {
        let flags = ["--log-format=json"];
        let (_repo, mut server) = serve(&[&flags, more].concat());
        let address = server.address();
        for (target, route) in [
            ("/ipxe?mac=525400abcdef", "script"),
            ("/config/3a2b3719-5533-80e1-b678-6029ff7ae60c", "config"),
            ("/v1/boot/525400abcdef/boot.ipxe", "boot_api"),
        ] {
            assert_eq!(get(address, target).status, status, "{target}");
            let words = words(&server.line_with("answered"));
            for word in [
                format!("route={route}"),
                format!("status={status}"),
                format!("reason={reason}"),
            ] {
                assert!(words.contains(&word), "{word} in {words:?}");
            }
        }
    };
    refused(&["--allow=192.0.2.0/24"], 403, "not_allowed");
    refused(&["--ref=gone"], 503, "starting");
}

#[test]
fn a_publication_and_a_refusal_are_one_info_line_each() {
    let (repo, mut server) = serve(&["--log-format=json"]);
    server.address();
    server.line_with("published");
    repo.commit(&[(
        "all.yaml",
        &TREE.replace(
            "profile: worker",
            "profile: hunter2\n  values: {password: hunter2}",
        ),
    )]);
    server.signal("HUP");
    let refused: Value = serde_json::from_str(&server.line_with("refused")).unwrap();
    assert_eq!(refused["level"], "INFO");
    assert_eq!(refused["revision"], repo.head());
    assert_eq!(refused["errors"], 1);
    repo.commit(&[("all.yaml", TREE)]);
    server.signal("HUP");
    let published: Value = serde_json::from_str(&server.line_with("published\"")).unwrap();
    assert_eq!(published["level"], "INFO");
    assert_eq!(published["revision"], repo.head());
    server.signal("INT");
    let ended = server.end();
    let info = |word: &str| {
        let lines = ended
            .log
            .lines()
            .filter(|line| line.contains("\"level\":\"INFO\""));
        lines
            .filter(|line| line.contains("\"message\":\"revision ") && line.contains(word))
            .count()
    };
    assert_eq!(
        (info(" refused ("), info(" published\"")),
        (1, 2),
        "{}",
        ended.log
    );
    assert!(!ended.log.contains("password"), "{}", ended.log);
}

/// What a vendor or an attacker may have written into SMBIOS.
const ODD: [&str; 8] = [
    "a%E2%80%A8b",
    "%E2%80%AEb%E2%81%A6",
    "%EF%BB%BFx",
    "%C2%85x",
    "a%22%20status=200%20reason=%22ok",
    "a%5C%22b%5C",
    "%F0%9F%92%A5",
    "%7B%22level%22%3A%22ERROR%22%7D",
];

#[test]
fn no_label_breaks_or_forges_a_line() {
    for format in ["human", "json"] {
        let (_repo, mut server) = serve(&[&format!("--log-format={format}")]);
        let address = server.address();
        server.line_with("published");
        let mut client = Client::connect(address);
        for odd in ODD {
            // Those with controls are absent, all others are shown.
            for value in [
                odd.to_owned(),
                format!("{odd}%0A{odd}"),
                format!("%1b%5B31m{odd}"),
            ] {
                let response = client.get(&format!(
                    "/ipxe?serial={value}&asset={value}&hostname={value}"
                ));
                assert_eq!(response.status, 404);
                let line = server.line_with("answered");
                let harmless =
                    |c: char| !c.is_control() && !"\u{2028}\u{202e}\u{2066}\u{feff}".contains(c);
                assert!(line.chars().all(harmless), "{line:?}");
                if format == "json" {
                    let words = words(&line);
                    assert!(
                        words.contains("status=404") && words.contains("reason=unassigned"),
                        "{line}"
                    );
                } else {
                    // Whatever stands between quotation marks begins no field.
                    let mut outside = String::new();
                    let mut quoted = false;
                    let mut characters = line.chars();
                    while let Some(c) = characters.next() {
                        match c {
                            '\\' if quoted => drop(characters.next()),
                            '"' => quoted = !quoted,
                            c if !quoted => outside.push(c),
                            _ => {}
                        }
                    }
                    assert!(!quoted, "{line}");
                    assert_eq!(outside.matches("status=").count(), 1, "{line}");
                    assert_eq!(outside.matches("reason=").count(), 1, "{line}");
                }
            }
        }
        server.signal("INT");
        let log = server.end().log;
        assert_eq!(log.matches("answered").count(), ODD.len() * 3, "{log}");
    }
}
