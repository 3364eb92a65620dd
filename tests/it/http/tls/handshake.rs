//! Which TLS is spoken, and what becomes of those who speak another.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use gitboot::http::tls::Clients;
use gitboot::http::{Limits, Settings};
use gitboot::render::BaseUrl;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::{Files, HOST, Server, VERSIONS, try_connect};
use crate::http::{TREE, settings};
use crate::support::fixture;
use crate::support::http::{Client, DEADLINE, get};
use std::time::Duration;

fn server(files: &Files) -> Server {
    Server::start(files.settings(Clients::Anybody)).publish(fixture::snapshot(TREE))
}

/// What openssl's client says to this server; an error where it cannot shake hands.
fn openssl(server: &Server, files: &Files, args: &[&str]) -> Result<String, String> {
    files.write("root.pem", &files.server.pem);
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &server.address.to_string()])
        .args(["-CAfile", files.path("root.pem").to_str().unwrap()])
        .args(["-verify_return_error", "-showcerts", "-ign_eof"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ask = format!("GET /health HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    // It may have ended already.
    let _ = child.stdin.take().unwrap().write_all(ask.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}

#[test]
fn both_versions_are_spoken_and_urls_say_https() {
    let files = Files::new();
    let server = server(&files);
    for version in VERSIONS {
        let mut client = server.connect(&files.client(&[version]));
        let script = client.get("/ipxe?mac=525400abcdef");
        assert_eq!(script.status, 200);
        assert!(
            script.text().contains(&format!("https://{HOST}/config/")),
            "{script:?}"
        );
        assert_eq!(client.get("/health").text(), "ok\n");
    }
    let plain = get(server.plain, "/ipxe?mac=525400abcdef");
    assert!(
        plain.text().contains("http://boot.example/config/"),
        "{plain:?}"
    );
}

#[test]
fn an_external_url_holds_on_both_doors() {
    let files = Files::new();
    let settings = Settings {
        external_url: Some(BaseUrl::parse("https://elsewhere.example/b").unwrap()),
        ..settings()
    };
    let tls = files.settings(Clients::Anybody);
    let server = Server::with(tls, settings, Limits::default()).publish(fixture::snapshot(TREE));
    let script = "/ipxe?mac=525400abcdef";
    let with_tls = server.get(&files.client(&VERSIONS), script);
    assert!(
        with_tls
            .text()
            .contains("https://elsewhere.example/b/config/")
    );
    assert_eq!(with_tls.text(), get(server.plain, script).text());
}

#[test]
fn what_ipxe_speaks_is_spoken() {
    let files = Files::new();
    let server = server(&files);
    // Since 2.0.0, with the certificate that this server has.
    for suite in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ] {
        for group in ["X25519:P-256", "P-256", "P-384:P-256"] {
            let args = [
                "-tls1_2",
                "-cipher",
                suite,
                "-groups",
                group,
                "-noservername",
            ];
            let said = openssl(&server, &files, &args).unwrap();
            assert!(said.contains(&format!("Cipher    : {suite}")), "{said}");
            assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
            assert!(said.contains("Protocol  : TLSv1.2"), "{said}");
        }
    }
}

#[test]
fn the_whole_chain_is_on_the_wire_with_its_root() {
    let files = Files::new();
    let server = server(&files);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = openssl(&server, &files, &[version]).unwrap();
        let sent: Vec<&str> = said.split("-----BEGIN CERTIFICATE-----").skip(1).collect();
        let body = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
        assert_eq!(sent.len(), 2, "{said}");
        assert!(sent[1].contains(&body(&files.server.pem)), "{said}");
        assert!(said.contains("CN = Lab CA"), "{said}");
    }
}

#[test]
fn names_that_are_asked_for_change_nothing() {
    let files = Files::new();
    let server = server(&files);
    // An address is no name for SNI, and iPXE sends one.
    for name in ["10.0.2.2", "other.example", HOST] {
        let said = openssl(&server, &files, &["-servername", name]).unwrap();
        assert!(said.contains("HTTP/1.1 200 OK"), "{name}: {said}");
    }
}

#[test]
fn http_1_is_the_one_protocol_inside() {
    let files = Files::new();
    let server = server(&files);
    let said = openssl(&server, &files, &["-alpn", "h2,http/1.1"]).unwrap();
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
    let said = openssl(&server, &files, &["-alpn", "h2"]).unwrap_err();
    assert!(said.contains("no application protocol"), "{said}");
}

#[test]
fn old_versions_are_refused() {
    let files = Files::new();
    let server = server(&files);
    for version in ["-tls1_1", "-tls1"] {
        // The client's own defaults would keep it from asking.
        let args = [version, "-cipher", "ALL:@SECLEVEL=0"];
        let said = openssl(&server, &files, &args).unwrap_err();
        assert!(said.contains("SSL alert number"), "{said}");
    }
    // What iPXE of 2020 has.
    let args = ["-tls1_2", "-cipher", "AES128-SHA256:AES256-SHA256"];
    let said = openssl(&server, &files, &args).unwrap_err();
    assert!(said.contains("alert handshake failure"), "{said}");
    assert_eq!(server.get(&files.client(&VERSIONS), "/health").status, 200);
}

#[test]
fn curl_is_served() {
    let files = Files::new();
    let server = server(&files);
    files.write("root.pem", &files.server.pem);
    let port = server.address.port();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "--cacert"])
        .arg(files.path("root.pem"))
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
        .arg(format!(
            "https://{HOST}:{port}/v1/boot/52-54-00-ab-cd-ef/motd"
        ))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text,
        "hello\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn who_speaks_the_wrong_language_is_told_nothing_and_does_no_harm() {
    let files = Files::new();
    let server = server(&files);
    let mut plain = Client::connect(server.address);
    plain.try_send(format!("GET /ipxe HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Whether it ends with an alert or a reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.len() < 16 && !answer.starts_with(b"HTTP"),
        "{answer:?}"
    );
    plain.drop_rest();

    assert!(try_connect(server.plain, &files.client(&VERSIONS)).is_err());
    for rubbish in [
        &[0x16, 3, 1, 0xff, 0xff, 1][..],
        &[0; 600],
        &[0x80, 0x2e, 1],
    ] {
        let mut client = Client::connect(server.address);
        client.try_send(rubbish);
        client.no_more();
        client.drop_rest();
    }
    assert_eq!(server.get(&files.client(&VERSIONS), "/health").status, 200);
    assert_eq!(get(server.plain, "/health").status, 200);
}

#[test]
fn a_handshake_has_to_come_in_time_while_others_are_served() {
    let files = Files::new();
    let limits = Limits {
        header_timeout: Duration::from_millis(300),
        idle_timeout: DEADLINE,
        max_connections_per_address: 64,
        ..Limits::default()
    };
    let server = Server::with(files.settings(Clients::Anybody), settings(), limits);
    let since = Instant::now();
    let begun: Vec<Client> = (0..40_u8)
        .map(|number| {
            let mut client = Client::connect(server.address);
            // The beginning of a record that never comes, or nothing at all.
            client.send(&[0x16, 3, 1, 2, 0, 1][..usize::from(number) % 6]);
            client
        })
        .collect();
    assert_eq!(server.get(&files.client(&[&TLS13]), "/health").status, 200);
    assert_eq!(server.get(&files.client(&[&TLS12]), "/health").status, 200);
    assert_eq!(get(server.plain, "/health").status, 200);
    for mut client in begun {
        client.drop_rest();
    }
    assert!(since.elapsed() < DEADLINE / 2, "{:?}", since.elapsed());

    // A request's header has its own time after that.
    let mut client = server.connect(&files.client(&VERSIONS));
    client.send("GET /heal");
    client.drop_rest();
    assert!(since.elapsed() < DEADLINE / 2, "{:?}", since.elapsed());
}

#[test]
fn handshakes_count_as_connections_of_both_doors() {
    let files = Files::new();
    let limits = Limits {
        max_connections_per_address: 3,
        ..Limits::default()
    };
    let server = Server::with(files.settings(Clients::Anybody), settings(), limits);
    let mut plain = Client::connect(server.plain);
    assert_eq!(plain.get("/health").status, 200);
    let mut with_tls = server.connect(&files.client(&VERSIONS));
    assert_eq!(with_tls.get("/health").status, 200);
    let silent = TcpStream::connect(server.address).unwrap();
    let until = Instant::now() + DEADLINE;
    while server.door.connections() < 3 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert!(try_connect(server.address, &files.client(&VERSIONS)).is_err());
    Client::connect(server.plain).end();
    drop(silent);
    while server.try_get(&files.client(&VERSIONS), "/health").is_err() {
        assert!(Instant::now() < until);
    }
}

#[test]
fn a_drain_does_not_wait_for_handshakes() {
    let files = Files::new();
    let server = Server::start(files.settings(Clients::Anybody));
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    let until = Instant::now() + DEADLINE;
    while server.door.connections() < 1 {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    let since = Instant::now();
    server.door.close();
    let _ = silent.read(&mut [0; 16]);
    assert!(since.elapsed() < Limits::default().header_timeout / 2);
}
