//! `POST /hooks/push`.

use std::time::{Duration, Instant};

use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{FLEET, Site, send};
use crate::support::git::Repository;
use crate::support::http::{Client, Response};

const SECRET: &str = "hush, hush";

fn site() -> Site {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let flag = Site::file(&repo, "--hook-secret-file", &format!("{SECRET}\n"));
    let mut site = Site::over(repo, &[&flag]);
    site.server.line_with("published");
    site
}

fn signature(body: &[u8]) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    let tag = mac.finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn push(site: &Site, lines: &str, body: &[u8]) -> Response {
    let mut client = Client::connect(site.ops);
    let length = body.len();
    client.send(format!(
        "POST /hooks/push HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{lines}\r\n"
    ));
    client.try_send(body);
    client.response()
}

/// What each forge sends on a push, shortened, and with which lines.
fn forges(body: &[u8]) -> [(&'static str, String); 4] {
    let hex = signature(body);
    [
        (
            "github",
            format!(
                "X-GitHub-Event: push\r\nContent-Type: application/json\r\nX-Hub-Signature: sha1=00\r\nX-Hub-Signature-256: sha256={hex}\r\n"
            ),
        ),
        (
            "gitea",
            format!("X-Gitea-Event: push\r\nX-Gogs-Event: push\r\nX-Gitea-Signature: {hex}\r\n"),
        ),
        (
            "gitlab",
            format!("X-Gitlab-Event: Push Hook\r\nX-Gitlab-Token: {SECRET}\r\n"),
        ),
        (
            "github ping",
            format!("X-GitHub-Event: ping\r\nX-Hub-Signature-256: sha256={hex}\r\n"),
        ),
    ]
}

#[test]
fn a_push_is_served_well_within_a_second_whoever_tells_of_it() {
    let site = site();
    let body = br#"{"ref":"refs/heads/main","before":"0","after":"1","repository":{"full_name":"a/b"},"commits":[]}"#;
    for (forge, lines) in forges(body) {
        let pushed = site.repo.commit(&[("note.yaml", &format!("# {forge}\n"))]);
        let began = Instant::now();
        let answer = push(&site, &lines, body);
        assert_eq!(answer.status, 202, "{forge}: {answer:?}");
        site.status_when(|status| status["served_revision"] == pushed);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{forge}: {took:?}");
    }
}

#[test]
fn whoever_does_not_know_the_secret_is_turned_away() {
    let site = site();
    let hex = signature(b"{}");
    for lines in [
        String::new(),
        "X-Gitlab-Token: hush, hus\r\n".to_owned(),
        "X-Gitlab-Token:\r\n".to_owned(),
        format!("X-Hub-Signature-256: {hex}\r\n"),
        format!("X-Hub-Signature: sha256={hex}\r\n"),
        format!("X-Gitea-Signature: {}\r\n", signature(b"{ }")),
        "X-Gitea-Signature: nonsense\r\n".to_owned(),
    ] {
        assert_eq!(push(&site, &lines, b"{}").status, 401, "{lines}");
    }
    assert_eq!(
        push(&site, &format!("X-Gitea-Signature: {hex}\r\n"), b"{}").status,
        202
    );
    let answer = send(site.ops, "GET", "/hooks/push", "");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[test]
fn the_secret_is_read_again() {
    let site = site();
    let file = site.repo.parent().join("hook-secret-file");
    let ask = |token: &str| push(&site, &format!("X-Gitlab-Token: {token}\r\n"), b"").status;
    assert_eq!(ask(SECRET), 202);
    std::fs::write(&file, "new").unwrap();
    assert_eq!((ask(SECRET), ask("new")), (401, 202));
    std::fs::write(&file, "").unwrap();
    assert_eq!((ask(""), ask("new")), (401, 401));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ask("new"), 401);
}

#[test]
fn a_body_is_cut_at_a_mebibyte_with_a_length_and_in_chunks() {
    let site = site();
    let token = format!("X-Gitlab-Token: {SECRET}\r\n");
    let most = vec![b'x'; 1 << 20];
    assert_eq!(push(&site, &token, &most).status, 202);
    let lines = format!("X-Hub-Signature-256: sha256={}\r\n", signature(&most));
    assert_eq!(push(&site, &lines, &most).status, 202);

    let mut client = Client::connect(site.ops);
    client.send(format!(
        "POST /hooks/push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n{token}\r\n"
    ));
    // Nobody waits for a body that is too long.
    assert_eq!(client.response().status, 413);

    let mut client = Client::connect(site.ops);
    client.send(format!(
        "POST /hooks/push HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{token}\r\n"
    ));
    client.try_send([&b"100001\r\n"[..], &most, b"x\r\n0\r\n\r\n"].concat());
    assert_eq!(client.response().status, 413);

    let mut client = Client::connect(site.ops);
    client.send(format!(
        "POST /hooks/push HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{token}\r\n"
    ));
    client.send("2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(client.response().status, 202);
}

#[test]
fn without_a_secret_there_is_no_hook() {
    let site = Site::published(FLEET, &[]);
    let token = "X-Gitlab-Token: x\r\n";
    assert_eq!(push(&site, token, b"{}").status, 404);
    assert_eq!(send(site.ops, "GET", "/hooks/push", "").status, 404);
}
