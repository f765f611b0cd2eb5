//! The registry of a farm with one replica.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gofarm_proto::v1;
use tokio::time::Instant;

use super::bells::Bells;
use super::moving_average::merge;
use super::{
    Append, Appended, Bounds, Duty, Measurement, OWNERSHIP_TTL, Ownership, REMEMBERED, Registry,
    RegistryError, Tenure, WORKER_LISTED, now_ms,
};
use gofarm_engine::core::{BuildId, Estimate};

/// A [`Registry`] in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    state: Mutex<State>,
    bells: Arc<Bells>,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct State {
    builds: HashMap<BuildId, Known>,
    history: HashMap<(String, Arc<str>, i32), Estimate>,
    workers: BTreeMap<String, (Instant, v1::Worker)>,
    duties: HashMap<String, (Arc<str>, Instant, Duty)>,
}

#[derive(Debug)]
struct Known {
    record: v1::Build,
    /// None: released.
    owner: Option<Arc<str>>,
    epoch: u64,
    deadline: Instant,
    events: BTreeMap<u64, Bytes>,
    last: u64,
    cancelled: bool,
    provided: Vec<v1::ProvideRequest>,
}

impl Known {
    fn owned(ownership: &Ownership, record: v1::Build) -> Known {
        Known {
            record,
            owner: Some(ownership.owner.clone()),
            epoch: ownership.epoch,
            deadline: Instant::now() + OWNERSHIP_TTL,
            events: BTreeMap::new(),
            last: 0,
            cancelled: false,
            provided: Vec::new(),
        }
    }

    fn is_owned_by(&self, ownership: &Ownership) -> bool {
        self.owner.as_ref() == Some(&ownership.owner) && self.epoch == ownership.epoch
    }

    fn is_over(&self) -> bool {
        self.record.finished_ms != 0
    }

    fn record(&self) -> v1::Build {
        let owner = self.owner.as_deref().filter(|_| !self.is_over());
        v1::Build {
            owner: owner.unwrap_or_default().to_owned(),
            ..self.record.clone()
        }
    }
}

impl State {
    /// Of the builds that are over only the latest stay, so many.
    fn forget_surplus(&mut self, most: usize) {
        let over = self.builds.iter().filter(|(_, known)| known.is_over());
        let mut over: Vec<(u64, BuildId)> = over
            .map(|(build, known)| (known.record.finished_ms, *build))
            .collect();
        over.sort_unstable();
        for (_, build) in over.iter().rev().skip(most) {
            self.builds.remove(build);
        }
    }
}

impl MemoryRegistry {
    /// With other bounds than the usual ones.
    pub fn with_bounds(bounds: Bounds) -> MemoryRegistry {
        MemoryRegistry {
            bounds,
            ..MemoryRegistry::default()
        }
    }

    /// Knows nothing yet.
    pub fn new() -> MemoryRegistry {
        MemoryRegistry::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, build: BuildId, after: u64, max: usize) -> Option<Vec<Bytes>> {
        let state = self.state();
        let known = state.builds.get(&build)?;
        let events = known.events.range(after.saturating_add(1)..).take(max);
        Some(events.map(|(_, bytes)| bytes.clone()).collect())
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn submit(
        &self,
        owner: &Arc<str>,
        build: &v1::Build,
    ) -> Result<Option<Ownership>, RegistryError> {
        let id = super::record_id(build)?;
        let mut state = self.state();
        if state.builds.contains_key(&id) {
            return Ok(None);
        }
        let ownership = Ownership {
            build: id,
            owner: owner.clone(),
            epoch: 1,
        };
        let known = Known::owned(&ownership, build.clone());
        state.builds.insert(id, known);
        Ok(Some(ownership))
    }

    async fn get(&self, build: BuildId) -> Result<Option<v1::Build>, RegistryError> {
        Ok(self.state().builds.get(&build).map(Known::record))
    }

    async fn list(&self, limit: usize, open: bool) -> Result<Vec<v1::Build>, RegistryError> {
        let state = self.state();
        let builds = state.builds.values();
        let mut builds: Vec<&Known> = builds.filter(|known| !(open && known.is_over())).collect();
        builds.sort_by(|a, b| {
            let key = |known: &Known| (known.record.submitted_ms, known.record.build.clone());
            key(b).cmp(&key(a))
        });
        builds.truncate(limit);
        Ok(builds.into_iter().map(Known::record).collect())
    }

    async fn renew(&self, held: &[Ownership]) -> Result<Vec<Tenure>, RegistryError> {
        let mut state = self.state();
        let tenures = held.iter().map(|ownership| {
            let Some(known) = state.builds.get_mut(&ownership.build) else {
                return Tenure::Unknown;
            };
            if !known.is_owned_by(ownership) {
                return Tenure::Lost;
            }
            known.deadline = Instant::now() + OWNERSHIP_TTL;
            Tenure::Held {
                last: known.last,
                cancelled: known.cancelled,
                provided: std::mem::take(&mut known.provided),
            }
        });
        Ok(tenures.collect())
    }

    async fn release(&self, held: &[Ownership]) -> Result<(), RegistryError> {
        let mut state = self.state();
        for ownership in held {
            if let Some(known) = state.builds.get_mut(&ownership.build)
                && known.is_owned_by(ownership)
            {
                known.owner = None;
                known.deadline = Instant::now();
            }
        }
        Ok(())
    }

    async fn take_over(
        &self,
        owner: &Arc<str>,
        limit: usize,
    ) -> Result<Vec<Ownership>, RegistryError> {
        let now = Instant::now();
        let mut state = self.state();
        // Once a second is often enough to forget, too.
        state.builds.retain(|_, known| {
            let over = Duration::from_millis(now_ms().saturating_sub(known.record.finished_ms));
            !known.is_over() || over < REMEMBERED
        });
        state.forget_surplus(self.bounds.over);
        let open = state.builds.iter_mut();
        let open = open.filter(|(_, known)| !known.is_over() && known.deadline <= now);
        let taken = open.take(limit).map(|(build, known)| {
            known.owner = Some(owner.clone());
            known.epoch += 1;
            known.deadline = now + OWNERSHIP_TTL;
            Ownership {
                build: *build,
                owner: owner.clone(),
                epoch: known.epoch,
            }
        });
        Ok(taken.collect())
    }

    async fn append(&self, append: &Append) -> Result<Appended, RegistryError> {
        let build = append.ownership.build;
        {
            let mut state = self.state();
            let Some(known) = state.builds.get_mut(&build) else {
                return Ok(Appended::Behind);
            };
            if !known.is_owned_by(&append.ownership) {
                return Ok(Appended::Lost);
            }
            if known.last < append.after {
                return Ok(Appended::Behind);
            }
            for cursor in &append.dropped {
                known.events.remove(cursor);
            }
            for event in &append.events {
                if event.cursor > known.last {
                    known.events.insert(event.cursor, event.bytes.clone());
                    known.last = event.cursor;
                }
            }
            known.record = append.record.clone();
        }
        self.bells.ring(build);
        Ok(Appended::Done)
    }

    async fn restore(
        &self,
        ownership: &Ownership,
        record: &v1::Build,
    ) -> Result<bool, RegistryError> {
        let mut state = self.state();
        let known = state.builds.get(&ownership.build);
        if known.is_some_and(|known| !known.is_owned_by(ownership)) {
            return Ok(false);
        }
        let known = Known::owned(ownership, record.clone());
        state.builds.insert(ownership.build, known);
        Ok(true)
    }

    async fn events(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Bytes>>, RegistryError> {
        let look = || ready(Ok(self.look(build, after, max)));
        self.bells.wait(build, wait, look).await
    }

    fn known_again_within(&self) -> Duration {
        Duration::ZERO
    }

    async fn archive(
        &self,
        ownership: &Ownership,
        record: &v1::Build,
    ) -> Result<(), RegistryError> {
        let mut state = self.state();
        if let Some(known) = state.builds.get_mut(&ownership.build)
            && known.is_owned_by(ownership)
            && known.is_over()
        {
            known.record = record.clone();
            known.events.clear();
        }
        Ok(())
    }

    async fn cancel(&self, build: BuildId) -> Result<bool, RegistryError> {
        let mut state = self.state();
        let Some(known) = state.builds.get_mut(&build) else {
            return Ok(false);
        };
        known.cancelled = true;
        self.bells.ring_control();
        Ok(true)
    }

    async fn provide(
        &self,
        build: BuildId,
        provided: &v1::ProvideRequest,
    ) -> Result<bool, RegistryError> {
        let mut state = self.state();
        let Some(known) = state.builds.get_mut(&build) else {
            return Ok(false);
        };
        if !known.is_over() {
            known.provided.push(provided.clone());
        }
        self.bells.ring_control();
        Ok(true)
    }

    async fn control(&self, wait: Duration) {
        self.bells.control(wait).await;
    }

    async fn estimates(
        &self,
        pool: &str,
        actions: &[(Arc<str>, v1::Kind)],
    ) -> Result<Vec<Option<Estimate>>, RegistryError> {
        let state = self.state();
        let estimate = |(package, kind): &(Arc<str>, v1::Kind)| {
            let key = (pool.to_owned(), package.clone(), i32::from(*kind));
            state.history.get(&key).copied()
        };
        Ok(actions.iter().map(estimate).collect())
    }

    async fn measured(
        &self,
        pool: &str,
        measurements: &[Measurement],
    ) -> Result<(), RegistryError> {
        let mut state = self.state();
        for measurement in measurements {
            let kind = measurement.kind.into();
            let key = (pool.to_owned(), measurement.package.clone(), kind);
            let merged = merge(state.history.get(&key).copied(), measurement.measured);
            state.history.insert(key, merged);
        }
        // Which ones go is chance, as in the other registry.
        let surplus = state.history.len().saturating_sub(self.bounds.history);
        let gone: Vec<_> = state.history.keys().take(surplus).cloned().collect();
        for key in gone {
            state.history.remove(&key);
        }
        Ok(())
    }

    async fn note_worker(&self, worker: v1::Worker) -> Result<(), RegistryError> {
        let name = worker.name.clone();
        self.state().workers.insert(name, (Instant::now(), worker));
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<v1::Worker>, RegistryError> {
        let mut state = self.state();
        let workers = &mut state.workers;
        workers.retain(|_, (seen, _)| seen.elapsed() < WORKER_LISTED);
        let listed = workers.values().map(|(seen, worker)| v1::Worker {
            seen_ms: u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..worker.clone()
        });
        Ok(listed.collect())
    }

    async fn take_duty(
        &self,
        duty: &str,
        replica: &Arc<str>,
        ttl: Duration,
    ) -> Result<Option<Duty>, RegistryError> {
        let now = Instant::now();
        let mut state = self.state();
        let none = || {
            (
                Arc::from(""),
                now,
                Duty {
                    epoch: 0,
                    done_ms: 0,
                },
            )
        };
        let held = state.duties.entry(duty.to_owned()).or_insert_with(none);
        let (owner, until, duty) = held;
        if owner != replica {
            if *until > now {
                return Ok(None);
            }
            *owner = replica.clone();
            duty.epoch += 1;
        }
        *until = now + ttl;
        Ok(Some(*duty))
    }

    async fn duty_done(
        &self,
        duty: &str,
        replica: &Arc<str>,
        held: &Duty,
        done_ms: u64,
    ) -> Result<bool, RegistryError> {
        let mut state = self.state();
        let Some((owner, until, duty)) = state.duties.get_mut(duty) else {
            return Ok(false);
        };
        if owner != replica || duty.epoch != held.epoch {
            return Ok(false);
        }
        *owner = "".into();
        *until = Instant::now();
        duty.done_ms = done_ms;
        Ok(true)
    }
}
