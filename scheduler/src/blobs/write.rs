//! A blob on its way in, piece by piece.

use std::sync::Arc;

use gofarm_proto::{Digest, v1};
use gofarm_store::StoreError;
use tonic::{Status, Streaming};

use super::named;
use super::refusal::refusal;
use super::uploads::{Upload, Uploads, stands_elsewhere};
use crate::metrics::MeteredStore;

/// A UUID has 36 characters; this leaves room for other names.
const LONGEST_NAME: usize = 128;

pub(super) async fn write(
    store: &MeteredStore,
    uploads: &Arc<Uploads>,
    mut stream: Streaming<v1::WriteRequest>,
) -> Result<v1::WriteResponse, Status> {
    let first = stream.message().await?;
    let first =
        first.ok_or_else(|| Status::invalid_argument("the stream ended before its header"))?;
    let Some(header) = first.header else {
        return Err(Status::invalid_argument("the first message has no header"));
    };
    let digest = named(header.digest.as_ref())?;
    let name = checked(&header.upload)?;
    let upload = match uploads.get(name, digest)? {
        Some(upload) if !upload.is_over() => upload,
        _ if header.offset > 0 => return Err(stands_elsewhere(0, header.offset)),
        _ => uploads.begin(name, store.incoming(digest).await.map_err(refusal)?)?,
    };
    let turn = upload.take_turn(header.offset)?;
    let outcome = async {
        if !first.data.is_empty() {
            turn.write(first.data, first.zstd, store.room()).await?;
        }
        while let Some(message) = stream.message().await? {
            if message.header.is_some() {
                return Err(Status::invalid_argument("a header after the first message"));
            }
            turn.write(message.data, message.zstd, store.room()).await?;
        }
        turn.whole()
    }
    .await;
    match outcome {
        Ok(Some(incoming)) => {
            // Whatever comes of it: a failed one is to be sent again from its beginning.
            uploads.forget(name, &upload);
            let store = store.clone();
            // To its end, also when the caller is gone: it will ask how far it came.
            let accepted = tokio::spawn(async move { store.accept(incoming).await });
            match accepted.await {
                Ok(accepted) => accepted.map_err(refusal)?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => return Err(refusal(StoreError::ShuttingDown)),
            }
            Ok(v1::WriteResponse {
                committed: digest.size,
            })
        }
        // The stream has ended in good order and the blob has not.
        Ok(None) => Ok(v1::WriteResponse {
            committed: upload.received(),
        }),
        Err(status) => {
            if upload.is_over() {
                uploads.forget(name, &upload);
            }
            Err(status)
        }
    }
}

pub(super) async fn query(
    store: &MeteredStore,
    uploads: &Uploads,
    request: v1::QueryWriteRequest,
) -> Result<v1::WriteResponse, Status> {
    let digest = named(request.digest.as_ref())?;
    let upload = uploads.get(checked(&request.upload)?, digest)?;
    let committed = match upload.as_ref().map(Upload::received) {
        // Less than all of it, since the blob's size would say that it is stored.
        Some(received) if received < digest.size => received,
        // The answer that it was stored may have been lost.
        _ => committed(store, digest).await?,
    };
    Ok(v1::WriteResponse { committed })
}

async fn committed(store: &MeteredStore, digest: Digest) -> Result<u64, Status> {
    // Not what this replica remembers: the caller lets go of its bytes.
    let missing = store.unsound(vec![digest]).await.map_err(refusal)?;
    Ok(if missing.is_empty() { digest.size } else { 0 })
}

fn checked(name: &str) -> Result<&str, Status> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Status::invalid_argument(format!(
            "the upload has no name of 1 to {LONGEST_NAME} bytes"
        )));
    }
    Ok(name)
}
