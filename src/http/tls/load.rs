//! From the contents of files to what a handshake needs.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use super::certificate::{Summary, summary};
use super::error::{Problem, TlsError};
use super::files::{CA_FLAG, CERT_FLAG, Contents, KEY_FLAG};
use super::{Clients, Settings};

/// The one protocol that we speak inside of TLS, as ALPN names it. Clients that name none, as iPXE, are served all the same.
const PROTOCOL: &[u8] = b"http/1.1";

/// A sound state of the files.
pub(super) struct Loaded {
    /// What handshakes use.
    pub(super) config: Arc<ServerConfig>,
    /// What our certificate says.
    pub(super) summary: Summary,
    /// How many certificates are sent.
    pub(super) chain: usize,
    /// Whether the last of them is its own issuer.
    pub(super) ends_in_root: bool,
    /// The file of authorities; who came by another one has to prove itself again.
    pub(super) authorities: Option<Vec<u8>>,
}

impl Loaded {
    /// What the files are good for, or what is wrong with the first that is not.
    pub(super) fn of(contents: Contents, settings: &Settings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = chain(&contents.cert?, settings)?;
        let about = |der: &CertificateDer<'_>| summary(der);
        let own = chain.first().and_then(about);
        let own = own.ok_or_else(|| cert_error(settings, Problem::MalformedCertificate(1)))?;
        if own.is_version_1 {
            return Err(cert_error(settings, Problem::Version1));
        }
        let last = chain.last().and_then(about);
        let (length, ends_in_root) = (chain.len(), last.is_some_and(|last| last.is_root));
        let pair = pair(chain, &contents.key?, settings, &provider)?;
        let authorities = contents.authorities.transpose()?;
        let verifier = verifier(authorities.as_deref(), settings, &provider)?;
        Ok(Self {
            config: Arc::new(config(pair, verifier, provider)),
            summary: own,
            chain: length,
            ends_in_root,
            authorities,
        })
    }

    /// Whether our certificate's time has passed.
    pub(super) fn has_expired(&self) -> bool {
        self.summary.not_after < SystemTime::now()
    }
}

fn cert_error(settings: &Settings, problem: Problem) -> TlsError {
    TlsError::new(CERT_FLAG, &settings.cert_file, problem)
}

fn config(
    pair: CertifiedKey,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("ring speaks both versions");
    let asks_clients = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    // One certificate, whatever name is asked for: iPXE asks for IP addresses, or for nothing.
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    if asks_clients {
        // A resumed session carries the client's certificate past the authorities of today. Every connection proves anew.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config
}

/// All certificates of the file, in its order.
fn chain(text: &[u8], settings: &Settings) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = certificates(text).map_err(|problem| cert_error(settings, problem))?;
    if chain.is_empty() {
        let is_key = PrivateKeyDer::from_pem_slice(text).is_ok();
        let problem = if is_key {
            Problem::KeyForCertificate
        } else {
            Problem::NoCertificate
        };
        return Err(cert_error(settings, problem));
    }
    Ok(chain)
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.map_err(|error| broken(&error))?;
        if summary(&certificate).is_none() {
            return Err(Problem::MalformedCertificate(found.len() + 1));
        }
        found.push(certificate);
    }
    Ok(found)
}

fn broken(error: &pem::Error) -> Problem {
    let text = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "the first line of a section is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        // Its own words may repeat a line of the file.
        _ => "a section cannot be read",
    };
    Problem::BrokenPem(text.to_owned())
}

/// The key with its chain.
fn pair(
    chain: Vec<CertificateDer<'static>>,
    text: &[u8],
    settings: &Settings,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let wrong = |problem| TlsError::new(KEY_FLAG, &settings.key_file, problem);
    // There are two ways to write a passphrase, neither of which reads as a key.
    let unusable = |problem| {
        wrong(if is_encrypted(text) {
            Problem::EncryptedKey
        } else {
            problem
        })
    };
    let key = PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        unusable(match error {
            pem::Error::NoItemsFound => Problem::NoKey,
            error => broken(&error),
        })
    })?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| unusable(Problem::UnusableKey(error)))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(Error::InconsistentKeys(_)) => Err(wrong(other_key(&pair))),
        Err(error) => Err(cert_error(settings, Problem::Refused(error))),
    }
}

/// Whose key it is, where it is not that of the first certificate.
fn other_key(pair: &CertifiedKey) -> Problem {
    let is_of = |certificate: &CertificateDer<'static>| {
        let other = CertifiedKey::new(vec![certificate.clone()], Arc::clone(&pair.key));
        other.keys_match().is_ok()
    };
    match pair.cert.iter().position(is_of) {
        Some(index) => Problem::LaterCertificate(index + 1),
        None => Problem::OtherKey,
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// What looks at the certificates of clients; `None` where nobody is asked.
fn verifier(
    authorities: Option<&[u8]>,
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (
        Some(text),
        Clients::Certified {
            ca_file, required, ..
        },
    ) = (authorities, &settings.clients)
    else {
        return Ok(None);
    };
    let wrong = |problem| TlsError::new(CA_FLAG, ca_file, problem);
    let found = certificates(text).map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(Problem::NoCertificate));
    }
    let mut roots = RootCertStore::empty();
    for (index, authority) in found.into_iter().enumerate() {
        let problem = |error| wrong(Problem::NoAuthority(index + 1, error));
        roots.add(authority).map_err(problem)?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if *required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let verifier = builder
        .build()
        .expect("there is a root, and there are no revocation lists to be wrong");
    Ok(Some(verifier))
}
