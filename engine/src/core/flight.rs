//! What is known about a key while someone waits for it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::{Attempt, BuildEvent, BuildId, Effect, NodeEvent, NodeId, RunId, Task, pool_of};

/// A node that waits for an answer about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub build: BuildId,
    pub node: u32,
}

/// The one task of a key in a pool. There is at most one, whatever number of builds want it.
#[derive(Debug)]
pub(super) struct Flight {
    /// As it was last put into the queue.
    pub task: Task,
    pub phase: Phase,
    /// Number of the step that put it there.
    pub enqueued_step: u64,
    /// They take the outcome. The first is the one that counts as executing it. Never empty but while
    /// cancelling.
    pub waiters: Vec<Waiter>,
    /// They do not: they need a run that begins later. Tried again when this one is over.
    pub deferred: Vec<Waiter>,
    /// Another scheduler has it executed: nobody here counts as doing so.
    pub joined: bool,
    /// The action cache was asked and had nothing, so who comes later need not ask again.
    pub missed: bool,
    /// Attempts that count.
    pub counted: u32,
    pub history: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Queued,
    Running {
        worker: Arc<str>,
        /// Number of the step that heard of it, to compare with the one that submitted a build.
        since: u64,
    },
    /// The queue has been told that nobody wants it and has not answered yet.
    Cancelling,
}

/// Open questions to the action cache, by key and whether blobs are to be verified.
pub(super) type Lookups = KeyMap<(ActionKey, bool), Vec<Waiter>>;

pub(super) type KeyMap<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

/// Takes the last eight bytes written: an action key is uniformly distributed already, and nobody can choose
/// keys that collide without breaking BLAKE3.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk::<8>() {
            self.0 = self.0.rotate_left(8) ^ u64::from_le_bytes(*tail);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte) << 32;
    }

    // The length of the array, which is always 32.
    fn write_usize(&mut self, _: usize) {}
}

/// The flights, by key and pool: builds of different pools do not wait for each other's workers. Nearly all keys have
/// one.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_key: KeyMap<ActionKey, Vec<Flight>>,
    len: usize,
}

impl Flights {
    pub fn len(&self) -> usize {
        self.len
    }

    /// In no order.
    pub fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.by_key.values().flatten()
    }

    /// Those of a key, in any pool.
    pub fn of_key(&self, key: &ActionKey) -> &[Flight] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// The one of a key in the pool that a part belongs to.
    pub fn of_pool(&self, key: &ActionKey, part: &str) -> Option<&Flight> {
        let mut flights = self.of_key(key).iter();
        flights.find(|flight| pool_of(&flight.task.pool) == pool_of(part))
    }

    pub fn of_pool_mut(&mut self, key: &ActionKey, part: &str) -> Option<&mut Flight> {
        let mut flights = self.by_key.get_mut(key)?.iter_mut();
        flights.find(|flight| pool_of(&flight.task.pool) == pool_of(part))
    }

    /// The one whose current run this is.
    pub fn of_run(&self, key: &ActionKey, run: RunId) -> Option<&Flight> {
        let mut flights = self.of_key(key).iter();
        flights.find(|flight| flight.task.run == run)
    }

    pub fn of_run_mut(&mut self, key: &ActionKey, run: RunId) -> Option<&mut Flight> {
        let mut flights = self.by_key.get_mut(key)?.iter_mut();
        flights.find(|flight| flight.task.run == run)
    }

    pub fn take_run(&mut self, key: &ActionKey, run: RunId) -> Option<Flight> {
        let flights = self.by_key.get_mut(key)?;
        let place = flights.iter().position(|flight| flight.task.run == run)?;
        let flight = flights.swap_remove(place);
        if flights.is_empty() {
            self.by_key.remove(key);
        }
        self.len -= 1;
        Some(flight)
    }

    /// There is none of its key and pool.
    pub fn insert(&mut self, flight: Flight) {
        self.len += 1;
        let flights = self.by_key.entry(flight.task.key);
        flights
            .or_insert_with(|| Vec::with_capacity(1))
            .push(flight);
    }
}

impl Waiter {
    /// Tells the watchers of the build about the node.
    pub fn notify(self, event: NodeEvent) -> Effect {
        Effect::Notify {
            build: self.build,
            event: BuildEvent::Node {
                node: NodeId(self.node),
                event,
            },
        }
    }
}
