//! Flags of TFTP.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::units::tftp_address;
use crate::serve;
use crate::tftp;

/// TFTP for the first stage.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "TFTP")]
#[expect(
    clippy::struct_field_names,
    reason = "clap tells flags apart by these names, and HTTP has some of them"
)]
pub(super) struct Tftp {
    /// An address to listen on for TFTP, which is off by default; repeatable. The port is 69 unless it is written
    #[arg(long, value_name = "ADDRESS", value_parser = tftp_address)]
    tftp_listen: Vec<SocketAddr>,
    /// A folder whose files are served over TFTP, beside boot.ipxe and autoexec.ipxe of the server itself [default: none]
    #[arg(long, value_name = "DIR")]
    tftp_root: Option<PathBuf>,
    /// The number of transfers at once; more wait
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = tftp::Limits::default().max_transfers
    )]
    tftp_max_transfers: usize,
    /// The number of transfers at once for one address; more wait
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = tftp::Limits::default().max_transfers_per_address
    )]
    tftp_max_transfers_per_address: usize,
}

impl Tftp {
    /// Whether somebody said where to listen.
    pub(super) fn listens(&self) -> bool {
        !self.tftp_listen.is_empty()
    }

    /// What the flags tell the server.
    pub(super) fn settings(&self) -> serve::Tftp {
        serve::Tftp {
            listen: self.tftp_listen.clone(),
            root: self.tftp_root.clone(),
            limits: tftp::Limits {
                max_transfers: self.tftp_max_transfers,
                max_transfers_per_address: self.tftp_max_transfers_per_address,
            },
        }
    }
}
