//! Secrets of operators: the token, the hook's secret, the key of a collector, passwords in URLs and variables. None of them
//! is in anything that the program says, sends elsewhere or stores.

use std::net::SocketAddr;

use super::World;
use super::search::Told;
use crate::otlp::{TAKEN, collector};
use crate::support::http::{Client, DEADLINE, Response, get};
use crate::support::process::{Process, run_in};

const OPS_TOKEN: &str = "opstoken-Bn63vQ";
const WRONG_TOKEN: &str = "wrongtoken-Jk54tR";
const HOOK_SECRET: &str = "hooksecret-Wq72zL";
const OTEL_KEY: &str = "otelkey-Zx81pM";
const PROXY_PASSWORD: &str = "proxypass-Ty45nB";
const VALUE: &str = "s3cr3t-value-Hg27";
const ID_KEY: &str = "id-key-Zq8vT1xW4y";
const QUERY: &str = "quer4-Pp19dS";
const URL_PASSWORD: &str = "url-passw0rd-Kp7";

const ALL: [&str; 8] = [
    OPS_TOKEN,
    WRONG_TOKEN,
    HOOK_SECRET,
    OTEL_KEY,
    PROXY_PASSWORD,
    VALUE,
    ID_KEY,
    QUERY,
];

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo body-of-the-script {{ seed }}
  additionalConfig: {seed: \"{{ secrets.password }} {{ labels.serial|safe }}\"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: disk, machines: [{name: x1, mac: '52:54:00:ab:cd:ef'}]}
";

const PAGES: [&str; 10] = [
    "/",
    "/search?q=x1",
    "/explain?mac=525400abcdef&serial=SN1",
    "/metrics",
    "/status",
    "/api/profiles",
    "/api/assignments",
    "/api/explain?mac=525400abcdef&serial=SN1",
    "/api/machines",
    "/nope",
];

fn send(address: SocketAddr, head: &str, body: &str) -> Response {
    let length = body.len();
    let mut client = Client::connect(address);
    client.send(format!(
        "{head}Host: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    client.response()
}

/// Asks as one who may, as one who may not, and as nobody.
fn ask_operations(ops: SocketAddr, told: &mut Told) {
    let tell = |told: &mut Told, head: &str, body: &str| {
        let answer = send(ops, head, body);
        told.add(
            head.lines().next().unwrap_or_default(),
            format!("{:?} {}", answer.headers, answer.text()),
        );
        answer
    };
    let mut cookie = String::new();
    for (token, status) in [(WRONG_TOKEN, 404), (OPS_TOKEN, 303)] {
        let answer = tell(
            told,
            "POST / HTTP/1.1\r\n",
            &format!("token={token}&to=%2F"),
        );
        assert_eq!(answer.status, status, "{answer:?}");
        let given = answer.header("set-cookie").unwrap_or_default();
        given.clone_into(&mut cookie);
    }
    let cookie = cookie.split(';').next().unwrap();
    for (line, is_let_in) in [
        (String::new(), false),
        (format!("Authorization: Bearer {WRONG_TOKEN}\r\n"), false),
        (format!("Cookie: gitboot_ops={WRONG_TOKEN}\r\n"), false),
        (format!("Authorization: Bearer {OPS_TOKEN}\r\n"), true),
        (format!("Cookie: {cookie}\r\n"), true),
    ] {
        for page in PAGES {
            let answer = tell(told, &format!("GET {page} HTTP/1.1\r\n{line}"), "");
            if page == "/api/machines" || page == "/" {
                assert_eq!(answer.status == 200, is_let_in, "{page} {line}");
            }
        }
    }
    for (line, status) in [
        (format!("X-Gitlab-Token: {HOOK_SECRET}\r\n"), 202),
        (format!("X-Gitlab-Token: {WRONG_TOKEN}\r\n"), 401),
        (format!("X-Hub-Signature-256: sha256={QUERY}\r\n"), 401),
    ] {
        let head = format!("POST /hooks/push HTTP/1.1\r\n{line}");
        let answer = tell(told, &head, &format!("{{\"x\": \"{QUERY}\"}}"));
        assert_eq!(answer.status, status, "{line}");
    }
}

fn start(world: &World, format: &str, collector: &str) -> Process {
    let flag = |flag: &str, name: &str| format!("--{flag}={}", world.path(name).display());
    let repo = format!("--repo={}", world.repo.path().display());
    let format = format!("--log-format={format}");
    let (state, token) = (flag("state-dir", "state"), flag("ops-token-file", "token"));
    let hook = flag("hook-secret-file", "hook");
    let (key, values) = (world.key_flag(), world.values_flag());
    let args = [
        "serve",
        &repo,
        &format,
        &state,
        &token,
        &hook,
        &key,
        &values,
        "--listen=127.0.0.1:0",
        "--ops-listen=0.0.0.0:0",
        "--interval=1h",
        "--log-level=trace",
        "--drain-delay=0",
        "--otlp-sample=1",
        // Nobody knows this name but the proxy.
        "--otlp-endpoint=http://collector.invalid:4318",
    ];
    let proxy = collector.replace("http://", &format!("http://ann:{PROXY_PASSWORD}@"));
    let headers = format!("x-api-key={OTEL_KEY},authorization=Bearer%20{OTEL_KEY}");
    let vars = [
        ("http_proxy", proxy.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ("RUST_BACKTRACE", "full"),
    ];
    Process::start(&args, &vars)
}

#[test]
fn no_secret_of_an_operator_is_said_or_stored() {
    let world = World::new(MANIFESTS);
    for (name, text) in [
        ("token", OPS_TOKEN),
        ("hook", HOOK_SECRET),
        ("key", ID_KEY),
        ("values", &format!("password: {VALUE}\n")),
    ] {
        world.write(name, text);
    }
    let mut told = Told::default();
    for format in ["human", "json"] {
        let (url, posts) = collector(TAKEN);
        let mut server = start(&world, format, &url);
        let address = server.address();
        let line = server.line_with("operations on http://0.0.0.0:");
        let (_, port) = line.split_once("0.0.0.0:").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        let ops = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        super::published(&mut server);
        let script = get(address, "/ipxe/525400abcdef?serial=SN1");
        let config = script.text().split_once("/config/").unwrap().1.trim();
        assert!(
            get(address, &format!("/config/{config}"))
                .text()
                .contains(VALUE)
        );
        ask_operations(ops, &mut told);
        server.signal("INT");
        let ended = server.end();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(ended.log.contains("TRACE"), "{}", ended.log);
        told.add(format!("the log, {format}"), ended.log);
        // Only the head holds the key; the collector is who it is for.
        let mut all = String::new();
        while !all.contains("GET /config/{uuid}") {
            let (head, body) = posts.recv_timeout(DEADLINE).unwrap();
            assert!(head.contains(OTEL_KEY), "{head}");
            all += &String::from_utf8_lossy(&body);
            told.add("spans", body);
        }
        for label in ["SN1", "52:54:00", "525400", "body-of", &config[..36]] {
            assert!(!all.contains(label), "{label}: {all}");
        }
    }
    told.folder(&world.path("state"));
    told.holds_none_of(&ALL);
}

#[test]
fn no_password_of_a_url_is_repeated() {
    let world = World::new(MANIFESTS);
    let good = format!("http://ann:{URL_PASSWORD}@127.0.0.1:1");
    let broken = format!("http://ann:{URL_PASSWORD}@[x");
    let odd = format!("grpc://{URL_PASSWORD}/x?y@host");
    for url in [&good, &broken, &odd] {
        let given = |flag: &str| format!("--{flag}={url}");
        let mut told = Told::default();
        for (args, code) in [
            (vec!["wait", "--revision=4f2a91c", &given("server")], 64),
            (vec!["health", &given("listen")], 64),
            (vec!["serve", "--repo=.", &given("external-url")], 64),
            (vec!["serve", "--repo=.", &given("source-url")], 64),
            (vec!["serve", "--repo=.", &given("listen")], 64),
            (vec!["serve", "--repo=.", &given("ops-listen")], 64),
            (vec!["serve", "--repo=.", &given("otlp-endpoint")], 64),
            (vec!["serve", "--repo=.", &given("git-proxy")], 64),
            (vec!["serve", &given("repo")], 64),
            (
                vec!["render", "--label=serial=x", &given("external-url")],
                64,
            ),
            (vec!["validate", url], 1),
            (vec!["import", "matchbox", url, "--out=out"], 1),
        ] {
            let ran = run_in(world.folder.path(), &args, &[]);
            assert_eq!(ran.code, Some(code), "{args:?} {ran:?}");
            told.ran(args[0], &ran);
        }
        for name in ["LISTEN", "OPS_LISTEN", "EXTERNAL_URL", "REPO", "GIT_PROXY"] {
            let name = format!("GITBOOT_{name}");
            let args: &[&str] = match name.as_str() {
                "GITBOOT_REPO" => &["serve"],
                _ => &["serve", "--repo=."],
            };
            let ran = run_in(world.folder.path(), args, &[(&name, url)]);
            assert_eq!(ran.code, Some(64), "{name} {ran:?}");
            told.ran(&name, &ran);
        }
        told.holds_none_of(&[URL_PASSWORD]);
    }
}
