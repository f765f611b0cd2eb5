//! Reading a blob of the farm once, from beginning to end, keeping nothing of it.

use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::{Digest, v1};
use gofarm_timing::Backoff;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, Streaming};

use super::compression::unpack;
use super::{BlobClient, PIECE};
use crate::error::RpcError;

const WHAT: &str = "read a blob";

/// Why a blob cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// The farm has no such blob, or not any more.
    #[error("blob {0} is not in the farm's store")]
    Lost(Digest),
    /// The bytes are not those of the digest. What has come is worthless.
    #[error("blob {0} is damaged in the farm's store")]
    Damaged(Digest),
    /// The farm does not answer, or refuses.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// A blob on its way. See [`BlobClient::pieces`].
#[derive(Debug)]
pub struct Pieces {
    client: BlobClient,
    digest: Digest,
    patience: Duration,
    position: u64,
    hasher: Box<blake3::Hasher>,
    stream: Option<Streaming<v1::ReadResponse>>,
}

impl Pieces {
    pub(super) fn new(client: BlobClient, digest: Digest, patience: Duration) -> Pieces {
        Pieces {
            client,
            digest,
            patience,
            position: 0,
            hasher: Box::default(),
            stream: None,
        }
    }

    /// The next bytes, at most 1 MiB; `None` at the end. Goes on where the connection broke. All is compared with the digest
    /// before the last piece is handed out.
    ///
    /// # Errors
    ///
    /// See [`PieceError`]. After one nothing more comes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PieceError> {
        let deadline = Instant::now() + self.patience;
        let mut backoff = Backoff::default();
        while self.position < self.digest.size {
            let error = match self.attempt(deadline).await {
                Ok(Some(piece)) => return self.take(piece).map(Some),
                Ok(None) => {
                    let early = "the stream ended before the blob did".to_owned();
                    self.client.connection.unreachable(WHAT, early)
                }
                Err(status) => match status.code() {
                    Code::NotFound => return Err(PieceError::Lost(self.digest)),
                    Code::DataLoss => return Err(PieceError::Damaged(self.digest)),
                    _ => self.client.connection.error(WHAT, status),
                },
            };
            self.stream = None;
            if !error.is_transient() || !backoff.wait_before(deadline).await {
                return Err(error.into());
            }
        }
        Ok(None)
    }

    /// A piece with something in it.
    async fn attempt(&mut self, deadline: Instant) -> Result<Option<Bytes>, Status> {
        let late = |_| Status::deadline_exceeded("no answer in time");
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let request = v1::ReadRequest {
                    digest: Some(self.digest.into()),
                    offset: self.position,
                    zstd: self.client.zstd,
                };
                let mut blobs = self.client.connection.blobs();
                let answer = timeout_at(deadline, blobs.read(request));
                let stream = answer.await.map_err(late)??.into_inner();
                self.stream.insert(stream)
            }
        };
        loop {
            let message = timeout_at(deadline, stream.message());
            let Some(piece) = message.await.map_err(late)?? else {
                return Ok(None);
            };
            let plain = unpack(piece.data, piece.zstd, PIECE);
            let plain = plain.map_err(|error| Status::data_loss(error.to_string()))?;
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
        }
    }

    fn take(&mut self, piece: Bytes) -> Result<Bytes, PieceError> {
        self.position = self.position.saturating_add(piece.len() as u64);
        self.hasher.update(&piece);
        let sound = match self.position.cmp(&self.digest.size) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.hasher.finalize() == self.digest.hash,
            std::cmp::Ordering::Greater => false,
        };
        match sound {
            true => Ok(piece),
            false => {
                self.position = self.digest.size;
                Err(PieceError::Damaged(self.digest))
            }
        }
    }
}
