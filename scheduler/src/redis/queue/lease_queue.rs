//! The contract, carried out by scripts.

use super::*;
use gofarm_queue::{GRACE_OF_A_KNOWN_POOL, PART_REMEMBERED};

/// Of tasks told in one call, when they are more than one.
const BATCH_BYTES: usize = 4 << 20;

/// What one task may take: a million inputs.
const TASK_BYTES: usize = 64 << 20;

#[async_trait]
impl LeaseQueue for RedisQueue {
    async fn enqueue(&self, owner: &Owner, tasks: Vec<Task>) -> Result<(), QueueError> {
        let mut by_pool: HashMap<&str, Vec<&Task>> = HashMap::new();
        for task in &tasks {
            by_pool.entry(pool_of(&task.pool)).or_default().push(task);
        }
        for (name, tasks) in by_pool {
            let pool = self.pool(name).await?;
            for tasks in batches(tasks)? {
                let answer = self.link.run(&script::ENQUEUE, &pool, |call| {
                    call.arg(&**owner);
                    call.arg(self.options.worker_ttl.as_millis() as u64);
                    for (task, encoded) in tasks {
                        let recorded = task.memory_estimate;
                        let need = recorded.unwrap_or(self.options.assumed_memory);
                        call.arg(&task.key.0[..]).arg(&task.run.0.to_be_bytes()[..]);
                        call.arg(&*task.pool).arg(record::share(&task.share));
                        call.arg(&record::inverted(task.priority)[..]);
                        call.arg(&need.to_be_bytes()[..]);
                        call.arg(u8::from(recorded.is_some()));
                        call.arg(u64::BITS - (need >> 20).leading_zeros());
                        call.arg(gofarm_queue::cost(task))
                            .arg(u8::from(task.exclusive));
                        let near = task.near.as_ref();
                        call.arg(near.map_or("", |near| &near.worker));
                        let patience = near.map_or(Duration::ZERO, |near| near.patience);
                        call.arg(patience.as_millis() as u64);
                        call.arg(encoded);
                    }
                });
                answer.await.map(|_: String| ())?;
            }
        }
        Ok(())
    }

    async fn cancel(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        let mut left = tasks.to_vec();
        let pools = self.pools().all();
        // Only the last pool answers for what none knows.
        for (place, pool) in pools.iter().enumerate() {
            let last = place + 1 == pools.len();
            let mut unknown = Vec::new();
            for tasks in left.chunks(BATCH) {
                let answer = self.link.run(&script::CANCEL, pool, |call| {
                    call.arg(&**owner).arg(u8::from(last));
                    for (key, run) in tasks {
                        call.arg(&key.0[..]).arg(&run.0.to_be_bytes()[..]);
                    }
                });
                let places: Vec<usize> = answer.await?;
                unknown.extend(places.iter().filter_map(|place| tasks.get(*place)));
            }
            left = unknown;
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }

    async fn back_up(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        // A pool that does not know a task has nothing to do for it.
        for pool in self.pools().all() {
            for tasks in tasks.chunks(BATCH) {
                let answer = self.link.run(&script::BACK_UP, &pool, |call| {
                    call.arg(&**owner);
                    for (key, run) in tasks {
                        call.arg(&key.0[..]).arg(&run.0.to_be_bytes()[..]);
                    }
                });
                answer.await.map(|_: String| ())?;
            }
        }
        Ok(())
    }

    async fn news(
        &self,
        owner: &Owner,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<News>, QueueError> {
        let mailbox = self.bells.mailbox(owner);
        let end = Instant::now() + wait;
        loop {
            // Before the look, so that a ring in between is not missed.
            let rung = mailbox.bell.notified();
            let pools = self.pools().all();
            let found = mailbox.fetch(&self.link, owner, &pools, max).await?;
            let now = Instant::now();
            if !found.is_empty() || now >= end {
                return Ok(found);
            }
            // An owner that waits is there.
            let next = self.next_look(now).min(now + self.options.owner_ttl / 3);
            let _ = timeout_at(end.min(next), rung).await;
        }
    }

    async fn incarnation(&self) -> Result<u64, QueueError> {
        self.exchange_pools().await?;
        for pool in self.pools().all() {
            self.link.begin(&pool).await?;
            let now = pool.seen().incarnation;
            let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
            let before = lives.insert(pool.name.clone(), now);
            let first = self.life.load(Ordering::Relaxed) == 0;
            if first || before.is_some_and(|before| before != now) {
                self.life.store(now, Ordering::Relaxed);
            }
        }
        Ok(self.life.load(Ordering::Relaxed))
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Vec<Lease>, QueueError> {
        let mut groups: Vec<(Arc<Pool>, Vec<Arc<str>>)> = Vec::new();
        for part in request.pools.iter() {
            let pool = self.pool(part).await?;
            match groups.last_mut() {
                Some((last, parts)) if last.name == pool.name => parts.push(part.clone()),
                _ => groups.push((pool, vec![part.clone()])),
            }
        }
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|(pool, parts)| (pool, parts.into()))
            .collect();
        let end = Instant::now() + request.wait;
        let mut noted: Option<Instant> = None;
        loop {
            // Before the look, so that a ring in between is not missed.
            let bells = groups
                .iter()
                .map(|(pool, _)| Box::pin(pool.work.notified()));
            let rung = select_all(bells.collect::<Vec<_>>());
            let now = Instant::now();
            let note = noted.is_none_or(|noted| now - noted >= self.options.worker_ttl / 3);
            let leases = self.look_at_all(&request, &groups, note).await?;
            if note {
                noted = Some(now);
            }
            let now = Instant::now();
            if !leases.is_empty() || now >= end {
                return Ok(leases);
            }
            let _ = timeout_at(end.min(self.next_look(now)), rung).await;
        }
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewal>, QueueError> {
        let ttl = self.options.lease_ttl.as_millis() as u64;
        let answers = self
            .for_each(&script::RENEW, leases, |lease| lease, ttl, |_, _| {})
            .await?;
        Ok(answers.into_iter().map(renewal).collect())
    }

    async fn append_log(&self, outputs: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError> {
        fn arguments(output: &TaskOutput, call: &mut ScriptInvocation<'_>) {
            call.arg(&output.offset.to_be_bytes()[..]);
            call.arg(&*output.data);
        }
        let backlog = self.options.log_backlog as u64;
        let answers = self
            .for_each(
                &script::LOG,
                outputs,
                |output| &output.lease,
                backlog,
                arguments,
            )
            .await?;
        Ok(answers.into_iter().map(renewal).collect())
    }

    async fn complete(&self, lease: &LeaseId, outcome: Outcome) -> Result<Arc<str>, QueueError> {
        let Some(pool) = self.pool_of(lease).await? else {
            return Err(QueueError::Lost);
        };
        let blobs = outcome.blobs();
        if !blobs.is_empty() {
            // Fenced before as well, so that a stale holder does not make the store work.
            let answer = self.link.run(&script::CHECK, &pool, |call| {
                lease_arguments(lease, call);
            });
            let (state,): (String,) = answer.await?;
            held(&state)?;
            let missing = self.blobs.missing(&blobs).await;
            let missing = missing.map_err(|reason| QueueError::StoreUnavailable { reason })?;
            if !missing.is_empty() {
                return Err(QueueError::NotUploaded { missing });
            }
        }
        returns::complete(&self.returns(&pool), lease, &outcome).await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, QueueError> {
        let options = &self.options;
        let mut reaped = Reaped::default();
        for pool in self.pools().all() {
            let room = limit.saturating_sub(reaped.leases + reaped.unplaceable);
            let answer = self.link.run(&script::REAP, &pool, |call| {
                call.arg(room);
                let grace = options.placement_grace;
                let known = grace / GRACE_OF_A_KNOWN_POOL;
                for time in [options.worker_ttl, grace, options.owner_ttl, known] {
                    call.arg(time.as_millis() as u64);
                }
                call.arg(grace.as_secs_f64()).arg(known.as_secs_f64());
                call.arg(PART_REMEMBERED.as_millis() as u64);
            });
            type Answer = (usize, usize, usize, i64, u64);
            let (leases, unplaceable, orphans, next, idle): Answer = answer.await?;
            if idle >= UNUSED.as_millis() as u64 {
                self.forget(&pool).await?;
            }
            reaped.leases += leases;
            reaped.unplaceable += unplaceable;
            reaped.orphans += orphans;
            let next = u64::try_from(next).ok().map(Duration::from_millis);
            reaped.next = reaped.next.into_iter().chain(next).min();
        }
        Ok(reaped)
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        let mut stats = QueueStats::default();
        for pool in self.pools().all() {
            let answer = self.link.run(&script::STATS, &pool, |_| {});
            let (queued, leased, workers, given, fenced): (usize, usize, usize, u64, u64) =
                answer.await?;
            stats.queued += queued;
            stats.leased += leased;
            stats.workers += workers;
            stats.leases_given += given;
            stats.fenced += fenced;
        }
        Ok(stats)
    }
}

type Encoded<'a> = (&'a Task, Vec<u8>);

/// Encodes tasks, and parts them so that no call is too large for Redis.
fn batches(tasks: Vec<&Task>) -> Result<Vec<Vec<Encoded<'_>>>, QueueError> {
    let mut batches: Vec<Vec<Encoded<'_>>> = Vec::new();
    let mut room = 0;
    for task in tasks {
        let encoded = record::encode_task(task);
        let size = encoded.len();
        if size > TASK_BYTES {
            return Err(QueueError::Refused {
                reason: format!(
                    "task {:?} takes {size} bytes, and may take {TASK_BYTES}: it has too many inputs",
                    task.label
                ),
            });
        }
        match batches.last_mut() {
            Some(last) if last.len() < BATCH && size <= room => last.push((task, encoded)),
            _ => {
                room = BATCH_BYTES;
                batches.push(vec![(task, encoded)]);
            }
        }
        room = room.saturating_sub(size);
    }
    Ok(batches)
}
