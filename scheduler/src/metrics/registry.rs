//! A registry that is measured.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gofarm_proto::v1;

use super::Calls;
use crate::registry::{
    Append, Appended, Duty, Measurement, Ownership, Registry, RegistryError, Restore, Tenure,
};
use gofarm_engine::core::{BuildId, Estimate};

/// A registry as one replica uses it, with every call timed that does not wait for something to happen.
pub struct MeteredRegistry {
    inner: Arc<dyn Registry>,
    calls: Calls,
}

impl MeteredRegistry {
    /// Measures `inner`.
    pub fn new(inner: Arc<dyn Registry>, calls: Calls) -> MeteredRegistry {
        MeteredRegistry { inner, calls }
    }
}

#[async_trait]
impl Registry for MeteredRegistry {
    async fn submit(
        &self,
        owner: &Arc<str>,
        build: &v1::Build,
    ) -> Result<Option<Ownership>, RegistryError> {
        let call = self.inner.submit(owner, build);
        self.calls.time("submit", call).await
    }

    async fn get(&self, build: BuildId) -> Result<Option<v1::Build>, RegistryError> {
        self.calls.time("get", self.inner.get(build)).await
    }

    async fn list(&self, limit: usize, open: bool) -> Result<Vec<v1::Build>, RegistryError> {
        self.calls.time("list", self.inner.list(limit, open)).await
    }

    async fn renew(&self, held: &[Ownership]) -> Result<Vec<Tenure>, RegistryError> {
        self.calls.time("renew", self.inner.renew(held)).await
    }

    async fn release(&self, held: &[Ownership]) -> Result<(), RegistryError> {
        self.calls.time("release", self.inner.release(held)).await
    }

    async fn take_over(
        &self,
        owner: &Arc<str>,
        limit: usize,
    ) -> Result<Vec<Ownership>, RegistryError> {
        let call = self.inner.take_over(owner, limit);
        self.calls.time("take_over", call).await
    }

    async fn append(&self, append: &Append) -> Result<Appended, RegistryError> {
        self.calls.time("append", self.inner.append(append)).await
    }

    async fn restore(&self, restore: &Restore) -> Result<bool, RegistryError> {
        let call = self.inner.restore(restore);
        self.calls.time("restore", call).await
    }

    fn known_again_within(&self) -> Duration {
        self.inner.known_again_within()
    }

    async fn archive(
        &self,
        ownership: &Ownership,
        record: &v1::Build,
    ) -> Result<(), RegistryError> {
        let call = self.inner.archive(ownership, record);
        self.calls.time("archive", call).await
    }

    async fn events(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Bytes>>, RegistryError> {
        let call = self.inner.events(build, after, max, wait);
        if wait.is_zero() {
            return self.calls.time("events", call).await;
        }
        call.await.inspect_err(|_| self.calls.failed("events"))
    }

    async fn cancel(&self, build: BuildId) -> Result<bool, RegistryError> {
        self.calls.time("cancel", self.inner.cancel(build)).await
    }

    async fn provide(
        &self,
        build: BuildId,
        provided: &v1::ProvideRequest,
    ) -> Result<bool, RegistryError> {
        let call = self.inner.provide(build, provided);
        self.calls.time("provide", call).await
    }

    async fn control(&self, wait: Duration) {
        self.inner.control(wait).await;
    }

    async fn estimates(
        &self,
        pool: &str,
        actions: &[(Arc<str>, v1::Kind)],
    ) -> Result<Vec<Option<Estimate>>, RegistryError> {
        let call = self.inner.estimates(pool, actions);
        self.calls.time("estimates", call).await
    }

    async fn measured(
        &self,
        pool: &str,
        measurements: &[Measurement],
    ) -> Result<(), RegistryError> {
        let call = self.inner.measured(pool, measurements);
        self.calls.time("measured", call).await
    }

    async fn note_worker(&self, worker: v1::Worker) -> Result<(), RegistryError> {
        let call = self.inner.note_worker(worker);
        self.calls.time("note_worker", call).await
    }

    async fn workers(&self) -> Result<Vec<v1::Worker>, RegistryError> {
        self.calls.time("workers", self.inner.workers()).await
    }

    async fn take_duty(
        &self,
        duty: &str,
        replica: &Arc<str>,
        ttl: Duration,
    ) -> Result<Option<Duty>, RegistryError> {
        let call = self.inner.take_duty(duty, replica, ttl);
        self.calls.time("take_duty", call).await
    }

    async fn duty_done(
        &self,
        duty: &str,
        replica: &Arc<str>,
        held: &Duty,
        done_ms: u64,
    ) -> Result<bool, RegistryError> {
        let call = self.inner.duty_done(duty, replica, held, done_ms);
        self.calls.time("duty_done", call).await
    }
}
