//! Why the registry could not answer.

/// Whether a change was made is not known; every call may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The storage could not be reached, or would not do it now.
    #[error("registry: {call} failed: {reason}; trying again helps once Redis answers")]
    Unavailable {
        /// What was tried.
        call: &'static str,
        /// What happened.
        reason: String,
    },
    /// The storage has no memory left for more builds. Nothing was changed.
    #[error(
        "registry: {call} failed: {reason}; builds that end free some memory, or give Redis more (maxmemory)"
    )]
    Full {
        /// What was tried.
        call: &'static str,
        /// What happened.
        reason: String,
    },
    /// What is stored is not what this version writes.
    #[error(
        "registry: {what} cannot be read: {reason}; replicas of different versions share one Redis"
    )]
    Malformed {
        /// Of what.
        what: String,
        /// What is wrong.
        reason: String,
    },
}
