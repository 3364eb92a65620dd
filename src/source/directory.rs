//! Files as they are on disk: what somebody has in front of them and has not committed yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gix::bstr::{BStr, BString, ByteVec as _};
use gix::index::entry::Mode;
use gix::worktree::stack::state::ignore::Source;

use super::error::{ErrorClass, SourceError, causes, printable};
use super::local::{discover, place_in_work_tree, real_folder};
use super::meter::{Meter, over_bytes};
use super::walk::path_of;
use crate::tree::{Entry, Limits, RepoPath, Revision, Tree};

/// Reads the files below `dir` as they are on disk; the revision is [`Revision::WORKTREE`].
///
/// In a git work tree these are the files that git tracks or would offer to add; a repository inside is a
/// [`Entry::Submodule`]. A `dir` that git ignores as a whole, and one outside any work tree, is read with all its files.
/// Links are never followed and `.git` is never read.
///
/// # Errors
/// Says which file cannot be read, has a name that no tree may hold, or is over a limit.
pub fn read_directory(dir: &Path, limits: &Limits) -> Result<Tree, SourceError> {
    let root = real_folder(dir)?;
    let Some(repository) = discover(&root)? else {
        return Reader::new(root, Meter::new(limits), None).read();
    };
    let is_inside_git = root.starts_with(real_folder(repository.git_dir())?);
    if repository.workdir().is_none() || is_inside_git {
        let message = format!(
            "`{}` is a bare repository or inside `.git`; name a commit with `--ref` to read one",
            printable(&dir.display().to_string())
        );
        return Err(SourceError::new(ErrorClass::NotFound, message));
    }
    let place = place_in_work_tree(&repository, &root)?;
    let place = BString::from(place.as_ref().map_or("", RepoPath::as_str));
    let broken = |error: gix::Error| {
        SourceError::caused(
            ErrorClass::Corrupt,
            "the index of git cannot be read",
            &error,
        )
    };
    let index = repository.index_or_empty().map_err(broken)?;
    let excludes = repository
        .excludes(&index, None, Source::WorktreeThenIdMappingIfNotSkipped)
        .map_err(broken)?;
    let mut rules = Rules {
        index: &index,
        excludes,
        place,
    };
    let rules = if rules.is_root_ignored()? {
        None
    } else {
        Some(rules)
    };
    Reader::new(root, Meter::new(limits), rules).read()
}

/// What git knows about the files of a work tree.
struct Rules<'a> {
    index: &'a gix::index::State,
    excludes: gix::AttributeStack<'a>,
    /// The served root below the root of the work tree, without slashes at the ends.
    place: BString,
}

/// What git makes of something on disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In the index, or would be added.
    Wanted,
    /// Ignored, but something below it is in the index.
    HoldsTracked,
    /// Ignored.
    Ignored,
    /// A commit of another repository.
    Submodule,
}

impl Rules<'_> {
    /// Whether the served root is ignored as a whole.
    fn is_root_ignored(&mut self) -> Result<bool, SourceError> {
        let place = self.place.clone();
        Ok(!place.is_empty()
            && !self.holds_tracked(place.as_ref())
            && self.is_ignored(place.as_ref(), true)?)
    }

    /// What git makes of the folder or file at `path` below the served root.
    fn standing(
        &mut self,
        path: &BStr,
        on_disk: &OnDisk,
        is_above_ignored: bool,
    ) -> Result<Standing, SourceError> {
        let mut full = self.place.clone();
        if !full.is_empty() {
            full.push_byte(b'/');
        }
        full.push_str(path);
        let full: &BStr = full.as_ref();
        let tracked = self.index.entry_index_by_path(full).ok();
        let tracked = tracked.and_then(|at| self.index.entries().get(at));
        let is_folder = on_disk.kind == Kind::Folder;
        if is_folder && tracked.is_some_and(|entry| entry.mode == Mode::COMMIT) {
            return Ok(Standing::Submodule);
        }
        if !is_folder && tracked.is_some() {
            return Ok(Standing::Wanted);
        }
        let holds_tracked = is_folder && self.holds_tracked(full);
        if is_above_ignored || self.is_ignored(full, is_folder)? {
            return Ok(if holds_tracked {
                Standing::HoldsTracked
            } else {
                Standing::Ignored
            });
        }
        if is_folder && !holds_tracked && on_disk.path.join(".git").symlink_metadata().is_ok() {
            return Ok(Standing::Submodule);
        }
        Ok(Standing::Wanted)
    }

    fn holds_tracked(&self, folder: &BStr) -> bool {
        let mut prefix = folder.to_owned();
        prefix.push_byte(b'/');
        let below = self.index.prefixed_entries_range(prefix.as_ref());
        below.is_some_and(|range| !range.is_empty())
    }

    fn is_ignored(&mut self, path: &BStr, is_folder: bool) -> Result<bool, SourceError> {
        let mode = if is_folder { Mode::DIR } else { Mode::FILE };
        self.excludes
            .at_entry(path, Some(mode))
            .map(|platform| platform.is_excluded())
            .map_err(|error| {
                let message = format!("the ignore rules of git cannot be read: {}", causes(&error));
                SourceError::new(ErrorClass::Disk, message)
            })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Symlink,
    /// A socket, a pipe or a device: git knows none of them.
    Other,
}

struct OnDisk {
    path: PathBuf,
    kind: Kind,
}

/// A folder that waits to be read.
struct Folder {
    on_disk: PathBuf,
    /// Its path below the served root; empty for the root.
    path: String,
    depth: usize,
    /// Whether it is read only for the tracked files in it.
    is_ignored: bool,
}

struct Reader<'a> {
    root: PathBuf,
    meter: Meter<'a>,
    /// `None` outside a work tree: then everything is wanted.
    rules: Option<Rules<'a>>,
    entries: BTreeMap<RepoPath, Entry>,
}

impl<'a> Reader<'a> {
    fn new(root: PathBuf, meter: Meter<'a>, rules: Option<Rules<'a>>) -> Self {
        Self {
            root,
            meter,
            rules,
            entries: BTreeMap::new(),
        }
    }

    fn read(mut self) -> Result<Tree, SourceError> {
        let mut folders = vec![Folder {
            on_disk: self.root.clone(),
            path: String::new(),
            depth: 0,
            is_ignored: false,
        }];
        while let Some(folder) = folders.pop() {
            self.read_folder(&folder, &mut folders)?;
        }
        Ok(Tree::new(Revision::new(Revision::WORKTREE), self.entries))
    }

    fn read_folder(
        &mut self,
        folder: &Folder,
        folders: &mut Vec<Folder>,
    ) -> Result<(), SourceError> {
        let unreadable =
            |error: io::Error| SourceError::disk("cannot read the folder", &folder.on_disk, &error);
        for found in fs::read_dir(&folder.on_disk).map_err(unreadable)? {
            let found = found.map_err(unreadable)?;
            let name = found.file_name();
            if name == ".git" {
                continue;
            }
            self.meter.entry()?;
            let on_disk = OnDisk {
                path: found.path(),
                kind: kind_of(found.file_type().map_err(unreadable)?),
            };
            if on_disk.kind != Kind::Other {
                self.read_entry(folder, name.as_bytes(), &on_disk, folders)?;
            }
        }
        Ok(())
    }

    fn read_entry(
        &mut self,
        folder: &Folder,
        name: &[u8],
        on_disk: &OnDisk,
        folders: &mut Vec<Folder>,
    ) -> Result<(), SourceError> {
        let standing = match &mut self.rules {
            None => Standing::Wanted,
            Some(rules) => {
                let mut path = BString::from(folder.path.as_str());
                if !path.is_empty() {
                    path.push_byte(b'/');
                }
                path.push_str(name);
                rules.standing(path.as_ref(), on_disk, folder.is_ignored)?
            }
        };
        if standing == Standing::Ignored {
            return Ok(());
        }
        let path = path_of(&folder.path, name)?;
        let entry = match (standing, on_disk.kind) {
            (Standing::Submodule, _) => Entry::Submodule,
            (_, Kind::Folder) => {
                let depth = folder.depth + 1;
                self.meter.depth(depth, path.as_str())?;
                folders.push(Folder {
                    on_disk: on_disk.path.clone(),
                    path: path.as_str().to_owned(),
                    depth,
                    is_ignored: standing == Standing::HoldsTracked,
                });
                return Ok(());
            }
            (_, Kind::Symlink) => Entry::Symlink,
            (_, Kind::File | Kind::Other) => {
                self.meter.file()?;
                Entry::File(self.read_file(&on_disk.path, &path)?)
            }
        };
        self.meter.bytes(path.as_str().len())?;
        self.entries.insert(path, entry);
        Ok(())
    }

    fn read_file(&mut self, on_disk: &Path, path: &RepoPath) -> Result<Bytes, SourceError> {
        let limit = self.meter.file_limit();
        let mut bytes = Vec::new();
        File::open(on_disk)
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|error| SourceError::disk("cannot read", on_disk, &error))?;
        if bytes.len() as u64 > limit {
            return Err(over_bytes(path.as_str(), limit));
        }
        self.meter.bytes(bytes.len())?;
        Ok(bytes.into())
    }
}

fn kind_of(kind: fs::FileType) -> Kind {
    if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Other
    }
}
