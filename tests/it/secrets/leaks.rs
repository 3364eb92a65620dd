//! A world full of secrets, in which everything goes wrong: none of them is in anything that the program says or stores,
//! but in the configs themselves.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::search::{Told, base64};
use super::{published, targets};
use crate::support::git::Repository;
use crate::support::http::{Client, get};
use crate::support::http_backend::HttpBackend;
use crate::support::pki::Authority;
use crate::support::process::{Process, run_in};

const ID_KEY: &str = "id-key-Zq8vT1xW4y";
const GIT_PASSWORD: &str = "git-passw0rd-Lm3";
const GIT_PASSWORD_LATER: &str = "git-passw0rd-Xx9";
const BEARER_TOKEN: &str = "bearer-t0ken-Rt5";
const URL_PASSWORD: &str = "url-passw0rd-Kp7";
const PASSWORD: &str = "s3cr3t-hunter2";
const TOKEN: &str = "join-t0ken-9f8e7d";
const QUOTED: &str = "q\"uo'te\\d-s3cret";
const NUMBER: &str = "86753091234567";
const PEM_LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
const PEM_END: &str = "KcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
const LATER: &str = "l4ter-s3cret-Bn2";
const SPOILED: &str = "spo1led-s3cret-Vc6";

const ALL: [&str; 13] = [
    ID_KEY,
    GIT_PASSWORD,
    GIT_PASSWORD_LATER,
    BEARER_TOKEN,
    URL_PASSWORD,
    PASSWORD,
    TOKEN,
    QUOTED,
    NUMBER,
    PEM_LINE,
    PEM_END,
    LATER,
    SPOILED,
];

fn values(password: &str) -> String {
    format!(
        "password: {password}\npin: {NUMBER}\nquoted: {QUOTED:?}\nhosts:\n  r1: {{token: {TOKEN}}}\n  r2: [{TOKEN}, {{deep: \
         {TOKEN}}}]\ntls:\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    {PEM_LINE}\n    {PEM_END}\n    -----END PRIVATE \
         KEY-----\nnothing: null\n"
    )
}

/// A Profile with this script and these configs, and an Assignment of it.
fn manifests(script: &str, configs: &str) -> String {
    format!(
        "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: disk}}
spec:
  ipxe: |
    #!ipxe
    {script}
  additionalContent:
{configs}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: all}}
spec: {{profile: disk, isDefault: true}}
"
    )
}

/// A config of this name with this line in it.
fn config(name: &str, line: &str) -> String {
    format!("  - name: {name}\n    exposed: true\n    inline: |\n      {line}\n")
}

const SCRIPT: &str = "echo {{ whole }} {{ labelled }} {{ config_dir }} {{ rack }} {{ odd }}";

fn good() -> String {
    let configs = [
        config(
            "whole",
            "{{ secrets.password }} {{ secrets.pin }} {{ secrets.quoted|tojson }} {{ secrets.tls.key|indent(6) }} {{ \
             secrets.hosts|tojson }} {{ secrets.password|urlencode }} {{ inner }}",
        ),
        config(
            "labelled",
            "{{ secrets.password }} {{ labels.serial|sh }} {{ inner }}",
        ),
        // What only a label can tell fails when a machine boots.
        config("rack", "{{ secrets.hosts[labels.rack].token }}"),
        config(
            "odd",
            "{{ (labels.serial ~ secrets.quoted)|int if labels.serial else 'x' }}",
        ),
        "  - name: inner\n    exposed: false\n    inline: 'in {{ secrets.quoted|sh }}'\n"
            .to_owned(),
    ];
    manifests(SCRIPT, &configs.concat())
}

/// Commits that are refused, each for a reason of its own.
fn bad() -> Vec<String> {
    let line = |text: &str| manifests(SCRIPT_OF_ONE, &config("one", text));
    let json = |text: &str| {
        let one = config("one.json", text);
        manifests("echo {{ configs['one.json'] }}", &one)
    };
    let mut all: Vec<String> = [
        "{{ secrets.missing }}",
        "{{ secrets.password.deeper }}",
        "{{ secrets.hosts.r2[7] }}",
        "{{ secrets.tls }}",
        "{{ secrets.nothing }}",
        "{{ secrets.password|int }}",
        "{{ secrets.pin|indent(**{secrets.password: 1}) }}",
        "{{ secrets.password|float + 1 }}",
        "{{ secrets.password + 1 }}",
        "{{ secrets.password - secrets.pin }}",
        "{{ secrets.pin / 0 }}",
        "{{ secrets.pin ** 99 }}",
        "{{ range(secrets.pin) }}",
        "{{ secrets.password|batch(secrets.pin) }}",
        "{{ secrets.pin|join(secrets.password) }}",
        "{{ values[secrets.password] }}",
        "{{ {secrets.password: 1}[secrets.quoted].x }}",
        "{% for a, b in [secrets.password] %}{{ a }}{% endfor %}",
        "{% set a = secrets %}{{ a[a.password] }}",
        "{% for x in range(100000) %}{{ secrets.password }}{% endfor %}",
        "{{ secrets.password|nothing }}",
        "{{ secrets.password.upper() }}",
        "{{ secrets.password is nothing }}",
        "{% include secrets.password %}",
        "{{ secrets.password ",
    ]
    .map(line)
    .into();
    all.push(json("{\"a\": \"{{ secrets.quoted }}\"}"));
    all.push(json("{{ secrets.password }}"));
    all.push(json("{\"{{ secrets.pin }}\": 1, {{ secrets.tls.key }}}"));
    all.push(manifests(
        "echo {{ secrets.password }}",
        &config("one", "x"),
    ));
    all.push(manifests(
        "echo {{ configs['two'] }}",
        "  - {name: two, exposed: false, inline: '{{ secrets.password }}'}\n",
    ));
    all
}

const SCRIPT_OF_ONE: &str = "echo {{ one }}";

#[test]
fn the_search_finds_every_form() {
    for text in [
        format!("password={PASSWORD}"),
        format!("Basic {}", base64(format!("ann:{GIT_PASSWORD}").as_bytes())),
        format!("Basic {}", base64(format!("a:{GIT_PASSWORD}").as_bytes())),
        format!("Basic {}", base64(format!("an:{GIT_PASSWORD}|").as_bytes())),
        format!("{:?}", PASSWORD.as_bytes()),
        "7333637233742D68756E74657232".to_owned(),
        serde_json::json!({"a": QUOTED}).to_string(),
    ] {
        let mut told = Told::default();
        told.add("here", text.clone());
        let found = std::panic::catch_unwind(|| told.holds_none_of(&ALL));
        assert!(found.is_err(), "{text}");
    }
    assert_eq!(base64(b"ann:s3cret"), "YW5uOnMzY3JldA");
}

/// A git server that wants a password, and a folder with everything else.
struct Stage {
    work: Repository,
    server: HttpBackend,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let work = Repository::with_files(&[("all.yaml", &good())]);
        let authority = Authority::new("Lab CA");
        let tls = authority.issue("127.0.0.1").server(None);
        let server = HttpBackend::with_tls(work.parent(), tls);
        let stage = Self {
            work,
            server,
            folder: tempfile::tempdir().unwrap(),
        };
        stage.want("ann", GIT_PASSWORD);
        stage.write("ca.pem", &authority.pem);
        stage.write("password", GIT_PASSWORD);
        stage.write("token", BEARER_TOKEN);
        stage.write("key", ID_KEY);
        stage.write("values", &values(PASSWORD));
        for folder in ["state", "tmp"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        stage
    }

    fn want(&self, user: &str, password: &str) {
        let login = format!("{user}:{password}");
        let padding = ["", "==", "="][login.len() % 3];
        self.server
            .want(&format!("Basic {}{padding}", base64(login.as_bytes())));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn secrets(&self) -> [String; 2] {
        [
            self.flag("id-key-file", "key"),
            self.flag("secret-values-file", "values"),
        ]
    }

    fn start(&self, format: &str) -> Process {
        let mut args = vec![
            "serve".to_owned(),
            format!("--repo={}", self.server.url("repo/.git")),
            self.flag("state-dir", "state"),
            self.flag("git-ca-file", "ca.pem"),
            self.flag("git-password-file", "password"),
            format!("--log-format={format}"),
        ];
        args.extend(self.secrets());
        let more = [
            "--git-username=ann",
            "--listen=127.0.0.1:0",
            "--interval=1h",
            "--log-level=trace",
            "--drain-delay=0",
        ];
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more).collect();
        let tmp = self.path("tmp").display().to_string();
        let path = std::env::var("PATH").unwrap();
        Process::start(
            &args,
            &[
                ("TMPDIR", &tmp),
                ("PATH", &path),
                ("RUST_BACKTRACE", "full"),
            ],
        )
    }

    fn commit(&self, text: &str) {
        self.work.commit(&[("all.yaml", text)]);
    }
}

/// Asks for everything that there is, and for much that there is not.
fn ask(address: std::net::SocketAddr, told: &mut Told) {
    let query = "serial=SN1&rack=r1";
    told.answer("/ipxe", &get(address, &format!("/ipxe?{query}")));
    let urls = targets(address, query);
    let [whole, labelled, dir, rack, odd] = &urls[..] else {
        panic!("{urls:?}");
    };
    let is_sent = |target: &str, text: &str| {
        let response = get(address, target);
        assert_eq!(response.status, 200, "{target} {response:?}");
        assert!(response.text().contains(text), "{target} {response:?}");
    };
    is_sent(labelled, "in ");
    is_sent(rack, TOKEN);
    is_sent("/v1/boot/52-54-00-ab-cd-ef/whole", PEM_END);
    let dir_rack = format!("{dir}rack");
    let mut all = vec![whole, labelled, rack, odd, &dir_rack];
    // A machine without its rack, one with another, and one that makes a filter fail.
    let more: Vec<String> = ["serial=SN1", "rack=r2", "rack=none", "serial=SN1&rack=r9"]
        .into_iter()
        .flat_map(|query| targets(address, query))
        .collect();
    let broken: Vec<u16> = more
        .iter()
        .map(|target| get(address, target).status)
        .collect();
    assert!(broken.contains(&500), "{broken:?}");
    let unsigned: Vec<String> = all.iter().map(|one| one.replace("sig=", "sig=0")).collect();
    let junk = [
        "/",
        "/config/x",
        "/config/3b7e8f1c-1111-8222-8333-444455556666",
        "/ready",
        "/boot.ipxe",
        "/secrets",
        "/%ff",
    ];
    let junk: Vec<String> = junk.map(str::to_owned).into();
    all.extend(more.iter().chain(&unsigned).chain(&junk));
    for name in [
        "odd?serial=SN1",
        "rack",
        "rack?rack=r2",
        "nothing",
        "inner",
        "boot.ipxe",
    ] {
        let target = format!("/v1/boot/52-54-00-ab-cd-ef/{name}");
        told.answer(&target, &get(address, &target));
    }
    let mut client = Client::connect(address);
    for target in all {
        told.answer(target, &client.get(target));
        let tag = client
            .get(target)
            .header("etag")
            .unwrap_or("\"x\"")
            .to_owned();
        told.answer(
            target,
            &client.get_with(target, &format!("If-None-Match: {tag}")),
        );
    }
    ask_oddly(address, told);
}

/// Sends what is no request of a machine.
fn ask_oddly(address: std::net::SocketAddr, told: &mut Told) {
    for raw in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET /ipxe HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut client = Client::connect(address);
        client.send(raw);
        let answer = client.response();
        told.add(raw, format!("{answer:?}"));
    }
}

#[test]
fn no_secret_is_said_or_stored() {
    let stage = Stage::new();
    let mut told = Told::default();
    let mut server = stage.start("human");
    let address = server.address();
    published(&mut server);
    ask(address, &mut told);

    for text in bad() {
        stage.commit(&text);
        server.signal("HUP");
        let line = server.line_with("revision");
        assert!(
            server.line_with("refused").contains("still serving"),
            "{line} {text}"
        );
    }
    stage.commit(&good().replace("in {{", "inside {{"));
    server.signal("HUP");
    published(&mut server);
    for spoiled in [
        format!("{SPOILED}\n"),
        format!("password: {SPOILED}\n{SPOILED}: [\n"),
        format!("{SPOILED}: 1\n{SPOILED}: 2\n"),
        format!("password: *{SPOILED}\n"),
        format!("password: !{SPOILED} x\n"),
        format!("password: \"{SPOILED}\\q\"\n"),
        format!("{SPOILED}\u{0}: 1\n"),
        format!("- {SPOILED}\n"),
        format!("pin: 0{NUMBER}\n"),
    ] {
        stage.write("values", &spoiled);
        server.line_with("what was read before stays in use");
    }
    stage.write("key", "short");
    server.line_with("what was read before stays in use");
    stage.write("values", &values(LATER));
    stage.write("key", &format!("{ID_KEY}{ID_KEY}"));
    published(&mut server);
    // The remote takes our password no more.
    stage.want("ann", GIT_PASSWORD_LATER);
    server.signal("HUP");
    server.line_with("the repository cannot be read");
    stage.write("password", GIT_PASSWORD_LATER);
    server.line_with("can be read again");
    ask_briefly(address, &mut told);
    server.signal("TERM");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("sig="), "{}", ended.log);
    assert!(
        ended.log.contains("TRACE") || ended.log.contains("DEBUG"),
        "{}",
        ended.log
    );
    told.add("the log", ended.log);

    let mut server = stage.start("json");
    let address = server.address();
    published(&mut server);
    ask_briefly(address, &mut told);
    server.signal("INT");
    let ended = server.end();
    assert!(!ended.log.contains("sig="), "{}", ended.log);
    told.add("the log in JSON", ended.log);
    told.folder(&stage.path("state"));
    told.folder(&stage.path("tmp"));
    // What is stored is stored as it is, so that it can be searched.
    let holds = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
    assert!(
        told.0.iter().any(
            |(place, bytes)| place.contains("gitboot-tree") && holds(bytes, "secrets.password")
        )
    );
    told.holds_none_of(&ALL);
}

fn ask_briefly(address: std::net::SocketAddr, told: &mut Told) {
    for target in targets(address, "serial=SN1&rack=none") {
        told.answer(&target, &get(address, &target));
    }
}

#[test]
fn no_command_prints_a_secret() {
    let stage = Stage::new();
    let mut told = Told::default();
    let folder = stage.work.path().to_owned();
    let [key, values] = stage.secrets();
    let formats = ["human", "json", "github", "sarif"].map(|format| format!("--format={format}"));
    let run = |args: &[&str], told: &mut Told| {
        let ran = run_in(&folder, args, &[]);
        told.ran(&format!("{args:?}"), &ran);
        ran
    };
    for text in bad() {
        stage.commit(&text);
        for format in &formats {
            let ran = run(&["validate", format, &key, &values], &mut told);
            assert_eq!(ran.code, Some(2), "{text} {ran:?}");
        }
        run(&["validate", &values], &mut told);
        run(&["render", "--label=serial=x", &key, &values], &mut told);
        run(&["diff", "HEAD~1", "HEAD"], &mut told);
    }
    stage.commit(&good());
    stage.commit(&good().replace("in {{", "inside {{"));
    for format in &formats {
        let ran = run(&["validate", format, &key, &values], &mut told);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for format in ["human", "json"] {
        let format = format!("--format={format}");
        for label in ["--label=rack=r1", "--label=serial=x"] {
            run(&["explain", label, &format, &key, &values], &mut told);
            run(&["explain", label, &format], &mut told);
        }
        for what in ["profiles", "assignments", "machines"] {
            run(&["list", what, &format, &key, &values], &mut told);
        }
    }
    for format in ["human", "json", "markdown"] {
        let ran = run(
            &[
                "diff",
                "HEAD~1",
                "HEAD",
                &format!("--format={format}"),
                "--exit-code",
            ],
            &mut told,
        );
        assert_eq!(ran.code, Some(4), "{ran:?}");
    }
    let ran = run(&["render", "--label=serial=x", &key, &values], &mut told);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // What fails when a machine boots.
    let ran = run(
        &["render", "--label=serial=x", "--config=odd", &key, &values],
        &mut told,
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("500"), "{ran:?}");
    flags(&stage, &mut told);
    told.holds_none_of(&ALL);
}

/// Secrets where they do not belong, or that do not fit.
fn flags(stage: &Stage, told: &mut Told) {
    let in_url = format!("--repo=https://ann:{URL_PASSWORD}@127.0.0.1/repo");
    let proxy = format!("--git-proxy=http://ann:{URL_PASSWORD}@127.0.0.1:1");
    let repo = format!("--repo={}", stage.server.url("repo/.git"));
    let token = stage.flag("git-bearer-token-file", "token");
    let ca = stage.flag("git-ca-file", "ca.pem");
    let [key, values] = stage.secrets();
    let mut all: Vec<(Vec<&str>, i32)> = vec![
        (vec!["serve", &in_url, "--state-dir=none"], 64),
        (vec!["validate", &in_url], 64),
        (vec!["validate", &repo, &proxy], 64),
        (vec!["validate", &repo, &token, &ca], 1),
        (vec!["render", &values], 64),
    ];
    let spoiled = stage.flag("secret-values-file", "spoiled");
    let short = stage.flag("id-key-file", "short");
    stage.write("spoiled", &format!("{SPOILED}: {SPOILED}: {SPOILED}\n"));
    stage.write("short", &SPOILED[..10]);
    all.push((vec!["serve", &repo, "--state-dir=none", &key, &spoiled], 64));
    all.push((
        vec!["serve", &repo, "--state-dir=none", &short, &values],
        64,
    ));
    for (args, code) in all {
        let ran = run_in(stage.folder.path(), &args, &[]);
        assert_eq!(ran.code, Some(code), "{args:?} {ran:?}");
        told.ran(args[0], &ran);
    }
}
