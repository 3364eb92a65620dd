//! TFTP for the first stage: firmware that knows no HTTP gets iPXE here, and iPXE the way to HTTP. Read-only.
//!
//! RFC 1350 with the options of RFC 2347 to 2349 and 7440. [`bind`] makes sockets, a [`Hatch`] serves what comes to them: `packet` reads
//! and writes packets, `transfer` decides what is sent, `root` opens files, `places` counts.

mod content;
mod packet;
mod places;
mod root;
mod serve;
mod socket;
mod transfer;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::observe::{self, Transferred};
use content::{Content, Unsendable, at_disk};
use packet::{Asked, Code, MAX_REQUEST_BYTES, Request};
use places::{Admission, Ends, Place, Places};
use root::Refusal;
use serve::End;
use socket::answering;

pub use socket::{BindError, Listener, adopt, bind};

/// The names that the server answers itself, whatever the folder holds: iPXE asks for the second next to where it came from.
const BOOT_SCRIPT: &str = "boot.ipxe";
const AUTOEXEC: &str = "autoexec.ipxe";

/// How long a listener rests when the system has no memory for what comes.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// How often at most the log says that requests wait, so that a flood of them is not one of lines too.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

/// How many transfers may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub max_transfers: usize,
    /// For one address.
    pub max_transfers_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Rows of racks that are switched on at once: a first stage takes a second. Each has a socket, a file and 64 KiB.
            max_transfers: 1024,
            // Machines behind one translated address, and what somebody who writes that address on requests can have sent
            // to it.
            max_transfers_per_address: 64,
        }
    }
}

/// What is served, and to whom.
pub struct Settings {
    /// The folder with files; without one, there are the server's own scripts alone.
    pub root: Option<PathBuf>,
    /// How many transfers may run at once.
    pub limits: Limits,
    /// Whether this address may ask.
    pub admits: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// The script that leads from here to HTTP, for whoever asked at this address.
    pub script: Box<dyn Fn(IpAddr) -> Bytes + Send + Sync>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, limits, .. } = self;
        let mut told = f.debug_struct("Settings");
        told.field("root", root).field("limits", limits);
        told.finish_non_exhaustive()
    }
}

/// Ensures that files can be served from this folder; says which of them never will.
///
/// # Errors
/// It is no folder, or cannot be entered.
pub fn check_root(root: &Path) -> io::Result<()> {
    root::check(root)?;
    for name in [BOOT_SCRIPT, AUTOEXEC] {
        if root.join(name).symlink_metadata().is_ok() {
            tracing::warn!(
                "`{name}` in `{}` is not served: the server answers this name itself",
                root.display()
            );
        }
    }
    Ok(())
}

/// Where requests come in: begins transfers, counts them, and takes no more of them when asked.
#[derive(Debug)]
pub struct Hatch {
    settings: Settings,
    places: Arc<Places>,
    complained: Mutex<Option<Instant>>,
    closing: watch::Sender<bool>,
}

impl Hatch {
    /// A hatch with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            places: Places::new(settings.limits),
            settings,
            complained: Mutex::default(),
            closing: watch::Sender::new(false),
        })
    }

    /// Takes requests from this listener until [`Self::close`] is called. Nothing else ends it.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        let mut closing = self.closing.subscribe();
        // One byte more than the longest request, so that a longer one is known as such.
        let mut buffer = [0; MAX_REQUEST_BYTES + 1];
        loop {
            let received = tokio::select! {
                received = listener.receive(&mut buffer) => received,
                // The sender lives in the hatch, which outlives this.
                _ = closing.wait_for(|closing| *closing) => return,
            };
            match received {
                Ok(datagram) => {
                    let local = SocketAddr::new(datagram.local, listener.address().port());
                    let packet = buffer.get(..datagram.bytes).unwrap_or(&buffer);
                    self.take((datagram.peer, local), packet);
                }
                Err(error) => {
                    self.complain(format_args!(
                        "no TFTP request can be received for now: {error}"
                    ));
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }

    /// Closes the listeners. Transfers go on.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until no transfer is left.
    pub async fn empty(&self) {
        self.places.empty().await;
    }

    /// How many transfers run.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.places.count()
    }

    /// Begins what a packet asks for, if it asks for anything.
    fn take(self: &Arc<Self>, ends: Ends, packet: &[u8]) {
        let asked = packet::asked(packet);
        // Nobody has port 0, so nobody waits there for an answer.
        if asked == Asked::Noise || ends.0.port() == 0 {
            return;
        }
        match self.places.admit(ends, packet) {
            Admission::Begin(place) => {
                tokio::spawn(Arc::clone(self).answer(place, ends, asked));
            }
            Admission::Known => {}
            // Whoever gets no answer asks again after some seconds, while an error would end the boot.
            Admission::Full(words) => self.complain(format_args!("{words}")),
        }
    }

    async fn answer(self: Arc<Self>, mut place: Place, ends: Ends, asked: Asked) {
        let began = Instant::now();
        let (peer, local) = ends;
        // Fails for what was sent to many at once, which must not be answered (RFC 1123, section 4.2.3.4).
        let Ok(socket) = answering(local.ip(), peer) else {
            return;
        };
        let file = match &asked {
            Asked::Read(request) => Some(request.file.clone()),
            _ => None,
        };
        let end = tokio::select! {
            end = self.end(&socket, ends, asked) => end,
            () = place.replaced() => End {
                status: 499,
                reason: "replaced",
                detail: None,
                bytes: 0,
            },
        };
        observe::transferred(&Transferred {
            client: peer.ip(),
            file: file.as_deref(),
            bytes: end.bytes,
            status: end.status,
            reason: end.reason,
            detail: end.detail.as_deref(),
            micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// Answers, and says how it ended.
    async fn end(&self, socket: &UdpSocket, ends: Ends, asked: Asked) -> End {
        let (peer, local) = ends;
        match self.content(asked, peer.ip(), local.ip()).await {
            Ok((request, content)) => serve::send(socket, peer, &request, content).await,
            Err(problem) => {
                serve::refuse(socket, peer, problem.code, problem.words).await;
                End::refused(problem)
            }
        }
    }

    /// What is asked for, if it is anything that this client may have.
    async fn content(
        &self,
        asked: Asked,
        peer: IpAddr,
        local: IpAddr,
    ) -> Result<(Request, Content), Unsendable> {
        if !(self.settings.admits)(peer) {
            let code = Code::AccessViolation;
            return Err(unsendable(code, "not allowed", "not_allowed", 403));
        }
        match asked {
            Asked::Read(request) => self.file(request, local).await,
            Asked::Write => {
                let words = "nothing can be written here";
                Err(unsendable(Code::AccessViolation, words, "write", 405))
            }
            Asked::Malformed(words) => Err(malformed(words)),
            Asked::Noise => Err(malformed("this is no request")),
        }
    }

    async fn file(
        &self,
        request: Request,
        local: IpAddr,
    ) -> Result<(Request, Content), Unsendable> {
        let parts = root::parts(&request.file)?;
        if is_own(&parts) {
            let script = (self.settings.script)(local);
            let content = Content::of_text(&script, request.mode);
            return Ok((request, content));
        }
        let Some(root) = self.settings.root.clone() else {
            return Err(Refusal::NotFound.into());
        };
        // A disk that hangs holds up nobody else.
        let opened = at_disk(move || {
            let parts = root::parts(&request.file)?;
            let content = Content::open(&root, &parts, request.mode)?;
            Ok((request, content))
        });
        opened.await.unwrap_or(Err(Refusal::Broken.into()))
    }

    fn complain(&self, what: fmt::Arguments<'_>) {
        let now = Instant::now();
        let mut complained = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_INTERVAL) {
            *complained = Some(now);
            tracing::warn!("{what}");
        }
    }
}

/// Whether the server answers this name itself.
fn is_own(parts: &[&str]) -> bool {
    matches!(parts, [BOOT_SCRIPT] | [.., AUTOEXEC])
}

fn malformed(words: &'static str) -> Unsendable {
    unsendable(Code::IllegalOperation, words, "malformed", 400)
}

fn unsendable(code: Code, words: &'static str, reason: &'static str, status: u16) -> Unsendable {
    Unsendable {
        code,
        words,
        reason,
        status,
    }
}
