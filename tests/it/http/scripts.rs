//! `/ipxe`, `/v1/boot/…` and `/ready` once something is published.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{MAC, Server, config, headers, settings, snapshot};
use gitboot::http::{Limits, Settings};
use gitboot::publish::{Failure, Moment};
use gitboot::render::BaseUrl;

const SCRIPT: &str = "#!ipxe\nkernel {{ base_url }}/vmlinuz\nboot\n";

fn serving(settings: Settings) -> Server {
    let mut server = Server::with(settings, Limits::default());
    server.publish(snapshot(
        "4f2a91c",
        MAC,
        Some(SCRIPT),
        &[config("motd", "hello\n")],
    ));
    server
}

fn script(base: &str) -> String {
    format!("#!ipxe\nkernel {base}/vmlinuz\nboot\n")
}

#[test]
fn a_machine_gets_its_script_by_its_labels() {
    let server = serving(settings());
    for target in [
        "/ipxe?mac=52:54:00:ab:cd:ef",
        "/ipxe?mac=52-54-00-AB-CD-EF",
        "/ipxe?mac=00:00:00:00:00:01&mac=525400abcdef",
        "//ipxe/?mac=525400abcdef&serial=",
        "/ipxe/52:54:00:ab:cd:ef",
        "/ipxe/52%3A54%3A00%3aab%3acd%3aef",
        "/ipxe/5254.00ab.cdef?serial=x",
        "/ipxe/525400abcdef?mac=00:00:00:00:00:01",
    ] {
        let response = server.get(target);
        assert_eq!(
            (response.status, response.text()),
            (200, script("http://boot.example").as_str()),
            "{target}"
        );
        let expected = [
            ("content-type", "text/plain; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-gitboot-revision", "4f2a91c"),
        ];
        assert_eq!(headers(&response), expected, "{target}");
    }
}

#[test]
fn everybody_else_gets_404() {
    let server = serving(settings());
    for target in [
        "/ipxe",
        "/ipxe?mac=525400abcdee",
        "/ipxe/525400abcdee?mac=525400abcdef",
        "/ipxe?mac=junk",
    ] {
        let response = server.get(target);
        assert_eq!(
            (response.status, response.text()),
            (404, "no Assignment for this machine\n"),
            "{target}"
        );
        assert_eq!(
            response.header("x-gitboot-revision"),
            Some("4f2a91c"),
            "{target}"
        );
        assert_eq!(response.header("retry-after"), None, "{target}");
    }
}

#[test]
fn labels_that_make_no_sense_together_are_400() {
    let server = serving(settings());
    let many: Vec<String> = (0..65).map(|n| format!("l{n}=x")).collect();
    let many = many.join("&");
    for (query, line) in [
        (
            "serial=a&serial=b",
            "a label is repeated with different values\n",
        ),
        (many.as_str(), "too many labels\n"),
    ] {
        let response = server.get(&format!("/ipxe?{query}"));
        assert_eq!((response.status, response.text()), (400, line));
    }
}

#[test]
fn urls_start_with_what_the_client_asked_for() {
    let server = serving(settings());
    let cases = [
        (
            "GET /ipxe/525400abcdef HTTP/1.1\r\nHost: [fec0::2]:27734\r\n\r\n",
            "http://[fec0::2]:27734",
        ),
        (
            "GET /ipxe/525400abcdef HTTP/1.1\r\nhost: a.example:\r\n\r\n",
            "http://a.example",
        ),
        (
            "GET http://b.example:81/ipxe/525400abcdef HTTP/1.1\r\nHost: a\r\n\r\n",
            "http://b.example:81",
        ),
        (
            "GET /ipxe/525400abcdef HTTP/1.0\r\nHost: a\r\n\r\n",
            "http://a",
        ),
    ];
    for (request, base) in cases {
        let mut client = server.connect();
        client.send(request);
        assert_eq!(client.response().text(), script(base), "{request:?}");
    }
    let mut old = server.connect();
    old.send("GET /ipxe/525400abcdef HTTP/1.0\r\n\r\n");
    assert_eq!(
        old.response().text(),
        script(&format!("http://{}", server.address))
    );
}

#[test]
fn an_external_url_counts_more_than_any_host() {
    let external_url = Some(BaseUrl::parse("https://boot.example/site-x/").unwrap());
    let server = serving(Settings {
        external_url,
        ..settings()
    });
    assert_eq!(
        server.get("/ipxe/525400abcdef").text(),
        script("https://boot.example/site-x")
    );
    let mut client = server.connect();
    client.send("GET /ipxe/525400abcdef HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status, 400);
}

#[test]
fn a_profile_without_a_script_is_404() {
    let mut server = Server::start();
    server.publish(snapshot("one", MAC, None, &[config("motd", "hello\n")]));
    let response = server.get("/ipxe/525400abcdef");
    assert_eq!(
        (response.status, response.text()),
        (404, "this machine's Profile has no script\n")
    );
    assert_eq!(server.get("/v1/boot/525400abcdef/motd").status, 200);
}

#[test]
fn a_body_that_is_no_script_never_leaves() {
    let mut server = Server::start();
    server.publish(snapshot("one", MAC, Some("\u{feff}#!ipxe\nboot\n"), &[]));
    for target in ["/ipxe/525400abcdef", "/ipxe?mac=525400abcdef"] {
        let response = server.get(target);
        assert_eq!(
            (response.status, response.text()),
            (500, "this could not be rendered\n")
        );
    }
    assert_eq!(server.get("/v1/boot/525400abcdef/boot.ipxe").status, 404);
}

#[test]
fn the_boot_api_serves_the_script_and_the_configs_by_name() {
    let server = serving(settings());
    for mac in [
        "525400abcdef",
        "52-54-00-ab-cd-ef",
        "52%3a54%3a00%3aab%3acd%3aef",
    ] {
        let response = server.get(&format!("/v1/boot/{mac}/boot.ipxe"));
        assert_eq!(
            (response.status, response.text()),
            (200, script("http://boot.example").as_str())
        );
        let response = server.get(&format!("/v1/boot/{mac}/motd?serial=x"));
        assert_eq!((response.status, response.text()), (200, "hello\n"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("x-gitboot-revision"), Some("4f2a91c"));
        let tag = response.header("etag").unwrap().to_owned();
        let header = format!("If-None-Match: {tag}");
        let response = server
            .connect()
            .get_with(&format!("/v1/boot/{mac}/motd"), &header);
        assert_eq!(response.status, 304);
    }
}

#[test]
fn every_failure_of_the_boot_api_looks_the_same() {
    let server = serving(settings());
    let unassigned = server.get("/v1/boot/525400abcdee/motd");
    assert_eq!((unassigned.status, unassigned.text()), (404, "not found\n"));
    for target in [
        "/v1/boot/525400abcdee/boot.ipxe",
        "/v1/boot/525400abcdef/nope",
        "/v1/boot/525400abcdef/%ff",
        "/v1/boot/junk/motd",
        "/v1/boot/000000000000/motd",
        "/v1/boot/525400abcdef/motd?serial=a&serial=b",
    ] {
        assert_eq!(server.get(target), unassigned, "{target}");
    }
}

#[test]
fn the_boot_api_can_be_turned_off() {
    let server = serving(Settings {
        boot_api: false,
        ..settings()
    });
    let unknown = server.get("/nope");
    assert_eq!(unknown.status, 404);
    assert_eq!(server.get("/v1/boot/525400abcdef/motd"), unknown);
    let empty = Server::with(
        Settings {
            boot_api: false,
            ..settings()
        },
        Limits::default(),
    );
    assert_eq!(empty.get("/v1/boot/525400abcdef/motd"), unknown);
}

#[test]
fn readiness_follows_the_first_publication_and_the_end() {
    let mut server = Server::start();
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/healthz").status, 200);
    let response = server.get("/ready");
    assert_eq!(
        (response.status, response.text()),
        (503, "nothing is published yet\n")
    );
    let failure = Failure {
        class: "refused",
        message: String::new(),
    };
    server
        .publisher
        .fail(Arc::new(failure.clone()), Moment::now());
    assert_eq!(server.get("/readyz").status, 503);
    server.publish(snapshot("one", MAC, Some(SCRIPT), &[]));
    assert_eq!(server.get("/ready").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    server.publisher.fail(Arc::new(failure), Moment::now());
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn readiness_ends_while_draining_and_health_does_not() {
    let settings = settings();
    let draining = Arc::clone(&settings.draining);
    let server = serving(settings);
    assert_eq!(server.get("/ready").status, 200);
    draining.store(true, Ordering::Relaxed);
    assert_eq!(server.get("/ready").status, 503);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/ipxe/525400abcdef").status, 200);
}

#[test]
fn readiness_ends_when_the_last_good_check_is_too_old() {
    let ready_max_age = Some(Duration::from_hours(1));
    let mut server = serving(Settings {
        ready_max_age,
        ..settings()
    });
    assert_eq!(server.get("/ready").status, 200);
    let now = Moment::now();
    // Not an hour ago, which may be before the clock began.
    let strict = serving(Settings {
        ready_max_age: Some(Duration::ZERO),
        ..settings()
    });
    let response = strict.get("/ready");
    assert_eq!(response.status, 503);
    assert_eq!(
        response.text(),
        "the repository has not been checked for too long\n"
    );
    server.publisher.unchanged(now);
    assert_eq!(server.get("/ready").status, 200);
}
