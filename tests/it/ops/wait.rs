//! `gitboot wait`.

use std::path::Path;

use super::{FLEET, Site};
use crate::support::process::{Ran, run_in};

fn wait(sites: &[&Site], revision: &str, timeout: &str) -> Ran {
    let mut args = vec!["wait".to_owned()];
    for site in sites {
        args.push(format!("--server=http://{}", site.ops));
    }
    args.push(format!("--revision={revision}"));
    args.push(format!("--timeout={timeout}"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run_in(Path::new("/"), &args, &[])
}

#[test]
fn what_every_server_serves_is_waited_for() {
    let (one, other) = (Site::published(FLEET, &[]), Site::published(FLEET, &[]));
    // The same files at the same time by the same people are the same commit.
    let head = one.repo.head();
    assert_eq!(other.repo.head(), head);
    let quiet = Ran {
        code: Some(0),
        stdout: String::new(),
        stderr: String::new(),
    };
    assert_eq!(wait(&[&one, &other], &head, "20s"), quiet);
    assert_eq!(wait(&[&one], &head[..7].to_uppercase(), "20s"), quiet);
}

#[test]
fn a_refusal_is_told_at_once_with_its_diagnostics() {
    let mut site = Site::published(FLEET, &[]);
    let refused = site.repo.commit(&[("broken.yaml", "kind: Profile\n")]);
    site.server.signal("HUP");
    site.server.line_with("refused");
    let ran = wait(&[&site], &refused, "1h");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.starts_with("broken.yaml:1:"), "{ran:?}");
    assert!(
        ran.stderr.ends_with("/status refuses this revision\n"),
        "{ran:?}"
    );
}

#[test]
fn what_never_comes_ends_with_the_time() {
    let site = Site::published(FLEET, &[]);
    let ran = wait(&[&site], "0123456789", "0");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&site.repo.head()), "{ran:?}");
    let ran = run_in(
        Path::new("/"),
        &[
            "wait",
            "--server=http://127.0.0.1:1",
            "--revision=0123456789",
            "--timeout=0",
        ],
        &[],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("it does not answer"), "{ran:?}");
    for args in [
        &["wait", "--revision=0123456"][..],
        &["wait", "--server=http://127.0.0.1:1"],
        &["wait", "--server=http://127.0.0.1:1", "--revision=main"],
        &["wait", "--server=127.0.0.1:1", "--revision=0123456"],
    ] {
        assert_eq!(run_in(Path::new("/"), args, &[]).code, Some(64), "{args:?}");
    }
}
