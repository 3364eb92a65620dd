//! Certificates and keys of every kind, and what is said of those that cannot be used.

use std::process::Command;

use gitboot::http::Tls;
use gitboot::http::tls::Clients;
use rcgen::KeyPair;

use super::{Files, HOST, Server, VERSIONS, named};
use crate::support::pki::Identity as Pair;

/// What openssl writes in this folder.
fn openssl(files: &Files, line: &str) {
    let output = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(files.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

fn read(files: &Files, name: &str) -> String {
    std::fs::read_to_string(files.path(name)).unwrap()
}

#[test]
fn keys_of_every_kind_are_taken() {
    let files = Files::new();
    let kinds = [
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out k8",
            "rsa -traditional -in k8 -out key",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k8",
            "ec -in k8 -out key",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k8",
            "ec -in k8 -out key",
        ),
        ("genpkey -algorithm ED25519 -out k8", "pkey -in k8 -out key"),
    ];
    for (make, convert) in kinds {
        openssl(&files, make);
        openssl(&files, convert);
        let key = KeyPair::from_pem(&read(&files, "k8")).unwrap();
        let params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let certificate = files.server.sign_key(&params, &key).certificate;
        for name in ["k8", "key"] {
            // What some tools write before a key of their own.
            let key = format!("# a comment\r\n{}", read(&files, name));
            let pair = Pair {
                certificate: certificate.clone(),
                key,
            };
            files.show(&pair, &files.server);
            let server = Server::start(files.settings(Clients::Anybody));
            for version in VERSIONS {
                let response = server.get(&files.client(&[version]), "/health");
                assert_eq!(response.status, 200, "{make} {name}");
            }
        }
    }
    let key = read(&files, "key");
    assert!(key.contains("BEGIN PRIVATE KEY"), "{key}");
}

#[test]
fn what_ipxe_of_2024_speaks_is_spoken_with_an_rsa_certificate() {
    let files = Files::new();
    openssl(
        &files,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out k8",
    );
    let key = KeyPair::from_pem(&read(&files, "k8")).unwrap();
    let params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    files.show(&files.server.sign_key(&params, &key), &files.server);
    files.write("root.pem", &files.server.pem);
    let server = Server::start(files.settings(Clients::Anybody));
    for suite in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"] {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &server.address.to_string()])
            .args(["-tls1_2", "-cipher", suite, "-groups", "X25519"])
            .args(["-CAfile", files.path("root.pem").to_str().unwrap()])
            .args(["-verify_return_error", "-noservername", "-brief"])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(&format!("Ciphersuite: {suite}")), "{said}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
    let files = Files::new();
    openssl(
        &files,
        "req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.crt -subj /CN=x",
    );
    openssl(&files, "req -new -key rsa.key -out rsa.csr -subj /CN=x");
    openssl(&files, "x509 -req -in rsa.csr -signkey rsa.key -out v1.crt");
    openssl(
        &files,
        "pkey -in rsa.key -aes128 -passout pass:x -out locked.key",
    );
    openssl(
        &files,
        "rsa -traditional -in rsa.key -aes128 -passout pass:x -out locked-too.key",
    );
    openssl(
        &files,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out odd.key",
    );
    let good = (read(&files, "tls.crt"), read(&files, "tls.key"));
    let backwards = format!(
        "{}{}",
        files.server.pem,
        files.server.issue(HOST).certificate
    );
    let large = "x".repeat((1 << 20) + 1);
    let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let ours = [
        ("tls.crt", good.0.clone()),
        ("tls.key", good.1.clone()),
        ("clients.pem", files.clients.pem.clone()),
    ];
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "tls.crt",
            String::new(),
            "holds no certificate in PEM; it begins with",
        ),
        (
            "tls.crt",
            "rubbish".to_owned(),
            "holds no certificate in PEM; it begins with",
        ),
        (
            "tls.crt",
            good.1.clone(),
            "holds a private key and no certificate; the two flags may be the wrong way round",
        ),
        (
            "tls.crt",
            none.to_owned(),
            "holds a certificate in PEM, the 1. in the file, that is none inside",
        ),
        (
            "tls.crt",
            format!("{}{none}", good.0),
            "holds a certificate in PEM, the 3. in the file, that is none inside",
        ),
        (
            "tls.crt",
            good.0[..good.0.len() - 40].to_owned(),
            "is broken PEM (a section has no end)",
        ),
        (
            "tls.crt",
            read(&files, "v1.crt"),
            "is a certificate of X.509's version 1, which TLS does not take",
        ),
        (
            "tls.crt",
            large,
            "is larger than any certificate or key (1 MiB)",
        ),
        (
            "tls.crt",
            read(&files, "rsa.crt"),
            "does not belong to the certificate of `--tls-cert-file`",
        ),
        (
            "tls.crt",
            backwards,
            "does not belong to the certificate of `--tls-cert-file`",
        ),
        (
            "tls.crt",
            format!("{}{}", files.server.pem, good.0),
            "belongs to the 2. certificate of `--tls-cert-file`",
        ),
        (
            "tls.key",
            read(&files, "rsa.key"),
            "does not belong to the certificate of `--tls-cert-file`",
        ),
        (
            "tls.key",
            String::new(),
            "holds no private key in PEM (PKCS#8, SEC1 or PKCS#1)",
        ),
        (
            "tls.key",
            good.0.clone(),
            "holds no private key in PEM (PKCS#8, SEC1 or PKCS#1)",
        ),
        (
            "tls.key",
            read(&files, "locked.key"),
            "holds a private key with a passphrase",
        ),
        (
            "tls.key",
            read(&files, "locked-too.key"),
            "holds a private key with a passphrase",
        ),
        (
            "tls.key",
            read(&files, "odd.key"),
            "holds a private key that cannot be used",
        ),
        ("clients.pem", String::new(), "holds no certificate in PEM"),
        (
            "clients.pem",
            none.to_owned(),
            "holds a certificate in PEM, the 1. in the file, that is none inside",
        ),
    ];
    for (name, text, expected) in cases {
        for (name, text) in &ours {
            files.write(name, text);
        }
        files.write(name, &text);
        let error = Tls::load(files.settings(files.certified(true, None))).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.starts_with("`--tls-"), "{said}");
        assert!(!said.contains("PRIVATE KEY-----\n"), "{said}");
        assert!(!error.is_of_the_world(), "{said}");
    }
    std::fs::remove_file(files.path("clients.pem")).unwrap();
    let error = Tls::load(files.settings(files.certified(true, None))).unwrap_err();
    assert!(error.is_of_the_world(), "{error}");
    let said = format!(
        "`--tls-client-ca-file` (`{}`) cannot be read: ",
        files.path("clients.pem").display()
    );
    assert!(error.to_string().starts_with(&said), "{error}");
}

#[test]
fn one_file_may_hold_everything() {
    let files = Files::new();
    let pair = files.server.issue(HOST);
    let all = format!("{}{}{}", pair.key, pair.certificate, files.server.pem);
    files.write("tls.crt", &all);
    files.write("tls.key", &all);
    let server = Server::start(files.settings(Clients::Anybody));
    assert_eq!(server.get(&files.client(&VERSIONS), "/health").status, 200);
}

#[test]
fn any_certificate_of_ours_is_shown_even_one_that_has_expired() {
    let files = Files::new();
    files.show(&files.server.issue_expired(HOST), &files.server);
    Server::start(files.settings(Clients::Anybody));
    let unnamed = files.server.sign(&named(None, &[]));
    files.show(&unnamed, &files.server);
    Server::start(files.settings(Clients::Anybody));
}
