//! A server that follows thousands of commits takes no more of the machine at the end than at the beginning.
//!
//! The test runs a short history; `cargo bench --bench store` runs a long one through the same function.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::git::Repository;
use crate::support::history::{History, Mark};
use crate::support::http_backend::HttpBackend;
use crate::support::process::Process;

/// Machines, with a file each.
const MACHINES: usize = 50;
/// Files that are no manifests and hold something else in each commit that changes them.
const EXTRAS: usize = 20;
/// The bytes of such a file; they do not shrink on the wire.
const EXTRA_BYTES: usize = 4 << 10;
/// How many commits are refused: one in so many.
const REFUSED: usize = 25;
/// How many commits are force pushes: one in so many.
const FORCED: usize = 40;
/// How many commits a force push goes back, every other time; otherwise it has no history at all.
const BACK: usize = 30;
/// How many packs the store may ever hold: a generation of them ends after as many fetches.
const MAX_PACKS: u64 = 64;

/// What a server takes of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) open_files: u64,
    pub(crate) threads: u64,
    pub(crate) packs: u64,
    /// Files in the state directory.
    pub(crate) files: u64,
    /// Bytes in the state directory.
    pub(crate) bytes: u64,
    /// Bytes of memory.
    pub(crate) memory: u64,
}

impl Load {
    /// How much more than in the first part of the run a server may take in the last one: for a connection or a file
    /// that is just being closed, for as many superseded trees as a restart may need, of which a quick stretch leaves
    /// more than a slow one, and for what an allocator makes of small differences.
    const ALLOWANCE: Self = Self {
        open_files: 3,
        threads: 3,
        packs: 0,
        files: 9,
        bytes: 2 << 20,
        memory: 8 << 20,
    };

    fn of(server: &Process, state: &Path) -> Self {
        let mut load = Self {
            open_files: fs::read_dir(format!("/proc/{}/fd", server.id()))
                .unwrap()
                .count() as u64,
            threads: fs::read_dir(format!("/proc/{}/task", server.id()))
                .unwrap()
                .count() as u64,
            memory: server.memory("VmRSS"),
            ..Self::default()
        };
        load.add_folder(state);
        load
    }

    fn add_folder(&mut self, folder: &Path) {
        // What is removed meanwhile is not there.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                self.add_folder(&entry.path());
                continue;
            }
            self.files += 1;
            self.bytes += found.len();
            self.packs += u64::from(
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "pack"),
            );
        }
    }

    fn figures(self) -> [(&'static str, u64); 6] {
        let Self {
            open_files,
            threads,
            packs,
            files,
            bytes,
            memory,
        } = self;
        [
            ("open files", open_files),
            ("threads", threads),
            ("packs", packs),
            ("files on disk", files),
            ("bytes on disk", bytes),
            ("bytes of memory", memory),
        ]
    }

    fn max(self, other: Self) -> Self {
        Self {
            open_files: self.open_files.max(other.open_files),
            threads: self.threads.max(other.threads),
            packs: self.packs.max(other.packs),
            files: self.files.max(other.files),
            bytes: self.bytes.max(other.bytes),
            memory: self.memory.max(other.memory),
        }
    }
}

/// What a run has shown: the most that the server took in each of its three parts.
pub(crate) struct Endured {
    pub(crate) parts: [Load; 3],
    pub(crate) time: Duration,
}

impl Endured {
    /// Ensures that nothing grows.
    pub(crate) fn assert_flat(&self) {
        let [first, _, last] = self.parts;
        let figures = first
            .figures()
            .into_iter()
            .zip(last.figures())
            .zip(Load::ALLOWANCE.figures());
        for (((name, first), (_, last)), (_, allowance)) in figures {
            assert!(
                last <= first + allowance,
                "{name}: {first} at first, {last} at last"
            );
        }
        assert!(last.packs <= MAX_PACKS, "{} packs", last.packs);
    }
}

impl std::fmt::Display for Endured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "at most in the      first, second and last third of {:.0} s",
            self.time.as_secs_f64()
        )?;
        let [first, second, last] = self.parts.map(Load::figures);
        for ((one, two), three) in first.iter().zip(&second).zip(&last) {
            writeln!(
                f,
                "{:<16} {:>12} {:>12} {:>12}",
                one.0, one.1, two.1, three.1
            )?;
        }
        Ok(())
    }
}

/// Lets a server follow so many commits, one by one.
pub(crate) fn run(commits: usize) -> Endured {
    let repository = Repository::bare();
    let revisions = revisions(repository.path(), commits);
    let backend = HttpBackend::new(repository.parent());
    let state = repository.parent().join("state");
    // What is kept for boots in flight has to come to its end within the first part, too.
    let args = [
        "serve",
        &format!("--repo={}", backend.url("repo.git")),
        &format!("--state-dir={}", state.display()),
        "--listen=127.0.0.1:0",
        "--interval=1h",
        "--retain=1s",
    ];
    let started = Instant::now();
    let mut parts = [Load::default(); 3];
    let mut server = None;
    for (number, (revision, is_good)) in revisions.iter().enumerate() {
        move_branch(repository.path(), revision);
        let server = if let Some(server) = &mut server {
            Process::signal(server, "HUP");
            server
        } else {
            server.insert(Process::start(&args, &[]))
        };
        let line = server.line_with(&format!("revision=\"{revision}\""));
        let outcome = if *is_good { "published" } else { "refused" };
        assert!(line.contains(outcome), "commit {number}: {line}");
        // Requests are for faults, of which there are none here.
        backend.take_seen();
        let part = &mut parts[number * 3 / revisions.len()];
        *part = part.max(Load::of(server, &state));
    }
    Endured {
        parts,
        time: started.elapsed(),
    }
}

/// Sets the branch as `git update-ref` does, without starting it.
fn move_branch(repository: &Path, revision: &str) {
    let branch = repository.join("refs/heads/main");
    let unfinished = repository.join("main.new");
    fs::write(&unfinished, format!("{revision}\n")).unwrap();
    fs::rename(unfinished, branch).unwrap();
}

/// Makes commits in a bare repository, and says which of them are good.
fn revisions(repository: &Path, commits: usize) -> Vec<(String, bool)> {
    let mut history = History::default();
    let mut marks: Vec<(Mark, bool)> = Vec::new();
    for number in 0..commits {
        let last = number.checked_sub(1);
        let parent = if number % FORCED != 0 {
            last
        } else if (number / FORCED).is_multiple_of(2) {
            None
        } else {
            number.checked_sub(BACK)
        };
        let is_good = number % REFUSED != REFUSED - 1;
        let mut changes = vec![
            machine(number % MACHINES, number),
            // The next commit mends it.
            (
                "wrong.yaml".to_owned(),
                if is_good {
                    b"# nothing\n".to_vec()
                } else {
                    b"kind: Wrong\n".to_vec()
                },
            ),
            (format!("extra/{}", number % EXTRAS), noise(number)),
        ];
        if parent.is_none() {
            changes.push(("profile.yaml".to_owned(), PROFILE.into()));
            changes.extend((0..EXTRAS).map(|extra| (format!("extra/{extra}"), noise(extra))));
            changes.extend((0..MACHINES).map(|machine_number| machine(machine_number, number)));
        }
        let changes = changes
            .iter()
            .map(|(path, bytes)| (path.as_str(), Some(bytes.as_slice())));
        let parent = parent.map(|parent| marks[parent].0);
        marks.push((history.commit(parent, changes), is_good));
    }
    let imported = history.import(repository);
    let ids = marks
        .into_iter()
        .map(|(mark, is_good)| (imported.id(mark).to_owned(), is_good));
    ids.collect()
}

const PROFILE: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel vmlinuz version={{ values.version }} seed={{ seed }} extra={{ extra }}
    boot
  additionalConfig:
    seed: 'version {{ values.version }}'
    extra: {file: extra/7, template: false}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: anybody}
spec: {profile: worker, isDefault: true, values: {version: 0}}
";

fn machine(number: usize, version: usize) -> (String, Vec<u8>) {
    let text = format!(
        "apiVersion: gitboot.dev/v1alpha1\n\
         kind: Assignment\n\
         metadata: {{name: m{number}}}\n\
         spec:\n  \
           profile: worker\n  \
           machines: [{{mac: \"52:54:00:00:00:{number:02x}\"}}]\n  \
           values: {{version: {version}}}\n"
    );
    (format!("machines/m{number}.yaml"), text.into_bytes())
}

/// Bytes that do not shrink, other ones for each seed.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut bytes = Vec::with_capacity(EXTRA_BYTES);
    while bytes.len() < EXTRA_BYTES {
        // Knuth's generator; its high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes()[..4]);
    }
    bytes
}

#[test]
fn hundreds_of_commits_leave_disk_files_and_memory_as_they_were() {
    // A part has to be longer than a generation of the store.
    let endured = run(3 * 70);
    eprintln!("{endured}");
    endured.assert_flat();
}
