//! `/metrics`: what is counted, and what is so at this moment.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::reply::Reply;
use super::status::wall;
use super::{Load, Sources};
use crate::observe::{self, Exposition, Register};
use crate::publish::{Outcome, Publication};
use crate::snapshot::{Counts, Snapshot};
use crate::tree::Revision;

/// How many files of the state directory are looked at: it holds some dozens.
const MAX_STORED_FILES: usize = 10_000;

pub(super) fn page(
    publication: &Publication,
    sources: &Sources,
    register: Option<&Register>,
) -> Reply {
    let mut page = Exposition::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauge(
        "gitboot_build_info",
        "The version of the server; always 1.",
        &version,
        1,
    );
    revisions(&mut page, publication);
    sizes(&mut page, publication);
    let Load {
        connections,
        connections_limit,
        transfers,
        certificate_expires,
    } = (sources.load)();
    let help = "Open connections to the boot listeners.";
    page.gauge("gitboot_connections", help, &[], connections);
    let help = "How many connections to the boot listeners may be open at once.";
    page.gauge("gitboot_connections_limit", help, &[], connections_limit);
    if let Some(at) = certificate_expires {
        let name = "gitboot_certificate_expiry_timestamp_seconds";
        let help = "When the certificate that the TLS listeners show expires.";
        page.gauge(name, help, &[], unix(at));
    }
    let help = "TFTP transfers that run.";
    page.gauge("gitboot_tftp_transfers", help, &[], transfers);
    if let Some(folder) = &sources.store {
        let help = "Bytes of all files in the state directory.";
        page.gauge("gitboot_store_bytes", help, &[], stored(folder));
    }
    if let Some(register) = register {
        let (named, others) = register.counts();
        let name = "gitboot_seen_machines";
        let help = "Machines that are remembered: named ones of Assignments, and all others.";
        page.gauge(name, help, &[("kind", "named")], named);
        page.sample(name, &[("kind", "other")], others);
    }
    observe::metrics().write(&mut page);
    Reply::metrics(page.finish())
}

fn revisions(page: &mut Exposition, publication: &Publication) {
    for (name, help, revision) in [
        (
            "gitboot_served_revision_info",
            "The revision that is served; always 1.",
            publication.revision(),
        ),
        (
            "gitboot_remote_revision_info",
            "The revision that the repository had when it last answered; always 1.",
            publication.remote.as_ref(),
        ),
    ] {
        if let Some(revision) = revision.map(Revision::as_str) {
            page.gauge(name, help, &[("revision", revision)], 1);
        }
    }
    let errors = publication.refused.as_ref().map_or(0, |one| one.errors);
    let help =
        "Errors of the repository's revision, which is refused for them; 0 when it is not refused.";
    page.gauge("gitboot_refused_errors", help, &[], errors);
    if let Some(at) = publication.last_good_check {
        let name = "gitboot_last_success_timestamp_seconds";
        page.gauge(
            name,
            "When the repository last answered.",
            &[],
            unix(wall(at)),
        );
    }
    if let Some(at) = publication.published_at {
        let name = "gitboot_served_since_timestamp_seconds";
        page.gauge(
            name,
            "When the served revision was published.",
            &[],
            unix(at.wall),
        );
    }
    if let Some(at) = publication.in_step {
        let last = publication.last_attempt.as_ref();
        let is_in_step = last.is_some_and(|last| last.outcome == Outcome::Published);
        let seconds = if is_in_step {
            0
        } else {
            at.instant.elapsed().as_secs()
        };
        let help = "Seconds since a check found that what is served is what the repository has; 0 if the last one did.";
        page.gauge("gitboot_behind_seconds", help, &[], seconds);
    }
}

fn sizes(page: &mut Exposition, publication: &Publication) {
    let Counts {
        profiles,
        assignments,
        machines,
        configs,
    } = publication
        .snapshot
        .as_deref()
        .map(Snapshot::counts)
        .unwrap_or_default();
    for (name, help, count) in [
        ("gitboot_profiles", "Profiles in what is served.", profiles),
        (
            "gitboot_assignments",
            "Assignments in what is served.",
            assignments,
        ),
        (
            "gitboot_machines",
            "Entries of `machines` in what is served.",
            machines,
        ),
        (
            "gitboot_configs",
            "Configs with an id of their own in what is served.",
            configs,
        ),
        (
            "gitboot_warnings",
            "Warnings of what is served.",
            publication.warnings,
        ),
    ] {
        page.gauge(name, help, &[], count);
    }
}

fn unix(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}

/// The bytes of all files below a folder. What cannot be read, or goes away meanwhile, is not counted.
fn stored(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut left = MAX_STORED_FILES;
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Some(fewer) = left.checked_sub(1) else {
                return bytes;
            };
            left = fewer;
            // Links are counted as such.
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
