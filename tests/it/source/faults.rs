//! Remotes that are away, slow, broken or something else than git.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gitboot::source::{Check, ErrorClass, Remote, Settings};

use super::http::World;
use super::{check, check_with, failure, listing, settings};
use crate::support::http_backend::{Answer, HttpBackend, Seen};

/// Far longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

fn fixed(status: u16, content_type: &str, body: &'static str) -> Answer {
    Answer::Fixed {
        status,
        headers: vec![("content-type", content_type.to_owned())],
        body: Bytes::from_static(body.as_bytes()),
    }
}

#[test]
fn an_unreachable_port_is_refused() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let error = check(settings(url)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    assert!(error.is_transient());
}

#[test]
fn a_remote_that_does_not_speak_tls_is_told_apart() {
    let world = World::with_files(&[("n", "1")]);
    let (class, message) = failure(check(settings(world.url().replace("http:", "https:"))));
    assert_eq!(class, ErrorClass::Tls, "{message}");
    assert_eq!(world.server.take_seen().len(), 0);
}

#[test]
fn answers_that_are_not_git_are_told_apart() {
    let world = World::with_files(&[("n", "1")]);
    for (answer, class) in [
        (
            fixed(200, "text/html; charset=utf-8", "<h1>Login</h1>"),
            ErrorClass::Protocol,
        ),
        (
            fixed(200, "application/x-git-upload-pack-advertisement", "junk"),
            ErrorClass::Protocol,
        ),
        (
            fixed(200, "application/x-git-upload-pack-advertisement", ""),
            ErrorClass::Protocol,
        ),
        (fixed(401, "text/plain", ""), ErrorClass::Auth),
        (fixed(403, "text/plain", ""), ErrorClass::Auth),
        (fixed(404, "text/plain", ""), ErrorClass::NotFound),
        (fixed(410, "text/plain", ""), ErrorClass::NotFound),
        (fixed(429, "text/plain", ""), ErrorClass::Server),
        (fixed(503, "text/plain", ""), ErrorClass::Server),
        (fixed(418, "text/plain", ""), ErrorClass::Protocol),
        (fixed(302, "text/plain", ""), ErrorClass::Protocol),
    ] {
        // Whether the first answer is wrong or only that with the objects.
        for only_fetch in [false, true] {
            let answer = answer.clone();
            world.server.answer(move |seen| {
                if only_fetch && !seen.is_fetch() {
                    Answer::Git
                } else {
                    answer.clone()
                }
            });
            let (found, message) = failure(check(world.settings()));
            assert_eq!(found, class, "{message}");
        }
    }
    let message = "the remote answers with `text/html; charset=utf-8`, not with git's smart protocol; \
                   check the repository URL";
    world
        .server
        .answer(|_| fixed(200, "text/html; charset=utf-8", ""));
    assert_eq!(
        failure(check(world.settings())),
        (ErrorClass::Protocol, message.to_owned())
    );
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn what_does_not_speak_http_is_a_failure_and_not_a_panic() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
    });
    let error = check(settings(url)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Protocol, "{error}");
    server.join().unwrap();
}

#[test]
fn a_damaged_pack_is_corrupt_and_the_next_fetch_heals() {
    let world = World::with_files(&[("n", &"some text\n".repeat(500))]);
    world.server.answer(|seen| {
        if seen.is_fetch() {
            Answer::Damaged(150)
        } else {
            Answer::Git
        }
    });
    let mut remote = Remote::new(world.settings()).unwrap();
    let error = check_with(&mut remote, None).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt, "{error}");
    assert_eq!(world.left_behind(), Vec::<String>::new());
    world.server.answer(|_| Answer::Git);
    assert!(matches!(
        check_with(&mut remote, None).unwrap(),
        Check::Changed(_)
    ));
}

#[test]
fn a_silent_remote_is_given_up_after_the_git_timeout() {
    let world = World::with_files(&[("n", "1")]);
    let started = Instant::now();
    for length in [0, 100] {
        for only_fetch in [false, true] {
            world.server.answer(move |seen| {
                if only_fetch && !seen.is_fetch() {
                    Answer::Git
                } else {
                    Answer::Stall(length)
                }
            });
            let (class, message) = failure(check(Settings {
                git_timeout: Duration::from_millis(500),
                ..world.settings()
            }));
            assert_eq!(class, ErrorClass::Timeout, "{message}");
        }
    }
    assert!(started.elapsed() < LONG);
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_dripping_remote_is_given_up_after_each_timeout() {
    let world = World::with_files(&[("n", &"0123456789abcdef".repeat(2000))]);
    let started = Instant::now();
    world
        .server
        .answer(|_| Answer::Drip(Duration::from_millis(50)));
    let quick = Settings {
        git_timeout: Duration::from_millis(700),
        ..world.settings()
    };
    let found = failure(check(quick.clone()));
    let expected = "the remote did not finish within `--git-timeout`".to_owned();
    assert_eq!(found, (ErrorClass::Timeout, expected));

    world.server.answer(|seen| {
        if seen.is_fetch() {
            Answer::Drip(Duration::from_millis(50))
        } else {
            Answer::Git
        }
    });
    let found = failure(check(Settings {
        git_timeout: Duration::from_secs(2),
        ..quick.clone()
    }));
    let expected = "the remote sent less than 10 kB/s for as long as `--git-timeout`".to_owned();
    assert_eq!(found, (ErrorClass::Timeout, expected));

    let found = failure(check(Settings {
        fetch_timeout: Duration::from_secs(1),
        ..world.settings()
    }));
    let expected = "the remote did not finish within `--fetch-timeout`".to_owned();
    assert_eq!(found, (ErrorClass::Timeout, expected));
    assert!(started.elapsed() < LONG);
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn a_waiting_check_is_interrupted() {
    let world = World::with_files(&[("n", "1")]);
    world.server.answer(|seen| {
        if seen.is_fetch() {
            Answer::Stall(10)
        } else {
            Answer::Git
        }
    });
    let mut remote = Remote::new(world.settings()).unwrap();
    let interrupt = AtomicBool::new(false);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let check = scope.spawn(|| remote.check(None, &interrupt));
        while !world.server.take_seen().iter().any(Seen::is_fetch) {
            assert!(started.elapsed() < LONG);
            std::thread::yield_now();
        }
        interrupt.store(true, Ordering::Relaxed);
        let error = check.join().unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Interrupted);
    });
    assert!(started.elapsed() < LONG);
}

#[test]
fn a_redirect_to_the_same_repository_is_followed_and_no_other() {
    let world = World::with_files(&[("n", "1")]);
    let other = HttpBackend::new(world.work.parent());
    let location = format!("{}/info/refs?service=git-upload-pack", world.url());
    for (location, is_followed) in [
        (location.as_str(), true),
        ("http://127.0.0.1:1/login", false),
        ("file:///etc/passwd?service=git-upload-pack", false),
        ("/moved/info/refs?service=git-upload-pack", false),
    ] {
        let location = location.to_owned();
        other.answer(move |_| Answer::Fixed {
            status: 301,
            headers: vec![("location", location.clone())],
            body: Bytes::new(),
        });
        let result = check(settings(other.url("moved")));
        if is_followed {
            assert_eq!(listing(&result.unwrap()), "n: 1");
        } else {
            assert_eq!(failure(result).0, ErrorClass::Protocol);
        }
    }
}
