//! What changes where certificates say which machine asks: `--tls-client-label`.

use ::http::StatusCode;

use super::{Answer, Request};
use crate::http::reply::{Record, Reply};
use crate::label::{Identity, Labels, Proven};
use crate::snapshot::Config;

impl<'p> Request<'p> {
    /// Where certificates say who is who: why this client gets nothing that is one machine's own.
    pub(super) fn shortcoming(self) -> Option<&'static str> {
        let _label = self.settings.client_label?;
        self.asked.arrival.caller.shortcoming()
    }

    /// Who the client has proven to be, where certificates say that.
    pub(super) fn proven(self) -> Option<&'p Proven> {
        let _label = self.settings.client_label?;
        self.asked.arrival.caller.proven()
    }

    /// Whether this MAC of a path is known not to be the client's.
    pub(super) fn is_of_another(self, mac: &str) -> bool {
        let proven = self.proven();
        proven.is_some_and(|proven| proven.contradicts(Identity::Mac, mac))
    }

    /// Whether a config would show what it has for a machine that the client has only claimed to be: machines share the ids
    /// of configs that look something up by a label.
    pub(super) fn is_unproven(self, config: &Config, labels: &Labels) -> bool {
        let is_claimed = |identity: Identity| {
            let key = identity.key();
            config.labels.contains(key) && labels.get(key).is_some()
        };
        self.settings.client_label.is_some()
            && self.proven().is_none()
            && Identity::ALL.into_iter().any(is_claimed)
            && !config.only_prints_labels()
    }
}

/// The answer to who has not proven to be a machine.
pub(super) fn uncertified<'p>(reason: &'static str) -> Answer<'p> {
    let line = "this needs a client certificate that says which machine it is\n";
    let reply = Reply::line(StatusCode::FORBIDDEN, line).uncached();
    (reply, Record::because(reason))
}
