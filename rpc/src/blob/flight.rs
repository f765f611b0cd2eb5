//! One download of a blob at a time, however many want it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gofarm_proto::Digest;
use gofarm_store::DiskStore;
use tokio::sync::watch;

/// `None` while it is under way, then whether the farm had the blob.
type Outcome = Option<bool>;

/// The downloads under way, by the place where each blob is to lie.
#[derive(Debug, Default)]
pub(super) struct Flights {
    running: Mutex<HashMap<PathBuf, watch::Receiver<Outcome>>>,
}

/// The duty to fetch a blob. Dropped without landing (the call failed or was given up), it passes to whoever waits.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    digest: Digest,
    path: PathBuf,
    outcome: watch::Sender<Outcome>,
}

/// A blob that another call fetches.
#[derive(Debug)]
pub(super) struct Joined {
    digest: Digest,
    outcome: watch::Receiver<Outcome>,
}

impl Flights {
    /// Sorts blobs into those that the caller is to fetch and those that others are fetching.
    pub(super) fn claim(
        self: &Arc<Flights>,
        digests: &[Digest],
        into: &DiskStore,
    ) -> (Vec<Flight>, Vec<Joined>) {
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        let mut running = self.running();
        for &digest in digests {
            match running.entry(into.path(&digest)) {
                Entry::Occupied(entry) => others.push(Joined {
                    digest,
                    outcome: entry.get().clone(),
                }),
                Entry::Vacant(entry) => {
                    let (outcome, receiver) = watch::channel(None);
                    mine.push(Flight {
                        flights: Arc::clone(self),
                        digest,
                        path: entry.key().clone(),
                        outcome,
                    });
                    entry.insert(receiver);
                }
            }
        }
        (mine, others)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<PathBuf, watch::Receiver<Outcome>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The blob is there, or the farm lacks it.
    pub(super) fn land(self, found: bool) {
        self.outcome.send_replace(Some(found));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.running().remove(&self.path);
    }
}

impl Joined {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the farm had the blob. Nothing when whoever fetched it gave up.
    pub(super) async fn landed(&mut self) -> Outcome {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => *outcome,
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flight_that_is_given_up_passes_to_who_waits() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path(), Default::default()).unwrap();
        let flights = Arc::new(Flights::default());
        let wanted = [Digest::of(b"a")];

        let (mine, none) = flights.claim(&wanted, &store);
        assert_eq!((mine.len(), none.len()), (1, 0));
        let (none, mut joined) = flights.claim(&wanted, &store);
        assert_eq!((none.len(), joined.len()), (0, 1));
        drop(mine);
        assert_eq!(joined[0].landed().await, None);

        let (mut mine, _) = flights.claim(&wanted, &store);
        let (_, mut joined) = flights.claim(&wanted, &store);
        mine.remove(0).land(true);
        assert_eq!(joined[0].landed().await, Some(true));
        assert!(flights.running().is_empty());
    }
}
