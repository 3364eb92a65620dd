//! Repositories behind a forward proxy.

use std::net::TcpListener;

use bytes::Bytes;
use gitboot::source::{Credentials, ErrorClass, Settings, SourceError};
use gitboot::tree::Tree;

use super::{check, failure, listing, settings};
use crate::support::git::Repository;
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::pki::Authority;
use crate::support::proxy::Proxy;

/// Checks a repository behind TLS through the proxy at this URL; says what host the proxy should be asked for, too.
fn through(proxy: &str) -> (String, Result<Tree, SourceError>) {
    let work = Repository::with_files(&[("n", "1")]);
    let authority = Authority::new("Lab CA");
    let config = authority.issue("127.0.0.1").server(None);
    let server = HttpBackend::with_tls(work.parent(), config);
    let ca_file = work.parent().join("ca.pem");
    std::fs::write(&ca_file, &authority.pem).unwrap();
    let url = server.url("repo/.git");
    let host = url.trim_start_matches("https://");
    let host = host.trim_end_matches("/repo/.git").to_owned();
    let result = check(Settings {
        credentials: Credentials {
            ca_file: Some(ca_file),
            proxy: Some(proxy.parse().unwrap()),
            ..Credentials::default()
        },
        ..settings(url)
    });
    (host, result)
}

#[test]
fn a_check_over_https_goes_through_the_proxy_on_one_connection() {
    let proxy = Proxy::new(None);
    let (host, result) = through(&proxy.url());
    assert_eq!(listing(&result.unwrap()), "n: 1");
    assert_eq!(proxy.take_asked(), [host]);
}

#[test]
fn a_proxy_that_does_not_connect_is_blamed() {
    for (answer, class, message) in [
        (
            "403 Forbidden",
            ErrorClass::Refused,
            "the proxy of `--git-proxy` does not connect to the remote: tunnel error: unsuccessful",
        ),
        (
            "407 Proxy Authentication Required",
            ErrorClass::Auth,
            "the proxy of `--git-proxy` wants a login (407), which is not supported",
        ),
    ] {
        let proxy = Proxy::new(Some(answer));
        let (host, result) = through(&proxy.url());
        assert_eq!(failure(result), (class, message.to_owned()));
        assert_eq!(proxy.take_asked(), [host]);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (class, message) = failure(through(&url).1);
    assert_eq!(class, ErrorClass::Refused, "{message}");
    let prefix = "the proxy of `--git-proxy` cannot be reached: ";
    assert!(message.starts_with(prefix), "{message}");
}

#[test]
fn plain_http_is_asked_of_the_proxy_by_its_whole_url() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = HttpBackend::new(folder.path());
    proxy.answer(|_| Answer::Fixed {
        status: 404,
        headers: Vec::new(),
        body: Bytes::new(),
    });
    let (class, message) = failure(check(Settings {
        credentials: Credentials {
            proxy: Some(proxy.url("").parse().unwrap()),
            ..Credentials::default()
        },
        ..settings("http://git.lab.invalid/boot.git")
    }));
    assert_eq!(class, ErrorClass::NotFound, "{message}");
    let seen = proxy.take_seen();
    let target = "http://git.lab.invalid/boot.git/info/refs?service=git-upload-pack";
    assert_eq!((seen.len(), seen[0].target.as_str()), (1, target));
}
