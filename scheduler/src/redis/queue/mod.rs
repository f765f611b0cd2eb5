//! The lease queue of a farm, on Redis.
//!
//! Every change is one Lua script (`lua/`), so that nothing comes between its parts: a script that changes a leased task
//! compares its token first. All data of a pool bears the pool's hash tag and is soft: its life has a name, the
//! incarnation, which is part of every token and changes when the data was lost or a server with older data took over.
//! Deadlines are by the clock of Redis. Waiting is for doorbells, see [`bells`]; whoever waits also looks by itself
//! at every poll interval, all of a process at the same moments, so that they are one step.

mod bells;
mod desk;
mod lease_queue;
mod link;
mod mailbox;
mod pools;
mod record;
mod returns;
mod script;
mod server_info;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::select_all;
use gofarm_proto::ActionKey;
use redis::ScriptInvocation;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use self::bells::QueueBells;
use self::desk::{Desk, Look};
use self::link::{QueueLink, unavailable};
use self::pools::{Pool, Pools, UNUSED, counter, pool_of};
use self::returns::Returns;
use super::doorbell::{self, Rung, Subscription};
use super::link::CONNECT;
use gofarm_engine::core::{Millis, Outcome, PoolName, RunId, Task};
use gofarm_queue::{
    BlobPresence, Lease, LeaseId, LeaseQueue, LeaseRequest, News, Owner, QueueError, QueueOptions,
    QueueStats, Reaped, Renewal, TaskOutput,
};

/// Tasks, leases or pieces of output that one script takes: bounds the time that it takes.
const BATCH: usize = 256;

/// Parts of one pool, in the order of the request.
type Group = (Arc<Pool>, Arc<[Arc<str>]>);

/// A [`LeaseQueue`] that any number of processes share.
pub struct RedisQueue {
    options: QueueOptions,
    blobs: Arc<dyn BlobPresence>,
    link: Arc<QueueLink>,
    bells: Arc<QueueBells>,
    desks: Mutex<HashMap<Arc<str>, mpsc::Sender<Look>>>,
    returns: Mutex<HashMap<Arc<str>, Returns>>,
    /// The incarnation that was last seen to begin, 0 before the first.
    life: AtomicU64,
    /// Incarnations of the pools when last looked at.
    lives: Mutex<HashMap<Arc<str>, u64>>,
    /// When the moments at which all look by themselves are counted from.
    start: Instant,
    _subscription: Subscription,
}

impl RedisQueue {
    /// Connects to a Redis, by URL (`redis://[user:password@]host[:port][/database]`, `rediss://`, `unix:///path`) or as it
    /// was read from one. Farms that share one Redis have different namespaces. A result is accepted when `blobs` has its outputs.
    ///
    /// # Errors
    ///
    /// [`QueueError::Unavailable`] when the URL cannot be read, nobody answers within a few seconds, or the server is
    /// older than Redis 7.
    pub async fn connect(
        server: impl redis::IntoConnectionInfo,
        namespace: &str,
        options: QueueOptions,
        blobs: Arc<dyn BlobPresence>,
    ) -> Result<RedisQueue, QueueError> {
        let client =
            redis::Client::open(server).map_err(|error| unavailable("redis URL", error))?;
        let pools = Arc::new(Pools::new(namespace));
        let link = Arc::new(QueueLink::new(client.clone(), pools.clone()));
        server_info::check(&link).await?;
        let channels = pools.channels();
        let bells = Arc::new(QueueBells::new(pools));
        let (subscription, subscribed) = doorbell::listen(client, channels, bells.clone());
        let queue = RedisQueue {
            options,
            blobs,
            link,
            bells,
            desks: Mutex::default(),
            returns: Mutex::default(),
            life: AtomicU64::new(0),
            lives: Mutex::default(),
            start: Instant::now(),
            _subscription: subscription,
        };
        timeout(CONNECT, subscribed)
            .await
            .map_err(|_| unavailable("subscribing to redis", "no answer"))?
            .map_err(|_| unavailable("subscribing to redis", "given up"))?;
        queue.incarnation().await?;
        Ok(queue)
    }

    fn pools(&self) -> &Pools {
        &self.bells.pools
    }

    /// The pool of a part, made known to everyone if it is new here.
    async fn pool(&self, part: &str) -> Result<Arc<Pool>, QueueError> {
        let name: Result<PoolName, _> = pool_of(part).parse();
        let name = name.map_err(|error| QueueError::Refused {
            reason: error.to_string(),
        })?;
        let (pool, new) = self.pools().add(&name);
        pool.is_used_at(Instant::now());
        if new {
            // Known before it is asked about: a connection made meanwhile asks as well.
            self.link.begin(&pool).await?;
            self.exchange_pools().await?;
            self.bells.ring_all();
        }
        Ok(pool)
    }

    /// Tells the other processes which pools there are, and hears it from them.
    async fn exchange_pools(&self) -> Result<(), QueueError> {
        let key = self.pools().names_key();
        let mut read = redis::pipe();
        read.smembers(&key);
        let (mut theirs,): (HashSet<String>,) = self
            .link
            .call(async |mut connection| read.query_async(&mut connection).await)
            .await?;
        let mut mine = self.pools().in_use(Instant::now());
        mine.retain(|pool| !theirs.contains(&*pool.name));
        // Only what is new: when memory is used up, nothing can be added.
        if !mine.is_empty() {
            let mut tell = redis::pipe();
            let names: Vec<&str> = mine.iter().map(|pool| &*pool.name).collect();
            tell.sadd(&key, names).ignore();
            self.tell(&tell).await?;
            theirs.extend(mine.iter().map(|pool| pool.name.to_string()));
        }
        // Another process has let go of those that are not among them.
        for pool in self.pools().all() {
            let name: &str = &pool.name;
            if !theirs.contains(name) && !pool.is_in_use(Instant::now()) {
                self.no_longer_known(&pool);
            }
        }
        for name in theirs {
            match name.parse() {
                Ok(name) => {
                    self.pools().add(&name);
                }
                // Nobody serves it, and nobody can build there.
                Err(error) => tracing::debug!(%error, "pool in redis is passed over"),
            }
        }
        Ok(())
    }

    async fn tell(&self, pipe: &redis::Pipeline) -> Result<(), QueueError> {
        self.link
            .call(async |mut connection| pipe.query_async(&mut connection).await)
            .await
    }

    /// Lets go of a pool that nobody uses, unless somebody does by now.
    async fn forget(&self, pool: &Pool) -> Result<(), QueueError> {
        if pool.is_in_use(Instant::now()) {
            return Ok(());
        }
        let unused = UNUSED.as_millis() as u64;
        let gone: bool = self
            .link
            .run(&script::FORGET, pool, |call| {
                call.arg(unused);
            })
            .await?;
        if gone {
            let mut pipe = redis::pipe();
            pipe.srem(self.pools().names_key(), &*pool.name).ignore();
            self.tell(&pipe).await?;
            self.no_longer_known(pool);
        }
        Ok(())
    }

    fn no_longer_known(&self, pool: &Pool) {
        self.pools().remove(&pool.name);
        let locked = PoisonError::into_inner;
        self.desks.lock().unwrap_or_else(locked).remove(&pool.name);
        let locked = PoisonError::into_inner;
        let mut returns = self.returns.lock().unwrap_or_else(locked);
        returns.remove(&pool.name);
        let locked = PoisonError::into_inner;
        self.lives.lock().unwrap_or_else(locked).remove(&pool.name);
    }

    /// The pool that gave a lease; None when nobody knows it.
    async fn pool_of(&self, lease: &LeaseId) -> Result<Option<Arc<Pool>>, QueueError> {
        if let Some(pool) = self.pools().of_token(lease.token) {
            return Ok(Some(pool));
        }
        self.exchange_pools().await?;
        let pools = self.pools().numbered(lease.token);
        for pool in &pools {
            self.link.begin(pool).await?;
        }
        // Any of them can say that it is of a life that is over.
        let found = self.pools().of_token(lease.token);
        Ok(found.or_else(|| pools.into_iter().next()))
    }

    /// Runs a script, which takes a setting first, over items of several leases, and puts the answers into their order.
    async fn for_each<T, A: redis::FromRedisValue>(
        &self,
        script: &redis::Script,
        items: &[T],
        lease: fn(&T) -> &LeaseId,
        setting: u64,
        arguments: fn(&T, &mut ScriptInvocation<'_>),
    ) -> Result<Vec<Option<A>>, QueueError> {
        let mut answers: Vec<Option<A>> = items.iter().map(|_| None).collect();
        let mut by_pool: HashMap<Arc<str>, (Arc<Pool>, Vec<usize>)> = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            if let Some(pool) = self.pool_of(lease(item)).await? {
                let entry = by_pool.entry(pool.name.clone());
                entry.or_insert((pool, Vec::new())).1.push(place);
            }
        }
        for (pool, places) in by_pool.values() {
            for places in places.chunks(BATCH) {
                let answer = self.link.run(script, pool, |call| {
                    call.arg(setting);
                    for place in places {
                        lease_arguments(lease(&items[*place]), call);
                        arguments(&items[*place], call);
                    }
                });
                let found: Vec<A> = answer.await?;
                for (place, found) in places.iter().zip(found) {
                    answers[*place] = Some(found);
                }
            }
        }
        Ok(answers)
    }

    /// The next of the moments at which all who wait in this process look by themselves.
    fn next_look(&self, now: Instant) -> Instant {
        let interval = self.options.poll_interval.max(Duration::from_millis(1));
        let passed = (now - self.start).as_nanos() / interval.as_nanos();
        let next = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        (self.start + interval * next).max(now + interval / 4)
    }

    async fn look(
        &self,
        pool: &Arc<Pool>,
        request: LeaseRequest,
        note: bool,
        seconds: bool,
    ) -> Result<Vec<Lease>, QueueError> {
        let desk = {
            let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
            let returns = self.returns(pool);
            let open = || Desk::open(self.link.clone(), pool.clone(), returns, self.options);
            desks.entry(pool.name.clone()).or_insert_with(open).clone()
        };
        let (answer, answered) = oneshot::channel();
        let look = Look {
            request,
            note,
            seconds,
            answer,
        };
        let closed = |_| unavailable("lease desk", "closed");
        desk.send(look).await.map_err(|_| closed(()))?;
        answered.await.map_err(|_| closed(()))?
    }

    fn returns(&self, pool: &Arc<Pool>) -> Returns {
        let mut returns = self.returns.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || returns::open(self.link.clone(), pool.clone());
        returns
            .entry(pool.name.clone())
            .or_insert_with(open)
            .clone()
    }

    /// One look at all pools of a request, in order; at what others have already only when no pool has anything else.
    async fn look_at_all(
        &self,
        request: &LeaseRequest,
        groups: &[Group],
        note: bool,
    ) -> Result<Vec<Lease>, QueueError> {
        let mut left = request.clone();
        let mut leases: Vec<Lease> = Vec::new();
        let rounds: &[(bool, bool)] = match groups.len() {
            1 => &[(note, true)],
            _ => &[(note, false), (false, true)],
        };
        for (note, seconds) in rounds.iter().copied() {
            for (pool, parts) in groups {
                if left.max == 0 && !note {
                    break;
                }
                left.pools = parts.clone();
                let taken = match self.look(pool, left.clone(), note, seconds).await {
                    Ok(taken) => taken,
                    Err(error) if leases.is_empty() => return Err(error),
                    Err(_) => break,
                };
                self.take_up(&mut left, &taken);
                leases.extend(taken);
            }
        }
        Ok(leases)
    }

    /// Makes a request one for what is left after these.
    fn take_up(&self, request: &mut LeaseRequest, taken: &[Lease]) {
        for Lease { task, .. } in taken {
            let need = task.memory_estimate.unwrap_or(self.options.assumed_memory);
            request.free_memory = request.free_memory.saturating_sub(need);
        }
        request.max = match taken.iter().any(|lease| lease.task.exclusive) {
            true => 0,
            false => request.max - taken.len().min(request.max),
        };
        request.running += taken.len();
    }
}

fn lease_arguments(lease: &LeaseId, call: &mut ScriptInvocation<'_>) {
    call.arg(&lease.key.0[..]).arg(lease.token.incarnation);
    call.arg(counter(lease.token));
}

fn held(state: &str) -> Result<(), QueueError> {
    match state {
        "held" => Ok(()),
        "stolen" => Err(QueueError::Stolen),
        _ => Err(QueueError::Lost),
    }
}

fn renewal(answer: Option<(String, u64, u8)>) -> Renewal {
    let Some((state, deadline, cancelled)) = answer else {
        return Renewal::Lost;
    };
    match held(&state) {
        Ok(()) => Renewal::Held {
            deadline: Millis(deadline),
            cancelled: cancelled != 0,
        },
        Err(QueueError::Stolen) => Renewal::Stolen,
        Err(_) => Renewal::Lost,
    }
}
