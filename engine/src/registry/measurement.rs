//! What executions took.

use std::sync::Arc;

use gofarm_proto::v1;

use crate::core::Estimate;

/// What an execution took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The import path.
    pub package: Arc<str>,
    /// What the action does.
    pub kind: v1::Kind,
    /// Time and memory.
    pub measured: Estimate,
}
