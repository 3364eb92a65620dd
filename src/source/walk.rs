//! From a commit in an object database to a `Tree`: a bounded walk that trusts nothing.
//!
//! Git's own traversal passes names like `..` and `.git` on and follows a tree that contains itself a million times.
//! This walk has its own stack, checks each name and asks for an object's size before its bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gix::ObjectId;
use gix::objs::{CommitRefIter, Find, FindHeader, Kind, TreeRefIter};

use super::error::{ErrorClass, SourceError, printable};
use super::meter::{Meter, over_bytes};
use crate::tree::{Entry, Limits, RepoPath, Revision, Tree};

/// The largest commit object in bytes; a message with a long signature stays far below.
const MAX_COMMIT_BYTES: u64 = 4 << 20;
/// The largest tree object (one folder) in bytes: about 200,000 entries with long names.
const MAX_FOLDER_BYTES: u64 = 16 << 20;

/// Objects to read from.
pub(super) trait Objects: Find + FindHeader {}
impl<T: Find + FindHeader> Objects for T {}

/// Reads the files of `commit` below `path`.
pub(super) fn read_commit(
    objects: &impl Objects,
    commit: ObjectId,
    path: Option<&RepoPath>,
    limits: &Limits,
    interrupt: &AtomicBool,
) -> Result<Tree, SourceError> {
    let revision = Revision::new(&commit.to_string());
    let mut walk = Walk {
        objects,
        meter: Meter::new(limits),
        interrupt,
        entries: BTreeMap::new(),
        blobs: HashMap::new(),
        buffer: Vec::new(),
    };
    match walk.run(commit, path) {
        Ok(()) => Ok(Tree::new(revision, walk.entries)),
        Err(error) => Err(error.of(&revision)),
    }
}

/// A folder that waits to be read.
struct Folder {
    id: ObjectId,
    /// Its path below the served root, without a trailing slash; empty for the root.
    path: String,
    /// How many folders stand above its files.
    depth: usize,
}

struct Walk<'a, O> {
    objects: &'a O,
    meter: Meter<'a>,
    interrupt: &'a AtomicBool,
    entries: BTreeMap<RepoPath, Entry>,
    /// The files read so far, so that copies share their bytes.
    blobs: HashMap<ObjectId, Bytes>,
    /// Used again for each file.
    buffer: Vec<u8>,
}

impl<O: Objects> Walk<'_, O> {
    fn run(&mut self, commit: ObjectId, path: Option<&RepoPath>) -> Result<(), SourceError> {
        let root = self.tree_of(commit)?;
        let root = match path {
            Some(path) => self.descend(root, path)?,
            None => root,
        };
        let mut folders = vec![Folder {
            id: root,
            path: String::new(),
            depth: 0,
        }];
        while let Some(folder) = folders.pop() {
            self.read_folder(&folder, &mut folders)?;
        }
        Ok(())
    }

    fn tree_of(&self, commit: ObjectId) -> Result<ObjectId, SourceError> {
        let header = self.objects.try_header(&commit).ok().flatten();
        if let Some(header) = header.filter(|header| header.kind != Kind::Commit) {
            let message = format!(
                "`{commit}`, to which `--ref` leads, is a {}, not a commit",
                header.kind
            );
            return Err(SourceError::new(ErrorClass::RefNotFound, message));
        }
        let mut buffer = Vec::new();
        let bytes = self.load(
            commit,
            Kind::Commit,
            MAX_COMMIT_BYTES,
            "the commit",
            &mut buffer,
        )?;
        CommitRefIter::from_bytes(bytes, commit.kind())
            .tree_id()
            .map_err(|error| {
                SourceError::caused(ErrorClass::Corrupt, "the commit cannot be read", &error)
            })
    }

    /// The folder at `path` below the folder `id`.
    fn descend(&self, id: ObjectId, path: &RepoPath) -> Result<ObjectId, SourceError> {
        let mut id = id;
        let mut buffer = Vec::new();
        for component in path.as_str().split('/') {
            let bytes = self.load(id, Kind::Tree, MAX_FOLDER_BYTES, path.as_str(), &mut buffer)?;
            let mut found = None;
            for entry in TreeRefIter::from_bytes(bytes, id.kind()) {
                let entry = entry.map_err(|error| damaged(path.as_str(), &error))?;
                if entry.filename == component.as_bytes() && entry.mode.is_tree() {
                    found = Some(entry.oid.to_owned());
                    break;
                }
            }
            id = found.ok_or_else(|| SourceError::path_missing(path))?;
        }
        Ok(id)
    }

    fn read_folder(
        &mut self,
        folder: &Folder,
        folders: &mut Vec<Folder>,
    ) -> Result<(), SourceError> {
        let shown = if folder.path.is_empty() {
            "/"
        } else {
            &folder.path
        };
        let mut buffer = Vec::new();
        let bytes = self.load(folder.id, Kind::Tree, MAX_FOLDER_BYTES, shown, &mut buffer)?;
        let mut names = BTreeSet::new();
        for entry in TreeRefIter::from_bytes(bytes, folder.id.kind()) {
            let entry = entry.map_err(|error| damaged(shown, &error))?;
            self.meter.entry()?;
            let path = path_of(&folder.path, entry.filename)?;
            if !names.insert(entry.filename) {
                let message = format!("`{path}` stands twice in its folder");
                return Err(SourceError::new(ErrorClass::Content, message));
            }
            let id = entry.oid.to_owned();
            if entry.mode.is_tree() {
                self.push_folder(folders, folder, id, &path)?;
                continue;
            }
            let found = if entry.mode.is_blob() {
                Entry::File(self.read_file(id, &path)?)
            } else if entry.mode.is_link() {
                Entry::Symlink
            } else {
                Entry::Submodule
            };
            self.meter.bytes(path.as_str().len())?;
            self.entries.insert(path, found);
        }
        Ok(())
    }

    fn push_folder(
        &self,
        folders: &mut Vec<Folder>,
        above: &Folder,
        id: ObjectId,
        path: &RepoPath,
    ) -> Result<(), SourceError> {
        let depth = above.depth + 1;
        self.meter.depth(depth, path.as_str())?;
        folders.push(Folder {
            id,
            path: path.as_str().to_owned(),
            depth,
        });
        Ok(())
    }

    fn read_file(&mut self, id: ObjectId, path: &RepoPath) -> Result<Bytes, SourceError> {
        self.meter.file()?;
        let bytes = if let Some(bytes) = self.blobs.get(&id) {
            bytes.clone()
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            let bytes = self
                .load(
                    id,
                    Kind::Blob,
                    self.meter.file_limit(),
                    path.as_str(),
                    &mut buffer,
                )
                .map(Bytes::copy_from_slice)?;
            self.buffer = buffer;
            self.blobs.insert(id, bytes.clone());
            bytes
        };
        self.meter.bytes(bytes.len())?;
        Ok(bytes)
    }

    /// The bytes of an object, if it is of this kind and no larger than `limit`.
    fn load<'b>(
        &self,
        id: ObjectId,
        kind: Kind,
        limit: u64,
        what: &str,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], SourceError> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(SourceError::interrupted());
        }
        let header = self
            .objects
            .try_header(&id)
            .map_err(|error| damaged(what, &error))?
            .ok_or_else(|| missing(what, id))?;
        if header.kind != kind {
            let what = printable(what);
            let message = format!(
                "the object `{id}` of `{what}` is a {}, not a {kind}",
                header.kind
            );
            return Err(SourceError::new(ErrorClass::Corrupt, message));
        }
        if header.size > limit {
            return Err(over_bytes(what, limit));
        }
        let found = self
            .objects
            .try_find(&id, buffer)
            .map_err(|error| damaged(what, &error))?
            .ok_or_else(|| missing(what, id))?;
        Ok(found.data)
    }
}

/// The path of something that somebody named `name` in this folder.
pub(super) fn path_of(folder: &str, name: &[u8]) -> Result<RepoPath, SourceError> {
    let refuse = |name: &str, why: &str| {
        let shown = printable(&join(folder, name));
        SourceError::new(
            ErrorClass::Content,
            format!("the path `{shown}` is refused: {why}"),
        )
    };
    let Ok(text) = std::str::from_utf8(name) else {
        return Err(refuse(&String::from_utf8_lossy(name), "it is not UTF-8"));
    };
    if text.contains('/') {
        return Err(refuse(text, "a name holds a slash"));
    }
    RepoPath::parse(&join(folder, text)).map_err(|error| refuse(text, &error.to_string()))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn damaged(what: &str, error: &gix::Error) -> SourceError {
    let what = format!("`{}` cannot be read from the object store", printable(what));
    SourceError::caused(ErrorClass::Corrupt, &what, error)
}

fn missing(what: &str, id: ObjectId) -> SourceError {
    let message = format!(
        "the object `{id}` of `{}` is missing from the object store",
        printable(what)
    );
    SourceError::new(ErrorClass::Corrupt, message)
}
