//! `gitboot serve`, for machines of one scenario.

use std::net::SocketAddr;
use std::path::Path;

use crate::machine::{HOST, PATIENCE};
use crate::report::Report;
use crate::support::process::Process;

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Process,
    report: Report,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server of this repository, on a port that the system chooses.
    pub(crate) fn start(repository: &Path, more: &[&str], report: &Report) -> Self {
        let repository = repository.display().to_string();
        let mut arguments = vec!["serve", "--repo", repository.as_str()];
        arguments.extend(["--listen", "127.0.0.1:0", "--interval", "1s"]);
        arguments.extend(["--state-dir", "none"]);
        arguments.extend(more);
        let path = std::env::var("PATH").unwrap();
        let mut process = Process::start(&arguments, &[("PATH", path.as_str())]);
        let address = process.address();
        report.saw("server", &format!("gitboot {}", arguments.join(" ")));
        Self {
            process,
            report: report.clone(),
            address,
        }
    }

    /// What DHCP tells machines to load.
    pub(crate) fn boot_file(&self) -> String {
        format!("http://{HOST}:{}/boot.ipxe", self.address.port())
    }

    /// Waits for the next line of the log that holds this text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let line = self.process.line_within(text, PATIENCE);
        // The time of day says nothing here, and the whole revision no more than its beginning.
        let shown = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
        self.report.saw("server", shown.trim());
        line
    }

    /// Waits until this revision is served.
    pub(crate) fn published(&mut self, revision: &str) {
        self.line_with(&format!("revision {revision} published"));
    }
}
