//! What the lease queue asks before it believes a result.

use async_trait::async_trait;
use gofarm_proto::Digest;
use gofarm_store::FarmStore;

use crate::queue::BlobPresence;

/// Answers for the store of the farm.
#[derive(Debug, Clone)]
pub struct Presence(FarmStore);

impl Presence {
    /// Asks this store.
    pub fn new(store: FarmStore) -> Presence {
        Presence(store)
    }
}

#[async_trait]
impl BlobPresence for Presence {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        self.0
            .missing(digests.to_vec())
            .await
            .map_err(|error| error.to_string())
    }
}
