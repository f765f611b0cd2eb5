//! Whether the store takes anything more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_store::{Result, StoreError};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How often a store that was full is tried again when nobody else does.
const TRY: Duration = Duration::from_secs(5);

/// What writes to the store have found. Cheap to clone; clones are one.
#[derive(Clone, Debug, Default)]
pub struct Room {
    full: Gauge,
    state: Arc<Mutex<Option<Full>>>,
}

#[derive(Debug)]
struct Full {
    /// What the store said, for a person.
    said: String,
    tried: Instant,
}

impl Room {
    pub(super) fn registered(registry: &mut Registry) -> Room {
        let room = Room::default();
        registry.register(
            "store_full",
            "1 while the store has no room: writes are refused, reads go on",
            room.full.clone(),
        );
        room
    }

    /// What became of a write. That one went well says little: it may have been small, or there already.
    pub fn note<T>(&self, written: &Result<T>) {
        if let Err(error) = written
            && error.is_full()
        {
            self.is_full(error);
        }
    }

    /// A write has found no room.
    pub fn is_full(&self, error: &StoreError) {
        let mut state = self.state();
        if state.is_none() {
            tracing::error!(%error, "the store is full: what is to be stored is refused until there is room");
        }
        *state = Some(Full {
            said: error.to_string(),
            tried: Instant::now(),
        });
        self.full.set(1);
    }

    /// Why the store takes nothing; none when it does.
    pub fn why(&self) -> Option<String> {
        self.state().as_ref().map(|full| full.said.clone())
    }

    /// Whether it is full and it is time for a try.
    pub(super) fn is_to_be_tried(&self) -> bool {
        match &mut *self.state() {
            Some(full) if full.tried.elapsed() >= TRY => {
                full.tried = Instant::now();
                true
            }
            _ => false,
        }
    }

    /// A trial has found room.
    pub(super) fn is_back(&self) {
        let mut state = self.state();
        if state.take().is_some() {
            tracing::info!("the store has room again");
            self.full.set(0);
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Full>> {
        // A text and a time: whatever a panic left is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
