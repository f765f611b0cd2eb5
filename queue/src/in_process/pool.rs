//! The workers of one pool and the tasks that wait for them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::ActionKey;

use super::ready::{Need, Rank, Spot};
use super::shares::Shares;
use super::stragglers::Stragglers;
use super::waiting::{Waiting, need};
use crate::lease_queue::{GRACE_OF_A_KNOWN_POOL, PART_REMEMBERED};
use crate::{LeaseRequest, QueueOptions};
use gofarm_engine::core::{Millis, Task};

#[derive(Debug)]
pub(super) struct Worker {
    pub last_seen: Millis,
    pub total_memory: u64,
    pub leases: HashSet<ActionKey>,
    /// It holds the lease of an exclusive task.
    pub alone: bool,
}

/// A worker that gets nothing more until it is idle and can take the exclusive task.
#[derive(Debug)]
struct Reservation {
    worker: Arc<str>,
    key: ActionKey,
}

#[derive(Debug)]
struct Exclusive {
    key: ActionKey,
    need: Need,
    since: Millis,
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    pub shares: Shares,
    pub stragglers: Stragglers,
    /// Tasks that ran out of memory in company: few, so a scan does.
    exclusive: BTreeMap<Rank, Exclusive>,
    /// Tasks that are kept for a worker, by when they no longer are.
    kept: BTreeSet<(Millis, ActionKey)>,
    /// Every waiting task by its sequence number: oldest first.
    by_age: BTreeMap<u64, (ActionKey, Millis)>,
    workers: BTreeMap<Arc<str>, Worker>,
    reservation: Option<Reservation>,
    /// When the first worker showed itself.
    known_since: Option<Millis>,
    /// When the last worker was forgotten.
    abandoned: Option<Millis>,
}

impl Pool {
    fn spot(task: &Task, waiting: Waiting, options: &QueueOptions) -> Spot {
        let near = task.near.as_ref().filter(|_| waiting.kept);
        Spot {
            place: waiting.rank(task),
            need: need(task, options),
            kept_for: near.map(|near| near.worker.clone()),
        }
    }

    /// Whether a task that comes now is kept for the worker that it is near to: that one is there, and large enough.
    pub fn keeps(&self, task: &Task, now: Millis, options: &QueueOptions) -> bool {
        let near = task.near.as_ref().filter(|_| !task.exclusive);
        let worker = near.and_then(|near| self.workers.get(&near.worker));
        let need = need(task, options);
        worker.is_some_and(|worker| {
            is_there(worker, now, options.worker_ttl)
                && (need.bytes <= worker.total_memory || !need.recorded)
        })
    }

    pub fn insert(&mut self, task: &Task, waiting: Waiting, options: &QueueOptions) {
        self.by_age
            .insert(waiting.sequence, (task.key, waiting.since));
        if task.exclusive {
            let exclusive = Exclusive {
                key: task.key,
                need: need(task, options),
                since: waiting.since,
            };
            let place = waiting.rank(task);
            self.exclusive.insert(place, exclusive);
        } else {
            let spot = Pool::spot(task, waiting, options);
            self.shares.insert(&task.share, &spot, task.key);
            self.kept.extend(kept_until(task, waiting));
        }
    }

    pub fn remove(&mut self, task: &Task, waiting: Waiting, options: &QueueOptions) {
        self.by_age.remove(&waiting.sequence);
        if task.exclusive {
            self.exclusive.remove(&waiting.rank(task));
        } else {
            let spot = Pool::spot(task, waiting, options);
            self.shares.remove(&task.share, &spot);
            if let Some(kept) = kept_until(task, waiting) {
                self.kept.remove(&kept);
            }
        }
    }

    /// Puts a waiting task elsewhere: into another share, or into another place within its own.
    pub fn replace(
        &mut self,
        old: (&Task, Waiting),
        new: (&Task, Waiting),
        options: &QueueOptions,
    ) {
        if old.0.share == new.0.share && !old.0.exclusive && !new.0.exclusive {
            let spot = |(task, waiting)| Pool::spot(task, waiting, options);
            self.shares
                .replace(&old.0.share, &spot(old), &spot(new), new.0.key);
            if let Some(kept) = kept_until(old.0, old.1) {
                self.kept.remove(&kept);
            }
            self.kept.extend(kept_until(new.0, new.1));
        } else {
            self.remove(old.0, old.1, options);
            self.insert(new.0, new.1, options);
        }
    }

    /// A task that has been kept for long enough.
    pub fn matured(&self, now: Millis) -> Option<ActionKey> {
        let first = self.kept.first().filter(|(until, _)| *until <= now);
        first.map(|(_, key)| *key)
    }

    /// At most `limit` tasks that are kept for some worker.
    pub fn kept(&self, limit: usize) -> Vec<ActionKey> {
        self.kept.iter().take(limit).map(|(_, key)| *key).collect()
    }

    /// Takes note of a worker that asks.
    pub fn meet(&mut self, request: &LeaseRequest, now: Millis) {
        self.known_since.get_or_insert(now);
        let worker = self
            .workers
            .entry(request.worker.clone())
            .or_insert_with(|| Worker {
                last_seen: now,
                total_memory: 0,
                leases: HashSet::new(),
                alone: false,
            });
        worker.last_seen = now;
        worker.total_memory = request.total_memory;
    }

    pub fn worker(&mut self, name: &str) -> Option<&mut Worker> {
        self.workers.get_mut(name)
    }

    /// What the worker is to run next, `taken` being what this request already got. It stays in the pool until the
    /// caller removes it.
    pub fn choose(
        &mut self,
        request: &LeaseRequest,
        free: u64,
        now: Millis,
        options: &QueueOptions,
    ) -> Option<(ActionKey, Need)> {
        let worker = self.workers.get(&request.worker)?;
        if worker.alone {
            return None;
        }
        let idle = request.running == 0 && !request.ahead && worker.leases.is_empty();
        let total = worker.total_memory;
        self.drop_stale_reservation(now, options);
        let fits = |task: &Exclusive| task.need.bytes <= total || !task.need.recorded;
        // An idle worker is rare under load, so whatever the priorities it is used for a task that needs one.
        let mut waiting = self.exclusive.values().filter(|task| fits(task));
        if let Some(task) = waiting.next() {
            let reserved = self.reservation.as_ref();
            let mine = reserved.is_none_or(|reservation| reservation.worker == request.worker);
            if idle {
                return Some((task.key, task.need));
            }
            let patience = options.exclusive_patience.as_millis() as u64;
            if mine && now.since(task.since) >= patience {
                self.reservation = Some(Reservation {
                    worker: request.worker.clone(),
                    key: task.key,
                });
                return None;
            }
        }
        self.shares.best(&request.worker, free, idle)
    }

    /// Whether this worker gets nothing more until it is idle.
    pub fn keeps_free(&self, worker: &str) -> bool {
        let reservation = self.reservation.as_ref();
        reservation.is_some_and(|reservation| *reservation.worker == *worker)
    }

    /// A reservation ends with its task or with its worker.
    fn drop_stale_reservation(&mut self, now: Millis, options: &QueueOptions) {
        let Some(reservation) = &self.reservation else {
            return;
        };
        let worker = self.workers.get(&reservation.worker);
        let there = worker.is_some_and(|worker| is_there(worker, now, options.worker_ttl));
        let waits = self
            .exclusive
            .values()
            .any(|task| task.key == reservation.key);
        if !there || !waits {
            self.reservation = None;
        }
    }

    /// Those that hold leases of this part.
    pub fn busy(&self) -> impl Iterator<Item = &Arc<str>> {
        let busy = self.workers.iter();
        let busy = busy.filter(|(_, worker)| !worker.leases.is_empty());
        busy.map(|(name, _)| name)
    }

    /// Forgets workers that are gone. Who is `busy`, be it in another part, is not.
    pub fn forget_workers(
        &mut self,
        busy: &HashSet<Arc<str>>,
        now: Millis,
        options: &QueueOptions,
    ) {
        let before = self.workers.len();
        self.workers.retain(|name, worker| {
            busy.contains(name) || is_there(worker, now, options.worker_ttl)
        });
        if before > 0 && self.workers.is_empty() {
            self.abandoned = Some(now);
        }
    }

    /// Whether it has nothing that anybody would miss, nor any worker that may come back.
    pub fn is_forgotten(&self, now: Millis) -> bool {
        let remembered = PART_REMEMBERED.as_millis() as u64;
        self.by_age.is_empty()
            && self.workers.is_empty()
            && self.shares.is_empty()
            && self.stragglers.is_empty()
            && self
                .abandoned
                .is_none_or(|since| now.since(since) >= remembered)
    }

    /// Who asked or renewed lately.
    pub fn workers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.workers.keys()
    }

    /// When the first worker showed itself, of a pool that has workers.
    pub fn known_since(&self) -> Option<Millis> {
        self.known_since.filter(|_| !self.workers.is_empty())
    }

    /// At most `limit` tasks that no worker could take, each with the reason. `known` is since when other parts of the pool
    /// have workers.
    pub fn unplaceable(
        &self,
        name: &str,
        now: Millis,
        limit: usize,
        known: Option<Millis>,
        options: &QueueOptions,
    ) -> Vec<(ActionKey, Arc<str>)> {
        let mut grace = options.placement_grace.as_millis() as u64;
        let largest = self.workers.iter().max_by_key(|(_, w)| w.total_memory);
        let Some((largest, worker)) = largest else {
            let alone_since = self.abandoned.unwrap_or_default();
            // A worker that was there may be starting again; one that never was is not to be expected.
            if self.known_since.is_none() && known.is_some_and(|known| now.since(known) >= grace) {
                grace /= u64::from(GRACE_OF_A_KNOWN_POOL);
            }
            let reason: Arc<str> = format!(
                "no worker of pool {name:?} has asked for tasks for {} s; start one, or choose another pool",
                Duration::from_millis(grace).as_secs_f64()
            )
            .into();
            return self
                .by_age
                .values()
                .take_while(|(_, since)| now.since((*since).max(alone_since)) >= grace)
                .take(limit)
                .map(|(key, _)| (*key, reason.clone()))
                .collect();
        };
        // Other workers may be about to come.
        if now.since(self.known_since.unwrap_or(now)) < grace {
            return Vec::new();
        }
        let total = worker.total_memory;
        let exclusive = self
            .exclusive
            .values()
            .filter(|task| task.need.recorded && task.need.bytes > total)
            .map(|task| (task.key, task.need));
        let large = self.shares.larger_than(total, limit);
        large
            .into_iter()
            .chain(exclusive)
            .take(limit)
            .map(|(key, need)| {
                let reason = format!(
                    "it took {} MiB of memory before, and the largest worker of pool {name:?}, {largest}, has {} MiB; add a larger worker",
                    need.bytes.div_ceil(1 << 20),
                    total >> 20
                );
                (key, reason.into())
            })
            .collect()
    }
}

fn kept_until(task: &Task, waiting: Waiting) -> Option<(Millis, ActionKey)> {
    let near = task.near.as_ref().filter(|_| waiting.kept)?;
    let patience = u64::try_from(near.patience.as_millis()).unwrap_or(u64::MAX);
    Some((Millis(waiting.since.0.saturating_add(patience)), task.key))
}

fn is_there(worker: &Worker, now: Millis, ttl: Duration) -> bool {
    u128::from(now.since(worker.last_seen)) < ttl.as_millis()
}
