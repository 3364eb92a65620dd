//! TFTP beside HTTP: where it listens, and how it leads there.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;

use super::Settings;
use crate::http;
use crate::render::BaseUrl;
use crate::tftp::{self, Hatch, Limits, Listener};

/// The files that one transfer has open: its socket and what it reads.
const FILES_PER_TRANSFER: usize = 2;

/// What TFTP is told.
#[derive(Clone, Debug)]
pub struct Tftp {
    /// Where to listen; nowhere by default.
    pub listen: Vec<SocketAddr>,
    /// The folder with files, beside the scripts of the server itself.
    pub root: Option<PathBuf>,
    /// How many transfers may run at once.
    pub limits: Limits,
}

/// Binds all addresses, listens on these sockets beside them, and looks whether the folder is there.
pub(super) fn bind(tftp: &Tftp, given: Vec<UdpSocket>) -> anyhow::Result<Vec<Listener>> {
    if let Some(root) = &tftp.root {
        tftp::check_root(root).with_context(|| {
            format!(
                "cannot serve files from `{}` (`--tftp-root`)",
                root.display()
            )
        })?;
    }
    let mut listeners = tftp::bind(&tftp.listen)?;
    let given = tftp::adopt(given);
    listeners.extend(given.context("cannot use a UDP socket of the service manager")?);
    Ok(listeners)
}

/// How many files it may have open beside those of HTTP.
pub(super) fn files(tftp: &Tftp, listeners: &[Listener]) -> usize {
    if listeners.is_empty() {
        return 0;
    }
    tftp.limits.max_transfers.saturating_mul(FILES_PER_TRANSFER)
}

/// Serves on all of these listeners. `http` is where HTTP is listened on.
pub(super) fn start(
    listeners: Vec<Listener>,
    settings: &Settings,
    http: Vec<SocketAddr>,
) -> Arc<Hatch> {
    let access = settings.access.clone();
    let attempts = settings.boot_attempts;
    let external = settings.external_url.clone();
    let hatch = Hatch::new(tftp::Settings {
        root: settings.tftp.root.clone(),
        limits: settings.tftp.limits,
        admits: Box::new(move |address| access.admits_address(address)),
        script: Box::new(move |asked| script(external.as_ref(), &http, asked, attempts)),
    });
    for listener in listeners {
        tracing::info!("listening on tftp://{}", listener.address());
        tokio::spawn(Arc::clone(&hatch).serve(listener));
    }
    hatch
}

fn script(external: Option<&BaseUrl>, http: &[SocketAddr], asked: IpAddr, attempts: u32) -> Bytes {
    let base = external.cloned();
    http::first_stage(&base.unwrap_or_else(|| base_at(http, asked)), attempts)
}

/// Where a machine that asked at this address finds HTTP: there, if one of the listeners takes it, else at the first one.
fn base_at(http: &[SocketAddr], asked: IpAddr) -> BaseUrl {
    let takes = |listener: &&SocketAddr| match listener.ip().to_canonical() {
        // An IPv4 address is taken on `[::]`, too; who listens on both has two listeners.
        ip if ip.is_unspecified() => ip.is_ipv6() || asked.is_ipv4(),
        ip => ip == asked,
    };
    let exact = http
        .iter()
        .find(|listener| listener.ip().to_canonical() == asked);
    let found = exact.or_else(|| http.iter().find(takes)).or(http.first());
    let address = match found {
        Some(listener) if !takes(&listener) => *listener,
        Some(listener) => SocketAddr::new(asked, listener.port()),
        None => SocketAddr::new(asked, 80),
    };
    BaseUrl::of_request("http", &http::local_authority(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_led_to_a_listener_that_takes_the_address_that_they_asked() {
        for (listeners, asked, expected) in [
            (&["[::]:8080"][..], "192.0.2.1", "http://192.0.2.1:8080"),
            (&["[::]:8080"], "2001:db8::1", "http://[2001:db8::1]:8080"),
            (&["0.0.0.0:80"], "192.0.2.1", "http://192.0.2.1"),
            (
                &["0.0.0.0:80", "192.0.2.1:81"],
                "192.0.2.1",
                "http://192.0.2.1:81",
            ),
            (
                &["192.0.2.9:1", "192.0.2.1:2"],
                "192.0.2.1",
                "http://192.0.2.1:2",
            ),
            (&["192.0.2.9:1"], "192.0.2.1", "http://192.0.2.9:1"),
            (
                &["0.0.0.0:1", "[::]:2"],
                "2001:db8::1",
                "http://[2001:db8::1]:2",
            ),
        ] {
            let http: Vec<SocketAddr> = listeners.iter().map(|one| one.parse().unwrap()).collect();
            assert_eq!(
                base_at(&http, asked.parse().unwrap()).as_str(),
                expected,
                "{listeners:?}"
            );
        }
    }
}
