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

/// Each reason once, in the order in which they first came, behind the workers that it came from: a reason may be a long text, and
/// mostly all attempts have the same.
struct History<'a>(&'a [Attempt]);

impl fmt::Display for History<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<(&str, Vec<(&str, usize)>)> = Vec::new();
        for attempt in self.0 {
            let worker = attempt.worker.as_deref().unwrap_or("unknown worker");
            let workers = entry(&mut told, &attempt.reason);
            *entry(workers, worker) += 1;
        }
        for (at, (reason, workers)) in told.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            for (at, (worker, times)) in workers.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { " and " })?;
                f.write_str(worker)?;
                if *times > 1 {
                    write!(f, " ({times} times)")?;
                }
            }
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

/// What stands under a name; a new one comes last. There are a few only.
fn entry<'t, 'a, T: Default>(told: &'t mut Vec<(&'a str, T)>, name: &'a str) -> &'t mut T {
    let at = match told.iter().position(|(other, _)| *other == name) {
        Some(at) => at,
        None => {
            told.push((name, T::default()));
            told.len() - 1
        }
    };
    &mut told[at].1
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

    #[test]
    fn a_reason_of_several_attempts_is_told_once() {
        let told = |attempts: &[(&str, &str)]| {
            let attempts = attempts.iter().map(|(worker, reason)| Attempt {
                worker: Some((*worker).into()),
                reason: (*reason).into(),
            });
            let history = attempts.collect();
            Failure::AttemptsUsedUp { history }.to_string()
        };
        let why = "starting wrap: no such file";
        assert_eq!(
            told(&[("embedded", why); 3]),
            format!("gave up after 3 attempts: embedded (3 times): {why}")
        );
        assert_eq!(
            told(&[("w1", why), ("w2", "lease lost"), ("w2", why), ("w1", why)]),
            format!("gave up after 4 attempts: w1 (2 times) and w2: {why}, w2: lease lost")
        );
    }
}
