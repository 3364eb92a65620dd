//! `/metrics`: every name that is promised, in a page that Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use rcgen::CertificateParams;

use super::{FLEET, Site};
use crate::support::git::Repository;
use crate::support::http;
use crate::support::pki::Authority;

/// A page, read strictly.
#[derive(Debug, Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Page {
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut page = Self::default();
        let mut family = String::new();
        let mut helped = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.trim().is_empty(), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, helped, "HELP stands before TYPE");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} stands twice");
                name.clone_into(&mut family);
            } else {
                page.sample(line, &family);
            }
        }
        page
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (name_and_labels, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match name_and_labels.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (name_and_labels, ""),
        };
        assert!(name.starts_with("gitboot_"), "{line}");
        let is_of_family = match self.kinds[family].as_str() {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix) == Some(family)),
            _ => name == family,
        };
        assert!(is_of_family, "{line} stands below {family}");
        let labels: BTreeMap<String, String> = labels
            .split("\",")
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (key, value) = label.split_once("=\"").unwrap();
                (key.to_owned(), value.trim_end_matches('"').to_owned())
            })
            .collect();
        assert!(
            !self
                .samples
                .iter()
                .any(|(one, with, _)| one == name && *with == labels),
            "{line} stands twice"
        );
        self.samples
            .push((name.to_owned(), labels, value.parse().unwrap()));
    }

    /// The values of a name, by the values of one label.
    fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let all = self.samples.iter().filter(|(one, ..)| one == name);
        all.map(|(_, labels, value)| (labels[label].clone(), *value))
            .collect()
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_it = |with: &BTreeMap<String, String>| {
            with.len() == labels.len()
                && labels
                    .iter()
                    .all(|(key, value)| with.get(*key).is_some_and(|one| one == value))
        };
        let mut all = self.samples.iter();
        let found = all.find(|(one, with, _)| one == name && is_it(with));
        found
            .unwrap_or_else(|| panic!("no {name} {labels:?} in {self:#?}"))
            .2
    }
}

fn page(site: &Site) -> (String, Page) {
    let answer = site.get("/metrics");
    assert_eq!(answer.status, 200);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let text = answer.text().to_owned();
    let page = Page::parse(&text);
    (text, page)
}

/// What the test below makes of the counters and gauges without labels.
const COUNTED: [(&str, f64); 12] = [
    ("gitboot_publications_total", 1.0),
    ("gitboot_refused_revisions_total", 1.0),
    ("gitboot_unassigned_lookups_total", 1.0),
    ("gitboot_identity_conflicts_total", 1.0),
    ("gitboot_ambiguous_matches_total", 0.0),
    ("gitboot_refused_errors", 1.0),
    ("gitboot_connections_limit", 16_384.0),
    ("gitboot_profiles", 1.0),
    ("gitboot_assignments", 2.0),
    ("gitboot_machines", 2.0),
    ("gitboot_configs", 1.0),
    ("gitboot_lost_log_lines_total", 0.0),
];

#[test]
fn everything_that_is_promised_is_counted() {
    let mut site = Site::published(FLEET, &[]);
    site.status_when(|status| status["served_revision"].is_string());
    for target in [
        "/boot.ipxe",
        "/ipxe?mac=52:54:00:00:00:01",
        "/ipxe?mac=52:54:00:00:00:09",
        "/ipxe?mac=52:54:00:00:00:02&serial=other",
        "/v1/boot/52-54-00-00-00-01/motd",
        "/nothing/here",
        "/nothing/there",
        "/health",
    ] {
        http::get(site.boot, target);
    }
    let served = site.repo.head();
    let refused = site.repo.commit(&[("broken.yaml", "kind: Profile\n")]);
    site.server.signal("HUP");
    site.server.line_with("refused");
    site.status_when(|status| status["refused"].is_object());
    let (_, page) = page(&site);

    let requests = "gitboot_http_requests_total";
    for (route, code, count) in [
        ("boot_script", "200", 1.0),
        ("script", "200", 1.0),
        ("script", "404", 2.0),
        ("boot_api", "200", 1.0),
        ("other", "404", 2.0),
        ("health", "200", 1.0),
        ("config", "200", 0.0),
    ] {
        let labels = [("route", route), ("code", code)];
        assert!(
            (page.value(requests, &labels) - count).abs() < 0.1,
            "{route} {code}"
        );
    }
    let info = |name: &str| page.by(name, "revision").into_keys().collect::<Vec<_>>();
    assert_eq!(info("gitboot_served_revision_info"), [served]);
    assert_eq!(info("gitboot_remote_revision_info"), [refused]);
    for (name, expected) in COUNTED {
        assert!((page.value(name, &[]) - expected).abs() < 0.1, "{name}");
    }
    assert!(page.value("gitboot_last_success_timestamp_seconds", &[]) > 1.7e9);
    assert!(page.value("gitboot_behind_seconds", &[]) < 60.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert!((page.value("gitboot_build_info", &version) - 1.0).abs() < 0.1);
    let classes = page.by("gitboot_sync_errors_total", "class");
    assert!(classes.contains_key("auth") && classes.values().all(|count| *count == 0.0));
    for name in [
        "gitboot_connections",
        "gitboot_connections_limited_total",
        "gitboot_tftp_transfers",
        "gitboot_tftp_transfers_total",
        "gitboot_fetches_total",
        "gitboot_fetch_bytes_total",
        "gitboot_fetch_seconds_total",
        "gitboot_checks_total",
        "gitboot_seen_machines",
    ] {
        assert!(page.kinds.contains_key(name), "{name}");
    }
}

#[test]
fn histograms_agree_with_themselves_and_with_the_counters() {
    let site = Site::published(FLEET, &[]);
    for _ in 0..20 {
        http::get(site.boot, "/ipxe?mac=52:54:00:00:00:01");
    }
    let (_, page) = page(&site);
    let name = "gitboot_http_request_duration_seconds";
    let routes: BTreeSet<String> = page
        .by(&format!("{name}_count"), "route")
        .into_keys()
        .collect();
    assert_eq!(routes.len(), 7);
    for route in &routes {
        let buckets: Vec<(f64, f64)> = page
            .samples
            .iter()
            .filter(|(one, labels, _)| {
                *one == format!("{name}_bucket") && labels["route"] == **route
            })
            .map(|(_, labels, count)| (labels["le"].parse().unwrap(), *count))
            .collect();
        assert!(buckets.is_sorted(), "{route}: {buckets:?}");
        assert!(buckets.last().unwrap().0.is_infinite());
        let count = page.value(&format!("{name}_count"), &[("route", route)]);
        assert!((buckets.last().unwrap().1 - count).abs() < 0.1);
        let counted: f64 = page
            .samples
            .iter()
            .filter(|(one, labels, _)| {
                one == "gitboot_http_requests_total" && labels["route"] == **route
            })
            .map(|(.., count)| count)
            .sum();
        assert!((counted - count).abs() < 0.1, "{route}");
        let sum = page.value(&format!("{name}_sum"), &[("route", route)]);
        assert_eq!(sum > 0.0, count > 0.0, "{route}");
    }
}

#[test]
fn a_repository_that_cannot_be_read_is_counted_by_class() {
    let site = Site::published(FLEET, &[]);
    std::fs::rename(site.repo.path(), site.repo.parent().join("away")).unwrap();
    site.server.signal("HUP");
    site.status_when(|status| status["last_error"].is_object());
    let (_, page) = page(&site);
    let failed = page.value("gitboot_sync_errors_total", &[("class", "not_found")]);
    assert!(failed >= 1.0, "{failed}");
}

#[test]
fn odd_requests_make_the_page_no_longer() {
    let site = Site::published(FLEET, &[]);
    http::get(site.boot, "/ipxe?mac=52:54:00:00:00:01");
    http::get(site.boot, "/nothing");
    let (_, before) = page(&site);
    for number in 0..50 {
        http::get(site.boot, &format!("/nothing/{number}"));
        http::get(
            site.boot,
            &format!("/ipxe?mac=52:54:00:00:00:01&k{number}=x"),
        );
    }
    let (_, after) = page(&site);
    assert_eq!(before.samples.len(), after.samples.len());
}

/// Two classes that overlap, and a third one that has a priority.
const OVERLAP: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec: {ipxe: \"#!ipxe\\nexit\\n\", additionalConfig: {motd: hello}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: b-site}
spec: {profile: disk, subjectSelectors: {site: [x]}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: a-rack}
spec: {profile: disk, subjectSelectors: {rack: [r1]}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: c-row}
spec: {profile: disk, subjectSelectors: {row: [w1]}, priority: 1}
";

#[test]
fn a_match_that_the_name_alone_decides_is_counted() {
    let mut site = Site::published(OVERLAP, &[]);
    for (target, assignment, ambiguous) in [
        ("/ipxe?site=x", "b-site", 0.0),
        ("/ipxe?site=x&rack=r1", "a-rack", 1.0),
        ("/ipxe?site=x&rack=r1&row=w1", "c-row", 1.0),
        (
            "/v1/boot/52-54-00-00-00-01/motd?rack=r1&site=x",
            "a-rack",
            2.0,
        ),
        ("/ipxe?rack=r1", "a-rack", 2.0),
    ] {
        assert_eq!(http::get(site.boot, target).status, 200, "{target}");
        let line = site.server.line_with("answered");
        assert!(
            line.contains(&format!("assignment=\"{assignment}\"")),
            "{line}"
        );
        let (_, page) = page(&site);
        let count = page.value("gitboot_ambiguous_matches_total", &[]);
        assert!((count - ambiguous).abs() < 0.1, "{target}: {count}");
    }
}

#[test]
fn connections_over_a_limit_are_counted() {
    let site = Site::published(FLEET, &["--max-connections-per-address", "1"]);
    let limited = |limit: &str| {
        let (_, page) = page(&site);
        page.value("gitboot_connections_limited_total", &[("limit", limit)])
    };
    assert!(limited("address") < 0.1);
    let mut first = http::Client::connect(site.boot);
    first.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.response().status, 200);
    // The second one is turned away without a word.
    let mut second = http::Client::connect(site.boot);
    second.try_send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(second.wait().is_err());
    assert!((limited("address") - 1.0).abs() < 0.1);
    assert!(limited("all") < 0.1);
}

/// Prometheus' own opinion, where it is installed; `cargo test --test deploy` insists on it.
#[test]
fn promtool_finds_nothing_to_complain_about() {
    let site = Site::published(FLEET, &[]);
    http::get(site.boot, "/ipxe?mac=52:54:00:00:00:01");
    let (text, _) = page(&site);
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        return;
    };
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_certificate_that_is_shown_says_when_it_expires() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let folder = repo.parent().to_owned();
    let authority = Authority::new("Lab CA");
    let show = |year| {
        let mut params = CertificateParams::new(["boot.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let pair = authority.sign(&params);
        let chain = format!("{}{}", pair.certificate, authority.pem);
        std::fs::write(folder.join("tls.crt"), chain).unwrap();
        std::fs::write(folder.join("tls.key"), &pair.key).unwrap();
    };
    show(2040);
    let file = |flag: &str, name: &str| format!("--tls-{flag}-file={}/{name}", folder.display());
    let [cert, key] = [file("cert", "tls.crt"), file("key", "tls.key")];
    let mut site = Site::over(repo, &["--tls-listen=127.0.0.1:0", &cert, &key]);
    let name = "gitboot_certificate_expiry_timestamp_seconds";
    let expiry = |site: &Site| page(site).1.value(name, &[]);
    assert!((expiry(&site) - 2_208_988_800.0).abs() < 1.0);
    show(2041);
    site.server.signal("HUP");
    site.server.line_with("TLS certificate loaded again");
    let until = std::time::Instant::now() + http::DEADLINE;
    while (expiry(&site) - 2_240_611_200.0).abs() > 1.0 {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
}
