//! Diagnostics as SARIF 2.1.0 (OASIS, 2020), in the shape that GitHub's code scanning takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Diagnostic, Diagnostics, Severity};
use super::rules::Rule;
use super::{from_top, in_full};
use crate::tree::RepoPath;

/// The JSON Schema of the format, as the standard names it.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What GitHub resolves against the top of the repository.
const TOP: &str = "%SRCROOT%";

pub(in super::super) fn sarif(all: &Diagnostics, place: Option<&RepoPath>) -> String {
    let codes: BTreeSet<&str> = all.iter().map(Diagnostic::code).collect();
    let indices: BTreeMap<&str, usize> = codes.iter().copied().zip(0..).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(all, code)).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = all
        .iter()
        .map(|one| {
            let mut result = result(one, place, &mut seen);
            result["ruleIndex"] = json!(indices.get(one.code()));
            result
        })
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "gitboot",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A rule that something in the tree breaks. Its severity is the worst that it has there.
fn rule(all: &Diagnostics, code: &str) -> Value {
    let worst = all
        .iter()
        .filter(|one| one.code() == code)
        .map(Diagnostic::severity)
        .min();
    let rule = Rule::of(code);
    json!({
        "id": code,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": format!("{} {}", rule.summary, rule.advice)},
        "help": {"text": rule.advice, "markdown": rule.advice},
        "defaultConfiguration": {"level": level(worst.unwrap_or(Severity::Error))},
        "properties": {"tags": ["gitboot"]},
    })
}

fn result(one: &Diagnostic, place: Option<&RepoPath>, seen: &mut BTreeMap<String, usize>) -> Value {
    // GitHub refuses a result without a place; what concerns the tree as a whole stands at the served root.
    let (path, region) = match one.location() {
        Some(at) => (
            from_top(place, &at.path),
            json!({
                "startLine": at.line,
                "startColumn": at.column,
                "endLine": at.line,
                "endColumn": at.column + at.width,
            }),
        ),
        None => (
            place.map_or_else(|| ".".to_owned(), ToString::to_string),
            json!({"startLine": 1}),
        ),
    };
    let fingerprint = fingerprint(one, &path);
    let count = seen.entry(fingerprint.clone()).or_default();
    *count += 1;
    json!({
        "ruleId": one.code(),
        "level": level(one.severity()),
        "message": {"text": unlinked(&in_full(one))},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&path), "uriBaseId": TOP},
            "region": region,
        }}],
        // GitHub's name for what tells one alert from another when lines move.
        "partialFingerprints": {"primaryLocationLineHash": format!("{fingerprint}:{count}")},
    })
}

/// What stays the same when something else in the file changes: the rule, the file and the message.
fn fingerprint(one: &Diagnostic, path: &str) -> String {
    let mut hash = Sha256::new();
    for part in [one.code(), path, one.message()] {
        hash.update(part);
        // No part holds a NUL.
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A relative reference by RFC 3986: everything but `A-Za-z0-9-._~` and the slashes escaped.
fn uri(path: &str) -> String {
    path.bytes().fold(String::new(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

/// SARIF reads `[text](target)` as a link; nothing that stands in a manifest becomes one.
fn unlinked(text: &str) -> String {
    text.replace("](", "\\](")
}
