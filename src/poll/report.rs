//! What the loop tells people: one line for each change, none for the same thing again.

use std::fmt;
use std::time::{Duration, Instant};

use super::{Built, millis};
use crate::publish::{Failure, Publication, Refusal};
use crate::snapshot::Counts;
use crate::tree::Revision;

/// How many diagnostics of one revision are logged: a screenful; the rest is a count, and `gitboot validate` shows all.
const MAX_LINES: usize = 20;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Report {
    failure: Option<(Failure, Instant)>,
}

impl Report {
    pub(super) fn failed(&mut self, failure: &Failure, publication: &Publication) {
        let since = match &self.failure {
            Some((said, _)) if said == failure => return,
            Some((_, since)) => *since,
            None => Instant::now(),
        };
        tracing::warn!(
            class = failure.class,
            "the repository cannot be read: {}; {}",
            failure.message,
            Still(publication)
        );
        self.failure = Some((failure.clone(), since));
    }

    pub(super) fn recovered(&mut self) {
        if let Some((_, since)) = self.failure.take() {
            tracing::info!(
                "the repository can be read again after {}",
                Coarse(since.elapsed())
            );
        }
    }
}

/// One line for a publication; its warnings are for `gitboot validate`.
pub(super) fn published(
    publication: &Publication,
    signer: Option<&str>,
    built: &Built,
    started: Instant,
) {
    let Some(snapshot) = publication.snapshot.as_deref() else {
        return;
    };
    let Counts {
        profiles,
        assignments,
        machines,
        configs,
    } = snapshot.counts();
    tracing::info!(
        revision = snapshot.revision().as_str(),
        profiles,
        assignments,
        machines,
        configs,
        warnings = built.warnings,
        signer,
        millis = millis(started.elapsed()),
        "revision {} published",
        snapshot.revision().short()
    );
    for line in built.lines.iter().take(MAX_LINES) {
        tracing::debug!("{line}");
    }
}

/// One line for what is served again after a restart.
pub(super) fn restored(publication: &Publication, lines: &[String], started: Instant) {
    let (Some(revision), Some(at)) = (publication.revision(), publication.published_at) else {
        return;
    };
    tracing::info!(
        revision = revision.as_str(),
        millis = millis(started.elapsed()),
        "revision {} published from the state directory as of {} ago, until the repository answers",
        revision.short(),
        Coarse(at.wall.elapsed().unwrap_or_default())
    );
    for line in lines.iter().take(MAX_LINES) {
        tracing::debug!("{line}");
    }
}

/// One line for a stored revision that this version refuses, then its diagnostics.
pub(super) fn not_restored(revision: &Revision, errors: usize, lines: &[String]) {
    tracing::warn!(
        revision = revision.as_str(),
        errors,
        "revision {} in the state directory is not served: this server refuses it ({})",
        revision.short(),
        counted(errors, "error")
    );
    diagnostics(lines);
}

/// One line for a served revision that the new secrets do not fit, then its diagnostics.
pub(super) fn not_compiled_again(revision: &Revision, errors: usize, lines: &[String]) {
    tracing::warn!(
        revision = revision.as_str(),
        errors,
        "revision {} stays served with the secrets before: the new ones do not fit it ({})",
        revision.short(),
        counted(errors, "error")
    );
    diagnostics(lines);
}

/// One line for a refusal, then its diagnostics.
pub(super) fn refused(refusal: &Refusal, publication: &Publication) {
    tracing::info!(
        revision = refusal.revision.as_str(),
        errors = refusal.errors,
        warnings = refusal.warnings,
        "revision {} refused ({}), {}",
        refusal.revision.short(),
        counted(refusal.errors, "error"),
        Still(publication)
    );
    diagnostics(&refusal.lines);
}

fn diagnostics(lines: &[String]) {
    for line in lines.iter().take(MAX_LINES) {
        tracing::warn!("{line}");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MAX_LINES) {
        tracing::warn!("and {more} more");
    }
}

/// What is served although the last attempt failed.
struct Still<'a>(&'a Publication);

impl fmt::Display for Still<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.revision(), self.0.published_at) {
            (Some(revision), Some(at)) => write!(
                f,
                "still serving {}, published {} ago",
                revision.short(),
                Coarse(at.instant.elapsed())
            ),
            _ => f.write_str("nothing is published yet"),
        }
    }
}

/// A duration in its largest unit: `2 h`.
struct Coarse(Duration);

impl fmt::Display for Coarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        let cases = [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(Coarse(Duration::from_secs(seconds)).to_string(), expected);
        }
    }

    #[test]
    fn one_error_is_not_plural() {
        assert_eq!(counted(1, "error"), "1 error");
        assert_eq!(counted(3, "error"), "3 errors");
    }

    #[test]
    fn before_the_first_publication_nothing_is_still_served() {
        assert_eq!(
            Still(&Publication::default()).to_string(),
            "nothing is published yet"
        );
    }
}
