//! What a certificate says: its names, its time, and which machine it stands for.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use crate::label::{Identity, Proven};

/// The most names of a certificate that a log line shows: enough to know it by.
const SHOWN_NAMES: usize = 8;

/// Why a certificate that leads to a trusted authority does not say which machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// None of its names can be the label.
    Nameless,
    /// Several of its names can be the label, and they differ.
    Ambiguous,
}

impl Unusable {
    /// The reason in one word, for the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Nameless => "no_label_in_certificate",
            Self::Ambiguous => "ambiguous_certificate",
        }
    }
}

/// Which machine a certificate stands for. Its names are the common names of its subject, the DNS names of its `subjectAltName`,
/// and for a `uuid` the URIs there that begin with `urn:uuid:`. All of them that can be the label at all have to be the same one:
/// an authority may look closely at one kind of name and let everything pass in another.
pub(super) fn machine(
    der: &CertificateDer<'_>,
    identity: Identity,
) -> Result<Arc<Proven>, Unusable> {
    // Verified before, so it parses; what does not is nobody's.
    let certificate = parse(der).ok_or(Unusable::Nameless)?;
    let names = Names::of(&certificate).ok_or(Unusable::Ambiguous)?;
    let mut found: Option<Proven> = None;
    for name in names.candidates(identity) {
        let Ok(proven) = Proven::new(identity, name) else {
            continue;
        };
        match &found {
            Some(known) if *known == proven => {}
            Some(_) => return Err(Unusable::Ambiguous),
            None => found = Some(proven),
        }
    }
    found.map(Arc::new).ok_or(Unusable::Nameless)
}

/// What is told about a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Its names: those of `subjectAltName`, else the common name.
    pub(super) names: String,
    /// From when on it is good.
    pub(super) not_before: SystemTime,
    /// Until when it is good.
    pub(super) not_after: SystemTime,
    /// Whether it is its own issuer, as roots are.
    pub(super) is_root: bool,
    /// Whether it is of X.509's first version, which no TLS library takes.
    pub(super) is_version_1: bool,
}

/// What a certificate of ours says; `None` when it is no certificate.
pub(super) fn summary(der: &CertificateDer<'_>) -> Option<Summary> {
    let certificate = parse(der)?;
    let names = Names::of(&certificate).unwrap_or_default();
    Some(Summary {
        names: names.shown(),
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
        is_root: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        is_version_1: certificate.version() == X509Version::V1,
    })
}

fn parse<'c>(der: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    let (rest, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    rest.is_empty().then_some(certificate)
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The names of a certificate that may say something to us.
#[derive(Default)]
struct Names<'c> {
    common: Vec<&'c str>,
    dns: Vec<&'c str>,
    uris: Vec<&'c str>,
    addresses: Vec<&'c [u8]>,
}

impl<'c> Names<'c> {
    /// `None` when it has more than one `subjectAltName`.
    fn of(certificate: &'c X509Certificate<'_>) -> Option<Self> {
        let subject = certificate.subject();
        let mut names = Self {
            // Text that is neither UTF-8 nor a part of it is not read.
            common: subject
                .iter_common_name()
                .filter_map(|name| name.as_str().ok())
                .collect(),
            ..Self::default()
        };
        let alternatives = certificate.subject_alternative_name().ok()?;
        let alternatives = alternatives.iter().flat_map(|all| &all.value.general_names);
        for name in alternatives {
            match name {
                GeneralName::DNSName(name) => names.dns.push(name),
                GeneralName::URI(uri) => names.uris.push(uri),
                GeneralName::IPAddress(bytes) => names.addresses.push(bytes),
                _ => {}
            }
        }
        Some(names)
    }

    /// What may be the label, in any spelling. Blanks or NULs at the ends, which a query loses, make a name of a certificate
    /// another name: the authority vouches for what it saw.
    fn candidates(&self, identity: Identity) -> impl Iterator<Item = &'c str> {
        let is_urn = move |uri: &&str| identity == Identity::Uuid && begins_with(uri, "urn:uuid:");
        // DNS names have no case, and authorities that copy the common name there may change it.
        let is_copy = |dns: &&str| {
            let mut common = self.common.iter();
            common.any(|name| name.eq_ignore_ascii_case(dns))
        };
        let dns = self.dns.iter().filter(move |dns| !is_copy(dns));
        let uris = self.uris.iter().filter(move |uri| is_urn(uri));
        let all = self.common.iter().chain(dns).chain(uris).copied();
        all.filter(|name| name.trim_matches([' ', '\t', '\0']) == *name)
    }

    fn shown(&self) -> String {
        let addresses = self.addresses.iter().filter_map(|bytes| address(bytes));
        let others = self.dns.iter().chain(&self.uris).map(ToString::to_string);
        let mut names: Vec<String> = others.chain(addresses).collect();
        if names.is_empty() {
            names.extend(self.common.iter().map(ToString::to_string));
        }
        let more = names.len().saturating_sub(SHOWN_NAMES);
        names.truncate(SHOWN_NAMES);
        let names = names.join(" ");
        if more > 0 {
            format!("{names} and {more} more")
        } else {
            names
        }
    }
}

fn begins_with(text: &str, prefix: &str) -> bool {
    text.split_at_checked(prefix.len())
        .is_some_and(|(start, _)| start.eq_ignore_ascii_case(prefix))
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(bytes).to_string());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate() -> CertificateDer<'static> {
        let names = ["boot.example", "10.20.0.2", "fd00::2"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        let uri = "urn:uuid:47c6da67-7477-4970-aa03-84e48ff4f6ad";
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
        params
            .distinguished_name
            .push(DnType::CommonName, "52-54-00-AB-CD-EF");
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_is_shown_by_its_names_and_time() {
        let summary = summary(&certificate()).unwrap();
        let names = "boot.example urn:uuid:47c6da67-7477-4970-aa03-84e48ff4f6ad 10.20.0.2 fd00::2";
        assert_eq!(summary.names, names);
        assert!(summary.is_root && !summary.is_version_1);
        assert!(summary.not_before < summary.not_after);
    }

    #[test]
    fn each_label_is_read_from_where_it_can_stand() {
        let value = |identity| {
            let machine = machine(&certificate(), identity);
            machine.map(|proven| proven.value().to_owned())
        };
        assert_eq!(value(Identity::Mac), Ok("52:54:00:ab:cd:ef".to_owned()));
        let uuid = "47c6da67-7477-4970-aa03-84e48ff4f6ad".to_owned();
        assert_eq!(value(Identity::Uuid), Ok(uuid));
        assert_eq!(value(Identity::Serial), Err(Unusable::Ambiguous));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let der = CertificateDer::from(bytes);
            let _ = summary(&der);
            for identity in Identity::ALL {
                let _ = machine(&der, identity);
            }
        }

        #[test]
        fn nor_do_broken_certificates(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>()) {
            let mut bytes = certificate().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            for length in [bytes.len(), cut.index(bytes.len())] {
                let der = CertificateDer::from(bytes[..length].to_vec());
                let _ = summary(&der);
                for identity in Identity::ALL {
                    let _ = machine(&der, identity);
                }
            }
        }
    }
}
