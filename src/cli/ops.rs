//! Flags of the operations listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::units::address;
use crate::ops::{Settings, SourceUrl};

/// What operators and monitoring systems ask.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Operations")]
#[expect(
    clippy::struct_field_names,
    reason = "clap tells flags apart by these names, and HTTP has some of them"
)]
pub(super) struct Ops {
    // Not clap's default: what nobody has chosen may be taken.
    /// The address for the page at /, /metrics, /status, /api/ and /hooks/push, or `off` [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS|off", value_parser = listen)]
    ops_listen: Option<Listen>,
    /// The token that / and /api/ need on an address that is not loopback; it is read again for every request
    #[arg(long, value_name = "FILE")]
    ops_token_file: Option<PathBuf>,
    /// The secret that forges sign /hooks/push with, which is 404 without; it is read again for every request
    #[arg(long, value_name = "FILE")]
    hook_secret_file: Option<PathBuf>,
    /// Where the page links to: a URL with {revision}, {path} and {line} [default: that of repositories on github.com and on
    /// hosts called gitlab]
    #[arg(long, value_name = "URL", value_parser = SourceUrl::parse)]
    source_url: Option<SourceUrl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listen {
    Off,
    At(SocketAddr),
}

impl Listen {
    fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    match text.trim() {
        "off" => Ok(Listen::Off),
        text => address(text)
            .map(Listen::At)
            .map_err(|error| format!("{error}; or `off`")),
    }
}

impl Ops {
    /// Whether somebody said where to listen, or not to.
    pub(super) fn listens(&self) -> bool {
        self.ops_listen.is_some()
    }

    /// What the flags tell the server of this repository, of which `folder` is served; `None` for no listener. `given` is the
    /// address of a socket that takes their place.
    pub(super) fn settings(
        &self,
        repository: &str,
        folder: Option<&str>,
        given: Option<SocketAddr>,
    ) -> Option<Settings> {
        let source_url = self.source_url.clone();
        let source_url = source_url.or_else(|| SourceUrl::of_remote(repository));
        match self.ops_listen {
            Some(Listen::Off) => None,
            listen => Some(Settings {
                listen: given.or(listen.and_then(Listen::address)),
                token_file: self.ops_token_file.clone(),
                hook_secret_file: self.hook_secret_file.clone(),
                source_url: match folder {
                    Some(folder) => source_url.map(|url| url.below(folder)),
                    None => source_url,
                },
            }),
        }
    }
}
