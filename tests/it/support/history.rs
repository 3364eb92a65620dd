//! Many commits at once, written as one stream for `git fast-import`, which makes thousands of them a second.

use std::io::Write as _;
use std::path::Path;

use super::git;

/// A commit in a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(usize);

/// Commits that are still to be made.
#[derive(Default)]
pub(crate) struct History {
    stream: Vec<u8>,
    commits: usize,
}

impl History {
    /// Adds a commit that changes these files; `None` removes one. Without a parent it is the first of its line.
    pub(crate) fn commit<'a>(
        &mut self,
        parent: Option<Mark>,
        changes: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> Mark {
        self.commits += 1;
        let number = self.commits;
        let out = &mut self.stream;
        // A ref that nothing was committed to yet, so that the next commit has no parent but the one it names.
        write!(out, "reset refs/imported\n\ncommit refs/imported\n").unwrap();
        writeln!(out, "mark :{number}").unwrap();
        let time = 1_704_164_645 + number;
        writeln!(
            out,
            "committer Cem Committer <cem@example.com> {time} +0000"
        )
        .unwrap();
        write!(out, "data 7\nchange\n\n").unwrap();
        if let Some(Mark(parent)) = parent {
            writeln!(out, "from :{parent}").unwrap();
        }
        for (path, bytes) in changes {
            let Some(bytes) = bytes else {
                writeln!(out, "D {path}").unwrap();
                continue;
            };
            write!(out, "M 100644 inline {path}\ndata {}\n", bytes.len()).unwrap();
            out.extend_from_slice(bytes);
            out.push(b'\n');
        }
        Mark(number)
    }

    /// Makes the commits in a bare repository.
    pub(crate) fn import(self, repository: &Path) -> Imported {
        let arguments = ["fast-import", "--quiet", "--export-marks=marks"];
        git::run_with_input(repository, &arguments, &self.stream);
        let marks = std::fs::read_to_string(repository.join("marks")).unwrap();
        let mut ids = vec![String::new(); self.commits];
        for line in marks.lines() {
            let (mark, id) = line.split_once(' ').unwrap();
            let number: usize = mark.trim_start_matches(':').parse().unwrap();
            id.clone_into(&mut ids[number - 1]);
        }
        Imported { ids }
    }
}

/// The commits of a history, made.
pub(crate) struct Imported {
    ids: Vec<String>,
}

impl Imported {
    /// The id of a commit.
    pub(crate) fn id(&self, mark: Mark) -> &str {
        &self.ids[mark.0 - 1]
    }
}
