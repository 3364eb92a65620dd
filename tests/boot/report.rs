//! What a scenario saw, with the second at which it saw it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The report of one scenario, shared by everything that takes part in it.
#[derive(Clone)]
pub(crate) struct Report {
    name: &'static str,
    began: Instant,
    text: Arc<Mutex<String>>,
}

impl Report {
    /// An empty report that begins now.
    pub(crate) fn begin(name: &'static str) -> Self {
        Self {
            name,
            began: Instant::now(),
            text: Arc::default(),
        }
    }

    /// The name of the scenario.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The seconds since the scenario began.
    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Notes a line of somebody who takes part.
    pub(crate) fn saw(&self, who: &str, line: &str) {
        let seconds = self.seconds();
        // A scenario that failed may have left the lock poisoned; its report is wanted all the more.
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(text, "    {seconds:6.1}s  {who:<9} {line}").unwrap();
    }

    /// Everything that was noted so far.
    pub(crate) fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }
}
