//! Everything that the queue knows, changed under one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::ActionKey;

use super::pool::{Pool, Waiting, need};
use crate::core::{Millis, Outcome, RunId, Task};
use crate::queue::{
    FencingToken, Lease, LeaseId, LeaseRequest, News, Owner, QueueError, QueueOptions, QueueStats,
    Reaped, Renewal, TaskOutput,
};

#[derive(Debug)]
struct Entry {
    task: Task,
    owners: Vec<Interest>,
    place: Place,
}

/// An owner that is to hear how a task ends.
#[derive(Debug)]
struct Interest {
    owner: Owner,
    run: RunId,
    /// False once it has cancelled. The task goes on while anyone wants it.
    wants: bool,
}

/// What an owner has still to hear.
#[derive(Debug, Default)]
struct Mailbox {
    news: VecDeque<News>,
    /// Bytes of output in it.
    output: usize,
    /// When the owner was last heard of; none once it has been let go of.
    heard: Option<Millis>,
}

#[derive(Debug)]
enum Place {
    Waiting(Waiting),
    Leased {
        token: FencingToken,
        worker: Arc<str>,
        deadline: Millis,
    },
}

#[derive(Debug)]
pub(super) struct State {
    options: QueueOptions,
    pub incarnation: u64,
    leases_given: u64,
    sequence: u64,
    fenced: u64,
    entries: HashMap<ActionKey, Entry>,
    pools: BTreeMap<Arc<str>, Pool>,
    /// Every lease by the time it runs out.
    deadlines: BTreeSet<(Millis, u64, ActionKey)>,
    news: HashMap<Owner, Mailbox>,
}

impl State {
    pub fn new(options: QueueOptions, incarnation: u64) -> State {
        State {
            options,
            incarnation,
            leases_given: 0,
            sequence: 0,
            fenced: 0,
            entries: HashMap::new(),
            pools: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            news: HashMap::new(),
        }
    }

    pub fn enqueue(&mut self, owner: &Owner, task: Task, now: Millis) {
        let options = self.options;
        let interest = Interest {
            owner: owner.clone(),
            run: task.run,
            wants: true,
        };
        let Some(entry) = self.entries.get_mut(&task.key) else {
            self.sequence += 1;
            let waiting = Waiting {
                sequence: self.sequence,
                since: now,
            };
            let pool = self.pools.entry(task.pool.clone()).or_default();
            pool.insert(&task, waiting, &options);
            let entry = Entry {
                owners: vec![interest],
                place: Place::Waiting(waiting),
                task,
            };
            self.entries.insert(entry.task.key, entry);
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
                mailbox(&mut self.news, owner).news.push_back(news);
            }
        }
        match &entry.place {
            Place::Waiting(waiting) => {
                let better = task.priority > entry.task.priority;
                let alone = task.exclusive && !entry.task.exclusive;
                if (better || alone)
                    && let Some(pool) = self.pools.get_mut(&entry.task.pool)
                {
                    pool.remove(&entry.task, *waiting, &options);
                    entry.task.priority = entry.task.priority.max(task.priority);
                    entry.task.exclusive |= task.exclusive;
                    pool.insert(&entry.task, *waiting, &options);
                }
            }
            Place::Leased { worker, .. } => {
                let news = News::Started {
                    key: task.key,
                    run: task.run,
                    worker: worker.clone(),
                };
                mailbox(&mut self.news, owner).news.push_back(news);
            }
        }
    }

    pub fn cancel(&mut self, owner: &Owner, key: ActionKey, run: RunId) {
        let done = News::Done {
            key,
            run,
            worker: None,
            outcome: Outcome::Cancelled,
        };
        let entry = self.entries.get_mut(&key);
        let interest = entry.and_then(|entry| {
            let at = entry.owners.iter().position(|i| i.owner == *owner)?;
            (entry.owners[at].run == run).then_some((entry, at))
        });
        let Some((entry, at)) = interest else {
            // Never heard of, or not any more: the owner must not wait for an answer.
            self.tell(owner, done);
            return;
        };
        if !entry.owners[at].wants {
            return;
        }
        entry.owners[at].wants = false;
        if entry.owners.iter().any(|interest| interest.wants) {
            entry.owners.remove(at);
            self.tell(owner, done);
        } else if matches!(entry.place, Place::Waiting(_)) {
            self.end(&key, Outcome::Cancelled);
        }
    }

    /// Leases what fits the worker. Nothing between the choice and the lease can be seen from outside.
    pub fn lease(&mut self, request: &LeaseRequest, now: Millis) -> Vec<Lease> {
        for name in request.pools.iter() {
            let pool = self.pools.entry(name.clone()).or_default();
            pool.meet(request, now);
        }
        let mut left = request.clone();
        let mut leases = Vec::new();
        let mut pools = request.pools.iter();
        if pools.any(|name| self.holds_alone(name, &request.worker)) {
            return leases;
        }
        for name in request.pools.iter() {
            left.running = request.running + self.held(request);
            let taken = self.lease_from(name, &left, now);
            let alone = taken.iter().any(|lease| lease.task.exclusive);
            for lease in &taken {
                let need = need(&lease.task, &self.options);
                left.free_memory = left.free_memory.saturating_sub(need.bytes);
            }
            left.max -= taken.len();
            leases.extend(taken);
            let pool = self.pools.get(name);
            // Kept free for a task of this pool: it gets nothing of the others either.
            let kept = pool.is_some_and(|pool| pool.keeps_free(&request.worker));
            if alone || kept || left.max == 0 {
                break;
            }
        }
        leases
    }

    fn holds_alone(&mut self, pool: &str, worker: &str) -> bool {
        let pool = self.pools.get_mut(pool);
        let worker = pool.and_then(|pool| pool.worker(worker));
        worker.is_some_and(|worker| worker.alone)
    }

    /// Leases that the worker holds of the pools that it asks for.
    fn held(&mut self, request: &LeaseRequest) -> usize {
        let mut held = 0;
        for name in request.pools.iter() {
            let pool = self.pools.get_mut(name);
            let worker = pool.and_then(|pool| pool.worker(&request.worker));
            held += worker.map_or(0, |worker| worker.leases.len());
        }
        held
    }

    fn lease_from(&mut self, name: &str, request: &LeaseRequest, now: Millis) -> Vec<Lease> {
        let options = self.options;
        let mut leases = Vec::new();
        let mut free = request.free_memory;
        while leases.len() < request.max {
            let Some(pool) = self.pools.get_mut(name) else {
                break;
            };
            let Some((key, need)) = pool.choose(request, free, now, &options) else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&key) else {
                break;
            };
            if let Place::Waiting(waiting) = entry.place {
                pool.remove(&entry.task, waiting, &options);
            }
            if let Some(worker) = pool.worker(&request.worker) {
                worker.leases.insert(key);
                worker.alone |= entry.task.exclusive;
            }
            free = free.saturating_sub(need.bytes);
            self.leases_given += 1;
            let token = FencingToken {
                incarnation: self.incarnation,
                counter: self.leases_given,
            };
            let deadline = after(now, &options);
            self.deadlines.insert((deadline, token.counter, key));
            entry.place = Place::Leased {
                token,
                worker: request.worker.clone(),
                deadline,
            };
            leases.push(Lease {
                id: LeaseId { key, token },
                task: entry.task.clone(),
                deadline,
                ttl: options.lease_ttl,
            });
            for interest in &entry.owners {
                let news = News::Started {
                    key,
                    run: interest.run,
                    worker: request.worker.clone(),
                };
                let mailbox = mailbox(&mut self.news, &interest.owner);
                mailbox.news.push_back(news);
            }
        }
        leases
    }

    /// The one place where tokens are compared. A lease ends at its deadline, whether the reaper has come or not.
    pub fn check(&mut self, lease: &LeaseId, now: Millis) -> Result<(), QueueError> {
        let held = self.entries.get(&lease.key).map(|entry| &entry.place);
        let error = match held {
            Some(Place::Leased {
                token, deadline, ..
            }) if *token == lease.token => {
                if now < *deadline {
                    return Ok(());
                }
                QueueError::Lost
            }
            Some(Place::Leased { .. }) => QueueError::Stolen,
            Some(Place::Waiting(_)) | None => QueueError::Lost,
        };
        self.fenced += 1;
        Err(error)
    }

    pub fn renew(&mut self, lease: &LeaseId, now: Millis) -> Renewal {
        match self.check(lease, now) {
            Ok(()) => {}
            Err(QueueError::Stolen) => return Renewal::Stolen,
            Err(_) => return Renewal::Lost,
        }
        let new_deadline = after(now, &self.options);
        let Some(entry) = self.entries.get_mut(&lease.key) else {
            return Renewal::Lost;
        };
        let Place::Leased {
            token,
            worker,
            deadline,
        } = &mut entry.place
        else {
            return Renewal::Lost;
        };
        self.deadlines
            .remove(&(*deadline, token.counter, lease.key));
        self.deadlines
            .insert((new_deadline, token.counter, lease.key));
        *deadline = new_deadline;
        if let Some(pool) = self.pools.get_mut(&entry.task.pool)
            && let Some(worker) = pool.worker(worker)
        {
            worker.last_seen = now;
        }
        Renewal::Held {
            deadline: new_deadline,
            cancelled: !entry.owners.iter().any(|interest| interest.wants),
        }
    }

    pub fn complete(
        &mut self,
        lease: &LeaseId,
        outcome: Outcome,
        now: Millis,
    ) -> Result<(), QueueError> {
        self.check(lease, now)?;
        self.end(&lease.key, outcome);
        Ok(())
    }

    pub fn reap(&mut self, limit: usize, now: Millis) -> Reaped {
        let mut reaped = Reaped::default();
        while reaped.leases < limit
            && let Some((deadline, _, key)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.end(&key, Outcome::LostLease);
            reaped.leases += 1;
        }
        let options = self.options;
        let mut hopeless = Vec::new();
        for (name, pool) in &mut self.pools {
            pool.forget_workers(now, &options);
            let room = limit - reaped.leases - hopeless.len();
            hopeless.extend(pool.unplaceable(name, now, room, &options));
        }
        for (key, reason) in hopeless {
            self.end(&key, Outcome::Unplaceable { reason });
            reaped.unplaceable += 1;
        }
        let room = limit - reaped.leases - reaped.unplaceable;
        reaped.orphans = self.forget_owners(room, now);
        reaped.next = self
            .deadlines
            .first()
            .map(|(deadline, ..)| Duration::from_millis(deadline.since(now)));
        reaped
    }

    /// Passes on what a task has printed.
    pub fn append_log(&mut self, output: &TaskOutput, now: Millis) -> Renewal {
        match self.check(&output.lease, now) {
            Ok(()) => {}
            Err(QueueError::Stolen) => return Renewal::Stolen,
            Err(_) => return Renewal::Lost,
        }
        let Some(Entry {
            owners,
            place: Place::Leased { deadline, .. },
            ..
        }) = self.entries.get(&output.lease.key)
        else {
            return Renewal::Lost;
        };
        for interest in owners.iter().filter(|interest| interest.wants) {
            let mailbox = mailbox(&mut self.news, &interest.owner);
            // An owner that does not read loses output, never ends.
            if mailbox.output + output.data.len() > self.options.log_backlog {
                continue;
            }
            mailbox.output += output.data.len();
            let news = News::Log {
                key: output.lease.key,
                run: interest.run,
                offset: output.offset,
                data: output.data.clone(),
            };
            mailbox.news.push_back(news);
        }
        Renewal::Held {
            deadline: *deadline,
            cancelled: !owners.iter().any(|interest| interest.wants),
        }
    }

    /// Takes a task out of the queue and tells its owners.
    fn end(&mut self, key: &ActionKey, outcome: Outcome) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        let pool = self.pools.get_mut(&entry.task.pool);
        let worker = match entry.place {
            Place::Waiting(waiting) => {
                if let Some(pool) = pool {
                    pool.remove(&entry.task, waiting, &self.options);
                }
                None
            }
            Place::Leased {
                token,
                worker,
                deadline,
            } => {
                self.deadlines.remove(&(deadline, token.counter, *key));
                if let Some(holder) = pool.and_then(|pool| pool.worker(&worker)) {
                    holder.leases.remove(key);
                    // The exclusive task was its only one.
                    holder.alone &= !holder.leases.is_empty();
                }
                Some(worker)
            }
        };
        for interest in entry.owners {
            let news = News::Done {
                key: *key,
                run: interest.run,
                worker: worker.clone(),
                outcome: outcome.clone(),
            };
            self.tell(&interest.owner, news);
        }
    }

    fn tell(&mut self, owner: &Owner, news: News) {
        mailbox(&mut self.news, owner).news.push_back(news);
    }

    /// Takes note that this owner is there.
    pub fn hear_of(&mut self, owner: &Owner, now: Millis) {
        mailbox(&mut self.news, owner).heard = Some(now);
    }

    /// Lets go of at most `limit` tasks of owners that were not heard of; says how many nobody else wants.
    fn forget_owners(&mut self, limit: usize, now: Millis) -> usize {
        let ttl = self.options.owner_ttl;
        for mailbox in self.news.values_mut() {
            let gone = |heard| u128::from(now.since(heard)) >= ttl.as_millis();
            if mailbox.heard.is_some_and(gone) {
                *mailbox = Mailbox::default();
                mailbox.news.push_back(News::Forgotten);
            }
        }
        let there = |interest: &Interest| {
            let mailbox = self.news.get(&interest.owner);
            mailbox.is_some_and(|mailbox| mailbox.heard.is_some())
        };
        let left = self.entries.iter_mut().filter_map(|(key, entry)| {
            let before = entry.owners.len();
            entry.owners.retain(there);
            let wanted = entry.owners.iter().any(|interest| interest.wants);
            (entry.owners.len() < before && !wanted).then_some(*key)
        });
        let orphans: Vec<ActionKey> = left.take(limit).collect();
        for key in &orphans {
            let entry = self.entries.get(key);
            if entry.is_some_and(|entry| matches!(entry.place, Place::Waiting(_))) {
                self.end(key, Outcome::Cancelled);
            }
        }
        orphans.len()
    }

    pub fn take_news(&mut self, owner: &Owner, max: usize) -> Vec<News> {
        match self.news.get_mut(owner) {
            Some(mailbox) => mailbox.take(max),
            None => Vec::new(),
        }
    }

    pub fn stats(&self) -> QueueStats {
        // Only leases have deadlines.
        let leased = self.deadlines.len();
        QueueStats {
            queued: self.entries.len() - leased,
            leased,
            workers: self.pools.values().map(Pool::workers).sum(),
            leases_given: self.leases_given,
            fenced: self.fenced,
        }
    }
}

impl Mailbox {
    fn take(&mut self, max: usize) -> Vec<News> {
        let taken: Vec<News> = self.news.drain(..max.min(self.news.len())).collect();
        for news in &taken {
            if let News::Log { data, .. } = news {
                self.output -= data.len();
            }
        }
        taken
    }
}

fn mailbox<'a>(all: &'a mut HashMap<Owner, Mailbox>, owner: &Owner) -> &'a mut Mailbox {
    all.entry(owner.clone()).or_default()
}

fn after(now: Millis, options: &QueueOptions) -> Millis {
    let ttl = u64::try_from(options.lease_ttl.as_millis()).unwrap_or(u64::MAX);
    Millis(now.0.saturating_add(ttl))
}
