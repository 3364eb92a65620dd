//! Asking for checks before their time, and waiting for them.

use tokio::sync::watch;

/// Which checks have begun and ended; they are counted from 1.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    begun: u64,
    ended: u64,
}

/// Asks for a check before its time.
#[derive(Clone, Debug)]
pub struct Poke {
    /// How often somebody knew that there is something new.
    asked: watch::Sender<u64>,
    /// Whether somebody wonders since the last check has begun.
    wondering: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
}

impl Poke {
    /// Asks for a check and returns at once.
    pub fn ask(&self) {
        self.asked
            .send_modify(|asked| *asked = asked.wrapping_add(1));
    }

    /// Asks for a check and waits until one that began afterwards has ended, whatever its outcome. Returns `false` when
    /// the loop has ended instead.
    pub async fn check(&self) -> bool {
        let mut checks = self.checks();
        self.ask();
        loop {
            match checks.next().await {
                Some(is_after) if is_after => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Asks for a check because of an id that nobody here knows, which anybody can make up: such checks are rare and
    /// may not come at all. Returns at once; the checks that end from now on can be waited for.
    #[must_use]
    pub fn wonder(&self) -> Checks {
        let checks = self.checks();
        self.wondering
            .send_if_modified(|wondering| !std::mem::replace(wondering, true));
        checks
    }

    /// The loop's steps from its start on: each begin and each end of a check is one.
    #[must_use]
    pub fn steps(&self) -> Steps {
        let mut progress = self.progress.clone();
        progress.mark_unchanged();
        if progress.borrow().begun > 0 {
            progress.mark_changed();
        }
        Steps { progress }
    }

    fn checks(&self) -> Checks {
        let progress = self.progress.clone();
        let Progress { begun, ended } = *progress.borrow();
        Checks {
            progress,
            begun,
            ended,
        }
    }
}

/// What the loop does, without asking it for anything.
#[derive(Debug)]
pub struct Steps {
    progress: watch::Receiver<Progress>,
}

impl Steps {
    /// Waits for a step that was not seen yet; several are one. The first one comes when what was stored is served again, or
    /// nothing is stored. Returns `false` when the loop has ended.
    pub async fn next(&mut self) -> bool {
        self.progress.changed().await.is_ok()
    }
}

/// The checks that end from some moment on.
#[derive(Debug)]
pub struct Checks {
    progress: watch::Receiver<Progress>,
    /// The last check that had begun at that moment.
    begun: u64,
    /// The last one that was seen to end.
    ended: u64,
}

impl Checks {
    /// Waits until a check has ended, and says whether it began after that moment. `None` when the loop has ended.
    pub async fn next(&mut self) -> Option<bool> {
        let seen = self.ended;
        let progress = *self
            .progress
            .wait_for(|progress| progress.ended > seen)
            .await
            .ok()?;
        self.ended = progress.ended;
        Some(self.ended > self.begun)
    }
}

/// The loop's end.
#[derive(Debug)]
pub(super) struct Pokes {
    poke: Poke,
    asked: watch::Receiver<u64>,
    wondering: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
}

impl Pokes {
    pub(super) fn new() -> Self {
        let progress = watch::Sender::default();
        let poke = Poke {
            asked: watch::Sender::default(),
            wondering: watch::Sender::default(),
            progress: progress.subscribe(),
        };
        Self {
            asked: poke.asked.subscribe(),
            wondering: poke.wondering.subscribe(),
            poke,
            progress,
        }
    }

    pub(super) fn poke(&self) -> Poke {
        self.poke.clone()
    }

    /// A check begins. Who asked so far is answered by it; who asks from now on is not, so the order matters.
    pub(super) fn begin(&mut self) {
        self.asked.mark_unchanged();
        self.poke.wondering.send_replace(false);
        self.progress.send_modify(|progress| progress.begun += 1);
    }

    /// The check has ended.
    pub(super) fn end(&self) {
        self.progress
            .send_modify(|progress| progress.ended = progress.begun);
    }

    /// Who listens for those that ask from the last [`Self::begin`] on.
    pub(super) fn ear(&self) -> Ear {
        Ear {
            asked: self.asked.clone(),
            wondering: self.wondering.clone(),
        }
    }
}

/// Listens between two checks.
#[derive(Debug)]
pub(super) struct Ear {
    asked: watch::Receiver<u64>,
    wondering: watch::Receiver<bool>,
}

impl Ear {
    /// Waits until somebody asks or, where that is `welcome`, wonders. Returns whether somebody asks.
    pub(super) async fn listen(&mut self, welcome: bool) -> bool {
        // The loop holds the senders itself, so neither fails.
        tokio::select! {
            biased;
            _ = self.asked.changed() => true,
            _ = self.wondering.wait_for(|wondering| *wondering), if welcome => false,
        }
    }
}
