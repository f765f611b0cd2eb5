//! Everything that the queue knows, changed under one lock: what waits, and who wants it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::entries::Entries;
use super::mailbox::Mailboxes;
use super::pool::Pool;
use super::shares::Charge;
use super::waiting::Waiting;
use crate::{FencingToken, News, Owner, QueueOptions, QueueStats};
use gofarm_engine::core::{Millis, Outcome, RunId, Task};

#[derive(Debug)]
pub(super) struct Entry {
    pub task: Task,
    pub owners: Vec<Interest>,
    pub place: Place,
}

impl Entry {
    pub fn is_wanted(&self) -> bool {
        self.owners.iter().any(|interest| interest.wants)
    }
}

/// An owner that is to hear how a task ends.
#[derive(Debug)]
pub(super) struct Interest {
    pub owner: Owner,
    pub run: RunId,
    /// False once it has cancelled. The task goes on while anyone wants it.
    pub wants: bool,
}

#[derive(Debug)]
pub(super) enum Place {
    Waiting(Waiting),
    Leased(Runs),
}

impl Place {
    /// The lease with this token.
    pub fn lease(&self, token: FencingToken) -> Option<&Holding> {
        let Place::Leased(runs) = self else {
            return None;
        };
        let mut both = [Some(&runs.first), runs.second.as_ref()].into_iter();
        both.find_map(|holding| holding.filter(|holding| holding.token == token))
    }
}

/// The leases of a task.
#[derive(Debug)]
pub(super) struct Runs {
    pub first: Holding,
    /// While a second worker runs it as well.
    pub second: Option<Holding>,
    /// Whether it may get a second one, or has had it.
    pub backup: Backup,
    /// As it waited.
    pub waited: Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backup {
    No,
    Asked,
    Given,
}

/// A lease, as the queue remembers it.
#[derive(Debug)]
pub(super) struct Holding {
    pub token: FencingToken,
    pub worker: Arc<str>,
    pub deadline: Millis,
    pub charge: Charge,
    /// It began as a second one: what it prints is not told, since that of the first was.
    pub silent: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub options: QueueOptions,
    pub incarnation: u64,
    pub leases_given: u64,
    sequence: u64,
    pub fenced: u64,
    pub entries: Entries,
    pub pools: BTreeMap<Arc<str>, Pool>,
    /// Every lease by the time it runs out.
    pub deadlines: BTreeSet<(Millis, u64, ActionKey)>,
    /// How many of them are second leases.
    pub seconds: usize,
    pub mailboxes: Mailboxes,
}

impl State {
    pub fn new(options: QueueOptions, incarnation: u64) -> State {
        State {
            options,
            incarnation,
            leases_given: 0,
            sequence: 0,
            fenced: 0,
            entries: Entries::default(),
            pools: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            seconds: 0,
            mailboxes: Mailboxes::default(),
        }
    }

    pub fn enqueue(&mut self, owner: &Owner, task: Task, now: Millis) {
        let interest = Interest {
            owner: owner.clone(),
            run: task.run,
            wants: true,
        };
        let Some(entry) = self.entries.of_mut(&task.key, &task.pool) else {
            self.sequence += 1;
            let pool = self.pools.entry(task.pool.clone()).or_default();
            let waiting = Waiting {
                sequence: self.sequence,
                since: now,
                kept: pool.keeps(&task, now, &self.options),
            };
            pool.insert(&task, waiting, &self.options);
            let entry = Entry {
                owners: vec![interest],
                place: Place::Waiting(waiting),
                task,
            };
            self.entries.insert(entry);
            return;
        };
        match entry.owners.iter_mut().find(|other| other.owner == *owner) {
            // What was said before the latest may come after it.
            Some(known) if interest.run < known.run => {}
            Some(known) => *known = interest,
            None => {
                entry.owners.push(interest);
                let news = News::Joined {
                    key: task.key,
                    run: task.run,
                };
                self.mailboxes.tell(owner, news);
            }
        }
        match &entry.place {
            Place::Waiting(waiting) => {
                if let Some(pool) = self.pools.get_mut(&entry.task.pool)
                    && let Some(joined) = joined(&entry.task, &task, pool)
                {
                    let (old, new) = ((&entry.task, *waiting), (&joined, *waiting));
                    pool.replace(old, new, &self.options);
                    entry.task = joined;
                }
            }
            Place::Leased(runs) => {
                let news = News::Started {
                    key: task.key,
                    run: task.run,
                    worker: runs.first.worker.clone(),
                };
                self.mailboxes.tell(owner, news);
            }
        }
    }

    pub fn cancel(&mut self, owner: &Owner, key: ActionKey, run: RunId, now: Millis) {
        let done = News::Done {
            key,
            run,
            worker: None,
            lease: None,
            outcome: Outcome::Cancelled,
        };
        let entry = self.entries.enqueued_mut(&key, owner, run);
        let interest = entry.and_then(|entry| {
            let at = entry.owners.iter().position(|i| i.owner == *owner)?;
            Some((entry, at))
        });
        let Some((entry, at)) = interest else {
            // Never heard of, or not any more: the owner must not wait for an answer.
            self.mailboxes.tell(owner, done);
            return;
        };
        if !entry.owners[at].wants {
            return;
        }
        entry.owners[at].wants = false;
        if entry.is_wanted() {
            entry.owners.remove(at);
            self.mailboxes.tell(owner, done);
        } else if matches!(entry.place, Place::Waiting(_)) {
            let part = entry.task.pool.clone();
            self.end(&key, &part, Outcome::Cancelled, now);
        }
    }

    /// Lets a second worker run a task, if it is this owner's run that is under lease.
    pub fn back_up(&mut self, owner: &Owner, key: &ActionKey, run: RunId) {
        let Some(entry) = self.entries.enqueued_mut(key, owner, run) else {
            return;
        };
        let mut owners = entry.owners.iter();
        let asked = owners.any(|i| i.owner == *owner && i.run == run && i.wants);
        let Place::Leased(runs) = &mut entry.place else {
            return;
        };
        if asked
            && !entry.task.exclusive
            && runs.backup == Backup::No
            && let Some(pool) = self.pools.get_mut(&entry.task.pool)
        {
            runs.backup = Backup::Asked;
            let holder = &runs.first.worker;
            pool.stragglers
                .insert(&entry.task, runs.waited, holder, &self.options);
        }
    }

    /// From now on anybody may have a task that was kept for a worker.
    fn release(&mut self, key: &ActionKey, part: &str) {
        if let Some(entry) = self.entries.of_mut(key, part)
            && let Place::Waiting(waiting) = &mut entry.place
            && let Some(pool) = self.pools.get_mut(&entry.task.pool)
        {
            let old = *waiting;
            waiting.kept = false;
            let (old, new) = ((&entry.task, old), (&entry.task, *waiting));
            pool.replace(old, new, &self.options);
        }
    }

    /// Releases what was kept for a worker for long enough.
    pub fn release_matured(&mut self, part: &str, now: Millis) {
        while let Some(pool) = self.pools.get(part)
            && let Some(key) = pool.matured(now)
        {
            self.release(&key, part);
        }
    }

    /// Releases at most `limit` tasks of each pool that are kept for a worker that is no longer there.
    pub fn release_abandoned(&mut self, limit: usize, now: Millis) {
        let kept = self.pools.iter().flat_map(|(part, pool)| {
            let kept = pool.kept(limit).into_iter();
            kept.map(|key| (key, part.clone()))
        });
        for (key, part) in kept.collect::<Vec<(ActionKey, Arc<str>)>>() {
            let task = self.entries.of(&key, &part).map(|entry| &entry.task);
            let pool = task.and_then(|task| Some((task, self.pools.get(&task.pool)?)));
            if pool.is_some_and(|(task, pool)| !pool.keeps(task, now, &self.options)) {
                self.release(&key, &part);
            }
        }
    }

    /// Takes a task out of the queue and tells its owners.
    pub fn end(&mut self, key: &ActionKey, part: &str, outcome: Outcome, now: Millis) {
        let Some(entry) = self.entries.remove(key, part) else {
            return;
        };
        let (worker, lease) = match entry.place {
            Place::Waiting(waiting) => {
                if let Some(pool) = self.pools.get_mut(&entry.task.pool) {
                    pool.remove(&entry.task, waiting, &self.options);
                }
                (None, None)
            }
            Place::Leased(runs) => {
                if let Some(pool) = self.pools.get_mut(&entry.task.pool) {
                    pool.stragglers.remove(&entry.task, runs.waited);
                }
                self.let_go(&entry.task, &runs.first, now);
                if let Some(second) = &runs.second {
                    self.let_go(&entry.task, second, now);
                    self.seconds -= 1;
                }
                (Some(runs.first.worker), Some(runs.first.token))
            }
        };
        for interest in entry.owners {
            let news = News::Done {
                key: *key,
                run: interest.run,
                worker: worker.clone(),
                lease,
                outcome: outcome.clone(),
            };
            self.mailboxes.tell(&interest.owner, news);
        }
    }

    /// Lets go of at most `limit` tasks of owners that were not heard of; says how many nobody else wants.
    pub fn forget_owners(&mut self, limit: usize, now: Millis) -> usize {
        self.mailboxes.let_go(self.options.owner_ttl, now);
        let mailboxes = &self.mailboxes;
        let left = self.entries.iter_mut().filter_map(|entry| {
            let before = entry.owners.len();
            let there = |interest: &Interest| mailboxes.knows(&interest.owner);
            entry.owners.retain(there);
            let orphan = entry.owners.len() < before && !entry.is_wanted();
            orphan.then(|| (entry.task.key, entry.task.pool.clone()))
        });
        let orphans: Vec<(ActionKey, Arc<str>)> = left.take(limit).collect();
        for (key, part) in &orphans {
            let entry = self.entries.of(key, part);
            if entry.is_some_and(|entry| matches!(entry.place, Place::Waiting(_))) {
                self.end(key, part, Outcome::Cancelled, now);
            }
        }
        orphans.len()
    }

    pub fn stats(&self) -> QueueStats {
        // Only leases have deadlines.
        let leased = self.deadlines.len() - self.seconds;
        QueueStats {
            queued: self.entries.len() - leased,
            leased,
            // One that serves several parts is one.
            workers: self
                .pools
                .values()
                .flat_map(Pool::workers)
                .collect::<HashSet<_>>()
                .len(),
            leases_given: self.leases_given,
            fenced: self.fenced,
        }
    }
}

/// What becomes of a task that waits when it is enqueued again; none if nothing. It lies with one share: of those that want
/// it with the one whose turn is first.
fn joined(known: &Task, new: &Task, pool: &Pool) -> Option<Task> {
    let shares = &pool.shares;
    let earlier = new.share != known.share
        && new.pool == known.pool
        && shares.time(&new.share) < shares.time(&known.share);
    let urgent = new.priority > known.priority || (new.exclusive && !known.exclusive);
    (earlier || urgent).then(|| Task {
        priority: known.priority.max(new.priority),
        exclusive: known.exclusive || new.exclusive,
        near: known.near.clone(),
        ..if earlier { new.clone() } else { known.clone() }
    })
}
