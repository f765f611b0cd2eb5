//! Bringing one large blob to the farm, piece by piece.

use std::pin::pin;

use futures::SinkExt;
use futures::channel::mpsc;
use futures::future::{Either, select};
use gofarm_proto::{Digest, v1};
use gofarm_timing::Backoff;
use tokio::time::{Instant, timeout_at};
use tonic::Code;
use uuid::Uuid;

use super::compression::pack;
use super::error::BlobError;
use super::progress::{Meter, Share};
use super::source::Source;
use super::{BlobClient, PIECE, blocking};
use crate::error::RpcError;

const WHAT: &str = "store a blob";

/// Pieces that are read ahead of what the connection takes.
const AHEAD: usize = 2;

/// Sends the blob. Where the connection breaks, goes on where the farm says that it stands.
pub(super) async fn write(
    client: &BlobClient,
    digest: Digest,
    source: &Source,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<(), BlobError> {
    let upload = Uuid::new_v4().to_string();
    let mut share = Share::of(meter);
    let mut backoff = Backoff::default();
    let mut offset = 0;
    loop {
        let header = v1::WriteHeader {
            digest: Some(digest.into()),
            upload: upload.clone(),
            offset,
        };
        let failure = match attempt(client, digest, source, header, deadline, &mut share).await {
            Ok(committed) if committed == digest.size => break,
            Ok(committed) => client.connection.unreachable(
                WHAT,
                format!("it took {committed} of {} bytes", digest.size),
            ),
            Err(BlobError::Rpc(error)) if goes_on(&error) => error,
            Err(BlobError::Rpc(RpcError::Refused { status, .. })) => {
                return Err(BlobError::Refused {
                    address: client.connection.addresses().clone(),
                    name: source.name(),
                    digest,
                    reason: status.message().to_owned(),
                });
            }
            Err(error) => return Err(error),
        };
        tracing::debug!(%digest, error = %failure, "an upload broke off");
        if !backoff.wait_before(deadline).await {
            return Err(failure.into());
        }
        let stands = stands(client, digest, &upload, deadline).await?;
        if stands == digest.size {
            break;
        }
        if stands > offset {
            backoff.reset();
        }
        offset = stands;
    }
    share.reach(digest.size);
    Ok(())
}

/// Besides what is transient anyway: an upload that stands elsewhere than we thought, since an answer was lost or
/// another replica of the scheduler has the call.
fn goes_on(error: &RpcError) -> bool {
    error.is_transient() || error.code() == Some(Code::FailedPrecondition)
}

async fn stands(
    client: &BlobClient,
    digest: Digest,
    upload: &str,
    deadline: Instant,
) -> Result<u64, RpcError> {
    let request = v1::QueryWriteRequest {
        digest: Some(digest.into()),
        upload: upload.to_owned(),
    };
    let answer = client.connection.retry(WHAT, deadline, || {
        let (mut blobs, request) = (client.connection.blobs(), request.clone());
        async move { blobs.query_write(request).await }
    });
    Ok(answer.await?.into_inner().committed)
}

/// One call. Returns how far the upload has come.
async fn attempt(
    client: &BlobClient,
    digest: Digest,
    source: &Source,
    header: v1::WriteHeader,
    deadline: Instant,
    share: &mut Share<'_, '_>,
) -> Result<u64, BlobError> {
    let (to, from) = mpsc::channel(AHEAD);
    let connection = &client.connection;
    let call = async {
        let mut blobs = connection.blobs();
        match timeout_at(deadline, blobs.write(from)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().committed),
            Ok(Err(status)) => Err(connection.error(WHAT, status).into()),
            Err(_) => Err(connection.too_late(WHAT).into()),
        }
    };
    let feed = feed(source, digest, header, client.zstd, to, share);
    // Whichever ends first decides: a source that fails ends the stream, and a call that fails ends the reading.
    match select(pin!(feed), pin!(call)).await {
        Either::Left((Ok(()), call)) => call.await,
        Either::Left((Err(error), _)) => Err(error),
        Either::Right((answer, _)) => answer,
    }
}

/// Ends when everything is on its way or nobody takes it any more.
async fn feed(
    source: &Source,
    digest: Digest,
    header: v1::WriteHeader,
    zstd: bool,
    mut to: mpsc::Sender<v1::WriteRequest>,
    share: &mut Share<'_, '_>,
) -> Result<(), BlobError> {
    let offset = header.offset;
    let first = v1::WriteRequest {
        header: Some(header),
        ..v1::WriteRequest::default()
    };
    if to.send(first).await.is_err() {
        return Ok(());
    }
    let source = source.clone();
    let mut pieces = blocking(move || source.pieces(digest)).await?;
    while pieces.position() < digest.size {
        let (read, request) = blocking(move || {
            // What the farm has is read again all the same: the digest is that of the whole.
            while pieces.position() < offset {
                let before = usize::try_from(offset - pieces.position()).unwrap_or(PIECE);
                pieces.next(before.min(PIECE))?;
            }
            let (data, zstd) = pack(pieces.next(PIECE)?, zstd);
            let request = v1::WriteRequest {
                header: None,
                data,
                zstd,
            };
            Ok::<_, BlobError>((pieces, request))
        })
        .await?;
        pieces = read;
        if to.send(request).await.is_err() {
            return Ok(());
        }
        share.reach(pieces.position());
    }
    Ok(())
}
