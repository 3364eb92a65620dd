//! `deploy/monitoring/`: rules and dashboard use what the real binary exports, and Prometheus' own tools agree.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::git::Repository;
use crate::support::http;
use crate::support::process::Process;

/// What Prometheus and its operator add to every series.
const OUTER: [&str; 3] = ["job", "instance", "namespace"];

/// Where `runbook_url`s lead.
const RUNBOOK: &str = "https://github.com/gitboot/gitboot/blob/main/deploy/monitoring/README.md#";

const FLEET: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: \"#!ipxe\\nexit {{ values.racks[labels.rack] }}\\n\"
  values: {racks: {r1: 1}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: everybody}
spec: {profile: disk, isDefault: true}
";

/// The names of metrics, and of each its labels with their values.
type Exported = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A path below `deploy/`.
pub(crate) fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

/// `/metrics` of a server that does everything that is counted.
fn page() -> String {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let folder = repo.parent();
    let pair = rcgen::generate_simple_self_signed(["boot.example".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), pair.cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    let file = |flag: &str, name: &str| format!("--{flag}={}/{name}", folder.display());
    let args = [
        "serve",
        &format!("--repo={}", repo.path().display()),
        &file("state-dir", "state"),
        &file("tls-cert-file", "tls.crt"),
        &file("tls-key-file", "tls.key"),
        "--tls-listen=127.0.0.1:0",
        "--listen=127.0.0.1:0",
        "--ops-listen=127.0.0.1:0",
    ];
    let mut server = Process::start(&args, &[]);
    let boot = server.address();
    let ops = server.operations();
    server.line_with("published");
    assert_eq!(http::get(boot, "/ipxe?rack=r1").status, 200);
    assert_eq!(http::get(boot, "/ipxe?rack=other").status, 500);
    assert_eq!(http::get(boot, "/nothing").status, 404);
    let answer = ask_operations(ops, "/metrics");
    assert_eq!(answer.status, 200);
    answer.text().to_owned()
}

/// Asks the operations listener, which wants to be called by a name of this machine.
pub(crate) fn ask_operations(address: SocketAddr, target: &str) -> http::Response {
    let mut client = http::Client::connect(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    client.response()
}

fn exported(page: &str) -> Exported {
    let mut exported = Exported::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = exported.entry(name.to_owned()).or_default();
        for label in labels
            .trim_end_matches('}')
            .split("\",")
            .filter(|one| !one.is_empty())
        {
            let (label, value) = label.split_once("=\"").unwrap();
            let values = known.entry(label.to_owned()).or_default();
            values.insert(value.trim_end_matches('"').to_owned());
        }
    }
    exported
}

/// Fails unless all that an expression uses is exported; the names of its metrics.
fn check(expression: &str, exported: &Exported) -> BTreeSet<String> {
    let uses = promql::uses(expression);
    let up = BTreeMap::new();
    let mut labels: BTreeSet<&str> = OUTER.into_iter().collect();
    assert!(!uses.selectors.is_empty(), "{expression}");
    for selector in &uses.selectors {
        let known = match selector.metric.as_str() {
            "up" => &up,
            name => exported
                .get(name)
                .unwrap_or_else(|| panic!("`{name}` is not exported: {expression}")),
        };
        labels.extend(known.keys().map(String::as_str));
        for (label, text) in &selector.matchers {
            if OUTER.contains(&label.as_str()) {
                continue;
            }
            let values = known
                .get(label)
                .unwrap_or_else(|| panic!("no `{label}` at `{}`: {expression}", selector.metric));
            // Revisions, versions and statuses are not all known; the others are lists.
            for one in text.split('|').filter(|_| label != "code") {
                assert!(values.contains(one), "no {label}=\"{one}\": {expression}");
            }
        }
    }
    for label in &uses.grouped {
        assert!(
            labels.contains(label.as_str()),
            "no `{label}`: {expression}"
        );
    }
    uses.selectors.into_iter().map(|one| one.metric).collect()
}

/// The labels that a text inserts: `{{ $labels.x }}` of an annotation, `{{x}}` of a legend.
fn inserted(text: &str) -> Vec<&str> {
    let parts = text.split("{{").skip(1);
    let inside = parts.filter_map(|part| part.split("}}").next().map(str::trim));
    inside
        .filter(|one| !one.starts_with("$value"))
        .map(|one| one.trim_start_matches("$labels."))
        .collect()
}

fn rules() -> Vec<Value> {
    let file = yaml("monitoring/alerts.yaml");
    let groups = file["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    groups[0]["rules"].as_array().unwrap().clone()
}

fn promtool(args: &[&str], input: &str) -> String {
    let mut tool = Command::new("promtool")
        .args(args)
        .current_dir(deploy("monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package `prometheus`, which `.ci/run` fetches");
    tool.stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {said}");
    said
}

#[test]
fn prometheus_reads_what_is_exported() {
    assert_eq!(promtool(&["check", "metrics"], &page()), "");
}

#[test]
fn rules_use_only_what_is_exported() {
    let exported = exported(&page());
    for rule in rules() {
        let text = |field: &Value| {
            field
                .as_str()
                .unwrap_or_else(|| panic!("{rule:#}"))
                .to_owned()
        };
        let expression = text(&rule["expr"]);
        check(&expression, &exported);
        let name = text(&rule["alert"]);
        let severity = text(&rule["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&severity.as_str()));
        let anchor = format!("{RUNBOOK}{}", name.to_lowercase());
        assert_eq!(text(&rule["annotations"]["runbook_url"]), anchor);
        for annotation in ["summary", "description"] {
            let shown = text(&rule["annotations"][annotation]);
            assert!(!shown.is_empty());
            for label in inserted(&shown) {
                let is_known = OUTER.contains(&label)
                    || exported.values().any(|labels| labels.contains_key(label));
                assert!(is_known, "no `{label}`: {shown}");
            }
        }
    }
}

#[test]
fn each_alert_says_what_to_do() {
    let names: Vec<String> = rules()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap().to_owned())
        .collect();
    let page = read("monitoring/README.md");
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(headings, names);
}

#[test]
fn rules_are_tested_by_promtool() {
    assert!(promtool(&["check", "rules", "alerts.yaml"], "").contains("SUCCESS"));
    assert!(promtool(&["test", "rules", "alerts_test.yaml"], "").contains("SUCCESS"));
    let tests = yaml("monitoring/alerts_test.yaml");
    let tests = tests["tests"].as_array().unwrap();
    let cases: Vec<(&str, bool)> = tests
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .map(|case| {
            let fires = case["exp_alerts"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
            (case["alertname"].as_str().unwrap(), fires)
        })
        .collect();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            cases.contains(&(name, true)),
            "{name} is never seen to fire"
        );
        assert!(
            cases.contains(&(name, false)),
            "{name} is never seen to be quiet"
        );
    }
}

#[test]
fn all_copies_of_the_rules_and_the_dashboard_are_the_same() {
    let rules = yaml("monitoring/alerts.yaml");
    let resource = yaml("monitoring/prometheus-rule.yaml");
    assert_eq!(resource["spec"], rules);
    for (copy, original) in [
        (
            "kubernetes/helm/gitboot/files/alerts.yaml",
            "monitoring/alerts.yaml",
        ),
        (
            "kubernetes/helm/gitboot/files/dashboard.json",
            "monitoring/dashboard.json",
        ),
    ] {
        if std::env::var_os("BLESS").is_some() {
            fs::copy(deploy(original), deploy(copy)).unwrap();
        }
        assert!(
            read(copy) == read(original),
            "{copy} is not {original}; BLESS=1 copies it"
        );
    }
}

#[test]
fn the_dashboard_shows_everything_that_is_exported_and_nothing_else() {
    let exported = exported(&page());
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut recorded = String::from("groups:\n- name: dashboard\n  rules:\n");
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel:#}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let expression = target["expr"].as_str().unwrap();
            assert!(
                expression.contains("job=~\"$job\", instance=~\"$instance\""),
                "{expression}"
            );
            shown.extend(check(expression, &exported));
            let uses = promql::uses(expression);
            for label in inserted(target["legendFormat"].as_str().unwrap()) {
                let is_kept =
                    uses.grouped.is_empty() || uses.grouped.iter().any(|one| one == label);
                assert!(is_kept, "{{{{{label}}}}} of {expression}");
            }
            let number = recorded.len();
            let quoted = serde_json::to_string(expression).unwrap();
            writeln!(recorded, "  - {{record: \"a:{number}\", expr: {quoted}}}").unwrap();
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard-rules.yaml");
    fs::write(&file, recorded).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()], "");

    // Of a histogram the buckets are shown, which tell more than the rest.
    let is_told = |name: &str| {
        !name.ends_with("_duration_seconds_sum") && !name.ends_with("_duration_seconds_count")
    };
    let all: BTreeSet<String> = exported.into_keys().filter(|name| is_told(name)).collect();
    let missing: Vec<_> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            assert!(
                query.starts_with("label_values(gitboot_build_info"),
                "{query}"
            );
        }
    }
}
