//! Notes workers where all replicas see them, and not more often than is of use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_daemon::vital;
use gofarm_proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::leases::WorkerTable;
use super::registry::{Registry, WORKER_LISTED};

/// A worker that nothing else has changed about is noted again after this time.
const EVERY: Duration = Duration::from_secs(5);

/// Workers that wait to be noted. When the registry is away there are more, and those are noted when they are heard of again.
const WAITING: usize = 1024;

/// The table of workers over a registry.
pub struct Roster {
    heard: mpsc::Sender<v1::Worker>,
}

impl Roster {
    /// Starts noting; ends when it is dropped. Needs a tokio runtime.
    pub fn start(registry: Arc<dyn Registry>) -> Roster {
        let (heard, inbox) = mpsc::channel(WAITING);
        tokio::spawn(vital("the table of workers", note(registry, inbox)));
        Roster { heard }
    }
}

impl WorkerTable for Roster {
    fn note_worker(&self, worker: v1::Worker) {
        let _ = self.heard.try_send(worker);
    }
}

async fn note(registry: Arc<dyn Registry>, mut inbox: mpsc::Receiver<v1::Worker>) {
    let mut noted: HashMap<String, (Instant, v1::Worker)> = HashMap::new();
    let mut pruned = Instant::now();
    while let Some(worker) = inbox.recv().await {
        let now = Instant::now();
        let known = noted.get(&worker.name);
        if known.is_some_and(|(when, before)| now - *when < EVERY && same(before, &worker)) {
            continue;
        }
        match registry.note_worker(worker.clone()).await {
            Ok(()) => {
                noted.insert(worker.name.clone(), (now, worker));
            }
            Err(error) => tracing::warn!(%error, worker = worker.name, "worker not noted"),
        }
        if now - pruned > WORKER_LISTED {
            noted.retain(|_, (when, _)| now - *when < WORKER_LISTED);
            pruned = now;
        }
    }
}

/// Nothing but how much it runs has changed.
fn same(before: &v1::Worker, now: &v1::Worker) -> bool {
    (
        &before.pool,
        &before.platforms,
        &before.c_toolchains,
        &before.set_aside,
        before.slots,
        before.memory,
    ) == (
        &now.pool,
        &now.platforms,
        &now.c_toolchains,
        &now.set_aside,
        now.slots,
        now.memory,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::MemoryRegistry;

    #[tokio::test]
    async fn what_is_heard_is_noted_and_news_about_it_at_once() {
        let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
        let roster = Roster::start(registry.clone());
        let worker = v1::Worker {
            name: "w1".to_owned(),
            pool: "default".to_owned(),
            slots: 2,
            ..v1::Worker::default()
        };
        roster.note_worker(worker.clone());
        roster.note_worker(v1::Worker {
            set_aside: "crashes".to_owned(),
            ..worker
        });
        let begun = Instant::now();
        loop {
            let workers = registry.workers().await.unwrap();
            if workers
                .first()
                .is_some_and(|worker| worker.set_aside == "crashes")
            {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{workers:?}");
            tokio::task::yield_now().await;
        }
    }
}
