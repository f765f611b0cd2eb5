//! One lease from its taking to its end: kept while its task waits or runs, and given up at once when it is not ours any more.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::executor::Executor;
use crate::lease::{Lease, LeaseSource, LeaseToken, Renewal};
use crate::log::{LogSink, TraceSink, TracedCommand};

/// A lease is renewed when this part of its time has passed.
const RENEW_AFTER: u32 = 3;

/// A lease that could not be renewed is taken for lost when only this part of its time is left: the processes must be gone
/// before somebody else has it.
const MARGIN: u32 = 5;

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

/// Executes the task once `begun` is sent to, and reports. Gives the lease back when `begun` is dropped.
pub(crate) async fn hold<S: LeaseSource>(
    source: Arc<S>,
    executor: Executor,
    lease: Lease,
    begun: oneshot::Receiver<()>,
) {
    let cancel = CancellationToken::new();
    let token = lease.token;
    let watch = Watch {
        source: source.clone(),
        token,
    };
    let execution = async {
        tokio::select! {
            begun = begun => begun.ok()?,
            () = cancel.cancelled() => return None,
        }
        Some(
            executor
                .execute(&lease.task, &cancel, &watch, Some(&watch))
                .await,
        )
    };
    tokio::pin!(execution);
    let outcome = tokio::select! {
        biased;
        outcome = &mut execution => outcome,
        why = lost(&*source, &lease) => {
            tracing::info!(%token, task = %lease.task.key, why, "gave up a lease");
            cancel.cancel();
            // Until the last process is reaped. The result, if there still came one, is discarded.
            execution.await;
            return;
        }
    };
    let reported = match outcome {
        None => source.release(token).await,
        Some(Ok(execution)) => source.complete(token, execution).await,
        Some(Err(error)) => source.fail(token, error).await,
    };
    if let Err(error) = reported {
        // The lease expires, and the result, if there is one, is found in the store by the next attempt.
        tracing::warn!(%token, task = %lease.task.key, %error, "cannot report the end of a task");
    }
}

/// Keeps renewing. Returns only when the lease is ours no longer, and says why.
async fn lost<S: LeaseSource>(source: &S, lease: &Lease) -> &'static str {
    let mut ttl = lease.ttl;
    // By our own clock, and from before each question, so that we never believe to have it for longer than the queue does.
    let mut since = Instant::now();
    let mut pause = ttl / RENEW_AFTER;
    loop {
        let end = since + (ttl - ttl / MARGIN);
        tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
        let asked = Instant::now();
        let answer = tokio::time::timeout_at(end.into(), source.renew(lease.token)).await;
        match answer {
            Ok(Ok(Renewal::Kept { ttl: new })) => {
                (ttl, since) = (new, asked);
                pause = ttl / RENEW_AFTER;
            }
            Ok(Ok(Renewal::Lost)) => return "it has expired",
            Ok(Ok(Renewal::Stolen)) => return "it has expired and another worker has the task",
            Ok(Ok(Renewal::Cancelled)) => return "nobody wants the result any more",
            Ok(Err(error)) => {
                tracing::warn!(token = %lease.token, %error, "cannot renew a lease");
                pause = ttl / 20;
            }
            Err(_) => return "it could not be renewed in time",
        }
        if Instant::now() >= since + (ttl - ttl / MARGIN) {
            return "it could not be renewed in time";
        }
    }
}
