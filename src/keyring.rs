//! What a server takes from files outside of the repository: the key of its ids, and the secrets of its configs.
//!
//! The files are read at the start, where a mistake ends the process, and again whenever they hold something else; a mistake
//! then keeps what was read before. No message of this room holds a part of what stands in them.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::compile::Secrets;
use crate::diagnostic::{Diagnostic, rules};
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
    /// What stood in the files when they were looked at last, good or bad.
    seen: u64,
    hasher: RandomState,
}

impl Keyring {
    /// Reads the files. `otherwise` is what is known of secrets where no file tells.
    ///
    /// # Errors
    /// Says which file cannot be used, why, and what to do.
    pub fn open(files: KeyFiles, budget: Budget, otherwise: Secrets) -> Result<Self, KeyringError> {
        let mut keyring = Self {
            files,
            budget,
            id_key: None,
            secrets: otherwise,
            seen: 0,
            hasher: RandomState::new(),
        };
        keyring.seen = keyring.fingerprint();
        keyring.read()?;
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

    /// Whether the files hold something else than when they were read last.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.has_files() && self.fingerprint() != self.seen
    }

    /// Reads the files again if they hold something else now. Says whether they did.
    ///
    /// # Errors
    /// As for [`Self::open`]; what was read before stays, and the same mistake is not told again.
    pub fn renew(&mut self) -> Result<bool, KeyringError> {
        if !self.has_files() {
            return Ok(false);
        }
        let seen = self.fingerprint();
        if seen == self.seen {
            return Ok(false);
        }
        self.seen = seen;
        self.read()?;
        Ok(true)
    }

    fn read(&mut self) -> Result<(), KeyringError> {
        let id_key = self.files.id_key.as_deref().map(read_key).transpose()?;
        let values = self.files.values.as_deref();
        let values = values.map(|path| read_values(path, self.budget));
        if let Some(values) = values.transpose()? {
            self.secrets = Secrets::Known(Arc::new(Secret::new(values)));
        }
        self.id_key = id_key;
        Ok(())
    }

    /// A number that is the same for the same contents, as long as this process runs.
    fn fingerprint(&self) -> u64 {
        let KeyFiles { id_key, values } = &self.files;
        let mut hasher = self.hasher.build_hasher();
        for path in [id_key, values].into_iter().flatten() {
            contents(path).map_err(|_| ()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn read_key(path: &Path) -> Result<IdKey, KeyringError> {
    let wrong = |problem: String| error("--id-key-file", path, problem);
    let bytes = contents(path).map_err(wrong)?;
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

fn read_values(path: &Path, budget: Budget) -> Result<Map<String, Value>, KeyringError> {
    let wrong = |problem: String| error("--secret-values-file", path, problem);
    let bytes = contents(path).map_err(wrong)?;
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
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
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
        assert!(keyring.has_changed());
        assert!(keyring.renew().is_err());
        assert!(matches!(keyring.renew(), Ok(false)));
        assert_eq!(values(&keyring), r#"{"a":1}"#);
        folder.write("values", "a: 2\n");
        assert!(matches!(keyring.renew(), Ok(true)));
        assert_eq!(values(&keyring), r#"{"a":2}"#);
    }
}
