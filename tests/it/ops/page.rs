//! The pages for people: routes, statuses, headers, and the Assignment to copy. What they look like, `tests/page` knows.

use std::collections::BTreeMap;

use gitboot::compile::{Options, compile};
use gitboot::manifest::parse;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use proptest::prelude::*;

use super::{FLEET, Site, get, send};
use crate::support::git::Repository;
use crate::support::http;
use crate::support::process::run_in;

/// A fleet in which nobody is caught by a class.
fn strict() -> String {
    FLEET.replace("site: [x]", "site: [nowhere]")
}

#[test]
fn the_page_tells_what_is_served_and_lets_nobody_else_in() {
    let site = Site::published(FLEET, &[]);
    let page = site.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'; ",
        "style-src 'sha256-",
        "script-src 'sha256-",
        "form-action 'self'; ",
        "frame-ancestors 'none'; ",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let text = page.text();
    for said in [
        "<h1 id=\"health\">Healthy</h1>",
        &site.repo.head(),
        "racks",
        "all.yaml:",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

#[test]
fn before_the_first_publication_there_is_a_page() {
    let site = Site::start("nothing: that is a manifest\n", &[]);
    site.status_when(|status| !status["refused"].is_null());
    let page = site.get("/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Nothing is served") && page.text().contains("error["));
    assert_eq!(site.get("/explain?mac=52:54:00:00:00:01").status, 503);
    assert_eq!(site.get("/search?q=x").status, 200);
}

#[test]
fn a_failure_is_told_with_its_class() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let site = Site::over(repo, &["--ref=gone"]);
    let status = site.status_when(|status| !status["last_error"].is_null());
    let class = status["last_error"]["class"].as_str().unwrap();
    let text = site.get("/").text().to_owned();
    assert!(text.contains(&format!("<code>{class}</code>")), "{text}");
    assert!(text.contains("The repository cannot be read"), "{text}");
}

#[test]
fn a_search_leads_to_an_explanation() {
    let site = Site::published(FLEET, &[]);
    for (typed, place) in [
        ("52-54-00-00-00-01", "/explain?mac=52-54-00-00-00-01"),
        ("serial%3Da%2Bb+c", "/explain?serial.hex=612b622063"),
        ("mac%3D1%26site%3Dx", "/explain?mac=1&site=x"),
        ("", "/"),
    ] {
        let answer = site.get(&format!("/search?q={typed}"));
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(place))
        );
    }
    let found = site.get("/search?q=One");
    assert_eq!(found.status, 200);
    let link = "href=\"/explain?mac=52:54:00:00:00:01\"";
    assert!(found.text().contains(link), "{}", found.text());
}

#[test]
fn explanations_tell_what_the_api_tells() {
    let site = Site::published(FLEET, &["--external-url=http://boot.example"]);
    let query = "mac=52-54-00-00-00-01&site=x&uuid=junk&serial.hex=5331";
    let page = site.get(&format!("/explain?{query}"));
    let told = site.json(&format!("/api/explain?{query}"));
    assert_eq!(page.status, 200);
    for said in [
        told["configs"][0]["id"].as_str().unwrap(),
        told["configs"][0]["url"]
            .as_str()
            .unwrap()
            .split('?')
            .next()
            .unwrap(),
        told["dropped"][0]["message"].as_str().unwrap(),
        "#!ipxe\nchain",
        "all.yaml:",
        "named before class",
    ] {
        assert!(page.text().contains(said), "{said} in {}", page.text());
    }
    assert_eq!(site.get("/explain?site=x&site=y").status, 400);
    assert_eq!(site.get("/explain").status, 200);
}

#[test]
fn whom_only_a_default_is_for_can_be_given_a_profile() {
    let fleet = format!(
        "{FLEET}---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: rest}}\nspec: {{profile: disk, isDefault: true}}\n"
    );
    let site = Site::published(&fleet, &[]);
    let offers = |query: &str| {
        let page = site.get(&format!("/explain?{query}"));
        assert_eq!(page.status, 200);
        page.text().contains("Assignment to copy")
    };
    assert!(offers("mac=52:54:00:00:00:77"));
    assert!(!offers("mac=52:54:00:00:00:01"), "it is named");
    assert!(!offers("hostname=x"), "it does not say which one it is");
}

#[test]
fn signatures_are_not_on_the_page() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let key = Site::file(&repo, "--id-key-file", "a key that nobody else has\n");
    let mut site = Site::over(repo, &[&key]);
    site.server.line_with("published");
    let query = "mac=52:54:00:00:00:01&serial=S1";
    let script = http::get(site.boot, &format!("/ipxe?{query}"));
    let (_, signature) = script.text().split_once("sig=").unwrap();
    let page = site.get(&format!("/explain?{query}"));
    assert!(page.text().contains("sig=…"), "{}", page.text());
    assert!(!page.text().contains(signature.trim()));
}

#[test]
fn elsewhere_a_form_asks_for_the_token_and_hands_out_a_cookie() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let flag = Site::file(&repo, "--ops-token-file", "a long token\n");
    let file = flag.split_once('=').unwrap().1.to_owned();
    let mut site = Site::over(repo, &["--ops-listen=0.0.0.0:0", &flag]);
    site.server.line_with("published");
    for target in ["/", "/explain?mac=52:54:00:00:00:01", "/search?q=one"] {
        let answer = get(site.ops, target);
        assert_eq!(answer.status, 404, "{target}");
        assert!(answer.text().contains("type=\"password\""), "{target}");
        assert!(
            !answer.text().contains("racks") && !answer.text().contains("name=\"q\""),
            "{target}"
        );
        let bearer = "Authorization: Bearer a long token\r\n";
        assert_ne!(
            send(site.ops, "GET", target, bearer).status,
            404,
            "{target}"
        );
        let wrong = send(site.ops, "GET", target, "Authorization: Bearer a\r\n");
        assert_eq!(
            (wrong.status, wrong.text()),
            (404, "not found\n"),
            "{target}"
        );
    }
    let post = |form: &str| {
        let lines = format!("Content-Length: {}\r\n\r\n{form}", form.len());
        // The blank line behind the lines is ignored.
        send(site.ops, "POST", "/", &lines)
    };
    let wrong = post("token=a+long+toke&to=/");
    assert_eq!(wrong.status, 404);
    assert!(
        wrong.text().contains("This is not the token.") && wrong.header("set-cookie").is_none()
    );
    let right = post("token=a+long+token&to=%2Fexplain%3Fmac%3D1");
    assert_eq!(
        (right.status, right.header("location")),
        (303, Some("/explain?mac=1"))
    );
    let abroad = post("token=a+long+token&to=%2F%2Fevil.example");
    assert_eq!(abroad.header("location"), Some("/"));
    let cookie = right.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("token"));
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let with = |target: &str| send(site.ops, "GET", target, &cookie).status;
    for target in ["/", "/explain?mac=1", "/api/machines"] {
        assert_eq!(with(target), 200, "{target}");
    }
    let left = post("leave=1");
    assert!(left.header("set-cookie").unwrap().contains("Max-Age=0"));
    let refused = send(site.ops, "PUT", "/", "");
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("GET, HEAD, POST"))
    );
    // A new token ends all sessions.
    std::fs::write(&file, "another\n").unwrap();
    assert_eq!((with("/"), with("/api/machines")), (404, 404));
}

#[test]
fn elsewhere_without_a_token_there_is_no_page() {
    let site = Site::published(FLEET, &["--ops-listen=0.0.0.0:0"]);
    for target in ["/", "/explain", "/search?q=x"] {
        let answer = get(site.ops, target);
        assert_eq!(
            (answer.status, answer.text()),
            (404, "not found\n"),
            "{target}"
        );
    }
}

#[test]
fn a_source_url_that_is_none_names_the_flag() {
    for url in [
        "javascript:alert(1)//{path}",
        "https://git.example/{column}",
    ] {
        let flag = format!("--source-url={url}");
        let folder = Repository::new();
        let ran = run_in(folder.path(), &["serve", "--repo=/x", &flag], &[]);
        assert_eq!(ran.code, Some(64), "{}", ran.stderr);
        assert!(ran.stderr.contains("--source-url"), "{}", ran.stderr);
    }
}

/// What stands in a page between these, as a browser reads it.
fn unescaped(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    let (inside, _) = rest.split_once(to)?;
    let plain = inside.replace("&lt;", "<").replace("&gt;", ">");
    Some(plain.replace("&quot;", "\"").replace("&amp;", "&"))
}

fn proposed(site: &Site, query: &str) -> Option<String> {
    let page = site.get(&format!("/explain?{query}"));
    assert_eq!(page.status, 200, "{query}");
    unescaped(page.text(), "aria-label=\"Assignment as YAML\">", "</pre>")
}

/// What `gitboot validate` would say of these files.
fn complaints(files: &[(&str, &str)]) -> String {
    let entry = |(path, text): &(&str, &str)| {
        let path: RepoPath = RepoPath::parse(path).unwrap();
        (path, Entry::File(text.as_bytes().to_vec().into()))
    };
    let entries: BTreeMap<_, _> = files.iter().map(entry).collect();
    let tree = Tree::new(Revision::new("x"), entries);
    let options = Options::default();
    let (snapshot, found) = compile(&tree, &parse(&tree, options.budget), &options);
    if snapshot.is_some() {
        String::new()
    } else {
        found.render_human()
    }
}

#[test]
fn the_assignment_to_copy_is_the_one_that_was_missing() {
    let site = Site::published(&strict(), &[]);
    let query = "mac=52:54:00:00:00:09&mac=52:54:00:00:00:0a&serial=no&hostname=Racks&site=y";
    let yaml = proposed(&site, query).unwrap();
    assert_eq!(
        yaml,
        "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata:\n  name: racks-2\nspec:\n  profile: disk\n  machines:\n    \
         - serial: \"no\"\n      mac: [\"52:54:00:00:00:09\", \"52:54:00:00:00:0a\"]\n"
    );
    site.repo.commit(&[("new.yaml", &yaml)]);
    let ran = run_in(site.repo.path(), &["validate"], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run_in(
        site.repo.path(),
        &["explain", "--label=mac=52:54:00:00:00:0a"],
        &[],
    );
    assert!(
        ran.stdout.contains("by Assignment `racks-2`"),
        "{}",
        ran.stdout
    );
}

#[test]
fn values_that_a_profile_wants_are_in_it() {
    let wants = strict()
        .replace(
            "chain {{ motd }}",
            "echo {{ values.net.ip }} {{ values.net.gateway }} {{ values.role }}",
        )
        .replace(
            "profile: disk",
            "profile: disk\n  values: {net: {ip: a, gateway: b}, role: c}",
        )
        .replace(
            "{profile: disk\n  values: {net: {ip: a, gateway: b}, role: c}",
            "{profile: disk, values: {net: {ip: a, gateway: b}, role: c}",
        );
    let site = Site::published(&wants, &[]);
    let yaml = proposed(&site, "mac=52:54:00:00:00:09").unwrap();
    assert!(
        yaml.ends_with("  values:\n    net:\n      gateway: \"CHANGE-ME\"\n      ip: \"CHANGE-ME\"\n    role: \"CHANGE-ME\"\n"),
        "{yaml}"
    );
    assert_eq!(complaints(&[("all.yaml", &wants), ("new.yaml", &yaml)]), "");
}

/// Labels as machines send them, odd ones before all.
fn odd_query() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("mac".to_owned()),
        Just("uuid".to_owned()),
        Just("serial".to_owned()),
        Just("asset".to_owned()),
        Just("hostname".to_owned()),
        Just("buildarch".to_owned()),
        "[a-z]{1,8}",
        "\\PC{1,6}",
    ];
    let value = prop_oneof![
        Just("52:54:00:00:00:09".to_owned()),
        Just("47c6da67-7477-4970-aa03-84e48ff4f6ad".to_owned()),
        Just("S2".to_owned()),
        Just("x: y # {{ z }}".to_owned()),
        Just("\"><script>alert(1)</script>".to_owned()),
        Just("- |\\ &a *b !c %d @e `f".to_owned()),
        Just("\u{feff}\u{202e}\u{fffe}\u{1f600}".to_owned()),
        "[ -~]{1,12}",
        "\\PC{1,12}",
    ];
    proptest::collection::vec((key, value), 0..6).prop_map(|pairs| {
        let hex = |text: &str| {
            text.bytes()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
        };
        let pairs = pairs
            .iter()
            .map(|(key, value)| format!("{}={}", hex(key), hex(value)));
        pairs.collect::<Vec<_>>().join("&")
    })
}

#[test]
fn the_assignment_to_copy_is_valid_whatever_machines_say() {
    let site = Site::published(&strict(), &[]);
    proptest!(ProptestConfig::with_cases(200), |(query in odd_query())| {
        let page = site.get(&format!("/explain?{query}"));
        prop_assume!(page.status == 200);
        if let Some(yaml) = unescaped(page.text(), "aria-label=\"Assignment as YAML\">", "</pre>") {
            prop_assert!(yaml.is_ascii());
            let found = complaints(&[("all.yaml", &strict()), ("new.yaml", &yaml)]);
            prop_assert_eq!(&found, "", "{}", yaml);
        }
    });
}
