//! The `source` room against real git: what a repository says is what the tree holds, and nothing it says does harm.

mod directory;
mod faults;
mod git_daemon;
mod http;
mod kept;
mod large;
mod local;
mod proxy;
mod security_key;
mod seed;
mod signature;
mod ssh;
mod tls;
mod walk;

use std::sync::atomic::AtomicBool;

use gitboot::source::{Check, ErrorClass, Remote, Settings, SourceError};
use gitboot::tree::{Entry, RepoPath, Revision, Tree};

/// The settings for a repository at this place.
fn settings(place: impl AsRef<std::ffi::OsStr>) -> Settings {
    Settings::new(place.as_ref().to_str().unwrap().parse().unwrap())
}

fn settings_at(place: impl AsRef<std::ffi::OsStr>, reference: &str) -> Settings {
    Settings {
        reference: Some(reference.to_owned()),
        ..settings(place)
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

/// One check from scratch.
fn check(settings: Settings) -> Result<Tree, SourceError> {
    match check_with(&mut Remote::new(settings)?, None)? {
        Check::Changed(tree) => Ok(tree),
        Check::Moved(tree) => panic!("nothing is known, yet {} is the same", tree.revision()),
        Check::Unchanged(revision) => panic!("unchanged {revision}"),
    }
}

fn check_with(remote: &mut Remote, known: Option<&str>) -> Result<Check, SourceError> {
    remote.check(known.map(Revision::new).as_ref(), &AtomicBool::new(false))
}

/// The tree as text, an entry a line.
fn listing(tree: &Tree) -> String {
    let line = |(path, entry): (&RepoPath, &Entry)| match entry {
        Entry::File(bytes) => format!("{path}: {}", String::from_utf8_lossy(bytes)),
        Entry::Symlink => format!("{path}: a symlink"),
        Entry::Submodule => format!("{path}: a submodule"),
    };
    tree.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Class and message of a failure.
fn failure(result: Result<Tree, SourceError>) -> (ErrorClass, String) {
    let error = result.map(|tree| listing(&tree)).unwrap_err();
    (error.class(), error.to_string())
}
