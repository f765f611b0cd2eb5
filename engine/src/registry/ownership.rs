//! Whose build it is.

use std::sync::Arc;

use gofarm_proto::v1;

use crate::core::BuildId;

/// The proof that a replica owns a build, shown with every change to it.
///
/// The epoch goes up whenever the build changes hands. It starts over when the registry loses its data, so the owner,
/// whose name is another one after each start of its process, is part of the proof: what was written before the loss
/// never fits what comes after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// What is owned.
    pub build: BuildId,
    /// By whom.
    pub owner: Arc<str>,
    /// Since which change of hands.
    pub epoch: u64,
}

/// A duty that one replica has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Goes up whenever the duty changes hands.
    pub epoch: u64,
    /// When it was last done, milliseconds since the epoch; 0 when that is not known.
    pub done_ms: u64,
}

/// What a renewal found.
#[derive(Clone, Debug, PartialEq)]
pub enum Tenure {
    /// Still owned, also when it ran out and nobody took it.
    Held {
        /// The last event that the registry has. Less than the owner has written: the registry lost data.
        last: u64,
        /// Somebody wants the build to end. Told each time.
        cancelled: bool,
        /// What watchers said since the last renewal. Told once; the owner does not rely on it.
        provided: Vec<v1::ProvideRequest>,
    },
    /// Another replica owns it, or may take it at once. This one touches it no more.
    Lost,
    /// The registry does not know the build: it lost its data, and the owner writes all of it again.
    Unknown,
}
