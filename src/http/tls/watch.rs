//! What is shown at the moment, and the loop that keeps up with the files.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use tokio::sync::{Notify, watch};

use super::error::{Problem, TlsError};
use super::files::{CERT_FLAG, Contents, KEY_FLAG};
use super::handshake::Acceptor;
use super::load::Loaded;
use super::{Clients, Settings};
use crate::label::Identity;

/// The pause between looks at the files: three small reads, and a certificate of a day's life is shown for all but two
/// seconds of it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What handshakes use at the moment.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) config: Arc<ServerConfig>,
    /// Another number for other authorities.
    pub(super) trust: u64,
    /// When our certificate expires.
    not_after: SystemTime,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest is rustls's and long.
        f.debug_struct("Shown")
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// TLS as all listeners speak it.
#[derive(Debug)]
pub struct Tls {
    settings: Settings,
    shown: watch::Sender<Shown>,
    look: Notify,
    /// What hides the contents of files in their fingerprints.
    keys: RandomState,
    /// The state of the files that was loaded at start.
    first: u64,
    first_authorities: Option<Vec<u8>>,
    first_expiry: SystemTime,
}

impl Tls {
    /// Reads the files and says in the log what they hold.
    ///
    /// # Errors
    /// Names the first file that cannot be used, and what is wrong with it. A certificate that has expired is only told in
    /// the log: there is no better one, and the clock may be wrong.
    pub fn load(settings: Settings) -> Result<Arc<Self>, TlsError> {
        let keys = RandomState::new();
        let contents = Contents::read(&settings);
        let first = contents.fingerprint(&keys);
        let key_is_open = contents.key_is_open;
        let loaded = Loaded::of(contents, &settings)?;
        if key_is_open {
            tracing::warn!(
                "everybody on this machine may read the private key of `{KEY_FLAG}` (`{}`); `chmod o-r` it",
                settings.key_file.display()
            );
        }
        tell(&loaded, "loaded");
        let (shown, _) = watch::channel(Shown {
            config: loaded.config,
            trust: 0,
            not_after: loaded.summary.not_after,
        });
        Ok(Arc::new(Self {
            settings,
            shown,
            look: Notify::new(),
            keys,
            first,
            first_authorities: loaded.authorities,
            first_expiry: loaded.summary.not_after,
        }))
    }

    /// Looks at the files now instead of in a moment.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// When the certificate that is shown at the moment expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.shown.borrow().not_after
    }

    /// Which label certificates of clients prove.
    #[must_use]
    pub fn label(&self) -> Option<Identity> {
        self.settings.label()
    }

    /// What a listener needs.
    pub(in crate::http) fn acceptor(&self) -> Acceptor {
        Acceptor {
            shown: self.shown.subscribe(),
            required: matches!(
                self.settings.clients,
                Clients::Certified { required: true, .. }
            ),
            label: self.label(),
            complained: Arc::default(),
        }
    }

    /// Keeps up with the files for ever. Whoever replaces them does it in several steps, so a state of them counts once two
    /// looks in a row have found it, or [`Tls::look`] was called. One that is not sound changes nothing.
    pub async fn watch(self: Arc<Self>) {
        let (mut seen, mut taken) = (self.first, self.first);
        let mut authorities = self.first_authorities.clone();
        let mut expiry = Some(self.first_expiry);
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                () = self.look.notified() => true,
            };
            if expiry.is_some_and(|expiry| expiry < SystemTime::now()) {
                expiry = None;
                tracing::warn!(
                    "the TLS certificate has expired; write a new one into `{CERT_FLAG}`"
                );
            }
            let settings = self.settings.clone();
            let read = tokio::task::spawn_blocking(move || Contents::read(&settings));
            // A failure to read a file is none of the task.
            let Ok(contents) = read.await else { continue };
            let now = contents.fingerprint(&self.keys);
            let is_whole = is_asked || now == seen;
            seen = now;
            if now == taken || !is_whole {
                continue;
            }
            taken = now;
            match self.renewed(contents) {
                Ok(loaded) => {
                    tell(&loaded, "loaded again");
                    expiry = Some(loaded.summary.not_after);
                    let is_other = loaded.authorities != authorities;
                    authorities.clone_from(&loaded.authorities);
                    self.shown.send_modify(|shown| {
                        shown.config = loaded.config;
                        shown.trust += u64::from(is_other);
                        shown.not_after = loaded.summary.not_after;
                    });
                }
                Err(error) => {
                    tracing::warn!("the TLS certificate stays as it was: {error}");
                }
            }
        }
    }

    /// A new state of the files, if it is as good as the one before.
    fn renewed(&self, contents: Contents) -> Result<Loaded, TlsError> {
        let loaded = Loaded::of(contents, &self.settings)?;
        if loaded.has_expired() {
            let at = humantime::format_rfc3339_seconds(loaded.summary.not_after);
            let problem = Problem::Expired(at);
            return Err(TlsError::new(CERT_FLAG, &self.settings.cert_file, problem));
        }
        Ok(loaded)
    }
}

fn tell(loaded: &Loaded, how: &str) {
    let summary = &loaded.summary;
    tracing::info!(
        names = summary.names,
        not_after = %humantime::format_rfc3339_seconds(summary.not_after),
        certificates = loaded.chain,
        "TLS certificate {how}"
    );
    if summary.not_before > SystemTime::now() {
        tracing::warn!(
            "the TLS certificate is not good before {}; this machine's clock may be wrong",
            humantime::format_rfc3339_seconds(summary.not_before)
        );
    }
    if !loaded.ends_in_root {
        tracing::warn!(
            "the last certificate in `{CERT_FLAG}` is no root; iPXE knows roots by their fingerprints alone, so append the root"
        );
    }
}
