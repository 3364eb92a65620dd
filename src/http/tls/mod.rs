//! TLS for the boot listener: which certificate we show, whose certificates we ask for, and who a client then is.
//!
//! [`Tls`] holds what is shown at the moment. Its files are looked at all the time, and a new state of them takes effect as
//! soon as it is whole and sound; until then the last sound one stays. One `Tls` serves all listeners.

mod certificate;
mod error;
mod files;
mod handshake;
mod load;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

pub use certificate::Unusable;
pub use error::TlsError;
pub(super) use handshake::{Acceptor, Session};
pub use watch::Tls;

use crate::label::{Identity, Proven};

/// What the operator says about TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The certificate of this server, then those between it and its root, then the root, in PEM.
    pub cert_file: PathBuf,
    /// The private key of the first certificate, in PEM.
    pub key_file: PathBuf,
    /// Who is asked for a certificate.
    pub clients: Clients,
}

/// Who is asked for a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// Nobody.
    #[default]
    Anybody,
    /// Everybody; it has to lead to one of the authorities in this file.
    Certified {
        /// The certificates of authorities, in PEM.
        ca_file: PathBuf,
        /// Whether who shows none is turned away.
        required: bool,
        /// Which machine a certificate stands for is read from its names, as this label.
        label: Option<Identity>,
    },
}

impl Settings {
    /// Which label certificates prove.
    #[must_use]
    pub fn label(&self) -> Option<Identity> {
        match &self.clients {
            Clients::Certified { label, .. } => *label,
            Clients::Anybody => None,
        }
    }
}

/// Who the client of a connection has proven to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: no certificate was asked for or shown, or none is read.
    #[default]
    Anybody,
    /// This machine.
    Machine {
        /// Which one.
        proven: Arc<Proven>,
        /// Whether everybody has to prove that on this listener.
        required: bool,
    },
    /// Its certificate is good, but does not say which machine it is.
    Unclear(Unusable),
}

impl Caller {
    /// Which machine it is, where that is certain.
    #[must_use]
    pub fn proven(&self) -> Option<&Proven> {
        match self {
            Self::Machine { proven, .. } => Some(proven),
            Self::Anybody | Self::Unclear(_) => None,
        }
    }

    /// Why nothing that is one machine's own may be told here, in one word for the log. Only asked where certificates say
    /// who is who.
    pub(super) fn shortcoming(&self) -> Option<&'static str> {
        match self {
            Self::Machine { required: true, .. } => None,
            Self::Machine { .. } => Some("certificate_not_required"),
            Self::Anybody => Some("no_client_certificate"),
            Self::Unclear(reason) => Some(reason.code()),
        }
    }
}
