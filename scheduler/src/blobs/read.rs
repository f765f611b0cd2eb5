//! A blob on its way out, piece by piece.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use gofarm_proto::v1;
use tonic::Status;

use super::compression::pack;
use super::refusal::refusal;
use super::{PIECE, blocking, named};
use crate::metrics::MeteredStore;

/// The answer to one call.
pub(super) type Pieces = BoxStream<'static, Result<v1::ReadResponse, Status>>;

pub(super) async fn read(store: &MeteredStore, request: v1::ReadRequest) -> Result<Pieces, Status> {
    let digest = named(request.digest.as_ref())?;
    let (offset, zstd) = (request.offset, request.zstd);
    if offset > digest.size {
        return Err(Status::out_of_range(format!(
            "blob {digest} has no offset {offset}"
        )));
    }
    let reader = store.reader(digest, offset).await.map_err(refusal)?;
    // A piece is read when the one before has been taken: a slow reader costs a file handle, not memory and not a
    // thread.
    let pieces = stream::try_unfold(reader, move |mut reader| async move {
        let (reader, data, zstd) = blocking(move || {
            let (data, zstd) = pack(reader.piece(PIECE)?, zstd);
            Ok((reader, data, zstd))
        })
        .await
        .map_err(refusal)?;
        Ok((!data.is_empty()).then_some((v1::ReadResponse { data, zstd }, reader)))
    });
    Ok(pieces.boxed())
}
