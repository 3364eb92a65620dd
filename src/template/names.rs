//! Names that mean something by themselves, and names that are spelled alike.

use super::limits;

/// Built-in variables. They win over config names and cannot be assigned.
pub(super) const VARIABLES: [&str; 10] = [
    "labels",
    "values",
    "configs",
    "config_dir",
    "base_url",
    "profile",
    "assignment",
    "machine",
    "revision",
    "secrets",
];

/// Functions.
pub(super) const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// What minijinja itself gives a meaning to in places.
pub(super) const SPECIAL: [&str; 4] = ["loop", "self", "super", "caller"];

/// The fields of `loop`.
pub(super) const LOOP_FIELDS: [&str; 11] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
];

/// Whether a name can be neither assigned nor be a config's plain variable.
pub(super) fn is_reserved(name: &str) -> bool {
    const LITERALS: [&str; 9] = [
        "true", "True", "false", "False", "none", "None", "not", "and", "or",
    ];
    [&VARIABLES[..], &FUNCTIONS, &SPECIAL, &LITERALS]
        .iter()
        .any(|names| names.contains(&name))
}

/// Whether a config of this name is a plain variable too.
pub(super) fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !is_reserved(name)
}

/// The candidate that is spelled most like `name`, if any is near.
pub(super) fn similar<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    /// A transposition or a missing letter in a name of four is 0.75.
    const NEAR: f64 = 0.65;
    let is_short = |name: &str| name.len() <= limits::SIMILAR;
    let mut best: Option<(f64, &str)> = None;
    if !is_short(name) {
        return None;
    }
    for candidate in candidates
        .into_iter()
        .filter(|candidate| is_short(candidate))
        .take(limits::SIMILAR_NAMES)
    {
        let score = strsim::normalized_damerau_levenshtein(name, candidate);
        if score >= NEAR && candidate != name && best.is_none_or(|(found, _)| score > found) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}
