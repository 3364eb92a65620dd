//! The operations listener: what an operator and a monitoring system ask, and where a forge says that there is something new.
//!
//! It has a thread and a runtime of its own, so that nothing that is asked here holds up a machine.

mod accept;
mod answer;
mod explain;
mod file;
mod gate;
mod hook;
mod lists;
mod machines;
mod metrics;
mod page;
mod reply;
mod route;
mod session;
mod source_url;
mod status;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::label::FixedLabels;
use crate::observe::Register;
use crate::poll::Poke;
use crate::publish::Current;
use crate::render::BaseUrl;
use answer::Desk;

pub use file::FileError;
pub use source_url::SourceUrl;

/// How often it is noted which machines were seen; see [`Register::collect`].
const COLLECT_INTERVAL: Duration = Duration::from_millis(100);

/// The same while machines are seen, so that thousands of answers are not taken in at one moment, for which others would wait.
const BUSY_COLLECT_INTERVAL: Duration = Duration::from_millis(5);

/// Where operators ask unless they say otherwise: this machine alone (contract, section 7).
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// What the listener is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; without an operator's word, on [`DEFAULT_LISTEN`] if that is free.
    pub listen: Option<SocketAddr>,
    /// The file with the token, without which nobody gets `/` and `/api/…` on an address that is not loopback.
    pub token_file: Option<PathBuf>,
    /// The file with the secret that forges sign with; without it there is no `/hooks/push`.
    pub hook_secret_file: Option<PathBuf>,
    /// Where the repository can be read in a browser, if that is known.
    pub source_url: Option<SourceUrl>,
}

impl Settings {
    /// Where the listener is, if it is anywhere.
    pub(super) fn address(&self) -> SocketAddr {
        self.listen.unwrap_or(DEFAULT_LISTEN)
    }

    /// Ensures that the files are there, hold something, and can be read.
    ///
    /// # Errors
    /// Names the flag, the file and what is wrong.
    pub fn check_files(&self) -> Result<(), FileError> {
        for (flag, path) in [
            ("--ops-token-file", &self.token_file),
            ("--hook-secret-file", &self.hook_secret_file),
        ] {
            if let Some(path) = path {
                file::check(flag, path)?;
            }
        }
        Ok(())
    }
}

/// How busy the server is at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Open connections to the boot listeners.
    pub connections: usize,
    /// How many there may be.
    pub connections_limit: usize,
    /// TFTP transfers that run.
    pub transfers: usize,
    /// When the certificate of the TLS listeners expires; `None` where there are none.
    pub certificate_expires: Option<SystemTime>,
}

/// What answers are made of.
pub struct Sources {
    /// What is published.
    pub current: Current,
    /// What asks for a check of the repository.
    pub poke: Poke,
    /// How busy the server is.
    pub load: Box<dyn Fn() -> Load + Send + Sync>,
    /// The folder whose size is told; `None` where nothing is stored.
    pub store: Option<PathBuf>,
    /// What URLs in explanations start with.
    pub base: BaseUrl,
    /// Labels that are added to every request.
    pub fixed_labels: FixedLabels,
    /// Where the repository can be read in a browser, if that is known.
    pub source_url: Option<SourceUrl>,
    /// Whether the server is about to end.
    pub is_draining: Box<dyn Fn() -> bool + Send + Sync>,
    /// How old the last good check may be before the server is not ready.
    pub ready_max_age: Option<Duration>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Answers on this listener until `stop` turns true.
///
/// # Errors
/// When the thread or its runtime cannot be had.
pub fn spawn(
    listener: TcpListener,
    settings: &Settings,
    sources: Sources,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let desk = Desk::new(settings, sources, Register::open());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // They read small files.
        .max_blocking_threads(2)
        .build()?;
    thread::Builder::new()
        .name("ops".to_owned())
        .spawn(move || runtime.block_on(accept::serve(listener, desk.into(), stop)))?;
    Ok(())
}
