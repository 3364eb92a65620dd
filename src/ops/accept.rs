//! The accept loop: few connections, short requests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::answer::{Asked, Body, Desk};
use super::hook::MAX_BODY_BYTES;
use super::{BUSY_COLLECT_INTERVAL, COLLECT_INTERVAL};

/// The connections in all: some monitoring systems, some people, some forges.
const MAX_CONNECTIONS: usize = 64;

/// The connections of one address, so that one cannot keep all others out.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 32;

/// The bytes of a request's head.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// How long a connection may wait for a head, the first one and any later one: longer than most pauses between two scrapes.
const HEAD_TIME: Duration = Duration::from_secs(65);

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long a connection may be open, so that whoever reads a byte now and then ends.
const CONNECTION_TIME: Duration = Duration::from_mins(15);

/// How long whoever shows a wrong token waits: with all connections of an address, some hundred guesses a second.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_millis(200);

/// How long the loop rests when the system has no more files for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Takes connections until `stop` turns true.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("the operations listener cannot be used: {error}");
            return;
        }
    };
    tokio::spawn(collect(Arc::clone(&desk)));
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let by_address = Arc::<Mutex<HashMap<IpAddr, usize>>>::default();
    loop {
        let next = async {
            // Fails only when the semaphore is closed, which nobody does.
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            next = next => next,
            // A dropped sender means the same.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = Place::of(peer.ip(), &by_address) {
                    let desk = Arc::clone(&desk);
                    tokio::spawn(async move {
                        let connection = connection(stream, peer, &desk);
                        let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
                        drop((place, permit));
                    });
                }
            }
            Err(_) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
        }
    }
}

/// Takes in which machines were seen, for ever.
async fn collect(desk: Arc<Desk>) {
    let Some(register) = &desk.register else {
        return;
    };
    let mut is_busy = false;
    loop {
        let pause = if is_busy {
            BUSY_COLLECT_INTERVAL
        } else {
            COLLECT_INTERVAL
        };
        tokio::time::sleep(pause).await;
        is_busy = register.collect() > 0;
    }
}

/// One connection of an address; gives its place back when it ends.
struct Place {
    address: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Place {
    fn of(address: IpAddr, by_address: &Arc<Mutex<HashMap<IpAddr, usize>>>) -> Option<Self> {
        let mut counts = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= MAX_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Self {
            address,
            by_address: Arc::clone(by_address),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, desk: &Arc<Desk>) {
    let answer = service_fn(|request| answer(request, desk));
    let result = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = result {
        tracing::debug!(client = %peer.ip(), "operations connection ended: {error}");
    }
}

async fn answer(
    request: Request<Incoming>,
    desk: &Arc<Desk>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let wants_body = desk.wants_body(&head);
    let body = if wants_body {
        read(body).await
    } else {
        Body::Whole(Bytes::new())
    };
    let is_unread = (has_body && !wants_body) || !matches!(body, Body::Whole(_));
    let asked = Asked { head, body };
    let desk = Arc::clone(desk);
    // Files are read, and a large fleet may take a moment.
    let reply = tokio::task::spawn_blocking(move || desk.answer(&asked)).await;
    let reply = reply.unwrap_or_else(|_| super::answer::fault());
    if reply.is_late {
        tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
    }
    Ok(reply.into_response(is_unread))
}

/// Reads a body, but no more of it than anybody needs.
async fn read(body: Incoming) -> Body {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Body::TooLarge;
    }
    let read = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(body)) => Body::Whole(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Body::TooLarge,
        Ok(Err(_)) | Err(_) => Body::Broken,
    }
}
