//! How a tree is written into a file, so that whatever happens to the file is noticed.
//!
//! ```text
//! file    = magic, head, SHA-256 of magic and head, entry*
//! head    = length, then: sequence, served since, may have missed ids at, repository, ref?, path?, revision, commit?, its
//!           time, parent?, number of entries, SHA-256 of all entries
//! entry   = kind (0 file, 1 symlink, 2 submodule), path as text, for a file its bytes as text
//! number  = 8 bytes, big-endian; times are milliseconds since 1970, and 0 is none
//! text    = length as a number, then the bytes
//! x?      = 0, or 1 and then x
//! ```

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Key, StateError};
use crate::tree::{Commit, Entry, Limits, RepoPath, Revision, Tree};

/// What a file starts with; another number means another format.
const MAGIC: &[u8; 15] = b"gitboot tree 1\n";
/// The longest head in bytes: a commit object of 4 MiB, a repository, a ref and a path, with a reserve.
const MAX_HEAD_BYTES: u64 = 5 << 20;
/// The bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;
/// What an entry takes beside its path and its bytes: the kind and two lengths.
const FRAME_BYTES: u64 = 17;
/// How many entries a tree may have for each file that is allowed; links and submodules are entries too.
const ENTRIES_PER_FILE: u64 = 4;

const FILE: u8 = 0;
const SYMLINK: u8 = 1;
const SUBMODULE: u8 = 2;

pub(super) type ContentDigest = [u8; DIGEST_BYTES];

/// Everything about a stored tree but its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Files of one key are counted up.
    pub(super) sequence: u64,
    /// Since when these files are served.
    pub(super) since: SystemTime,
    /// When the server last may have missed ids that others handed out.
    pub(super) missed: Option<SystemTime>,
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) commit: Option<Commit>,
    pub(super) entries: u64,
    pub(super) digest: ContentDigest,
}

/// The digest of all entries.
pub(super) fn digest(tree: &Tree) -> ContentDigest {
    let mut hasher = Hasher(Sha256::new());
    // Hashing does no I/O.
    let _ = write_entries(tree, &mut hasher);
    hasher.0.finalize().into()
}

/// Writes a whole file.
pub(super) fn write(head: &Head, tree: &Tree, out: &mut impl Write) -> io::Result<()> {
    let encoded = encode(head);
    let hasher = Sha256::new().chain_update(MAGIC).chain_update(&encoded);
    out.write_all(MAGIC)?;
    out.write_all(&encoded)?;
    out.write_all(&hasher.finalize())?;
    write_entries(tree, out)
}

/// Reads the head and leaves the reader at the first entry.
pub(super) fn read_head(input: &mut impl Read) -> Result<Head, StateError> {
    let mut magic = [0; MAGIC.len()];
    fill(input, &mut magic)?;
    if magic != *MAGIC {
        return Err(StateError::Foreign);
    }
    let mut length = [0; 8];
    fill(input, &mut length)?;
    let bytes = u64::from_be_bytes(length);
    if bytes > MAX_HEAD_BYTES {
        return Err(StateError::Damaged);
    }
    let mut head = vec![0; usize::try_from(bytes).map_err(|_| StateError::Damaged)?];
    fill(input, &mut head)?;
    let mut expected = [0; DIGEST_BYTES];
    fill(input, &mut expected)?;
    let hasher = Sha256::new()
        .chain_update(magic)
        .chain_update(length)
        .chain_update(&head);
    if <[u8; DIGEST_BYTES]>::from(hasher.finalize()) != expected {
        return Err(StateError::Damaged);
    }
    decode(&head).ok_or(StateError::Damaged)
}

/// Reads the entries that follow `head`; `left` is the number of bytes that the file still has.
pub(super) fn read_entries(
    head: &Head,
    input: impl Read,
    left: u64,
    limits: &Limits,
) -> Result<Tree, StateError> {
    let mut reader = Entries {
        input,
        left,
        hasher: Sha256::new(),
    };
    let mut entries = BTreeMap::new();
    let mut files = 0;
    let mut total = 0_u64;
    for _ in 0..head.entries {
        let (path, entry) = reader.entry(limits.file_bytes)?;
        total = total.saturating_add(path.as_str().len() as u64);
        if let Entry::File(bytes) = &entry {
            files += 1;
            total = total.saturating_add(bytes.len() as u64);
        }
        if files > limits.files || total > limits.total_bytes {
            return Err(StateError::TooLarge);
        }
        let comes_later = entries
            .last_key_value()
            .is_none_or(|(last, _)| *last < path);
        if !comes_later {
            return Err(StateError::Damaged);
        }
        entries.insert(path, entry);
    }
    if reader.left > 0 || ContentDigest::from(reader.hasher.finalize()) != head.digest {
        return Err(StateError::Damaged);
    }
    let tree = Tree::new(head.revision.clone(), entries);
    Ok(match &head.commit {
        Some(commit) => tree.with_commit(commit.clone()),
        None => tree,
    })
}

/// The most bytes of a file with a tree within these limits.
pub(super) fn max_bytes(limits: &Limits) -> u64 {
    let entries = (limits.files as u64).saturating_mul(ENTRIES_PER_FILE);
    let frames = entries.saturating_mul(FRAME_BYTES);
    limits
        .total_bytes
        .saturating_add(frames)
        .saturating_add(MAX_HEAD_BYTES)
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_entries(tree: &Tree, out: &mut impl Write) -> io::Result<()> {
    for (path, entry) in tree.iter() {
        let (kind, bytes) = match entry {
            Entry::File(bytes) => (FILE, Some(bytes)),
            Entry::Symlink => (SYMLINK, None),
            Entry::Submodule => (SUBMODULE, None),
        };
        out.write_all(&[kind])?;
        for text in [Some(path.as_str().as_bytes()), bytes.map(AsRef::as_ref)]
            .into_iter()
            .flatten()
        {
            out.write_all(&(text.len() as u64).to_be_bytes())?;
            out.write_all(text)?;
        }
    }
    Ok(())
}

/// The entries of a file, hashed as they are read.
struct Entries<R> {
    input: R,
    left: u64,
    hasher: Sha256,
}

impl<R: Read> Entries<R> {
    fn entry(&mut self, max_bytes: u64) -> Result<(RepoPath, Entry), StateError> {
        let mut kind = [0];
        self.fill(&mut kind)?;
        let path = self.text(max_bytes)?;
        let path = String::from_utf8(path).map_err(|_| StateError::Damaged)?;
        let path = RepoPath::parse(&path).map_err(|_| StateError::Damaged)?;
        let entry = match kind {
            [FILE] => Entry::File(Bytes::from(self.text(max_bytes)?)),
            [SYMLINK] => Entry::Symlink,
            [SUBMODULE] => Entry::Submodule,
            _ => return Err(StateError::Damaged),
        };
        Ok((path, entry))
    }

    fn text(&mut self, max_bytes: u64) -> Result<Vec<u8>, StateError> {
        let mut length = [0; 8];
        self.fill(&mut length)?;
        let length = u64::from_be_bytes(length);
        // What the file does not have is not allocated.
        if length > self.left {
            return Err(StateError::Damaged);
        }
        if length > max_bytes {
            return Err(StateError::TooLarge);
        }
        let mut text = vec![0; usize::try_from(length).map_err(|_| StateError::TooLarge)?];
        self.fill(&mut text)?;
        Ok(text)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), StateError> {
        self.left = self
            .left
            .checked_sub(buffer.len() as u64)
            .ok_or(StateError::Damaged)?;
        fill(&mut self.input, buffer)?;
        self.hasher.update(&*buffer);
        Ok(())
    }
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), StateError> {
    input
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StateError::Damaged,
            _ => StateError::Unreadable(error),
        })
}

/// The head with its length in front.
fn encode(head: &Head) -> Vec<u8> {
    let Head {
        sequence,
        since,
        missed,
        key,
        revision,
        commit,
        entries,
        digest,
    } = head;
    let Key {
        repo,
        reference,
        path,
    } = key;
    let mut out = Vec::new();
    out.extend(sequence.to_be_bytes());
    out.extend(millis(*since).to_be_bytes());
    out.extend(missed.map_or(0, millis).to_be_bytes());
    put(&mut out, repo.as_bytes());
    put_optional(&mut out, reference.as_deref().map(str::as_bytes));
    put_optional(&mut out, path.as_deref().map(str::as_bytes));
    put(&mut out, revision.as_str().as_bytes());
    put_optional(&mut out, commit.as_ref().map(|commit| commit.raw.as_ref()));
    out.extend(
        commit
            .as_ref()
            .map_or(0, |commit| commit.time)
            .to_be_bytes(),
    );
    let parent = commit
        .as_ref()
        .and_then(|commit| commit.first_parent.as_ref());
    put_optional(&mut out, parent.map(|parent| parent.as_str().as_bytes()));
    out.extend(entries.to_be_bytes());
    out.extend(digest);
    let mut framed = Vec::new();
    put(&mut framed, &out);
    framed
}

fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_be_bytes());
    out.extend(text);
}

fn put_optional(out: &mut Vec<u8>, text: Option<&[u8]>) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put(out, text);
    }
}

fn decode(bytes: &[u8]) -> Option<Head> {
    let mut fields = Fields(bytes);
    let sequence = fields.number()?;
    let since = time(fields.number()?)?;
    let missed = match fields.number()? {
        0 => None,
        millis => Some(time(millis)?),
    };
    let key = Key {
        repo: fields.string()?,
        reference: fields.optional(Fields::string)?,
        path: fields.optional(Fields::string)?,
    };
    let revision = Revision::new(&fields.string()?);
    let raw = fields.optional(|fields| Some(Bytes::copy_from_slice(fields.text()?)))?;
    let time_of_commit = i64::from_be_bytes(fields.take(8)?.try_into().ok()?);
    let first_parent = fields.optional(|fields| Some(Revision::new(&fields.string()?)))?;
    let entries = fields.number()?;
    let digest = fields.take(DIGEST_BYTES)?.try_into().ok()?;
    fields.0.is_empty().then_some(Head {
        sequence,
        since,
        missed,
        key,
        revision,
        commit: raw.map(|raw| Commit {
            time: time_of_commit,
            first_parent,
            // Signatures are verified again at each start.
            principal: None,
            raw,
        }),
        entries,
        digest,
    })
}

/// The rest of a head.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn string(&mut self) -> Option<String> {
        String::from_utf8(self.text()?.to_vec()).ok()
    }

    #[expect(clippy::option_option, reason = "the outer one is a damaged head")]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.take(1)? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }
}

/// Milliseconds since 1970; a clock before that is at its beginning.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
