//! What can go wrong between a repository and a `Tree`, in words for the person who has to mend it.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::tree::{RepoPath, Revision};

/// The longest text of somebody else that one message repeats, in characters: two lines of a terminal.
const MAX_FOREIGN_CHARS: usize = 200;

/// The kind of a failure: the `class` of `/status`, of the metric and of the log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The name of the remote host has no address.
    Dns,
    /// Nobody listens at the remote's address, or the connection broke.
    Refused,
    /// The TLS handshake failed: an unknown authority, an expired certificate, a wrong name.
    Tls,
    /// The remote wants credentials, or other ones, or a file that holds them cannot be used.
    Auth,
    /// The host key of an ssh server is unknown, or another than the one that is known.
    HostKey,
    /// There is no repository at this address.
    NotFound,
    /// The repository has no such branch, tag or commit.
    RefNotFound,
    /// The remote took longer than `--git-timeout` or `--fetch-timeout`.
    Timeout,
    /// The remote answers, but not as a git server does.
    Protocol,
    /// The remote says that it cannot answer now (a 5xx or 429 status).
    Server,
    /// The answer or the tree is larger than a limit allows.
    Limit,
    /// An object is missing or damaged.
    Corrupt,
    /// A local file or folder cannot be read or written.
    Disk,
    /// The tree holds something that no tree may hold, such as a path with `..`.
    Content,
    /// The commit has no folder at `--path`.
    PathMissing,
    /// The commit is not signed by one of `--allowed-signers-file`, or nobody knows who is allowed.
    Signature,
    /// The repository uses a format that this program does not read.
    Unsupported,
    /// The caller asked to stop.
    Interrupted,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Dns,
        Self::Refused,
        Self::Tls,
        Self::Auth,
        Self::HostKey,
        Self::NotFound,
        Self::RefNotFound,
        Self::Timeout,
        Self::Protocol,
        Self::Server,
        Self::Limit,
        Self::Corrupt,
        Self::Disk,
        Self::Content,
        Self::PathMissing,
        Self::Signature,
        Self::Unsupported,
        Self::Interrupted,
    ];

    /// The name in metrics, JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::HostKey => "host_key",
            Self::NotFound => "not_found",
            Self::RefNotFound => "ref_not_found",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Server => "server",
            Self::Limit => "limit",
            Self::Corrupt => "corrupt",
            Self::Disk => "disk",
            Self::Content => "content",
            Self::PathMissing => "path_missing",
            Self::Signature => "signature",
            Self::Unsupported => "unsupported",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why no tree could be had. The message never holds a secret, userinfo of a URL or a control character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    class: ErrorClass,
    message: String,
    revision: Option<Revision>,
    missing: Option<RepoPath>,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// The kind of the failure.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The commit that was found but could not become a tree: a refused revision. `None` when no commit was reached.
    #[must_use]
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// The `--path` that the commit does not have, when that is the failure ([`ErrorClass::PathMissing`]).
    #[must_use]
    pub fn missing_path(&self) -> Option<&RepoPath> {
        self.missing.as_ref()
    }

    /// How long the remote wants to be left alone, when it says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same question may get another answer in a while without anybody changing the repository or the
    /// settings.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.class {
            ErrorClass::Dns
            | ErrorClass::Refused
            | ErrorClass::Timeout
            | ErrorClass::Server
            | ErrorClass::Disk
            | ErrorClass::Corrupt
            | ErrorClass::Interrupted => true,
            ErrorClass::Tls
            | ErrorClass::Auth
            | ErrorClass::HostKey
            | ErrorClass::NotFound
            | ErrorClass::RefNotFound
            | ErrorClass::Protocol
            | ErrorClass::Limit
            | ErrorClass::Content
            | ErrorClass::PathMissing
            | ErrorClass::Signature
            | ErrorClass::Unsupported => false,
        }
    }

    /// A failure of this kind.
    pub(super) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            revision: None,
            missing: None,
            retry_after: None,
        }
    }

    /// A failure of the local disk.
    pub(super) fn disk(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = printable(&path.display().to_string());
        Self::new(ErrorClass::Disk, format!("{what} `{path}`: {error}"))
    }

    /// A failure with what somebody else's error and its causes say.
    pub(super) fn caused(class: ErrorClass, what: &str, error: &(dyn Error + 'static)) -> Self {
        Self::new(class, format!("{what}: {}", causes(error)))
    }

    /// The commit has no folder at this path.
    pub(super) fn path_missing(path: &RepoPath) -> Self {
        Self {
            missing: Some(path.clone()),
            ..Self::new(
                ErrorClass::PathMissing,
                format!("the commit has no folder at `{path}`"),
            )
        }
    }

    /// The caller asked to stop.
    pub(super) fn interrupted() -> Self {
        Self::new(ErrorClass::Interrupted, "the read was interrupted")
    }

    /// The same failure of a remote that wants to be left alone for this long.
    pub(super) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// The same failure, said of this commit.
    pub(super) fn of(mut self, revision: &Revision) -> Self {
        self.revision = Some(revision.clone());
        self
    }
}

/// The cause of an error. An `io::Error` leaves what it wraps out of its `source`; here it counts.
pub(super) fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// An error and its causes on one line, in printable characters, without repetitions.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(current) = next {
        let text = printable(
            current
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .trim(),
        );
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = cause(current);
    }
    parts.join(": ")
}

/// Somebody else's text made safe for a log line: control characters escaped, cut at a length.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX_FOREIGN_CHARS {
            out.push('…');
            break;
        }
        if is_unprintable(c) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, and those that reorder or hide what stands around them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        let long = printable(&"x".repeat(MAX_FOREIGN_CHARS + 1));
        assert_eq!(long.chars().count(), MAX_FOREIGN_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn causes_are_joined_on_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer\nsecond line")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(causes(&error), "outer: inner");
        let nested = std::io::Error::other(std::io::Error::other(error));
        let mut last: &(dyn Error + 'static) = &nested;
        let mut depth = 0;
        while let Some(next) = cause(last) {
            last = next;
            depth += 1;
        }
        assert_eq!((last.to_string().as_str(), depth), ("inner", 4));
    }
}
