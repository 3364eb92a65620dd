//! `RepoUrl`: where the repository is, checked once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the repository is: an `https`, `http`, `ssh`, `git` or `file` URL, `user@host:path`, or a local path.
///
/// It holds no password and no token, so printing it gives nothing away. A user name stands only in the forms for ssh.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepoUrl {
    text: String,
    place: Place,
}

/// The ways to a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Over `http` or `https`; the URL ends without a slash.
    Http(reqwest::Url),
    /// Over ssh.
    Ssh(Address),
    /// A `git daemon`, without encryption.
    Git(Address),
    /// An absolute path of this machine.
    Local(PathBuf),
}

/// A repository on a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// Whom to log in as; for ssh only, and `None` means the user of this process.
    pub(super) user: Option<String>,
    /// A name or an IP address, the latter without brackets; never empty, and never with a `-` in front.
    pub(super) host: String,
    /// `None` means the port of the protocol.
    pub(super) port: Option<u16>,
    /// The path as the server is to read it; never empty, and never with a `-` in front.
    pub(super) path: String,
}

/// Why a text is no place of a repository. No variant repeats the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepoUrlError {
    /// Nothing was given.
    #[error(
        "the repository is empty; give an https, http, ssh, git or file URL, `user@host:path`, or a local path"
    )]
    Empty,
    /// `ftp://…` and the like.
    #[error(
        "this kind of URL is not supported; https, http, ssh, git and file URLs, `user@host:path` and local paths are"
    )]
    Scheme,
    /// `https://user:password@…`, and any user name where there is none to be had.
    #[error(
        "the repository URL holds a user name, password or token; secrets do not belong in URLs: \
         give `--git-username` and `--git-password-file`, or `--git-bearer-token-file`; \
         a user name without a password may stand in `ssh://user@host/path` and `user@host:path`"
    )]
    UserInfo,
    /// A URL that cannot be parsed, has no host, or has a query or fragment.
    #[error("the repository URL is malformed; it reads `https://host/path`, without `?` and `#`")]
    Malformed,
    /// An `ssh` or `git` URL, or `host:path`, that cannot be parsed.
    #[error(
        "the repository URL is malformed; it reads `ssh://user@host:port/path`, `user@host:path` or \
         `git://host:port/path`; a local path with a colon starts with `./`"
    )]
    Address,
    /// `file://host/path`, or a relative file URL.
    #[error("a file URL reads `file:///absolute/path`")]
    File,
    /// The current directory, which a relative path starts from, cannot be found out.
    #[error("the path of the repository is relative, and the current directory is not known")]
    NoCurrentDirectory,
}

impl RepoUrl {
    /// The way to the repository.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the repository is one of this machine, read in place.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }
}

impl FromStr for RepoUrl {
    type Err = RepoUrlError;

    fn from_str(text: &str) -> Result<Self, RepoUrlError> {
        if text.trim().is_empty() || text.contains('\0') {
            return Err(RepoUrlError::Empty);
        }
        let place = match text.split_once("://") {
            Some((scheme, _)) if is_scheme(scheme) => url_place(text)?,
            _ if is_scp(text) && !Path::new(text).exists() => Place::Ssh(scp_address(text)?),
            _ => local_place(text)?,
        };
        let text = match &place {
            Place::Http(url) => url.to_string(),
            Place::Ssh(_) | Place::Git(_) | Place::Local(_) => text.to_owned(),
        };
        Ok(Self { text, place })
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn url_place(text: &str) -> Result<Place, RepoUrlError> {
    let mut url = reqwest::Url::parse(text).map_err(|_| RepoUrlError::Malformed)?;
    let scheme = url.scheme().to_owned();
    if !matches!(scheme.as_str(), "http" | "https" | "ssh" | "git" | "file") {
        return Err(RepoUrlError::Scheme);
    }
    let has_user = !url.username().is_empty() && scheme != "ssh";
    if has_user || url.password().is_some() {
        return Err(RepoUrlError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(RepoUrlError::Malformed);
    }
    match scheme.as_str() {
        "file" => {
            let path = url.to_file_path().map_err(|()| RepoUrlError::File)?;
            return Ok(Place::Local(path));
        }
        "ssh" => return url_address(&url).map(Place::Ssh),
        "git" => return url_address(&url).map(Place::Git),
        _ => {}
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(RepoUrlError::Malformed);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(Place::Http(url))
}

/// `ssh://user@host:port/path`. As git has it, `/~user/path` is a path in the home of that user.
fn url_address(url: &reqwest::Url) -> Result<Address, RepoUrlError> {
    let decoded = |text: &str| percent_decoded(text).ok_or(RepoUrlError::Address);
    let path = decoded(url.path())?;
    let path = match path.strip_prefix('/') {
        Some(home) if home.starts_with('~') && url.scheme() == "ssh" => home,
        _ => &path,
    };
    let user = decoded(url.username())?;
    let user = (!user.is_empty()).then_some(user.as_str());
    let address = address(user, url.host_str().unwrap_or_default(), url.port(), path)?;
    match address.path.trim_matches('/') {
        "" => Err(RepoUrlError::Address),
        _ => Ok(address),
    }
}

/// `user@host:path`, where the path starts at the user's home unless it begins with a slash.
fn scp_address(text: &str) -> Result<Address, RepoUrlError> {
    let (head, _) = text.split_once('/').unwrap_or((text, ""));
    if head
        .split_once(':')
        .is_some_and(|(_, rest)| rest.contains('@'))
    {
        // `user:password@host:path`.
        return Err(RepoUrlError::UserInfo);
    }
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if head.contains('@') => (Some(user), rest),
        _ => (None, text),
    };
    let colon = if rest.starts_with('[') {
        rest.find("]:").map(|at| at + 1)
    } else {
        rest.find(':')
    };
    let (host, path) = rest
        .split_at_checked(colon.unwrap_or(rest.len()))
        .ok_or(RepoUrlError::Address)?;
    let path = path.strip_prefix(':').ok_or(RepoUrlError::Address)?;
    address(user, host, None, path)
}

/// Ensure that nothing in an address can be taken for an option, for another host or for a line of a protocol.
fn address(
    user: Option<&str>,
    host: &str,
    port: Option<u16>,
    path: &str,
) -> Result<Address, RepoUrlError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.starts_with(|c: char| c.is_ascii_alphanumeric())
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    };
    let is_user = |user: &str| {
        user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && user
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._+".contains(c))
    };
    let is_path = !path.is_empty() && !path.starts_with('-') && !path.chars().any(char::is_control);
    if !is_host || !user.is_none_or(is_user) || !is_path || port == Some(0) {
        return Err(RepoUrlError::Address);
    }
    Ok(Address {
        user: user.map(str::to_owned),
        host: bare.unwrap_or(host).to_owned(),
        port,
        path: path.to_owned(),
    })
}

/// The text with `%XX` decoded; `None` when that makes no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|c| char::from(*c).to_digit(16));
        rest = tail;
        if let (b'%', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            bytes.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn local_place(text: &str) -> Result<Place, RepoUrlError> {
    let path = std::path::absolute(text).map_err(|_| RepoUrlError::NoCurrentDirectory)?;
    Ok(Place::Local(path))
}

/// Whether this can be the scheme of a URL (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Whether git would read this as `host:path`: a colon before the first slash.
fn is_scp(text: &str) -> bool {
    text.split('/')
        .next()
        .is_some_and(|head| head.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> PathBuf {
        match text.parse::<RepoUrl>().unwrap().place() {
            Place::Local(path) => path.clone(),
            place => panic!("{place:?}"),
        }
    }

    #[test]
    fn forms_that_work() {
        let url: RepoUrl = "HTTPS://Git.Example:443/team/boot.git/".parse().unwrap();
        assert_eq!(url.to_string(), "https://git.example/team/boot.git");
        assert_eq!(local("/srv/boot.git"), Path::new("/srv/boot.git"));
        assert_eq!(local("file:///srv/a%20b.git"), Path::new("/srv/a b.git"));
        assert_eq!(local("file://localhost/srv/x"), Path::new("/srv/x"));
        assert_eq!(local("./a:b"), std::env::current_dir().unwrap().join("a:b"));
        assert_eq!(local("repo"), std::env::current_dir().unwrap().join("repo"));
    }

    #[test]
    fn addresses_of_hosts() {
        for (text, user, host, port, path) in [
            (
                "ssh://git@host.example:2222/a/b%20c.git",
                "git",
                "host.example",
                2222,
                "/a/b c.git",
            ),
            ("ssh://host/~ann/x", "", "host", 0, "~ann/x"),
            ("ssh://git@[::1]:22/x", "git", "::1", 22, "/x"),
            ("git://host/~ann/x", "", "host", 0, "/~ann/x"),
            ("git@host:team/boot.git", "git", "host", 0, "team/boot.git"),
            ("git@host:/srv/boot.git", "git", "host", 0, "/srv/boot.git"),
            ("host:~/a:b@c", "", "host", 0, "~/a:b@c"),
            ("git@[::1]:x", "git", "::1", 0, "x"),
        ] {
            let url: RepoUrl = text.parse().unwrap();
            let (Place::Ssh(found) | Place::Git(found)) = url.place() else {
                panic!("{text}");
            };
            assert_eq!(found.user.as_deref().unwrap_or_default(), user, "{text}");
            assert_eq!(found.port.unwrap_or_default(), port, "{text}");
            assert_eq!(
                (found.host.as_str(), found.path.as_str()),
                (host, path),
                "{text}"
            );
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn forms_that_do_not() {
        for (text, error) in [
            ("", RepoUrlError::Empty),
            (" ", RepoUrlError::Empty),
            ("ftp://host/x", RepoUrlError::Scheme),
            ("git+ssh://host/x", RepoUrlError::Scheme),
            ("ssh://git:s3cret@host/x", RepoUrlError::UserInfo),
            ("ssh://:s3cret@host/x", RepoUrlError::UserInfo),
            ("git://s3cret@host/x", RepoUrlError::UserInfo),
            ("git:s3cret@host:x", RepoUrlError::UserInfo),
            ("ssh://host/x?y", RepoUrlError::Malformed),
            ("ssh://host", RepoUrlError::Address),
            ("ssh://host/", RepoUrlError::Address),
            ("ssh:///x", RepoUrlError::Address),
            ("ssh://-oProxyCommand=x/y", RepoUrlError::Address),
            ("ssh://-x@host/y", RepoUrlError::Address),
            ("ssh://host/%2dx/%0a", RepoUrlError::Address),
            ("ssh://host:0/x", RepoUrlError::Address),
            ("git://[::g]/x", RepoUrlError::Malformed),
            ("-oProxyCommand=x:y", RepoUrlError::Address),
            ("host:", RepoUrlError::Address),
            ("host:-x", RepoUrlError::Address),
            ("a b:x", RepoUrlError::Address),
            (":x", RepoUrlError::Address),
            ("https://", RepoUrlError::Malformed),
            ("https://host/x?y=z", RepoUrlError::Malformed),
            ("https://host/x#y", RepoUrlError::Malformed),
            ("file://elsewhere/x", RepoUrlError::File),
            ("https://s3cret@host/x", RepoUrlError::UserInfo),
            ("https://user:s3cret@host/x", RepoUrlError::UserInfo),
            ("https://:s3cret@host/x", RepoUrlError::UserInfo),
            ("https://user:s3cret@ho st/x", RepoUrlError::Malformed),
        ] {
            let found = text.parse::<RepoUrl>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("s3cret"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_no_secret_is_printed(
            scheme in "(https?|ftp|ssh|git|file|git\\+ssh)?",
            before in "[ -~]{0,8}",
            after in "\\PC{0,12}",
        ) {
            let text = format!("{scheme}://{before}s3cret@{after}");
            match text.parse::<RepoUrl>() {
                // Then it is a path, of a file URL, a local one, or one after a host; or a user's name for ssh.
                Ok(url) => match url.place() {
                    Place::Http(url) => {
                        proptest::prop_assert!(url.username().is_empty() && url.password().is_none());
                        proptest::prop_assert!(url.path().contains("s3cret"));
                    }
                    Place::Ssh(address) => {
                        let user = address.user.as_deref().unwrap_or_default();
                        proptest::prop_assert!(user.contains("s3cret") || address.path.contains("s3cret"));
                        proptest::prop_assert!(!user.contains(':'));
                    }
                    Place::Git(_) | Place::Local(_) => {}
                },
                Err(error) => proptest::prop_assert!(!error.to_string().contains("s3cret")),
            }
        }
    }
}
