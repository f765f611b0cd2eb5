//! Fetching one blob from the farm, piece by piece.

use gofarm_proto::{Digest, v1};
use gofarm_store::{DiskStore, Incoming, StoreError};
use gofarm_timing::Backoff;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::compression::unpack;
use super::error::BlobError;
use super::progress::{Meter, Share};
use super::{BlobClient, PIECE, blocking};
use crate::error::RpcError;

const WHAT: &str = "fetch a blob";

/// What came of one call.
enum Outcome {
    Stored,
    /// The farm has no such blob.
    Lacking,
    /// The connection broke; what has come is good.
    Broken(Incoming, RpcError),
    /// What has come is worthless.
    Spoilt(RpcError),
}

/// Brings the blob to the local store, going on where the connection broke. False when the farm lacks it.
pub(super) async fn read(
    client: &BlobClient,
    digest: Digest,
    into: &DiskStore,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<bool, BlobError> {
    let mut share = Share::of(meter);
    let mut backoff = Backoff::default();
    let mut begun: Option<Incoming> = None;
    loop {
        let incoming = match begun.take() {
            Some(incoming) => incoming,
            None => {
                let store = into.clone();
                blocking(move || store.incoming(digest)).await?
            }
        };
        let before = incoming.received();
        let failure = match attempt(client, incoming, deadline, &mut share).await? {
            Outcome::Stored => return Ok(true),
            Outcome::Lacking => return Ok(false),
            Outcome::Broken(incoming, failure) => {
                if incoming.received() > before {
                    backoff.reset();
                }
                begun = Some(incoming);
                failure
            }
            Outcome::Spoilt(failure) => failure,
        };
        tracing::debug!(%digest, error = %failure, "a download broke off");
        if !backoff.wait_before(deadline).await {
            return Err(failure.into());
        }
    }
}

async fn attempt(
    client: &BlobClient,
    mut incoming: Incoming,
    deadline: Instant,
    share: &mut Share<'_, '_>,
) -> Result<Outcome, BlobError> {
    let connection = &client.connection;
    let digest = incoming.digest();
    let request = v1::ReadRequest {
        digest: Some(digest.into()),
        offset: incoming.received(),
        zstd: client.zstd,
    };
    let spoilt = |reason: String| Ok(Outcome::Spoilt(connection.unreachable(WHAT, reason)));
    let mut blobs = connection.blobs();
    let mut stream = match timeout_at(deadline, blobs.read(request)).await {
        Ok(Ok(answer)) => answer.into_inner(),
        Ok(Err(status)) => return failed(client, incoming, status),
        Err(_) => return Ok(Outcome::Broken(incoming, connection.too_late(WHAT))),
    };
    loop {
        let piece = match timeout_at(deadline, stream.message()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => break,
            Ok(Err(status)) => return failed(client, incoming, status),
            Err(_) => return Ok(Outcome::Broken(incoming, connection.too_late(WHAT))),
        };
        let written = blocking(move || {
            let Ok(plain) = unpack(piece.data, piece.zstd, PIECE) else {
                let received = incoming.received();
                return Err(StoreError::WrongBytes { digest, received });
            };
            incoming.write(&plain)?;
            Ok(incoming)
        })
        .await;
        incoming = match written {
            Ok(incoming) => incoming,
            Err(BlobError::Store(error @ StoreError::WrongBytes { .. })) => {
                return spoilt(error.to_string());
            }
            Err(error) => return Err(error),
        };
        share.reach(incoming.received());
    }
    if incoming.received() < digest.size {
        let early = connection.unreachable(WHAT, "the stream ended before the blob did".to_owned());
        return Ok(Outcome::Broken(incoming, early));
    }
    match blocking(move || incoming.finish()).await {
        Ok(_) => Ok(Outcome::Stored),
        Err(BlobError::Store(error @ StoreError::WrongBytes { .. })) => spoilt(error.to_string()),
        Err(error) => Err(error),
    }
}

fn failed(client: &BlobClient, incoming: Incoming, status: Status) -> Result<Outcome, BlobError> {
    match status.code() {
        Code::NotFound => Ok(Outcome::Lacking),
        // The copy that was being read is gone. The next call says whether there is another one.
        Code::DataLoss => {
            let reason = status.message().to_owned();
            Ok(Outcome::Spoilt(client.connection.unreachable(WHAT, reason)))
        }
        _ => match client.connection.error(WHAT, status) {
            error if error.is_transient() => Ok(Outcome::Broken(incoming, error)),
            error => Err(error.into()),
        },
    }
}
