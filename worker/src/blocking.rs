//! Work that waits for the disk, away from the threads of the runtime.

use crate::error::{ExecuteError, Result};

/// Runs what waits for the disk on a thread where that harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(ExecuteError::Cancelled),
    }
}
