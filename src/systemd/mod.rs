//! The service manager: which sockets it gives, and what it is told.
//!
//! Both protocols are systemd's, and others speak them, too. Without its variables nothing of this does anything.

mod attend;
mod sockets;
mod status;

pub use attend::{Line, Manager, Scene};
pub use sockets::{Kind, SocketError, Sockets};
