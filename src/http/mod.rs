//! The boot listener: what machines ask, over HTTP/1.
//!
//! [`routes`] is the whole of it without a socket; [`bind`] and [`Door`] add sockets, limits and an end, [`tls`] certificates.

mod accept;
mod access;
mod answer;
mod chain;
mod etag;
mod host;
mod lag;
mod listen;
mod quiet;
mod reply;
mod request;
mod route;
pub mod tls;
mod wire;
pub mod workers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ::http::Response;
use bytes::Bytes;
use hyper_util::service::TowerToHyperService;
use warp::{Filter, Rejection};

pub use accept::{BootService, Door, Limits};
pub use access::{Access, ClientAddress, Network, Networks};
pub use chain::{boot_script, first_stage};
pub use host::local_authority;
pub use listen::{BindError, Listener, adopt, adopt_tls, bind, bind_ops, bind_tls};
pub use request::{Arrival, Asked, Inquiry};
pub use tls::{Tls, TlsError};

use crate::label::{FixedLabels, Identity};
use crate::poll::Poke;
use crate::publish::Current;
use crate::render::BaseUrl;
use answer::Look;

/// How long after the start clients are asked to come back when nothing is published yet. A server that has had no
/// repository for longer than this may be what its own git host boots from, so clients should go on.
pub const STARTING: Duration = Duration::from_mins(5);

/// What the routes are told at start.
#[derive(Debug)]
pub struct Settings {
    /// What URLs start with; without it, the listener's scheme and the request's host.
    pub external_url: Option<BaseUrl>,
    /// Labels that are added to every request.
    pub fixed_labels: FixedLabels,
    /// Whether `/v1/boot/…` exists.
    pub boot_api: bool,
    /// Who may ask, and through whom.
    pub access: Access,
    /// Which label a client certificate proves. Whoever has proven none, on a listener where that is required, gets only what is
    /// for everybody; see [`tls`].
    pub client_label: Option<Identity>,
    /// What `/boot.ipxe` answers; see [`boot_script`].
    pub boot_script: Bytes,
    /// How old the last good check may be before `/ready` says no.
    pub ready_max_age: Option<Duration>,
    /// The most bytes of a request's header section.
    pub max_header_bytes: usize,
    /// Until when clients are asked to come back while nothing is published; see [`STARTING`].
    pub starting_until: Instant,
    /// What asks for a check when nobody here knows the id of a config; `None` where there is nothing to check.
    pub poke: Option<Poke>,
    /// Set once the server is about to end, so that `/ready` says no.
    pub draining: Arc<AtomicBool>,
}

/// [`routes`] as [`Door`]s want it.
pub fn service(current: Current, settings: Arc<Settings>) -> impl BootService {
    TowerToHyperService::new(warp::service(routes(current, settings)))
}

/// All routes of the boot listener. They take what [`Inquiry::into_request`] makes.
pub fn routes(
    current: Current,
    settings: Arc<Settings>,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone {
    warp::ext::get::<Arc<Inquiry>>().then(move |inquiry: Arc<Inquiry>| {
        let (current, settings) = (current.clone(), Arc::clone(&settings));
        async move {
            let peer = inquiry.arrival.peer.ip();
            let client = settings.access.client(peer, &inquiry.headers);
            let asked = inquiry.asked(client);
            let arrived = Instant::now();
            let is_known = || answer::is_known(&asked, &current.load(), &settings);
            let is_checked = match &settings.poke {
                Some(poke) if !guarded(is_known).unwrap_or(true) => lag::look(poke, is_known).await,
                _ => true,
            };
            let publication = current.load();
            let look = Look {
                arrived,
                is_checked,
            };
            guarded(|| answer::answer(&asked, &publication, &settings, look))
                .unwrap_or_else(|| answer::fault(&asked))
        }
    })
}

/// A fault of ours in one answer is an error to one machine.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
