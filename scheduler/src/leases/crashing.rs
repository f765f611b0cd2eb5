//! Crashes that the queue is being told. It says whether one counts and whose it is, and only then a worker is judged; but as soon as it knows,
//! the task may be given anew, also to a waiting call of the same worker. Whoever gives a task waits for what is being told of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gofarm_proto::ActionKey;
use tokio_util::sync::CancellationToken;

/// By task; the tokens are cancelled when the worker is judged, or will not be.
#[derive(Debug, Default)]
pub(super) struct Crashing(Mutex<HashMap<ActionKey, Vec<CancellationToken>>>);

/// A crash is being told until this is dropped.
pub(super) struct Telling<'a> {
    of: &'a Crashing,
    key: ActionKey,
    over: CancellationToken,
}

impl Crashing {
    fn tasks(&self) -> MutexGuard<'_, HashMap<ActionKey, Vec<CancellationToken>>> {
        // Each change is one call of the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, key: ActionKey) -> Telling<'_> {
        let over = CancellationToken::new();
        self.tasks().entry(key).or_default().push(over.clone());
        Telling {
            of: self,
            key,
            over,
        }
    }

    /// Waits for what is being told of a task now.
    pub async fn is_told(&self, key: &ActionKey) {
        let told = self.tasks().get(key).cloned();
        for over in told.into_iter().flatten() {
            over.cancelled().await;
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.over.cancel();
        let mut tasks = self.of.tasks();
        if let Some(told) = tasks.get_mut(&self.key) {
            told.retain(|over| !over.is_cancelled());
            if told.is_empty() {
                tasks.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gives_a_task_waits_for_what_is_being_told_of_it() {
        let crashing = Crashing::default();
        let (one, other) = (ActionKey([1; 32]), ActionKey([2; 32]));
        let telling = crashing.tell(one);
        crashing.is_told(&other).await;
        {
            let mut waits = Box::pin(crashing.is_told(&one));
            assert!(futures::poll!(&mut waits).is_pending());
            drop(telling);
            waits.await;
        }
        assert!(crashing.tasks().is_empty());
    }
}
