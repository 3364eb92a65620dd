//! What a server takes from files outside of the repository: the key of its ids, and the secrets of its configs.
//!
//! The files are read at the start, where a mistake ends the process, and again whenever they hold something else; a mistake
//! then keeps what was read before. No message of this room holds a part of what stands in them.

use std::fs;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::compile::Secrets;
use crate::diagnostic::{Diagnostic, rules};
use crate::file::open_regular;
use crate::id::IdKey;
use crate::manifest::{Budget, read_values_file};
use crate::secret::Secret;
use crate::tree::{Entry, RepoPath, Revision, Tree};

/// The largest of the files, in bytes: a thousand certificates with their keys.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The permission bit that lets everybody on the machine read a file.
const WORLD_READABLE: u32 = 0o004;

/// Which files there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFiles {
    /// The file of `--id-key-file`.
    pub id_key: Option<PathBuf>,
    /// The file of `--secret-values-file`.
    pub values: Option<PathBuf>,
}

/// What is wrong with one of the files: the flag, the file and the remedy, and nothing that stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{flag} {path}`: {problem}")]
pub struct KeyringError {
    flag: &'static str,
    path: String,
    problem: String,
}

/// The files and what they held when they were read last.
#[derive(Debug)]
pub struct Keyring {
    files: KeyFiles,
    budget: Budget,
    id_key: Option<IdKey>,
    secrets: Secrets,
    /// What stood in the files when they were read last, good or bad.
    seen: u64,
    /// What stood in them at the last look.
    looked: u64,
    hasher: RandomState,
}

/// What stands in the files at one time.
struct Contents {
    id_key: Option<Result<Vec<u8>, String>>,
    values: Option<Result<Vec<u8>, String>>,
}

impl Contents {
    fn of(files: &KeyFiles) -> Self {
        Self {
            id_key: files.id_key.as_deref().map(contents),
            values: files.values.as_deref().map(contents),
        }
    }

    /// A number that is the same for the same contents and the same hasher.
    fn fingerprint(&self, hasher: &RandomState) -> u64 {
        let mut hasher = hasher.build_hasher();
        for content in [&self.id_key, &self.values].into_iter().flatten() {
            content.as_ref().map_err(|_| ()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Keyring {
    /// Reads the files. `otherwise` is what is known of secrets where no file tells.
    ///
    /// # Errors
    /// Says which file cannot be used, why, and what to do.
    pub fn open(files: KeyFiles, budget: Budget, otherwise: Secrets) -> Result<Self, KeyringError> {
        let contents = Contents::of(&files);
        let hasher = RandomState::new();
        let seen = contents.fingerprint(&hasher);
        let mut keyring = Self {
            files,
            budget,
            id_key: None,
            secrets: otherwise,
            seen,
            looked: seen,
            hasher,
        };
        keyring.take(contents)?;
        Ok(keyring)
    }

    /// Whether there are files that may change.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.files != KeyFiles::default()
    }

    /// The key of ids.
    #[must_use]
    pub fn id_key(&self) -> Option<&IdKey> {
        self.id_key.as_ref()
    }

    /// What configs find in `secrets`.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Whether the files hold something else than when they were read last, and did so at the look before this one: whoever
    /// replaces them may do it in several steps.
    #[must_use]
    pub fn has_changed(&mut self) -> bool {
        self.has_files() && self.changed().is_some()
    }

    /// Reads the files again if they hold something else now, and did so at the look before this one. Says whether they did.
    ///
    /// # Errors
    /// As for [`Self::open`]; what was read before stays, and the same mistake is not told again.
    pub fn renew(&mut self) -> Result<bool, KeyringError> {
        if !self.has_files() {
            return Ok(false);
        }
        let Some(contents) = self.changed() else {
            return Ok(false);
        };
        self.seen = self.looked;
        self.take(contents)?;
        Ok(true)
    }

    /// Whether the last look found something new, for which one look is not enough.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.looked != self.seen
    }

    /// A look: what is new in the files, if it has been there for two of them.
    fn changed(&mut self) -> Option<Contents> {
        let contents = Contents::of(&self.files);
        let now = contents.fingerprint(&self.hasher);
        let before = std::mem::replace(&mut self.looked, now);
        (now == before && now != self.seen).then_some(contents)
    }

    fn take(&mut self, contents: Contents) -> Result<(), KeyringError> {
        let KeyFiles { id_key, values } = &self.files;
        let read = |path: &Option<PathBuf>, content| Some((path.clone()?, content?));
        let id_key = read(id_key, contents.id_key);
        let id_key = id_key.map(|(path, content)| read_key(&path, content));
        let id_key = id_key.transpose()?;
        let values = read(values, contents.values);
        let values = values.map(|(path, content)| read_values(&path, content, self.budget));
        if let Some(values) = values.transpose()? {
            self.secrets = Secrets::Known(Arc::new(Secret::new(values)));
        }
        self.id_key = id_key;
        Ok(())
    }
}

fn read_key(path: &Path, content: Result<Vec<u8>, String>) -> Result<IdKey, KeyringError> {
    let wrong = |problem: String| error("--id-key-file", path, problem);
    let bytes = content.map_err(wrong)?;
    look_at_permissions("--id-key-file", path);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let key = line.strip_suffix(b"\r").unwrap_or(line);
    IdKey::new(key).ok_or_else(|| {
        let least = IdKey::MIN_BYTES;
        wrong(format!(
            "a key has at least {least} bytes; `openssl rand -hex 32 > FILE` makes one"
        ))
    })
}

fn read_values(
    path: &Path,
    content: Result<Vec<u8>, String>,
    budget: Budget,
) -> Result<Map<String, Value>, KeyringError> {
    let wrong = |problem: String| error("--secret-values-file", path, problem);
    let bytes = content.map_err(wrong)?;
    look_at_permissions("--secret-values-file", path);
    let name = RepoPath::parse("secrets.yaml").expect("it is a path of one segment");
    let entry = Entry::File(bytes.into());
    let tree = Tree::new(Revision::new("secrets"), [(name.clone(), entry)].into());
    read_values_file(&tree, &name, budget).map_err(|diagnostics| {
        let all: Vec<String> = diagnostics.iter().map(in_general).collect();
        wrong(format!("it is no YAML map of secrets: {}", all.join("; ")))
    })
}

/// A diagnostic by its place and its rule: its own words might quote the file.
fn in_general(diagnostic: &Diagnostic) -> String {
    let rule = rules().iter().find(|rule| rule.code == diagnostic.code());
    let ensure = rule
        .map_or("", |rule| rule.ensure)
        .trim_start_matches("Ensure ");
    let line = diagnostic.location().map_or(1, |at| at.line);
    format!("line {line}: `{}`, ensure {ensure}", diagnostic.code())
}

/// All that stands in a file, or why it cannot be read.
fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {error}");
    let file = open_regular(path).map_err(unreadable)?;
    let file = file.ok_or("it is not a regular file")?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    Ok(bytes)
}

fn look_at_permissions(flag: &'static str, path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.mode() & WORLD_READABLE != 0) {
        tracing::warn!(
            file = %path.display(),
            "everybody on this machine can read the file of `{flag}`; `chmod o= FILE` mends that"
        );
    }
}

fn error(flag: &'static str, path: &Path, problem: String) -> KeyringError {
    let path = path.display().to_string().escape_debug().to_string();
    KeyringError {
        flag,
        path,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(key: &str, values: &str) -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("key", key);
            folder.write("values", values);
            folder
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        fn open(&self) -> Result<Keyring, KeyringError> {
            let files = KeyFiles {
                id_key: Some(self.0.path().join("key")),
                values: Some(self.0.path().join("values")),
            };
            Keyring::open(files, Budget::default(), Secrets::None)
        }

        fn problem(&self) -> String {
            let problem = self.open().unwrap_err().to_string();
            problem.replace(&self.0.path().display().to_string(), "")
        }
    }

    fn values(keyring: &Keyring) -> String {
        match keyring.secrets() {
            Secrets::Known(map) => Value::Object(map.expose().clone()).to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn files_are_read_and_print_as_nothing() {
        let folder = Folder::new(KEY, "a: hunter2\nb: {c: 7}\n");
        let keyring = folder.open().unwrap();
        assert_eq!(values(&keyring), r#"{"a":"hunter2","b":{"c":7}}"#);
        let printed = format!("{keyring:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(!printed.contains("0123456789"), "{printed}");
        folder.write("values", "# none\n");
        assert_eq!(values(&folder.open().unwrap()), "{}");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_remedy() {
        let folder = Folder::new("fifteen bytes..\n", "a: 1");
        let short = "`--id-key-file /key`: a key has at least 16 bytes; `openssl rand -hex 32 > FILE` makes one";
        assert_eq!(folder.problem(), short);
        folder.write("key", KEY);
        let cases = [
            (
                "- hunter2\n",
                "line 1: `values-file`, ensure that a file of values is one map",
            ),
            (
                "hunter2\n",
                "line 1: `values-file`, ensure that a file of values is one map",
            ),
            (
                "a: 1\nb: 0123\nc: 1.30\n",
                "line 2: `number-form`, ensure that a number prints as it is written; line 3: `number-form`, ensure that a \
                 number prints as it is written",
            ),
        ];
        for (text, expected) in cases {
            folder.write("values", text);
            let problem = folder.problem();
            let expected =
                format!("`--secret-values-file /values`: it is no YAML map of secrets: {expected}");
            assert_eq!(problem, expected);
        }
        for text in [
            "hunter2: [",
            "hunter2: 1\nhunter2: 2\n",
            "a: *hunter2",
            "a: !!int hunter2",
            "\"hunter2\\q\"",
            "<<: hunter2",
            "? [hunter2]\n: 1",
            "a: 1\n---\nhunter2: 2",
            "a: \"hunter2\u{0}\"",
        ] {
            folder.write("values", text);
            let problem = folder.problem();
            assert!(!problem.contains("hunter2"), "{problem}");
            assert!(problem.contains("line "), "{problem}");
        }
        fs::remove_file(folder.0.path().join("values")).unwrap();
        assert!(folder.problem().contains("No such file"));
    }

    #[test]
    fn a_bad_file_keeps_what_was_read_before_and_is_told_once() {
        let folder = Folder::new(KEY, "a: 1\n");
        let mut keyring = folder.open().unwrap();
        assert!(!keyring.has_changed());
        assert!(matches!(keyring.renew(), Ok(false)));
        folder.write("values", "a: [\n");
        assert!(!keyring.has_changed());
        assert!(keyring.has_changed());
        assert!(keyring.renew().is_err());
        assert!(matches!(keyring.renew(), Ok(false)));
        assert_eq!(values(&keyring), r#"{"a":1}"#);
        folder.write("values", "a: 2\n");
        assert!(matches!(keyring.renew(), Ok(false)));
        assert!(matches!(keyring.renew(), Ok(true)));
        assert_eq!(values(&keyring), r#"{"a":2}"#);
    }

    #[test]
    fn a_file_that_is_half_written_is_not_read() {
        let folder = Folder::new(KEY, "a: one\nb: two\n");
        let mut keyring = folder.open().unwrap();
        // Both halves would be a map and a key; a check may come in between.
        folder.write("values", "a: th");
        assert!(!keyring.has_changed());
        folder.write("values", "a: three\n");
        assert!(matches!(keyring.renew(), Ok(false)));
        folder.write("values", "a: three\nb: four\n");
        folder.write("key", "fedcba9876543210\n");
        assert!(!keyring.has_changed());
        folder.write("key", "fedcba9876543210fedcba9876543210\n");
        assert!(matches!(keyring.renew(), Ok(false)));
        assert_eq!(values(&keyring), r#"{"a":"one","b":"two"}"#);
        assert!(keyring.has_changed());
        assert!(matches!(keyring.renew(), Ok(true)));
        assert_eq!(values(&keyring), r#"{"a":"three","b":"four"}"#);
        assert!(!keyring.has_changed());
    }
}
