//! A repository with one file for each machine.

use std::path::PathBuf;

use super::support::git::Repository;
use super::support::history::{History, Imported, Mark};

/// How many machines share a folder.
const FOLDER_SIZE: usize = 1000;

const PROFILE: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  ipxe: |
    #!ipxe
    kernel {{ values.mirror }}/vmlinuz initrd=main ip={{ values.ip }} ignition.config.url={{ ignition }}
    initrd --name main {{ values.mirror }}/initrd.img
    boot
  additionalConfig:
    ignition: {file: worker.ign}
  values: {mirror: \"http://mirror.lab.example/flatcar\"}
";

const IGNITION: &str = r#"{
  "ignition": {"version": "3.4.0"},
  "storage": {"files": [{"path": "/etc/hostname", "contents": {"source": "data:,{{ values.hostname }}"}}]}
}
"#;

/// The repository on the server's side, with commits that are not on the branch yet.
pub(crate) struct Fleet {
    pub(crate) repository: Repository,
    commits: Vec<Mark>,
    imported: Imported,
    /// The number of commits that were pushed.
    pushed: usize,
}

impl Fleet {
    /// A branch `main` with so many files, and so many commits to push that change one file each.
    pub(crate) fn new(files: usize, pushes: usize) -> Self {
        let repository = Repository::bare();
        let mut history = History::default();
        // Two files belong to the Profile.
        let machines = files.saturating_sub(2).max(1);
        let texts: Vec<(String, String)> =
            (0..machines).map(|n| (path(n), machine(n, 0))).collect();
        let profile = [
            ("profiles/worker.yaml", PROFILE),
            ("profiles/worker.ign", IGNITION),
        ];
        let texts = texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        let all = profile.into_iter().chain(texts);
        let mut last = history.commit(None, all.map(|(path, text)| (path, Some(text.as_bytes()))));
        let mut commits = vec![last];
        for push in 1..=pushes {
            // Far apart, so that no push finds what the one before has warmed up.
            let number = push * 7919 % machines;
            let (path, text) = (path(number), machine(number, push));
            last = history.commit(Some(last), [(path.as_str(), Some(text.as_bytes()))]);
            commits.push(last);
        }
        let imported = history.import(repository.path());
        // As the housekeeping of a git host leaves it.
        repository.set_ref("refs/heads/all", imported.id(last));
        repository.git(&["repack", "-a", "-d", "-q"]);
        let mut fleet = Self {
            repository,
            commits,
            imported,
            pushed: 0,
        };
        fleet.push();
        fleet
    }

    /// Moves the branch to the next commit and returns its id.
    pub(crate) fn push(&mut self) -> String {
        self.pushed += 1;
        let id = self.head().to_owned();
        self.repository.set_ref("refs/heads/main", &id);
        id
    }

    /// The commit of the branch.
    pub(crate) fn head(&self) -> &str {
        self.imported.id(self.commits[self.pushed - 1])
    }

    /// The folder that a server serves.
    pub(crate) fn root(&self) -> PathBuf {
        self.repository.parent().to_owned()
    }
}

fn path(number: usize) -> String {
    format!("machines/{:03}/m{number:06}.yaml", number / FOLDER_SIZE)
}

fn machine(number: usize, version: usize) -> String {
    let [.., a, b, c] = number.to_be_bytes();
    format!(
        "apiVersion: gitboot.dev/v1alpha1\n\
         kind: Assignment\n\
         metadata: {{name: m{number:06}}}\n\
         spec:\n  \
           profile: worker\n  \
           machines:\n    \
             - {{name: m{number:06}, mac: \"52:54:00:{a:02x}:{b:02x}:{c:02x}\"}}\n  \
           values: {{ip: 10.{a}.{b}.{c}, hostname: m{number:06}-{version}}}\n"
    )
}
