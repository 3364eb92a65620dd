//! Who is being served: one transfer for each port of a client, and limits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::Limits;

/// The two ends of a request: who asked, and where.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// All transfers that run.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
    /// How many there are.
    total: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Taken {
    by_ends: HashMap<Ends, Current>,
    by_address: HashMap<IpAddr, usize>,
    total: usize,
    serial: u64,
}

/// The transfer that was last begun for its ends.
#[derive(Debug)]
struct Current {
    serial: u64,
    request: Vec<u8>,
    /// Dropped when another request takes its place.
    _replaced: oneshot::Sender<()>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// A transfer begins.
    Begin(Place),
    /// The same request again: the transfer that it began goes on.
    Known,
    /// There is no place. The words say which limit is reached.
    Full(String),
}

/// One transfer's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    ends: Ends,
    serial: u64,
    replaced: Option<oneshot::Receiver<()>>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            taken: Mutex::default(),
            total: watch::Sender::new(0),
        })
    }

    /// Finds a place for a request. Another one from the same port ends the transfer before it: the client has given
    /// that up.
    pub(super) fn admit(self: &Arc<Self>, ends: Ends, request: &[u8]) -> Admission {
        let mut taken = self.lock();
        let current = taken.by_ends.get(&ends);
        if current.is_some_and(|current| current.request == request) {
            return Admission::Known;
        }
        let address = ends.0.ip();
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if taken.total >= self.limits.max_transfers {
            let limit = self.limits.max_transfers;
            return Admission::Full(format!(
                "a TFTP request waits, {limit} transfers run (`--tftp-max-transfers`)"
            ));
        }
        if of_address >= self.limits.max_transfers_per_address {
            let limit = self.limits.max_transfers_per_address;
            return Admission::Full(format!(
                "a TFTP request of {address} waits, {limit} transfers run (`--tftp-max-transfers-per-address`)"
            ));
        }
        taken.total += 1;
        taken.serial += 1;
        *taken.by_address.entry(address).or_default() += 1;
        let (sender, replaced) = oneshot::channel();
        let serial = taken.serial;
        let current = Current {
            serial,
            request: request.to_owned(),
            _replaced: sender,
        };
        taken.by_ends.insert(ends, current);
        self.total.send_replace(taken.total);
        Admission::Begin(Place {
            places: Arc::clone(self),
            ends,
            serial,
            replaced: Some(replaced),
        })
    }

    /// How many transfers run.
    pub(super) fn count(&self) -> usize {
        *self.total.borrow()
    }

    /// Waits until none runs.
    pub(super) async fn empty(&self) {
        // The sender is in `self`.
        let _ = self.total.subscribe().wait_for(|total| *total == 0).await;
    }

    /// Nobody panics while holding the lock, and the numbers inside are sound at any time.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until another request has taken the place of this one's; to be called once.
    pub(super) fn replaced(&mut self) -> impl Future<Output = ()> + 'static {
        let replaced = self.replaced.take();
        async move {
            if let Some(replaced) = replaced {
                let _ = replaced.await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let current = taken.by_ends.get(&self.ends);
        if current.is_some_and(|current| current.serial == self.serial) {
            taken.by_ends.remove(&self.ends);
        }
        let address = self.ends.0.ip();
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
        taken.total = taken.total.saturating_sub(1);
        self.places.total.send_replace(taken.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(peer: &str) -> Ends {
        (peer.parse().unwrap(), "192.0.2.1:69".parse().unwrap())
    }

    fn begin(places: &Arc<Places>, peer: &str, request: &[u8]) -> Option<Place> {
        match places.admit(ends(peer), request) {
            Admission::Begin(place) => Some(place),
            Admission::Known | Admission::Full(_) => None,
        }
    }

    #[tokio::test]
    async fn a_request_that_is_repeated_is_one_transfer_and_another_one_replaces_it() {
        let places = Places::new(Limits::default());
        let mut first = begin(&places, "192.0.2.7:1000", b"a").unwrap();
        assert!(matches!(
            places.admit(ends("192.0.2.7:1000"), b"a"),
            Admission::Known
        ));
        let other = begin(&places, "192.0.2.7:1001", b"a").unwrap();
        let second = begin(&places, "192.0.2.7:1000", b"b").unwrap();
        first.replaced().await;
        assert_eq!(places.count(), 3);
        drop(first);
        // The place is still that of the second one.
        assert!(matches!(
            places.admit(ends("192.0.2.7:1000"), b"b"),
            Admission::Known
        ));
        drop((second, other));
        places.empty().await;
        assert!(begin(&places, "192.0.2.7:1000", b"a").is_some());
        let taken = places.lock();
        assert!(taken.by_address.is_empty() && taken.by_ends.is_empty());
    }

    #[test]
    fn there_are_so_many_places_in_all_and_for_one_address() {
        let limits = Limits {
            max_transfers: 3,
            max_transfers_per_address: 2,
        };
        let places = Places::new(limits);
        let one = begin(&places, "192.0.2.7:1", b"a").unwrap();
        let two = begin(&places, "192.0.2.7:2", b"a").unwrap();
        assert!(begin(&places, "192.0.2.7:3", b"a").is_none());
        let three = begin(&places, "192.0.2.8:3", b"a").unwrap();
        assert!(begin(&places, "192.0.2.9:3", b"a").is_none());
        drop(one);
        assert!(begin(&places, "192.0.2.7:3", b"a").is_some());
        drop((two, three));
        assert_eq!(places.count(), 0);
    }
}
