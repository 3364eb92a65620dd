//! A repository, whatever serves it, and the server that follows it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use gitboot::id::ConfigId;
use gitboot::source::Settings;
use tempfile::TempDir;

use super::server::Server;
use crate::support::daemon::Daemon;
use crate::support::git::Repository;
use crate::support::http_backend::{Answer, HttpBackend, Seen};
use crate::support::pki::Authority;
use crate::support::proxy::Proxy;
use crate::support::ssh::Key;
use crate::support::sshd::Sshd;

/// What every repository holds at first; `change` makes another one of it.
pub(super) const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    echo {{ motd }}
  additionalConfig: {motd: \"change 0\\n\"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: worker, isDefault: true}
";

/// Long enough that only pokes start checks.
const NEVER: Duration = Duration::from_secs(100_000);

/// How the repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A path of this machine.
    Path,
    /// The same as a `file://` URL.
    FileUrl,
    /// `git http-backend`.
    Http,
    /// The same behind TLS, its authority known.
    Https,
    /// The same, for clients with a certificate.
    HttpsForClients,
    /// The same with a certificate that has expired.
    HttpsExpired,
    /// The same with a certificate for another name.
    HttpsElsewhere,
    /// TLS, through a proxy.
    Proxied,
    /// A real `sshd`, its host key and the client's key known.
    Ssh,
    /// A real `git daemon`.
    Daemon,
}

/// Everything that a scenario is about.
pub(super) struct World {
    pub(super) work: Repository,
    pub(super) settings: Settings,
    pub(super) interval: Duration,
    pub(super) retain: Duration,
    folder: TempDir,
    authority: Option<Authority>,
    http: Option<HttpBackend>,
    /// Where redirects lead.
    pub(super) elsewhere: Option<HttpBackend>,
    proxy: Option<Proxy>,
    sshd: Option<Sshd>,
    daemon: Option<Daemon>,
    server: Option<Server>,
    /// Another server of the same settings.
    pub(super) second: Option<Server>,
    /// The commits that the ref led to, in this order.
    pub(super) commits: Vec<String>,
    secrets: Vec<String>,
    pub(super) signer: Option<Key>,
    /// A config that a machine in the middle of its boot will ask for.
    remembered: Option<ConfigId>,
    is_mounted: bool,
}

impl World {
    /// A repository with one good commit, which nobody follows yet.
    pub(super) fn new(place: Place) -> Self {
        let work = Repository::with_files(&[("site.yaml", MANIFESTS)]);
        let commits = vec![work.head()];
        let settings = Settings::new(work.path().to_str().unwrap().parse().unwrap());
        let mut world = Self {
            work,
            settings,
            interval: NEVER,
            retain: Duration::from_mins(15),
            folder: tempfile::tempdir().unwrap(),
            authority: None,
            http: None,
            elsewhere: None,
            proxy: None,
            sshd: None,
            daemon: None,
            server: None,
            second: None,
            commits,
            secrets: Vec::new(),
            signer: None,
            remembered: None,
            is_mounted: false,
        };
        world.settings.state_dir = Some(world.state_dir());
        let url = world.open(place);
        world.settings.repo = url.parse().unwrap();
        world
    }

    /// Starts what serves the repository, sets the credentials, and returns the URL.
    fn open(&mut self, place: Place) -> String {
        let path = self.work.path().to_owned();
        match place {
            Place::Path => path.display().to_string(),
            Place::FileUrl => format!("file://{}", path.display()),
            Place::Http => {
                let server = self.http.insert(HttpBackend::new(self.work.parent()));
                server.url("repo/.git")
            }
            Place::Https => self.open_tls(|authority| authority.issue("127.0.0.1").server(None)),
            Place::HttpsExpired => {
                self.open_tls(|authority| authority.issue_expired("127.0.0.1").server(None))
            }
            Place::HttpsElsewhere => {
                self.open_tls(|authority| authority.issue("git.lab.example").server(None))
            }
            Place::HttpsForClients => {
                let url =
                    self.open_tls(|authority| authority.issue("127.0.0.1").server(Some(authority)));
                self.client_certificate();
                url
            }
            Place::Proxied => {
                let proxy = self.proxy.insert(Proxy::new(None)).url();
                self.settings.credentials.proxy = Some(proxy.parse().unwrap());
                self.open(Place::Https)
            }
            Place::Ssh => {
                let server = self.sshd.insert(Sshd::new("AcceptEnv GIT_PROTOCOL"));
                let (url, key, host) =
                    (server.url(&path), server.client_key(), server.known_host());
                fs::copy(key, self.file("key")).unwrap();
                self.write("known_hosts", &host);
                self.settings.credentials.ssh_key_file = Some(self.file("key"));
                self.settings.credentials.known_hosts_file = Some(self.file("known_hosts"));
                url
            }
            Place::Daemon => {
                let daemon = self.daemon.insert(Daemon::git(self.work.parent()));
                format!("git://127.0.0.1:{}/repo", daemon.port)
            }
        }
    }

    fn open_tls(
        &mut self,
        config: impl Fn(&Authority) -> tokio_rustls::rustls::ServerConfig,
    ) -> String {
        let authority = self.authority.insert(Authority::new("Lab CA"));
        let (config, pem) = (config(authority), authority.pem.clone());
        self.settings.credentials.ca_file = Some(self.write("ca.pem", &pem));
        let server = HttpBackend::with_tls(self.work.parent(), config);
        self.http.insert(server).url("repo/.git")
    }

    // The files of this machine.

    /// The path of a file for credentials and the like.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes something that no message may hold.
    pub(super) fn write_secret(&mut self, name: &str, secret: &str) -> PathBuf {
        self.secrets.push(secret.to_owned());
        self.write(name, &format!("{secret}\n"))
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.file("state")
    }

    /// The files and folders of the state directory whose names start like this.
    pub(super) fn in_state_dir(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state_dir()).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(prefix)
        };
        names.filter(is_it).collect()
    }

    /// The folder with the objects of the last fetches.
    pub(super) fn store(&self) -> PathBuf {
        let mut folders = self.in_state_dir("gitboot-fetch-");
        folders.retain(|path| path.is_dir());
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }

    /// The largest pack in it, writable.
    pub(super) fn pack(&self) -> PathBuf {
        let packs = fs::read_dir(self.store().join("objects/pack")).unwrap();
        let packs = packs.map(|entry| entry.unwrap().path());
        let packs = packs.filter(|path| path.extension().is_some_and(|end| end == "pack"));
        let pack = packs.max_by_key(|path| path.metadata().unwrap().len());
        let pack = pack.unwrap();
        for path in [&pack, &pack.with_extension("idx")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        pack
    }

    /// The newest tree in the state directory.
    pub(super) fn stored_tree(&self) -> PathBuf {
        let mut files = self.in_state_dir("gitboot-tree-");
        files.sort();
        files.pop().unwrap()
    }

    pub(super) fn client_certificate(&mut self) {
        let identity = self.authority.as_ref().unwrap().issue("me");
        self.write("cert.pem", &identity.certificate);
        self.write("cert.key", &identity.key);
        self.settings.credentials.client_cert_file = Some(self.file("cert.pem"));
        self.settings.credentials.client_key_file = Some(self.file("cert.key"));
    }

    pub(super) fn foreign_certificate(&mut self) {
        let identity = Authority::new("Other CA").issue("me");
        self.write("cert.pem", &identity.certificate);
        self.write("cert.key", &identity.key);
    }

    // What the repository holds.

    /// Commits files and sets the branch to them.
    pub(super) fn commit(&mut self, files: &[(&str, &str)]) {
        let commit = self.work.commit(files);
        self.commits.push(commit);
    }

    /// Commits the manifests with another text in them.
    pub(super) fn change(&mut self) {
        let text = format!("change {}", self.commits.len());
        let manifests = MANIFESTS.replace("change 0", &text);
        self.commit(&[("site.yaml", &manifests)]);
    }

    /// Commits a tree as it is, however wrong.
    pub(super) fn raw(&mut self, entries: &[(&str, &[u8], &str)]) {
        let tree = self.work.raw_tree(entries);
        let commit = self.work.commit_tree(&tree);
        self.commits.push(commit);
    }

    /// A blob with the good manifests, for a raw tree.
    pub(super) fn good_blob(&self) -> String {
        self.work.blob(MANIFESTS.as_bytes())
    }

    /// Commits the manifests with another text in them, signed at this time.
    pub(super) fn sign(&mut self, key: &Key, date: &str) {
        let text = format!("change {}", self.commits.len());
        let manifests = MANIFESTS.replace("change 0", &text);
        self.work.write(&[("site.yaml", &manifests)]);
        let commit = key.commit_at(&self.work, date);
        self.commits.push(commit);
    }

    // What the remote does.

    pub(super) fn http(&self) -> &HttpBackend {
        self.http.as_ref().unwrap()
    }

    /// Nobody listens any more.
    pub(super) fn unplug(&mut self) {
        self.http = None;
        self.sshd = None;
        self.daemon = None;
        self.proxy = None;
    }

    /// Every request gets this answer.
    pub(super) fn answers(&self, answer: Answer) {
        self.http().answer(move |_| answer.clone());
    }

    /// Requests for objects get this answer.
    pub(super) fn answers_fetches(&self, answer: Answer) {
        self.http().answer(move |seen| {
            if seen.is_fetch() {
                answer.clone()
            } else {
                Answer::Git
            }
        });
    }

    /// Every request is redirected to this address; `{}` in it is another server of the same repositories.
    pub(super) fn redirects(&mut self, location: &str) {
        let other = match &self.authority {
            None => HttpBackend::new(self.work.parent()),
            Some(authority) => {
                let config = authority.issue("127.0.0.1").server(None);
                HttpBackend::with_tls(self.work.parent(), config)
            }
        };
        let location = location.replace("{}", other.url("").trim_end_matches('/'));
        self.elsewhere = Some(other);
        self.answers(Answer::Fixed {
            status: 302,
            headers: vec![("location", location)],
            body: Bytes::new(),
        });
    }

    /// Another proxy takes the place of the one that was there.
    pub(super) fn keep(&mut self, proxy: Proxy) {
        self.proxy = Some(proxy);
    }

    pub(super) fn sshd(&self) -> &Sshd {
        self.sshd.as_ref().unwrap()
    }

    /// The remote was asked for its refs and for objects so many times since the last call.
    pub(super) fn expect_asked(&self, listings: usize, fetches: usize) {
        let seen = self.http().take_seen();
        let is_listing =
            |seen: &&Seen| seen.body.windows(15).any(|part| part == b"command=ls-refs");
        let asked = (
            seen.iter().filter(is_listing).count(),
            seen.iter().filter(|seen| seen.is_fetch()).count(),
        );
        assert_eq!(asked, (listings, fetches), "listings and fetches");
    }

    // The server.

    pub(super) fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("it was started")
    }

    /// A server of these settings that has not ended its first check.
    pub(super) fn begin(&self) -> Server {
        let server = Server::start(&self.settings, self.interval, self.retain, &self.secrets);
        server.unwrap_or_else(|error| panic!("it does not start: {error}"))
    }

    pub(super) fn start(&mut self) {
        let server = self.begin();
        self.server.insert(server).first_check();
    }

    /// Ends the server as soon as what it serves is stored.
    pub(super) fn stop(&mut self) {
        let server = self.server.take().expect("it was started");
        server.wait_until_stored();
    }

    /// Goes on with a server that was begun.
    pub(super) fn install(&mut self, server: Server) {
        self.server = Some(server);
    }

    /// A machine boots, and will ask for the config that its script names.
    pub(super) fn remember_configs(&mut self) {
        self.remembered = Some(self.server().config());
    }

    /// The machine gets its config, or does not.
    pub(super) fn expect_remembered(&mut self, expected: bool) {
        let id = self.remembered.unwrap();
        assert_eq!(
            self.server().knows(id),
            expected,
            "the config of the boot in flight"
        );
    }

    /// Mounts the state directory.
    pub(super) fn mount(&mut self, args: &[&str]) {
        let mut command = Command::new("mount");
        let status = command.args(args).arg(self.state_dir()).status();
        assert!(status.unwrap().success());
        self.is_mounted = true;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        (self.server, self.second) = (None, None);
        if self.is_mounted {
            // A program that another test starts may hold our files open until it runs.
            let mut command = Command::new("umount");
            let status = command.arg("--lazy").arg(self.state_dir()).status();
            assert!(std::thread::panicking() || status.is_ok_and(|status| status.success()));
        }
    }
}

/// Makes a file shorter by half.
pub(super) fn truncate(path: &Path) {
    let half = path.metadata().unwrap().len() / 2;
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(half).unwrap();
}

/// Changes every seventh byte of a file.
pub(super) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for byte in bytes.iter_mut().skip(3).step_by(7) {
        *byte ^= 0x40;
    }
    fs::write(path, bytes).unwrap();
}
