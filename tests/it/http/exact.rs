//! Every route and status, to the letter: the status, all headers and the body; to GET, to HEAD and to anything else.

use std::sync::Arc;
use std::time::Duration;

use super::{Server, TREE, settings};
use crate::support::fixture;
use crate::support::http::Response;
use gitboot::http::{Limits, Settings, boot_script};
use gitboot::id::BodyDigest;
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::BaseUrl;

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/vnd.coreos.ignition+json";
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// An answer that is expected: `no-store` and text unless it says otherwise.
#[derive(Clone, Debug)]
struct Expected {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Expected {
    fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let headers = vec![
            ("content-type", TEXT.to_owned()),
            ("content-length", body.len().to_string()),
        ];
        Self {
            status,
            headers,
            body,
        }
        .with("cache-control", "no-store")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn published(self) -> Self {
        self.with("x-gitboot-revision", REVISION)
    }

    fn tagged(self) -> Self {
        let tag = BodyDigest::of(&self.body).entity_tag();
        self.with("etag", &tag)
    }

    fn not_found() -> Self {
        Self::new(404, "not found\n")
    }

    fn starting() -> Self {
        Self::new(503, "nothing is published yet\n").with("retry-after", "5")
    }

    fn method_not_allowed() -> Self {
        let mut expected = Self::new(405, "only GET and HEAD are served\n");
        expected
            .headers
            .retain(|(name, _)| *name != "cache-control");
        expected.with("allow", "GET, HEAD")
    }

    fn assert(&self, response: &Response, what: &str) {
        let mut expected: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        expected.sort_unstable();
        let mut found: Vec<(&str, &str)> = response
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        found.sort_unstable();
        assert_eq!(
            (response.version.as_str(), response.status, found),
            ("HTTP/1.1", self.status, expected),
            "{what}"
        );
        assert_eq!(
            String::from_utf8_lossy(&response.body),
            String::from_utf8_lossy(&self.body),
            "{what}"
        );
    }
}

/// Asks for everything on one connection, in every way.
fn check(server: &Server, rows: &[(String, Expected)]) {
    let mut client = server.connect();
    for (target, expected) in rows {
        expected.assert(&client.get(target), target);
        let compressed = client.get_with(target, "Accept-Encoding: gzip, br, zstd, identity;q=0");
        expected.assert(&compressed, target);
        client.send(format!(
            "HEAD {target} HTTP/1.1\r\nHost: boot.example\r\n\r\n"
        ));
        let head = Expected {
            body: Vec::new(),
            ..expected.clone()
        };
        head.assert(&client.head(), target);
        let absolute = format!("http://boot.example{target}");
        expected.assert(&client.get(&absolute), &absolute);
        for method in ["POST", "OPTIONS", "TRACE", "PROPFIND", "get"] {
            client.send(format!(
                "{method} {target} HTTP/1.1\r\nHost: boot.example\r\nContent-Length: 3\r\n\r\na=b"
            ));
            Expected::method_not_allowed().assert(&client.response(), target);
        }
    }
}

/// The ids of what the tree serves to its one whole machine.
pub(super) struct Ids {
    ignition: String,
    pub(super) motd: String,
    url: String,
    dir: String,
}

impl Ids {
    fn of(server: &Server) -> Self {
        let publication = server.publisher.current();
        let snapshot = publication.snapshot.as_deref().unwrap();
        let labels = Labels::parse("mac=525400abcdef", &FixedLabels::default()).unwrap();
        let matched = snapshot.find(&labels).unwrap();
        let id = |name: &str| matched.config(name).unwrap().id.to_string();
        let dir = snapshot
            .config_dirs()
            .find(|(_, dir)| dir.configs.len() == 3)
            .unwrap();
        Self {
            ignition: id("ignition"),
            motd: id("motd"),
            url: id("url"),
            dir: dir.0.to_string(),
        }
    }

    /// The whole script with URLs that start with this.
    pub(super) fn script(&self, base: &str) -> String {
        let Self {
            ignition,
            motd,
            dir,
            ..
        } = self;
        format!(
            "#!ipxe\nkernel {base}/k r={REVISION} i={base}/config/{ignition}?serial.hex=534e2031 \
             m={base}/config/{motd} d={base}/config/{dir}/serial.hex=534e2031/\n"
        )
    }
}

const IGNITION: &str = r#"{"ignition": {"version": "3.4.0"}, "x": "SN 1"}"#;

/// A server that serves the tree.
pub(super) fn published(settings: Settings) -> (Server, Ids) {
    let mut server = Server::with(settings, Limits::default());
    server.publish(fixture::snapshot(TREE));
    let ids = Ids::of(&server);
    (server, ids)
}

fn rows(of: impl IntoIterator<Item = (&'static str, Expected)>) -> Vec<(String, Expected)> {
    of.into_iter()
        .map(|(target, expected)| (target.to_owned(), expected))
        .collect()
}

#[test]
fn scripts_are_answered_to_the_letter() {
    let (server, ids) = published(settings());
    let first = Expected::new(200, boot_script(10));
    let script = Expected::new(200, ids.script("http://boot.example")).published();
    let unassigned = Expected::new(404, "no Assignment for this machine\n").published();
    let broken = Expected::new(500, "this could not be rendered\n").published();
    let silent = Expected::new(404, "this machine's Profile has no script\n").published();
    let repeated = Expected::new(400, "a label is repeated with different values\n");
    let many = |count: usize| {
        let labels: Vec<String> = (0..count).map(|n| format!("l{n}=x")).collect();
        format!("/ipxe?mac=525400abcdef&serial=SN%201&{}", labels.join("&"))
    };
    let mut rows = rows([
        ("/boot.ipxe", first.clone()),
        ("/boot.ipxe.0", first.clone()),
        ("/autoexec.ipxe", first.clone()),
        ("//boot.ipxe/?a=b&a=c", first.clone()),
        ("/%62oot%2Eipxe", first),
        ("/ipxe?mac=525400abcdef&serial=SN%201", script.clone()),
        (
            "/ipxe/?MAC=5254.00ab.cdef&serial.hex=534E2031",
            script.clone(),
        ),
        ("//ipxe?serialNumber=SN%201&serial=SN%201", script.clone()),
        (
            "/ip%78e?serial=%20SN%201%00&mac=junk&uuid=junk",
            script.clone(),
        ),
        ("/ipxe/52-54-00-AB-CD-EF?serial=SN%201", script.clone()),
        ("//ipxe//52%3a54:00:ab:cd:ef/?serial=SN%201", script.clone()),
        (
            "/ipxe/525400abcdef?serial=SN%201&mac=525400abcd01",
            script.clone(),
        ),
        ("/ipxe", unassigned.clone()),
        ("/ipxe?mac=525400abcdee", unassigned.clone()),
        ("/ipxe/525400abcdef?serial=other", unassigned.clone()),
        ("/ipxe?serial=SN+1", unassigned),
        ("/ipxe/525400abcd01", broken.clone()),
        ("/ipxe?mac=525400abcd01&site=y", broken),
        ("/ipxe/525400abcd02", silent),
        ("/ipxe?serial=a&serial=b", repeated.clone()),
        ("/ipxe/525400abcdef?arch=amd64&buildarch=arm64", repeated),
        ("/ipxe/525400abcde", Expected::not_found()),
        ("/ipxe/ff-ff-ff-ff-ff-ff", Expected::not_found()),
        ("/ipxe/525400abcdef/x", Expected::not_found()),
    ]);
    rows.push((many(62), script));
    rows.push((many(63), Expected::new(400, "too many labels\n")));
    check(&server, &rows);
}

#[test]
fn configs_are_answered_to_the_letter() {
    let (server, ids) = published(settings());
    let Ids {
        ignition,
        motd,
        url,
        dir,
    } = &ids;
    let hello = Expected::new(200, "hello\n")
        .published()
        .tagged()
        .with("cache-control", FOR_EVER);
    let labelled = Expected::new(200, IGNITION)
        .published()
        .tagged()
        .with("content-type", JSON);
    let printed = Expected::new(200, "http://boot.example\n")
        .published()
        .tagged();
    let repeated = Expected::new(400, "a label is repeated with different values\n").published();
    let rows = [
        (format!("/config/{motd}"), hello.clone()),
        (format!("/content/{}/", motd.to_uppercase()), hello.clone()),
        (
            format!("//config/{}", motd.replace('-', "%2D")),
            hello.clone(),
        ),
        (format!("/config/{motd}?serial=x&y=z"), hello.clone()),
        (format!("/config/{dir}/motd"), hello.clone()),
        (
            format!("/content/{dir}/serial.hex=534e2031/motd"),
            hello.clone(),
        ),
        (format!("/config/{dir}/mo%74d/"), hello),
        (
            format!("/config/{ignition}?serial.hex=534e2031"),
            labelled.clone(),
        ),
        (
            format!("/config/{dir}/serial.hex=534e2031/ignition"),
            labelled.clone(),
        ),
        (format!("/config/{dir}/ignition?serial=SN%201"), labelled),
        (format!("/config/{url}"), printed.clone()),
        (format!("/config/{dir}/url"), printed),
        (format!("/config/{motd}?a=1&a=2"), repeated.clone()),
        (format!("/config/{dir}/a=1/motd?a=2"), repeated),
        (
            format!("/config/{}", motd.replace('-', "")),
            Expected::not_found(),
        ),
        (format!("/config/{{{motd}}}"), Expected::not_found()),
        (format!("/config/{dir}/a=1/b=2/motd"), Expected::not_found()),
        ("/config".to_owned(), Expected::not_found()),
        ("/content/".to_owned(), Expected::not_found()),
    ];
    check(&server, &rows);
}

#[test]
fn a_config_is_sent_again_only_when_it_changed() {
    let (server, ids) = published(settings());
    let mut client = server.connect();
    let known = |body: &str, cache: &str| {
        let mut expected = Expected::new(304, body).published().tagged();
        expected.body = Vec::new();
        let about_the_body = ["content-type", "content-length"];
        expected
            .headers
            .retain(|(name, _)| !about_the_body.contains(name));
        expected.with("cache-control", cache)
    };
    let cases = [
        (format!("/config/{}", ids.motd), "hello\n", FOR_EVER),
        (format!("/config/{}/motd", ids.dir), "hello\n", FOR_EVER),
        (
            format!("/config/{}", ids.url),
            "http://boot.example\n",
            "no-store",
        ),
        (
            format!("/config/{}?serial=SN%201", ids.ignition),
            IGNITION,
            "no-store",
        ),
        (
            "/v1/boot/525400abcdef/motd".to_owned(),
            "hello\n",
            "no-store",
        ),
    ];
    for (target, body, cache) in cases {
        let expected = known(body, cache);
        let tag = BodyDigest::of(body.as_bytes()).entity_tag();
        let lists = [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"a\", \"b,c\" ,W/\"d\",{tag}"),
            format!("\"a\"\r\nIf-None-Match: {tag}"),
            "*".to_owned(),
        ];
        for list in lists {
            let header = format!("If-None-Match: {list}");
            expected.assert(&client.get_with(&target, &header), &header);
            client.send(format!(
                "HEAD {target} HTTP/1.1\r\nHost: boot.example\r\n{header}\r\n\r\n"
            ));
            expected.assert(&client.head(), &header);
        }
        let bare = tag.trim_matches('"');
        for list in [bare, "", "\"*\"", "W/*", &tag.to_uppercase(), "\"\u{e9}\""] {
            let response = client.get_with(&target, &format!("If-None-Match: {list}"));
            assert_eq!((response.status, response.text()), (200, body), "{list:?}");
        }
        // A part, or a condition that is not ours, changes nothing.
        for header in [
            "Range: bytes=0-1",
            "If-Match: \"x\"",
            "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
        ] {
            let response = client.get_with(&target, header);
            assert_eq!((response.status, response.text()), (200, body), "{header}");
        }
    }
    // What is no 200 is never a 304.
    for (target, status) in [
        ("/ipxe/525400abcdef?serial=SN%201", 200),
        ("/health", 200),
        ("/nope", 404),
        ("/v1/boot/525400abcdef/nope", 404),
    ] {
        assert_eq!(client.get_with(target, "If-None-Match: *").status, status);
    }
}

#[test]
fn the_boot_api_is_answered_to_the_letter() {
    let (server, ids) = published(settings());
    let script = Expected::new(200, ids.script("http://boot.example")).published();
    let hello = Expected::new(200, "hello\n").published().tagged();
    let labelled = Expected::new(200, IGNITION)
        .published()
        .tagged()
        .with("content-type", JSON);
    let none = Expected::not_found().published();
    let rows = rows([
        (
            "/v1/boot/52-54-00-ab-cd-ef/boot.ipxe?serial=SN%201",
            script.clone(),
        ),
        (
            "//v1//boot/52%3A54:00:ab:cd:ef/boot%2eipxe/?serial.hex=534e2031",
            script,
        ),
        ("/v1/boot/525400abcdef/motd", hello.clone()),
        ("/v1/boot/525400abcd02/motd", hello),
        ("/v1/boot/525400abcdef/ignition?serial=SN%201", labelled),
        // Not a byte tells one failure from another.
        ("/v1/boot/525400abcdef/nope", none.clone()),
        ("/v1/boot/525400abcdef/%ff", none.clone()),
        ("/v1/boot/525400abcdee/motd", none.clone()),
        ("/v1/boot/525400abcdee/boot.ipxe", none.clone()),
        ("/v1/boot/525400abcdef/motd?serial=other", none.clone()),
        ("/v1/boot/525400abcdef/motd?a=1&a=2", none.clone()),
        ("/v1/boot/525400abcd01/boot.ipxe", none.clone()),
        ("/v1/boot/525400abcd01/site", none.clone()),
        ("/v1/boot/525400abcd02/boot.ipxe", none.clone()),
        ("/v1/boot/junk/motd", none.clone()),
        ("/v1/boot/%ff/motd", none.clone()),
        ("/v1/boot/00-00-00-00-00-00/motd", none),
    ]);
    check(&server, &rows);
}

#[test]
fn what_is_no_route_and_what_is_alive_are_answered_to_the_letter() {
    let (server, _) = published(settings());
    let mut all = rows([
        ("/health", Expected::new(200, "ok\n")),
        ("/healthz/", Expected::new(200, "ok\n")),
        ("/ready", Expected::new(200, "ready\n")),
        ("//readyz?x", Expected::new(200, "ready\n")),
    ]);
    for target in [
        "/",
        "//",
        "/nope",
        "/BOOT.IPXE",
        "/boot.ipxe/x",
        "/boot.ipxe.1",
        "/ipxe%2f",
        "/v1",
        "/v1/boot",
        "/v1/boot/525400abcdef",
        "/v2/boot/525400abcdef/motd",
        "/metrics",
        "/status",
        "/api/machines",
        "/.git/config",
        "/../boot.ipxe",
        "/health/x",
        "/%00",
    ] {
        all.push((target.to_owned(), Expected::not_found()));
    }
    check(&server, &all);
}

#[test]
fn before_the_first_publication_nothing_is_final() {
    let server = Server::start();
    let id = "47c6da67-7477-8970-aa03-84e48ff4f6ad";
    let starting = Expected::starting;
    let mut all = rows([
        ("/boot.ipxe", Expected::new(200, boot_script(10))),
        ("/health", Expected::new(200, "ok\n")),
        ("/ready", Expected::new(503, "nothing is published yet\n")),
        ("/ipxe", starting()),
        ("/ipxe?mac=525400abcdef", starting()),
        ("/ipxe/525400abcdef", starting()),
        ("/v1/boot/525400abcdef/boot.ipxe", starting()),
        ("/v1/boot/junk/motd?a=1&a=2", starting()),
        ("/ipxe/junk", Expected::not_found()),
        ("/config/junk", Expected::not_found()),
        ("/nope", Expected::not_found()),
    ]);
    all.push((format!("/config/{id}"), starting()));
    all.push((format!("/content/{id}/motd"), starting()));
    check(&server, &all);
}

#[test]
fn readiness_says_why_not() {
    let draining = settings();
    draining
        .draining
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let (server, _) = published(draining);
    check(
        &server,
        &rows([("/ready", Expected::new(503, "draining\n"))]),
    );
    let (server, _) = published(Settings {
        ready_max_age: Some(Duration::ZERO),
        ..settings()
    });
    let line = "the repository has not been checked for too long\n";
    check(&server, &rows([("/readyz", Expected::new(503, line))]));
}

#[test]
fn an_external_url_with_a_path_starts_every_url_and_makes_them_cacheable() {
    let base = "https://boot.example:8443/site-x";
    let external_url = Some(BaseUrl::parse(&format!("{base}//")).unwrap());
    let (server, ids) = published(Settings {
        external_url,
        ..settings()
    });
    let printed = Expected::new(200, format!("{base}\n"))
        .published()
        .tagged()
        .with("cache-control", FOR_EVER);
    let script = Expected::new(200, ids.script(base)).published();
    let labelled = Expected::new(200, IGNITION)
        .published()
        .tagged()
        .with("content-type", JSON);
    check(
        &server,
        &[
            ("/ipxe/525400abcdef?serial=SN%201".to_owned(), script),
            (format!("/config/{}", ids.url), printed.clone()),
            (format!("/config/{}/url", ids.dir), printed),
            (format!("/config/{}?serial=SN%201", ids.ignition), labelled),
        ],
    );
}

#[test]
fn fixed_labels_win_and_do_not_travel() {
    let fixed: Vec<String> = (0..70).map(|n| format!("fixed{n}=x")).collect();
    let fixed_labels = FixedLabels::parse(
        &fixed
            .into_iter()
            .chain(["site=x".to_owned()])
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let (server, _) = published(Settings {
        fixed_labels,
        ..settings()
    });
    for query in ["", "?site=y", "?site=y&SITE=z", "?site=%00"] {
        let response = server.get(&format!("/ipxe/525400abcd01{query}"));
        let expected = Expected::new(200, "#!ipxe\necho in x\n").published();
        expected.assert(&response, query);
    }
}

#[test]
fn a_config_dir_without_labels_has_no_segment_for_them() {
    let (server, ids) = published(settings());
    // The machine is found by its MAC alone and says no serial.
    let response = server.get("/ipxe/525400abcdef");
    let dir = format!(" d=http://boot.example/config/{}/\n", ids.dir);
    assert!(response.text().ends_with(&dir), "{}", response.text());
    let without = server.get(&format!("/config/{}/ignition", ids.dir));
    let body = IGNITION.replace("SN 1", "");
    let expected = Expected::new(200, body).published().tagged();
    expected
        .with("content-type", JSON)
        .assert(&without, "no serial");
}

#[test]
fn without_retention_only_the_newest_is_there() {
    use super::{MAC, config, snapshot};
    use gitboot::publish::Publisher;
    let (publisher, current) = Publisher::new(Duration::ZERO);
    let mut server = Server::of(publisher, current, settings(), Limits::default());
    let [old, new] = [config("a", "old\n"), config("a", "new\n")];
    for (revision, config) in [("one", &old), ("two", &new)] {
        server.publish(snapshot(revision, MAC, None, &[Arc::clone(config)]));
        let response = server.get(&format!("/config/{}", config.id));
        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-gitboot-revision"), Some(revision));
    }
    assert_eq!(server.get(&format!("/config/{}", old.id)).status, 404);
}
