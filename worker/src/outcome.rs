//! How the run of an action ended, as a farm hears it.

use gofarm_proto::v1;

use crate::causes::with_causes;
use crate::error::ExecuteError;
use crate::task::Execution;

/// The exit code of an action that ran out of its time, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// How an action ended that ran to its end.
pub fn ended(execution: Execution) -> v1::outcome::Outcome {
    match execution.succeeded() {
        true => v1::outcome::Outcome::Succeeded(execution.result),
        false => v1::outcome::Outcome::Failed(execution.result),
    }
}

/// How an action ended that did not run to its end. A full disk is not decided here.
pub fn broken_off(error: &ExecuteError) -> v1::outcome::Outcome {
    use v1::outcome::Outcome;
    match error {
        ExecuteError::MissingInputs(digests) => Outcome::BlobsMissing(v1::BlobsMissing {
            digests: digests.iter().map(|digest| (*digest).into()).collect(),
        }),
        ExecuteError::Cancelled => Outcome::Cancelled(v1::CancelledByRequest {}),
        ExecuteError::OutOfMemory { .. } => Outcome::OutOfMemory(v1::OutOfMemory {}),
        // A fact about the action: another try takes as long.
        ExecuteError::TimedOut { log, .. } => {
            let mut log = log.clone();
            log.extend_from_slice(with_causes(error).as_bytes());
            log.push(b'\n');
            Outcome::Failed(v1::ActionResult {
                exit_code: TIMED_OUT,
                log,
                ..v1::ActionResult::default()
            })
        }
        error => Outcome::Crashed(with_causes(error)),
    }
}
