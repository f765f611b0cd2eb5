//! What becomes of leases.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::ActionKey;

use super::leasing::after;
use super::pool::Pool;
use super::state::{Holding, Place, State};
use crate::{FencingToken, LeaseId, News, QueueError, Reaped, Renewal, TaskOutput};
use gofarm_engine::core::{Millis, Outcome, Task, pool_of};

impl State {
    /// The one place where tokens are compared. A lease ends at its deadline, whether the reaper has come or not.
    pub fn check(&mut self, lease: &LeaseId, now: Millis) -> Result<(), QueueError> {
        let entry = self.entries.leased(&lease.key, lease.token);
        let error = match entry.and_then(|entry| entry.place.lease(lease.token)) {
            Some(holding) if now < holding.deadline => return Ok(()),
            None if self.entries.is_leased(&lease.key) => QueueError::Stolen,
            _ => QueueError::Lost,
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
        let deadline = after(now, &self.options);
        let Some(entry) = self.entries.leased_mut(&lease.key, lease.token) else {
            return Renewal::Lost;
        };
        let cancelled = !entry.is_wanted();
        let Place::Leased(runs) = &mut entry.place else {
            return Renewal::Lost;
        };
        let holding = match &mut runs.second {
            Some(second) if second.token == lease.token => second,
            _ => &mut runs.first,
        };
        let counter = lease.token.counter;
        self.deadlines
            .remove(&(holding.deadline, counter, lease.key));
        self.deadlines.insert((deadline, counter, lease.key));
        holding.deadline = deadline;
        // It is there for all parts that it serves.
        for pool in self.pools.values_mut() {
            if let Some(worker) = pool.worker(&holding.worker) {
                worker.last_seen = now;
            }
        }
        Renewal::Held {
            deadline,
            cancelled,
        }
    }

    pub fn complete(
        &mut self,
        lease: &LeaseId,
        outcome: Outcome,
        now: Millis,
    ) -> Result<Arc<str>, QueueError> {
        self.check(lease, now)?;
        let entry = self.entries.leased(&lease.key, lease.token);
        let holding = entry.and_then(|entry| entry.place.lease(lease.token));
        let worker = holding.map(|holding| holding.worker.clone());
        let worker = worker.ok_or(QueueError::Lost)?;
        self.end_lease(&lease.key, lease.token, outcome, now);
        Ok(worker)
    }

    /// Ends a lease, and with it the task, unless another worker goes on with that: only what is true of the action itself
    /// ends it for both.
    fn end_lease(&mut self, key: &ActionKey, token: FencingToken, outcome: Outcome, now: Millis) {
        let Some(entry) = self.entries.leased_mut(key, token) else {
            return;
        };
        let part = entry.task.pool.clone();
        if let Place::Leased(runs) = &mut entry.place
            && let Some(second) = &mut runs.second
        {
            if second.token == token {
                std::mem::swap(&mut runs.first, second);
            }
            // The one that ends is the first now.
            let of_the_action = matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_));
            if !of_the_action && let Some(other) = runs.second.take() {
                let over = std::mem::replace(&mut runs.first, other);
                let task = entry.task.clone();
                self.seconds -= 1;
                self.let_go(&task, &over, now);
                return;
            }
        }
        self.end(key, &part, outcome, now);
    }

    /// The lease is over: its worker and its share get back what they gave.
    pub fn let_go(&mut self, task: &Task, holding: &Holding, now: Millis) {
        let counter = holding.token.counter;
        self.deadlines
            .remove(&(holding.deadline, counter, task.key));
        let Some(pool) = self.pools.get_mut(&task.pool) else {
            return;
        };
        pool.shares.settle(&task.share, holding.charge, now);
        if let Some(holder) = pool.worker(&holding.worker) {
            holder.leases.remove(&task.key);
            // The exclusive task was its only one.
            holder.alone &= !holder.leases.is_empty();
        }
    }

    /// Passes on what a task has printed.
    pub fn append_log(&mut self, output: &TaskOutput, now: Millis) -> Renewal {
        match self.check(&output.lease, now) {
            Ok(()) => {}
            Err(QueueError::Stolen) => return Renewal::Stolen,
            Err(_) => return Renewal::Lost,
        }
        let Some(entry) = self.entries.leased(&output.lease.key, output.lease.token) else {
            return Renewal::Lost;
        };
        let Some(holding) = entry.place.lease(output.lease.token) else {
            return Renewal::Lost;
        };
        let owners = entry.owners.iter().filter(|_| !holding.silent);
        for interest in owners.filter(|interest| interest.wants) {
            let news = News::Log {
                key: output.lease.key,
                run: interest.run,
                offset: output.offset,
                data: output.data.clone(),
            };
            let limit = self.options.log_backlog;
            self.mailboxes
                .tell_output(&interest.owner, output.data.len(), limit, news);
        }
        Renewal::Held {
            deadline: holding.deadline,
            cancelled: !entry.is_wanted(),
        }
    }

    pub fn reap(&mut self, limit: usize, now: Millis) -> Reaped {
        let mut reaped = Reaped::default();
        while reaped.leases < limit
            && let Some((deadline, counter, key)) = self.deadlines.first().copied()
            && deadline <= now
        {
            let token = FencingToken {
                incarnation: self.incarnation,
                counter,
            };
            self.end_lease(&key, token, Outcome::LostLease, now);
            reaped.leases += 1;
        }
        self.release_abandoned(limit, now);
        let options = self.options;
        let mut hopeless = Vec::new();
        let mut known: HashMap<Arc<str>, Millis> = HashMap::new();
        let busy = self.pools.values().flat_map(Pool::busy).cloned().collect();
        for (name, pool) in &mut self.pools {
            pool.forget_workers(&busy, now, &options);
            pool.shares.forget(limit);
            if let Some(since) = pool.known_since() {
                let first = known.entry(pool_of(name).into()).or_insert(since);
                *first = since.min(*first);
            }
        }
        for (name, pool) in &self.pools {
            let room = limit - reaped.leases - hopeless.len();
            let known = known.get(pool_of(name)).copied();
            let found = pool.unplaceable(name, now, room, known, &options);
            hopeless.extend(
                found
                    .into_iter()
                    .map(|(key, reason)| (key, name.clone(), reason)),
            );
        }
        for (key, part, reason) in hopeless {
            self.end(&key, &part, Outcome::Unplaceable { reason }, now);
            reaped.unplaceable += 1;
        }
        self.pools.retain(|_, pool| !pool.is_forgotten(now));
        let room = limit - reaped.leases - reaped.unplaceable;
        reaped.orphans = self.forget_owners(room, now);
        reaped.next = self
            .deadlines
            .first()
            .map(|(deadline, ..)| Duration::from_millis(deadline.since(now)));
        reaped
    }
}
