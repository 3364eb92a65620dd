//! `/config/…` and what stays reachable of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{MAC, Server, config, directory_id, headers, settings, snapshot};
use gitboot::http::{Limits, Settings};
use gitboot::publish::{Moment, Publisher};
use gitboot::render::BaseUrl;
use gitboot::snapshot::{Body, Config, Snapshot};

const HELLO_TAG: &str =
    "\"sha256-5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\"";
const FOR_EVER: &str = "private, max-age=31536000, immutable";

fn one(revision: &str, configs: &[Arc<Config>]) -> Snapshot {
    snapshot(revision, MAC, Some("#!ipxe\n"), configs)
}

#[test]
fn a_config_is_served_by_its_id_in_any_case() {
    let hello = config("motd", "hello\n");
    let mut server = Server::start();
    server.publish(one("4f2a91c", &[Arc::clone(&hello)]));
    let id = hello.id.to_string();
    for target in [
        format!("/config/{id}"),
        format!("/content/{id}"),
        format!("/config/{}", id.to_uppercase()),
        format!("//config//{id}/"),
        format!("/config/{id}?serial=x"),
    ] {
        let response = server.get(&target);
        assert_eq!(
            (response.status, response.text()),
            (200, "hello\n"),
            "{target}"
        );
        let expected = [
            ("content-type", "text/plain"),
            ("etag", HELLO_TAG),
            ("cache-control", FOR_EVER),
            ("x-gitboot-revision", "4f2a91c"),
        ];
        assert_eq!(headers(&response), expected, "{target}");
    }
}

#[test]
fn a_client_that_has_the_bytes_gets_304() {
    let hello = config("motd", "hello\n");
    let mut server = Server::start();
    server.publish(one("4f2a91c", &[Arc::clone(&hello)]));
    let target = format!("/config/{}", hello.id);
    let mut client = server.connect();
    for known in [
        HELLO_TAG.to_owned(),
        format!("W/{HELLO_TAG}"),
        format!("\"x\", {HELLO_TAG}"),
        "*".to_owned(),
    ] {
        let response = client.get_with(&target, &format!("If-None-Match: {known}"));
        assert_eq!((response.status, response.text()), (304, ""), "{known}");
        let expected = [
            ("etag", HELLO_TAG),
            ("cache-control", FOR_EVER),
            ("x-gitboot-revision", "4f2a91c"),
        ];
        assert_eq!(headers(&response), expected);
        assert_eq!(response.header("content-length"), None);
    }
    let other = client.get_with(&target, "If-None-Match: \"x\", W/\"y\"");
    assert_eq!((other.status, other.text()), (200, "hello\n"));
}

#[test]
fn only_bytes_that_depend_on_the_id_alone_may_be_cached() {
    let url = config("url", "{{ base_url }}/x\n");
    let mut labelled = Arc::into_inner(config("labelled", "same for all\n")).unwrap();
    labelled.labels = BTreeSet::from(["serial".to_owned()]);
    let configs = [Arc::clone(&url), Arc::new(labelled)];
    let cache = |settings: Settings, number: usize| {
        let mut server = Server::with(settings, Limits::default());
        server.publish(one("one", &configs));
        let response = server.get(&format!("/config/{}", configs[number].id));
        assert_eq!(response.status, 200);
        response.header("cache-control").unwrap().to_owned()
    };
    let external = || Settings {
        external_url: Some(BaseUrl::parse("http://boot.example").unwrap()),
        ..settings()
    };
    assert_eq!(cache(settings(), 0), "no-store");
    assert_eq!(cache(external(), 0), FOR_EVER);
    assert_eq!(cache(settings(), 1), "no-store");
    assert_eq!(cache(external(), 1), "no-store");
}

#[test]
fn a_directory_serves_every_config_at_its_name() {
    let configs = [
        config("user-data", "hello\n"),
        config("meta-data", "{{ base_url }}\n"),
    ];
    let mut server = Server::start();
    server.publish(one("one", &configs));
    let id = directory_id(&configs);
    for target in [
        format!("/config/{id}/user-data"),
        format!("/content/{id}//user-data"),
        format!("/config/{id}/serial.hex=5341&site=x/user-data"),
        format!("/config/{id}/user%2Ddata"),
    ] {
        let response = server.get(&target);
        assert_eq!(
            (response.status, response.text()),
            (200, "hello\n"),
            "{target}"
        );
        assert_eq!(response.header("etag"), Some(HELLO_TAG));
    }
    assert_eq!(
        server.get(&format!("/config/{id}/meta-data")).text(),
        "http://boot.example\n"
    );
    for target in [
        format!("/config/{id}"),
        format!("/config/{id}/"),
        format!("/config/{id}/vendor-data"),
        format!("/config/{id}/a=b/vendor-data"),
        format!("/config/{id}/a=b/c=d/user-data"),
        format!("/config/{}/user-data", configs[0].id),
    ] {
        assert_eq!(server.get(&target).status, 404, "{target}");
    }
    let bad = server.get(&format!("/config/{id}/serial=a&serial=b/user-data"));
    assert_eq!(bad.status, 400);
    let split = server.get(&format!("/config/{id}/serial=a/user-data?serial=b"));
    assert_eq!(split.status, 400);
}

#[test]
fn unknown_ids_are_404() {
    let mut server = Server::start();
    server.publish(one("one", &[]));
    for target in [
        "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad",
        "/config/47c6da67-7477-8970-aa03-84e48ff4f6ad/a=b/x",
        "/config/junk",
        "/config/47c6da6774778970aa0384e48ff4f6ad",
    ] {
        let response = server.get(target);
        assert_eq!(
            (response.status, response.text()),
            (404, "not found\n"),
            "{target}"
        );
        assert_eq!(
            response.header("cache-control"),
            Some("no-store"),
            "{target}"
        );
    }
}

#[test]
fn a_superseded_config_stays_with_the_revision_it_came_from() {
    let [old, new, both] = [
        config("a", "old\n"),
        config("a", "new\n"),
        config("b", "both\n"),
    ];
    let before = [Arc::clone(&old), Arc::clone(&both)];
    let after = [Arc::clone(&new), Arc::clone(&both)];
    let mut server = Server::start();
    server.publish(one("one", &before));
    server.publish(one("two", &after));
    let revision = |target: String| {
        let response = server.get(&target);
        assert_eq!(response.status, 200, "{target}");
        response.header("x-gitboot-revision").unwrap().to_owned()
    };
    assert_eq!(revision(format!("/config/{}", old.id)), "one");
    assert_eq!(revision(format!("/config/{}", new.id)), "two");
    assert_eq!(revision(format!("/config/{}", both.id)), "two");
    assert_eq!(
        revision(format!("/config/{}/a", directory_id(&before))),
        "one"
    );
    assert_eq!(
        revision(format!("/config/{}/a", directory_id(&after))),
        "two"
    );
}

/// A moment that is this much after another.
fn later(moment: Moment, seconds: u64) -> Moment {
    Moment {
        instant: moment.instant + Duration::from_secs(seconds),
        wall: moment.wall + Duration::from_secs(seconds),
    }
}

#[test]
fn superseded_configs_go_when_their_time_is_over() {
    let (mut publisher, current) = Publisher::new(Duration::from_mins(15));
    let [a, b, c] = ["a\n", "b\n", "c\n"].map(|content| config("x", content));
    let start = Moment::now();
    publisher.publish(one("one", &[Arc::clone(&a)]), start);
    publisher.publish(one("two", &[Arc::clone(&b)]), later(start, 100));
    publisher.publish(one("three", &[Arc::clone(&c)]), later(start, 700));
    publisher.unchanged(later(start, 800));
    let found = |config: &Arc<Config>, seconds: u64| {
        let publication = current.load();
        let found = publication.config(config.id, later(start, seconds).instant);
        let dir = publication.config_dir(
            directory_id(std::slice::from_ref(config)),
            later(start, seconds).instant,
        );
        let revision = found.map(|(_, revision)| revision.to_string());
        assert_eq!(revision, dir.map(|(_, revision)| revision.to_string()));
        revision
    };
    assert_eq!(found(&a, 999).as_deref(), Some("one"));
    assert_eq!(found(&a, 1000), None);
    assert_eq!(found(&b, 1599).as_deref(), Some("two"));
    assert_eq!(found(&b, 1600), None);
    assert_eq!(found(&c, 1_000_000).as_deref(), Some("three"));
}

#[test]
fn a_config_that_comes_back_is_served_as_new() {
    let (mut publisher, current) = Publisher::new(Duration::from_mins(15));
    let [a, b] = ["a\n", "b\n"].map(|content| config("x", content));
    let start = Moment::now();
    publisher.publish(one("one", &[Arc::clone(&a)]), start);
    publisher.publish(one("two", &[Arc::clone(&b)]), start);
    publisher.publish(one("three", &[Arc::clone(&a)]), start);
    let publication = current.load();
    let revision = |config: &Config| {
        publication
            .config(config.id, start.instant)
            .unwrap()
            .1
            .to_string()
    };
    assert_eq!(revision(&a), "three");
    assert_eq!(revision(&b), "two");
}

#[test]
fn without_retention_superseded_configs_go_at_once() {
    let (mut publisher, current) = Publisher::new(Duration::ZERO);
    let [a, b] = ["a\n", "b\n"].map(|content| config("x", content));
    let start = Moment::now();
    publisher.publish(one("one", &[Arc::clone(&a)]), start);
    publisher.publish(one("two", &[b]), start);
    assert!(current.load().config(a.id, start.instant).is_none());
    assert!(
        current
            .load()
            .config_dir(directory_id(&[a]), start.instant)
            .is_none()
    );
}

#[test]
fn retention_is_bounded_by_bytes_and_the_oldest_go_first() {
    /// A third of the bound and a little more.
    const BYTES: usize = 90 << 20;
    let (mut publisher, current) = Publisher::new(Duration::from_mins(15));
    let configs = ["a\n", "b\n", "c\n", "d\n"].map(|content| {
        let mut config = Arc::into_inner(config("x", content)).unwrap();
        config.bytes = BYTES;
        Arc::new(config)
    });
    let start = Moment::now();
    for (number, config) in (0..).zip(&configs) {
        publisher.publish(one("r", std::slice::from_ref(config)), later(start, number));
    }
    let now = later(start, 10).instant;
    let found = configs
        .each_ref()
        .map(|config| current.load().config(config.id, now).is_some());
    assert_eq!(found, [false, true, true, true]);
}

#[test]
fn a_type_from_the_manifest_is_sent_as_it_is() {
    let mut odd = Arc::into_inner(config("x", "{}")).unwrap();
    odd.content_type = "application/vnd.coreos.ignition+json".to_owned();
    assert!(matches!(odd.body, Body::Fixed(_)));
    let odd = Arc::new(odd);
    let mut server = Server::start();
    server.publish(one("one", &[Arc::clone(&odd)]));
    let response = server.get(&format!("/config/{}", odd.id));
    assert_eq!(
        response.header("content-type"),
        Some("application/vnd.coreos.ignition+json")
    );
    assert_eq!(response.header("content-length"), Some("2"));
}
