//! Where the repository can be read in a browser.

use std::fmt::Write as _;

/// What a place is written as in a URL.
const PLACEHOLDERS: [&str; 3] = ["revision", "path", "line"];

/// The most bytes of such a URL: what every browser and proxy takes.
const MAX_BYTES: usize = 2048;

/// The URL of a line of a file of a revision: a text with `{revision}`, `{path}` and `{line}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUrl {
    template: String,
    /// The folder of the repository that is served, with a slash at its end; empty for the whole.
    folder: String,
}

impl SourceUrl {
    /// Reads what an operator gives.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| lower.strip_prefix(scheme));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        if authority.is_none_or(|host| host.is_empty() || host.contains(['{', '@'])) {
            return Err(
                "it starts with `https://` or `http://` and a host, without a user name".to_owned(),
            );
        }
        if text.len() > MAX_BYTES || text.contains(|c: char| c.is_control() || c == ' ') {
            return Err(format!(
                "it has at most {MAX_BYTES} bytes, and neither blanks nor control characters"
            ));
        }
        let mut names = text.split('{').skip(1);
        let is_known = |part: &str| {
            let name = part.split_once('}').map(|(name, _)| name);
            name.is_some_and(|name| PLACEHOLDERS.contains(&name))
        };
        if !names.all(is_known) || !text.contains("{path}") {
            return Err(
                "it holds `{path}`, and `{revision}` and `{line}` where they belong, and no other `{`"
                    .to_owned(),
            );
        }
        Ok(Self {
            template: text.to_owned(),
            folder: String::new(),
        })
    }

    /// That of a repository on GitHub or on a GitLab, which is told by its host's name.
    #[must_use]
    pub fn of_remote(repository: &str) -> Option<Self> {
        let (scheme, host, path) = parts(repository)?;
        let host = host.to_ascii_lowercase();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
        if !path.contains('/') || !path.chars().all(is_plain) || path.contains("//") {
            return None;
        }
        let name = host.split(':').next().unwrap_or(&host);
        let between = if name == "github.com" {
            ""
        } else if name == "gitlab.com" || name.starts_with("gitlab.") {
            "/-"
        } else {
            return None;
        };
        let template =
            format!("{scheme}://{host}/{path}{between}/blob/{{revision}}/{{path}}#L{{line}}");
        Self::parse(&template).ok()
    }

    /// The same where only this folder of the repository is served, from which paths start.
    #[must_use]
    pub fn below(self, folder: &str) -> Self {
        Self {
            folder: format!("{}/", folder.trim_matches('/')),
            ..self
        }
    }

    /// The URL of a line of a file.
    #[must_use]
    pub fn of(&self, revision: &str, path: &str, line: usize) -> String {
        let mut encoded = String::new();
        for byte in self.folder.bytes().chain(path.bytes()) {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                // Writing into a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        self.template
            .replace("{line}", &line.to_string())
            .replace("{revision}", revision)
            .replace("{path}", &encoded)
    }
}

/// The scheme of the web pages, the host with the port of the web, and the path.
fn parts(repository: &str) -> Option<(&'static str, &str, &str)> {
    for scheme in ["https", "http"] {
        let rest = repository.strip_prefix(scheme);
        if let Some(rest) = rest.and_then(|rest| rest.strip_prefix("://")) {
            let (host, path) = rest.split_once('/')?;
            return Some((scheme, host, path));
        }
    }
    let (host, path) = match repository.strip_prefix("ssh://") {
        Some(rest) => {
            let (host, path) = rest.split_once('/')?;
            // The port is that of ssh.
            (host.split_once(':').map_or(host, |(host, _)| host), path)
        }
        None if repository.contains("://") => return None,
        None => repository.split_once(':')?,
    };
    let host = host.split_once('@').map_or(host, |(_, host)| host);
    (!host.contains('/')).then_some(("https", host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hosts_are_linked_to() {
        let hub = "https://github.com/acme/boot/blob/REV/a.yaml#L7";
        let lab = "https://gitlab.acme.example/ops/metal/boot/-/blob/REV/a.yaml#L7";
        for (remote, expected) in [
            ("https://github.com/acme/boot.git", Some(hub)),
            ("https://GitHub.com/acme/boot", Some(hub)),
            ("git@github.com:acme/boot.git", Some(hub)),
            ("ssh://git@github.com:22/acme/boot.git/", Some(hub)),
            ("https://gitlab.acme.example/ops/metal/boot.git", Some(lab)),
            ("git@gitlab.acme.example:ops/metal/boot.git", Some(lab)),
            (
                "http://gitlab.lab:8080/ops/boot",
                Some("http://gitlab.lab:8080/ops/boot/-/blob/REV/a.yaml#L7"),
            ),
            ("https://git.acme.example/acme/boot.git", None),
            ("https://github.com.evil.example/acme/boot", None),
            ("https://github.com/acme", None),
            ("https://github.com/acme/%7B/boot", None),
            ("/srv/git/github.com:boot.git", None),
            ("git://github.com/acme/boot", None),
            ("file:///srv/boot.git", None),
        ] {
            let found = SourceUrl::of_remote(remote).map(|url| url.of("REV", "a.yaml", 7));
            assert_eq!(found.as_deref(), expected, "{remote}");
        }
    }

    #[test]
    fn places_are_encoded() {
        let url = SourceUrl::parse("https://git.example/{revision}/{path}?l={line}").unwrap();
        let url = url.below("/sites/a b/");
        assert_eq!(
            url.of("0a1b", "x/{line}#\"ä.yaml", 12),
            "https://git.example/0a1b/sites/a%20b/x/%7Bline%7D%23%22%C3%A4.yaml?l=12"
        );
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in [
            "",
            "javascript:alert(1)//{path}",
            "ftp://git.example/{path}",
            "https://",
            "https:///{path}",
            "https://{path}",
            "https://user:secret@git.example/{path}",
            "https://git.example/",
            "https://git.example/{path}/{column}",
            "https://git.example/{path}{",
            "https://git.example/ {path}",
            "https://git.example/\n{path}",
        ] {
            assert!(SourceUrl::parse(text).is_err(), "{text}");
        }
    }
}
