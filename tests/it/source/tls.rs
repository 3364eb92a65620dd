//! Repositories behind TLS: whom we trust, who we are, and who gets to know it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use gitboot::source::{Check, Credentials, ErrorClass, Remote, Settings};
use tokio_rustls::rustls::ServerConfig;

use super::{check, check_with, failure, listing, settings};
use crate::support::git::Repository;
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::pki::Authority;
use crate::support::process::Process;

/// `ann:s3cret` and `ann:n3w` as basic authentication has them.
const BASIC: &str = "Basic YW5uOnMzY3JldA==";
const BASIC_NEW: &str = "Basic YW5uOm4zdw==";

/// A repository with one file behind a TLS server, and a folder for credentials.
struct World {
    work: Repository,
    authority: Authority,
    server: HttpBackend,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(|authority| authority.issue("127.0.0.1").server(None))
    }

    fn with(config: impl Fn(&Authority) -> ServerConfig) -> Self {
        let work = Repository::with_files(&[("n", "1")]);
        let authority = Authority::new("Lab CA");
        let server = HttpBackend::with_tls(work.parent(), config(&authority));
        Self {
            work,
            authority,
            server,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Trusts the authority and says nothing about us.
    fn trusting(&self) -> Credentials {
        Credentials {
            ca_file: Some(self.file("ca.pem", &self.authority.pem)),
            ..Credentials::default()
        }
    }

    fn settings(&self, credentials: Credentials) -> Settings {
        Settings {
            credentials,
            state_dir: Some(self.folder.path().join("state")),
            ..settings(self.server.url("repo/.git"))
        }
    }

    fn failure(&self, credentials: Credentials) -> (ErrorClass, String) {
        failure(check(self.settings(credentials)))
    }
}

fn assert_says(found: &(ErrorClass, String), class: ErrorClass, part: &str) {
    assert_eq!(found.0, class, "{}", found.1);
    assert!(found.1.contains(part), "{}", found.1);
}

#[test]
fn only_a_known_authority_is_trusted() {
    let world = World::new();
    let trusting = world.trusting();
    assert_eq!(
        listing(&check(world.settings(trusting.clone())).unwrap()),
        "n: 1"
    );
    let unknown = "the remote's certificate is from an authority that is not trusted; name the certificate of the \
                   authority with `--git-ca-file`";
    assert_says(
        &world.failure(Credentials::default()),
        ErrorClass::Tls,
        unknown,
    );

    let mut remote = Remote::new(world.settings(trusting)).unwrap();
    for (text, problem) in [
        (Authority::new("Other CA").pem.as_str(), unknown),
        ("not PEM", "(`ca.pem`) holds no certificate in PEM"),
        ("", "holds no certificate in PEM"),
    ] {
        let path = world.file("ca.pem", text);
        let error = check_with(&mut remote, None).unwrap_err();
        let message = error.to_string().replace(path.to_str().unwrap(), "ca.pem");
        assert_says(&(error.class(), message), ErrorClass::Tls, problem);
    }
    fs::remove_file(world.folder.path().join("ca.pem")).unwrap();
    let error = check_with(&mut remote, None).unwrap_err();
    assert_says(
        &(error.class(), error.to_string()),
        ErrorClass::Tls,
        "No such file",
    );
    world.trusting();
    assert!(matches!(
        check_with(&mut remote, None).unwrap(),
        Check::Changed(_)
    ));
}

#[test]
fn certificates_of_another_time_or_name_are_told_apart() {
    let expired = World::with(|authority| authority.issue_expired("127.0.0.1").server(None));
    let found = expired.failure(expired.trusting());
    assert_says(
        &found,
        ErrorClass::Tls,
        "the remote's certificate has expired",
    );
    let elsewhere = World::with(|authority| authority.issue("git.lab.example").server(None));
    let found = elsewhere.failure(elsewhere.trusting());
    let other = "the remote's certificate is for another name than that in the repository URL";
    assert_says(&found, ErrorClass::Tls, other);
}

#[test]
fn a_password_is_read_again_at_every_attempt() {
    let world = World::new();
    world.server.want(BASIC);
    let path = world.file("password", "wrong-s3cret\n");
    let credentials = Credentials {
        username: Some("ann".to_owned()),
        password_file: Some(path.clone()),
        ..world.trusting()
    };
    let mut remote = Remote::new(world.settings(credentials)).unwrap();
    let denied = format!(
        "the remote denies access (401) to the user of `--git-username` with the password of `--git-password-file` \
         (`{}`)",
        path.display()
    );
    let error = check_with(&mut remote, None).unwrap_err();
    assert_eq!(
        (error.class(), error.to_string()),
        (ErrorClass::Auth, denied.clone())
    );
    assert!(!format!("{error:?} {remote:?}").contains("s3cret"));

    world.file("password", "s3cret\n");
    assert!(matches!(
        check_with(&mut remote, None).unwrap(),
        Check::Changed(_)
    ));
    let head = world.work.head();
    world.server.want(BASIC_NEW);
    let error = check_with(&mut remote, Some(&head)).unwrap_err();
    assert_eq!(error.to_string(), denied);
    fs::remove_file(&path).unwrap();
    world.server.take_seen();
    let error = check_with(&mut remote, Some(&head)).unwrap_err();
    let missing = format!(
        "the password of `--git-password-file` (`{}`) cannot be read: No such file or directory (os error 2)",
        path.display()
    );
    assert_eq!(
        (error.class(), error.to_string()),
        (ErrorClass::Auth, missing)
    );
    assert_eq!(world.server.take_seen().len(), 0);
    world.file("password", "n3w");
    assert!(matches!(
        check_with(&mut remote, Some(&head)).unwrap(),
        Check::Unchanged(_)
    ));
    // It is sent without being asked for.
    let seen = world.server.take_seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.authorization() == Some(BASIC_NEW))
    );
}

#[test]
fn a_token_is_sent_as_it_is_and_its_absence_is_named() {
    let world = World::new();
    world.server.want("Bearer t0ken.a-b_c~d+e/f=");
    let path = world.file("token", "t0ken.a-b_c~d+e/f=\r\n");
    let credentials = Credentials {
        bearer_token_file: Some(path.clone()),
        ..world.trusting()
    };
    let tree = check(world.settings(credentials.clone())).unwrap();
    assert_eq!(listing(&tree), "n: 1");
    world.file("token", "0ther");
    let found = world.failure(credentials);
    let denied = format!(
        "with the token of `--git-bearer-token-file` (`{}`)",
        path.display()
    );
    assert_says(&found, ErrorClass::Auth, &denied);
    assert!(!found.1.contains("0ther"), "{}", found.1);
    let found = world.failure(world.trusting());
    let wanted = "the remote wants credentials (401): give `--git-username` and `--git-password-file`, or \
                  `--git-bearer-token-file`";
    assert_says(&found, ErrorClass::Auth, wanted);
}

#[test]
fn a_client_certificate_is_shown_and_can_be_rotated() {
    let world = World::with(|authority| authority.issue("127.0.0.1").server(Some(authority)));
    let found = world.failure(world.trusting());
    let wanted = "the remote wants a client certificate, or another one";
    assert_says(&found, ErrorClass::Auth, wanted);

    let stranger = Authority::new("Other CA").issue("me");
    let credentials = Credentials {
        client_cert_file: Some(world.file("cert.pem", &stranger.certificate)),
        client_key_file: Some(world.file("key.pem", &stranger.key)),
        ..world.trusting()
    };
    let mut remote = Remote::new(world.settings(credentials)).unwrap();
    let error = check_with(&mut remote, None).unwrap_err();
    assert_says(
        &(error.class(), error.to_string()),
        ErrorClass::Auth,
        wanted,
    );
    world.file("key.pem", "s3cret");
    let error = check_with(&mut remote, None).unwrap_err();
    let unusable =
        "and the key of `--git-client-key-file` are not a certificate and its private key in PEM";
    assert_says(
        &(error.class(), error.to_string()),
        ErrorClass::Auth,
        unusable,
    );
    assert!(!format!("{error:?} {remote:?}").contains("s3cret"));
    let ours = world.authority.issue("me");
    world.file("cert.pem", &ours.certificate);
    world.file("key.pem", &ours.key);
    assert!(matches!(
        check_with(&mut remote, None).unwrap(),
        Check::Changed(_)
    ));
}

#[test]
fn a_redirect_to_another_host_gets_no_credentials() {
    let world = World::new();
    let identity = world.authority.issue("127.0.0.1");
    let other = HttpBackend::with_tls(world.work.parent(), identity.server(None));
    let location = other.url("repo/.git/info/refs?service=git-upload-pack");
    world.server.answer(move |_| Answer::Fixed {
        status: 302,
        headers: vec![("location", location.clone())],
        body: Bytes::new(),
    });
    let credentials = Credentials {
        username: Some("ann".to_owned()),
        password_file: Some(world.file("password", "s3cret")),
        ..world.trusting()
    };
    let tree = check(world.settings(credentials.clone())).unwrap();
    assert_eq!(listing(&tree), "n: 1");
    assert_eq!(world.server.take_seen()[0].authorization(), Some(BASIC));
    let seen = other.take_seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.authorization().is_none()));

    other.want(BASIC);
    let found = world.failure(credentials);
    let elsewhere = "the remote redirects to another host, which wants credentials (401)";
    assert_says(&found, ErrorClass::Auth, elsewhere);
    assert!(
        other
            .take_seen()
            .iter()
            .all(|seen| seen.authorization().is_none())
    );
}

#[test]
fn a_redirect_to_another_host_is_not_shown_the_client_certificate() {
    let world = World::with(|authority| authority.issue("127.0.0.1").server(Some(authority)));
    let identity = world.authority.issue("127.0.0.1");
    let config = identity.server(Some(&world.authority));
    let other = HttpBackend::with_tls(world.work.parent(), config);
    let location = other.url("repo/.git/info/refs?service=git-upload-pack");
    world.server.answer(move |_| Answer::Fixed {
        status: 302,
        headers: vec![("location", location.clone())],
        body: Bytes::new(),
    });
    let ours = world.authority.issue("me");
    let found = world.failure(Credentials {
        client_cert_file: Some(world.file("cert.pem", &ours.certificate)),
        client_key_file: Some(world.file("key.pem", &ours.key)),
        ..world.trusting()
    });
    assert_eq!(found.0, ErrorClass::Auth, "{}", found.1);
    assert_eq!(world.server.take_seen().len(), 1);
    assert_eq!(other.take_seen().len(), 0);
}

#[test]
fn flags_and_variables_bring_credentials_and_no_secret_is_logged() {
    let world = World::new();
    world.server.want(BASIC);
    let url = world.server.url("repo/.git");
    let ca = world.file("ca.pem", &world.authority.pem);
    let password = world.file("password", "s3cret\n");
    let vars = [
        ("GITBOOT_REPO", url.as_str()),
        ("GITBOOT_STATE_DIR", "none"),
        ("GITBOOT_LISTEN", "127.0.0.1:0"),
        ("GITBOOT_LOG_LEVEL", "trace"),
        ("GITBOOT_GIT_USERNAME", "ann"),
        ("GITBOOT_GIT_CA_FILE", ca.to_str().unwrap()),
        ("GITBOOT_GIT_PASSWORD_FILE", password.to_str().unwrap()),
    ];
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let mut process = Process::start(&["serve"], &vars);
    process.line_with("everybody on this machine can read the password of `--git-password-file`");
    // The repository holds a file that is no manifest, which is as far as a check can get.
    process.line_with("refused");
    process.signal("INT");
    let ended = process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    for secret in ["s3cret", "YW5uOnMzY3JldA"] {
        assert!(!ended.log.contains(secret), "{}", ended.log);
    }

    let plain = url.replace("https:", "http:");
    let token = ["--git-bearer-token-file", password.to_str().unwrap()];
    let refused = ["validate", "--repo", plain.as_str(), token[0], token[1]];
    let ended = Process::start(&refused, &[]).end();
    let message =
        "error: `--git-bearer-token-file` is for https: credentials are never sent over plain http";
    assert_eq!((ended.code, ended.log.as_str()), (Some(64), message));
}
