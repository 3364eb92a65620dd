//! Repositories of a real `git daemon`.

use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

use gitboot::source::{Check, ErrorClass, Remote, Settings};

use super::{check, check_with, failure, listing, settings, settings_at};
use crate::support::daemon::Daemon;
use crate::support::git::Repository;

#[test]
fn a_daemon_is_followed() {
    let work = Repository::with_files(&[("n", "1")]);
    let daemon = Daemon::git(work.parent());
    let url = format!("git://127.0.0.1:{}/repo", daemon.port);
    let mut remote = Remote::new(settings(&url)).unwrap();
    let mut known: Option<String> = None;
    for n in 1..4 {
        let head = work.commit(&[("n", &n.to_string()), ("big", &"0123456789".repeat(50_000))]);
        let Check::Changed(tree) = check_with(&mut remote, known.as_deref()).unwrap() else {
            panic!("unchanged at {n}");
        };
        assert_eq!(
            tree.file(&super::path("n")).unwrap(),
            n.to_string().as_str()
        );
        assert_eq!(tree.revision().as_str(), head);
        let unchanged = check_with(&mut remote, Some(&head)).unwrap();
        assert!(matches!(unchanged, Check::Unchanged(_)));
        known = Some(head);
    }
    let (class, message) = failure(check(settings_at(&url, "none")));
    assert_eq!(class, ErrorClass::RefNotFound, "{message}");
    let found = failure(check(settings(format!("{url}-none"))));
    let message = "the remote has no repository at this path, or does not export it";
    assert_eq!(found, (ErrorClass::NotFound, message.to_owned()));
}

#[test]
fn a_remote_that_refuses_the_filter_it_offers_is_followed_without_it() {
    let work = Repository::with_files(&[("n", "1"), ("elsewhere", &"x".repeat(5 << 20))]);
    work.git(&["config", "uploadpack.allowFilter", "true"]);
    let daemon = Daemon::git(work.parent());
    let url = format!("git://127.0.0.1:{}/repo", daemon.port);
    let mut remote = Remote::new(Settings {
        limits: gitboot::tree::Limits {
            file_bytes: 6 << 20,
            ..gitboot::tree::Limits::default()
        },
        ..settings(&url)
    })
    .unwrap();
    let mut known: Option<String> = None;
    // It is refused at the first fetch, later, and not any more.
    for (n, allowed) in ["false", "false", "true", "false"].into_iter().enumerate() {
        work.git(&["config", "uploadpackfilter.blob:limit.allow", allowed]);
        let head = work.commit(&[("n", &n.to_string())]);
        let found = check_with(&mut remote, known.as_deref()).unwrap();
        assert!(matches!(found, Check::Changed(_)), "{n}: {found:?}");
        known = Some(head);
    }
}

#[test]
fn a_daemon_that_is_away_silent_or_something_else_is_told_apart() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("git://{}/x", listener.local_addr().unwrap());
    let quick = || Settings {
        git_timeout: Duration::from_millis(400),
        ..settings(&url)
    };
    let started = Instant::now();
    let (class, message) = failure(check(quick()));
    assert_eq!(class, ErrorClass::Timeout, "{message}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let (silent, _) = listener.accept().unwrap();

    for (answer, class) in [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
            ErrorClass::Protocol,
        ),
        (b"", ErrorClass::Protocol),
    ] {
        std::thread::scope(|scope| {
            let check = scope.spawn(|| failure(check(quick())));
            let (stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut &stream, answer).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let (found, message) = check.join().unwrap();
            assert_eq!(found, class, "{message}");
        });
    }
    drop((silent, listener));
    let (class, message) = failure(check(quick()));
    assert_eq!(class, ErrorClass::Refused, "{message}");
}

#[test]
fn a_tree_of_a_daemon_is_that_of_the_folder() {
    let work = Repository::with_files(&[("a", "1"), ("sub/b", "2")]);
    let daemon = Daemon::git(work.parent());
    let url = format!("git://localhost:{}/repo/.git", daemon.port);
    assert_eq!(listing(&check(settings(url)).unwrap()), "a: 1\nsub/b: 2");
}
