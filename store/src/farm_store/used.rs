//! When what lies in an object store was last used.
//!
//! An object store knows when an object was written and not when it was read. So a replica notes what it uses: in batches, as
//! notes beside the blobs, and nothing of what was written or noted within [`AGAIN`]. A note is there before a caller is told
//! that a blob is there, or what a result is. What collects reads all notes, and folds them into one.
//!
//! The invariant that collecting rests on: what anybody was told of within [`GRACE`](super::GRACE) was written or noted within
//! it. A store that refuses to be written to breaks it, rather than refuse to be read; what is collected then although it is
//! needed is made again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, TryStreamExt, stream};

use super::objects::Objects;
use crate::Result;
use crate::frame;
use crate::layout::unique_name;
use crate::scan::Kind;

/// What was noted is not noted again for so long, and up to twice as long; nor is what was written. Twice this is half of the
/// grace: for one side that is late and for clocks that differ.
pub(super) const AGAIN: Duration = Duration::from_secs(30 * 60);

const NOTES: &str = "used";
const CONTEXT: &[u8] = b"gofarm used 1";

/// Kind, hash, and seconds since the epoch.
const ITEM: usize = 1 + 32 + 8;

/// Items in one note that a collection writes.
const IN_ONE_NOTE: usize = 100_000;

/// Notes read at once.
const AT_ONCE: usize = 32;

/// A blob or a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id {
    pub(super) kind: Kind,
    pub(super) hash: [u8; 32],
}

impl Id {
    pub(super) fn blob(digest: &gofarm_proto::Digest) -> Id {
        Id {
            kind: Kind::Blob,
            hash: digest.hash,
        }
    }

    pub(super) fn action(key: &gofarm_proto::ActionKey) -> Id {
        Id {
            kind: Kind::Action,
            hash: key.0,
        }
    }
}

/// What this process has used.
#[derive(Debug)]
pub(super) struct Used {
    state: Mutex<State>,
    /// One note is written at a time; who waits for the turn is taken along.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    waiting: HashSet<Id>,
    young: HashSet<Id>,
    old: HashSet<Id>,
    turned: Instant,
}

impl Used {
    pub(super) fn new(now: Instant) -> Used {
        Used {
            state: Mutex::new(State {
                waiting: HashSet::new(),
                young: HashSet::new(),
                old: HashSet::new(),
                turned: now,
            }),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Takes these to be noted, if they were not lately. True if there is something to be noted.
    pub(super) fn add(&self, ids: impl IntoIterator<Item = Id>) -> bool {
        let mut state = self.state();
        let age = state.turned.elapsed();
        if age >= AGAIN {
            state.old = std::mem::take(&mut state.young);
            state.turned = Instant::now();
        }
        if age >= 2 * AGAIN {
            state.old.clear();
        }
        let before = state.waiting.len();
        for id in ids {
            if !state.young.contains(&id) && !state.old.contains(&id) {
                state.waiting.insert(id);
            }
        }
        state.waiting.len() > before
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that was last written then is to be noted when it is used.
pub(super) fn is_old(written: SystemTime) -> bool {
    written.elapsed().is_ok_and(|age| age >= AGAIN)
}

impl Objects {
    /// Notes that these are used, before whoever asked is told of them.
    pub(super) async fn note_used(&self, ids: Vec<Id>) {
        if self.used.add(ids) {
            // What cannot be noted waits for the next note: reading goes on in a store that is full.
            let _ = self.write_used().await;
        }
    }

    /// Writes what waits to be noted.
    pub(super) async fn write_used(&self) -> Result<()> {
        let _turn = self.used.turn.lock().await;
        // It stays among the waiting until it is written, so that a caller that goes away loses nothing.
        let batch: Vec<Id> = self.used.state().waiting.iter().copied().collect();
        if batch.is_empty() {
            return Ok(());
        }
        let now = seconds(SystemTime::now());
        let items: Vec<(Id, u64)> = batch.iter().map(|id| (*id, now)).collect();
        self.put_used(&items).await?;
        let mut state = self.used.state();
        for id in batch {
            state.waiting.remove(&id);
            state.young.insert(id);
        }
        Ok(())
    }

    /// Reads the notes that are not among those that were read, into the last use of each.
    pub(super) async fn read_used(
        &self,
        read: &mut HashSet<String>,
        last: &mut HashMap<Id, u64>,
    ) -> Result<()> {
        loop {
            let names = self.notes(NOTES).await?;
            let new: Vec<String> = names
                .into_iter()
                .filter(|name| !read.contains(name))
                .collect();
            let notes = stream::iter(new).map(|name| async move {
                let note = self.note(NOTES, &name).await?;
                Ok((name, note))
            });
            let notes: Vec<_> = notes.buffer_unordered(AT_ONCE).try_collect().await?;
            let mut folded = false;
            for (name, note) in notes {
                // Somebody else has folded it: the note that says the same was written before, and is in the next list.
                let Some(note) = note else {
                    folded = true;
                    continue;
                };
                let body = frame::unwrap(CONTEXT, &note);
                for item in body.unwrap_or_default().chunks_exact(ITEM) {
                    if let Some((id, at)) = decode(item) {
                        let known = last.entry(id).or_default();
                        *known = at.max(*known);
                    }
                }
                read.insert(name);
            }
            if !folded {
                return Ok(());
            }
        }
    }

    /// Replaces notes that have been read by others that say the same of what is left.
    pub(super) async fn fold_used(&self, read: HashSet<String>, left: &[(Id, u64)]) -> Result<()> {
        for items in left.chunks(IN_ONE_NOTE) {
            self.put_used(items).await?;
        }
        let removed =
            stream::iter(read).map(|name| async move { self.remove_note(NOTES, &name).await });
        removed.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn put_used(&self, items: &[(Id, u64)]) -> Result<()> {
        let body: Vec<u8> = items.iter().flat_map(encode).collect();
        let name = format!("{:020}-{}", seconds(SystemTime::now()), unique_name());
        self.put_note(NOTES, &name, frame::wrap(CONTEXT, &body))
            .await
    }
}

fn encode((id, at): &(Id, u64)) -> [u8; ITEM] {
    let mut item = [0; ITEM];
    item[0] = match id.kind {
        Kind::Blob => b'b',
        Kind::Action => b'a',
    };
    item[1..33].copy_from_slice(&id.hash);
    item[33..].copy_from_slice(&at.to_be_bytes());
    item
}

fn decode(item: &[u8]) -> Option<(Id, u64)> {
    let (kind, rest) = item.split_first()?;
    let kind = match kind {
        b'b' => Kind::Blob,
        b'a' => Kind::Action,
        _ => return None,
    };
    let (hash, at) = rest.split_first_chunk::<32>()?;
    let id = Id { kind, hash: *hash };
    Some((id, u64::from_be_bytes(*at.first_chunk()?)))
}

/// Seconds since the epoch.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_read_as_it_was_written() {
        for kind in [Kind::Blob, Kind::Action] {
            let id = Id {
                kind,
                hash: [7; 32],
            };
            assert_eq!(decode(&encode(&(id, 1 << 40))), Some((id, 1 << 40)));
        }
        assert_eq!(decode(&[0; ITEM]), None);
    }

    #[test]
    fn what_waits_is_one_thing_however_often_it_is_used() {
        let used = Used::new(Instant::now());
        let id = Id {
            kind: Kind::Blob,
            hash: [1; 32],
        };
        assert!(used.add([id, id]));
        assert!(!used.add([id]));
    }
}
