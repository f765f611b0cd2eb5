//! Why a node failed.

use std::fmt;
use std::sync::Arc;

use gofarm_proto::Digest;

use super::{ActionResult, Attempt};

/// Why a node has no result. Its dependents are skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A step of the action exited with a non-zero code; the log says why.
    #[error("exit status {}", result.exit_code)]
    Action {
        /// With the log.
        result: Arc<ActionResult>,
    },
    /// Worker after worker could not bring it to an end.
    #[error("gave up after {} attempts: {}", history.len(), History(history))]
    AttemptsUsedUp {
        /// Oldest first.
        history: Box<[Attempt]>,
    },
    /// Killed for lack of memory, also when it ran alone.
    #[error(
        "{}; give the worker more memory, or let less run on its machine",
        Alone(history)
    )]
    OutOfMemory {
        /// Oldest first; the last ran alone.
        history: Box<[Attempt]>,
    },
    /// A blob that no action of this build makes is not in the store.
    #[error(
        "blob {digest} is not in the store and no action of this build makes it; submit the build again to upload it"
    )]
    MissingBlob {
        /// The blob.
        digest: Digest,
    },
    /// A blob was made again and again and was missing each time.
    #[error(
        "blob {digest} is not in the store although {producer} was run {reruns} times more to make it; the store loses blobs"
    )]
    LostAgain {
        /// The blob.
        digest: Digest,
        /// Label of the action that makes it.
        producer: Arc<str>,
        /// How often it was run again.
        reruns: u32,
    },
    /// The action that should have made an input did not.
    #[error("{producer} made no output {output:?}, which this action reads")]
    MissingOutput {
        /// Label of the action that should have.
        producer: Arc<str>,
        /// Name of the output.
        output: Arc<str>,
    },
    /// No worker could ever take it.
    #[error("no worker can run this: {reason}")]
    Unplaceable {
        /// What it needs and what there is.
        reason: Arc<str>,
    },
}

/// Whose trouble a failure is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// The source does not build.
    User,
    /// The farm, the machine or its store.
    Environment,
    /// The graph or the plan is wrong: a bug of ours.
    Bug,
}

impl Failure {
    /// Whose trouble it is.
    pub fn class(&self) -> FailureClass {
        match self {
            Failure::Action { .. } => FailureClass::User,
            Failure::MissingOutput { .. } => FailureClass::Bug,
            Failure::AttemptsUsedUp { .. }
            | Failure::OutOfMemory { .. }
            | Failure::MissingBlob { .. }
            | Failure::LostAgain { .. }
            | Failure::Unplaceable { .. } => FailureClass::Environment,
        }
    }
}

struct History<'a>(&'a [Attempt]);

impl fmt::Display for History<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let worker = attempt.worker.as_deref().unwrap_or("unknown worker");
            write!(f, "{separator}{worker}: {}", attempt.reason)?;
        }
        Ok(())
    }
}

/// The attempt that decides. Those before it ran out of memory in company, or say nothing about memory.
struct Alone<'a>(&'a [Attempt]);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(attempt) = self.0.last() else {
            return f.write_str("out of memory, also when run alone");
        };
        f.write_str(&attempt.reason)?;
        match &attempt.worker {
            Some(worker) => write!(f, ", although worker {worker} ran nothing else"),
            None => f.write_str(", although nothing else ran beside it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_told() {
        let attempt = |worker: Option<&str>, reason: &str| Attempt {
            worker: worker.map(Into::into),
            reason: reason.into(),
        };
        let failure = Failure::AttemptsUsedUp {
            history: [
                attempt(Some("w1"), "lease lost"),
                attempt(None, "worker panicked"),
            ]
            .into(),
        };
        assert_eq!(
            failure.to_string(),
            "gave up after 2 attempts: w1: lease lost, unknown worker: worker panicked"
        );
        assert_eq!(failure.class(), FailureClass::Environment);
    }
}
