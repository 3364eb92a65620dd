//! `Credentials`: who we are to a remote, and whom we take it for. Files are named once and read at every attempt.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{ErrorClass, SourceError, printable};
use super::url::{Place, RepoUrl};
use crate::file::open_regular;

/// The largest file of a credential in bytes: the CA certificates of a whole system take a quarter of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The permission bit that lets everybody on the machine read a file.
const WORLD_READABLE: u32 = 0o004;

/// What a remote asks for and what it is checked by. Only names of files stand here; no field holds a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user name for basic authentication; has a password file.
    pub username: Option<String>,
    /// The file with the password; has a user name.
    pub password_file: Option<PathBuf>,
    /// The file with a bearer token; excludes a password.
    pub bearer_token_file: Option<PathBuf>,
    /// The private key for ssh; `None` means what OpenSSH uses by itself: an agent, and keys of the user.
    pub ssh_key_file: Option<PathBuf>,
    /// The host keys that are trusted; `None` means those that OpenSSH knows for the user and the machine.
    pub known_hosts_file: Option<PathBuf>,
    /// The certificates in PEM that a server's certificate has to lead to; `None` means those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client certificate in PEM, with the certificates between it and its authority; has a key.
    pub client_cert_file: Option<PathBuf>,
    /// The private key of the client certificate in PEM.
    pub client_key_file: Option<PathBuf>,
    /// The HTTP proxy for `https` and `http`.
    pub proxy: Option<ProxyUrl>,
}

/// The URL of an HTTP proxy: `http://host:port`, or `https://host:port` to speak TLS with the proxy, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl(reqwest::Url);

/// Why credentials do not fit the repository or each other. No variant holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A secret would be readable on its way.
    #[error("`{0}` is for https: credentials are never sent over plain http")]
    PlainHttp(&'static str),
    /// The flag is for another kind of URL.
    #[error("`{flag}` is for {meant}, and the repository is not reached that way")]
    OtherTransport {
        /// The flag that has no use.
        flag: &'static str,
        /// The kinds of URL that it is for.
        meant: &'static str,
    },
    /// One of two flags is missing, or one too many is there.
    #[error("{0}")]
    Pair(&'static str),
    /// A user name that cannot be sent.
    #[error(
        "`--git-username` holds a colon or a control character, which basic authentication cannot carry"
    )]
    Username,
    /// OpenSSH could not be told of this file.
    #[error(
        "`{0}` is a path with a quotation mark, `\\`, `$`, `%` or a control character, which ssh does not take as it is"
    )]
    SshPath(&'static str),
    /// Not `http://host:port`.
    #[error(
        "`--git-proxy` reads `http://host:port` or `https://host:port`, without a user name or password"
    )]
    Proxy,
}

impl std::str::FromStr for ProxyUrl {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, CredentialsError> {
        let url = reqwest::Url::parse(text).map_err(|_| CredentialsError::Proxy)?;
        let is_proxy = matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        is_proxy.then_some(Self(url)).ok_or(CredentialsError::Proxy)
    }
}

impl ProxyUrl {
    /// The URL, which holds no userinfo.
    pub(super) fn url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl Credentials {
    /// Checks that these are credentials for this repository. No file is read.
    ///
    /// # Errors
    /// Names the flag that does not fit.
    pub fn fit(&self, repo: &RepoUrl) -> Result<(), CredentialsError> {
        self.pairs()?;
        let given = |flags: &[(&'static str, bool)]| {
            flags
                .iter()
                .find_map(|(flag, is_given)| is_given.then_some(*flag))
        };
        let secret = given(&[
            ("--git-password-file", self.password_file.is_some()),
            ("--git-bearer-token-file", self.bearer_token_file.is_some()),
            ("--git-client-cert-file", self.client_cert_file.is_some()),
        ]);
        let for_http = secret.or(given(&[
            ("--git-ca-file", self.ca_file.is_some()),
            ("--git-proxy", self.proxy.is_some()),
        ]));
        let for_ssh = given(&[
            ("--git-ssh-key-file", self.ssh_key_file.is_some()),
            ("--git-known-hosts-file", self.known_hosts_file.is_some()),
        ]);
        let other = |flag: Option<&'static str>, meant| match flag {
            Some(flag) => Err(CredentialsError::OtherTransport { flag, meant }),
            None => Ok(()),
        };
        match repo.place() {
            Place::Http(url) => {
                other(for_ssh, "ssh")?;
                match secret.filter(|_| url.scheme() == "http") {
                    Some(flag) => Err(CredentialsError::PlainHttp(flag)),
                    None => Ok(()),
                }
            }
            Place::Ssh(_) => other(for_http, "https"),
            Place::Git(_) | Place::Local(_) => {
                other(for_http, "https")?;
                other(for_ssh, "ssh")
            }
        }
    }

    /// What stands in all the files: a number that is the same for the same contents, as long as the keys are the same.
    pub(super) fn fingerprint(&self, keys: &RandomState) -> u64 {
        let Self {
            username: _,
            password_file,
            bearer_token_file,
            ca_file,
            client_cert_file,
            client_key_file,
            ssh_key_file,
            known_hosts_file,
            proxy: _,
        } = self;
        let files = [
            password_file,
            bearer_token_file,
            ca_file,
            client_cert_file,
            client_key_file,
            ssh_key_file,
            known_hosts_file,
        ];
        let mut hasher = keys.build_hasher();
        for path in files.into_iter().flatten() {
            contents(path).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Ensure that what belongs together is together, and that nothing is said twice.
    fn pairs(&self) -> Result<(), CredentialsError> {
        let pair = |is_wrong: bool, text| {
            let wrong = is_wrong.then_some(CredentialsError::Pair(text));
            wrong.map_or(Ok(()), Err)
        };
        pair(
            self.username.is_some() != self.password_file.is_some(),
            "`--git-username` and `--git-password-file` go together",
        )?;
        pair(
            self.client_cert_file.is_some() != self.client_key_file.is_some(),
            "`--git-client-cert-file` and `--git-client-key-file` go together",
        )?;
        pair(
            self.password_file.is_some() && self.bearer_token_file.is_some(),
            "`--git-password-file` and `--git-bearer-token-file` exclude each other",
        )?;
        let has_odd_name = |name: &String| name.contains(|c: char| c == ':' || c.is_control());
        if self.username.as_ref().is_some_and(has_odd_name) {
            return Err(CredentialsError::Username);
        }
        for (flag, path) in [
            ("--git-ssh-key-file", &self.ssh_key_file),
            ("--git-known-hosts-file", &self.known_hosts_file),
        ] {
            let is_plain = |path: &PathBuf| {
                let is_odd = |c: char| matches!(c, '"' | '\'' | '\\' | '$' | '%') || c.is_control();
                path.to_str().is_some_and(|path| !path.contains(is_odd))
            };
            if !path.as_ref().is_none_or(is_plain) {
                return Err(CredentialsError::SshPath(flag));
            }
        }
        Ok(())
    }
}

/// What stands in a file, or why nobody can tell.
fn contents(path: &Path) -> Result<Vec<u8>, io::ErrorKind> {
    let read = || {
        let file = open_regular(path)?.ok_or(io::ErrorKind::InvalidInput)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: io::Error| error.kind())
}

/// A file of a credential and the flag that names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// What the file is said to hold, for messages.
    pub(super) what: &'static str,
    pub(super) flag: &'static str,
    pub(super) path: &'a Path,
    /// The class of a failure to read it.
    pub(super) class: ErrorClass,
}

impl Named<'_> {
    /// The whole file.
    pub(super) fn read(&self) -> Result<Vec<u8>, SourceError> {
        let file = self.open()?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.wrong(&format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(self.wrong("is larger than any credential (1 MiB)"));
        }
        Ok(bytes)
    }

    /// The text of a secret: the file without one newline at its end.
    pub(super) fn secret(&self) -> Result<String, SourceError> {
        let text = String::from_utf8(self.read()?).map_err(|_| self.wrong("is not UTF-8"))?;
        let trimmed = text.strip_suffix("\r\n").or(text.strip_suffix('\n'));
        match trimmed.unwrap_or(&text) {
            "" => Err(self.wrong("is empty")),
            text if text.contains(char::is_control) => {
                Err(self.wrong("holds a control character or a second line"))
            }
            text => Ok(text.to_owned()),
        }
    }

    /// Fails when the file is not there or not ours to read.
    pub(super) fn open(&self) -> Result<File, SourceError> {
        let file = open_regular(self.path);
        let file = file.map_err(|error| self.wrong(&format!("cannot be read: {error}")))?;
        file.ok_or_else(|| self.wrong("is not a regular file"))
    }

    /// What is wrong with the file; never a part of it.
    pub(super) fn wrong(&self, problem: &str) -> SourceError {
        let path = printable(&self.path.display().to_string());
        let message = format!("the {} of `{}` (`{path}`) {problem}", self.what, self.flag);
        SourceError::new(self.class, message)
    }
}

/// Tells of secrets that everybody on the machine can read, each file once until it is mended.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    told: BTreeSet<PathBuf>,
}

impl Permissions {
    pub(super) fn look(&mut self, file: &Named<'_>) {
        let is_open =
            fs::metadata(file.path).is_ok_and(|metadata| metadata.mode() & WORLD_READABLE != 0);
        if !is_open {
            self.told.remove(file.path);
        } else if self.told.insert(file.path.to_owned()) {
            tracing::warn!(
                file = %file.path.display(),
                "everybody on this machine can read the {} of `{}`; `chmod o= FILE` mends that",
                file.what,
                file.flag
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &Path) -> Named<'_> {
        Named {
            what: "password",
            flag: "--git-password-file",
            path,
            class: ErrorClass::Auth,
        }
    }

    #[test]
    fn one_newline_is_cut_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (text, expected) in [
            ("s3cret", Some("s3cret")),
            ("s3cret\n", Some("s3cret")),
            ("s3cret\r\n", Some("s3cret")),
            (" s3cret \n", Some(" s3cret ")),
            ("s3cret\n\n", None),
            ("a\ns3cret", None),
            ("\n", None),
            ("", None),
        ] {
            fs::write(&path, text).unwrap();
            let found = named(&path).secret();
            assert_eq!(found.as_deref().ok(), expected, "{text:?}");
            if let Err(error) = found {
                assert_eq!(error.class(), ErrorClass::Auth);
                assert!(!error.to_string().contains("s3cret"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_said_with_its_flag() {
        let folder = tempfile::tempdir().unwrap();
        let error = named(folder.path()).secret().unwrap_err();
        let path = folder.path().display();
        let expected =
            format!("the password of `--git-password-file` (`{path}`) is not a regular file");
        assert_eq!(error.to_string(), expected);
        let missing = folder.path().join("none");
        let error = named(&missing).secret().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Auth);
        assert!(
            error.to_string().contains("cannot be read: No such file"),
            "{error}"
        );
    }

    #[test]
    fn a_fingerprint_is_of_what_stands_in_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let credentials = Credentials {
            bearer_token_file: Some(path.clone()),
            ..Credentials::default()
        };
        let keys = RandomState::new();
        let missing = credentials.fingerprint(&keys);
        fs::write(&path, "one").unwrap();
        let one = credentials.fingerprint(&keys);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "one").unwrap();
        assert_eq!(credentials.fingerprint(&keys), one);
        fs::write(&path, "two").unwrap();
        let two = credentials.fingerprint(&keys);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let folder = credentials.fingerprint(&keys);
        let all = [missing, one, two, folder];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn a_proxy_has_a_host_and_no_secret() {
        for text in ["http://proxy:3128", "https://proxy.example/"] {
            assert!(text.parse::<ProxyUrl>().is_ok(), "{text}");
        }
        for text in [
            "proxy:3128",
            "socks5://proxy",
            "http://u:s3cret@proxy",
            "http://proxy/x",
            "",
        ] {
            let error = text.parse::<ProxyUrl>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    fn password() -> Credentials {
        Credentials {
            username: Some("ann".to_owned()),
            password_file: Some("f".into()),
            ..Credentials::default()
        }
    }

    fn token() -> Credentials {
        Credentials {
            bearer_token_file: Some("f".into()),
            ..Credentials::default()
        }
    }

    fn key(known_hosts_file: &str) -> Credentials {
        Credentials {
            ssh_key_file: Some("f".into()),
            known_hosts_file: Some(known_hosts_file.into()),
            ..Credentials::default()
        }
    }

    /// What is wrong with these credentials for this repository.
    fn misfit(credentials: &Credentials, repo: &str) -> String {
        let error = credentials.fit(&repo.parse().unwrap()).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn credentials_belong_to_a_kind_of_url() {
        let nobody = Credentials::default();
        for (credentials, repo) in [
            (&password(), "https://host/x"),
            (&token(), "https://host/x"),
            (&key("a b"), "git@host:x"),
            (&nobody, "http://host/x"),
            (&nobody, "git://host/x"),
            (&nobody, "/srv/x"),
        ] {
            assert_eq!(misfit(credentials, repo), "", "{repo}");
        }
        for (credentials, repo, expected) in [
            (
                &token(),
                "http://127.0.0.1/x",
                "`--git-bearer-token-file` is for https: credentials are never sent over plain http",
            ),
            (
                &password(),
                "http://host/x",
                "`--git-password-file` is for https: credentials are never sent over plain http",
            ),
            (
                &password(),
                "ssh://host/x",
                "`--git-password-file` is for https, and the repository is not reached that way",
            ),
            (
                &key("f"),
                "https://host/x",
                "`--git-ssh-key-file` is for ssh, and the repository is not reached that way",
            ),
            (
                &key("f"),
                "git://host/x",
                "`--git-ssh-key-file` is for ssh, and the repository is not reached that way",
            ),
            (
                &token(),
                "/srv/x",
                "`--git-bearer-token-file` is for https, and the repository is not reached that way",
            ),
        ] {
            assert_eq!(misfit(credentials, repo), expected, "{repo}");
        }
    }

    #[test]
    fn credentials_fit_each_other() {
        let half = Credentials {
            client_key_file: Some("f".into()),
            ..Credentials::default()
        };
        let both = Credentials {
            bearer_token_file: Some("f".into()),
            ..password()
        };
        let colon = Credentials {
            username: Some("a:b".to_owned()),
            ..password()
        };
        for (credentials, repo, expected) in [
            (
                half,
                "https://host/x",
                "`--git-client-cert-file` and `--git-client-key-file` go together",
            ),
            (
                both,
                "https://host/x",
                "`--git-password-file` and `--git-bearer-token-file` exclude each other",
            ),
            (
                colon,
                "https://host/x",
                "`--git-username` holds a colon or a control character, which basic authentication cannot carry",
            ),
            (
                key("a\"b"),
                "git@host:x",
                "`--git-known-hosts-file` is a path with a quotation mark, `\\`, `$`, `%` or a control character, which \
                 ssh does not take as it is",
            ),
        ] {
            assert_eq!(misfit(&credentials, repo), expected);
        }
    }
}
