//! `--tls-client-label`: one machine cannot ask as another, on any listener, by any route.

use std::collections::BTreeSet;

use gitboot::http::{Limits, Settings};
use gitboot::label::{FixedLabels, Identity};
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, SanType};
use tokio_rustls::rustls::ClientConfig;

use super::{Files, HOST, Server, named};
use crate::http::settings;
use crate::support::fixture;
use crate::support::http::{Client, get};

const UUID_A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const MAC_A: &str = "52:54:00:00:00:0a";
const MAC_B: &str = "52:54:00:00:00:0b";

/// Two machines whose scripts and configs say who they are meant for, each by every key; whoever has no Assignment of their
/// own gets a class's.
const FLEET: &str = r#"
//- all.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: own}
spec:
  ipxe: |
    #!ipxe
    echo for {{ machine.name }} site={{ labels.site }} u={{ labels.uuid }} s={{ labels.serial }} m={{ labels.mac }} a={{ labels.asset }}
    echo {{ secret }} {{ lookup }} {{ config_dir }} {{ said }}
  additionalConfig:
    said: "said {{ labels.uuid ~ labels.serial ~ labels.mac ~ labels.asset }}\n"
    secret: "secret of {{ machine.name }}\n"
    lookup: "{{ values.of[labels.uuid ~ labels.serial ~ labels.mac ~ labels.asset] | default('nobody') }}\n"
  values:
    of:
      aaaaaaaa-0000-4000-8000-000000000001: looked up for a
      bbbbbbbb-0000-4000-8000-000000000002: looked up for b
      SN-A: looked up for a
      SN-B: looked up for b
      "52:54:00:00:00:0a": looked up for a
      "52:54:00:00:00:0b": looked up for b
      AT-A: looked up for a
      AT-B: looked up for b
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: rack}
spec:
  profile: own
  machines:
    - {name: a, uuid: aaaaaaaa-0000-4000-8000-000000000001, serial: SN-A, mac: "52:54:00:00:00:0a", asset: AT-A}
    - {name: b, uuid: bbbbbbbb-0000-4000-8000-000000000002, serial: SN-B, mac: "52:54:00:00:00:0b", asset: AT-B}
"#;

/// The keys, and what a certificate of machine a, one of machine b, and a request as b calls them.
const KEYS: [(Identity, &str, &str, &str); 4] = [
    (
        Identity::Uuid,
        UUID_A,
        "BBBBBBBB-0000-4000-8000-000000000002",
        "uuid=bbbbbbbb-0000-4000-8000-000000000002",
    ),
    (Identity::Serial, "SN-A", "SN-B", "serial=SN-B"),
    (
        Identity::Mac,
        "52-54-00-00-00-0a",
        "5254.0000.000b",
        "mac=52-54-00-00-00-0b",
    ),
    (Identity::Asset, "AT-A", "AT-B", "asset=AT-B"),
];

/// Every way to say that one is machine b.
const AS_B: [&str; 24] = [
    "uuid=bbbbbbbb-0000-4000-8000-000000000002",
    "UUID=BBBBBBBB000040008000000000000002",
    "uuids={bbbbbbbb-0000-4000-8000-000000000002}",
    "uuidList=urn:uuid:bbbbbbbb-0000-4000-8000-000000000002",
    "uuid.hex=62626262626262622d303030302d343030302d383030302d303030303030303030303032",
    "serial=SN-B",
    "Serial=SN-B",
    "serials=SN-B",
    "serialNumber=SN-B",
    "serialNumbers=SN-B%00",
    "s%65rial=SN%2DB",
    "serial.hex=534e2d42",
    "serial.HEX=534E2D42",
    "SERIALNUMBER.hex=534e2d42",
    "mac=52:54:00:00:00:0b",
    "MAC=52-54-00-00-00-0B",
    "macs=5254.0000.000b",
    "macAddress=52540000000b",
    "macAddresses=52:54:00:00:00:0a&mac=52:54:00:00:00:0b",
    "mac.hex=35323a35343a30303a30303a30303a3062",
    "asset=AT-B",
    "asset.hex=41542d42",
    "%61sset=AT-B",
    "serial=SN-A&serial=SN-B&serial.hex=534e2d42",
];

struct World {
    files: Files,
    server: Server,
}

impl World {
    fn new(label: Identity) -> Self {
        Self::with(label, true, settings())
    }

    fn with(label: Identity, required: bool, settings: Settings) -> Self {
        let files = Files::new();
        let tls = files.settings(files.certified(required, Some(label)));
        let server = Server::with(tls, settings, Limits::default());
        let server = server.publish(fixture::snapshot(FLEET));
        Self { files, server }
    }

    fn client(&self, params: &CertificateParams) -> ClientConfig {
        self.files.client_as(&self.files.clients.sign(params))
    }

    /// The status and the text.
    fn get(&self, client: &ClientConfig, target: &str) -> (u16, String) {
        let response = self.server.get(client, target);
        (response.status, response.text().to_owned())
    }
}

fn path_of(script: &str, word: usize) -> String {
    let line = script.lines().nth(2).unwrap();
    let url = line.split(' ').nth(1 + word).unwrap();
    let (_, path) = url.split_once(HOST).unwrap();
    path.to_owned()
}

#[test]
fn a_certificate_says_who_asks_whatever_the_request_says() {
    for (label, a, b, _) in KEYS {
        let world = World::new(label);
        let (a, b) = (
            world.client(&named(Some(a), &[])),
            world.client(&named(Some(b), &[])),
        );
        let (status, own) = world.get(&a, "/ipxe?site=x");
        assert_eq!(status, 200, "{label}: {own}");
        assert!(own.contains("for a site=x "), "{label}: {own}");
        let (_, other) = world.get(&b, "/ipxe");
        assert!(other.contains("for b site= "), "{label}: {other}");
        let mut kept = world.server.connect(&a);
        for as_b in AS_B {
            for target in [
                format!("/ipxe?site=x&{as_b}"),
                format!("/ipxe?{as_b}&site=x&{as_b}"),
                format!("//ipxe/?{as_b}&site=x"),
            ] {
                let response = kept.get_with(&target, "X-Forwarded-For: 10.0.0.1");
                assert_eq!(response.text(), own, "{label}: {target}");
            }
        }
        // No key but the proven one is left, however many are claimed.
        let names: BTreeSet<&str> = own.lines().nth(1).unwrap().split(' ').skip(4).collect();
        let empty = names.iter().filter(|name| name.ends_with('=')).count();
        assert_eq!((names.len(), empty), (4, 3), "{label}: {own}");
    }
}

#[test]
fn the_mac_of_a_path_is_ones_own_or_counts_for_nothing() {
    for (label, a, _, _) in KEYS {
        let world = World::new(label);
        let a = world.client(&named(Some(a), &[]));
        let (_, own) = world.get(&a, "/ipxe");
        for (mac, is_own) in [(MAC_A, true), (MAC_B, false), ("52-54-00-00-00-0B", false)] {
            let script = world.get(&a, &format!("/ipxe/{mac}"));
            let script_too = world.get(&a, &format!("/v1/boot/{mac}/boot.ipxe"));
            let config = world.get(&a, &format!("/v1/boot/{mac}/secret"));
            let lookup = world.get(
                &a,
                &format!("/v1/boot/{mac}/lookup?mac={MAC_B}&serial=SN-B"),
            );
            if label == Identity::Mac && !is_own {
                let none = (404, "not found\n".to_owned());
                for found in [script, script_too, config, lookup] {
                    assert_eq!(found, none, "{label} {mac}");
                }
            } else {
                assert_eq!(script, (200, own.clone()), "{label} {mac}");
                assert_eq!(script_too, (200, own.clone()), "{label} {mac}");
                assert_eq!(config, (200, "secret of a\n".to_owned()), "{label} {mac}");
                assert_eq!(
                    lookup,
                    (200, "looked up for a\n".to_owned()),
                    "{label} {mac}"
                );
            }
        }
        assert_eq!(world.get(&a, "/ipxe/nonsense").0, 404);
        assert_eq!(world.get(&a, "/v1/boot/nonsense/secret").0, 404);
    }
}

#[test]
fn the_labels_of_a_config_are_those_of_the_certificate() {
    for (label, a, b, claim) in KEYS {
        let world = World::new(label);
        let (a, b) = (
            world.client(&named(Some(a), &[])),
            world.client(&named(Some(b), &[])),
        );
        let (_, own) = world.get(&a, "/ipxe");
        let (_, other) = world.get(&b, "/ipxe");
        let (mine, theirs) = (path_of(&own, 1), path_of(&other, 1));
        assert_ne!(mine, theirs);
        let (id, _) = mine.split_once('?').unwrap();
        assert!(theirs.starts_with(id), "machines share it: {mine} {theirs}");
        let found = "looked up for a\n";
        for target in [mine.clone(), theirs.clone(), id.to_owned()] {
            assert_eq!(world.get(&a, &target), (200, found.to_owned()), "{target}");
        }
        let dir = path_of(&own, 2);
        let (_, theirs_dir) = (&dir, path_of(&other, 2));
        for as_b in AS_B.into_iter().chain([claim]) {
            for target in [
                format!("{id}?{as_b}"),
                format!("{mine}&{as_b}"),
                id.replace("/config/", "/content/") + "?" + as_b,
                format!("{dir}lookup?{as_b}"),
                // The directory's own labels are one segment.
                format!("{}/{}/lookup", dir_id(&dir), as_b.replace('/', "%2F")),
            ] {
                assert_eq!(world.get(&a, &target), (200, found.to_owned()), "{target}");
            }
        }
        let found = world.get(&a, &format!("{theirs_dir}lookup"));
        assert_eq!(found, (200, "looked up for a\n".to_owned()));

        // Where nobody has to prove anything, only what is for all.
        let plain = |target: &str| {
            let response = get(world.server.plain, target);
            (response.status, response.text().to_owned())
        };
        assert_eq!(plain(&path_of(&own, 0)), (200, "secret of a\n".to_owned()));
        assert_eq!(plain(id), (200, "nobody\n".to_owned()));
        // What only repeats what was said tells nothing new.
        let (status, said) = plain(&path_of(&own, 3));
        assert_eq!((status, &said), (200, &world.get(&a, &path_of(&own, 3)).1));
        assert!(said.len() > "said \n".len(), "{said}");
        for target in [
            &mine,
            &theirs,
            &format!("{theirs_dir}lookup"),
            &format!("{id}?{claim}"),
        ] {
            let (status, text) = plain(target);
            assert_eq!(status, 403, "{target}: {text}");
            assert!(!text.contains("looked up"), "{text}");
        }
    }
}

fn dir_id(dir: &str) -> String {
    dir.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// What a listener that requires no certificate answers, on each path.
const FOR_ALL: [(&str, u16); 22] = [
    ("/boot.ipxe", 200),
    ("/boot.ipxe.0", 200),
    ("/autoexec.ipxe", 200),
    ("//%62oot.ipxe/", 200),
    ("/health", 200),
    ("/healthz", 200),
    ("/ready", 200),
    ("/readyz", 200),
    ("/config/00000000-0000-8000-8000-000000000000", 404),
    ("/content/junk", 404),
    ("/config/junk/x/y", 404),
    ("/ipxe", 403),
    ("/ipxe?mac=52:54:00:00:00:0a", 403),
    ("/ip%78e?mac=52:54:00:00:00:0a", 403),
    ("//ipxe//?serial=SN-A", 403),
    ("/ipxe/52:54:00:00:00:0a", 403),
    ("/ipxe/junk", 403),
    ("/v1/boot/52:54:00:00:00:0a/boot.ipxe", 403),
    ("/v1/boot/52:54:00:00:00:0a/secret", 403),
    ("/v1/boot/junk/secret", 403),
    ("/", 403),
    ("/config/", 403),
];

#[test]
fn where_no_certificate_is_required_only_what_is_for_all_is_served() {
    for required in [true, false] {
        let world = World::with(Identity::Mac, required, settings());
        let anybody = world.files.client(&super::VERSIONS);
        let certified = world.client(&named(Some("52-54-00-00-00-0a"), &[]));
        for (path, status) in FOR_ALL {
            let found = get(world.server.plain, path);
            assert_eq!(found.status, status, "{path}");
            if status == 403 {
                let line = "this needs a client certificate that says which machine it is\n";
                assert_eq!(found.text(), line);
                assert_eq!(found.header("cache-control"), Some("no-store"));
            }
            if !required {
                assert_eq!(world.get(&anybody, path).0, status, "{path}");
                assert_eq!(world.get(&certified, path).0, status, "{path}");
            }
        }
        // What is said of everybody comes first.
        let mut client = Client::connect(world.server.plain);
        client.send("POST /ipxe HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(client.response().status, 405);
    }
}

#[test]
fn a_certificate_that_is_shown_counts_for_configs_where_none_is_required() {
    let strict = World::new(Identity::Mac);
    let (_, script) = strict.get(&strict.client(&named(Some("5254.0000.000b"), &[])), "/ipxe");
    let theirs = path_of(&script, 1).replace(&strict.server.address.port().to_string(), "");
    let world = World::with(Identity::Mac, false, settings());
    let a = world.client(&named(Some("52-54-00-00-00-0a"), &[]));
    assert_eq!(
        world.get(&a, &theirs),
        (200, "looked up for a\n".to_owned())
    );
    let anybody = world.files.client(&super::VERSIONS);
    assert_eq!(world.get(&anybody, &theirs).0, 403);
}

#[test]
fn connections_do_not_lend_each_other_their_names() {
    let world = World::new(Identity::Serial);
    let configs = ["SN-A", "SN-B"].map(|name| world.client(&named(Some(name), &[])));
    let mut clients = [&configs[0], &configs[1]].map(|config| world.server.connect(config));
    for turn in 0..20 {
        for (client, own) in clients.iter_mut().zip(["for a ", "for b "]) {
            let response = client.get(AS_B.map(|as_b| format!("/ipxe?{as_b}"))[turn].as_str());
            assert!(response.text().contains(own), "{response:?}");
        }
    }
    // Pipelined, on one connection.
    clients[0].send(
        "GET /ipxe HTTP/1.1\r\nHost: a\r\n\r\nGET /ipxe?serial=SN-B HTTP/1.1\r\nHost: b\r\nX-Client-Cert: SN-B\r\n\r\n",
    );
    assert!(clients[0].response().text().contains("for a "));
    assert!(clients[0].response().text().contains("for a "));
}

/// What certificates say, and which machine that is.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_certificate_has_to_say_one_thing() {
    use Identity::{Asset, Mac, Serial, Uuid};
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let check = |label: Identity, params: CertificateParams, expected: Result<&str, u16>| {
        let world = World::new(label);
        let (status, text) = world.get(&world.client(&params), "/ipxe");
        match expected {
            Ok(name) => assert!(
                text.contains(&format!("for {name} ")),
                "{params:?}: {status} {text}"
            ),
            Err(expected) => assert_eq!(status, expected, "{params:?}: {text}"),
        }
    };
    let with_uri = |common: Option<&str>, text: &str| {
        let mut params = named(common, &[]);
        params.subject_alt_names.push(uri(text));
        params
    };
    // In either place, in any spelling, and beside names that can be no such label.
    check(Mac, named(None, &["52-54-00-00-00-0a"]), Ok("a"));
    check(
        Mac,
        named(
            Some("node-1.lab"),
            &["52540000000A", "node-1.lab", "10.0.0.1"],
        ),
        Ok("a"),
    );
    check(
        Mac,
        named(Some("52:54:00:00:00:0A"), &["52-54-00-00-00-0a"]),
        Ok("a"),
    );
    check(
        Uuid,
        with_uri(None, "urn:uuid:AAAAAAAA-0000-4000-8000-000000000001"),
        Ok("a"),
    );
    check(
        Uuid,
        with_uri(
            Some("node"),
            "URN:UUID:aaaaaaaa-0000-4000-8000-000000000001",
        ),
        Ok("a"),
    );
    check(
        Uuid,
        named(Some("{AAAAAAAA-0000-4000-8000-000000000001}"), &[]),
        Ok("a"),
    );
    check(Serial, named(None, &["SN-A"]), Ok("a"));
    check(Serial, named(Some("SN-A"), &["sn-a"]), Ok("a"));
    check(Asset, named(Some("AT-A"), &[]), Ok("a"));
    // A machine that is nobody's.
    check(Serial, named(Some("sn-a"), &[]), Err(404));
    check(Mac, named(Some("52-54-00-00-00-0c"), &[]), Err(404));
    // Two machines, or one and something that may be one.
    check(
        Mac,
        named(Some("52-54-00-00-00-0a"), &["52-54-00-00-00-0b"]),
        Err(403),
    );
    check(
        Mac,
        named(None, &["52-54-00-00-00-0a", "52-54-00-00-00-0b"]),
        Err(403),
    );
    check(Serial, named(Some("SN-A"), &["node-1.lab"]), Err(403));
    check(
        Uuid,
        with_uri(
            Some("bbbbbbbb-0000-4000-8000-000000000002"),
            &format!("urn:uuid:{UUID_A}"),
        ),
        Err(403),
    );
    // Nothing that can be the label: junk, other kinds of names, blanks that a query would lose.
    check(Mac, named(Some("SN-A"), &["node-1.lab"]), Err(403));
    check(Serial, named(None, &[]), Err(403));
    check(Serial, named(Some("To be filled by O.E.M."), &[]), Err(403));
    check(Serial, named(Some("0"), &[]), Err(403));
    check(Serial, named(Some("SN-A\0"), &[]), Err(403));
    check(Serial, named(Some("SN-A\0.evil.example"), &[]), Err(403));
    check(Serial, named(Some(" SN-A"), &[]), Err(403));
    check(Serial, named(Some("SN-A\n"), &[]), Err(403));
    check(Serial, named(Some(&"x".repeat(257)), &[]), Err(403));
    check(Serial, with_uri(None, "SN-A"), Err(403));
    check(
        Mac,
        with_uri(None, "urn:uuid:52540000-000a-0000-0000-000000000000"),
        Err(403),
    );
    check(Mac, named(Some("00:00:00:00:00:00"), &[]), Err(403));
    check(
        Uuid,
        named(Some("ffffffff-ffff-ffff-ffff-ffffffffffff"), &[]),
        Err(403),
    );
    let mut organisation = named(None, &[]);
    organisation
        .distinguished_name
        .push(DnType::OrganizationName, "SN-A");
    check(Serial, organisation, Err(403));
    let mut mail = named(None, &[]);
    mail.subject_alt_names
        .push(SanType::Rfc822Name("SN-A".try_into().unwrap()));
    check(Serial, mail, Err(403));
}

#[test]
fn who_is_nobody_gets_what_is_for_all_even_with_a_certificate() {
    let world = World::new(Identity::Mac);
    let nobody = world.client(&named(Some("node-1.lab"), &[]));
    for (path, status) in FOR_ALL {
        assert_eq!(world.get(&nobody, path).0, status, "{path}");
    }
}

#[test]
fn labels_of_the_server_stand_beside_the_certificate() {
    let fixed_labels = FixedLabels::parse(&["site=here".to_owned()]).unwrap();
    let settings = Settings {
        fixed_labels,
        ..settings()
    };
    let world = World::with(Identity::Mac, true, settings);
    let a = world.client(&named(Some("52-54-00-00-00-0a"), &[]));
    let (_, script) = world.get(&a, "/ipxe?site=there&serial=SN-B");
    assert!(script.contains("for a site=here "), "{script}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever a query says, the labels of a proven machine hold that identity alone.
    #[test]
    fn no_query_adds_an_identity(query in query(), which in 0..4_usize) {
        let (identity, a, _, _) = KEYS[which];
        let proven = gitboot::label::Proven::new(identity, a).unwrap();
        let labels = gitboot::label::Labels::parse_proven(&query, &proven, &FixedLabels::default());
        if let Ok(labels) = labels {
            for other in Identity::ALL {
                let values: Vec<&str> = labels.identities(other).collect();
                let expected = if other == identity { vec![proven.value()] } else { vec![] };
                prop_assert_eq!(values, expected);
            }
        }
    }
}

fn query() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "(?i)(uuids?|uuidlist|serials?|serialnumbers?|macs?|macaddress(es)?|asset)(\\.hex)?",
        "[ -~]{0,12}",
    ];
    let value = prop_oneof![
        "SN-[AB]",
        "[0-9a-f:-]{12,17}",
        "[0-9a-f]{0,40}",
        "[ -~]{0,20}"
    ];
    let pair = (key, value).prop_map(|(key, value)| format!("{key}={value}"));
    proptest::collection::vec(
        prop_oneof![
            pair,
            proptest::sample::select(&AS_B[..]).prop_map(str::to_owned)
        ],
        0..10,
    )
    .prop_map(|pairs| pairs.join("&"))
}
