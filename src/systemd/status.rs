//! What `systemctl status` shows in its line `Status:`.

use crate::publish::{Outcome, Publication};

/// The longest line, in bytes: more than any terminal is wide, and little of what a notification may hold.
const MAX_BYTES: usize = 400;

/// How the server does, in one line.
pub(super) fn status(publication: &Publication) -> String {
    let served = publication.revision().map_or_else(
        || "nothing is published yet".to_owned(),
        |revision| format!("serving {}", revision.short()),
    );
    let attempt = publication.last_attempt.as_ref();
    let trouble = match attempt.map(|attempt| &attempt.outcome) {
        Some(Outcome::Failed(failure)) => {
            format!(", the repository cannot be read: {}", failure.message)
        }
        Some(Outcome::Restored) => {
            ", as before the restart, until the repository answers".to_owned()
        }
        Some(Outcome::Published | Outcome::Refused(_)) | None => String::new(),
    };
    let refused = publication
        .refused
        .as_ref()
        .map_or_else(String::new, |refused| {
            let plural = if refused.errors == 1 { "" } else { "s" };
            format!(
                ", {} refused ({} error{plural})",
                refused.revision.short(),
                refused.errors
            )
        });
    one_line(&format!("{served}{refused}{trouble}"))
}

/// What a message says, fit for a protocol of lines.
fn one_line(text: &str) -> String {
    let mut line = text.replace(char::is_control, " ");
    line.truncate(line.floor_char_boundary(MAX_BYTES));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::publish::{Failure, Moment, Publisher, Refusal};
    use crate::tree::Revision;
    use std::time::Duration;

    #[test]
    fn tells_what_is_served_and_what_is_wrong() {
        let (mut publisher, current) = Publisher::new(Duration::ZERO);
        assert_eq!(status(&current.load()), "nothing is published yet");
        let failure = Failure {
            class: "dns",
            message: "no\nsuch host".to_owned(),
        };
        publisher.fail(Arc::new(failure), Moment::now());
        assert_eq!(
            status(&current.load()),
            "nothing is published yet, the repository cannot be read: no such host"
        );
        let refusal = Refusal {
            revision: Revision::new("c22990d3206721c4cd74fd5f503c9dc5945fb5f5"),
            errors: 2,
            warnings: 0,
            lines: Vec::new(),
            text: String::new(),
        };
        publisher.refuse(Arc::new(refusal), Moment::now());
        assert_eq!(
            status(&current.load()),
            "nothing is published yet, c22990d refused (2 errors)"
        );
    }

    #[test]
    fn is_one_line_of_bounded_length() {
        let long = one_line(&format!("a\r\nb\0{}", "ä".repeat(1000)));
        assert!(long.starts_with("a  b ä"), "{long}");
        assert!(long.len() <= MAX_BYTES);
    }
}
