//! Doorbells of one replica: they say that it is worth looking, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::{POLL, RegistryError};
use gofarm_engine::core::BuildId;

/// A bell for each build that somebody here watches, and one for owners.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    builds: Mutex<HashMap<BuildId, Arc<Notify>>>,
    control: Notify,
}

impl Bells {
    /// The bell of a build. It is forgotten when the last who holds it lets go.
    pub fn of(self: &Arc<Self>, build: BuildId) -> Bell {
        let notify = self.builds().entry(build).or_default().clone();
        Bell {
            build,
            notify,
            bells: self.clone(),
        }
    }

    /// Asks `look` for the events of a build until it has some, or does not know the build, or the time is over. The bell
    /// is listened to before each look, so that a ring in between is not missed.
    pub async fn wait<F>(
        self: &Arc<Self>,
        build: BuildId,
        wait: Duration,
        mut look: impl FnMut() -> F,
    ) -> Result<Option<Vec<Bytes>>, RegistryError>
    where
        F: Future<Output = Result<Option<Vec<Bytes>>, RegistryError>>,
    {
        let end = Instant::now() + wait;
        let bell = self.of(build);
        loop {
            let rung = bell.notify.notified();
            let found = look().await?;
            let now = Instant::now();
            if found.as_ref().is_none_or(|events| !events.is_empty()) || now >= end {
                return Ok(found);
            }
            // Rung or not, the next thing is another look.
            timeout_at(end.min(now + POLL), rung)
                .await
                .unwrap_or_default();
        }
    }

    /// There are new events.
    pub fn ring(&self, build: BuildId) {
        if let Some(notify) = self.builds().get(&build) {
            notify.notify_waiters();
        }
    }

    /// Rings for everyone: something may have been missed.
    pub fn ring_all(&self) {
        for notify in self.builds().values() {
            notify.notify_waiters();
        }
        self.control.notify_one();
    }

    /// An owner has been told something.
    pub fn ring_control(&self) {
        self.control.notify_one();
    }

    /// Waits until an owner is rung for, or the time is over. A ring while nobody waits is kept for the next who does.
    pub async fn control(&self, wait: Duration) {
        timeout(wait, self.control.notified())
            .await
            .unwrap_or_default();
    }

    fn builds(&self) -> MutexGuard<'_, HashMap<BuildId, Arc<Notify>>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Bells::of`].
pub(crate) struct Bell {
    build: BuildId,
    pub notify: Arc<Notify>,
    bells: Arc<Bells>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut builds = self.bells.builds();
        // One in the map and this one; nobody gets another while the map is locked.
        if Arc::strong_count(&self.notify) <= 2 {
            builds.remove(&self.build);
        }
    }
}
