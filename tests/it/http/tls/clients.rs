//! Certificates of clients: who is let in at all.

use gitboot::http::tls::Clients;
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};

use super::{Files, Server, VERSIONS, named, trusting};
use crate::http::TREE;
use crate::support::fixture;
use crate::support::http::{DEADLINE, get};
use crate::support::pki::{Authority, Identity as Pair};
use std::time::{Duration, Instant};

const NAME: &str = "52-54-00-ab-cd-ef";
const SCRIPT: &str = "/ipxe?mac=525400abcdef";

/// Certificates that are not good, each with what is wrong.
fn bad(files: &Files) -> Vec<(&'static str, Pair)> {
    let mut for_servers = named(Some(NAME), &[]);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut later = named(Some(NAME), &[]);
    later.not_before = date_time_ymd(2100, 1, 1);
    later.not_after = date_time_ymd(2101, 1, 1);
    // Its name and key are not those of the authority that we trust, though it says so.
    let namesake = Authority::new("Machines CA");
    vec![
        ("foreign", files.server.issue(NAME)),
        ("namesake", namesake.issue(NAME)),
        ("expired", files.clients.issue_expired(NAME)),
        ("not yet good", files.clients.sign(&later)),
        ("for servers", files.clients.sign(&for_servers)),
    ]
}

#[test]
fn required_lets_only_good_certificates_in() {
    let files = Files::new();
    let server = Server::start(files.settings(files.certified(true, None)));
    let server = server.publish(fixture::snapshot(TREE));
    for version in VERSIONS {
        let good = files.clients.sign(&named(Some("anybody"), &[]));
        let config = trusting(&files.server, &[version], Some(&good));
        assert_eq!(server.get(&config, SCRIPT).status, 200);
        assert!(server.try_get(&files.client(&[version]), SCRIPT).is_err());
        for (what, pair) in bad(&files) {
            let config = trusting(&files.server, &[version], Some(&pair));
            assert!(server.try_get(&config, SCRIPT).is_err(), "{what}");
        }
    }
    // Without a label, certificates are for that listener alone.
    assert_eq!(get(server.plain, SCRIPT).status, 200);
}

#[test]
fn optional_takes_none_but_no_bad_one() {
    let files = Files::new();
    let server = Server::start(files.settings(files.certified(false, None)));
    let server = server.publish(fixture::snapshot(TREE));
    assert_eq!(server.get(&files.client(&VERSIONS), SCRIPT).status, 200);
    let good = files.clients.sign(&named(Some("anybody"), &[]));
    assert_eq!(server.get(&files.client_as(&good), SCRIPT).status, 200);
    for (what, pair) in bad(&files) {
        let found = server.try_get(&files.client_as(&pair), SCRIPT);
        assert!(found.is_err(), "{what}");
    }
}

#[test]
fn none_asks_nobody() {
    let files = Files::new();
    let server = Server::start(files.settings(Clients::Anybody));
    let server = server.publish(fixture::snapshot(TREE));
    for (what, pair) in bad(&files) {
        let found = server.get(&files.client_as(&pair), SCRIPT);
        assert_eq!(found.status, 200, "{what}");
    }
}

#[test]
fn no_session_outlives_the_authorities() {
    let files = Files::new();
    for version in VERSIONS {
        files.write("clients.pem", &files.clients.pem);
        let server = Server::start(files.settings(files.certified(true, None)));
        let pair = files.clients.sign(&named(Some(NAME), &[]));
        // One configuration keeps what it needs to resume.
        let config = trusting(&files.server, &[version], Some(&pair));
        let mut kept = server.connect(&config);
        assert_eq!(kept.get("/health").status, 200);
        for _ in 0..2 {
            assert_eq!(server.get(&config, "/health").status, 200);
        }
        files.write("clients.pem", &Authority::new("Newer CA").pem);
        server.tls.look();
        // The connection that is open ends, too.
        kept.drop_rest();
        let until = Instant::now() + DEADLINE;
        assert!(server.try_get(&config, "/health").is_err());
        assert!(Instant::now() < until);
    }
}

#[test]
fn a_connection_ends_with_the_certificate() {
    let files = Files::new();
    let server = Server::start(files.settings(files.certified(true, None)));
    let mut params = named(Some(NAME), &[]);
    let seconds = Duration::from_secs(3);
    params.not_after = (std::time::SystemTime::now() + seconds).into();
    let config = files.client_as(&files.clients.sign(&params));
    let mut client = server.connect(&config);
    assert_eq!(client.get("/health").status, 200);
    let since = Instant::now();
    client.drop_rest();
    assert!(since.elapsed() < DEADLINE / 2, "{:?}", since.elapsed());
    assert!(server.try_get(&config, "/health").is_err());
}
