//! An account of leases that is kept beside the queue, from what it says to workers alone, and that knows what it must
//! never say.

use std::collections::BTreeMap;
use std::sync::Arc;

use gofarm_engine::core::Outcome;
use gofarm_proto::ActionKey;
use gofarm_queue::{FencingToken, Lease, LeaseId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not accepted by the queue yet; over at its deadline.
    Open,
    /// An outcome was accepted that counts as an attempt.
    Counted,
    /// It ran out of memory.
    OutOfMemory,
    /// Another outcome was accepted.
    Accepted,
    /// Another worker that had the same task came first.
    Overtaken,
    /// The queue lost its data while it was open.
    Forgotten,
}

#[derive(Debug)]
struct Entry {
    key: ActionKey,
    pool: Arc<str>,
    label: Arc<str>,
    worker: Arc<str>,
    exclusive: bool,
    deadline: u64,
    /// A second worker was asked for.
    backed_up: bool,
    /// Of two leases of one task; the later if true.
    shared: Option<bool>,
    end: End,
}

impl Entry {
    fn is_live(&self, now: u64) -> bool {
        self.end == End::Open && now < self.deadline
    }
}

/// What a queue did that it must not do.
pub type Offence = String;

/// All leases of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: BTreeMap<FencingToken, Entry>,
    /// When a worker last asked for tasks of each pool, and the longest pause before.
    requests: BTreeMap<Arc<str>, (u64, u64)>,
    seconds: u64,
    seconds_first: u64,
}

impl Ledger {
    /// A worker of these pools asked at this time.
    pub fn requested(&mut self, pools: &[Arc<str>], now: u64) {
        for pool in pools {
            let longest = self.longest_pause_ms(pool, now);
            self.requests.insert(pool.clone(), (now, longest));
        }
    }

    /// The longest time for which no worker asked for tasks of a pool.
    pub fn longest_pause_ms(&self, pool: &Arc<str>, now: u64) -> u64 {
        let (last, longest) = self.requests.get(pool).copied().unwrap_or_default();
        longest.max(now - last)
    }

    /// The queue gave a lease.
    ///
    /// # Errors
    ///
    /// Its token was given before, another lease of the task is live, unless it is the second of a straggler, or an
    /// exclusive task is not alone.
    pub fn given(&mut self, lease: &Lease, worker: &Arc<str>, now: u64) -> Result<(), Offence> {
        let (id, exclusive, pool) = (lease.id, lease.task.exclusive, &lease.task.pool);
        let mut shared = None;
        let live = self.entries.iter_mut();
        for (token, other) in live.filter(|(_, other)| other.is_live(now)) {
            let second = other.backed_up && other.shared.is_none() && !exclusive;
            let same = other.key == id.key && other.pool == *pool;
            if same && second && other.worker != *worker {
                (other.shared, shared) = (Some(false), Some(true));
            } else if same {
                return Err(format!(
                    "one task is leased twice at once: {} as {token:?} to {} and as {:?} to {worker}",
                    id.key, other.worker, id.token
                ));
            }
            if other.worker == *worker && (other.exclusive || exclusive) {
                return Err(format!(
                    "an exclusive task is not alone on {worker}: {} beside {}",
                    id.key, other.key
                ));
            }
        }
        let entry = Entry {
            key: id.key,
            pool: pool.clone(),
            label: lease.task.label.clone(),
            worker: worker.clone(),
            exclusive,
            deadline: now + lease.ttl.as_millis() as u64,
            backed_up: false,
            shared,
            end: End::Open,
        };
        self.seconds += u64::from(shared.is_some());
        match self.entries.insert(id.token, entry) {
            Some(_) => Err(format!("the token {:?} was given twice", id.token)),
            None => Ok(()),
        }
    }

    /// The queue was asked for a second worker for a task.
    pub fn backed_up(&mut self, key: &ActionKey, now: u64) {
        let entries = self.entries.values_mut();
        for entry in entries.filter(|entry| entry.key == *key && entry.is_live(now)) {
            entry.backed_up = true;
        }
    }

    /// Whether the task of a lease may have been given to another worker at the same time.
    pub fn may_share(&self, token: &FencingToken) -> bool {
        let entry = self.entries.get(token);
        entry.is_some_and(|entry| entry.shared.is_some())
    }

    /// How many leases were second ones, and how many of these came first.
    pub fn seconds(&self) -> (u64, u64) {
        (self.seconds, self.seconds_first)
    }

    /// The queue prolonged a lease.
    ///
    /// # Errors
    ///
    /// It had run out or ended.
    pub fn renewed(&mut self, id: &LeaseId, deadline: u64, now: u64) -> Result<(), Offence> {
        self.live(id, now, "a stale renewal was accepted")?.deadline = deadline;
        Ok(())
    }

    /// The queue accepted the end of a lease.
    ///
    /// # Errors
    ///
    /// It had run out or ended before.
    pub fn completed(&mut self, id: &LeaseId, outcome: &Outcome, now: u64) -> Result<(), Offence> {
        let entry = self.live(id, now, "a stale completion was accepted")?;
        entry.end = match outcome {
            Outcome::Crashed { .. } | Outcome::LostLease => End::Counted,
            Outcome::OutOfMemory { .. } => End::OutOfMemory,
            _ => End::Accepted,
        };
        let (key, pool) = (entry.key, entry.pool.clone());
        let second = entry.shared == Some(true);
        if matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_)) {
            let mut overtaken = false;
            for other in self.entries.values_mut() {
                if other.key == key && other.pool == pool && other.is_live(now) {
                    other.end = End::Overtaken;
                    overtaken = true;
                }
            }
            self.seconds_first += u64::from(second && overtaken);
        }
        Ok(())
    }

    fn live(&mut self, id: &LeaseId, now: u64, offence: &str) -> Result<&mut Entry, Offence> {
        match self.entries.get_mut(&id.token) {
            Some(entry) if entry.key == id.key && entry.is_live(now) => Ok(entry),
            Some(Entry {
                end: End::Overtaken,
                ..
            }) => Err(format!("{offence}, of a worker that was overtaken: {id:?}")),
            entry => Err(format!("{offence} for {id:?}: {entry:?}")),
        }
    }

    /// The queue lost its data.
    pub fn reset(&mut self, now: u64) {
        for entry in self.entries.values_mut() {
            if entry.is_live(now) {
                entry.end = End::Forgotten;
            }
        }
    }

    /// Leases of tasks with this label that ended in a way that counts as an attempt.
    pub fn counted(&self, label: &str, now: u64) -> usize {
        let labelled = self.entries.values().filter(|entry| &*entry.label == label);
        let counted = labelled.filter(|entry| match entry.end {
            End::Open => entry.deadline <= now,
            End::Counted => true,
            End::OutOfMemory | End::Accepted | End::Overtaken | End::Forgotten => false,
        });
        counted.count()
    }

    /// Leases of tasks with this label that ran out of memory.
    pub fn out_of_memory(&self, label: &str) -> usize {
        let labelled = self.entries.values().filter(|entry| &*entry.label == label);
        labelled
            .filter(|entry| entry.end == End::OutOfMemory)
            .count()
    }
}
