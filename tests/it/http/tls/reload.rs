//! Certificates that change while the server runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use gitboot::http::tls::Clients;
use tokio_rustls::rustls::ClientConfig;

use super::{Files, HOST, Server, VERSIONS, certificate, named, trusting, try_connect};
use crate::support::http::DEADLINE;
use crate::support::pki::Authority;

/// Waits until this client is served, or is no longer.
fn wait(server: &Server, client: &ClientConfig, is_served: bool) {
    let until = Instant::now() + DEADLINE;
    while server.try_get(client, "/health").is_ok() != is_served {
        assert!(Instant::now() < until, "served: {is_served}");
    }
}

#[test]
fn a_new_pair_is_shown_without_being_asked() {
    let files = Files::new();
    let server = Server::start(files.settings(Clients::Anybody));
    let mut kept = server.connect(&files.client(&VERSIONS));
    assert_eq!(kept.get("/health").status, 200);
    let newer = Authority::new("Newer CA");
    files.show(&newer.issue(HOST), &newer);
    wait(&server, &trusting(&newer, &VERSIONS, None), true);
    // What is open stays open.
    assert_eq!(kept.get("/health").status, 200);
}

#[test]
fn a_bad_pair_changes_nothing_and_the_next_good_one_counts() {
    let files = Files::new();
    let server = Server::start(files.settings(files.certified(false, None)));
    let old = files.client(&VERSIONS);
    let other = files.server.issue(HOST);
    let newer = Authority::new("Newer CA");
    let pair = newer.issue(HOST);
    let bad = [
        ("tls.key", other.key.as_str()),
        ("tls.key", ""),
        ("tls.key", "-----BEGIN PRIVATE KEY-----\nrubbish\n"),
        ("tls.crt", other.certificate.as_str()),
        ("tls.crt", "no PEM"),
        ("tls.crt", other.key.as_str()),
        ("clients.pem", "no PEM"),
    ];
    for (name, text) in bad {
        let before = std::fs::read_to_string(files.path(name)).unwrap();
        files.write(name, text);
        server.tls.look();
        assert_eq!(server.get(&old, "/health").status, 200, "{name}");
        files.write(name, &before);
    }
    std::fs::remove_file(files.path("tls.key")).unwrap();
    server.tls.look();
    assert_eq!(server.get(&old, "/health").status, 200);
    // One file after the other, with a look between them.
    files.write("tls.crt", &format!("{}{}", pair.certificate, newer.pem));
    server.tls.look();
    assert_eq!(server.get(&old, "/health").status, 200);
    files.write("tls.key", &pair.key);
    wait(&server, &trusting(&newer, &VERSIONS, None), true);
}

#[test]
fn folders_that_are_swapped_by_a_link_are_noticed() {
    let files = Files::new();
    let pairs = ["one", "two"].map(|name| (name, Authority::new(name)));
    for (name, authority) in &pairs {
        let folder = files.path(name);
        std::fs::create_dir(&folder).unwrap();
        let pair = authority.issue(HOST);
        let chain = format!("{}{}", pair.certificate, authority.pem);
        std::fs::write(folder.join("tls.crt"), chain).unwrap();
        std::fs::write(folder.join("tls.key"), &pair.key).unwrap();
    }
    // As Kubernetes does it.
    let link = |target: &str| {
        let new = files.path("..data_tmp");
        std::os::unix::fs::symlink(target, &new).unwrap();
        std::fs::rename(new, files.path("..data")).unwrap();
    };
    link("one");
    for name in ["tls.crt", "tls.key"] {
        std::fs::remove_file(files.path(name)).unwrap();
        let target = std::path::Path::new("..data").join(name);
        std::os::unix::fs::symlink(target, files.path(name)).unwrap();
    }
    let server = Server::start(files.settings(Clients::Anybody));
    wait(&server, &trusting(&pairs[0].1, &VERSIONS, None), true);
    link("two");
    wait(&server, &trusting(&pairs[1].1, &VERSIONS, None), true);
    wait(&server, &trusting(&pairs[0].1, &VERSIONS, None), false);
}

#[test]
fn other_authorities_count_from_then_on() {
    let files = Files::new();
    let server = Server::start(files.settings(files.certified(true, None)));
    let newer = Authority::new("Newer CA");
    let old = files.client_as(&files.clients.sign(&named(Some("a"), &[])));
    let new = files.client_as(&newer.sign(&named(Some("a"), &[])));
    wait(&server, &old, true);
    wait(&server, &new, false);
    files.write(
        "clients.pem",
        &format!("{}{}", files.clients.pem, newer.pem),
    );
    wait(&server, &new, true);
    wait(&server, &old, true);
    files.write("clients.pem", &newer.pem);
    wait(&server, &old, false);
    wait(&server, &new, true);
}

#[test]
fn no_request_fails_while_certificates_are_swapped() {
    const SWAPS: usize = 40;
    let files = Files::new();
    let server = Server::start(files.settings(Clients::Anybody));
    let config = files.client(&VERSIONS);
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut kept = server.connect(&config);
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(server.get(&config, "/health").status, 200);
                    assert_eq!(kept.get("/health").status, 200);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..SWAPS {
                let pair = files.server.issue(HOST);
                let der = certificate(&pair.certificate);
                // Half of it, then the rest: the worst order there is.
                files.write("tls.key", &pair.key);
                server.tls.look();
                files.show(&pair, &files.server);
                server.tls.look();
                let until = Instant::now() + DEADLINE;
                while shown(&server, &config) != der {
                    assert!(Instant::now() < until);
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        ended.unwrap();
    });
    assert!(answers.load(Ordering::Relaxed) > SWAPS);
}

/// The certificate that the server shows at the moment.
fn shown(
    server: &Server,
    config: &ClientConfig,
) -> tokio_rustls::rustls::pki_types::CertificateDer<'static> {
    let client = try_connect(server.address, config).unwrap();
    let chain = client.stream().conn.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}
