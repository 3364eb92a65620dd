//! The flags for TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;

use super::Misuse;
use super::units::address;
use crate::http::tls::{Clients, Settings};
use crate::label::Identity;

/// The flags for TLS on the boot listener.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct Tls {
    /// An address to listen on for https, beside --listen; repeatable
    #[arg(id = "tls_listen", long = "tls-listen", value_name = "ADDRESS", value_parser = address)]
    listen: Vec<SocketAddr>,
    /// The certificate to show, in PEM: the server's own, its issuers, the root; read again when it changes
    #[arg(long = "tls-cert-file", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// The private key of --tls-cert-file, in PEM without a passphrase; read again when it changes
    #[arg(long = "tls-key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The authorities that client certificates have to lead to, in PEM; read again when it changes
    #[arg(long = "tls-client-ca-file", value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// Whether clients on --tls-listen have to show a certificate [default: none]
    #[arg(long = "tls-client-auth", value_name = "WHO")]
    client_auth: Option<ClientAuth>,
    /// The label that a client certificate's CN or SAN is; nobody gets a script without
    #[arg(long = "tls-client-label", value_name = "KEY")]
    client_label: Option<ClientLabel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClientAuth {
    None,
    Optional,
    Required,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClientLabel {
    Uuid,
    Serial,
    Mac,
    Asset,
}

impl From<ClientLabel> for Identity {
    fn from(label: ClientLabel) -> Self {
        match label {
            ClientLabel::Uuid => Self::Uuid,
            ClientLabel::Serial => Self::Serial,
            ClientLabel::Mac => Self::Mac,
            ClientLabel::Asset => Self::Asset,
        }
    }
}

impl Tls {
    /// Whether somebody said where to listen.
    pub(super) fn listens(&self) -> bool {
        !self.listen.is_empty()
    }

    /// Where to listen for TLS and how to speak it; `None` without the flags. With a socket that was given it needs no address.
    pub(super) fn settings(
        &self,
        has_socket: bool,
    ) -> Result<Option<(Vec<SocketAddr>, Settings)>, Misuse> {
        let misuse = |text: &str| Err(Misuse(text.to_owned()));
        let clients = self.clients()?;
        match (&*self.listen, &self.cert_file, &self.key_file) {
            ([], None, None) if clients == Clients::Anybody && !has_socket => Ok(None),
            ([], ..) if !has_socket => {
                misuse("flags that start with `--tls-` are for `--tls-listen`, which is not given")
            }
            (listen, Some(cert_file), Some(key_file)) => {
                let settings = Settings {
                    cert_file: cert_file.clone(),
                    key_file: key_file.clone(),
                    clients,
                };
                Ok(Some((listen.to_vec(), settings)))
            }
            ([], ..) => {
                misuse("a socket of the name `https` needs `--tls-cert-file` and `--tls-key-file`")
            }
            _ => misuse("`--tls-listen` needs `--tls-cert-file` and `--tls-key-file`"),
        }
    }

    /// Ensure that nobody believes that clients are looked at when they are not.
    fn clients(&self) -> Result<Clients, Misuse> {
        let misuse = |text: &str| Err(Misuse(text.to_owned()));
        let auth = self.client_auth.unwrap_or(ClientAuth::None);
        match (&self.client_ca_file, auth) {
            (_, ClientAuth::None) if self.client_label.is_some() => misuse(
                "`--tls-client-label` needs `--tls-client-auth required`: without certificates nobody is anybody",
            ),
            (Some(_), ClientAuth::None) if self.client_auth.is_none() => misuse(
                "`--tls-client-ca-file` needs `--tls-client-auth`: `required` or `optional`, or `none` to leave it unused",
            ),
            (_, ClientAuth::None) => Ok(Clients::Anybody),
            (None, ClientAuth::Optional | ClientAuth::Required) => misuse(
                "`--tls-client-auth` needs `--tls-client-ca-file`: whose certificates are good",
            ),
            (Some(ca_file), ClientAuth::Optional | ClientAuth::Required) => {
                Ok(Clients::Certified {
                    ca_file: ca_file.clone(),
                    required: auth == ClientAuth::Required,
                    label: self.client_label.map(Identity::from),
                })
            }
        }
    }
}
