//! The verdict on one commit.

use gix::objs::CommitRefIter;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, SshSig};

use super::allowed_signers::AllowedSigners;
use super::commit::{Parts, take_apart};
use crate::source::error::printable;

/// What git signs in.
pub(super) const NAMESPACE: &str = "git";

/// Who signed a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The name that stands beside the key in the list of allowed signers, the first of several; it may be a pattern.
    pub principal: String,
    /// When the commit was made, as it says itself, in seconds since 1970; the key was valid then.
    pub time: i64,
}

/// Why the signature of a commit is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error(
        "the commit is not signed; sign with an SSH key that the allowed signers list (`git commit -S`)"
    )]
    Unsigned,
    /// It is one of GPG, as GitHub's web interface makes them, too.
    #[error(
        "the commit is signed with GPG, as forges sign what is merged or edited in a browser; only SSH signatures by \
         listed keys count, so merge and sign in a clone (`git config gpg.format ssh`)"
    )]
    OpenPgp,
    /// It is an X.509 signature.
    #[error(
        "the commit is signed with an X.509 certificate; only SSH signatures by listed keys count \
         (`git config gpg.format ssh`)"
    )]
    X509,
    /// There are several, so that it is not clear which one counts.
    #[error("the commit has more than one signature")]
    Several,
    /// It is no signature of a known kind.
    #[error("the signature of the commit cannot be read")]
    Malformed,
    /// It was made for something else.
    #[error("the signature of the commit is in the namespace `{0}`, not in `git`")]
    Namespace(String),
    /// It is of a kind that is not safe any more, or not known.
    #[error("the signature of the commit uses the algorithm `{0}`, which is not supported")]
    Algorithm(String),
    /// The commit was changed after it was signed, or the signature is made up.
    #[error("the signature of the commit is wrong: the commit or the signature was changed")]
    Wrong,
    /// The key is on no line of the list.
    #[error("the commit is signed by a key that is not among the allowed signers: {0}")]
    Unlisted(String),
    /// The key is listed, but not for commits.
    #[error(
        "the key that signed the commit is not allowed to: line {line}, `{principal}`, has no namespace `git`"
    )]
    NotForGit {
        /// The line of the list, from 1.
        line: usize,
        /// Whose key it is.
        principal: String,
    },
    /// The key is listed, but was not valid yet when the commit was made.
    #[error(
        "the key that signed the commit was not valid yet at its committer time: line {line}, `{principal}`, \
         `valid-after`"
    )]
    NotYet {
        /// The line of the list, from 1.
        line: usize,
        /// Whose key it is.
        principal: String,
    },
    /// The key is listed, but was not valid any more when the commit was made.
    #[error(
        "the key that signed the commit was not valid any more at its committer time: line {line}, `{principal}`, \
         `valid-before`"
    )]
    Expired {
        /// The line of the list, from 1.
        line: usize,
        /// Whose key it is.
        principal: String,
    },
}

/// Ensures that a commit object (its bytes as git stores them, without the header that says the size) is signed by one
/// of `signers`, with a key that was valid at the committer time.
///
/// # Errors
/// Says which of these does not hold.
pub fn verify(raw: &[u8], signers: &AllowedSigners) -> Result<Verified, SignatureError> {
    let Parts {
        payload,
        signatures,
    } = take_apart(raw);
    let text = match signatures.as_slice() {
        [] => return Err(SignatureError::Unsigned),
        [one] => one,
        _ => return Err(SignatureError::Several),
    };
    let signature = read(text)?;
    if signature.namespace() != NAMESPACE {
        let shown = printable(signature.namespace());
        return Err(SignatureError::Namespace(shown));
    }
    let key = signature.public_key();
    if !signers.lists(key) {
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let shown = format!("{} {fingerprint}", printable(key.algorithm().as_str()));
        return Err(SignatureError::Unlisted(shown));
    }
    check(&signature, &payload)?;
    // The time is read from what was signed.
    let committer = CommitRefIter::from_bytes(&payload, gix::hash::Kind::Sha1).committer();
    let time = committer.map_or(0, |who| who.seconds());
    let principal = signers.principal(key, time)?;
    Ok(Verified { principal, time })
}

fn read(text: &[u8]) -> Result<SshSig, SignatureError> {
    let begins = |label: &str| text.starts_with(format!("-----BEGIN {label}-----").as_bytes());
    if begins("PGP SIGNATURE") || begins("PGP MESSAGE") {
        return Err(SignatureError::OpenPgp);
    }
    if begins("SIGNED MESSAGE") {
        return Err(SignatureError::X509);
    }
    let signature = SshSig::from_pem(text).map_err(|_| SignatureError::Malformed)?;
    // The crate passes over lengths inside the signature that do not fit; OpenSSH does not, and neither may two texts be one
    // signature.
    let canonical = signature
        .to_pem(LineEnding::LF)
        .map_err(|_| SignatureError::Malformed)?;
    let unwrapped = |text: &[u8]| {
        text.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect::<Vec<u8>>()
    };
    if unwrapped(text) == unwrapped(canonical.as_bytes()) {
        Ok(signature)
    } else {
        Err(SignatureError::Malformed)
    }
}

/// Ensures that the signature is over these bytes.
fn check(signature: &SshSig, payload: &[u8]) -> Result<(), SignatureError> {
    let key = signature.public_key();
    match key {
        KeyData::Rsa(key) => check_rsa(key, signature, payload),
        _ => PublicKey::from(key.clone())
            .verify(NAMESPACE, payload, signature)
            .map_err(|_| SignatureError::Wrong),
    }
}

fn check_rsa(key: &RsaPublicKey, signature: &SshSig, payload: &[u8]) -> Result<(), SignatureError> {
    let scheme = match signature.algorithm() {
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        } => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        } => &RSA_PKCS1_2048_8192_SHA512,
        other => return Err(SignatureError::Algorithm(printable(other.as_str()))),
    };
    let signed = SshSig::signed_data(NAMESPACE, signature.hash_alg(), payload);
    let (Some(n), Some(e), Ok(signed)) =
        (key.n.as_positive_bytes(), key.e.as_positive_bytes(), signed)
    else {
        return Err(SignatureError::Wrong);
    };
    RsaPublicKeyComponents { n, e }
        .verify(scheme, &signed, signature.signature_bytes())
        .map_err(|_| SignatureError::Wrong)
}
