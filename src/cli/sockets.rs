//! Sockets that a service manager gives in place of addresses to listen on.

use std::ffi::OsString;

use super::Misuse;
use super::ops::Ops;
use super::serve::Boot;
use super::tftp::Tftp;
use super::tls::Tls;
use crate::systemd::{Kind, Sockets};

/// Takes them, and ensures that nobody has said something else: an address that nobody listens on would be missed at night.
pub(super) fn take(
    boot: &Boot,
    tls: &Tls,
    tftp: &Tftp,
    ops: &Ops,
    vars: &[(OsString, OsString)],
) -> Result<Sockets, Misuse> {
    let names = vars.iter().find(|(name, _)| name == "LISTEN_FDNAMES");
    let names = names.map(|(_, names)| names.to_string_lossy());
    let sockets = Sockets::take(names.as_deref()).map_err(|error| Misuse(error.to_string()))?;
    for (kind, is_said) in [
        (Kind::Http, boot.listens()),
        (Kind::Https, tls.listens()),
        (Kind::Ops, ops.listens()),
        (Kind::Tftp, tftp.listens()),
    ] {
        if is_said && sockets.has(kind) {
            let (flag, name) = (kind.flag(), kind.name());
            return Err(Misuse(format!(
                "`{flag}` and a socket of the service manager with the name `{name}` say both where to listen; remove the flag \
                 (or its variable), or the socket unit"
            )));
        }
    }
    Ok(sockets)
}
