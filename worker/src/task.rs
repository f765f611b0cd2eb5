//! What a worker is asked to do, and what came of it.

use gofarm_proto::{ActionKey, Digest, v1};

/// One action with everything that decides its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What the result will be filed under.
    pub key: ActionKey,
    /// The blob that holds the [`v1::Action`].
    pub definition: Digest,
    /// The digests of the action's produced inputs, in the order of `Action.inputs`.
    pub produced: Vec<Digest>,
    /// Nothing else may run beside it: it ran out of memory once.
    pub exclusive: bool,
}

/// An action that ran to its end, well or badly.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// With an `exit_code` other than 0 the action has failed, by its own doing, and has no outputs.
    pub result: v1::ActionResult,
    /// The action's own name for itself, for messages.
    pub label: String,
    /// Of a failed action: the paths, virtual or of this machine, that its tools asked for and that are not among its
    /// inputs. The log says so too.
    pub undeclared: Vec<String>,
    /// What the worker itself took, microseconds: the whole time of the execution without the time in which tools ran.
    pub overhead_us: u64,
}

impl Execution {
    /// Whether all steps succeeded.
    pub fn succeeded(&self) -> bool {
        self.result.exit_code == 0
    }
}
