//! The list of allowed signers in OpenSSH's format: one key a line, with the principals before it.
//!
//! ```text
//! # principals [options] type key [comment]
//! ann@example.com,"cem example" namespaces="git",valid-before="20300101Z" ssh-ed25519 AAAA…
//! ```

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::pattern::matches_list;
use super::verify::{NAMESPACE, SignatureError};
use crate::source::error::printable;

/// The longest list of principals on one line in bytes; OpenSSH compares no more than this either.
const MAX_PRINCIPALS_BYTES: usize = 1024;
/// The sizes of RSA keys in bits that are verified: shorter ones are within reach of an attacker, longer ones slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The types of keys that sign.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// What the types of other keys start with, which are told from options by that.
const KEY_TYPE_PREFIXES: [&str; 4] = ["ssh-", "ecdsa-", "sk-", "webauthn-"];

/// Whose signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

/// Why a list of allowed signers cannot be used; a list with one bad line is not used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct AllowedSignersError {
    /// The line that is wrong, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    line: usize,
    principal: String,
    key: KeyData,
    options: Options,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    namespaces: Option<String>,
    /// The first second at which the key is valid.
    valid_after: Option<i64>,
    /// The last second at which the key is valid.
    valid_before: Option<i64>,
}

impl AllowedSigners {
    /// Reads a list. Times without a `Z` are in the time zone of this machine, as in OpenSSH.
    ///
    /// # Errors
    /// Names the first line that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, AllowedSignersError> {
        Self::parse_in(text, &TimeZone::system())
    }

    fn parse_in(text: &[u8], zone: &TimeZone) -> Result<Self, AllowedSignersError> {
        let text = String::from_utf8_lossy(text);
        let mut signers = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let text = text.trim_matches(is_blank);
            if !text.is_empty() && !text.starts_with('#') {
                let signer = Signer::parse(line, text, zone);
                signers.push(signer.map_err(|what| AllowedSignersError { line, what })?);
            }
        }
        Ok(Self { signers })
    }

    /// Whether some line holds this key.
    pub(super) fn lists(&self, key: &KeyData) -> bool {
        self.signers.iter().any(|signer| signer.key == *key)
    }

    /// Whose key this is, on the first line that allows it to sign commits at this time.
    pub(super) fn principal(&self, key: &KeyData, time: i64) -> Result<String, SignatureError> {
        let mut first = None;
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            match signer.admit(time) {
                Ok(()) => return Ok(signer.principal.clone()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(SignatureError::Wrong))
    }
}

impl Signer {
    fn parse(line: usize, text: &str, zone: &TimeZone) -> Result<Self, String> {
        if KEY_TYPES.contains(&split_blank(text).0) {
            let what = "the line starts with a key; the principals whose key it is come first";
            return Err(what.to_owned());
        }
        let (principals, rest) = principals(text)?;
        let principal = principals
            .split(',')
            .find(|name| !name.is_empty() && matches_list(name, principals))
            .ok_or("no principal is allowed here")?;
        let (options, key) = match split_blank(rest) {
            (kind, _) if KEY_TYPES.contains(&kind) => (Options::default(), rest),
            (kind, _)
                if KEY_TYPE_PREFIXES
                    .iter()
                    .any(|known| kind.starts_with(known)) =>
            {
                return Err(format!(
                    "keys of the type `{}` are not supported",
                    printable(kind)
                ));
            }
            _ => {
                let (options, rest) = split_options(rest)?;
                (Options::parse(options, zone)?, rest)
            }
        };
        Ok(Self {
            line,
            principal: printable(principal),
            key: parse_key(key)?,
            options,
        })
    }

    /// Ensures that the key may sign commits that were made at this time.
    fn admit(&self, time: i64) -> Result<(), SignatureError> {
        let (line, principal) = (self.line, self.principal.clone());
        let Options {
            namespaces,
            valid_after,
            valid_before,
        } = &self.options;
        if namespaces
            .as_ref()
            .is_some_and(|list| !matches_list(NAMESPACE, list))
        {
            Err(SignatureError::NotForGit { line, principal })
        } else if valid_after.is_some_and(|first| time < first) {
            Err(SignatureError::NotYet { line, principal })
        } else if valid_before.is_some_and(|last| time > last) {
            Err(SignatureError::Expired { line, principal })
        } else {
            Ok(())
        }
    }
}

/// The principals at the start of a line, without quotes, and what follows.
fn principals(text: &str) -> Result<(&str, &str), String> {
    let (principals, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted
            .split_once('"')
            .ok_or("the quote before the principals is not closed")?,
        None => split_blank(text),
    };
    if principals.contains('"') {
        return Err("a quote stands inside the principals; quote them as a whole".to_owned());
    }
    if principals.len() > MAX_PRINCIPALS_BYTES {
        return Err(format!(
            "the principals are longer than {MAX_PRINCIPALS_BYTES} bytes"
        ));
    }
    let rest = rest.trim_start_matches(is_blank);
    if rest.is_empty() {
        return Err("there is no key after the principals".to_owned());
    }
    Ok((principals, rest))
}

/// The options before a key, and what follows them: blanks inside quotes do not end them.
fn split_options(text: &str) -> Result<(&str, &str), String> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if is_blank(c) && !is_quoted {
            let (options, rest) = text.split_at(at);
            return Ok((options, rest.trim_start_matches(is_blank)));
        }
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\';
    }
    Err(if is_quoted {
        "a quote in the options is not closed".to_owned()
    } else {
        "there is no key after the options".to_owned()
    })
}

impl Options {
    fn parse(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text;
        loop {
            let end = rest.find([',', '=']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let name = name.to_ascii_lowercase();
            let (value, after) = match after.strip_prefix('=') {
                Some(quoted) => {
                    unquote(&name, quoted).map(|(value, after)| (Some(value), after))?
                }
                None => (None, after),
            };
            options.set(&name, value, zone)?;
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return Err(format!("a comma must follow the option `{name}`")),
            }
        }
        match (options.valid_after, options.valid_before) {
            (Some(after), Some(before)) if before <= after => {
                Err("`valid-before` is not later than `valid-after`".to_owned())
            }
            _ => Ok(options),
        }
    }

    fn set(&mut self, name: &str, value: Option<String>, zone: &TimeZone) -> Result<(), String> {
        let twice = || Err(format!("the option `{name}` stands here twice"));
        match (name, value) {
            ("cert-authority", None) => Err(
                "`cert-authority` is not supported: list the keys that sign, not the one that certifies them".to_owned(),
            ),
            ("namespaces", Some(_)) if self.namespaces.is_some() => twice(),
            ("namespaces", Some(list)) => {
                self.namespaces = Some(list);
                Ok(())
            }
            ("valid-after", Some(_)) if self.valid_after.is_some() => twice(),
            ("valid-after", Some(time)) => {
                self.valid_after = Some(parse_time(name, &time, zone)?);
                Ok(())
            }
            ("valid-before", Some(_)) if self.valid_before.is_some() => twice(),
            ("valid-before", Some(time)) => {
                self.valid_before = Some(parse_time(name, &time, zone)?);
                Ok(())
            }
            ("namespaces" | "valid-after" | "valid-before", None) => {
                Err(format!("the option `{name}` has no value"))
            }
            _ => Err(format!("the option `{}` is not known", printable(name))),
        }
    }
}

/// The value between quotes at the start of `text`, and what follows; a quote inside is written `\"`.
fn unquote<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let open = || {
        format!(
            "the value of the option `{}` must stand in quotes",
            printable(name)
        )
    };
    let text = text.strip_prefix('"').ok_or_else(open)?;
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next_if(|(_, next)| *next == '"') {
                Some((_, quote)) => value.push(quote),
                None => value.push(c),
            },
            c => value.push(c),
        }
    }
    Err(open())
}

/// A time as OpenSSH writes it: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC when `Z` or `UTC` follows.
/// Other times are what the clock on the wall says; OpenSSH 9 leaves daylight saving time out of the account.
fn parse_time(name: &str, text: &str, zone: &TimeZone) -> Result<i64, String> {
    let wrong = || {
        let shown = printable(text);
        format!(
            "`{name}` is no time: `{shown}`; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC"
        )
    };
    let upper = text.to_ascii_uppercase();
    let (digits, zone) = match upper.strip_suffix("UTC").or(upper.strip_suffix('Z')) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (upper.as_str(), zone),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |at: usize, length: usize| -> i16 {
        let digits = digits.get(at..at + length).unwrap_or("0");
        digits.parse().unwrap_or(0)
    };
    let small = |at: usize| i8::try_from(number(at, 2)).unwrap_or(i8::MAX);
    let civil = DateTime::new(
        number(0, 4),
        small(4),
        small(6),
        small(8),
        small(10),
        small(12),
        0,
    );
    civil
        .and_then(|civil| zone.to_timestamp(civil))
        .map(jiff::Timestamp::as_second)
        .map_err(|_| wrong())
}

/// The key at the start of `text`; a comment may follow.
fn parse_key(text: &str) -> Result<KeyData, String> {
    let (kind, rest) = split_blank(text);
    if !KEY_TYPES.contains(&kind) {
        let shown = printable(kind);
        return Err(format!(
            "`{shown}` stands where the type of a key is expected"
        ));
    }
    let (encoded, _) = split_blank(rest);
    let key = PublicKey::from_openssh(&format!("{kind} {encoded}"))
        .map_err(|_| format!("the `{kind}` key is damaged"))?;
    let key = key.key_data().clone();
    if let KeyData::Rsa(rsa) = &key {
        let bytes = rsa.n.as_positive_bytes().unwrap_or_default();
        let zeros = bytes.first().map_or(0, |first| first.leading_zeros());
        let bits = (bytes.len() * 8).saturating_sub(usize::try_from(zeros).unwrap_or(0));
        if !RSA_BITS.contains(&bits) {
            let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
            return Err(format!(
                "the RSA key has {bits} bits; {least} to {most} are supported"
            ));
        }
    }
    Ok(key)
}

/// The text up to the first blank, and what follows the blanks.
fn split_blank(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(is_blank).unwrap_or((text, ""));
    (word, rest.trim_start_matches(is_blank))
}

/// What separates the fields of a line.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests;
