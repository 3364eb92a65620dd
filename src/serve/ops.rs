//! The operations listener beside all others.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::sync::watch;

use super::Settings;
use crate::http::{self, Door, Tls};
use crate::ops::{self, Load, Sources};
use crate::poll::Poke;
use crate::publish::Current;
use crate::render::BaseUrl;
use crate::tftp::Hatch;

/// What explanations show in place of an address that only a request tells.
const UNKNOWN_HOST: &str = "gitboot.invalid";

/// What of the server is told there.
pub(super) struct Parts {
    pub(super) current: Current,
    pub(super) poke: Poke,
    pub(super) door: Arc<Door>,
    pub(super) hatch: Arc<Hatch>,
    /// Set once the server is about to end.
    pub(super) draining: Arc<AtomicBool>,
    pub(super) tls: Option<Arc<Tls>>,
    /// Where something is stored.
    pub(super) store: Option<PathBuf>,
}

/// Binds the address unless there is a socket already, and looks whether the files are there. Must be called inside the
/// runtime.
///
/// Machines boot whether or not somebody looks on: where nobody has chosen the address and it cannot be had, there is a
/// warning and no listener.
pub(super) fn bind(
    settings: &ops::Settings,
    given: Option<TcpListener>,
) -> anyhow::Result<Option<TcpListener>> {
    settings.check_files()?;
    if given.is_some() {
        return Ok(given);
    }
    if let Some(address) = settings.listen {
        return Ok(Some(http::bind_ops(address)?));
    }
    let bound = http::bind_ops(ops::DEFAULT_LISTEN);
    if let Err(error) = &bound {
        tracing::warn!("metrics and status are off: {error}");
    }
    Ok(bound.ok())
}

/// Answers there until `stop` turns true.
pub(super) fn start(
    listener: Option<TcpListener>,
    settings: &Settings,
    parts: Parts,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (Some(listener), Some(ops)) = (listener, &settings.ops) else {
        return Ok(());
    };
    let address = listener
        .local_addr()
        .context("the operations listener has no address")?;
    let Parts {
        current,
        poke,
        door,
        hatch,
        draining,
        tls,
        store,
    } = parts;
    let base = settings.external_url.clone();
    let sources = Sources {
        current,
        poke,
        load: Box::new(move || Load {
            connections: door.connections(),
            connections_limit: door.connections_limit(),
            transfers: hatch.transfers(),
            certificate_expires: tls.as_deref().map(Tls::not_after),
        }),
        store,
        base: base.unwrap_or_else(|| BaseUrl::of_request("http", UNKNOWN_HOST)),
        fixed_labels: settings.fixed_labels.clone(),
        source_url: ops.source_url.clone(),
        is_draining: Box::new(move || draining.load(Ordering::Relaxed)),
        ready_max_age: settings.ready_max_age,
    };
    ops::spawn(listener, ops, sources, stop)
        .context("cannot start the thread that answers operators")?;
    tracing::info!("operations on http://{address}");
    Ok(())
}
