//! Whether blobs are in the store.

use async_trait::async_trait;
use gofarm_proto::Digest;

/// What a queue asks before it believes a result: upload comes before complete.
#[async_trait]
pub trait BlobPresence: Send + Sync {
    /// Those of the blobs that are not in the store.
    ///
    /// # Errors
    ///
    /// A text for a person when the store cannot be asked.
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String>;
}
