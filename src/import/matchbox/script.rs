//! A profile's `boot` as the iPXE script that matchbox makes of it.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, import as say};
use crate::label::canonical_key;

use super::super::Original;
use super::super::go::literal;
use super::read::{Group, Profile};

/// The paths at which matchbox serves what a machine fetches later.
const ENDPOINTS: [&str; 4] = ["ignition", "cloud", "generic", "metadata"];

/// What a machine says of itself in the scripts of either server.
const SENT: [&str; 10] = [
    "uuid",
    "mac",
    "serial",
    "hostname",
    "domain",
    "asset",
    "manufacturer",
    "product",
    "buildarch",
    "platform",
];

/// Whether the first scripts send this label.
pub(super) fn is_sent(key: &str) -> bool {
    SENT.contains(&key)
}

/// The configs that a profile has, as far as they could be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The profile names none.
    Absent,
    /// It is there.
    Ready,
    /// It could not be converted, and that was told.
    LeftOut,
}

/// A script.
#[derive(Debug)]
pub(super) struct Script {
    /// Its text.
    pub(super) text: String,
    /// Whether it may be served.
    pub(super) whole: bool,
    /// What was written in another way.
    pub(super) rewrites: Vec<String>,
}

/// Makes the script; `state` tells what became of `ignition`, `cloud` and `generic`.
pub(super) fn script(
    original: &Original<'_>,
    profile: &Profile,
    groups: &[&Group],
    state: &dyn Fn(&str) -> State,
    found: &mut Vec<Diagnostic>,
) -> Script {
    let mut maker = Maker {
        original,
        profile,
        groups,
        state,
        found,
        whole: true,
        assets: false,
        rewrites: Vec::new(),
    };
    let mut text = String::from("#!ipxe\nkernel ");
    text.push_str(&maker.word(&profile.kernel));
    for arg in &profile.args {
        text.push(' ');
        text.push_str(&maker.word(arg));
    }
    for initrd in &profile.initrd {
        text.push_str("\ninitrd ");
        text.push_str(&maker.word(initrd));
    }
    text.push_str("\nboot\n");
    if maker.assets {
        let at = original.find(&profile.path, &[profile.kernel.as_str(), "boot"]);
        maker.found.push(say::assets(at));
    }
    Script {
        text,
        whole: maker.whole,
        rewrites: maker.rewrites,
    }
}

struct Maker<'m, 't> {
    original: &'m Original<'t>,
    profile: &'m Profile,
    groups: &'m [&'m Group],
    state: &'m dyn Fn(&str) -> State,
    found: &'m mut Vec<Diagnostic>,
    whole: bool,
    assets: bool,
    rewrites: Vec<String>,
}

impl Maker<'_, '_> {
    /// A word of the script, with the addresses of matchbox replaced.
    fn word(&mut self, word: &str) -> String {
        let mut out = String::new();
        let mut done = 0;
        self.assets |= word.split(' ').any(|part| part.starts_with("/assets/"));
        for url in urls(word) {
            self.assets |= url.path == "assets";
            let Some(replacement) = self.address(word, &url) else {
                continue;
            };
            out.push_str(&literal(
                word.get(done..url.range.start).unwrap_or_default(),
            ));
            out.push_str(&replacement);
            done = url.range.end;
        }
        out.push_str(&literal(word.get(done..).unwrap_or_default()));
        out
    }

    /// What stands for an address, if anything does.
    fn address(&mut self, word: &str, url: &Url<'_>) -> Option<String> {
        let config = url.path.split('.').next().unwrap_or_default();
        if !ENDPOINTS.contains(&config) {
            return None;
        }
        let at = self.original.find(&self.profile.path, &[word]);
        let refuse = |maker: &mut Self, why: &str| {
            maker.whole = false;
            maker.found.push(say::endpoint(at.clone(), url.text, why));
            None
        };
        if url.path != config {
            return refuse(
                self,
                "gitboot signs no configs; TLS, or the hash in a config's ETag, says what was served",
            );
        }
        if config == "metadata" {
            return refuse(
                self,
                "gitboot has no `/metadata`: write the lines that are needed as a config of the Profile, `KEY={{ values.key }}`, and print its URL",
            );
        }
        match (self.state)(config) {
            State::Absent => {
                let field = format!("{config}_id");
                self.found.push(say::dead_endpoint(at, url.text, &field));
                return None;
            }
            State::LeftOut => self.whole = false,
            State::Ready => {}
        }
        let Some(keys) = asked(url.query) else {
            return refuse(
                self,
                "it asks with a label that is not the machine's own, perhaps for the config of another group: a config in gitboot is that of the machine's Assignment",
            );
        };
        let others = self.groups.iter().filter(|group| {
            let says = |(key, _): &(String, String)| {
                canonical_key(key).is_some_and(|key| keys.contains(&key))
            };
            !group.selector.iter().all(says)
        });
        let others: Vec<&str> = others.map(|group| group.id.as_str()).collect();
        if !others.is_empty() {
            let warning = say::endpoint_selects(at.clone(), url.text, others.into_iter());
            self.found.push(warning);
        }
        let replacement = format!("{{{{ {config} }}}}");
        self.rewrites
            .push(format!("{at}: `{}` is now `{replacement}`", url.text));
        Some(replacement)
    }
}

/// The labels that a query asks with; `None` when it says something that the machine does not say of itself.
fn asked(query: &str) -> Option<Vec<String>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = canonical_key(key).filter(|key| is_sent(key))?;
            (value.starts_with("${") && value.ends_with('}')).then_some(key)
        })
        .collect()
}

/// An address in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'t> {
    /// The whole of it.
    pub(super) text: &'t str,
    /// Its bytes in the text.
    pub(super) range: Range<usize>,
    /// The first part of its path; the whole path, if that is longer than one part, only for `assets`.
    pub(super) path: &'t str,
    /// What follows `?`.
    pub(super) query: &'t str,
}

/// The addresses in a text that could be matchbox's.
pub(super) fn urls(text: &str) -> Vec<Url<'_>> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find("://")) {
        let at = from + at;
        from = at + 3;
        let before = text.get(..at).unwrap_or_default();
        let Some(scheme) = ["https", "http"].iter().find(|one| before.ends_with(**one)) else {
            continue;
        };
        let start = at - scheme.len();
        let rest = text.get(start..).unwrap_or_default();
        let end = rest
            .find(|char: char| char.is_whitespace() || "\"'<>`\\|;,)".contains(char))
            .unwrap_or(rest.len());
        let whole = rest.get(..end).unwrap_or_default();
        let behind = whole.get(scheme.len() + 3..).unwrap_or_default();
        let (address, query) = behind.split_once('?').unwrap_or((behind, ""));
        let path = address.split_once('/').map_or("", |(_, path)| path);
        let path = if path.starts_with("assets/") {
            "assets"
        } else {
            path
        };
        all.push(Url {
            text: whole,
            range: start..start + whole.len(),
            path,
            query,
        });
    }
    all
}

/// The addresses in a text that are those of matchbox's endpoints.
pub(super) fn endpoints(text: &str) -> impl Iterator<Item = Url<'_>> {
    urls(text)
        .into_iter()
        .filter(|url| ENDPOINTS.contains(&url.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        let found = urls(
            "a=http://m:8080/ignition?uuid=${uuid}&mac=${mac:hexhyp} https://x/assets/y ftp://z/",
        );
        let seen: Vec<_> = found.iter().map(|url| (url.path, url.query)).collect();
        assert_eq!(
            seen,
            [
                ("ignition", "uuid=${uuid}&mac=${mac:hexhyp}"),
                ("assets", "")
            ]
        );
    }

    #[test]
    fn queries_say_who_asks() {
        assert_eq!(asked("").unwrap(), Vec::<String>::new());
        assert_eq!(
            asked("uuid=${uuid}&mac=${net0/mac:hexhyp}").unwrap(),
            ["uuid", "mac"]
        );
        assert_eq!(asked("mac=${mac}&os=installed"), None);
        assert_eq!(asked("mac=52-54-00-00-00-01"), None);
    }
}
