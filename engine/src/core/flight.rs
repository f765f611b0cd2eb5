//! What is known about a key while someone waits for it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::{Attempt, BuildEvent, BuildId, Effect, NodeEvent, NodeId, Task};

/// A node that waits for an answer about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub build: BuildId,
    pub node: u32,
}

/// The one task of a key. A key has at most one, whatever number of builds want it.
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
