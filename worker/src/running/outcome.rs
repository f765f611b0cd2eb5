//! How the run of an action ended, as a farm hears it.

use gofarm_proto::v1;

use crate::causes::with_causes;
use crate::error::ExecuteError;
use crate::printed::Printed;
use crate::task::Execution;

/// The exit code of an action that ran out of its time, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// The exit code of an action that the worker refused to go on with.
const REFUSED: i32 = 1;

/// How an action ended that ran to its end.
pub fn ended(execution: Execution) -> v1::outcome::Outcome {
    match execution.succeeded() {
        true => v1::outcome::Outcome::Succeeded(execution.result),
        false => v1::outcome::Outcome::Failed(execution.result),
    }
}

/// What an action had for itself while it ran. What it means that it ran out of memory depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// Its worker ran nothing else.
    pub alone: bool,
    /// What the worker has for all its tasks, bytes.
    pub memory: u64,
}

/// How an action ended that did not run to its end. A full disk is not decided here.
pub fn broken_off(error: &ExecuteError, surroundings: Surroundings) -> v1::outcome::Outcome {
    use v1::outcome::Outcome;
    match error {
        ExecuteError::MissingInputs(digests) => Outcome::BlobsMissing(v1::BlobsMissing {
            digests: digests.iter().map(|digest| (*digest).into()).collect(),
        }),
        ExecuteError::Cancelled => Outcome::Cancelled(v1::CancelledByRequest {}),
        ExecuteError::OutOfMemory {
            tool, peak_memory, ..
        } => {
            let Surroundings { alone, memory } = surroundings;
            let (peak, memory) = (peak_memory >> 20, memory >> 20);
            Outcome::OutOfMemory(v1::OutOfMemory {
                alone,
                reason: format!(
                    "{tool} was killed or got no more memory when its largest process held {peak} MiB of the {memory} MiB that the worker has"
                ),
            })
        }
        // Facts about the action: another try takes as long, and finds the same.
        ExecuteError::TimedOut { printed, .. } => {
            Outcome::Failed(with_log(failed(TIMED_OUT), printed.clone()))
        }
        ExecuteError::Refused { .. } => {
            let why = format!("{}\n", with_causes(error)).into_bytes();
            Outcome::Failed(with_log(failed(REFUSED), Printed::Inline(why)))
        }
        error => Outcome::Crashed(with_causes(error)),
    }
}

fn failed(exit_code: i32) -> v1::ActionResult {
    v1::ActionResult {
        exit_code,
        ..v1::ActionResult::default()
    }
}

/// A result with what was printed.
pub(crate) fn with_log(result: v1::ActionResult, printed: Printed) -> v1::ActionResult {
    let (log, log_blob) = match printed {
        Printed::Inline(log) => (log, None),
        Printed::Blob(digest) => (Vec::new(), Some(digest.into())),
    };
    v1::ActionResult {
        log,
        log_blob,
        ..result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_refuses_is_not_tried_again() {
        let error = ExecuteError::Refused {
            label: "compile m".into(),
            problem: "collecting /__gofarm__/w/d/x: /__gofarm__/w/d is a symbolic link".into(),
        };
        let surroundings = Surroundings {
            alone: true,
            memory: 1 << 30,
        };
        match broken_off(&error, surroundings) {
            v1::outcome::Outcome::Failed(result) => {
                assert_eq!(result.exit_code, REFUSED);
                assert_eq!(
                    String::from_utf8_lossy(&result.log),
                    "the action \"compile m\" was refused: collecting /__gofarm__/w/d/x: /__gofarm__/w/d is a symbolic link\n"
                );
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn running_out_of_memory_says_of_what_and_whether_it_was_alone() {
        let error = ExecuteError::OutOfMemory {
            label: "link m".into(),
            tool: "link".into(),
            peak_memory: 900 << 20,
            log: Vec::new(),
        };
        for alone in [false, true] {
            let surroundings = Surroundings {
                alone,
                memory: 1 << 30,
            };
            let expected = v1::OutOfMemory {
                alone,
                reason: "link was killed or got no more memory when its largest process held 900 MiB of the 1024 MiB that the worker has".into(),
            };
            assert_eq!(
                broken_off(&error, surroundings),
                v1::outcome::Outcome::OutOfMemory(expected)
            );
        }
    }
}
