//! Which files are no manifests by their place: names that start with a dot, and what `.gitbootignore` matches.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::diagnostic::{Diagnostic, Location, document as say};
use crate::tree::{Entry, RepoPath, Tree};

use super::place::BYTE_ORDER_MARK;

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
            let text = String::from_utf8_lossy(bytes);
            let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
            for (index, line) in text.lines().enumerate() {
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
        let path = path.as_str();
        if path.split('/').any(|component| component.starts_with('.')) {
            return true;
        }
        // From the top down, as git walks: nothing below an ignored folder is looked at again, whatever says `!`.
        let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        folders
            .map(|folder| (folder, true))
            .chain([(path, false)])
            .any(|(path, is_folder)| self.names(path, is_folder))
    }

    /// Whether this very file or folder is ignored: the deepest file that says anything about it decides.
    fn names(&self, path: &str, is_folder: bool) -> bool {
        let verdicts = self.rules.iter().filter_map(|(folder, rules)| {
            let below = path.strip_prefix(folder.as_str())?;
            let verdict = rules.matched(below, is_folder);
            (!verdict.is_none()).then(|| (folder.len(), verdict.is_ignore()))
        });
        verdicts
            .max_by_key(|(depth, _)| *depth)
            .is_some_and(|(_, ignored)| ignored)
    }
}
