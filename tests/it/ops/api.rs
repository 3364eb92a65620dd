//! `/api/…`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{FLEET, Site, send};
use crate::support::git::Repository;
use crate::support::http;

#[test]
fn profiles_and_assignments_are_lists() {
    let site = Site::published(FLEET, &[]);
    let profile = json!({
        "name": "disk", "labels": {"os": "none"}, "script": true, "configs": ["motd"], "assignments": 2,
        "path": "all.yaml", "line": 3,
    });
    assert_eq!(site.json("/api/profiles"), json!([profile]));
    let assignments = json!([
        {"name": "racks", "tier": "named", "priority": 0, "profiles": ["disk"], "selectors": {}, "machines": 2,
         "path": "all.yaml", "line": 12},
        {"name": "site-x", "tier": "class", "priority": 0, "profiles": ["disk"], "selectors": {"site": ["x"]},
         "machines": 0, "path": "all.yaml", "line": 19},
    ]);
    assert_eq!(site.json("/api/assignments"), assignments);
}

#[test]
fn long_lists_come_in_pages() {
    const ASSIGNMENTS: usize = 2_345;
    let mut text = FLEET.to_owned();
    for number in 0..ASSIGNMENTS {
        let _ = write!(
            text,
            "---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: a-{number:04}}}\n\
             spec: {{profile: disk, subjectSelectors: {{serial: X{number}}}}}\n"
        );
    }
    let site = Site::published(&text, &[]);
    let total = ASSIGNMENTS + 2;
    let mut names = Vec::new();
    let mut target = "/api/assignments".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = site.get(&target);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-total-count"), Some(&*total.to_string()));
        let page: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        pages.push(page.len());
        names.extend(
            page.iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        let Some(link) = answer.header("link") else {
            break;
        };
        let (next, relation) = link.split_once(">; ").unwrap();
        assert_eq!(relation, "rel=\"next\"");
        next.trim_start_matches('<').clone_into(&mut target);
    }
    assert_eq!(pages, [1000, 1000, 347]);
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), total);

    let few = site.json("/api/assignments?limit=2&after=a-0%30%301");
    let names: Vec<_> = few
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["a-0002", "a-0003"]);
    let last = site.get("/api/assignments?limit=1&after=site-w");
    assert_eq!((last.header("link"), last.status), (None, 200));
    assert_eq!(site.json("/api/profiles?limit=1&after=disk"), json!([]));
    for wrong in ["limit=0", "limit=x", "limit=-1", "limit="] {
        assert_eq!(
            site.get(&format!("/api/assignments?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
    let all = site.get("/api/assignments?limit=1000000000");
    assert_eq!(all.header("link"), None);
}

#[test]
fn explain_tells_what_the_command_tells() {
    let site = Site::published(FLEET, &["--external-url=http://boot.example"]);
    let told = site.json("/api/explain?mac=52-54-00-00-00-01&site=x&uuid=junk&serial.hex=5331");
    assert_eq!(told["revision"], site.repo.head());
    let labels = json!({"mac": ["52:54:00:00:00:01"], "site": ["x"], "serial": ["S1"]});
    assert_eq!(told["labels"], labels);
    assert_eq!(told["dropped"][0]["key"], "uuid");
    assert_eq!(told["outcome"], "ok");
    assert_eq!(told["assignment"], "racks");
    assert_eq!(told["machine"], "one");
    assert_eq!(told["profile"], "disk");
    let reasons: Vec<_> = told["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["assignment"].as_str().unwrap(),
                one["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(reasons, [("racks", "won"), ("site-x", "outranked")]);
    let places = |list: &str| -> Vec<_> {
        let all = told[list].as_array().unwrap().iter();
        all.map(|one| (one["path"].as_str().unwrap(), one["line"].as_u64().unwrap()))
            .collect()
    };
    // An entry of `machines` stands on its own line, and all of these stand on one.
    assert_eq!(places("candidates"), [("all.yaml", 15), ("all.yaml", 19)]);
    assert_eq!(places("profiles"), [("all.yaml", 3)]);
    let url = told["configs"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("http://boot.example/config/"), "{url}");
    assert!(told["script"].as_str().unwrap().contains(url));

    let nobody = site.json("/api/explain?mac=52:54:00:00:00:09");
    assert_eq!(nobody["outcome"], "unassigned");
    assert_eq!(nobody["script"], Value::Null);
    assert_eq!(site.get("/api/explain?site=x&site=y").status, 400);
}

#[test]
fn signatures_are_not_told() {
    let repo = Repository::with_files(&[("all.yaml", FLEET)]);
    let key = Site::file(&repo, "--id-key-file", "a key that nobody else has\n");
    let mut site = Site::over(repo, &[&key]);
    site.server.line_with("published");
    let query = "mac=52:54:00:00:00:01&serial=S1";
    let script = http::get(site.boot, &format!("/ipxe?{query}"));
    let (_, signature) = script.text().split_once("sig=").unwrap();
    let told = site.get(&format!("/api/explain?{query}"));
    assert!(told.text().contains("sig=…"), "{}", told.text());
    assert!(!told.text().contains(signature.trim()), "{}", told.text());
}

#[test]
fn machines_that_were_seen_are_told_with_what_they_got() {
    let site = Site::published(FLEET, &[]);
    for _ in 0..3 {
        assert_eq!(
            http::get(site.boot, "/ipxe?mac=52:54:00:00:00:02&serial=S2").status,
            200
        );
    }
    assert_eq!(http::get(site.boot, "/ipxe/52:54:00:00:00:02").status, 200);
    let hostile = "%3Cscript%3Ealert(1)%3C/script%3E";
    let target = format!("/ipxe?mac=52:54:00:00:00:09&serial={hostile}");
    assert_eq!(http::get(site.boot, &target).status, 404);
    assert_eq!(
        http::get(site.boot, "/ipxe?mac=52:54:00:00:00:08&site=x").status,
        200
    );

    let seen = site.json("/api/machines");
    assert_eq!(
        (&seen["named"], &seen["others"]),
        (&json!(1), &json!(2)),
        "{seen:#}"
    );
    assert_eq!((&seen["forgotten"], &seen["lost"]), (&json!(0), &json!(0)));
    let one = |mac: &str| {
        let mut all = seen["machines"].as_array().unwrap().iter();
        all.find(|one| one["labels"]["mac"] == json!([mac]))
            .unwrap()
    };
    let named = one("52:54:00:00:00:02");
    assert_eq!(named["requests"], 4);
    assert_eq!(named["assignment"], "racks");
    assert_eq!(named["profile"], "disk");
    assert_eq!(named["status"], 200);
    assert_eq!(named["unassigned"], false);
    assert_eq!(named["revision"], site.repo.head());
    let stranger = one("52:54:00:00:00:09");
    assert_eq!(stranger["unassigned"], true);
    assert_eq!(stranger["reason"], "unassigned");
    assert_eq!(
        stranger["labels"]["serial"],
        json!(["<script>alert(1)</script>"])
    );
    assert_eq!(stranger["client"], "127.0.0.1");
    assert_eq!(one("52:54:00:00:00:08")["assignment"], "site-x");
}

#[test]
fn a_flood_of_made_up_machines_is_bounded_and_hides_nobody() {
    let site = Site::published(FLEET, &[]);
    assert_eq!(
        http::get(site.boot, "/ipxe?mac=52:54:00:00:00:01").status,
        200
    );
    let mut client = http::Client::connect(site.boot);
    for number in 0..3000 {
        let answer = client.get(&format!("/ipxe?mac=0252{number:08x}"));
        assert_eq!(answer.status, 404);
    }
    let seen = site.json("/api/machines?limit=2000");
    assert_eq!(seen["named"], 1);
    let (others, forgotten, lost) = (&seen["others"], &seen["forgotten"], &seen["lost"]);
    assert_eq!(others, 1024);
    let all = [others, forgotten, lost].map(|one| one.as_u64().unwrap());
    assert_eq!(
        all.iter().sum::<u64>(),
        3000,
        "every one is told of somehow"
    );
    assert_eq!(seen["machines"].as_array().unwrap().len(), 1025);
    let few = site.json("/api/machines?limit=10");
    assert_eq!(few["machines"].as_array().unwrap().len(), 11);
    assert!(few["machines"].to_string().contains("52:54:00:00:00:01"));
    assert_eq!(
        send(site.ops, "GET", "/api/machines?limit=x", "").status,
        200
    );
}
