//! A machine that is booted once, and what is left of it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;

use crate::debian::{self, Release};
use crate::support::git::Repository;

/// The server's address in every machine's network.
pub(crate) const BASE: &str = "http://192.0.2.1:8080";

/// How long a machine may take; cloud-init waits ten seconds for each file that is missing.
const SECONDS: &str = "180";

/// What the programs would change if they were not kept in.
const WATCHED: [&str; 13] = [
    "/etc/cloud",
    "/etc/network",
    "/etc/netplan",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/systemd/system",
    "/etc/gitboot-user",
    "/etc/gitboot-ran",
    "/var/lib/cloud",
    "/var/log/cloud-init.log",
    "/run/cloud-init",
];

/// A machine before it is switched on.
pub(crate) struct Machine<'m> {
    pub(crate) release: Release,
    pub(crate) mac: &'m str,
    /// What it says of itself, as a query.
    pub(crate) query: &'m str,
    /// A command line of its own, instead of the one in its script.
    pub(crate) cmdline: Option<String>,
    /// More flags of the server.
    pub(crate) flags: &'m str,
    /// Whether the repository appears only after the server has said `not yet`.
    pub(crate) late: bool,
    /// Files for its root; scripts may be run.
    pub(crate) files: &'m [(&'m str, &'m str)],
    /// What it runs.
    pub(crate) steps: &'m [&'m str],
}

/// A machine that has been switched off.
pub(crate) struct Booted {
    work: TempDir,
    /// What its programs said.
    pub(crate) console: String,
    /// What the server said.
    pub(crate) log: String,
    /// What the kernel was started with.
    pub(crate) cmdline: String,
}

impl Machine<'_> {
    /// Serves a folder, boots, and waits until everything is over.
    pub(crate) fn boot(&self, folder: &Path) -> Booted {
        let before = watch();
        let work = tempfile::tempdir_in(debian::folder()).unwrap();
        let root = work.path().join("root");
        debian::run(
            Command::new("cp")
                .arg("-a")
                .arg(self.release.root())
                .arg(&root),
        );
        for (path, text) in self.files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            if text.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let repository = Repository::of_folder(folder);
        let name = if self.late { "repo.later" } else { "repo" };
        fs::rename(repository.path(), work.path().join(name))
            .or_else(|_| {
                // Another file system.
                debian::run(
                    Command::new("cp")
                        .arg("-a")
                        .arg(repository.path())
                        .arg(work.path().join(name)),
                );
                Ok::<(), std::io::Error>(())
            })
            .unwrap();
        fs::write(work.path().join("gitboot.args"), self.flags).unwrap();
        let steps = self.steps.join("\n") + "\n";
        fs::write(work.path().join("steps"), steps).unwrap();
        if let Some(cmdline) = &self.cmdline {
            fs::write(work.path().join("cmdline"), cmdline).unwrap();
        }
        self.run(work.path());
        assert_eq!(watch(), before, "the host has changed");
        let read = |name: &str| fs::read_to_string(work.path().join(name)).unwrap();
        Booted {
            console: read("console"),
            log: read("server.log"),
            cmdline: read("cmdline"),
            work,
        }
    }

    /// Runs `machine.sh` in new namespaces of every kind; without root, in a namespace of users, too.
    fn run(&self, work: &Path) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/machine.sh");
        let mut command = Command::new("timeout");
        command.args([
            "--kill-after=5",
            SECONDS,
            "unshare",
            "--net",
            "--mount",
            "--uts",
            "--ipc",
        ]);
        command.args(["--pid", "--fork", "--kill-child"]);
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        if !is_root {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .arg("sh")
            .arg(script)
            .arg(work)
            .args([self.mac, self.query, if self.late { "late" } else { "" }])
            .env("GITBOOT", env!("CARGO_BIN_EXE_gitboot"));
        let output = command.output().unwrap();
        let left = |name: &str| fs::read_to_string(work.join(name)).unwrap_or_default();
        assert!(
            output.status.success(),
            "{}: {}\n--- console\n{}\n--- server\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            left("console"),
            left("server.log")
        );
    }
}

impl Booted {
    /// A file of the machine; a path that begins with `/` there is without it here.
    pub(crate) fn file(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}\n{}\n{}",
                path.display(),
                self.console,
                self.log
            )
        })
    }

    /// Where a file of the machine is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.work.path().join("root").join(path)
    }

    /// Name and status of each answer about a config, in order, as the server logged them.
    pub(crate) fn configs(&self) -> Vec<(String, String)> {
        let field = |line: &str, name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}="))?;
            Some(rest.split(' ').next()?.trim_matches('"').to_owned())
        };
        let answers = self.log.lines().filter(|line| line.contains(" answered "));
        answers
            .filter(|line| field(line, "route").is_some_and(|route| route != "script"))
            .map(|line| {
                let name = field(line, "config").unwrap_or_default();
                (name, field(line, "status").unwrap())
            })
            .collect()
    }
}

/// The host's own files that these programs write elsewhere, with their times, and its name.
fn watch() -> Vec<(PathBuf, Option<SystemTime>)> {
    let mut seen = Vec::new();
    let mut paths: Vec<PathBuf> = WATCHED.iter().map(PathBuf::from).collect();
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).ok();
        if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
            // A folder that cannot be read says what it can.
            let entries = fs::read_dir(&path).into_iter().flatten();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
        seen.push((path, metadata.and_then(|metadata| metadata.modified().ok())));
    }
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    seen.push((name.into(), None));
    seen.sort();
    seen
}

/// A folder of `tests/flows/`.
pub(crate) fn flow(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/flows")
        .join(name)
}

/// What `gitboot render` prints for a machine, which is what the server sends.
pub(crate) fn render(folder: &Path, labels: &[&str], more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitboot"));
    command
        .arg("render")
        .args(["--external-url", BASE])
        .args(more);
    for label in labels {
        command.args(["--label", label]);
    }
    debian::run(command.arg(folder))
}
