//! Which worker has which blobs: a guess from what ran where, so that a task goes to where its inputs are.
//!
//! A worker has what it made and what it read for a while, in its local cache. Nobody tells the scheduler what was
//! evicted from there or came in otherwise, so nothing may rest on this but speed. It is empty after a restart and
//! after a take-over, and then there is no preference.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::Digest;

use crate::core::{Millis, Near};

/// Blobs that are remembered.
const BLOBS: usize = 200_000;
/// Workers that are remembered of each.
const HOLDERS: usize = 3;
/// Workers that are known at a time.
const WORKERS: usize = 20_000;
/// A smaller blob is not remembered: a thousand of them are a fraction of a second of fetching, and most of what compiles
/// read, and what waits longest for its inputs are links, which read some hundred kilobytes a blob.
const SMALL: u64 = 16 << 10;
/// A task that reads less of what others made is fetched for within a tenth of a second, wherever it runs.
const WORTH_IT: u64 = 8 << 20;
/// What a worker fetches in a second, bytes: a network of one gigabit.
const BYTES_PER_SECOND: u64 = 100 << 20;
/// No task is kept longer for a worker, whatever that would save.
const LONGEST: Duration = Duration::from_secs(2);
/// Keeping a task for a shorter time decides nothing: a worker's question takes as long.
const SHORTEST: Duration = Duration::from_millis(10);
/// A worker that nothing was heard of for so long is not preferred, milliseconds. One that is idle says nothing here, and
/// the queue, which knows better who is there, keeps no task for one that is gone.
const LATELY_MS: u64 = 5 * 60_000;

/// How old a count of workers may be, milliseconds.
const COUNT_MS: u64 = 1000;

/// A worker by the order in which they showed themselves.
type Number = u32;

/// The least recently used blobs go first, by halves: `young` are those used since it was last full, `old` those used
/// in the time before.
#[derive(Debug)]
pub(super) struct Whereabouts {
    half: usize,
    young: HashMap<Digest, Holders>,
    old: HashMap<Digest, Holders>,
    numbers: HashMap<Arc<str>, Number>,
    workers: HashMap<Number, Worker>,
    last: Number,
    /// How many of the workers were seen lately, and when they were counted.
    there: (u64, Option<Millis>),
}

#[derive(Debug)]
struct Worker {
    name: Arc<str>,
    seen: Millis,
}

/// The last that had it first.
#[derive(Debug, Clone, Copy, Default)]
struct Holders([Option<Number>; HOLDERS]);

impl Holders {
    fn add(&mut self, worker: Number) {
        let known = self.0.iter().position(|other| *other == Some(worker));
        let last = known.unwrap_or(HOLDERS - 1);
        self.0[..=last].rotate_right(1);
        self.0[0] = Some(worker);
    }
}

impl Whereabouts {
    pub fn new() -> Whereabouts {
        Whereabouts::of_size(BLOBS)
    }

    fn of_size(blobs: usize) -> Whereabouts {
        Whereabouts {
            half: (blobs / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
            numbers: HashMap::new(),
            workers: HashMap::new(),
            last: 0,
            there: (0, None),
        }
    }

    /// A worker gave a sign of life.
    pub fn seen(&mut self, worker: &Arc<str>, now: Millis) {
        self.number(worker, now);
    }

    /// A worker has these now: it has read or made them.
    pub fn has(&mut self, worker: &Arc<str>, blobs: impl IntoIterator<Item = Digest>, now: Millis) {
        let Some(number) = self.number(worker, now) else {
            return;
        };
        for blob in blobs.into_iter().filter(|blob| blob.size >= SMALL) {
            if let Some(holders) = self.young.get_mut(&blob) {
                holders.add(number);
                continue;
            }
            let mut holders = self.old.remove(&blob).unwrap_or_default();
            holders.add(number);
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(blob, holders);
        }
    }

    /// The worker that has most of what a task reads, and for how long it is worth waiting for: as long as another would
    /// take to fetch what that one has and others, on average, have not.
    pub fn near(&mut self, reads: &[Digest], now: Millis) -> Option<Near> {
        // Sizes are what workers say, and may be anything.
        let sizes = reads.iter().map(|blob| u128::from(blob.size));
        let total: u128 = sizes.sum();
        if total < u128::from(WORTH_IT) {
            return None;
        }
        let mut held: HashMap<Number, u128> = HashMap::new();
        for blob in reads {
            let holders = self.young.get(blob).or_else(|| self.old.get(blob));
            for number in holders.into_iter().flat_map(|holders| holders.0).flatten() {
                *held.entry(number).or_default() += u128::from(blob.size);
            }
        }
        held.retain(|number, _| {
            let worker = self.workers.get(number);
            worker.is_some_and(|worker| now.since(worker.seen) <= LATELY_MS)
        });
        // The earlier of two that have as much, so that the answer does not depend on hashing.
        let most = held
            .iter()
            .max_by_key(|(number, bytes)| (**bytes, u32::MAX - **number));
        let (number, most) = most.map(|(number, bytes)| (*number, *bytes))?;
        let others = self.count(now).saturating_sub(1);
        let all: u128 = held.values().sum();
        let of_others = (all - most).checked_div(u128::from(others));
        let saved = most.saturating_sub(of_others.unwrap_or(0));
        let saved = u64::try_from(saved).unwrap_or(u64::MAX);
        let patience = Duration::from_millis(saved.saturating_mul(1000) / BYTES_PER_SECOND);
        (patience >= SHORTEST).then(|| Near {
            worker: self.workers[&number].name.clone(),
            patience: patience.min(LONGEST),
        })
    }

    /// Workers that were seen lately; who has gone may be counted for another second, since thousands of tasks may ask at
    /// once.
    fn count(&mut self, now: Millis) -> u64 {
        let (count, counted) = self.there;
        if counted.is_some_and(|counted| now.since(counted) < COUNT_MS) {
            return count;
        }
        let there = self.workers.values();
        let there = there.filter(|worker| now.since(worker.seen) <= LATELY_MS);
        let count = there.count() as u64;
        self.there = (count, Some(now));
        count
    }

    /// The number of a worker that is there. None when there are too many.
    fn number(&mut self, worker: &Arc<str>, now: Millis) -> Option<Number> {
        if let Some(number) = self.numbers.get(worker) {
            if let Some(worker) = self.workers.get_mut(number) {
                worker.seen = now;
            }
            return Some(*number);
        }
        if self.workers.len() >= WORKERS {
            self.workers
                .retain(|_, worker| now.since(worker.seen) <= LATELY_MS);
            let workers = &self.workers;
            self.numbers
                .retain(|_, number| workers.contains_key(number));
            if self.workers.len() >= WORKERS {
                return None;
            }
        }
        // Never given twice, so a blob's memory of one that was forgotten is of nobody.
        self.last = self.last.checked_add(1)?;
        self.numbers.insert(worker.clone(), self.last);
        let name = worker.clone();
        self.workers.insert(self.last, Worker { name, seen: now });
        self.there.1 = None;
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const NOW: Millis = Millis(1_000_000);

    fn blob(number: u64, size: u64) -> Digest {
        let hash = Digest::of(&number.to_le_bytes()).hash;
        Digest { hash, size }
    }

    fn worker(name: &str) -> Arc<str> {
        name.into()
    }

    fn near(whereabouts: &mut Whereabouts, reads: &[Digest]) -> Option<(String, u128)> {
        let near = whereabouts.near(reads, NOW)?;
        Some((near.worker.to_string(), near.patience.as_millis()))
    }

    #[test]
    fn the_one_that_has_most_bytes_is_near() {
        let mut whereabouts = Whereabouts::new();
        let (large, small) = (blob(1, 50 * MIB), blob(2, 20 * MIB));
        let third = blob(3, 10 * MIB);
        whereabouts.has(&worker("a"), [large], NOW);
        whereabouts.has(&worker("b"), [small, third], NOW);
        let reads = [large, small, third];
        // 50 MiB here and 30 MiB there: 20 MiB are saved.
        assert_eq!(near(&mut whereabouts, &reads), Some(("a".into(), 200)));
        // More blobs, and fewer bytes, decide nothing.
        whereabouts.has(&worker("b"), [large], NOW);
        assert_eq!(near(&mut whereabouts, &reads), Some(("b".into(), 300)));
        // A third that has nothing: others have 25 MiB on average.
        whereabouts.seen(&worker("c"), NOW);
        assert_eq!(near(&mut whereabouts, &reads), Some(("b".into(), 550)));
    }

    #[test]
    fn nobody_is_waited_for_longer_than_is_sensible() {
        let mut whereabouts = Whereabouts::new();
        let huge = blob(1, 5_000 * MIB);
        assert_eq!(near(&mut whereabouts, &[huge]), None, "nobody has it");
        whereabouts.has(&worker("a"), [huge], NOW);
        assert_eq!(near(&mut whereabouts, &[huge]), Some(("a".into(), 2_000)));
        whereabouts.has(&worker("b"), [huge], NOW);
        assert_eq!(near(&mut whereabouts, &[huge]), None, "both have it");
    }

    #[test]
    fn sizes_that_workers_make_up_are_added_without_harm() {
        let mut whereabouts = Whereabouts::new();
        let reads = [blob(1, u64::MAX), blob(2, u64::MAX), blob(3, MIB)];
        whereabouts.has(&worker("a"), reads, NOW);
        assert!(near(&mut whereabouts, &reads).is_some());
        whereabouts.has(&worker("b"), reads, NOW);
        assert_eq!(near(&mut whereabouts, &reads), None, "both have it");
    }

    #[test]
    fn little_is_not_worth_waiting_for() {
        let mut whereabouts = Whereabouts::new();
        let some = blob(1, 7 * MIB);
        whereabouts.has(&worker("a"), [some], NOW);
        assert_eq!(near(&mut whereabouts, &[some]), None);
        // A large task of which the worker has next to nothing.
        let (known, rest) = (blob(2, MIB / 2), blob(3, 500 * MIB));
        whereabouts.has(&worker("a"), [known], NOW);
        assert_eq!(near(&mut whereabouts, &[known, rest]), None);
    }

    #[test]
    fn who_was_not_heard_of_lately_is_not_preferred() {
        let mut whereabouts = Whereabouts::new();
        let some = blob(1, 100 * MIB);
        whereabouts.has(&worker("gone"), [some], Millis(0));
        whereabouts.has(&worker("here"), [blob(2, MIB)], NOW);
        assert_eq!(near(&mut whereabouts, &[some]), None);
        whereabouts.seen(&worker("gone"), NOW);
        assert_eq!(
            near(&mut whereabouts, &[some]),
            Some(("gone".into(), 1_000))
        );
    }

    #[test]
    fn the_last_three_are_remembered_of_each_blob() {
        let mut holders = Holders::default();
        for number in [1, 2, 3, 2, 4] {
            holders.add(number);
        }
        assert_eq!(holders.0, [Some(4), Some(2), Some(3)]);
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten_first() {
        let mut whereabouts = Whereabouts::of_size(100);
        let kept = blob(0, 100 * MIB);
        let once = blob(1, 100 * MIB);
        whereabouts.has(&worker("a"), [kept, once], NOW);
        for number in 2..1_000 {
            whereabouts.has(&worker("a"), [kept, blob(number, MIB)], NOW);
            assert!(whereabouts.young.len() + whereabouts.old.len() <= 100);
        }
        assert!(near(&mut whereabouts, &[kept]).is_some());
        assert_eq!(near(&mut whereabouts, &[once]), None);
    }

    #[test]
    fn workers_that_come_and_go_do_not_add_up() {
        let mut whereabouts = Whereabouts::new();
        for number in 0..3 * WORKERS as u64 {
            let name = worker(&format!("w{number}"));
            let long_ago = Millis(number * 1_000);
            whereabouts.has(&name, [blob(number, MIB)], long_ago);
        }
        assert!(whereabouts.workers.len() <= WORKERS);
        assert_eq!(whereabouts.workers.len(), whereabouts.numbers.len());
    }
}
