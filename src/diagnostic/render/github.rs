//! Diagnostics as workflow commands, which GitHub Actions shows at the lines of a pull request.
//!
//! GitHub makes at most ten annotations of each severity out of one step and shows the rest in its log only, without what
//! the properties say; so each message begins with its place and its code.

use std::fmt::Write as _;

use super::super::Diagnostics;
use super::{from_top, in_full};
use crate::tree::RepoPath;

pub(in super::super) fn github(all: &Diagnostics, place: Option<&RepoPath>) -> String {
    let mut out = String::new();
    for one in all.iter() {
        let (severity, code) = (one.severity().as_str(), one.code());
        let _ = write!(out, "::{severity} ");
        let mut message = String::new();
        if let Some(at) = one.location() {
            let path = from_top(place, &at.path);
            let (line, column) = (at.line, at.column);
            let _ = write!(
                out,
                "file={},line={line},col={column},endLine={line},endColumn={},",
                escaped_property(&path),
                column + at.width
            );
            let _ = write!(message, "{path}:{line}:{column}: ");
        }
        let _ = write!(message, "{severity}[{code}]: {}", in_full(one));
        let _ = writeln!(
            out,
            "title={}::{}",
            escaped_property(code),
            escaped(&message)
        );
    }
    out
}

/// What ends a command, or begins an escape, in a message.
fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The same in a property, and what ends one.
fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
