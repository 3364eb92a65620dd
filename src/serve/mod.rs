//! The composition root: bind, wire, spawn, drain.

mod files;
mod ops;
mod tftp;

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::http::{self, Access, Door, Limits, Listener, Tls, tls};
use crate::keyring::Keyring;
use crate::label::FixedLabels;
use crate::poll::{Build, Desired, Poke, Poller};
use crate::publish::Publisher;
use crate::pulse::Pulse;
use crate::render::BaseUrl;
use crate::state::State;
use crate::systemd::{Line, Manager, Scene, Sockets};
use crate::tftp::{Hatch, Listener as TftpListener};

pub use tftp::Tftp;

/// Everything that a server is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen, beside the sockets that the process was started with.
    pub listen: Vec<SocketAddr>,
    /// Where to listen for TLS beside such sockets, and how it is spoken.
    pub tls: Option<(Vec<SocketAddr>, tls::Settings)>,
    /// What URLs start with.
    pub external_url: Option<BaseUrl>,
    /// Labels that are added to every request.
    pub fixed_labels: FixedLabels,
    /// How often `boot.ipxe` asks; 0 for ever.
    pub boot_attempts: u32,
    /// Whether `/v1/boot/…` exists.
    pub boot_api: bool,
    /// Who may ask, and through whom.
    pub access: Access,
    /// How old the last good check may be before `/ready` says no.
    pub ready_max_age: Option<Duration>,
    /// The pause between checks of the repository.
    pub interval: Duration,
    /// How long superseded configs stay reachable.
    pub retain: Duration,
    /// How long new connections are still taken after SIGTERM.
    pub drain_delay: Duration,
    /// How long requests in flight get afterwards.
    pub drain: Duration,
    /// What connections may take.
    pub limits: Limits,
    /// TFTP for the first stage.
    pub tftp: Tftp,
    /// Where operators and monitoring systems ask; `None` for nowhere.
    pub ops: Option<crate::ops::Settings>,
    /// Where traces go, or why they cannot go there; the caller starts that before it runs the server.
    pub traces: Option<Result<crate::observe::otlp::Settings, String>>,
}

/// Where the desired state comes from and what makes a snapshot of it.
pub struct Wiring {
    /// Where the desired state comes from.
    pub desired: Box<dyn Desired>,
    /// What makes a snapshot of it.
    pub build: Arc<Build>,
    /// The files outside of the repository that `build` looks into.
    pub keyring: Arc<Mutex<Keyring>>,
    /// Where publications survive a restart; `None` keeps everything in memory.
    pub state: Option<State>,
    /// Whether a commit that is older than the last one that was published is refused.
    pub refuses_rollbacks: bool,
}

/// A server whose addresses are bound; connections wait in the kernel's queue until [`Server::run`] takes them.
pub struct Server {
    settings: Settings,
    listeners: Vec<Listener>,
    tls: Option<Arc<Tls>>,
    tftp_listeners: Vec<TftpListener>,
    ops_listener: Option<std::net::TcpListener>,
    signals: Signals,
}

impl Server {
    /// Binds all addresses, listens on these sockets beside them, and takes over the process's signals. Must be called inside
    /// the runtime.
    ///
    /// # Errors
    /// Names the address that cannot be listened on, or a [`http::TlsError`] the file that cannot be used, and the way out.
    pub fn bind(settings: Settings, sockets: Sockets) -> anyhow::Result<Self> {
        const GIVEN: &str = "cannot listen on a socket of the service manager";
        let signals = Signals::new().context("cannot take over the process's signals")?;
        let given = sockets.to_string();
        if !given.is_empty() {
            tracing::info!("sockets of the service manager: {given}");
        }
        let mut listeners = http::bind(&settings.listen)?;
        listeners.extend(http::adopt(sockets.http).context(GIVEN)?);
        let mut tls = None;
        if let Some((addresses, settings)) = &settings.tls {
            let spoken = Tls::load(settings.clone())?;
            listeners.extend(http::bind_tls(addresses, &spoken)?);
            listeners.extend(http::adopt_tls(sockets.https, &spoken).context(GIVEN)?);
            tls = Some(spoken);
        }
        let tftp_listeners = tftp::bind(&settings.tftp, sockets.tftp)?;
        let ops_listener = match &settings.ops {
            Some(settings) => ops::bind(settings, sockets.ops)?,
            None => None,
        };
        files::allow(
            settings.limits.max_connections + tftp::files(&settings.tftp, &tftp_listeners),
        );
        Ok(Self {
            settings,
            listeners,
            tls,
            tftp_listeners,
            ops_listener,
            signals,
        })
    }

    /// The addresses that are bound, ports resolved, those of TLS last.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::address).collect()
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    ///
    /// # Errors
    /// When a second signal cuts the drain short.
    pub async fn run(self, wiring: Wiring) -> anyhow::Result<()> {
        let Self {
            settings,
            listeners,
            tls,
            tftp_listeners,
            ops_listener,
            mut signals,
        } = self;
        let draining = Arc::new(AtomicBool::new(false));
        let (publisher, current) = Publisher::new(settings.retain);
        let store = wiring.state.as_ref().map(|state| state.folder().to_owned());
        let poller = poller(wiring, publisher, settings.interval);
        let poke = poller.poke();
        let service = http::service(
            current.clone(),
            Arc::new(route_settings(&settings, &poke, &draining)),
        );
        let door = Door::new(settings.limits, settings.access.trusted_proxies.clone());
        let mut pulses = answer(&door, &listeners, &service)?;
        let plain = listeners.iter().filter(|one| !one.is_tls());
        let hatch = tftp::start(
            tftp_listeners,
            &settings,
            plain.map(Listener::address).collect(),
        );
        let (stop, stopping) = watch::channel(false);
        let parts = ops::Parts {
            current: current.clone(),
            poke: poke.clone(),
            door: Arc::clone(&door),
            hatch: Arc::clone(&hatch),
            draining: Arc::clone(&draining),
            tls: tls.clone(),
            store,
        };
        ops::start(ops_listener, &settings, parts, stopping.clone())?;
        // Each thread has its own share; the sockets close with the last of them.
        drop(listeners);
        pulses.push(poller.pulse());
        let line = attended(Scene {
            current,
            poke: poke.clone(),
            pulses,
        });
        tokio::spawn(poller.run(stopping));
        if let Some(tls) = &tls {
            tokio::spawn(Arc::clone(tls).watch());
        }

        let asked = Asked {
            poke: &poke,
            tls: tls.as_deref(),
            line: &line,
        };
        let ending = signals.end(Some(asked)).await;
        draining.store(true, Ordering::Relaxed);
        line.stop();
        let drained = tokio::select! {
            () = drain(&door, &hatch, ending.delay(settings.drain_delay), settings.drain) => Ok(()),
            _ = signals.end(None) => Err(anyhow::anyhow!("ended by a second signal before the drain was over")),
        };
        stop.send_replace(true);
        drained
    }
}

/// Starts a thread for each processor that answers on these listeners, and returns their pulses.
fn answer(
    door: &Arc<Door>,
    listeners: &[Listener],
    service: &impl http::BootService,
) -> anyhow::Result<Vec<Pulse>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let pulses: Vec<Pulse> = (0..threads)
        .map(|number| Pulse::new(format!("the thread `http-{number}`")))
        .collect();
    http::workers::spawn(&pulses, door, listeners, service)
        .context("cannot start the threads that answer")?;
    for listener in listeners {
        let (scheme, address) = (listener.scheme(), listener.address());
        tracing::info!("listening on {scheme}://{address}");
    }
    Ok(pulses)
}

fn poller(wiring: Wiring, publisher: Publisher, interval: Duration) -> Poller {
    let mut poller =
        Poller::new(wiring.desired, wiring.build, publisher, interval).watching(wiring.keyring);
    if let Some(state) = wiring.state {
        poller = poller.with_state(state);
    }
    if wiring.refuses_rollbacks {
        poller = poller.refusing_rollbacks();
    }
    poller
}

/// Tells the service manager, if there is one, from now on.
fn attended(scene: Scene) -> Line {
    Manager::from_env().map_or_else(Line::nowhere, |manager| manager.attend(scene))
}

fn route_settings(settings: &Settings, poke: &Poke, draining: &Arc<AtomicBool>) -> http::Settings {
    http::Settings {
        external_url: settings.external_url.clone(),
        fixed_labels: settings.fixed_labels.clone(),
        boot_api: settings.boot_api,
        access: settings.access.clone(),
        client_label: settings.tls.as_ref().and_then(|(_, tls)| tls.label()),
        boot_script: http::boot_script(settings.boot_attempts),
        ready_max_age: settings.ready_max_age,
        max_header_bytes: settings.limits.max_header_bytes,
        starting_until: Instant::now() + http::STARTING,
        poke: Some(poke.clone()),
        draining: Arc::clone(draining),
    }
}

/// Lets load balancers see `/ready` say no while connections are still taken, then closes the door.
async fn drain(door: &Door, hatch: &Hatch, delay: Duration, time: Duration) {
    if delay.is_zero() {
        tracing::info!("draining, no new connections are taken");
    } else {
        tracing::info!("draining, new connections are taken for {delay:?} more");
    }
    tokio::time::sleep(delay).await;
    door.close();
    hatch.close();
    let empty = async { tokio::join!(door.empty(), hatch.empty()) };
    if tokio::time::timeout(time, empty).await.is_err() {
        tracing::warn!(
            connections = door.connections(),
            transfers = hatch.transfers(),
            "the drain took too long, so connections are cut"
        );
    }
    tracing::info!("ended");
}

/// Why the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// SIGTERM: a supervisor wants it, load balancers have to notice.
    Terminate,
    /// SIGINT: a person at the keyboard wants it.
    Interrupt,
}

/// What is asked to look at the world again.
struct Asked<'a> {
    poke: &'a Poke,
    tls: Option<&'a Tls>,
    line: &'a Line,
}

impl Asked<'_> {
    fn look(&self) {
        if let Some(tls) = self.tls {
            tls.look();
        }
        if !self.line.reload() {
            self.poke.ask();
        }
    }
}

impl Ending {
    /// How long new connections are still taken.
    fn delay(self, told: Duration) -> Duration {
        match self {
            Self::Terminate => told,
            Self::Interrupt => Duration::ZERO,
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end; SIGHUP meanwhile asks for a check, and for a look at the files of TLS.
    async fn end(&mut self, asked: Option<Asked<'_>>) -> Ending {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Ending::Terminate,
                _ = self.interrupt.recv() => return Ending::Interrupt,
                _ = self.hang_up.recv() => {
                    if let Some(asked) = &asked {
                        tracing::debug!("SIGHUP: checking the repository now");
                        asked.look();
                    }
                }
            }
        }
    }
}
