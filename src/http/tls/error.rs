//! What is wrong with a file of TLS.

use std::io;
use std::path::{Path, PathBuf};

use super::files::MAX_FILE_BYTES;

/// A file that cannot be used. The text names the flag, the file and the way out.
#[derive(Debug, thiserror::Error)]
#[error("`{flag}` (`{}`) {problem}", .path.display())]
pub struct TlsError {
    flag: &'static str,
    path: PathBuf,
    problem: Problem,
}

impl TlsError {
    pub(super) fn new(flag: &'static str, path: &Path, problem: Problem) -> Self {
        let path = path.to_owned();
        Self {
            flag,
            path,
            problem,
        }
    }

    /// Whether the file could not be read at all, which is nothing that another content would mend.
    #[must_use]
    pub fn is_of_the_world(&self) -> bool {
        matches!(self.problem, Problem::Unreadable(_))
    }
}

/// The text reads on after the file's name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("cannot be read: {0}; name a file that the server's user may read")]
    Unreadable(io::Error),
    #[error("is no file; name a file in PEM")]
    NoFile,
    #[error("is larger than any certificate or key ({} MiB)", MAX_FILE_BYTES >> 20)]
    TooLarge,
    #[error("is broken PEM ({0}); write it again as a whole")]
    BrokenPem(String),
    #[error("holds no certificate in PEM; it begins with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    #[error("holds a private key and no certificate; the two flags may be the wrong way round")]
    KeyForCertificate,
    #[error(
        "holds a certificate in PEM, the {0}. in the file, that is none inside; write it again"
    )]
    MalformedCertificate(usize),
    #[error(
        "is a certificate of X.509's version 1, which TLS does not take; issue it with extensions, as `openssl x509 -req \
         -extfile FILE` does"
    )]
    Version1,
    #[error("holds a certificate that is refused: {0}")]
    Refused(rustls::Error),
    #[error("holds no private key in PEM (PKCS#8, SEC1 or PKCS#1)")]
    NoKey,
    #[error("holds a private key with a passphrase; write it without one, as `openssl pkey` does")]
    EncryptedKey,
    #[error(
        "holds a private key that cannot be used ({0}); RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, and Ed25519 can"
    )]
    UnusableKey(rustls::Error),
    #[error("does not belong to the certificate of `--tls-cert-file`")]
    OtherKey,
    #[error(
        "belongs to the {0}. certificate of `--tls-cert-file`, which has to be the first: the server's own, then its \
         issuer's, the root last"
    )]
    LaterCertificate(usize),
    #[error("has expired at {0}")]
    Expired(humantime::Rfc3339Timestamp),
    #[error("holds a certificate, the {0}. in the file, that cannot be an authority: {1}")]
    NoAuthority(usize, rustls::Error),
}
