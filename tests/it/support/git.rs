//! Repositories made with the real git, in folders that clean up after themselves.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A git command with nothing of this machine in it: no configuration, no prompt, fixed names and dates.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_AUTHOR_NAME", "Ann Author")
        .env("GIT_AUTHOR_EMAIL", "ann@example.com")
        .env("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z")
        .env("GIT_COMMITTER_NAME", "Cem Committer")
        .env("GIT_COMMITTER_EMAIL", "cem@example.com")
        .env("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z")
        // The tests may run as another user than the one who owns the folders.
        .args(["-c", "safe.directory=*", "-c", "protocol.file.allow=always"]);
    command
}

/// Text of so many bytes that does not shrink much.
pub(crate) fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut text = String::new();
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{state:016x}").expect("a string takes everything");
    }
    text.truncate(bytes);
    text
}

/// Runs git and returns what it prints, without the last newline.
pub(crate) fn run<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> String {
    run_with_input(folder, arguments, b"")
}

/// Runs git with bytes on its standard input.
pub(crate) fn run_with_input<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: &[S],
    input: &[u8],
) -> String {
    let mut child = command(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let shown: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    assert!(
        output.status.success(),
        "git {shown:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// A repository in a temporary folder.
pub(crate) struct Repository {
    folder: TempDir,
    path: PathBuf,
}

impl Repository {
    /// An empty repository with a work tree, on the branch `main`.
    pub(crate) fn new() -> Self {
        Self::init(&["init", "-q", "-b", "main", "repo"], "repo")
    }

    /// An empty bare repository, whose `HEAD` is `main`.
    pub(crate) fn bare() -> Self {
        Self::init(
            &["init", "-q", "--bare", "-b", "main", "repo.git"],
            "repo.git",
        )
    }

    fn init(arguments: &[&str], name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), arguments);
        let path = folder.path().join(name);
        Self { folder, path }
    }

    /// A repository with a work tree and one commit of these files.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        repository.commit(files);
        repository
    }

    /// A repository with a work tree and one commit of everything in a folder.
    pub(crate) fn of_folder(folder: &Path) -> Self {
        let repository = Self::new();
        repository.take(folder);
        repository.commit(&[]);
        repository
    }

    /// Copies everything in a folder into the work tree.
    pub(crate) fn take(&self, folder: &Path) {
        copy(folder, &self.path);
    }

    /// The folder of the repository: the work tree, or the bare repository itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder around the repository, for whatever else a test needs.
    pub(crate) fn parent(&self) -> &Path {
        self.folder.path()
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&self.path, arguments)
    }

    /// Writes files into the work tree.
    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.path.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Writes files and commits everything in the work tree. Returns the id of the commit.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        self.write(files);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "change"]);
        self.head()
    }

    /// The commit of `HEAD`.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Sets a ref.
    pub(crate) fn set_ref(&self, name: &str, target: &str) {
        self.git(&["update-ref", name, target]);
    }

    /// Pushes a refspec to another repository, with force.
    pub(crate) fn push(&self, to: &Path, refspec: &str) {
        self.git(&["push", "-q", "--force", &to.display().to_string(), refspec]);
    }

    /// Stores bytes as a blob and returns its id.
    pub(crate) fn blob(&self, bytes: &[u8]) -> String {
        run_with_input(&self.path, &["hash-object", "-w", "--stdin"], bytes)
    }

    /// Stores a tree of `(mode, name, id)` as it is, however wrong, and returns its id.
    pub(crate) fn raw_tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            for at in (0..id.len()).step_by(2) {
                bytes.push(u8::from_str_radix(&id[at..at + 2], 16).unwrap());
            }
        }
        let arguments = ["hash-object", "-t", "tree", "--literally", "-w", "--stdin"];
        run_with_input(&self.path, &arguments, &bytes)
    }

    /// Commits a tree on `main` and returns the commit's id.
    pub(crate) fn commit_tree(&self, tree: &str) -> String {
        let commit = self.git(&["commit-tree", "-m", "raw", tree]);
        self.set_ref("refs/heads/main", &commit);
        commit
    }
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
