//! Secrets that change: what is known is compiled again, without a commit and without asking the remote.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Poller, pace, report};
use crate::keyring::{Keyring, KeyringError};
use crate::publish::Moment;
use crate::tree::Tree;

/// The trees that are compiled again when the secrets change.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees {
    /// What is served is made of it.
    pub(super) served: Option<Arc<Tree>>,
    /// The newer one that the compiler refused, if it did.
    pub(super) refused: Option<Arc<Tree>>,
}

impl Poller {
    /// Compiles again what is known if the files of secrets hold something else now. Says whether they do.
    pub(super) async fn rekey(&mut self) -> bool {
        let Some(keyring) = self.keyring.clone() else {
            return false;
        };
        let mut renewed = renew(&keyring).await;
        if matches!(renewed, Ok(false)) && lock(&keyring).is_changing() {
            // A commit often comes together with the secrets that it names, and a request with their ids.
            tokio::time::sleep(pace::SECRETS_PAUSE).await;
            renewed = renew(&keyring).await;
        }
        match renewed {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                tracing::warn!("{error}; what was read before stays in use");
                return false;
            }
        }
        tracing::info!("the secrets were replaced: compiling again with the new ones");
        let Trees { served, refused } = self.trees.clone();
        if let Some(refused) = refused {
            let is_served = served
                .as_ref()
                .is_some_and(|one| Arc::ptr_eq(one, &refused));
            self.build(refused, Instant::now()).await;
            if is_served || self.trees.refused.is_none() {
                return true;
            }
        }
        match served {
            Some(served) if self.refusal.is_none() => self.build(served, Instant::now()).await,
            Some(served) => self.build_behind(&served).await,
            None => {}
        }
        true
    }

    /// Compiles again what is served although the remote has something newer, which stays refused.
    async fn build_behind(&mut self, tree: &Arc<Tree>) {
        let started = Instant::now();
        let mut compiled = self.compiled(tree).await;
        let Some(snapshot) = compiled.snapshot.take().filter(|_| compiled.errors == 0) else {
            report::not_compiled_again(tree.revision(), compiled.errors.max(1), &compiled.lines);
            return;
        };
        self.publisher
            .publish_warned(snapshot, compiled.warnings, Moment::now());
        report::published(&self.publisher.current(), None, &compiled, started);
        if let Some(refusal) = &self.refusal {
            self.publisher.refuse(Arc::clone(refusal), Moment::now());
        }
    }
}

async fn renew(keyring: &Arc<Mutex<Keyring>>) -> Result<bool, KeyringError> {
    let keyring = Arc::clone(keyring);
    let renewed = tokio::task::spawn_blocking(move || lock(&keyring).renew());
    // A task that ends in a fault has changed nothing.
    renewed.await.unwrap_or(Ok(false))
}

/// Ends when the files of secrets hold something else than when they were read last.
pub(super) async fn rekeyed(keyring: Option<Arc<Mutex<Keyring>>>) {
    let Some(keyring) = keyring else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(pace::SECRETS_PAUSE).await;
        let keyring = Arc::clone(&keyring);
        let looked = tokio::task::spawn_blocking(move || lock(&keyring).has_changed());
        if looked.await.unwrap_or(false) {
            return;
        }
    }
}

pub(super) fn lock(keyring: &Mutex<Keyring>) -> MutexGuard<'_, Keyring> {
    keyring.lock().unwrap_or_else(PoisonError::into_inner)
}
