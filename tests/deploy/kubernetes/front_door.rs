//! The real binary, with the arguments, variables and files of a rendered Deployment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::rendered::Rendered;
use crate::monitoring::{ask_operations, deploy};
use crate::support::git::Repository;
use crate::support::http::{self, DEADLINE};
use crate::support::process::Process;

/// What the Secrets hold; the password is of no use for a local repository, and left out.
fn fill(folder: &Path) {
    let pair = rcgen::generate_simple_self_signed(["boot.example".to_owned()]).unwrap();
    for (path, text) in [
        ("keys/id-key", "0123456789abcdef0123456789abcdef\n"),
        ("keys/secrets.yaml", "db: {password: hunter2}\n"),
        ("ops/token", "a-token-for-operators\n"),
        ("ops/hook-secret", "a-secret-for-forges\n"),
        ("tls/tls.crt", &pair.cert.pem()),
        ("tls/tls.key", &pair.signing_key.serialize_pem()),
    ] {
        let path = folder.join("etc").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A server as the manifest starts it, but for its addresses, its repository, and where its volumes are.
struct Pod {
    server: Process,
    boot: std::net::SocketAddr,
    ops: std::net::SocketAddr,
    _repository: Repository,
}

fn start(rendered: &Rendered) -> Pod {
    let example = deploy("../example-repo");
    let repository = Repository::of_folder(&example);
    let folder = repository.parent().to_owned();
    fill(&folder);
    let mut env: BTreeMap<String, String> = rendered.env();
    for value in env.values_mut() {
        for (from, to) in [("/etc/gitboot/", "etc"), ("/var/lib/gitboot/", "state")] {
            if let Some(rest) = value.strip_prefix(from) {
                let path = folder.join(to).join(rest);
                path.to_str().unwrap().clone_into(value);
            }
        }
        if value.starts_with("[::]:") {
            "127.0.0.1:0".clone_into(value);
        }
    }
    env.insert("GITBOOT_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    env.insert(
        "GITBOOT_REPO".to_owned(),
        repository.path().to_str().unwrap().to_owned(),
    );
    env.remove("GITBOOT_GIT_USERNAME");
    env.remove("GITBOOT_GIT_PASSWORD_FILE");
    let args: Vec<String> = serde_json::from_value(rendered.container()["args"].clone()).unwrap();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let vars: Vec<(&str, &str)> = env.iter().map(|(key, value)| (&**key, &**value)).collect();
    let mut server = Process::start(&args, &vars);
    let boot = server.address();
    let line = server.line_with("operations on http://");
    let address = line.split("http://").nth(1).unwrap();
    // In JSON, a quotation mark follows.
    let address = address.split('"').next().unwrap().parse().unwrap();
    Pod {
        server,
        boot,
        ops: address,
        _repository: repository,
    }
}

/// What a probe of the kubelet gets.
fn probe(rendered: &Rendered, pod: &Pod, name: &str) -> u16 {
    let get: &Value = &rendered.container()[name]["httpGet"];
    assert_eq!(get["port"], "boot");
    http::get(pod.boot, get["path"].as_str().unwrap()).status
}

#[test]
fn the_binary_runs_as_each_manifest_says() {
    for rendered in Rendered::all() {
        let mut pod = start(rendered);
        let until = Instant::now() + DEADLINE;
        while probe(rendered, &pod, "readinessProbe") != 200 {
            assert!(Instant::now() < until, "{} is never ready", rendered.name);
            std::thread::yield_now();
        }
        assert_eq!(probe(rendered, &pod, "livenessProbe"), 200);
        assert_eq!(ask_operations(pod.ops, "/metrics").status, 200);
        // Production answers machines of private networks alone.
        let env = rendered.env();
        let expected = if env.contains_key("GITBOOT_ALLOW") {
            403
        } else {
            200
        };
        let script = http::get(pod.boot, "/ipxe?mac=52:54:00:00:03:02");
        assert_eq!(script.status, expected, "{}", rendered.name);
        pod.server.signal("TERM");
        pod.server.line_with("draining");
        // Taken out of the Service, and still there for who has not noticed.
        assert_eq!(probe(rendered, &pod, "readinessProbe"), 503);
        assert_eq!(probe(rendered, &pod, "livenessProbe"), 200);
        if rendered.name.ends_with("lab") {
            assert_eq!(pod.server.end().code, Some(0));
        }
    }
}

#[test]
fn the_test_of_the_chart_asks_what_there_is() {
    let rendered = &Rendered::helm(None, &[]);
    let test = rendered.of_kind("Pod")[0];
    let command = test["spec"]["containers"][0]["command"].to_string();
    let pod = start(rendered);
    let until = Instant::now() + DEADLINE;
    for path in ["/ready", "/boot.ipxe"] {
        assert!(command.contains(&format!("http://$1{path}")), "{command}");
        while http::get(pod.boot, path).status != 200 {
            assert!(Instant::now() < until, "{path}");
            std::thread::yield_now();
        }
    }
    let service = rendered.service("gitboot");
    let address = format!(
        "{}.gitboot.svc:{}",
        service["metadata"]["name"].as_str().unwrap(),
        service["spec"]["ports"][0]["port"]
    );
    assert!(command.contains(&address), "{command}");
}
