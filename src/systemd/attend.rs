//! What the service manager is told: readiness, a line of status, signs of life, and the end.

use std::pin::Pin;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::status::status;
use crate::poll::Poke;
use crate::publish::Current;
use crate::pulse::Pulse;

/// How long the service is `reloading` at most: a git host that is away must not hold up whoever waits for the end of it.
const RELOAD_TIME: Duration = Duration::from_secs(10);

/// The shortest pause between two signs of life, whatever is asked for.
const LEAST_PAUSE: Duration = Duration::from_millis(10);

/// A service manager that wants to be told.
#[derive(Debug)]
pub struct Manager {
    /// Within which time it wants a sign of life, if it does.
    watchdog: Option<Duration>,
}

/// What it is told of.
#[derive(Debug)]
pub struct Scene {
    /// What is published.
    pub current: Current,
    /// The loop that follows the repository.
    pub poke: Poke,
    /// The parts without which there is no sign of life.
    pub pulses: Vec<Pulse>,
}

/// What happens to the process.
#[derive(Clone, Copy, Debug)]
enum Event {
    Reload,
    Stop,
}

/// To tell the service manager of what happens to the process.
#[derive(Clone, Debug)]
pub struct Line(Option<mpsc::UnboundedSender<Event>>);

impl Line {
    /// To nobody.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Asks for a check of the repository, which the manager hears of. Returns `false` when there is no manager, so that
    /// nobody has asked.
    #[must_use]
    pub fn reload(&self) -> bool {
        self.tell(Event::Reload)
    }

    /// The server is about to end.
    pub fn stop(&self) {
        self.tell(Event::Stop);
    }

    fn tell(&self, event: Event) -> bool {
        let sent = self.0.as_ref().map(|line| line.send(event));
        sent.is_some_and(|sent| sent.is_ok())
    }
}

impl Manager {
    /// The one that started this process, if it wants to be told.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        Some(Self { watchdog })
    }

    /// Tells it from now on. Must be called inside the runtime.
    #[must_use]
    pub fn attend(self, scene: Scene) -> Line {
        let (line, events) = mpsc::unbounded_channel();
        tokio::spawn(self.watch(scene, events));
        Line(Some(line))
    }

    async fn watch(self, scene: Scene, mut events: mpsc::UnboundedReceiver<Event>) {
        let mut herald = Herald::default();
        let mut vigil = Vigil::new(self.watchdog);
        let mut steps = scene.poke.steps();
        let mut reload: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        herald.status(status(&scene.current.load())).await;
        loop {
            tokio::select! {
                () = vigil.due() => {
                    if vigil.is_well(&scene.pulses) {
                        herald.tell(&[NotifyState::Watchdog]).await;
                    }
                }
                true = steps.next() => {
                    herald.ready().await;
                    herald.status(status(&scene.current.load())).await;
                }
                () = finished(&mut reload), if reload.is_some() => {
                    reload = None;
                    herald.tell(&[NotifyState::Ready]).await;
                }
                Some(event) = events.recv() => match event {
                    Event::Reload => {
                        herald.reloading().await;
                        let poke = scene.poke.clone();
                        reload = Some(Box::pin(async move {
                            let _ = tokio::time::timeout(RELOAD_TIME, poke.check()).await;
                        }));
                    }
                    Event::Stop => {
                        reload = None;
                        herald.stopping().await;
                    }
                },
            }
        }
    }
}

async fn finished(reload: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    if let Some(reload) = reload {
        reload.await;
    }
}

/// Says things once, in order.
#[derive(Debug, Default)]
struct Herald {
    status: String,
    is_ready: bool,
    is_stopping: bool,
    has_failed: bool,
}

impl Herald {
    /// The addresses are bound and what was stored is served, or nothing is stored. Whether the repository answers is another
    /// matter: after a power cut it may come up later than this server, and boot from it.
    async fn ready(&mut self) {
        if !self.is_ready && !self.is_stopping {
            self.is_ready = true;
            self.tell(&[NotifyState::Ready]).await;
        }
    }

    async fn reloading(&mut self) {
        // Where the clock cannot be read, older managers do without it.
        let since = NotifyState::monotonic_usec_now().ok();
        let states: Vec<_> = [NotifyState::Reloading].into_iter().chain(since).collect();
        self.tell(&states).await;
    }

    async fn stopping(&mut self) {
        self.is_stopping = true;
        let states = [
            NotifyState::Stopping,
            NotifyState::Status("draining: requests in flight are answered"),
        ];
        self.tell(&states).await;
    }

    async fn status(&mut self, status: String) {
        if status != self.status && !self.is_stopping {
            self.tell(&[NotifyState::Status(&status)]).await;
            self.status = status;
        }
    }

    /// A manager that does not read may hold this up, which must hold up nobody else.
    async fn tell(&mut self, states: &[NotifyState<'_>]) {
        let text = states.iter().map(ToString::to_string);
        let text = text.collect::<Vec<_>>().join("\n");
        let told =
            tokio::task::spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&text)]));
        if let Ok(Err(error)) = told.await
            && !std::mem::replace(&mut self.has_failed, true)
        {
            tracing::warn!(
                "the service manager cannot be told how the server does (`NOTIFY_SOCKET`): {error}"
            );
        }
    }
}

/// When the next sign of life is due, and whether there is one.
#[derive(Debug)]
struct Vigil {
    watchdog: Option<Duration>,
    due: Instant,
    /// Whether it was said that something hangs.
    is_told: bool,
}

impl Vigil {
    fn new(watchdog: Option<Duration>) -> Self {
        Self {
            watchdog,
            due: Instant::now(),
            is_told: false,
        }
    }

    /// Waits for the moment; for ever where nobody watches.
    async fn due(&self) {
        if self.watchdog.is_none() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(self.due).await;
    }

    /// Whether all parts are alive. If not, it is looked again soon: half of the time is left for it.
    fn is_well(&mut self, pulses: &[Pulse]) -> bool {
        let time = self.watchdog.unwrap_or_default();
        let late = pulses.iter().find_map(|pulse| Some((pulse, pulse.late()?)));
        let pause = if late.is_some() { time / 10 } else { time / 2 };
        self.due = Instant::now() + pause.max(LEAST_PAUSE);
        match late {
            Some((pulse, late)) if !self.is_told => {
                self.is_told = true;
                tracing::error!(
                    "{} hangs: it should have been heard of {late:?} ago, so the service manager gets no sign of life \
                     and will start the server anew",
                    pulse.name()
                );
            }
            Some(_) => {}
            None => self.is_told = false,
        }
        late.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_sign_of_life_twice_in_its_time_and_none_while_something_hangs() {
        let time = Duration::from_mins(1);
        let mut vigil = Vigil::new(Some(time));
        let (thread, other) = (Pulse::new("a thread"), Pulse::new("another"));
        let pulses = [other, thread.clone()];
        let left = |vigil: &Vigil| vigil.due.saturating_duration_since(Instant::now());
        assert_eq!(left(&vigil), Duration::ZERO);

        assert!(vigil.is_well(&pulses));
        assert!(left(&vigil) <= time / 2 && left(&vigil) > time / 3);
        thread.within(Duration::ZERO);
        assert!(!vigil.is_well(&pulses));
        assert!(vigil.is_told && left(&vigil) <= time / 10);
        assert!(!vigil.is_well(&pulses));
        thread.within(time);
        assert!(vigil.is_well(&pulses));
        assert!(!vigil.is_told && left(&vigil) > time / 3);
    }
}
