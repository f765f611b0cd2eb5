//! How tasks get to workers.

use std::sync::Arc;

use super::state::{Backup, Holding, Place, Runs, State};
use super::waiting::need;
use crate::share::cost;
use crate::{FencingToken, Lease, LeaseId, LeaseRequest, News, QueueOptions};
use gofarm_engine::core::{Millis, Task};

impl State {
    /// Leases what fits the worker. Nothing between the choice and the lease can be seen from outside.
    pub fn lease(&mut self, request: &LeaseRequest, now: Millis) -> Vec<Lease> {
        for name in request.pools.iter() {
            let pool = self.pools.entry(name.clone()).or_default();
            pool.meet(request, now);
            self.release_matured(name, now);
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
            self.take_up(&mut left, &taken);
            leases.extend(taken);
            let pool = self.pools.get(name);
            // Kept free for a task of this pool: it gets nothing of the others either.
            let kept = pool.is_some_and(|pool| pool.keeps_free(&request.worker));
            if alone || kept || left.max == 0 {
                return leases;
            }
        }
        // Each task has one second lease: it is not for a worker that could not begin at once.
        if request.ahead {
            return leases;
        }
        for name in request.pools.iter() {
            left.running = request.running + self.held(request);
            while left.max > 0
                && let Some(second) = self.lease_second(name, &left, now)
            {
                self.take_up(&mut left, std::slice::from_ref(&second));
                leases.push(second);
            }
        }
        leases
    }

    /// Makes a request one for what is left after these.
    fn take_up(&self, request: &mut LeaseRequest, taken: &[Lease]) {
        for lease in taken {
            let need = need(&lease.task, &self.options);
            request.free_memory = request.free_memory.saturating_sub(need.bytes);
        }
        request.max -= taken.len();
        request.running += taken.len();
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
            let pool = self.pools.get_mut(name);
            let Some((key, need)) = pool.and_then(|p| p.choose(request, free, now, &options))
            else {
                break;
            };
            let Some(entry) = self.entries.of(&key, name) else {
                break;
            };
            let Place::Waiting(waited) = entry.place else {
                break;
            };
            // Paid for before it leaves what is ready, since that is what a share's turn goes by.
            let (lease, first) = self.give(entry.task.clone(), &request.worker, now);
            if let Some(pool) = self.pools.get_mut(name) {
                pool.remove(&lease.task, waited, &options);
            }
            free = free.saturating_sub(need.bytes);
            leases.push(lease);
            let Some(entry) = self.entries.of_mut(&key, name) else {
                break;
            };
            entry.place = Place::Leased(Runs {
                first,
                second: None,
                backup: Backup::No,
                waited,
            });
            for interest in &entry.owners {
                let news = News::Started {
                    key,
                    run: interest.run,
                    worker: request.worker.clone(),
                };
                self.mailboxes.tell(&interest.owner, news);
            }
        }
        leases
    }

    /// A second lease of a task that another worker has. Its owners are not told.
    fn lease_second(&mut self, name: &str, request: &LeaseRequest, now: Millis) -> Option<Lease> {
        loop {
            let pool = self.pools.get_mut(name)?;
            let key = pool.stragglers.first(request)?;
            let entry = self.entries.of_mut(&key, name)?;
            let Place::Leased(runs) = &mut entry.place else {
                return None;
            };
            pool.stragglers.remove(&entry.task, runs.waited);
            runs.backup = Backup::Given;
            if !entry.is_wanted() {
                continue;
            }
            let task = entry.task.clone();
            let (lease, second) = self.give(task, &request.worker, now);
            if let Some(entry) = self.entries.of_mut(&key, name)
                && let Place::Leased(runs) = &mut entry.place
            {
                self.seconds += 1;
                runs.second = Some(Holding {
                    silent: true,
                    ..second
                });
            }
            return Some(lease);
        }
    }

    /// A new lease: its share is charged, its worker has it.
    fn give(&mut self, task: Task, worker: &Arc<str>, now: Millis) -> (Lease, Holding) {
        let pool = self.pools.entry(task.pool.clone()).or_default();
        let charge = pool.shares.charge(&task.share, cost(&task), now);
        if let Some(worker) = pool.worker(worker) {
            worker.leases.insert(task.key);
            worker.alone |= task.exclusive;
        }
        self.leases_given += 1;
        let token = FencingToken {
            incarnation: self.incarnation,
            counter: self.leases_given,
        };
        let deadline = after(now, &self.options);
        self.deadlines.insert((deadline, token.counter, task.key));
        let holding = Holding {
            token,
            worker: worker.clone(),
            deadline,
            charge,
            silent: false,
        };
        let id = LeaseId {
            key: task.key,
            token,
        };
        let lease = Lease {
            id,
            task,
            deadline,
            ttl: self.options.lease_ttl,
        };
        (lease, holding)
    }
}

pub(super) fn after(now: Millis, options: &QueueOptions) -> Millis {
    let ttl = u64::try_from(options.lease_ttl.as_millis()).unwrap_or(u64::MAX);
    Millis(now.0.saturating_add(ttl))
}
