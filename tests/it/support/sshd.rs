//! A real sshd on loopback, for the user who runs the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::daemon::Daemon;

/// Where Debian, Ubuntu and Fedora have it. It insists on an absolute path.
const SSHD: &str = "/usr/sbin/sshd";

/// The server with the keys of both sides.
pub(crate) struct Sshd {
    folder: TempDir,
    daemon: Daemon,
}

impl Sshd {
    /// Accepts `client_key`; `options` are further lines of its configuration.
    pub(crate) fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let host_key = keygen(&at("host"));
        fs::write(at("host.pub.known"), &host_key).unwrap();
        fs::write(at("authorized"), keygen(&at("client"))).unwrap();
        // As root it separates privileges into this folder, which packages make at boot only. Others need none.
        let _ = fs::create_dir_all("/run/sshd");
        let config = format!(
            "ListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {authorized}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nSetEnv PATH={path}\n{options}\n",
            host = at("host").display(),
            authorized = at("authorized").display(),
            path = std::env::var("PATH").unwrap(),
        );
        fs::write(at("config"), config).unwrap();
        let daemon = Daemon::start("Server listening on", |port| {
            let mut command = Command::new(SSHD);
            command
                .args(["-D", "-e", "-p", &port.to_string(), "-f"])
                .arg(at("config"));
            command
        });
        Self { folder, daemon }
    }

    /// The URL of the repository at this absolute path.
    pub(crate) fn url(&self, path: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let (port, path) = (self.daemon.port, path.display());
        format!("ssh://{}@127.0.0.1:{port}{path}", user.trim())
    }

    /// The file with the private key that is accepted.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// The line of a known hosts file for this server.
    pub(crate) fn known_host(&self) -> String {
        let key = fs::read_to_string(self.folder.path().join("host.pub.known")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.daemon.port)
    }

    /// Runs this for whoever logs in, whatever they ask for.
    pub(crate) fn force(&self, command: &str) {
        let path = self.folder.path().join("authorized");
        let key = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("command=\"{command}\" {key}")).unwrap();
    }
}

/// Makes a key pair and returns the public half, type and key only.
pub(crate) fn keygen(path: &Path) -> String {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    format!("{}\n", public.trim_end())
}
