//! A search for secrets in whatever form.

use std::fs;
use std::path::Path;

use crate::support::http::Response;
use crate::support::process::Ran;

/// The forms in which a text might be found.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each = |form: fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
    let json = serde_json::to_string(secret).unwrap();
    let mut forms = vec![
        secret.to_owned(),
        secret.chars().rev().collect(),
        json[1..json.len() - 1].to_owned(),
        secret.escape_debug().to_string(),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
    ];
    // What stands before it moves the digits, so those at the edges are left out.
    for before in 0..3 {
        let text = [&[b'x'; 2][..before], bytes].concat();
        let digits = base64(&text);
        let start = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        forms.push(digits[start..end].to_owned());
        forms.push(digits[start..end].replace('+', "-").replace('/', "_"));
    }
    forms
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (at..at + 6).fold(0, |sum, at| sum << 1 | usize::from(bit(at)));
    (0..bytes.len() * 8)
        .step_by(6)
        .map(|at| char::from(DIGITS[digit(at)]))
        .collect()
}

/// Everything that was said and stored, and where.
#[derive(Default)]
pub(super) struct Told(pub(super) Vec<(String, Vec<u8>)>);

impl Told {
    pub(super) fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    pub(super) fn ran(&mut self, what: &str, ran: &Ran) {
        self.add(format!("stdout of {what}"), ran.stdout.as_bytes());
        self.add(format!("stderr of {what}"), ran.stderr.as_bytes());
    }

    /// An answer without the body of a config that was to be sent.
    pub(super) fn answer(&mut self, target: &str, response: &Response) {
        let is_config = response.status == 200 && !target.starts_with("/ipxe");
        let mut text = format!("{} {:?}\n", response.status, response.headers);
        if !is_config {
            text += response.text();
        }
        self.add(format!("answer to {target}"), text);
    }

    pub(super) fn folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.add("the name of a file", path.to_string_lossy().as_bytes());
            if path.is_dir() {
                self.folder(&path);
            } else {
                self.add(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }

    #[track_caller]
    pub(super) fn holds_none_of(&self, secrets: &[&str]) {
        for secret in secrets {
            for form in forms(secret) {
                for (place, bytes) in &self.0 {
                    let found = bytes
                        .windows(form.len())
                        .position(|window| window == form.as_bytes());
                    assert!(
                        found.is_none(),
                        "`{secret}` as `{form}` in {place}: {}",
                        String::from_utf8_lossy(bytes)
                    );
                }
            }
        }
    }
}
