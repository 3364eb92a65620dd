//! The accept loop: connections with limits, timeouts and an end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::http::header::{CONNECTION, EXPECT, TRANSFER_ENCODING};
use ::http::{HeaderValue, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::access::Networks;
use super::listen::Listener;
use super::quiet::Quiet;
use super::request::{Arrival, Inquiry};
use super::tls::{Acceptor, Session};
use super::wire::{Activity, Watched};
use crate::observe::metrics;

/// The longest target that gets an answer of ours, in bytes: hyper's own limit. A longer one gets hyper's.
const TARGET_BYTES: usize = 64 << 10;

/// How long a body is read only to be thrown away, so that a client that posts sees the answer instead of a reset
/// connection: what fits into this on a local network is more than anybody sends by mistake.
const UNWANTED_TIME: Duration = Duration::from_secs(5);

/// How many connections that wait are taken one after the other, before the loop looks after those that it has and leaves the
/// next ones to other threads.
const TAKEN_AT_ONCE: usize = 8;

/// How often a thread looks whether the last connection has ended, once there are no new ones.
const END_PAUSE: Duration = Duration::from_millis(50);

/// How long the accept loop rests when the system has no more files or memory for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// How often at most the log says that connections are turned away, so that a flood of them is not one of lines too.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of a request's header section.
    pub max_header_bytes: usize,
    /// How long a header may take from its first byte, or from the connection's beginning for the first one.
    pub header_timeout: Duration,
    /// How long a connection may do nothing.
    pub idle_timeout: Duration,
    /// How long one request may take, from the first byte of its header until its answer is handed to the system.
    pub request_timeout: Duration,
    /// The connections in all.
    pub max_connections: usize,
    /// The connections of one address, proxies excepted.
    pub max_connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Clients of ours send a few hundred bytes; proxies add some; this is what most servers take.
            max_header_bytes: 16 << 10,
            // A header is one packet; slower than this is a client that holds the connection.
            header_timeout: Duration::from_secs(10),
            // More than the ten seconds for which iPXE keeps a connection in its pool.
            idle_timeout: Duration::from_secs(30),
            // The largest file that a commit may hold unless told otherwise, 4 MiB, at 14 kB/s.
            request_timeout: Duration::from_mins(5),
            // A rack row that is switched on at once, below the usual limit of open files in a service.
            max_connections: 16_384,
            // A whole site behind one translated address, and still a sixty-fourth of all.
            max_connections_per_address: 256,
        }
    }
}

/// What answers requests: [`super::routes`] as a service.
pub trait BootService:
    Service<
        Request<Empty<Bytes>>,
        Response = warp::reply::Response,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> BootService for S where
    S: Service<
            Request<Empty<Bytes>>,
            Response = warp::reply::Response,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Where connections come in: counts them, and ends them when asked.
#[derive(Debug)]
pub struct Door {
    limits: Limits,
    /// Who speaks for many machines, so that the limit for one address is not theirs.
    proxies: Networks,
    /// One permit a connection.
    permits: Arc<Semaphore>,
    /// The number of permits.
    total: u32,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    complained: Mutex<Option<Instant>>,
    closing: watch::Sender<bool>,
}

impl Door {
    /// A door with these limits. That for one address does not hold for these proxies.
    #[must_use]
    pub fn new(limits: Limits, proxies: Networks) -> Arc<Self> {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let total = u32::try_from(limits.max_connections)
            .unwrap_or(most)
            .clamp(1, most);
        Arc::new(Self {
            limits,
            proxies,
            permits: Arc::new(Semaphore::new(total as usize)),
            total,
            by_address: Mutex::default(),
            complained: Mutex::default(),
            closing: watch::Sender::new(false),
        })
    }

    /// Takes connections from this listener and answers their requests until [`Self::close`] is called. Nothing else
    /// ends it.
    pub async fn serve<S: BootService>(self: Arc<Self>, listener: Listener, service: S) {
        let mut closing = self.closing.subscribe();
        let mut taken = 0_usize;
        loop {
            let accepted = tokio::select! {
                accepted = listener.socket.accept() => accepted,
                () = closed(&mut closing) => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // At the limit the next connection waits here, and the ones after it in the kernel's queue.
                    let permit = tokio::select! {
                        permit = self.permit() => permit,
                        () = closed(&mut closing) => return,
                    };
                    let Ok(local) = listener.local_address(&stream) else {
                        continue;
                    };
                    if let (Some(permit), Some(place)) = (permit, self.place(peer)) {
                        let (door, service) = (Arc::clone(&self), service.clone());
                        let ends = (canonical(peer), canonical(local));
                        let held = (place, permit);
                        // Two tasks, since a task is as large as it can get: most connections know nothing of TLS.
                        match listener.tls.clone() {
                            None => tokio::spawn(async move {
                                let session = Session::plain();
                                door.connection(stream, ends, session, service).await;
                                drop(held);
                            }),
                            Some(tls) => tokio::spawn(async move {
                                door.secured(stream, ends, tls, service).await;
                                drop(held);
                            }),
                        };
                    }
                    taken += 1;
                    if taken.is_multiple_of(TAKEN_AT_ONCE) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    /// Closes the listeners. Connections end once their request in flight is answered.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the door is closed and no connection is left.
    pub(super) async fn ended(&self) {
        closed(&mut self.closing.subscribe()).await;
        // Who waits for permits takes some, and then the rest could not be counted.
        while self.connections() > 0 {
            tokio::time::sleep(END_PAUSE).await;
        }
    }

    /// Waits until no connection is left.
    pub async fn empty(&self) {
        // Fails only when the semaphore is closed, which nobody does.
        let _ = self.permits.acquire_many(self.total).await;
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        (self.total as usize).saturating_sub(self.permits.available_permits())
    }

    /// How many connections may be open.
    #[must_use]
    pub fn connections_limit(&self) -> usize {
        self.total as usize
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if self.permits.available_permits() == 0 {
            metrics().connection_waited();
            self.complain(format_args!(
                "{} connections are open, the next ones wait (`--max-connections`)",
                self.total
            ));
        }
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// A place among the connections of one address, or `None` when all of them are taken.
    fn place(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let address = peer.ip().to_canonical();
        let limit = self.limits.max_connections_per_address;
        let mut by_address = lock(&self.by_address);
        let count = by_address.entry(address).or_default();
        if *count >= limit && !self.proxies.contains(address) {
            drop(by_address);
            metrics().connection_refused();
            self.complain(format_args!(
                "a connection from {address} is turned away, {limit} are open (`--max-connections-per-address`)"
            ));
            return None;
        }
        *count += 1;
        drop(by_address);
        let door = Arc::clone(self);
        Some(Place { door, address })
    }

    async fn accept_failed(&self, error: &io::Error) {
        // These are the fault of one client, which is gone; the rest is the system's and passes.
        if !matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        ) {
            self.complain(format_args!(
                "no connection can be accepted for now: {error}"
            ));
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
        }
    }

    fn complain(&self, what: std::fmt::Arguments<'_>) {
        let now = Instant::now();
        let mut complained = lock(&self.complained);
        if complained.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_INTERVAL) {
            *complained = Some(now);
            tracing::warn!("{what}");
        }
    }

    /// A connection that begins with a TLS handshake.
    async fn secured<S: BootService>(
        &self,
        stream: TcpStream,
        ends: (SocketAddr, SocketAddr),
        tls: Acceptor,
        service: S,
    ) {
        let mut closing = self.closing.subscribe();
        let handshake = tls.handshake(stream, ends.0.ip(), self.limits.header_timeout);
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = closed(&mut closing) => return,
        };
        if let Some((stream, session)) = shaken {
            self.connection(stream, ends, session, service).await;
        }
    }

    /// A connection whose next byte is HTTP's.
    async fn connection<S: BootService>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        (peer, local): (SocketAddr, SocketAddr),
        mut session: Session,
        service: S,
    ) {
        let activity = Arc::new(Activity::new());
        let arrival = Arc::new(Arrival {
            peer,
            local,
            scheme: session.scheme,
            caller: session.caller.clone(),
        });
        let answer = service_fn(|request: Request<Incoming>| {
            answer(request, Arc::clone(&arrival), &service, &activity)
        });
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let mut connection = pin!(
            http1::Builder::new()
                .half_close(true)
                .header_read_timeout(None)
                .max_buf_size(self.limits.max_header_bytes.saturating_add(TARGET_BYTES))
                .serve_connection(io, answer)
        );
        let expired = pin!(self.expired(&activity));
        let closing = pin!(self.over(&mut session));
        let (mut expired, mut closing) = (Quiet::new(expired), Quiet::new(closing));
        let mut is_closing = false;
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(client = %peer.ip(), "connection ended: {error}");
                    }
                    return;
                }
                () = &mut expired => return,
                () = &mut closing, if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Waits until the connection has done nothing, or one thing, for too long.
    async fn expired(&self, activity: &Activity) {
        let Limits {
            header_timeout,
            idle_timeout,
            request_timeout,
            ..
        } = self.limits;
        // A request that begins or ends meanwhile has a nearer deadline, so look again by then.
        let shortest = header_timeout.min(idle_timeout).min(request_timeout);
        let mut pause = pin!(tokio::time::sleep(shortest));
        loop {
            pause.as_mut().await;
            let now = Instant::now();
            let deadline = activity.deadline(&self.limits);
            if deadline <= now {
                return;
            }
            pause.as_mut().reset(deadline.min(now + shortest).into());
        }
    }

    /// Waits until the connection is to take no further request.
    async fn over(&self, session: &mut Session) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            () = closed(&mut closing) => {}
            () = session.over() => {}
        }
    }
}

/// One connection of an address; gives its place back when it ends.
struct Place {
    door: Arc<Door>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = lock(&self.door.by_address);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Nobody panics while holding one of these locks, and the numbers inside are sound at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the door is closed.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // The sender lives in the door, which outlives all of its connections.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// An IPv4 client of a socket for both families has a mapped address; show it as what it is.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Answers one request. Its body is read and thrown away.
async fn answer<S>(
    request: Request<Incoming>,
    arrival: Arc<Arrival>,
    service: &S,
    activity: &Activity,
) -> Result<warp::reply::Response, Infallible>
where
    S: BootService,
{
    let (parts, body) = request.into_parts();
    let is_drained = drain(body, parts.headers.contains_key(EXPECT)).await;
    // Who sends a length beside it disagrees with somebody about where the body ends, and hyper does not tell.
    let may_be_framed_twice = parts.headers.contains_key(TRANSFER_ENCODING);
    activity.request_read();
    let inquiry = Inquiry {
        method: parts.method,
        target: parts.uri,
        version: parts.version,
        headers: parts.headers,
        arrival,
    };
    let mut response = service.call(inquiry.into_request()).await?;
    if !is_drained || may_be_framed_twice {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// Reads an unwanted body to its end; `false` when it breaks off or takes too long. A client that waits for `100 Continue`
/// has not sent its body, and reading would ask for it.
async fn drain(mut body: Incoming, waits: bool) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if waits {
        return false;
    }
    let read = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(UNWANTED_TIME, read)
        .await
        .unwrap_or(false)
}
