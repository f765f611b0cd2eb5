//! The registry of a farm with one replica.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gofarm_proto::{MovingAverage, v1};
use gofarm_timing::now_ms;
use tokio::time::Instant;

use super::bells::Bells;
use super::{
    Append, Appended, Bounds, Duty, Measurement, Ownership, Registry, RegistryError, Restore,
    Tenure, WORKER_LISTED,
};
use gofarm_engine::Now;
use gofarm_engine::core::{BuildId, Estimate, Millis};
use gofarm_engine::registry::BuildTable;

/// A [`Registry`] in memory.
#[derive(Debug)]
pub struct MemoryRegistry {
    start: Instant,
    state: Mutex<State>,
    bells: Arc<Bells>,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct State {
    builds: BuildTable,
    history: HashMap<(String, Arc<str>, i32), Estimate>,
    workers: BTreeMap<String, (Instant, v1::Worker)>,
    duties: HashMap<String, (Arc<str>, Instant, Duty)>,
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        MemoryRegistry::new()
    }
}

impl MemoryRegistry {
    /// With other bounds than the usual ones.
    pub fn with_bounds(bounds: Bounds) -> MemoryRegistry {
        MemoryRegistry {
            start: Instant::now(),
            state: Mutex::default(),
            bells: Arc::default(),
            bounds,
        }
    }

    /// Knows nothing yet.
    pub fn new() -> MemoryRegistry {
        MemoryRegistry::with_bounds(Bounds::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        match self.state.lock() {
            Ok(state) => state,
            // It may contradict itself. The engine asks each second, and the process ends with that.
            Err(_) => panic!("the registry's state was left half changed by an earlier panic"),
        }
    }

    fn now(&self) -> Now {
        let passed = self.start.elapsed().as_millis();
        Now {
            at: Millis(u64::try_from(passed).unwrap_or(u64::MAX)),
            wall_ms: now_ms(),
        }
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
        let now = self.now();
        Ok(self.state().builds.submit(id, owner, build, now))
    }

    async fn get(&self, build: BuildId) -> Result<Option<v1::Build>, RegistryError> {
        Ok(self.state().builds.get(build))
    }

    async fn list(&self, limit: usize, open: bool) -> Result<Vec<v1::Build>, RegistryError> {
        Ok(self.state().builds.list(limit, open))
    }

    async fn renew(&self, held: &[Ownership]) -> Result<Vec<Tenure>, RegistryError> {
        let now = self.now();
        Ok(self.state().builds.renew(held, now))
    }

    async fn release(&self, held: &[Ownership]) -> Result<(), RegistryError> {
        let now = self.now();
        self.state().builds.release(held, now);
        Ok(())
    }

    async fn take_over(
        &self,
        owner: &Arc<str>,
        limit: usize,
    ) -> Result<Vec<Ownership>, RegistryError> {
        let now = self.now();
        let mut state = self.state();
        // Once a second is often enough to forget, too.
        state.builds.forget(self.bounds.over, now);
        Ok(state.builds.take_over(owner, limit, now))
    }

    async fn append(&self, append: &Append) -> Result<Appended, RegistryError> {
        let appended = self.state().builds.append(append);
        if appended == Appended::Done {
            self.bells.ring(append.ownership.build);
        }
        Ok(appended)
    }

    async fn restore(&self, restore: &Restore) -> Result<bool, RegistryError> {
        let now = self.now();
        Ok(self.state().builds.restore(restore, now))
    }

    async fn events(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Bytes>>, RegistryError> {
        let look = || ready(Ok(self.state().builds.events(build, after, max)));
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
        self.state().builds.archive(ownership, record);
        Ok(())
    }

    async fn cancel(&self, build: BuildId) -> Result<bool, RegistryError> {
        let known = self.state().builds.cancel(build);
        self.bells.ring_control();
        Ok(known)
    }

    async fn provide(
        &self,
        build: BuildId,
        provided: &v1::ProvideRequest,
    ) -> Result<bool, RegistryError> {
        let known = self.state().builds.provide(build, provided);
        self.bells.ring_control();
        Ok(known)
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
            let before = state.history.get(&key).copied().map(MovingAverage::from);
            let average = MovingAverage::after(before, measurement.measured);
            state.history.insert(key, average.estimate());
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
