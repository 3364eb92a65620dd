//! Desired state as bytes: a git repository, far or near, or a folder of files, read into a [`Tree`](crate::tree::Tree).
//!
//! * A repository over https, ssh or git's own protocol is asked for one ref, and only when it moved for the objects of
//!   that one commit. They go into a folder of their own, which saves the next fetch what is there already. It is thrown
//!   away after some fetches and at the first thing in it that is odd, so that no lock, no damaged pack and no pile of
//!   packs can stand in the way of the next fetch.
//! * Of a commit only what changed since the last one is read: folders and files with the ids they had are shared.
//! * A repository of this machine is read in place, on a thread that can be left alone when its disk hangs.
//! * Nothing that comes out of a repository is trusted: names, sizes, depth and number are checked on the way.
//!
//! This is the only room that knows git, HTTP clients and TLS.

mod aside;
mod credentials;
mod daemon;
mod directory;
mod error;
mod fetch;
mod http;
mod local;
mod memo;
mod meter;
mod quarantine;
mod reference;
mod remote;
mod scratch;
pub mod seed;
mod signature;
mod ssh;
mod store;
mod stream;
mod transport;
mod unpacked;
mod url;
mod walk;
mod watch;

pub use credentials::{Credentials, CredentialsError, ProxyUrl};
pub use directory::read_directory;
pub use error::{ErrorClass, SourceError};
pub use local::{place_in_repository, read_revision};
pub use remote::{Check, Remote, Settings};
pub use signature::{AllowedSigners, AllowedSignersError, SignatureError, Verified, verify};
pub use url::{RepoUrl, RepoUrlError};
