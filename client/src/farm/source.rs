//! The worker's leases, taken from the queue of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_engine::convert;
use gofarm_engine::core::Outcome;
use gofarm_proto::{ActionKey, v1};
use gofarm_queue::{
    FencingToken, LeaseId, LeaseQueue, LeaseRequest, QueueError, Renewal as Renewed,
};
use gofarm_worker::{
    ASSUMED_MEMORY, Capacity, ExecuteError, Execution, Lease, LeaseSource, LeaseToken, Renewal,
    SourceError, Surroundings, Task, TracedCommand, broken_off, ended,
};

/// How long one question for tasks waits for an answer.
const WAIT: Duration = Duration::from_secs(5);

/// Is shown what the worker does while it does it.
pub trait WorkerWatch: Send + Sync {
    /// Output of an action.
    fn log(&self, key: &ActionKey, chunk: &[u8]);
    /// A command is about to run.
    fn command(&self, command: &TracedCommand);
}

/// A lease that the worker holds.
#[derive(Clone, Copy)]
struct HeldLease {
    id: LeaseId,
    ttl: Duration,
    exclusive: bool,
}

/// A [`LeaseSource`] over a queue in the same process.
pub struct QueueSource {
    queue: Arc<dyn LeaseQueue>,
    worker: Arc<str>,
    pool: Arc<str>,
    slots: usize,
    memory: u64,
    watch: Arc<dyn WorkerWatch>,
    held: Mutex<HashMap<LeaseToken, HeldLease>>,
}

impl QueueSource {
    /// Leases of this pool for a worker of this size.
    pub fn new(
        queue: Arc<dyn LeaseQueue>,
        pool: Arc<str>,
        slots: usize,
        memory: u64,
        watch: Arc<dyn WorkerWatch>,
    ) -> QueueSource {
        QueueSource {
            queue,
            worker: "embedded".into(),
            pool,
            slots,
            memory,
            watch,
            held: Mutex::new(HashMap::new()),
        }
    }

    fn held(&self, token: LeaseToken) -> Option<HeldLease> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&token).copied()
    }

    async fn end(&self, token: LeaseToken, outcome: Outcome) -> Result<(), SourceError> {
        let Some(HeldLease { id, .. }) = self.held(token) else {
            return Ok(());
        };
        let ended = self.queue.complete(&id, outcome).await;
        match ended {
            Ok(_) | Err(QueueError::Lost | QueueError::Stolen) => {}
            Err(QueueError::NotUploaded { missing }) => {
                // An output was evicted or lost between its making and this report: the action is not done.
                let lost = Outcome::Crashed {
                    reason: format!("{} of its outputs vanished from the store", missing.len())
                        .into(),
                };
                let _ = self.queue.complete(&id, lost).await;
            }
            Err(error) => return Err(SourceError(error.to_string())),
        }
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&token);
        Ok(())
    }
}

#[async_trait]
impl LeaseSource for QueueSource {
    async fn acquire(&self, capacity: Capacity) -> Result<Option<Vec<Lease>>, SourceError> {
        let request = LeaseRequest {
            worker: self.worker.clone(),
            pools: [self.pool.clone()].into(),
            max: capacity.slots,
            wait: WAIT,
            running: if capacity.idle {
                0
            } else {
                self.slots.saturating_sub(capacity.slots).max(1)
            },
            free_memory: capacity.memory,
            total_memory: self.memory,
            ahead: false,
        };
        let leases = self
            .queue
            .lease(request)
            .await
            .map_err(|error| SourceError(error.to_string()))?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let leases = leases
            .into_iter()
            .map(|lease| {
                let FencingToken {
                    incarnation,
                    counter,
                } = lease.id.token;
                let token = LeaseToken {
                    incarnation,
                    counter,
                };
                let (id, ttl, exclusive) = (lease.id, lease.ttl, lease.task.exclusive);
                held.insert(token, HeldLease { id, ttl, exclusive });
                Lease {
                    token,
                    memory: lease.task.memory_estimate.unwrap_or(ASSUMED_MEMORY),
                    task: Task {
                        key: lease.task.key,
                        definition: lease.task.definition,
                        produced: lease.task.produced.to_vec(),
                        exclusive: lease.task.exclusive,
                    },
                    ttl: lease.ttl,
                }
            })
            .collect();
        Ok(Some(leases))
    }

    async fn renew(&self, token: LeaseToken) -> Result<Renewal, SourceError> {
        let Some(HeldLease { id, ttl, .. }) = self.held(token) else {
            return Ok(Renewal::Lost);
        };
        let renewed = self
            .queue
            .renew(&[id])
            .await
            .map_err(|error| SourceError(error.to_string()))?;
        Ok(match renewed.first() {
            Some(Renewed::Held {
                cancelled: true, ..
            }) => Renewal::Cancelled,
            Some(Renewed::Held { .. }) => Renewal::Kept { ttl },
            Some(Renewed::Stolen) => Renewal::Stolen,
            Some(Renewed::Lost) | None => Renewal::Lost,
        })
    }

    async fn complete(&self, token: LeaseToken, execution: Execution) -> Result<(), SourceError> {
        let outcome = read(ended(execution));
        self.end(token, outcome).await
    }

    async fn fail(&self, token: LeaseToken, error: ExecuteError) -> Result<(), SourceError> {
        let surroundings = Surroundings {
            alone: self.held(token).is_some_and(|held| held.exclusive),
            memory: self.memory,
        };
        self.end(token, read(broken_off(&error, surroundings)))
            .await
    }

    async fn release(&self, token: LeaseToken) -> Result<(), SourceError> {
        self.end(token, Outcome::Released).await
    }

    fn log(&self, token: LeaseToken, chunk: &[u8]) {
        if let Some(HeldLease { id, .. }) = self.held(token) {
            self.watch.log(&id.key, chunk);
        }
    }

    fn command(&self, _token: LeaseToken, command: &TracedCommand) {
        self.watch.command(command);
    }
}

/// The outcome as the queue of this process takes it. A result that is malformed is the worker's fault.
fn read(outcome: v1::outcome::Outcome) -> Outcome {
    let message = v1::Outcome {
        outcome: Some(outcome),
    };
    convert::outcome(message).unwrap_or_else(|error| Outcome::Crashed {
        reason: error.to_string().into(),
    })
}
