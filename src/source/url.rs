//! `RepoUrl`: where the repository is, checked once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the repository is: an `https`, `http` or `file` URL, or a local path.
///
/// It holds no userinfo, so printing it gives nothing away.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RepoUrl {
    text: String,
    place: Place,
}

/// The two ways to a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Over `http` or `https`; the URL ends without a slash.
    Http(reqwest::Url),
    /// An absolute path of this machine.
    Local(PathBuf),
}

/// Why a text is no place of a repository. No variant repeats the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepoUrlError {
    /// Nothing was given.
    #[error("the repository is empty; give an https, http or file URL, or a local path")]
    Empty,
    /// `ssh://…` and the like.
    #[error(
        "this kind of URL is not supported yet; https, http and file URLs and local paths work today"
    )]
    Scheme,
    /// `host:path` or `user@host:path`.
    #[error(
        "`host:path` (ssh) is not supported yet; https, http and file URLs and local paths work today; \
         a local path with a colon starts with `./`"
    )]
    Scp,
    /// `https://user:password@…`.
    #[error(
        "the repository URL holds a user name, password or token; secrets do not belong in URLs"
    )]
    UserInfo,
    /// A URL that cannot be parsed, has no host, or has a query or fragment.
    #[error("the repository URL is malformed; it reads `https://host/path`, without `?` and `#`")]
    Malformed,
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
}

impl FromStr for RepoUrl {
    type Err = RepoUrlError;

    fn from_str(text: &str) -> Result<Self, RepoUrlError> {
        if text.trim().is_empty() || text.contains('\0') {
            return Err(RepoUrlError::Empty);
        }
        let place = match text.split_once("://") {
            Some((scheme, _)) if is_scheme(scheme) => url_place(text)?,
            _ if is_scp(text) && !Path::new(text).exists() => return Err(RepoUrlError::Scp),
            _ => local_place(text)?,
        };
        let text = match &place {
            Place::Http(url) => url.to_string(),
            Place::Local(_) => text.to_owned(),
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
    let is_http = match url.scheme() {
        "http" | "https" => true,
        "file" => false,
        _ => return Err(RepoUrlError::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RepoUrlError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(RepoUrlError::Malformed);
    }
    if !is_http {
        let path = url.to_file_path().map_err(|()| RepoUrlError::File)?;
        return Ok(Place::Local(path));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(RepoUrlError::Malformed);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(Place::Http(url))
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
            Place::Http(url) => panic!("{url}"),
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
    fn forms_that_do_not() {
        for (text, error) in [
            ("", RepoUrlError::Empty),
            (" ", RepoUrlError::Empty),
            ("ssh://git@host/x", RepoUrlError::Scheme),
            ("git://host/x", RepoUrlError::Scheme),
            ("git+ssh://host/x", RepoUrlError::Scheme),
            ("git@host:x.git", RepoUrlError::Scp),
            ("host:x", RepoUrlError::Scp),
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
            scheme in "(https?|ftp|ssh|file|git\\+ssh)?",
            before in "[ -~]{0,8}",
            after in "\\PC{0,12}",
        ) {
            let text = format!("{scheme}://{before}s3cret@{after}");
            match text.parse::<RepoUrl>() {
                // Then it is a path: of a file URL, a local one, or one after a host.
                Ok(url) => if let Place::Http(url) = url.place() {
                    proptest::prop_assert!(url.username().is_empty() && url.password().is_none());
                    proptest::prop_assert!(url.path().contains("s3cret"));
                },
                Err(error) => proptest::prop_assert!(!error.to_string().contains("s3cret")),
            }
        }
    }
}
