//! From a commit in an object database to a `Tree`: a bounded walk that trusts nothing.
//!
//! Git's own traversal passes names like `..` and `.git` on and follows a tree that contains itself a million times.
//! This walk has its own stack, checks each name and asks for an object's size before its bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gix::ObjectId;
use gix::objs::{CommitRefIter, Find, FindHeader, Kind, TreeRefIter};

use super::error::{ErrorClass, SourceError, printable};
use super::memo::Memo;
use super::meter::{Meter, over_bytes};
use super::signature::{self, Verified};
use crate::observe;
use crate::tree::{Commit, Entry, Limits, RepoPath, Revision, Tree};

/// The largest commit object in bytes; a message with a long signature stays far below.
const MAX_COMMIT_BYTES: u64 = 4 << 20;
/// The largest tree object (one folder) in bytes: about 200,000 entries with long names.
const MAX_FOLDER_BYTES: u64 = 16 << 20;

/// Objects to read from.
pub(super) trait Objects: Find + FindHeader {}
impl<T: Find + FindHeader> Objects for T {}

/// What of a commit is read, and whether.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The folder that is read; `None` means the root.
    pub(super) path: Option<&'a RepoPath>,
    /// How much the tree may hold.
    pub(super) limits: &'a Limits,
    /// Whether a commit without the folder at `path` is an empty tree and not an error.
    pub(super) allow_empty: bool,
    /// Whether a file that is not there is one that was left out for its size.
    pub(super) lacks_large_files: bool,
    /// The list of those of whom one must have signed the commit; `None` when nobody must.
    pub(super) allowed_signers: Option<&'a Path>,
}

/// What a walk brought.
#[derive(Debug)]
pub(super) enum Walked {
    /// The files are those of the memo; only the commit is another.
    Same(Tree),
    /// There is something new.
    New(Memo),
}

/// Reads the files of `commit`.
pub(super) fn read_commit(
    objects: &impl Objects,
    commit: ObjectId,
    scope: &Scope<'_>,
    interrupt: &AtomicBool,
) -> Result<Tree, SourceError> {
    match read_change(objects, commit, scope, None, interrupt)? {
        Walked::Same(tree) | Walked::New(Memo { tree, .. }) => Ok(tree),
    }
}

/// Reads the files of `commit`, but what `memo` has already: folders and files with the same ids are
/// shared with it. The outcome is that of a walk without a memo, as far as that one was bound by the same limits.
pub(super) fn read_change(
    objects: &impl Objects,
    commit: ObjectId,
    scope: &Scope<'_>,
    memo: Option<&Memo>,
    interrupt: &AtomicBool,
) -> Result<Walked, SourceError> {
    let revision = Revision::new(&commit.to_string());
    let mut walk = Walk {
        objects,
        checks_ids: scope.allowed_signers.is_some(),
        lacks_large_files: scope.lacks_large_files,
        meter: Meter::new(scope.limits),
        interrupt,
        memo,
        entries: BTreeMap::new(),
        ids: BTreeMap::new(),
        blobs: HashMap::new(),
        buffer: Vec::new(),
    };
    match walk.run(commit, scope) {
        Ok((root, commit)) => Ok(match memo.filter(|memo| memo.root == root) {
            Some(memo) => Walked::Same(memo.tree.with_revision(revision).with_commit(commit)),
            None => Walked::New(Memo {
                tree: Tree::new(revision, walk.entries).with_commit(commit),
                root,
                ids: walk.ids,
            }),
        }),
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
    /// Whether objects are compared with their ids, which is all that binds files to a signature: what was fetched has
    /// been, but a repository of this machine may hold anything.
    checks_ids: bool,
    /// See [`Scope`].
    lacks_large_files: bool,
    meter: Meter<'a>,
    interrupt: &'a AtomicBool,
    memo: Option<&'a Memo>,
    entries: BTreeMap<RepoPath, Entry>,
    /// The folders and files seen so far.
    ids: BTreeMap<RepoPath, ObjectId>,
    /// The files read so far, so that copies share their bytes.
    blobs: HashMap<ObjectId, Bytes>,
    /// Used again for each file.
    buffer: Vec<u8>,
}

impl<O: Objects> Walk<'_, O> {
    /// The folder that is served and what is known of the commit, which is admitted even when the folder is that of the
    /// memo.
    fn run(
        &mut self,
        commit: ObjectId,
        scope: &Scope<'_>,
    ) -> Result<(ObjectId, Commit), SourceError> {
        let (root, mut commit) = self.commit(commit)?;
        if let Some(list) = scope.allowed_signers {
            let _stage = observe::stage("verify");
            let Verified { principal, time } = signature::admit(list, &commit.raw)?;
            commit.principal = Some(principal);
            // Where the signature stands is not signed; the time is taken from what is.
            commit.time = time;
        }
        let root = match scope.path.map(|path| self.descend(root, path)) {
            Some(Err(error)) if scope.allow_empty && error.class() == ErrorClass::PathMissing => {
                return Ok((ObjectId::empty_tree(root.kind()), commit));
            }
            Some(found) => found?,
            None => root,
        };
        if self.memo.is_some_and(|memo| memo.root == root) {
            return Ok((root, commit));
        }
        let mut folders = vec![Folder {
            id: root,
            path: String::new(),
            depth: 0,
        }];
        while let Some(folder) = folders.pop() {
            self.read_folder(&folder, &mut folders)?;
        }
        Ok((root, commit))
    }

    /// The root folder of a commit, and what else is known of it.
    fn commit(&self, commit: ObjectId) -> Result<(ObjectId, Commit), SourceError> {
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
        let headers = || CommitRefIter::from_bytes(bytes, commit.kind());
        let root = headers().tree_id().map_err(|error| {
            SourceError::caused(ErrorClass::Corrupt, "the commit cannot be read", &error)
        })?;
        let first_parent = headers().parent_ids().next();
        let commit = Commit {
            time: headers().committer().map_or(0, |who| who.seconds()),
            first_parent: first_parent.map(|id| Revision::new(&id.to_string())),
            principal: None,
            raw: Bytes::copy_from_slice(bytes),
        };
        Ok((root, commit))
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
                match self.memo.filter(|memo| memo.has(&path, id)) {
                    Some(memo) => self.share_folder(memo, &path)?,
                    None => self.push_folder(folders, folder, id, &path)?,
                }
                self.ids.insert(path, id);
                continue;
            }
            let found = if entry.mode.is_blob() {
                self.ids.insert(path.clone(), id);
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

    /// Takes a folder that is what it was from the memo; it counts as if it had been read.
    fn share_folder(&mut self, memo: &Memo, path: &RepoPath) -> Result<(), SourceError> {
        for (path, id) in memo.ids_below(path) {
            if memo.tree.get(path).is_none() {
                self.meter.entry()?;
            }
            self.ids.insert(path.clone(), *id);
        }
        for (path, entry) in memo.entries_below(path) {
            self.meter.entry()?;
            if let Entry::File(bytes) = entry {
                self.meter.file()?;
                self.meter.bytes(bytes.len())?;
            }
            self.meter.bytes(path.as_str().len())?;
            self.entries.insert(path.clone(), entry.clone());
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
        let known = self.memo.and_then(|memo| memo.file(path, id));
        let bytes = if let Some(bytes) = known.or_else(|| self.blobs.get(&id)) {
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
            .ok_or_else(|| match kind {
                Kind::Blob if self.lacks_large_files => over_bytes(what, limit),
                _ => missing(what, id),
            })?;
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
        let is_right = || {
            let computed = gix::objs::compute_hash(id.kind(), kind, found.data);
            computed.is_ok_and(|computed| computed == id)
        };
        if self.checks_ids && !is_right() {
            let message = format!(
                "the object `{id}` of `{}` is not what its id says",
                printable(what)
            );
            return Err(SourceError::new(ErrorClass::Corrupt, message));
        }
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

#[cfg(test)]
mod tests {
    use gix::objs::{Data, Header};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A commit whose root folder has these bytes.
    struct Memory(HashMap<ObjectId, (Kind, Vec<u8>)>);

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes_or_panic(&[byte; 20])
    }

    impl Memory {
        fn of_root(root: Vec<u8>) -> Self {
            let person = "A <a@example.com> 0 +0000";
            let commit = format!("tree {}\nauthor {person}\ncommitter {person}\n\nx", id(1));
            Self(HashMap::from([
                (id(0), (Kind::Commit, commit.into_bytes())),
                (id(1), (Kind::Tree, root)),
                (id(2), (Kind::Blob, b"text".to_vec())),
            ]))
        }

        fn read(&self) -> Result<Tree, SourceError> {
            read_commit(
                self,
                id(0),
                &Scope {
                    path: None,
                    limits: &Limits::default(),
                    allow_empty: false,
                    lacks_large_files: false,
                    allowed_signers: None,
                },
                &AtomicBool::new(false),
            )
        }
    }

    impl Find for Memory {
        fn try_find<'a>(
            &self,
            id: &gix::oid,
            buffer: &'a mut Vec<u8>,
        ) -> gix::Result<Option<Data<'a>>> {
            let Some((kind, bytes)) = self.0.get(id) else {
                return Ok(None);
            };
            buffer.clone_from(bytes);
            Ok(Some(Data::new(buffer, *kind, id.kind())))
        }
    }

    impl FindHeader for Memory {
        fn try_header(&self, id: &gix::oid) -> gix::Result<Option<Header>> {
            let found = self.0.get(id).map(|(kind, bytes)| Header {
                kind: *kind,
                size: bytes.len() as u64,
            });
            Ok(found)
        }
    }

    fn entry(mode: &str, name: &[u8], id: ObjectId) -> Vec<u8> {
        [mode.as_bytes(), b" ", name, b"\0", id.as_slice()].concat()
    }

    fn mode() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "100644", "100755", "120000", "160000", "40000", "0", "999999", "x",
        ])
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_tree_make_the_walk_panic(root in vec(any::<u8>(), 0..200)) {
            let _ = Memory::of_root(root).read();
        }

        #[test]
        fn every_path_of_a_tree_is_one_that_a_tree_may_hold(
            entries in vec((mode(), vec(any::<u8>(), 0..6)), 0..4),
            of_blobs in any::<bool>(),
        ) {
            let target = if of_blobs { id(2) } else { id(1) };
            let root = entries.iter().flat_map(|(mode, name)| entry(mode, name, target)).collect();
            match Memory::of_root(root).read() {
                Ok(tree) => for (path, _) in tree.iter() {
                    prop_assert_eq!(RepoPath::parse(path.as_str()), Ok(path.clone()));
                    let is_named = entries.iter().any(|(_, name)| name == path.as_str().as_bytes());
                    prop_assert!(is_named, "{} is not in the tree", path);
                },
                Err(error) => {
                    let text = error.to_string();
                    prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                    prop_assert!(error.revision().is_some());
                }
            }
        }

        #[test]
        fn plain_names_are_all_read(names in prop::collection::btree_set("[a-z0-9 ._-]{1,8}\u{e9}", 0..8)) {
            let root = names.iter().flat_map(|name| entry("100644", name.as_bytes(), id(2))).collect();
            let tree = Memory::of_root(root).read().unwrap();
            let found: Vec<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
            prop_assert_eq!(found, names.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
