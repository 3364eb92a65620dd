//! Who a machine has proven to be.

use super::Identity;
use super::value::{Rejection, normalise};

/// One identity that somebody vouches for: a certificate authority, by a client certificate. What the machine itself says
/// about its identities counts for nothing beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    identity: Identity,
    value: String,
}

impl Proven {
    /// The normal form of a value that is vouched for.
    ///
    /// # Errors
    /// When a query would drop the value: junk is nobody's identity, whoever vouches for it.
    pub fn new(identity: Identity, raw: &str) -> Result<Self, Rejection> {
        let value = normalise(identity.key(), raw)?;
        Ok(Self { identity, value })
    }

    /// Which identity is proven.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Its value in normal form.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value in normal form is another machine's: one of the same key that is not proven.
    #[must_use]
    pub fn contradicts(&self, identity: Identity, value: &str) -> bool {
        self.identity == identity && self.value != value
    }
}
