//! `/status`: how the server does.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::reply::Reply;
use crate::publish::{Failure, Moment, Outcome, Publication, Refusal};
use crate::snapshot::{Counts, Snapshot};
use crate::tree::Revision;

/// How many diagnostics of a refused revision are told; `gitboot validate` shows all.
const MAX_DIAGNOSTICS: usize = 100;

pub(super) fn document(publication: &Publication) -> Reply {
    Reply::json(format!("{:#}\n", value(publication, Instant::now())))
}

fn value(publication: &Publication, now: Instant) -> Value {
    let snapshot = publication.snapshot.as_deref();
    let Counts {
        profiles,
        assignments,
        machines,
        configs,
    } = snapshot.map(Snapshot::counts).unwrap_or_default();
    let last = publication.last_attempt.as_ref();
    let last_check = last.filter(|last| last.outcome != Outcome::Restored);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "served_revision": publication.revision().map(Revision::as_str),
        "served_since": publication.published_at.map(|at| time(at.wall)),
        "served_age_seconds": publication.published_at.map(|at| age(at, now).as_secs()),
        "remote_revision": publication.remote.as_ref().map(Revision::as_str),
        "last_check": last_check.map(|last| time(last.at.wall)),
        "last_success": publication.last_good_check.map(|at| time(wall(at))),
        "last_error": last.and_then(|last| match &last.outcome {
            Outcome::Failed(failure) => Some(error(failure, publication.failing_since)),
            Outcome::Restored | Outcome::Published | Outcome::Refused(_) => None,
        }),
        "refused": publication.refused.as_deref().map(refused),
        "counts": {
            "profiles": profiles,
            "assignments": assignments,
            "machines": machines,
            "configs": configs,
            "warnings": publication.warnings,
        },
    })
}

fn error(failure: &Failure, since: Option<Moment>) -> Value {
    let Failure { class, message } = failure;
    json!({
        "class": class,
        "message": message,
        "since": since.map(|since| time(since.wall)),
    })
}

fn refused(refusal: &Refusal) -> Value {
    let Refusal {
        revision,
        errors,
        warnings,
        lines,
        text: _,
    } = refusal;
    // Errors first: a thousand warnings must not hide the one that matters.
    let is_error = |line: &&String| line.starts_with("error[") || line.contains(": error[");
    let errors_first = lines.iter().filter(is_error);
    let errors_first = errors_first.chain(lines.iter().filter(|line| !is_error(line)));
    let diagnostics: Vec<&String> = errors_first.take(MAX_DIAGNOSTICS).collect();
    json!({
        "revision": revision.as_str(),
        "errors": errors,
        "warnings": warnings,
        "diagnostics": diagnostics,
    })
}

/// How long ago a publication was: by the clock that people set, where it was before the start, and never negative.
fn age(at: Moment, now: Instant) -> Duration {
    let by_wall = at.wall.elapsed().unwrap_or_default();
    now.saturating_duration_since(at.instant).max(by_wall)
}

/// A moment of the past by the clock that people read.
pub(super) fn wall(at: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(at.elapsed()).unwrap_or(now)
}

/// A time as RFC 3339 writes it, in UTC.
pub(super) fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
