//! The service manager: what it is told, and the sockets that it gives.

mod notify;
mod sockets;
