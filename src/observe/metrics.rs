//! What is counted, for Prometheus.
//!
//! Atomics that are there from the beginning, since a request takes no lock: the libraries for this look names up in a map or
//! keep a histogram behind a mutex. Routes and statuses are fixed lists, so nobody makes the page longer by asking for odd things.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The routes of the boot listener, as metrics and logs name them; whatever is none of them is the last one.
const ROUTES: [&str; 7] = [
    "boot_script",
    "script",
    "config",
    "boot_api",
    "health",
    "ready",
    "other",
];

/// The statuses that the boot listener answers with; whatever is none of them is counted as `other`.
const CODES: [u16; 10] = [200, 304, 400, 403, 404, 405, 414, 431, 500, 503];

/// The upper ends of the histogram's buckets, in microseconds, with their names in seconds: most answers take less than the
/// first, and those that wait for a check of the repository up to two seconds.
const BUCKETS: [(u64, &str); 11] = [
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (10_000, "0.01"),
    (50_000, "0.05"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
];

/// Everything that this process counts.
static PROCESS: Metrics = Metrics::new();

/// Everything that this process counts.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &PROCESS
}

/// Counters and histograms.
#[derive(Debug)]
pub struct Metrics {
    routes: [RouteMetrics; ROUTES.len()],
    unassigned: AtomicU64,
    conflicts: AtomicU64,
    ambiguous: AtomicU64,
    connections_waited: AtomicU64,
    connections_refused: AtomicU64,
    publications: AtomicU64,
    refusals: AtomicU64,
    checks: AtomicU64,
    fetches: AtomicU64,
    fetch_bytes: AtomicU64,
    fetch_micros: AtomicU64,
    transfers_good: AtomicU64,
    transfers_bad: AtomicU64,
    transfer_bytes: AtomicU64,
    lost_lines: AtomicU64,
    spans_exported: AtomicU64,
    spans_dropped: AtomicU64,
    /// Only checks of the repository write here, and there is one at a time.
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

/// What is counted of one route.
#[derive(Debug)]
struct RouteMetrics {
    /// In the order of [`CODES`], and then all others.
    codes: [AtomicU64; CODES.len() + 1],
    /// In the order of [`BUCKETS`], and then all longer ones; each answer is in one of them.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl RouteMetrics {
    const fn new() -> Self {
        Self {
            codes: [const { AtomicU64::new(0) }; CODES.len() + 1],
            buckets: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
            micros: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    const fn new() -> Self {
        Self {
            routes: [const { RouteMetrics::new() }; ROUTES.len()],
            unassigned: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            ambiguous: AtomicU64::new(0),
            connections_waited: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            publications: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            checks: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            fetch_bytes: AtomicU64::new(0),
            fetch_micros: AtomicU64::new(0),
            transfers_good: AtomicU64::new(0),
            transfers_bad: AtomicU64::new(0),
            transfer_bytes: AtomicU64::new(0),
            lost_lines: AtomicU64::new(0),
            spans_exported: AtomicU64::new(0),
            spans_dropped: AtomicU64::new(0),
            errors: Mutex::new(BTreeMap::new()),
        }
    }

    /// Counts an answer of the boot listener. Lock-free.
    pub fn answered(&self, route: &str, status: u16, reason: &str, micros: u64) {
        let at = ROUTES.iter().position(|one| *one == route);
        let Some(counted) = self.routes.get(at.unwrap_or(ROUTES.len() - 1)) else {
            return;
        };
        let code = CODES.iter().position(|one| *one == status);
        let bucket = BUCKETS.partition_point(|(end, _)| *end < micros);
        add(counted.codes.get(code.unwrap_or(CODES.len())), 1);
        add(counted.buckets.get(bucket), 1);
        add(Some(&counted.micros), micros);
        match reason {
            "unassigned" => add(Some(&self.unassigned), 1),
            "identity_conflict" => add(Some(&self.conflicts), 1),
            _ => {}
        }
    }

    /// Counts a match that nothing but the names of Assignments decided. Lock-free.
    pub fn matched_ambiguously(&self) {
        add(Some(&self.ambiguous), 1);
    }

    /// Counts a connection that waits because as many are open as may be.
    pub fn connection_waited(&self) {
        add(Some(&self.connections_waited), 1);
    }

    /// Counts a connection that is turned away because its address has as many as it may.
    pub fn connection_refused(&self) {
        add(Some(&self.connections_refused), 1);
    }

    /// Counts a publication.
    pub fn published(&self) {
        add(Some(&self.publications), 1);
    }

    /// Counts a revision that is refused.
    pub fn refused(&self) {
        add(Some(&self.refusals), 1);
    }

    /// Counts a check that has ended, however it did.
    pub fn checked(&self) {
        add(Some(&self.checks), 1);
    }

    /// Counts what came over the wire.
    pub fn received(&self, bytes: u64) {
        add(Some(&self.fetch_bytes), bytes);
    }

    /// Counts a check that brought a new commit, and how long it took.
    pub fn fetched(&self, time: Duration) {
        add(Some(&self.fetches), 1);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        add(Some(&self.fetch_micros), micros);
    }

    /// Names the classes of failures that there are, so that each counter begins at zero.
    pub fn expect_failures(&self, classes: impl IntoIterator<Item = &'static str>) {
        let mut errors = self.errors();
        for class in classes {
            errors.entry(class).or_default();
        }
    }

    /// Counts a check that failed.
    pub fn failed(&self, class: &'static str) {
        *self.errors().entry(class).or_default() += 1;
    }

    /// Counts an answer over TFTP.
    pub(super) fn transferred(&self, status: u16, bytes: u64) {
        let counter = match status {
            200 => &self.transfers_good,
            _ => &self.transfers_bad,
        };
        add(Some(counter), 1);
        add(Some(&self.transfer_bytes), bytes);
    }

    /// Counts a log line that could not be written.
    pub(super) fn lost_lines(&self, lines: u64) {
        add(Some(&self.lost_lines), lines);
    }

    /// Counts spans that a collector took.
    pub(super) fn spans_exported(&self, count: u64) {
        add(Some(&self.spans_exported), count);
    }

    /// Counts spans that no collector took in time.
    pub(super) fn spans_dropped(&self, count: u64) {
        add(Some(&self.spans_dropped), count);
    }

    fn errors(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything that is counted.
    pub fn write(&self, page: &mut Exposition) {
        self.write_routes(page);
        for (name, help, counter) in [
            (
                "gitboot_unassigned_lookups_total",
                "Answers to machines that no Assignment selects.",
                &self.unassigned,
            ),
            (
                "gitboot_identity_conflicts_total",
                "Answers to machines that match an entry of `machines` by one key and are contradicted by another.",
                &self.conflicts,
            ),
            (
                "gitboot_ambiguous_matches_total",
                "Look-ups in which nothing but the names of Assignments decided which one wins.",
                &self.ambiguous,
            ),
            (
                "gitboot_publications_total",
                "Revisions that were published since the start.",
                &self.publications,
            ),
            (
                "gitboot_refused_revisions_total",
                "Revisions that were refused since the start.",
                &self.refusals,
            ),
            (
                "gitboot_checks_total",
                "Checks of the repository, however they ended.",
                &self.checks,
            ),
            (
                "gitboot_fetches_total",
                "Checks that brought a new commit.",
                &self.fetches,
            ),
            (
                "gitboot_fetch_bytes_total",
                "Bytes received from the repository.",
                &self.fetch_bytes,
            ),
            (
                "gitboot_tftp_bytes_total",
                "Bytes that surely arrived over TFTP.",
                &self.transfer_bytes,
            ),
            (
                "gitboot_lost_log_lines_total",
                "Log lines that could not be written because stderr was read too slowly.",
                &self.lost_lines,
            ),
        ] {
            page.family(name, "counter", help);
            page.sample(name, &[], read(counter));
        }
        self.write_others(page);
    }

    fn write_others(&self, page: &mut Exposition) {
        let name = "gitboot_fetch_seconds_total";
        page.family(
            name,
            "counter",
            "Seconds that checks took which brought a new commit.",
        );
        page.sample(name, &[], seconds(read(&self.fetch_micros)));
        let name = "gitboot_tftp_transfers_total";
        page.family(
            name,
            "counter",
            "Answers over TFTP, by whether everything arrived.",
        );
        page.sample(name, &[("outcome", "ok")], read(&self.transfers_good));
        page.sample(name, &[("outcome", "failed")], read(&self.transfers_bad));
        let name = "gitboot_connections_limited_total";
        page.family(
            name,
            "counter",
            "Connections that had to wait for the limit of all, or were turned away by that of one address.",
        );
        page.sample(name, &[("limit", "all")], read(&self.connections_waited));
        let refused = read(&self.connections_refused);
        page.sample(name, &[("limit", "address")], refused);
        for (name, help, counter) in [
            (
                "gitboot_otlp_exported_spans_total",
                "Spans that the OpenTelemetry collector took.",
                &self.spans_exported,
            ),
            (
                "gitboot_otlp_dropped_spans_total",
                "Spans that the OpenTelemetry collector did not take, or not fast enough.",
                &self.spans_dropped,
            ),
        ] {
            page.family(name, "counter", help);
            page.sample(name, &[], read(counter));
        }
        let name = "gitboot_sync_errors_total";
        page.family(
            name,
            "counter",
            "Checks that failed, by the class of the failure.",
        );
        for (class, count) in &*self.errors() {
            page.sample(name, &[("class", class)], *count);
        }
    }

    fn write_routes(&self, page: &mut Exposition) {
        let name = "gitboot_http_requests_total";
        page.family(
            name,
            "counter",
            "Answers of the boot listener, by route and status.",
        );
        let all = || ROUTES.iter().zip(&self.routes);
        for (route, counted) in all() {
            let codes = CODES.iter().map(ToString::to_string);
            let codes = codes.chain(["other".to_owned()]);
            for (code, counter) in codes.zip(&counted.codes) {
                // What never happened would be most of the page.
                let count = read(counter);
                if count > 0 || code == "200" {
                    page.sample(name, &[("route", route), ("code", &code)], count);
                }
            }
        }
        let name = "gitboot_http_request_duration_seconds";
        page.family(
            name,
            "histogram",
            "How long answers of the boot listener took to make, by route.",
        );
        for (route, counted) in all() {
            let mut total = 0;
            let ends = BUCKETS.iter().map(|(_, name)| *name).chain(["+Inf"]);
            for (end, counter) in ends.zip(&counted.buckets) {
                total += read(counter);
                page.sample(
                    &format!("{name}_bucket"),
                    &[("route", route), ("le", end)],
                    total,
                );
            }
            page.sample(
                &format!("{name}_sum"),
                &[("route", route)],
                seconds(read(&counted.micros)),
            );
            page.sample(&format!("{name}_count"), &[("route", route)], total);
        }
    }
}

fn add(counter: Option<&AtomicU64>, count: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Microseconds as seconds, all digits of them.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A page in Prometheus' text format, version 0.0.4.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a family of samples. `kind` is `counter`, `gauge` or `histogram`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a sample to the family that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (number, (key, value)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{key}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family with one sample.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, labels, value);
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_lists_is_other() {
        let metrics = Metrics::new();
        metrics.answered("script", 200, "ok", 50);
        metrics.answered("script", 404, "unassigned", 51);
        metrics.answered("nonsense", 418, "teapot", 9_000_000);
        let mut page = Exposition::default();
        metrics.write(&mut page);
        let page = page.finish();
        for line in [
            r#"gitboot_http_requests_total{route="script",code="200"} 1"#,
            r#"gitboot_http_requests_total{route="script",code="404"} 1"#,
            r#"gitboot_http_requests_total{route="other",code="other"} 1"#,
            r#"gitboot_http_request_duration_seconds_bucket{route="script",le="0.00005"} 1"#,
            r#"gitboot_http_request_duration_seconds_bucket{route="script",le="0.0001"} 2"#,
            r#"gitboot_http_request_duration_seconds_bucket{route="other",le="2.5"} 0"#,
            r#"gitboot_http_request_duration_seconds_bucket{route="other",le="+Inf"} 1"#,
            r#"gitboot_http_request_duration_seconds_sum{route="script"} 0.000101"#,
            r#"gitboot_http_request_duration_seconds_count{route="script"} 2"#,
            "gitboot_unassigned_lookups_total 1",
        ] {
            assert!(page.lines().any(|one| one == line), "{line} in\n{page}");
        }
    }

    #[test]
    fn failures_begin_at_zero() {
        let metrics = Metrics::new();
        metrics.expect_failures(["dns", "tls"]);
        metrics.failed("tls");
        let mut page = Exposition::default();
        metrics.write(&mut page);
        let page = page.finish();
        assert!(page.contains("gitboot_sync_errors_total{class=\"dns\"} 0\n"));
        assert!(page.contains("gitboot_sync_errors_total{class=\"tls\"} 1\n"));
    }

    #[test]
    fn label_values_are_escaped() {
        let mut page = Exposition::default();
        page.gauge("a", "b", &[("c", "\"\\\n")], 1);
        assert_eq!(
            page.finish(),
            "# HELP a b\n# TYPE a gauge\na{c=\"\\\"\\\\\\n\"} 1\n"
        );
    }
}
