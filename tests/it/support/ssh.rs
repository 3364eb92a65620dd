//! Keys and signatures made with the real ssh-keygen.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::git::{self, Repository};

/// A key pair in a folder of somebody else.
pub(crate) struct Key {
    path: PathBuf,
    public: String,
}

impl Key {
    /// Makes a key; `kind` is what `-t` takes, with the bits after a colon.
    pub(crate) fn new(folder: &Path, name: &str, kind: &str) -> Self {
        let path = folder.join(name);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-C", name, "-f"]).arg(&path);
        match kind.split_once(':') {
            Some((kind, bits)) => command.args(["-t", kind, "-b", bits]),
            None => command.args(["-t", kind]),
        };
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
        let public = fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap();
        Self {
            path,
            public: public.trim_end().to_owned(),
        }
    }

    /// The type and the key, as on a line of allowed signers.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// Commits everything in the work tree, signed. Returns the id.
    pub(crate) fn commit(&self, repository: &Repository, arguments: &[&str]) -> String {
        let key = format!("user.signingKey={}", self.path.display());
        let mut all = vec!["-c", "gpg.format=ssh", "-c", &key];
        all.extend(["-c", "i18n.commitEncoding=UTF-8", "commit", "-q", "-S"]);
        all.extend(["--allow-empty", "-m", "signed"]);
        all.extend(arguments);
        repository.git(&["add", "-A"]);
        repository.git(&all);
        repository.head()
    }

    /// The same, with this as the time of the committer.
    pub(crate) fn commit_at(&self, repository: &Repository, date: &str) -> String {
        let key = format!("user.signingKey={}", self.path.display());
        repository.git(&["add", "-A"]);
        let mut command = git::command(repository.path());
        command
            .env("GIT_COMMITTER_DATE", date)
            .args(["-c", "gpg.format=ssh", "-c", &key, "commit", "-q", "-S"])
            .args(["--allow-empty", "-m", date]);
        assert!(command.status().unwrap().success());
        repository.head()
    }

    /// Signs bytes in a namespace: the text of the signature.
    pub(crate) fn sign(&self, namespace: &str, bytes: &[u8]) -> String {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]);
        let (is_good, out) = run(command.arg(&self.path), bytes);
        assert!(is_good, "{out}");
        out
    }
}

/// Runs a program with bytes on its standard input: whether it ended well, and its standard output.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> (bool, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), text)
}
