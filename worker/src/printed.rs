//! What the tools of an action have printed, as its result or an error tells it.

use gofarm_proto::Digest;

/// What the tools of an action have printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    /// All of it: at most [`INLINE_LOG`](gofarm_proto::INLINE_LOG) bytes.
    Inline(Vec<u8>),
    /// The blob of the local store that has it.
    Blob(Digest),
}

impl Default for Printed {
    fn default() -> Printed {
        Printed::Inline(Vec::new())
    }
}
