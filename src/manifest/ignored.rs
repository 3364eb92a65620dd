//! Which files are no manifests by their place: names that start with a dot, and what `.gitbootignore` matches.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::diagnostic::{Diagnostic, Location, document as say};
use crate::tree::{Entry, RepoPath, Tree};

const FILE_NAME: &str = ".gitbootignore";

/// The `.gitbootignore` files of a tree; each rules its own folder, as `.gitignore` does.
pub(super) struct Ignored {
    rules: Vec<(String, Gitignore)>,
}

impl Ignored {
    pub(super) fn new(tree: &Tree, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut rules = Vec::new();
        for (path, entry) in tree
            .iter()
            .filter(|(path, _)| path.file_name() == FILE_NAME)
        {
            let Entry::File(bytes) = entry else { continue };
            let folder = path.as_str().strip_suffix(FILE_NAME).unwrap_or("");
            let mut builder = GitignoreBuilder::new("");
            for (index, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
                if let Err(error) = builder.add_line(None, line) {
                    let at = Location {
                        line: index + 1,
                        excerpt: line.to_owned(),
                        ..Location::of_file(path)
                    };
                    diagnostics.push(say::bad_ignore_pattern(at, &error.to_string()));
                }
            }
            if let Ok(matcher) = builder.build() {
                rules.push((folder.to_owned(), matcher));
            }
        }
        Self { rules }
    }

    pub(super) fn contains(&self, path: &RepoPath) -> bool {
        if path
            .as_str()
            .split('/')
            .any(|component| component.starts_with('.'))
        {
            return true;
        }
        // The deepest file that says anything decides, as in git.
        let deepest_first = self.rules.iter().rev().filter_map(|(folder, rules)| {
            let below = path.as_str().strip_prefix(folder.as_str())?;
            let verdict = rules.matched_path_or_any_parents(below, false);
            (!verdict.is_none()).then(|| (folder.len(), verdict.is_ignore()))
        });
        deepest_first
            .max_by_key(|(depth, _)| *depth)
            .is_some_and(|(_, ignored)| ignored)
    }
}
