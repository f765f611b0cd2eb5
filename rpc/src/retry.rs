//! Making a call again.

use std::future::Future;

use gofarm_timing::Backoff;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::connection::Connection;
use crate::error::RpcError;

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
        let mut backoff = Backoff::default();
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
            if !backoff.wait_before(deadline).await {
                return Err(error);
            }
            last = Some(error);
        }
    }

    pub(crate) fn too_late(&self, what: &'static str) -> RpcError {
        self.unreachable(what, "no answer in time".to_owned())
    }
}
