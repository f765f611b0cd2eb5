//! Small blobs, many at a time.

use std::borrow::Cow;

use bytes::Bytes;
use gofarm_proto::{Digest, v1};
use gofarm_store::StoreError;
use tonic::Status;

use super::compression::{pack, unpack};
use super::refusal::refusal;
use super::{QUESTION, blocking, named, understood};
use crate::metrics::MeteredStore;

/// The plain bytes that one batch may hold.
const BATCH: u64 = 4 << 20;

pub(super) async fn write(
    store: &MeteredStore,
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
    let unpacked = blocking(move || {
        let unpacked = blobs.into_iter().map(|(digest, blob)| {
            let plain = plain(digest, blob);
            (digest, plain)
        });
        Ok(unpacked.collect::<Vec<_>>())
    });
    let mut refused = Vec::new();
    let mut refuse = |digest: Digest, reason: String| {
        refused.push(v1::batch_write_response::Refused {
            digest: Some(digest.into()),
            reason,
        });
    };
    let mut whole = Vec::new();
    for (digest, plain) in unpacked.await.map_err(refusal)? {
        match plain {
            Ok(plain) => whole.push((digest, plain)),
            Err(reason) => refuse(digest, reason),
        }
    }
    let digests: Vec<Digest> = whole.iter().map(|(digest, _)| *digest).collect();
    let stored = store.put_blobs(whole).await.map_err(refusal)?;
    for (digest, stored) in digests.into_iter().zip(stored) {
        match stored {
            Ok(()) => {}
            Err(error @ StoreError::WrongBytes { .. }) => refuse(digest, error.to_string()),
            // What would be the same for every blob, and may pass, fails the whole call, so that the caller makes it again.
            Err(error) => return Err(refusal(error)),
        }
    }
    Ok(v1::BatchWriteResponse { refused })
}

fn plain(digest: Digest, blob: v1::Blob) -> Result<Bytes, String> {
    let most = usize::try_from(digest.size).unwrap_or(usize::MAX);
    let unpacked = match unpack(&blob.data, blob.zstd, most)? {
        Cow::Owned(unpacked) => Some(unpacked),
        Cow::Borrowed(_) => None,
    };
    Ok(unpacked.map_or(blob.data, Bytes::from))
}

pub(super) async fn read(
    store: &MeteredStore,
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
    let digests: Vec<Digest> = digests.collect();
    let blobs = store.read_blobs(digests.clone()).await.map_err(refusal)?;
    let mut found = Vec::with_capacity(blobs.len());
    for (digest, plain) in digests.into_iter().zip(blobs) {
        match plain {
            Ok(plain) => found.push((digest, plain)),
            Err(error) if error.is_lost_blob() => {
                tracing::debug!(%error, "a blob of a batch is not there");
            }
            Err(error) => return Err(refusal(error)),
        }
    }
    let packed = blocking(move || {
        let packed = found.into_iter().map(|(digest, plain)| {
            let (data, zstd) = pack(plain, zstd);
            v1::Blob {
                digest: Some(digest.into()),
                data,
                zstd,
            }
        });
        Ok(packed.collect())
    });
    Ok(v1::BatchReadResponse {
        blobs: packed.await.map_err(refusal)?,
    })
}
