//! `Client`: the HTTP client of one repository, made again when the files it is made of have changed.

use std::time::Duration;

use reqwest::{Certificate, Identity, Proxy, RequestBuilder, Response, Url};
use tokio::runtime::Runtime;

use super::failure;
use crate::source::credentials::{Credentials, Named, Permissions};
use crate::source::error::{ErrorClass, SourceError};

/// How long a connection is kept for the next request: long enough within a check, too short for the next one, which
/// would find it closed by the server.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// An HTTP client with the runtime that drives it.
pub(in crate::source) struct Client {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// Where the repository is: the only origin that gets credentials.
    url: Url,
    credentials: Credentials,
    connect_timeout: Duration,
    /// What this attempt logs in with.
    login: Login,
    /// The clients and the files that they were made of.
    made: Option<(Files, Clients)>,
    permissions: Permissions,
}

/// The files that a client is made of.
#[derive(PartialEq, Eq)]
struct Files {
    ca: Option<Vec<u8>>,
    /// The certificate and the key in one.
    identity: Option<Vec<u8>>,
}

struct Clients {
    own: reqwest::Client,
    /// For where a redirect leads to: it has no client certificate.
    other: reqwest::Client,
}

/// What stands in the `Authorization` header.
enum Login {
    Nobody,
    Basic { name: String, password: String },
    Bearer(String),
}

impl Client {
    /// Prepares for requests; nothing is read or connected yet.
    pub(in crate::source) fn new(
        url: &Url,
        credentials: &Credentials,
        connect_timeout: Duration,
    ) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                SourceError::caused(ErrorClass::Disk, "cannot start the network", &error)
            })?;
        // The first caller in the process wins; whoever came before chose ring too, the only provider compiled in.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            runtime: Some(runtime),
            url: url.clone(),
            credentials: credentials.clone(),
            connect_timeout,
            login: Login::Nobody,
            made: None,
            permissions: Permissions::default(),
        })
    }

    /// Reads every credential, as each attempt has to, and makes the client if it is made of something else now.
    pub(in crate::source) fn refresh(&mut self) -> Result<(), SourceError> {
        self.login = Login::Nobody;
        self.login = self.read_login()?;
        let files = self.read_files()?;
        if self
            .made
            .as_ref()
            .is_none_or(|(made_of, _)| *made_of != files)
        {
            self.made = None;
            let clients = self.make(&files)?;
            self.made = Some((files, clients));
        }
        Ok(())
    }

    /// Where the repository is.
    pub(in crate::source) fn url(&self) -> &Url {
        &self.url
    }

    /// The runtime that drives requests.
    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the drop")
    }

    /// A request with what the repository's own origin is to know of us, and nothing of it for any other.
    pub(super) fn request(&self, method: reqwest::Method, url: Url) -> RequestBuilder {
        let (_, clients) = self.made.as_ref().expect("a session begins with a refresh");
        if !self.is_own(&url) {
            return clients.other.request(method, url);
        }
        let request = clients.own.request(method, url);
        match &self.login {
            Login::Nobody => request,
            Login::Basic { name, password } => request.basic_auth(name, Some(password)),
            Login::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// Lets a response through that is git's.
    pub(super) fn accept(&self, response: Response) -> Result<Response, SourceError> {
        let is_own = self.is_own(response.url());
        failure::accept(response, &self.credentials, is_own)
    }

    /// Why there is no response, or only a part of one.
    pub(super) fn failed(&self, error: &reqwest::Error) -> SourceError {
        failure::failed(error, &self.credentials)
    }

    /// Credentials go to the host, port and scheme of the repository URL only, and never over plain http.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.url.origin()
    }

    fn read_login(&mut self) -> Result<Login, SourceError> {
        let Credentials {
            username,
            password_file,
            bearer_token_file,
            ..
        } = &self.credentials;
        let mut secret = |what, flag, path| {
            let class = ErrorClass::Auth;
            let file = Named {
                what,
                flag,
                path,
                class,
            };
            self.permissions.look(&file);
            file.secret()
        };
        if self.url.scheme() != "https" {
            return Ok(Login::Nobody);
        }
        Ok(match (username, password_file, bearer_token_file) {
            (Some(name), Some(path), _) => Login::Basic {
                name: name.clone(),
                password: secret("password", "--git-password-file", path)?,
            },
            (_, _, Some(path)) => Login::Bearer(secret("token", "--git-bearer-token-file", path)?),
            _ => Login::Nobody,
        })
    }

    fn read_files(&mut self) -> Result<Files, SourceError> {
        let ca = self.credentials.ca_file.as_deref();
        let ca = ca.map(|path| ca_file(path).read()).transpose()?;
        let Some((certificate, key)) = client_files(&self.credentials) else {
            return Ok(Files { ca, identity: None });
        };
        self.permissions.look(&key);
        let mut identity = certificate.read()?;
        identity.push(b'\n');
        identity.append(&mut key.read()?);
        Ok(Files {
            ca,
            identity: Some(identity),
        })
    }

    fn make(&self, files: &Files) -> Result<Clients, SourceError> {
        let other = self.build(files, None)?;
        let Some(pem) = &files.identity else {
            let own = other.clone();
            return Ok(Clients { own, other });
        };
        let unusable = || {
            let (certificate, _) =
                client_files(&self.credentials).expect("the identity was read from them");
            certificate.wrong(
                "and the key of `--git-client-key-file` are not a certificate and its private key in PEM",
            )
        };
        // What these errors say may repeat a part of the key.
        let identity = Identity::from_pem(pem).map_err(|_| unusable())?;
        let own = self.build(files, Some(&identity)).map_err(|_| unusable())?;
        Ok(Clients { own, other })
    }

    fn build(
        &self,
        files: &Files,
        identity: Option<&Identity>,
    ) -> Result<reqwest::Client, SourceError> {
        let authorities = match (&files.ca, &self.credentials.ca_file) {
            (Some(pem), Some(path)) => {
                let found = Certificate::from_pem_bundle(pem).ok();
                let found = found.filter(|found| !found.is_empty());
                Some(found.ok_or_else(|| ca_file(path).wrong("holds no certificate in PEM"))?)
            }
            _ => None,
        };
        let builder = || {
            let builder = reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(self.connect_timeout)
                .pool_idle_timeout(POOL_IDLE);
            let builder = match &self.credentials.proxy {
                Some(proxy) => Proxy::all(proxy.url().clone()).map(|proxy| builder.proxy(proxy))?,
                None => builder,
            };
            Ok::<_, reqwest::Error>(match identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            })
        };
        let built = match authorities {
            Some(authorities) => builder().and_then(|b| b.tls_certs_only(authorities).build()),
            None => match builder().and_then(reqwest::ClientBuilder::build) {
                // A machine without CA certificates can still speak plain http.
                Err(_) if self.url.scheme() == "http" => {
                    builder().and_then(|b| b.tls_certs_only([]).build())
                }
                result => result,
            },
        };
        built.map_err(|error| {
            let what = match &self.credentials.ca_file {
                Some(_) => "cannot set up TLS with the certificates of `--git-ca-file`",
                None => "cannot set up TLS; without CA certificates on this machine, name some with `--git-ca-file`",
            };
            SourceError::caused(ErrorClass::Tls, what, &error)
        })
    }
}

fn ca_file(path: &std::path::Path) -> Named<'_> {
    Named {
        what: "CA file",
        flag: "--git-ca-file",
        path,
        class: ErrorClass::Tls,
    }
}

/// The client certificate and its key.
fn client_files(credentials: &Credentials) -> Option<(Named<'_>, Named<'_>)> {
    let file = |what, flag, path| Named {
        what,
        flag,
        path,
        class: ErrorClass::Auth,
    };
    let certificate = credentials.client_cert_file.as_deref()?;
    let key = credentials.client_key_file.as_deref()?;
    Some((
        file("certificate", "--git-client-cert-file", certificate),
        file("key", "--git-client-key-file", key),
    ))
}

impl Drop for Client {
    /// Dropping a runtime waits for it, which is forbidden on an async task; this does not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}
