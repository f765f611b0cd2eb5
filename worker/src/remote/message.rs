//! What the farm says, as the worker's own types, and back.

use std::time::Duration;

use gofarm_daemon::Place;
use gofarm_proto::{ActionKey, Digest, v1};

use crate::leasing::ASSUMED_MEMORY;
use crate::task::Task;

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
    /// On whose account it runs, and whether spans are wanted.
    pub trace: Option<(Place, bool)>,
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
        trace: Place::parse(&task.trace).ok(),
        id,
    })
}

/// The blobs that are to be in the farm's store before this is told: the outputs of a success, and what was printed where that
/// is long.
pub(super) fn blobs(outcome: &v1::outcome::Outcome) -> Vec<Digest> {
    use v1::outcome::Outcome;
    let (result, outputs) = match outcome {
        Outcome::Succeeded(result) => (result, &result.outputs[..]),
        Outcome::Failed(result) => (result, &[][..]),
        _ => return Vec::new(),
    };
    let digests = outputs.iter().filter_map(|output| output.digest.as_ref());
    let digests = digests.chain(&result.log_blob);
    // Made from digests by the executor itself.
    digests
        .filter_map(|digest| Digest::try_from(digest).ok())
        .collect()
}
