//! Why the queue refused.

use gofarm_proto::Digest;

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The lease has run out, was ended, or was given by a queue that has since lost its data. The worker ends the
    /// process group and discards the result.
    #[error("lease lost: it ran out or is not known; end the action and discard its result")]
    Lost,
    /// The same, and another worker has the task by now.
    #[error("lease stolen: another worker holds the task; end the action and discard its result")]
    Stolen,
    /// Blobs of the reported result are not in the store. The lease is still held: upload them and report again.
    #[error("result refused: {} of its blobs are not in the store, the first is {}; upload them and report again", missing.len(), first(missing))]
    NotUploaded {
        /// The blobs.
        missing: Vec<Digest>,
    },
    /// The store could not say whether the outputs are there. The lease is still held.
    #[error("result not accepted: asking the store for its outputs failed: {reason}; report again")]
    StoreUnavailable {
        /// What the store said.
        reason: String,
    },
    /// What was asked for can never be done. Asking again is in vain.
    #[error("refused by the lease queue: {reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// The queue's own storage has no memory left for more tasks. Nothing was changed; what ends frees some.
    #[error("lease queue full: {reason}; tasks that end free some memory, or give it more")]
    Full {
        /// What happened.
        reason: String,
    },
    /// The queue's own storage could not be reached. Whether the change was made is not known.
    #[error("lease queue unavailable: {reason}; try again")]
    Unavailable {
        /// What happened.
        reason: String,
    },
}

fn first(missing: &[Digest]) -> String {
    missing.first().map(Digest::to_string).unwrap_or_default()
}
