//! The flags that say who we are to a remote repository, and whom we take it for.

use std::path::PathBuf;

use super::Misuse;
use crate::source::{self, ProxyUrl, RepoUrl};

/// Files are named here and read at every attempt.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Credentials for the repository, read again at every attempt")]
pub(super) struct Credentials {
    /// The user name for https
    #[arg(long = "git-username", value_name = "NAME", requires = "repo")]
    username: Option<String>,
    /// The file with the password, or access token, of --git-username
    #[arg(long = "git-password-file", value_name = "FILE", requires = "repo")]
    password_file: Option<PathBuf>,
    /// The file with a bearer token for https
    #[arg(long = "git-bearer-token-file", value_name = "FILE", requires = "repo")]
    bearer_token_file: Option<PathBuf>,
    /// The private key for ssh, without a passphrase [default: the agent and the keys of the user]
    #[arg(long = "git-ssh-key-file", value_name = "FILE", requires = "repo")]
    ssh_key_file: Option<PathBuf>,
    /// The host keys to trust with ssh, as ssh-keyscan prints them [default: those of the user and the machine]
    #[arg(long = "git-known-hosts-file", value_name = "FILE", requires = "repo")]
    known_hosts_file: Option<PathBuf>,
    /// The CA certificates to trust with https, in PEM [default: those of the machine]
    #[arg(long = "git-ca-file", value_name = "FILE", requires = "repo")]
    ca_file: Option<PathBuf>,
    /// The client certificate for https, in PEM
    #[arg(long = "git-client-cert-file", value_name = "FILE", requires = "repo")]
    client_cert_file: Option<PathBuf>,
    /// The private key of --git-client-cert-file, in PEM
    #[arg(long = "git-client-key-file", value_name = "FILE", requires = "repo")]
    client_key_file: Option<PathBuf>,
    /// The HTTP proxy for https and http, as http://host:port [default: none; no variable is read]
    #[arg(long = "git-proxy", value_name = "URL", requires = "repo")]
    proxy: Option<String>,
}

impl Credentials {
    /// Ensure that nobody believes that a flag had an effect without `--repo`, where clap lets it pass beside a folder.
    pub(super) fn none(&self) -> Result<(), Misuse> {
        let Self {
            username,
            password_file,
            bearer_token_file,
            ssh_key_file,
            known_hosts_file,
            ca_file,
            client_cert_file,
            client_key_file,
            proxy,
        } = self;
        let files = [
            password_file,
            bearer_token_file,
            ssh_key_file,
            known_hosts_file,
            ca_file,
            client_cert_file,
            client_key_file,
        ];
        let is_given =
            username.is_some() || proxy.is_some() || files.into_iter().any(Option::is_some);
        let misuse = Misuse("flags that start with `--git-` are for `--repo`".to_owned());
        is_given.then_some(misuse).map_or(Ok(()), Err)
    }

    /// What the flags say, if it fits the repository.
    pub(super) fn settings(&self, repo: &RepoUrl) -> Result<source::Credentials, Misuse> {
        let misuse = |error: source::CredentialsError| Misuse(error.to_string());
        // clap would repeat the text, which may hold a secret.
        let proxy = self.proxy.as_deref().map(str::parse::<ProxyUrl>);
        let credentials = source::Credentials {
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            ssh_key_file: self.ssh_key_file.clone(),
            known_hosts_file: self.known_hosts_file.clone(),
            ca_file: self.ca_file.clone(),
            client_cert_file: self.client_cert_file.clone(),
            client_key_file: self.client_key_file.clone(),
            proxy: proxy.transpose().map_err(misuse)?,
        };
        credentials.fit(repo).map_err(misuse)?;
        Ok(credentials)
    }
}
