//! A site's repository, changed as people change it: by `git push`.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::report::Report;
use crate::stage::Stage;
use crate::support::git::Repository;

/// A bare repository and a clone to push from.
pub(crate) struct Site {
    bare: TempDir,
    clone: Repository,
    report: Report,
}

impl Site {
    /// A repository with these files pushed.
    pub(crate) fn new(report: &Report, files: &[(&str, &str)]) -> Self {
        let site = Self {
            bare: tempfile::tempdir().unwrap(),
            clone: Repository::new(),
            report: report.clone(),
        };
        site.create();
        site.push(files);
        site
    }

    /// A repository that is not there until [`Site::create`] makes it.
    pub(crate) fn absent(report: &Report) -> Self {
        Self {
            bare: tempfile::tempdir().unwrap(),
            clone: Repository::new(),
            report: report.clone(),
        }
    }

    /// Makes the bare repository.
    pub(crate) fn create(&self) {
        let name = self.path().display().to_string();
        let arguments = ["init", "-q", "--bare", "-b", "main", name.as_str()];
        crate::support::git::run(self.bare.path(), &arguments);
    }

    /// The folder of the bare repository.
    pub(crate) fn path(&self) -> PathBuf {
        self.bare.path().join("site.git")
    }

    /// Commits these files and pushes. Returns the commit's short id, as the log has it.
    pub(crate) fn push(&self, files: &[(&str, &str)]) -> String {
        let revision = self.clone.commit(files);
        self.clone.push(&self.path(), "main");
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let short = revision[..7].to_owned();
        self.report
            .saw("git", &format!("push {short}: {}", names.join(", ")));
        short
    }

    /// Copies a folder of files into the next commit.
    pub(crate) fn add_folder(&self, from: &Path) {
        copy(from, self.clone.path());
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A Profile that boots Linux from the stage's mirror with this config.
pub(crate) fn linux(stage: &Stage, name: &str, config: &str) -> String {
    let mirror = stage.mirror();
    format!(
        "apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: {name}}}
spec:
  ipxe: |
    #!ipxe
    echo script: this is {name}
    kernel {mirror}/vmlinuz initrd=main console=ttyS0 quiet panic=-1 BOOTIF=01-${{mac:hexhyp}} config={{{{ config }}}}
    initrd --name main {mirror}/initrd
    boot
  additionalConfig:
    config: {{inline: {config:?}, template: false}}
"
    )
}

/// A Profile whose script is these lines.
pub(crate) fn script(name: &str, lines: &str) -> String {
    let lines = lines.replace('\n', "\n    ");
    format!(
        "apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: {name}}}
spec:
  ipxe: |
    #!ipxe
    {lines}
"
    )
}

/// An Assignment of a Profile to what this line selects.
pub(crate) fn assignment(profile: &str, who: &str) -> String {
    format!(
        "apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: who-gets-{profile}}}
spec:
  profile: {profile}
  {who}
"
    )
}

/// What `sha256sum` prints of these bytes.
pub(crate) fn digest(bytes: &str) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
