//! Blobs in both directions.

mod compression;
mod download;
mod error;
mod flight;
mod pieces;
mod progress;
mod read;
mod source;
mod split;
mod upload;
mod write;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::{Digest, v1};
use gofarm_store::{DiskStore, StoreError};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::error::RpcError;
use flight::Flights;
use upload::Ask;

pub use compression::Compression;
pub use error::BlobError;
pub use pieces::{PieceError, Pieces};
pub use progress::Progress;
pub use source::Source;

/// How many digests one question may hold, by the specification.
const QUESTION: usize = 10_000;

/// The bytes of the blobs that the farm compares in one call, by the specification.
const VERIFIED: u64 = 64 << 20;

/// So many such calls at once.
const VERIFICATIONS: usize = 4;

/// The plain bytes of a piece of a stream, by the specification.
const PIECE: usize = 1 << 20;

/// How many transfers of one call are under way at once.
const TRANSFERS: usize = 8;

/// What an upload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uploaded {
    /// Blobs that the farm lacked.
    pub blobs: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

/// Moves blobs between this process and a farm. Cheap to clone; clones share what they know of each other's
/// downloads.
///
/// Every call has a deadline, up to which it tries again what a broken connection or a restarted farm has undone.
#[derive(Debug, Clone)]
pub struct BlobClient {
    connection: Connection,
    zstd: bool,
    flights: Arc<Flights>,
}

impl BlobClient {
    /// Blobs over this connection, compressed as [`Compression::Auto`] says.
    pub fn new(connection: Connection) -> BlobClient {
        BlobClient::with_compression(connection, Compression::Auto)
    }

    /// Blobs over this connection.
    pub fn with_compression(connection: Connection, compression: Compression) -> BlobClient {
        BlobClient {
            zstd: compression.applies(connection.addresses()),
            connection,
            flights: Arc::default(),
        }
    }

    /// The connection that this uses.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Those of the blobs that the farm lacks, each once.
    pub async fn missing(
        &self,
        digests: &[Digest],
        deadline: Instant,
    ) -> Result<Vec<Digest>, RpcError> {
        let mut missing = Vec::new();
        for some in unique(digests.iter().copied()).chunks(QUESTION) {
            missing.extend(self.find_missing(some.to_vec(), false, deadline).await?);
        }
        Ok(missing)
    }

    /// Those of the blobs that the farm lacks, or has with other bytes: it compares what it has. Each once.
    pub async fn unsound(
        &self,
        digests: &[Digest],
        deadline: Instant,
    ) -> Result<Vec<Digest>, RpcError> {
        let digests = unique(digests.iter().copied());
        let questions = split::questions(&digests, VERIFIED).into_iter();
        let questions: Vec<Vec<Digest>> = questions.map(<[Digest]>::to_vec).collect();
        let answers = stream::iter(questions)
            .map(|some| self.find_missing(some, true, deadline))
            .buffered(VERIFICATIONS);
        let unsound: Vec<Vec<Digest>> = answers.try_collect().await?;
        Ok(unsound.concat())
    }

    async fn find_missing(
        &self,
        digests: Vec<Digest>,
        verify: bool,
        deadline: Instant,
    ) -> Result<Vec<Digest>, RpcError> {
        const WHAT: &str = "find missing blobs";
        let request = v1::FindMissingRequest {
            digests: digests.into_iter().map(Into::into).collect(),
            verify,
        };
        let answer = self
            .connection
            .retry(WHAT, deadline, || {
                let (mut client, request) = (self.connection.blobs(), request.clone());
                async move { client.find_missing(request).await }
            })
            .await?
            .into_inner();
        let missing = answer.missing.iter();
        missing
            .map(|digest| self.understood(WHAT, digest))
            .collect()
    }

    /// Brings those of the blobs to the farm that it lacks: small ones in batches, large ones as streams that go on
    /// where they broke off, several at a time.
    ///
    /// # Errors
    ///
    /// [`BlobError::Changed`] names the source whose bytes are not those of its digest. After any error an
    /// unspecified part of the blobs is stored.
    pub async fn upload(
        &self,
        sources: impl IntoIterator<Item = (Digest, Source)>,
        deadline: Instant,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Uploaded, BlobError> {
        upload::upload(self, sources, Ask::All, deadline, progress).await
    }

    /// As [`upload`](BlobClient::upload), for blobs that were made just now, so that the farm most likely lacks
    /// them: it is asked about the large ones only, whose bytes it compares, and all the others count as lacking.
    ///
    /// # Errors
    ///
    /// As [`upload`](BlobClient::upload).
    pub async fn upload_new(
        &self,
        sources: impl IntoIterator<Item = (Digest, Source)>,
        deadline: Instant,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Uploaded, BlobError> {
        upload::upload(self, sources, Ask::Large, deadline, progress).await
    }

    /// As [`upload`](BlobClient::upload), for a caller that will not be there to bring a blob again: what the farm has with other
    /// bytes counts as lacking.
    ///
    /// # Errors
    ///
    /// As [`upload`](BlobClient::upload).
    pub async fn upload_unsound(
        &self,
        sources: impl IntoIterator<Item = (Digest, Source)>,
        deadline: Instant,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Uploaded, BlobError> {
        upload::upload(self, sources, Ask::Verified, deadline, progress).await
    }

    /// Fetches those of the blobs that the local store lacks. Returns the ones that the farm lacks, too.
    ///
    /// A blob that another call is fetching to the same store is waited for, not fetched twice.
    ///
    /// # Errors
    ///
    /// When the farm could not be reached up to the deadline, or the local store cannot be written. After any error
    /// an unspecified part of the blobs is there.
    pub async fn download(
        &self,
        digests: &[Digest],
        into: &DiskStore,
        deadline: Instant,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<Digest>, BlobError> {
        download::download(self, digests, into, deadline, progress).await
    }

    /// Reads a blob from beginning to end without keeping it. `patience` is how long the farm may be away before each piece.
    pub fn pieces(&self, digest: Digest, patience: Duration) -> Pieces {
        Pieces::new(self.clone(), digest, patience)
    }

    fn understood(&self, what: &'static str, digest: &v1::Digest) -> Result<Digest, RpcError> {
        Digest::try_from(digest).map_err(|e| {
            self.connection
                .error(what, tonic::Status::internal(e.to_string()))
        })
    }
}

fn unique(digests: impl IntoIterator<Item = Digest>) -> Vec<Digest> {
    let mut seen = HashSet::new();
    digests.into_iter().filter(|d| seen.insert(*d)).collect()
}

/// Runs what moves bytes where it does not hold up the runtime.
async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, BlobError>
where
    T: Send + 'static,
    E: Into<BlobError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::ShuttingDown.into()),
    }
}
