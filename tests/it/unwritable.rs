//! A state directory that is of no use: one line of the log, and everything else goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;

use crate::support::fixture::GOOD;
use crate::support::git::Repository;
use crate::support::http::{DEADLINE, get};
use crate::support::http_backend::{Answer, HttpBackend};
use crate::support::process::Process;

/// Somebody who owns nothing.
const NOBODY: u32 = 65534;
const SAID: &str = "cannot be written, so a restart needs the repository: ";

struct Site {
    repo: Repository,
    server: HttpBackend,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let (_, manifests) = GOOD.split_once('\n').unwrap();
        let repo = Repository::with_files(&[("site.yaml", manifests)]);
        let server = HttpBackend::new(repo.parent());
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self {
            repo,
            server,
            folder,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server; as `NOBODY` where that is wanted and these tests are root's. `None` where the program stands in a
    /// folder into which nobody else may look, so that there is nothing to be tested.
    fn start(&self, state: &Path, as_nobody: bool) -> Option<Process> {
        let state = format!("--state-dir={}", state.display());
        let repo = format!("--repo={}", self.server.url("repo/.git"));
        let args = [
            "serve",
            &repo,
            &state,
            "--listen=127.0.0.1:0",
            "--interval=1h",
        ];
        if as_nobody && is_root() {
            return Process::start_as(NOBODY, &args);
        }
        Some(Process::start(&args, &[]))
    }

    /// The server follows the repository, and says once that the folder is of no use.
    fn follows(&self, mut server: Process) {
        let address = server.address();
        let line = server.line_with(SAID);
        assert!(line.contains(" WARN the state directory `"), "{line}");
        server.line_with("published");
        assert_eq!(get(address, "/ipxe?serial=x").status, 200);
        self.repo.commit(&[("more.yaml", "# more\n")]);
        server.signal("HUP");
        server.line_with(&format!("revision {} published", &self.repo.head()[..7]));
        assert_eq!(get(address, "/ready").status, 200);
        server.signal("INT");
        let ended = server.end();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(ended.log.matches(" WARN ").count(), 1, "{}", ended.log);
    }
}

fn files(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Waits until a tree is stored.
fn stored(state: &Path) {
    let is_tree = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("gitboot-tree-") && !name.contains("tmp")
    };
    let until = Instant::now() + DEADLINE;
    while !files(state).iter().any(is_tree) {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
}

/// Whether the process that owns this test is root, who may do everything.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_folder_that_cannot_be_made_is_done_without() {
    let site = Site::new();
    fs::write(site.at("file"), "").unwrap();
    for place in [
        site.at("file"),
        site.at("file/state"),
        "/proc/nope/state".into(),
    ] {
        site.follows(site.start(&place, false).unwrap());
    }
    assert_eq!(fs::read(site.at("file")).unwrap(), b"");
}

#[test]
fn a_folder_of_somebody_else_is_done_without() {
    let site = Site::new();
    let state = site.at("state");
    fs::create_dir(&state).unwrap();
    // Nobody may even look into it.
    fs::set_permissions(&state, Permissions::from_mode(0o000)).unwrap();
    if let Some(server) = site.start(&state, true) {
        site.follows(server);
    }
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[test]
fn what_a_folder_holds_is_served_although_it_cannot_be_written() {
    let site = Site::new();
    let state = site.at("state");
    let mut server = site.start(&state, false).unwrap();
    server.line_with("published");
    stored(&state);
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));
    if is_root() {
        for file in files(&state) {
            chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    fs::set_permissions(&state, Permissions::from_mode(0o555)).unwrap();
    site.server.answer(|_| Answer::Fixed {
        status: 503,
        headers: Vec::new(),
        body: Bytes::new(),
    });
    if let Some(mut server) = site.start(&state, true) {
        let address = server.address();
        server.line_with(SAID);
        server.line_with("published from the state directory");
        server.line_with("the repository cannot be read");
        assert_eq!(get(address, "/ipxe?serial=x").status, 200);
        site.server.answer(|_| Answer::Git);
        site.repo.commit(&[("more.yaml", "# more\n")]);
        server.signal("HUP");
        server.line_with(&format!("revision {} published", &site.repo.head()[..7]));
    }
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_folder_that_goes_away_while_the_server_runs_is_made_again() {
    let site = Site::new();
    let state = site.at("state");
    let mut server = site.start(&state, false).unwrap();
    let address = server.address();
    server.line_with("published");
    stored(&state);
    fs::rename(&state, site.at("elsewhere")).unwrap();
    fs::write(&state, "a file").unwrap();
    site.repo.commit(&[("more.yaml", "# more\n")]);
    server.signal("HUP");
    server.line_with(&format!("revision {} published", &site.repo.head()[..7]));
    server.line_with(SAID);
    fs::remove_file(&state).unwrap();
    site.repo.commit(&[("more.yaml", "# even more\n")]);
    server.signal("HUP");
    server.line_with(&format!("revision {} published", &site.repo.head()[..7]));
    server.line_with("the state directory can be written again");
    assert_eq!(get(address, "/ipxe?serial=x").status, 200);
}
