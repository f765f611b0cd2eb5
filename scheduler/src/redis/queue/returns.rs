//! Where the ends of leases are put together into few steps, as requests for tasks are at the desk.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::link::{QueueLink, unavailable};
use super::pools::Pool;
use super::{BATCH, held, lease_arguments, record, script};
use gofarm_engine::core::Outcome;
use gofarm_queue::{LeaseId, QueueError};

/// One lease that ends.
pub(super) struct Return {
    lease: LeaseId,
    kind: &'static str,
    outcome: Vec<u8>,
    /// It is true of the action itself, whoever has run it.
    of_the_action: bool,
    answer: oneshot::Sender<Result<Arc<str>, QueueError>>,
}

/// Ends that wait for the step before; those beyond wait to be let in.
const QUEUE: usize = 4096;

/// Where leases of a pool are returned.
pub(super) type Returns = mpsc::Sender<Return>;

/// Opens for the leases of a pool. It closes when the sender is dropped.
pub(super) fn open(link: Arc<QueueLink>, pool: Arc<Pool>) -> Returns {
    let (sender, mut returns) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut batch: Vec<Return> = Vec::new();
        while returns.recv_many(&mut batch, BATCH).await > 0 {
            let answer = link.run(&script::COMPLETE, &pool, |call| {
                for one in &batch {
                    lease_arguments(&one.lease, call);
                    call.arg(one.kind).arg(u8::from(one.of_the_action));
                    call.arg(&one.outcome);
                }
            });
            let states: Result<Vec<(String, String)>, QueueError> = answer.await;
            for (at, one) in batch.drain(..).enumerate() {
                let answer = match &states {
                    Ok(states) => match states.get(at) {
                        Some((state, worker)) => held(state).map(|()| worker.as_str().into()),
                        None => Err(QueueError::Lost),
                    },
                    Err(QueueError::Unavailable { reason }) => Err(QueueError::Unavailable {
                        reason: reason.clone(),
                    }),
                    Err(other) => Err(unavailable("ending a lease", other)),
                };
                // Whoever has gone away meanwhile asks again, and hears that it is lost.
                let _ = one.answer.send(answer);
            }
        }
    });
    sender
}

/// Ends a lease, and says who held it.
pub(super) async fn complete(
    returns: &Returns,
    lease: &LeaseId,
    outcome: &Outcome,
) -> Result<Arc<str>, QueueError> {
    let (kind, bytes) = record::encode_outcome(outcome, lease.token);
    let (answer, answered) = oneshot::channel();
    let one = Return {
        lease: *lease,
        kind,
        outcome: bytes,
        of_the_action: matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_)),
        answer,
    };
    let closed = || unavailable("ending a lease", "closed");
    returns.send(one).await.map_err(|_| closed())?;
    answered.await.map_err(|_| closed())?
}
