//! The files of TLS as they stand on the disk.

use std::fs;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::error::{Problem, TlsError};
use super::{Clients, Settings};
use crate::file::open_regular;

/// The largest file in bytes: the authorities of a whole system take a quarter of it.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// The permission bit that lets everybody on the machine read a file.
const WORLD_READABLE: u32 = 0o004;

pub(super) const CERT_FLAG: &str = "--tls-cert-file";
pub(super) const KEY_FLAG: &str = "--tls-key-file";
pub(super) const CA_FLAG: &str = "--tls-client-ca-file";

/// What stands in the files at one time.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) cert: Result<Vec<u8>, TlsError>,
    pub(super) key: Result<Vec<u8>, TlsError>,
    /// `None` where no authority is named.
    pub(super) authorities: Option<Result<Vec<u8>, TlsError>>,
    /// Whether everybody on this machine may read the key.
    pub(super) key_is_open: bool,
}

impl Contents {
    /// Reads all of them.
    pub(super) fn read(settings: &Settings) -> Self {
        let authorities = match &settings.clients {
            Clients::Certified { ca_file, .. } => Some(read(CA_FLAG, ca_file)),
            Clients::Anybody => None,
        };
        let key_mode = fs::metadata(&settings.key_file).map(|file| file.mode());
        Self {
            cert: read(CERT_FLAG, &settings.cert_file),
            key: read(KEY_FLAG, &settings.key_file),
            authorities,
            key_is_open: key_mode.is_ok_and(|mode| mode & WORLD_READABLE != 0),
        }
    }

    /// A number that is the same for the same contents and failures, as long as the keys are the same.
    pub(super) fn fingerprint(&self, keys: &RandomState) -> u64 {
        let mut hasher = keys.build_hasher();
        for content in [Some(&self.cert), Some(&self.key), self.authorities.as_ref()] {
            let content = content.map(|content| content.as_ref().map_err(ToString::to_string));
            content.hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let wrong = |problem| TlsError::new(flag, path, problem);
    let unreadable = |error: io::Error| wrong(Problem::Unreadable(error));
    // A pipe is empty the second time.
    let file = open_regular(path).map_err(unreadable)?;
    let file = file.ok_or_else(|| wrong(Problem::NoFile))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(wrong(Problem::TooLarge));
    }
    Ok(bytes)
}
