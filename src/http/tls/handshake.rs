//! The beginning of a connection that speaks TLS, and what holds for the rest of it.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::{Error, InvalidMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Caller;
use super::certificate::{machine, summary};
use super::watch::Shown;
use crate::label::Identity;

/// How often at most the log warns of handshakes that failed: a scanner makes many. All of them are told at `debug`.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

/// Makes TLS out of the connections of a listener.
#[derive(Clone, Debug)]
pub(in crate::http) struct Acceptor {
    pub(super) shown: watch::Receiver<Shown>,
    /// Whether clients without a certificate are turned away.
    pub(super) required: bool,
    /// What certificates of clients say.
    pub(super) label: Option<Identity>,
    pub(super) complained: Arc<Mutex<Option<Instant>>>,
}

impl Acceptor {
    /// Shakes hands within this time; `None` when that fails, which is told in the log.
    pub(in crate::http) async fn handshake<S>(
        &self,
        stream: S,
        client: IpAddr,
        time: Duration,
    ) -> Option<(TlsStream<S>, Session)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shown = self.shown.borrow().clone();
        let handshake = TlsAcceptor::from(shown.config).accept(stream);
        let stream = match tokio::time::timeout(time, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.failed(client, &reason(&error));
                return None;
            }
            Err(_) => {
                self.failed(client, "it took too long (`--header-timeout`)");
                return None;
            }
        };
        if self.shown.borrow().trust != shown.trust {
            self.failed(client, "the authorities of clients have changed meanwhile");
            return None;
        }
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let session = Session {
            scheme: "https",
            caller: self.caller(certificate),
            proof: certificate.map(|certificate| Proof {
                shown: self.shown.clone(),
                trust: shown.trust,
                until: until(certificate),
            }),
        };
        Some((stream, session))
    }

    fn caller(&self, certificate: Option<&CertificateDer<'_>>) -> Caller {
        let (Some(certificate), Some(label)) = (certificate, self.label) else {
            return Caller::Anybody;
        };
        match machine(certificate, label) {
            Ok(proven) => Caller::Machine {
                proven,
                required: self.required,
            },
            Err(unusable) => Caller::Unclear(unusable),
        }
    }

    fn failed(&self, client: IpAddr, reason: &str) {
        tracing::debug!(%client, "TLS handshake failed: {reason}");
        let now = Instant::now();
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_INTERVAL) {
            *complained = Some(now);
            drop(complained);
            tracing::warn!(
                %client,
                "TLS handshake failed: {reason}; others within the next minute are told with `--log-level debug` only"
            );
        }
    }
}

/// What holds for a connection from its handshake on.
#[derive(Debug)]
pub(in crate::http) struct Session {
    /// What URLs of this connection begin with.
    pub(in crate::http) scheme: &'static str,
    /// Who is at the other end.
    pub(in crate::http) caller: Caller,
    proof: Option<Proof>,
}

/// What a client's certificate was accepted by.
#[derive(Debug)]
struct Proof {
    shown: watch::Receiver<Shown>,
    trust: u64,
    until: SystemTime,
}

impl Session {
    /// A connection without TLS.
    pub(in crate::http) fn plain() -> Self {
        Self {
            scheme: "http",
            caller: Caller::Anybody,
            proof: None,
        }
    }

    /// Waits until the client has to prove itself again: its certificate has expired, or other authorities are trusted.
    pub(in crate::http) async fn over(&mut self) {
        let Some(proof) = &mut self.proof else {
            return pending().await;
        };
        let left = proof.until.duration_since(SystemTime::now());
        let expired = tokio::time::sleep(left.unwrap_or_default());
        tokio::select! {
            () = other_trust(&mut proof.shown, proof.trust) => {}
            () = expired => {}
        }
    }
}

/// Waits until other authorities are trusted.
async fn other_trust(shown: &mut watch::Receiver<Shown>, trust: u64) {
    let is_changed = shown.wait_for(|shown| shown.trust != trust).await.is_ok();
    if !is_changed {
        // Nobody is left who could change it.
        pending::<()>().await;
    }
}

/// Until when a certificate is good: up to the end of the second that stands in it.
fn until(certificate: &CertificateDer<'_>) -> SystemTime {
    // One that cannot be read has no time.
    summary(certificate).map_or(UNIX_EPOCH, |summary| {
        summary.not_after + Duration::from_secs(1)
    })
}

/// Why a handshake failed, in words that say what the client did.
fn reason(error: &io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the client does not speak TLS; plain HTTP is for `--listen`".to_owned()
        }
        Some(Error::NoCertificatesPresented) => {
            "the client shows no certificate (`--tls-client-auth required`)".to_owned()
        }
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the client went away".to_owned(),
        None => error.to_string(),
    }
}
