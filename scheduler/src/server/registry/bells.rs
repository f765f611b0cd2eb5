//! Doorbells of one replica: they say that it is worth looking, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::core::BuildId;

/// A bell for each build that somebody here watches, and one for owners.
#[derive(Debug, Default)]
pub(super) struct Bells {
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

    /// A ring while nobody waits is kept for the next who does.
    pub async fn control(&self) {
        self.control.notified().await;
    }

    fn builds(&self) -> MutexGuard<'_, HashMap<BuildId, Arc<Notify>>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Bells::of`].
pub(super) struct Bell {
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
