//! Small blobs, many at a time.

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::{Digest, v1};
use gofarm_store::{FarmStore, StoreError};
use tonic::Status;

use super::compression::{pack, unpack};
use super::refusal::refusal;
use super::{QUESTION, blocking, named, understood};

/// The plain bytes that one batch may hold.
const BATCH: u64 = 4 << 20;

/// How many blobs of a batch are stored or read at once: an object store answers each after some milliseconds.
const AT_ONCE: usize = 32;

pub(super) async fn write(
    store: &FarmStore,
    request: v1::BatchWriteRequest,
) -> Result<v1::BatchWriteResponse, Status> {
    if request.blobs.len() > QUESTION {
        return Err(Status::invalid_argument(format!(
            "{} blobs in one batch; send at most {QUESTION}",
            request.blobs.len()
        )));
    }
    let blobs: Vec<(Digest, v1::Blob)> = request
        .blobs
        .into_iter()
        .map(|blob| Ok((named(blob.digest.as_ref())?, blob)))
        .collect::<Result<_, Status>>()?;
    let bytes = blobs
        .iter()
        .fold(0, |sum: u64, (digest, _)| sum.saturating_add(digest.size));
    if bytes > BATCH {
        return Err(Status::invalid_argument(format!(
            "{bytes} bytes in one batch; send at most {BATCH}, and larger blobs with Write"
        )));
    }
    let refused: Vec<Option<v1::batch_write_response::Refused>> = stream::iter(blobs)
        .map(|(digest, blob)| async move {
            let refused = write_one(store, digest, blob).await?;
            Ok::<_, Status>(refused.map(|reason| v1::batch_write_response::Refused {
                digest: Some(digest.into()),
                reason,
            }))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(v1::BatchWriteResponse {
        refused: refused.into_iter().flatten().collect(),
    })
}

/// Why the blob was refused, if it was. What would be the same for every blob, and may pass, fails the whole call
/// instead, so that the caller makes it again.
async fn write_one(
    store: &FarmStore,
    digest: Digest,
    blob: v1::Blob,
) -> Result<Option<String>, Status> {
    let plain = blocking(move || {
        let most = usize::try_from(digest.size).unwrap_or(usize::MAX);
        let plain = unpack(&blob.data, blob.zstd, most);
        Ok(plain.and_then(|plain| {
            if Digest::of(&plain) == digest {
                Ok(plain.into_owned())
            } else {
                let received = plain.len() as u64;
                Err(StoreError::WrongBytes { digest, received }.to_string())
            }
        }))
    })
    .await
    .map_err(refusal)?;
    let plain = match plain {
        Ok(plain) => plain,
        Err(reason) => return Ok(Some(reason)),
    };
    match store.put_bytes(plain).await {
        Ok(_) => Ok(None),
        Err(error @ StoreError::Full { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(refusal(error)),
    }
}

pub(super) async fn read(
    store: &FarmStore,
    request: v1::BatchReadRequest,
) -> Result<v1::BatchReadResponse, Status> {
    let zstd = request.zstd;
    let mut room = BATCH;
    let digests = understood(&request.digests)?.into_iter().filter(|digest| {
        let fits = digest.size <= room;
        if fits {
            room -= digest.size;
        }
        fits
    });
    let blobs: Vec<Option<v1::Blob>> = stream::iter(digests)
        .map(|digest| read_one(store, digest, zstd))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(v1::BatchReadResponse {
        blobs: blobs.into_iter().flatten().collect(),
    })
}

async fn read_one(
    store: &FarmStore,
    digest: Digest,
    zstd: bool,
) -> Result<Option<v1::Blob>, Status> {
    let plain = match store.read(digest).await {
        Ok(plain) => plain,
        Err(error) if error.is_lost_blob() => {
            tracing::debug!(%error, "a blob of a batch is not there");
            return Ok(None);
        }
        Err(error) => return Err(refusal(error)),
    };
    let (data, zstd) = blocking(move || Ok(pack(plain, zstd)))
        .await
        .map_err(refusal)?;
    Ok(Some(v1::Blob {
        digest: Some(digest.into()),
        data,
        zstd,
    }))
}
