//! One lease from its taking to its end: kept while its task waits or runs, and given up at once when it is not ours any more.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, LeaseSource, LeaseToken, Lost, SourceError};
use crate::error::{ExecuteError, Result};
use crate::logs::{LogSink, TraceSink, TracedCommand};
use crate::running::Executor;
use crate::task::Execution;

/// An execution that finds inputs gone or changed, although they were there when it was prepared, is begun anew so often.
const REFETCHES: u32 = 3;

/// What a worker tells a lease, and hears of it.
pub(crate) struct Orders {
    /// The task has room, and begins. When the sender is dropped instead, the lease is given back.
    pub begun: oneshot::Receiver<()>,
    /// Whatever runs is broken off, and the lease given back.
    pub give_back: CancellationToken,
    /// Is sent the id of the tokio task when no process runs any more: what is left to do needs no room.
    pub ran: mpsc::Sender<tokio::task::Id>,
}

/// Sends what the tools print, and which they are, to the queue.
struct Watch<S> {
    source: Arc<S>,
    token: LeaseToken,
}

impl<S: LeaseSource> LogSink for Watch<S> {
    fn log(&self, chunk: &[u8]) {
        self.source.log(self.token, chunk);
    }
}

impl<S: LeaseSource> TraceSink for Watch<S> {
    fn command(&self, command: &TracedCommand) {
        self.source.command(self.token, command);
    }
}

/// Fetches what the task needs, executes it once it has room, and reports.
pub(crate) async fn hold<S: LeaseSource>(
    source: Arc<S>,
    executor: Executor,
    lease: Lease,
    orders: Orders,
) {
    let cancel = CancellationToken::new();
    let token = lease.token;
    // A panic fails this attempt, as a crash of the worker would, and harms no other action. What it left running is gone
    // before anything is told.
    let execution = async {
        let performed = perform(&source, &executor, &lease, orders.begun, &cancel);
        let performed = AssertUnwindSafe(performed).catch_unwind().await;
        performed.unwrap_or_else(|panic| {
            let why = panic.downcast_ref::<&str>().map(|why| why.to_string());
            let why = why.or_else(|| panic.downcast_ref::<String>().cloned());
            let why = why.unwrap_or_else(|| "it does not say why".to_owned());
            Some(Err(ExecuteError::Panicked(why)))
        })
    };
    tokio::pin!(execution);
    let reported = tokio::select! {
        biased;
        outcome = &mut execution => {
            // The room may be used by another while this one is reported. When nobody listens, nobody waits for room.
            let _ = orders.ran.send(tokio::task::id()).await;
            report(&*source, token, outcome).await
        }
        why = source.lost(&lease) => {
            tracing::info!(lease = %token, key = %lease.task.key, %why, "gave up a lease");
            cancel.cancel();
            // Until the last process is reaped. The result, if there still came one, is discarded.
            execution.await;
            match why {
                Lost::Cancelled => source.fail(token, ExecuteError::Cancelled).await,
                Lost::Expired | Lost::Stolen | Lost::NotRenewed => return,
            }
        }
        () = orders.give_back.cancelled() => {
            cancel.cancel();
            match execution.await {
                // It was just at its end.
                Some(Ok(execution)) => source.complete(token, execution).await,
                _ => source.release(token).await,
            }
        }
    };
    if let Err(error) = reported {
        // The lease expires, and the result, if there is one, is found in the store by the next attempt.
        tracing::warn!(lease = %token, key = %lease.task.key, %error, "cannot report the end of a task");
    }
}

/// `None`: it was not begun.
async fn perform<S: LeaseSource>(
    source: &Arc<S>,
    executor: &Executor,
    lease: &Lease,
    mut begun: oneshot::Receiver<()>,
    cancel: &CancellationToken,
) -> Option<Result<Execution>> {
    let fetched = async {
        let fetch = source.fetch(lease);
        tokio::pin!(fetch);
        tokio::select! {
            begin = &mut begun => {
                begin.ok()?;
                Some(fetch.await)
            }
            fetched = &mut fetch => {
                if fetched.is_ok() {
                    begun.await.ok()?;
                }
                Some(fetched)
            }
        }
    };
    let fetched = tokio::select! {
        fetched = fetched => fetched?,
        () = cancel.cancelled() => return None,
    };
    if let Err(error) = fetched {
        return Some(Err(error));
    }
    let watch = Watch {
        source: source.clone(),
        token: lease.token,
    };
    let mut refetches = 0;
    loop {
        let outcome = executor
            .execute(&lease.task, cancel, &watch, Some(&watch))
            .await;
        match outcome {
            Err(ref error @ (ExecuteError::MissingInputs(_) | ExecuteError::InputsChanged(_)))
                if refetches < REFETCHES =>
            {
                refetches += 1;
                if let ExecuteError::InputsChanged(_) = error {
                    tracing::warn!(lease = %lease.token, key = %lease.task.key, %error, "an action is run again");
                }
                let again = tokio::select! {
                    again = source.fetch(lease) => again,
                    () = cancel.cancelled() => Err(ExecuteError::Cancelled),
                };
                match again {
                    Ok(true) => {}
                    Ok(false) if matches!(outcome, Err(ExecuteError::MissingInputs(_))) => {
                        return Some(outcome);
                    }
                    // What was changed may be whole again, or is found missing when the action begins.
                    Ok(false) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            outcome => return Some(outcome),
        }
    }
}

async fn report<S: LeaseSource>(
    source: &S,
    token: LeaseToken,
    outcome: Option<Result<Execution>>,
) -> Result<(), SourceError> {
    match outcome {
        None => source.release(token).await,
        Some(Ok(execution)) => source.complete(token, execution).await,
        Some(Err(error)) => source.fail(token, error).await,
    }
}
