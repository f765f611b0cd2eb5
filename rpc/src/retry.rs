//! Making a call again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;
use uuid::Uuid;

use crate::connection::Connection;
use crate::error::RpcError;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait between tries: twice as long each time, up to five seconds, and never twice the same, so that
/// all the workers of a farm do not come back in one moment.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new()
    }
}

impl Backoff {
    /// Begins with a wait of at most 50 ms.
    pub fn new() -> Backoff {
        Backoff { next: FIRST }
    }

    /// Something went well: the next wait is a short one.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits before the next try. False, at once, when there is no time left for one.
    pub async fn wait(&mut self, deadline: Instant) -> bool {
        let pause = self.next.mul_f64(0.5 + random() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        if Instant::now() + pause >= deadline {
            return false;
        }
        sleep(pause).await;
        true
    }
}

/// From 0 up to 1. A random UUID has more than 32 random bits at its end, and making one is what this crate can do
/// already.
pub(crate) fn random() -> f64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    (low & u64::from(u32::MAX)) as f64 / (f64::from(u32::MAX) + 1.0)
}

impl Connection {
    /// Calls until there is an answer, it is certain that there will be none, or the deadline comes. `what` completes
    /// "cannot ... at the farm".
    ///
    /// The call must be one that may be made twice: a connection can break after the farm has carried it out.
    ///
    /// # Errors
    ///
    /// The farm's refusal, or the last thing that went wrong before the deadline.
    pub async fn retry<T, Answer>(
        &self,
        what: &'static str,
        deadline: Instant,
        mut call: impl FnMut() -> Answer,
    ) -> Result<T, RpcError>
    where
        Answer: Future<Output = Result<T, Status>>,
    {
        let mut backoff = Backoff::new();
        let mut last = None;
        loop {
            let error = match timeout_at(deadline, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => self.error(what, status),
                Err(_) => return Err(last.unwrap_or_else(|| self.too_late(what))),
            };
            if !error.is_transient() {
                return Err(error);
            }
            tracing::debug!(%error, "trying again");
            if !backoff.wait(deadline).await {
                return Err(error);
            }
            last = Some(error);
        }
    }

    pub(crate) fn too_late(&self, what: &'static str) -> RpcError {
        self.unreachable(what, "no answer in time".to_owned())
    }
}
