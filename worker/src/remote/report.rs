//! Telling the farm how tasks ended: outputs and long logs first, then the outcome.

use std::time::Duration;

use gofarm_daemon::now;
use gofarm_proto::{Digest, INLINE_LOG, v1};
use gofarm_rpc::{BlobError, RpcError, Source};
use gofarm_store::DiskStore;
use gofarm_timing::Backoff;
use tokio::time::{Instant, timeout};

use super::message::blobs;
use super::output::send_rest;
use super::shared::Shared;
use crate::causes::with_causes;
use crate::leasing::{LeaseToken, SourceError};

/// A result that cannot be told for so long is given up: its lease has run out long since. Its outputs stay in the local
/// cache.
const REPORT_FOR: Duration = Duration::from_secs(5 * 60);

/// One attempt at a call.
const PATIENCE: Duration = Duration::from_secs(15);

/// One attempt at an upload.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(60);

/// So often the farm may say that it lacks what was uploaded.
const UPLOADS: u32 = 4;

/// What stands in the place of the rest of a log.
const CUT: &[u8] =
    b"\ngofarm: the rest of this output is lost: the farm's store is full; make room there and build again to see it\n";

/// Ends a lease. Returns when the farm has taken note, or the lease is not ours any more.
pub(super) async fn report(
    shared: &Shared,
    token: LeaseToken,
    outcome: v1::outcome::Outcome,
) -> Result<(), SourceError> {
    let told = match shared.held.id(token) {
        Some(id) => tell(shared, token, id, outcome).await,
        None => Ok(()),
    };
    shared.held.remove(token);
    told
}

async fn tell(
    shared: &Shared,
    token: LeaseToken,
    id: v1::LeaseId,
    mut outcome: v1::outcome::Outcome,
) -> Result<(), SourceError> {
    let end = Instant::now() + REPORT_FOR;
    let made = blobs(&outcome);
    let begun = now();
    let (uploaded, ()) = tokio::join!(upload(shared, token, &made, end), send_rest(shared, token));
    shared.uploaded(token, begun, &made, &uploaded);
    match uploaded {
        Ok(()) => {
            use v1::outcome::Outcome;
            if matches!(outcome, Outcome::Succeeded(_) | Outcome::Failed(_)) {
                shared.trouble.is_over();
            }
        }
        Err(trouble) => outcome = instead(shared, outcome, trouble).await,
    }
    let mut uploads = 1;
    let mut backoff = Backoff::default();
    while !shared.held.is_lost(token) {
        let server = shared.servers.current();
        let mut leases = server.leases();
        let request = v1::CompleteRequest {
            lease: Some(id.clone()),
            worker: shared.options.worker.clone(),
            outcome: Some(v1::Outcome {
                outcome: Some(outcome.clone()),
            }),
            next: None,
        };
        let status = match timeout(PATIENCE, leases.complete(request)).await {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                if answer.missing.is_empty() {
                    note(shared, token, answer.state(), &outcome);
                    return Ok(());
                }
                let missing = answer.missing.iter().map(Digest::try_from);
                let missing: Vec<Digest> = missing.filter_map(Result::ok).collect();
                uploads += 1;
                let uploaded = upload(shared, token, &missing, end).await;
                if let Err(trouble) = uploaded {
                    outcome = instead(shared, outcome, trouble).await;
                } else if uploads > UPLOADS {
                    let count = missing.len();
                    outcome = v1::outcome::Outcome::Crashed(format!(
                        "the farm lacks {count} of its outputs, although they were uploaded {UPLOADS} times"
                    ));
                }
                continue;
            }
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::unavailable(format!("no answer within {PATIENCE:?}")),
        };
        let error = server.connection.error("report the end of a task", status);
        if !error.is_transient() {
            return Err(SourceError(error.to_string()));
        }
        tracing::warn!(lease = %token, %error, "cannot report the end of a task; trying again");
        shared.servers.turn_from(server);
        if !backoff.wait_before(end).await {
            return Err(SourceError(error.to_string()));
        }
    }
    tracing::info!(lease = %token, build = shared.held.build(token), action = shared.held.label(token), "the lease was lost; the result is discarded");
    Ok(())
}

fn note(shared: &Shared, token: LeaseToken, state: v1::LeaseState, outcome: &v1::outcome::Outcome) {
    use v1::outcome::Outcome;
    let (word, reason) = match outcome {
        Outcome::Succeeded(_) => ("succeeded", ""),
        Outcome::Failed(_) => ("failed", ""),
        Outcome::Crashed(reason) => ("crashed", reason.as_str()),
        Outcome::OutOfMemory(memory) => ("out of memory", memory.reason.as_str()),
        Outcome::BlobsMissing(_) => ("inputs missing", ""),
        Outcome::Released(released) => ("given back", released.reason.as_str()),
        Outcome::Cancelled(_) => ("cancelled", ""),
    };
    let counts = state == v1::LeaseState::LeaseHeld;
    let (worker, build) = (&shared.options.worker, shared.held.build(token));
    let action = shared.held.label(token);
    match outcome {
        Outcome::Crashed(_) | Outcome::OutOfMemory(_) | Outcome::Released(_)
            if !reason.is_empty() =>
        {
            tracing::warn!(worker, lease = %token, build, action, outcome = word, counts, reason, "reported");
        }
        _ => {
            tracing::info!(worker, lease = %token, build, action, outcome = word, counts, "reported")
        }
    }
}

/// Why outputs cannot be brought to the farm.
#[derive(Debug)]
pub(super) enum UploadTrouble {
    /// The farm's store is full. No worker could store them, so the task has done nothing wrong.
    Full(String),
    /// Anything else, for the history of attempts.
    Other(String),
}

impl UploadTrouble {
    pub fn reason(&self) -> &str {
        match self {
            UploadTrouble::Full(reason) | UploadTrouble::Other(reason) => reason,
        }
    }

    /// How the task ends with it. After a full store nothing is taken for a while, as after a full disk of this worker.
    async fn outcome(self, shared: &Shared) -> v1::outcome::Outcome {
        match self {
            UploadTrouble::Full(reason) => {
                shared.trouble.met(Instant::now());
                tracing::error!(
                    reason,
                    "the farm's store is full; no tasks are taken for a while"
                );
                // Calls that wait would be given just this task again, at once.
                if let Err(error) = shared.want_nothing("take no tasks for a while").await {
                    tracing::debug!(%error, "the farm does not hear that we pause");
                }
                v1::outcome::Outcome::Released(v1::Released { reason })
            }
            UploadTrouble::Other(reason) => v1::outcome::Outcome::Crashed(reason),
        }
    }
}

/// How a task ends whose blobs cannot be brought to the farm. A failure is told all the same: of its log, what its user needs
/// most stands at the beginning, and a farm whose store is full goes on telling people what is wrong with their code.
async fn instead(
    shared: &Shared,
    outcome: v1::outcome::Outcome,
    trouble: UploadTrouble,
) -> v1::outcome::Outcome {
    use v1::outcome::Outcome;
    match (outcome, trouble) {
        (Outcome::Failed(result), UploadTrouble::Full(reason)) => {
            tracing::warn!(reason, "the log of a failed action is cut");
            let store = shared.cache.store().clone();
            let cut = tokio::task::spawn_blocking(move || without_blob(&store, result)).await;
            match cut {
                Ok(result) => Outcome::Failed(result),
                Err(_) => UploadTrouble::Full(reason).outcome(shared).await,
            }
        }
        (_, trouble) => trouble.outcome(shared).await,
    }
}

/// A result with as much of its log as may stand in it.
fn without_blob(store: &DiskStore, mut result: v1::ActionResult) -> v1::ActionResult {
    let Some(Ok(digest)) = result.log_blob.take().as_ref().map(Digest::try_from) else {
        return result;
    };
    let reader = store.reader(&digest, 0);
    let beginning = reader.and_then(|mut reader| reader.piece(INLINE_LOG - CUT.len()));
    result.log = beginning.unwrap_or_default();
    if let Some(end) = memchr::memrchr(b'\n', &result.log) {
        result.log.truncate(end);
    }
    result.log.extend_from_slice(CUT);
    result
}

/// Brings outputs to the farm.
async fn upload(
    shared: &Shared,
    token: LeaseToken,
    digests: &[Digest],
    end: Instant,
) -> Result<(), UploadTrouble> {
    if digests.is_empty() {
        return Ok(());
    }
    let mut backoff = Backoff::default();
    while !shared.held.is_lost(token) {
        let server = shared.servers.current();
        let deadline = end.min(Instant::now() + UPLOAD_PATIENCE);
        let files = digests
            .iter()
            .map(|digest| (*digest, Source::File(shared.cache.store().path(digest))));
        let error = match server.blobs.upload_new(files, deadline, &|_| {}).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let reason = || format!("its outputs cannot be uploaded: {}", with_causes(&error));
        if matches!(error, BlobError::Rpc(RpcError::Full { .. })) {
            return Err(UploadTrouble::Full(reason()));
        }
        if !error.is_unreachable() {
            return Err(UploadTrouble::Other(reason()));
        }
        tracing::warn!(lease = %token, %error, "cannot upload outputs; trying again");
        shared.servers.turn_from(server);
        if !backoff.wait_before(end).await {
            return Err(UploadTrouble::Other(reason()));
        }
    }
    // The loop that tells the outcome finds the same.
    Ok(())
}

#[cfg(test)]
mod tests {
    use gofarm_store::DiskStoreOptions;

    use super::*;

    #[test]
    fn a_log_that_finds_no_room_is_told_by_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
        let log = b"x.go:1:1: undefined: y\n".repeat(10_000);
        let failed = |log_blob| v1::ActionResult {
            exit_code: 2,
            log_blob,
            ..v1::ActionResult::default()
        };
        let digest = store.put_bytes(&log).unwrap();
        let cut = without_blob(&store, failed(Some(digest.into())));
        assert_eq!((cut.exit_code, cut.log_blob), (2, None));
        assert!(cut.log.len() <= INLINE_LOG);
        let kept = cut.log.strip_suffix(CUT).unwrap();
        assert!(kept.len() > INLINE_LOG - 1000);
        assert!(log.starts_with(kept) && kept.ends_with(b"undefined: y"));

        // Gone here, too: that it failed is told all the same.
        let lost = without_blob(&store, failed(Some(Digest::of(b"lost").into())));
        assert_eq!((lost.exit_code, &lost.log[..]), (2, CUT));
        assert_eq!(without_blob(&store, failed(None)), failed(None));
    }
}
