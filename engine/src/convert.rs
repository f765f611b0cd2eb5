//! What the core says, as messages, and back.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, ParseDigestError, v1};

use crate::core::{
    ActionResult, Attempt, BuildResult, BuildSummary, Counts, Failure, MalformedResult, NodeEvent,
    NodeId, Outcome, Resolution,
};

/// A message that no receiver may use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error("message without {0}")]
    Without(&'static str),
    /// An enum's number is not one that this version knows.
    #[error("unknown {0} in a message")]
    Unknown(&'static str),
    /// A key that is not 32 bytes long.
    #[error("an action key of {0} bytes instead of 32")]
    Key(usize),
    /// A digest that is not one.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
    /// A result that is not one.
    #[error(transparent)]
    Result(#[from] MalformedResult),
}

/// Reads an action key.
pub fn key(bytes: &[u8]) -> Result<ActionKey, Malformed> {
    let key = bytes.try_into().map_err(|_| Malformed::Key(bytes.len()))?;
    Ok(ActionKey(key))
}

/// Reads digests.
pub fn digests(messages: &[v1::Digest]) -> Result<Vec<Digest>, Malformed> {
    let read = |message| Digest::try_from(message).map_err(Malformed::from);
    messages.iter().map(read).collect()
}

/// Writes an outcome. `None` for those that only the queue itself comes to.
pub fn outcome_message(outcome: &Outcome) -> Option<v1::Outcome> {
    use v1::outcome::Outcome as Message;
    let outcome = match outcome {
        Outcome::Succeeded(result) => Message::Succeeded(v1::ActionResult::from(&**result)),
        Outcome::Failed(result) => Message::Failed(v1::ActionResult::from(&**result)),
        Outcome::Crashed { reason } => Message::Crashed(reason.to_string()),
        Outcome::OutOfMemory { alone, reason } => Message::OutOfMemory(v1::OutOfMemory {
            alone: *alone,
            reason: reason.to_string(),
        }),
        Outcome::BlobsMissing(digests) => Message::BlobsMissing(v1::BlobsMissing {
            digests: digests.iter().map(|digest| (*digest).into()).collect(),
        }),
        Outcome::Released => Message::Released(v1::Released::default()),
        Outcome::Cancelled => Message::Cancelled(v1::CancelledByRequest {}),
        Outcome::LostLease | Outcome::Unplaceable { .. } => return None,
    };
    Some(v1::Outcome {
        outcome: Some(outcome),
    })
}

/// Reads an outcome.
pub fn outcome(message: v1::Outcome) -> Result<Outcome, Malformed> {
    use v1::outcome::Outcome as Message;
    Ok(
        match message.outcome.ok_or(Malformed::Without("an outcome"))? {
            Message::Succeeded(result) => Outcome::Succeeded(Arc::new(result.try_into()?)),
            Message::Failed(result) => Outcome::Failed(Arc::new(result.try_into()?)),
            Message::Crashed(reason) => Outcome::Crashed {
                reason: reason.into(),
            },
            Message::OutOfMemory(v1::OutOfMemory { alone, reason }) => Outcome::OutOfMemory {
                alone,
                reason: reason.into(),
            },
            Message::BlobsMissing(missing) => {
                Outcome::BlobsMissing(digests(&missing.digests)?.into())
            }
            Message::Released(_) => Outcome::Released,
            Message::Cancelled(_) => Outcome::Cancelled,
        },
    )
}

/// Writes what became of a node.
pub fn node_event_message(node: NodeId, event: &NodeEvent) -> v1::NodeEvent {
    use v1::node_event::Event as Message;
    let event = match event {
        NodeEvent::Queued => Message::Queued(v1::Queued {}),
        NodeEvent::Started { worker } => Message::Started(v1::Started {
            worker: worker.to_string(),
        }),
        NodeEvent::Finished { how, key, result } => Message::Finished(v1::NodeFinished {
            resolution: resolution_message(*how).into(),
            key: key.0.to_vec(),
            result: Some(v1::ActionResult::from(&**result)),
        }),
        NodeEvent::Failed { failure } => Message::Failed(failure_message(failure)),
        NodeEvent::Skipped { waits_for } => Message::Skipped(v1::Skipped {
            waits_for: waits_for.to_string(),
        }),
        NodeEvent::Cancelled => Message::Cancelled(v1::Cancelled {}),
        NodeEvent::Reopened { lost } => Message::Reopened(v1::Reopened { lost: *lost }),
        NodeEvent::Nondeterministic {
            key,
            outputs,
            first,
            second,
        } => Message::Nondeterministic(v1::Nondeterministic {
            key: key.0.to_vec(),
            outputs: outputs.iter().map(|name| name.to_string()).collect(),
            first: first.as_deref().cloned(),
            second: second.as_deref().cloned(),
        }),
    };
    v1::NodeEvent {
        node: node.0,
        event: Some(event),
    }
}

/// Reads what became of a node.
pub fn node_event(message: v1::NodeEvent) -> Result<(NodeId, NodeEvent), Malformed> {
    use v1::node_event::Event as Message;
    let event = match message.event.ok_or(Malformed::Without("an event"))? {
        Message::Queued(_) => NodeEvent::Queued,
        Message::Started(started) => NodeEvent::Started {
            worker: started.worker.into(),
        },
        Message::Finished(finished) => NodeEvent::Finished {
            how: resolution(finished.resolution())?,
            key: key(&finished.key)?,
            result: Arc::new(result(finished.result)?),
        },
        Message::Failed(message) => NodeEvent::Failed {
            failure: Arc::new(failure(message)?),
        },
        Message::Skipped(skipped) => NodeEvent::Skipped {
            waits_for: skipped.waits_for.into(),
        },
        Message::Cancelled(_) => NodeEvent::Cancelled,
        Message::Reopened(reopened) => NodeEvent::Reopened {
            lost: reopened.lost,
        },
        Message::Nondeterministic(message) => NodeEvent::Nondeterministic {
            key: key(&message.key)?,
            outputs: message.outputs.into_iter().map(Arc::from).collect(),
            first: message.first.map(Arc::new),
            second: message.second.map(Arc::new),
        },
    };
    Ok((NodeId(message.node), event))
}

fn resolution_message(how: Resolution) -> v1::Resolution {
    match how {
        Resolution::Executed => v1::Resolution::Executed,
        Resolution::Cached => v1::Resolution::Cached,
        Resolution::Joined => v1::Resolution::Joined,
    }
}

fn resolution(message: v1::Resolution) -> Result<Resolution, Malformed> {
    match message {
        v1::Resolution::Executed => Ok(Resolution::Executed),
        v1::Resolution::Cached => Ok(Resolution::Cached),
        v1::Resolution::Joined => Ok(Resolution::Joined),
        v1::Resolution::Unspecified => Err(Malformed::Unknown("resolution")),
    }
}

fn result(message: Option<v1::ActionResult>) -> Result<ActionResult, Malformed> {
    Ok(message.ok_or(Malformed::Without("a result"))?.try_into()?)
}

/// Writes why a node failed.
pub fn failure_message(failure: &Failure) -> v1::Failure {
    use v1::failure::Reason as Message;
    let reason = match failure {
        Failure::Action { result } => Message::Action(v1::ActionResult::from(&**result)),
        Failure::AttemptsUsedUp { history } => Message::Attempts(attempts_message(history)),
        Failure::OutOfMemory { history } => Message::OutOfMemory(attempts_message(history)),
        Failure::MissingBlob { digest } => Message::MissingBlob((*digest).into()),
        Failure::LostAgain {
            digest,
            producer,
            reruns,
        } => Message::LostAgain(v1::LostAgain {
            digest: Some((*digest).into()),
            producer: producer.to_string(),
            reruns: *reruns,
        }),
        Failure::MissingOutput { producer, output } => Message::MissingOutput(v1::MissingOutput {
            producer: producer.to_string(),
            output: output.to_string(),
        }),
        Failure::Unplaceable { reason } => Message::Unplaceable(reason.to_string()),
    };
    v1::Failure {
        reason: Some(reason),
    }
}

/// Reads why a node failed.
pub fn failure(message: v1::Failure) -> Result<Failure, Malformed> {
    use v1::failure::Reason as Message;
    Ok(
        match message.reason.ok_or(Malformed::Without("a reason"))? {
            Message::Action(message) => Failure::Action {
                result: Arc::new(message.try_into()?),
            },
            Message::Attempts(message) => Failure::AttemptsUsedUp {
                history: attempts(message),
            },
            Message::OutOfMemory(message) => Failure::OutOfMemory {
                history: attempts(message),
            },
            Message::MissingBlob(digest) => Failure::MissingBlob {
                digest: Digest::try_from(&digest)?,
            },
            Message::LostAgain(lost) => Failure::LostAgain {
                digest: Digest::try_from(&lost.digest.ok_or(Malformed::Without("a digest"))?)?,
                producer: lost.producer.into(),
                reruns: lost.reruns,
            },
            Message::MissingOutput(missing) => Failure::MissingOutput {
                producer: missing.producer.into(),
                output: missing.output.into(),
            },
            Message::Unplaceable(reason) => Failure::Unplaceable {
                reason: reason.into(),
            },
        },
    )
}

fn attempts_message(history: &[Attempt]) -> v1::Attempts {
    let attempt = |attempt: &Attempt| v1::Attempt {
        worker: attempt.worker.as_deref().unwrap_or_default().to_owned(),
        reason: attempt.reason.to_string(),
    };
    v1::Attempts {
        attempts: history.iter().map(attempt).collect(),
    }
}

fn attempts(message: v1::Attempts) -> Box<[Attempt]> {
    let attempt = |attempt: v1::Attempt| Attempt {
        worker: (!attempt.worker.is_empty()).then(|| attempt.worker.into()),
        reason: attempt.reason.into(),
    };
    message.attempts.into_iter().map(attempt).collect()
}

/// Writes how a build ended.
pub fn summary_message(summary: &BuildSummary) -> v1::BuildFinished {
    let kinds = summary.kinds.iter().map(|(kind, counts)| v1::KindCounts {
        kind: (*kind).into(),
        counts: Some(counts_message(counts)),
    });
    v1::BuildFinished {
        result: build_result_message(summary.result).into(),
        counts: Some(counts_message(&summary.counts)),
        kinds: kinds.collect(),
        wall_ms: summary.wall_ms,
        critical_path_ms: summary.critical_path_ms,
        critical_path: summary.critical_path.iter().map(|node| node.0).collect(),
    }
}

/// Reads how a build ended.
pub fn summary(message: &v1::BuildFinished) -> Result<BuildSummary, Malformed> {
    let kind = |kind: &v1::KindCounts| {
        let number = v1::Kind::try_from(kind.kind).map_err(|_| Malformed::Unknown("kind"))?;
        Ok((number, counts(kind.counts)?))
    };
    Ok(BuildSummary {
        result: match message.result() {
            v1::BuildResult::Succeeded => BuildResult::Succeeded,
            v1::BuildResult::Failed => BuildResult::Failed,
            v1::BuildResult::Cancelled => BuildResult::Cancelled,
            v1::BuildResult::Unspecified => return Err(Malformed::Unknown("build result")),
        },
        counts: counts(message.counts)?,
        kinds: message
            .kinds
            .iter()
            .map(kind)
            .collect::<Result<_, Malformed>>()?,
        wall_ms: message.wall_ms,
        critical_path_ms: message.critical_path_ms,
        critical_path: message
            .critical_path
            .iter()
            .map(|node| NodeId(*node))
            .collect(),
    })
}

/// Writes how a build ended, in one word.
pub fn build_result_message(result: BuildResult) -> v1::BuildResult {
    match result {
        BuildResult::Succeeded => v1::BuildResult::Succeeded,
        BuildResult::Failed => v1::BuildResult::Failed,
        BuildResult::Cancelled => v1::BuildResult::Cancelled,
    }
}

/// How a build ended, or `open`, in the word that all views for programs use.
pub fn state_word(build: &v1::Build) -> &'static str {
    match build.result() {
        v1::BuildResult::Unspecified => "open",
        v1::BuildResult::Succeeded => "succeeded",
        v1::BuildResult::Failed => "failed",
        v1::BuildResult::Cancelled => "cancelled",
    }
}

/// Writes counts.
pub fn counts_message(counts: &Counts) -> v1::Counts {
    v1::Counts {
        total: counts.total,
        executed: counts.executed,
        cached: counts.cached,
        joined: counts.joined,
        failed: counts.failed,
        skipped: counts.skipped,
        cancelled: counts.cancelled,
    }
}

fn counts(message: Option<v1::Counts>) -> Result<Counts, Malformed> {
    let counts = message.ok_or(Malformed::Without("counts"))?;
    Ok(Counts {
        total: counts.total,
        executed: counts.executed,
        cached: counts.cached,
        joined: counts.joined,
        failed: counts.failed,
        skipped: counts.skipped,
        cancelled: counts.cancelled,
    })
}
