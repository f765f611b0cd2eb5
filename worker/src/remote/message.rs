//! What the farm says, as the worker's own types, and back.

use std::error::Error;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};

use crate::error::ExecuteError;
use crate::task::{Execution, Task};

/// Assumed for an action that was never measured, bytes: most compiles take less. The queue assumes the same.
const ASSUMED_MEMORY: u64 = 256 << 20;

/// The exit code of an action that ran out of its time, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// A lease, read.
#[derive(Debug)]
pub(super) struct Granted {
    pub id: v1::LeaseId,
    pub incarnation: u64,
    pub task: Task,
    pub label: String,
    pub attempt: u32,
    pub memory: u64,
    pub ttl: Duration,
}

/// Reads a lease; the error says what is wrong with it.
pub(super) fn granted(message: v1::Lease) -> Result<Granted, String> {
    let id = message.id.ok_or("a lease without an id")?;
    let token = id.token.ok_or("a lease without a token")?;
    let task = message.task.ok_or("a lease without a task")?;
    let definition = task.definition.ok_or("a task without a definition")?;
    let digest = |digest: &v1::Digest| Digest::try_from(digest).map_err(|error| error.to_string());
    let key = id.key.as_slice().try_into();
    Ok(Granted {
        incarnation: token.incarnation,
        task: Task {
            key: ActionKey(key.map_err(|_| "a lease whose key is not 32 bytes long")?),
            definition: digest(&definition)?,
            produced: task.produced.iter().map(digest).collect::<Result<_, _>>()?,
            exclusive: task.exclusive,
        },
        label: task.label,
        attempt: task.attempt,
        memory: match task.memory_estimate {
            0 => ASSUMED_MEMORY,
            bytes => bytes,
        },
        ttl: Duration::from_millis(message.ttl_ms),
        id,
    })
}

/// How an action ended that ran to its end.
pub(super) fn ended(execution: Execution) -> v1::outcome::Outcome {
    match execution.succeeded() {
        true => v1::outcome::Outcome::Succeeded(execution.result),
        false => v1::outcome::Outcome::Failed(execution.result),
    }
}

/// The digests of a result's outputs.
pub(super) fn outputs(result: &v1::ActionResult) -> Vec<Digest> {
    let digests = result
        .outputs
        .iter()
        .filter_map(|output| output.digest.as_ref());
    // Made from digests by the executor itself.
    digests
        .filter_map(|digest| Digest::try_from(digest).ok())
        .collect()
}

/// How an action ended that did not run to its end. A full disk is not decided here.
pub(super) fn broken_off(error: &ExecuteError) -> v1::outcome::Outcome {
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

/// The text of an error and of its causes, leaving out causes that the text before already quotes.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
