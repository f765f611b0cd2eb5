//! What a caller is told when the store refuses.

use gofarm_store::{ErrorClass, StoreError};
use tonic::Status;

/// The status by which a client knows whether to try again, to send the blob again, or to have it made again.
pub(crate) fn refusal(error: StoreError) -> Status {
    let text = error.to_string();
    match &error {
        StoreError::Missing { .. } => return Status::not_found(text),
        StoreError::WrongBytes { .. } => return Status::invalid_argument(text),
        StoreError::Corrupt { .. } => {
            tracing::warn!(%error, "a blob was found damaged");
            return Status::data_loss(text);
        }
        _ => tracing::error!(%error, "the store refuses"),
    }
    match (error.is_full(), error.class()) {
        (true, _) => Status::resource_exhausted(text),
        (_, ErrorClass::Bug) => Status::internal(text),
        _ => Status::unavailable(text),
    }
}
