//! The trees that were published last, on disk, so that a restart needs no remote.
//!
//! Each publication writes one file: the tree, its revision and its commit, with digests over everything. The newest file
//! is what a restart serves until the remote answers; the ones before it hold the superseded configs of boots in flight,
//! and go when `--retain` is over. A tree is kept and not what was compiled of it, so that another version of the program
//! reads it too, by its own rules.
//!
//! When the newest file was last modified is when the remote last answered, so that a restart knows that too.
//!
//! File names end in a number that counts up; they begin with a digest of the repository, the ref and the path, which stand
//! in the file too: what was served from elsewhere is never served.

mod format;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::tree::{Limits, Tree};
use format::Head;

/// What the names of all our files start with.
const PREFIX: &str = "gitboot-tree-";
/// What follows the key in the name of a file that is being written.
const UNFINISHED: &str = "tmp-";
/// How old a file that is being written has to be before it counts as a leftover of a crash.
const UNFINISHED_TIME: Duration = Duration::from_mins(10);
/// How many superseded trees are kept: a push each 3.5 seconds for the default `--retain`. The head of each is read at every
/// publication.
const MAX_EARLIER: usize = 256;
/// How many bytes of superseded trees are kept: as many as superseded configs may take in memory.
const MAX_EARLIER_BYTES: u64 = 256 << 20;
/// How many bytes are gathered for one write to the disk.
const BUFFER_BYTES: usize = 64 << 10;

/// What a stored tree was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The repository, without credentials.
    pub repo: String,
    /// `--ref`.
    pub reference: Option<String>,
    /// `--path`.
    pub path: Option<String>,
}

/// Why a stored tree cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file is of another program, or of another version of this one.
    #[error("it is not in the format of this version")]
    Foreign,
    /// The file holds the tree of another repository, ref or path.
    #[error("it was read from another repository, ref or path")]
    OtherKey,
    /// The file is cut off or changed.
    #[error("it is damaged")]
    Damaged,
    /// The tree is over a limit.
    #[error("it is over a limit of this server")]
    TooLarge,
}

/// A tree that was published before.
#[derive(Debug)]
pub struct Stored {
    /// The tree.
    pub tree: Tree,
    /// Since when its files are served.
    pub since: SystemTime,
    /// When the server last may have missed config ids that others handed out.
    pub missed: Option<SystemTime>,
    /// When the remote last answered, to the minute.
    pub answered: SystemTime,
}

/// A superseded tree that is on disk.
#[derive(Debug)]
pub struct Earlier {
    file: PathBuf,
    /// How long it is to be kept from now on.
    pub left: Duration,
}

/// The superseded trees that are on disk.
#[derive(Debug, Default)]
pub struct Superseded {
    /// The trees, the youngest first.
    pub trees: Vec<Earlier>,
    /// When a tree was superseded that ought to be kept still and is not there, because there were too many.
    pub lost: Option<SystemTime>,
}

/// The files of one key in the state directory.
#[derive(Clone, Debug)]
pub struct State {
    folder: PathBuf,
    key: Key,
    limits: Limits,
    retain: Duration,
    /// What the names of this key's files start with.
    prefix: String,
}

impl State {
    /// The trees of this key in this folder, which need not exist. Superseded trees are kept for `retain`.
    #[must_use]
    pub fn new(folder: PathBuf, key: Key, limits: Limits, retain: Duration) -> Self {
        let prefix = prefix(&key);
        Self {
            folder,
            key,
            limits,
            retain,
            prefix,
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder and ensures that it can be written.
    ///
    /// # Errors
    /// Says what the disk says.
    pub fn prepare(&self) -> io::Result<()> {
        self.make_folder()?;
        let probe = self.unfinished(0);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&probe)?;
        fs::remove_file(&probe)
    }

    /// The tree that was published last; `None` when there is none.
    ///
    /// # Errors
    /// Says why the tree that is there cannot be used.
    pub fn newest(&self) -> Result<Option<Stored>, StateError> {
        let Some(file) = self.files().map_err(StateError::Unreadable)?.pop() else {
            return Ok(None);
        };
        let (head, tree) = self.read(&file)?;
        let modified = fs::metadata(&file).and_then(|found| found.modified());
        Ok(Some(Stored {
            tree,
            since: head.since,
            missed: head.missed,
            answered: modified.unwrap_or(head.since),
        }))
    }

    /// Notes that the remote has answered at `now`: one small write, where a tree is stored.
    ///
    /// # Errors
    /// Says what the disk says.
    pub fn answered(&self, now: SystemTime) -> io::Result<()> {
        match self.files()?.last() {
            Some(newest) => File::open(newest)?.set_modified(now),
            None => Ok(()),
        }
    }

    /// The trees that were superseded less than `retain` before `now`.
    ///
    /// # Errors
    /// Says why they cannot be listed.
    pub fn earlier(&self, now: SystemTime) -> Result<Superseded, StateError> {
        let files = self.files().map_err(StateError::Unreadable)?;
        let mut trees = Vec::new();
        for pair in files.windows(2).rev() {
            let [file, next] = pair else { continue };
            let superseded = self.read_head(next)?.since;
            let left = self.left(superseded, now);
            if left.is_zero() {
                return Ok(Superseded { trees, lost: None });
            }
            if trees.len() == MAX_EARLIER {
                break;
            }
            let file = file.clone();
            trees.push(Earlier { file, left });
        }
        let oldest = files.iter().rev().nth(trees.len());
        let since = match oldest {
            // Before the first one there was none.
            Some(oldest) if self.sequence(oldest) > 1 => Some(self.read_head(oldest)?.since),
            _ => None,
        };
        let lost = since.filter(|since| !self.left(*since, now).is_zero());
        Ok(Superseded { trees, lost })
    }

    /// Reads a superseded tree.
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub fn read_earlier(&self, earlier: &Earlier) -> Result<Tree, StateError> {
        self.read(&earlier.file).map(|(_, tree)| tree)
    }

    /// Writes what was published at `now`, and removes what is no longer needed. The file is there whole or not at all.
    ///
    /// # Errors
    /// Says what the disk says; what was stored before is as it was.
    pub fn save(&self, tree: &Tree, now: SystemTime) -> io::Result<()> {
        self.make_folder()?;
        let files = self.files()?;
        let newest = files.last().and_then(|file| self.read_head(file).ok());
        let digest = format::digest(tree);
        let same = newest.as_ref().filter(|newest| newest.digest == digest);
        if same.is_some_and(|same| same.revision == *tree.revision()) {
            return Ok(());
        }
        let follows = newest
            .as_ref()
            .filter(|newest| tree.parent() == Some(&newest.revision));
        let head = Head {
            sequence: files
                .last()
                .map_or(0, |file| self.sequence(file))
                .saturating_add(1),
            since: same.map_or(now, |same| same.since),
            missed: follows.map_or(Some(now), |newest| newest.missed),
            key: self.key.clone(),
            revision: tree.revision().clone(),
            commit: tree.commit().cloned(),
            entries: tree.len() as u64,
            digest,
        };
        self.write(&head, tree)?;
        // Files that were the same are replaced: they hold no config that the new one lacks.
        let replaced = same.and(files.last());
        self.prune(&files, replaced, &head, now);
        Ok(())
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
    }

    /// A file that is being written, under a name that nobody else has.
    fn unfinished(&self, number: u64) -> PathBuf {
        let random = RandomState::new().hash_one(number);
        let name = format!("{}{UNFINISHED}{random:016x}", self.prefix);
        self.folder.join(name)
    }

    fn write(&self, head: &Head, tree: &Tree) -> io::Result<()> {
        let unfinished = self.unfinished(head.sequence);
        let written = self.write_to(&unfinished, head, tree);
        if written.is_err() {
            // Its own failure says nothing that the first one does not.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_to(&self, unfinished: &Path, head: &Head, tree: &Tree) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(unfinished)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        format::write(head, tree, &mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        let name = format!("{}{:016x}", self.prefix, head.sequence);
        fs::rename(unfinished, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes the files of `before` that nobody needs once `head` is written: replaced, damaged, superseded for too
    /// long, or too many.
    fn prune(&self, before: &[PathBuf], replaced: Option<&PathBuf>, head: &Head, now: SystemTime) {
        let mut superseded = head.since;
        let (mut count, mut bytes) = (0, 0_u64);
        for file in before.iter().rev() {
            let earlier = self.read_head(file).ok().filter(|_| Some(file) != replaced);
            if let Some(earlier) = earlier
                && !self.left(superseded, now).is_zero()
                && count < MAX_EARLIER
            {
                count += 1;
                bytes = bytes.saturating_add(fs::metadata(file).map_or(0, |found| found.len()));
                superseded = earlier.since;
                if bytes <= MAX_EARLIER_BYTES {
                    continue;
                }
            }
            remove(file);
        }
        for file in self.leftovers() {
            remove(&file);
        }
    }

    /// How much longer something is kept that was superseded at this time. A clock that was put back does not make it
    /// longer than `retain`.
    fn left(&self, superseded: SystemTime, now: SystemTime) -> Duration {
        let age = now.duration_since(superseded).unwrap_or_default();
        self.retain.saturating_sub(age)
    }

    fn read_head(&self, file: &Path) -> Result<Head, StateError> {
        self.open(file).map(|(head, _, _)| head)
    }

    fn read(&self, file: &Path) -> Result<(Head, Tree), StateError> {
        let (head, input, left) = self.open(file)?;
        let tree = format::read_entries(&head, input, left, &self.limits)?;
        Ok((head, tree))
    }

    /// A file's head, its entries and their bytes.
    fn open(&self, file: &Path) -> Result<(Head, impl io::Read, u64), StateError> {
        use io::Seek as _;

        let found = fs::symlink_metadata(file).map_err(StateError::Unreadable)?;
        if !found.is_file() {
            return Err(StateError::Foreign);
        }
        if found.len() > format::max_bytes(&self.limits) {
            return Err(StateError::TooLarge);
        }
        let input = File::open(file).map_err(StateError::Unreadable)?;
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let head = format::read_head(&mut input)?;
        if head.key != self.key {
            return Err(StateError::OtherKey);
        }
        if head.sequence != self.sequence(file) {
            return Err(StateError::Damaged);
        }
        let position = input.stream_position().map_err(StateError::Unreadable)?;
        let left = found.len().saturating_sub(position);
        Ok((head, input, left))
    }

    /// The files of this key, the newest last. A folder that does not exist has none.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = self.names()?;
        files.retain(|file| self.sequence(file) > 0);
        files.sort();
        Ok(files)
    }

    /// What crashes have left behind.
    fn leftovers(&self) -> Vec<PathBuf> {
        let mut files = self.names().unwrap_or_default();
        files.retain(|file| {
            let is_unfinished = self
                .after_prefix(file)
                .is_some_and(|rest| rest.starts_with(UNFINISHED));
            let modified = fs::metadata(file).and_then(|found| found.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            is_unfinished && age.is_some_and(|age| age > UNFINISHED_TIME)
        });
        files
    }

    fn names(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths
            .filter(|path| {
                path.as_ref()
                    .map_or(true, |path| self.after_prefix(path).is_some())
            })
            .collect()
    }

    /// The number at the end of a file's name; 0 for names that are not of a finished file.
    fn sequence(&self, file: &Path) -> u64 {
        let rest = self.after_prefix(file).filter(|rest| rest.len() == 16);
        rest.and_then(|rest| u64::from_str_radix(rest, 16).ok())
            .unwrap_or(0)
    }

    fn after_prefix<'f>(&self, file: &'f Path) -> Option<&'f str> {
        let name = file.file_name().and_then(OsStr::to_str)?;
        name.strip_prefix(&self.prefix)
    }
}

/// Whether there is no folder: nothing has the name, or something else has it, or that of a folder above.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn prefix(key: &Key) -> String {
    let Key {
        repo,
        reference,
        path,
    } = key;
    let mut hasher = Sha256::new().chain_update(repo);
    for part in [reference, path] {
        // A NUL is in none of them.
        hasher.update([0, u8::from(part.is_some())]);
        hasher.update(part.as_deref().unwrap_or_default());
    }
    let mut prefix = PREFIX.to_owned();
    for byte in hasher.finalize().iter().take(8) {
        // Writing to a `String` cannot fail.
        let _ = write!(prefix, "{byte:02x}");
    }
    prefix.push('-');
    prefix
}

fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::debug!(file = %file.display(), %error, "cannot remove an old tree");
    }
}
