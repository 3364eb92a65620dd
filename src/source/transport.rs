//! `Transport`: the way to a remote, whatever its protocol, opened anew for each check.

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::{Transport as Conversation, http};

use super::daemon;
use super::error::{ErrorClass, SourceError};
use super::http::{Client, Session};
use super::remote::Settings;
use super::scratch::Scratch;
use super::ssh::Ssh;
use super::url::{Address, Place};
use super::watch::Watch;

/// The way to a remote.
#[derive(Debug)]
pub(super) enum Transport {
    Http(Box<Client>),
    Ssh(Ssh),
    Git(Address),
}

impl Transport {
    /// Prepares the way; `None` for a repository of this machine. Temporary files go to `scratch`.
    pub(super) fn new(settings: &Settings, scratch: &Scratch) -> Result<Option<Self>, SourceError> {
        let credentials = &settings.credentials;
        let timeout = settings.git_timeout;
        Ok(Some(match settings.repo.place() {
            Place::Http(url) => Self::Http(Box::new(Client::new(url, credentials, timeout)?)),
            Place::Ssh(address) => Self::Ssh(Ssh::new(address, credentials, timeout, scratch)),
            Place::Git(address) => Self::Git(address.clone()),
            Place::Local(_) => return Ok(None),
        }))
    }

    /// Begins a conversation with credentials that are read now.
    pub(super) fn open<'a>(
        &'a mut self,
        watch: &'a Watch<'a>,
    ) -> Result<Box<dyn Conversation + 'a>, SourceError> {
        Ok(match self {
            Self::Http(client) => {
                client.refresh()?;
                let url = gix::url::parse(client.url().as_str()).map_err(|error| {
                    let what = "the URL is not understood";
                    SourceError::caused(ErrorClass::Protocol, what, &error)
                })?;
                let session = Session::new(client, watch);
                Box::new(http::Transport::new_http(session, url, Protocol::V2, false))
            }
            Self::Ssh(ssh) => Box::new(ssh.open(watch)?),
            Self::Git(address) => Box::new(daemon::open(address, watch)?),
        })
    }
}
