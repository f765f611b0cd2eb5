//! Where the requests of all waiting workers of a pool are put together into few steps.
//!
//! While one script runs, the requests that come meanwhile gather; the next script serves them together. So the load on
//! Redis grows with the tasks that there are, not with the workers that ask.

use std::sync::Arc;

use gofarm_proto::ActionKey;
use tokio::sync::{mpsc, oneshot};

use super::link::QueueLink;
use super::pools::Pool;
use super::record::decode_task;
use super::returns::{self, Returns};
use super::script;
use gofarm_engine::core::{Millis, Outcome};
use gofarm_queue::{Lease, LeaseId, LeaseRequest, QueueError, QueueOptions};

/// Requests that one script serves: bounds the time that it takes.
const BATCH: usize = 64;

/// Requests that wait for the desk; those beyond wait to be let in.
const QUEUE: usize = 4096;

/// One look for tasks.
pub(super) struct Look {
    /// Its pools are all parts of the desk's pool.
    pub request: LeaseRequest,
    /// The queue is to take note of the worker even when there are no tasks.
    pub note: bool,
    /// It may get second leases of tasks that others have: nothing else is to be had.
    pub seconds: bool,
    pub answer: oneshot::Sender<Result<Vec<Lease>, QueueError>>,
}

/// Key, counter, task, inverted priority, exclusive.
type Given = (Vec<u8>, u64, Vec<u8>, Vec<u8>, u8);

pub(super) struct Desk {
    link: Arc<QueueLink>,
    pool: Arc<Pool>,
    returns: Returns,
    options: QueueOptions,
}

impl Desk {
    /// Opens a desk. It closes when the sender is dropped.
    pub fn open(
        link: Arc<QueueLink>,
        pool: Arc<Pool>,
        returns: Returns,
        options: QueueOptions,
    ) -> mpsc::Sender<Look> {
        let (sender, mut looks) = mpsc::channel(QUEUE);
        let desk = Desk {
            link,
            pool,
            returns,
            options,
        };
        tokio::spawn(async move {
            let mut gathered = Vec::new();
            while looks.recv_many(&mut gathered, QUEUE).await > 0 {
                desk.serve(std::mem::take(&mut gathered)).await;
            }
        });
        sender
    }

    async fn serve(&self, mut looks: Vec<Look>) {
        // Whoever has gone away meanwhile gets nothing.
        looks.retain(|look| !look.answer.is_closed());
        let mut waiting = true;
        while !looks.is_empty() {
            let rest = looks.split_off(looks.len().min(BATCH));
            let batch = std::mem::replace(&mut looks, rest);
            if !waiting && batch.iter().all(|look| !look.note) {
                // They asked before the last look that found that nothing was left.
                for look in batch {
                    let _ = look.answer.send(Ok(Vec::new()));
                }
                continue;
            }
            match self.look(&batch).await {
                Ok((left, answers)) => {
                    waiting = left > 0;
                    for (look, leases) in batch.into_iter().zip(answers) {
                        self.hand_over(look, leases).await;
                    }
                }
                Err(error) => {
                    let reason = match error {
                        QueueError::Unavailable { reason } => reason,
                        other => other.to_string(),
                    };
                    for look in batch {
                        let reason = reason.clone();
                        let _ = look.answer.send(Err(QueueError::Unavailable { reason }));
                    }
                }
            }
        }
    }

    async fn look(&self, batch: &[Look]) -> Result<(u64, Vec<Vec<Lease>>), QueueError> {
        let options = &self.options;
        let answer = self.link.run(&script::LEASE, &self.pool, |call| {
            let patience = options.exclusive_patience;
            for time in [options.lease_ttl, options.worker_ttl, patience] {
                call.arg(time.as_millis() as u64);
            }
            for look in batch {
                let request = &look.request;
                call.arg(&*request.worker);
                let running = request.running.max(usize::from(request.ahead));
                call.arg(request.max).arg(running);
                call.arg(request.free_memory).arg(request.total_memory);
                // Each task has one second lease: it is not for a worker that could not begin at once.
                let seconds = look.seconds && !request.ahead;
                call.arg(u8::from(look.note)).arg(u8::from(seconds));
                call.arg(request.pools.len());
                for part in request.pools.iter() {
                    call.arg(&**part);
                }
            }
        });
        let (incarnation, now, left, answers): (u64, u64, u64, Vec<Vec<Given>>) = answer.await?;
        let leases = |given: Vec<Given>| {
            let leases = given
                .into_iter()
                .filter_map(|given| self.lease(incarnation, now, given));
            leases.collect()
        };
        Ok((left, answers.into_iter().map(leases).collect()))
    }

    fn lease(&self, incarnation: u64, now: u64, given: Given) -> Option<Lease> {
        let (key, counter, task, priority, exclusive) = given;
        self.pool.note(incarnation, counter);
        let read = gofarm_engine::convert::key(&key).and_then(|key: ActionKey| {
            let task = decode_task(key, &task, &priority, exclusive != 0)?;
            Ok((key, task))
        });
        let ttl = self.options.lease_ttl;
        match read {
            Ok((key, task)) => Some(Lease {
                id: LeaseId {
                    key,
                    token: self.pool.token(incarnation, counter),
                },
                task,
                deadline: Millis(now + ttl.as_millis() as u64),
                ttl,
            }),
            Err(error) => {
                // Its lease runs out, which counts as an attempt, so that its build ends.
                tracing::error!(%error, pool = %self.pool.name, "leased a task that cannot be read");
                None
            }
        }
    }

    /// What was taken for someone who is gone by now is given back at once.
    async fn hand_over(&self, look: Look, leases: Vec<Lease>) {
        let Err(Ok(leases)) = look.answer.send(Ok(leases)) else {
            return;
        };
        for lease in leases {
            let released = returns::complete(&self.returns, &lease.id, &Outcome::Released);
            if let Err(error) = released.await {
                tracing::debug!(%error, "giving back a lease failed; it runs out by itself");
            }
        }
    }
}
