//! `/status` through the life of a server.

use serde_json::{Value, json};

use super::{FLEET, Site, send};
use crate::support::git::Repository;

const BROKEN: &str = "kind: Profile\n";

#[test]
fn what_is_served_is_told() {
    let site = Site::published(FLEET, &[]);
    let status = site.status_when(|status| status["served_revision"].is_string());
    let head = site.repo.head();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["served_revision"], head);
    assert_eq!(status["remote_revision"], head);
    assert_eq!(status["last_error"], Value::Null);
    assert_eq!(status["refused"], Value::Null);
    let counts =
        json!({"profiles": 1, "assignments": 2, "machines": 2, "configs": 1, "warnings": 1});
    assert_eq!(status["counts"], counts, "{status:#}");
    assert!(status["served_age_seconds"].as_u64().unwrap() < 60);
    for field in ["served_since", "last_check", "last_success"] {
        let time = status[field].as_str().unwrap();
        assert!(
            time.starts_with("20") && time.ends_with('Z'),
            "{field}: {time}"
        );
    }
}

#[test]
fn a_refused_revision_is_told_with_its_diagnostics_and_forgotten_when_it_is_mended() {
    let mut site = Site::published(FLEET, &[]);
    let served = site.repo.head();
    let refused = site.repo.commit(&[("broken.yaml", BROKEN)]);
    site.server.signal("HUP");
    site.server.line_with("refused");
    let status = site.status_when(|status| status["refused"].is_object());
    assert_eq!(status["served_revision"], served);
    assert_eq!(status["remote_revision"], refused);
    assert_eq!(status["refused"]["revision"], refused);
    assert_eq!(status["refused"]["errors"], 1);
    let first = status["refused"]["diagnostics"][0].as_str().unwrap();
    assert!(first.starts_with("broken.yaml:1:"), "{first}");
    assert!(first.contains("error["), "{first}");

    let mended = site.repo.commit(&[("broken.yaml", "# mended\n")]);
    site.server.signal("HUP");
    let status = site.status_when(|status| status["served_revision"] == mended);
    assert_eq!(status["refused"], Value::Null);
    assert_eq!(status["remote_revision"], mended);
}

#[test]
fn a_repository_that_cannot_be_read_is_told_and_what_is_served_stays() {
    let site = Site::published(FLEET, &[]);
    let served = site.repo.head();
    let away = site.repo.parent().join("away");
    std::fs::rename(site.repo.path(), &away).unwrap();
    site.server.signal("HUP");
    let status = site.status_when(|status| status["last_error"].is_object());
    assert_eq!(status["served_revision"], served);
    assert_eq!(status["remote_revision"], served);
    assert_eq!(status["last_error"]["class"], "not_found", "{status:#}");
    assert!(status["last_error"]["message"].is_string());
    assert!(status["last_error"]["since"].is_string());
    std::fs::rename(&away, site.repo.path()).unwrap();
    site.server.signal("HUP");
    let status = site.status_when(|status| status["last_error"].is_null());
    assert_eq!(status["served_revision"], served);
}

#[test]
fn before_anything_is_published_there_is_a_status_and_nothing_to_list() {
    let repo = Repository::with_files(&[("all.yaml", BROKEN)]);
    let mut site = Site::over(repo, &[]);
    site.server.line_with("refused");
    let status = site.status_when(|status| status["refused"].is_object());
    assert_eq!(status["served_revision"], Value::Null);
    assert_eq!(status["served_age_seconds"], Value::Null);
    assert_eq!(status["counts"]["profiles"], 0);
    for target in ["/api/profiles", "/api/assignments", "/api/explain?mac=x"] {
        assert_eq!(send(site.ops, "GET", target, "").status, 503, "{target}");
    }
    assert_eq!(site.get("/metrics").status, 200);
}
