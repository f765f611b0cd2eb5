//! What the lease queue asks before it believes a result.

use async_trait::async_trait;
use gofarm_proto::Digest;

use crate::metrics::MeteredStore;
use gofarm_queue::BlobPresence;

/// Answers for the store of the farm.
#[derive(Debug, Clone)]
pub struct Presence(MeteredStore);

impl Presence {
    /// Asks this store.
    pub fn new(store: impl Into<MeteredStore>) -> Presence {
        Presence(store.into())
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
