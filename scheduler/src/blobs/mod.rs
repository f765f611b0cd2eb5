//! The service `gofarm.v1.Blobs`.
//!
//! Bytes are compared with their digest wherever they come in and wherever they go out. A large blob is never in
//! memory: it goes through a file, a piece at a time.

mod batch;
mod compression;
mod presence;
mod read;
mod refusal;
mod uploads;
mod write;

use std::collections::HashSet;
use std::sync::Arc;

use gofarm_proto::v1::blobs_server::{Blobs, BlobsServer};
use gofarm_proto::{Digest, v1};
use gofarm_store::{Result as StoreResult, StoreError};
use tonic::{Request, Response, Status, Streaming};

use super::metrics::MeteredStore;
pub(crate) use refusal::refusal;
use uploads::Uploads;

pub use presence::Presence;

/// How many digests one question may hold.
const QUESTION: usize = 10_000;

/// The plain bytes of one message of a stream.
const PIECE: usize = 1 << 20;

/// No message is longer than this. The longest that the specification allows is a batch of 4 MiB, and what names its
/// blobs.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Serves the blobs of a farm's store.
#[derive(Debug, Clone)]
pub struct BlobsService {
    store: MeteredStore,
    uploads: Arc<Uploads>,
}

impl BlobsService {
    /// Serves this store.
    pub fn new(store: impl Into<MeteredStore>) -> BlobsService {
        BlobsService {
            store: store.into(),
            uploads: Arc::default(),
        }
    }

    /// The service as it is added to a server, with the bounds of its messages set.
    pub fn into_server(self) -> BlobsServer<BlobsService> {
        BlobsServer::new(self)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }
}

#[tonic::async_trait]
impl Blobs for BlobsService {
    async fn find_missing(
        &self,
        request: Request<v1::FindMissingRequest>,
    ) -> Result<Response<v1::FindMissingResponse>, Status> {
        let request = request.into_inner();
        let digests = understood(&request.digests)?;
        let mut seen = HashSet::new();
        let digests = digests.into_iter().filter(|d| seen.insert(*d)).collect();
        let missing = match request.verify {
            true => self.store.unsound(digests).await,
            false => self.store.missing(digests).await,
        }
        .map_err(refusal)?;
        Ok(Response::new(v1::FindMissingResponse {
            missing: missing.into_iter().map(Into::into).collect(),
        }))
    }

    async fn batch_write(
        &self,
        request: Request<v1::BatchWriteRequest>,
    ) -> Result<Response<v1::BatchWriteResponse>, Status> {
        batch::write(&self.store, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn batch_read(
        &self,
        request: Request<v1::BatchReadRequest>,
    ) -> Result<Response<v1::BatchReadResponse>, Status> {
        batch::read(&self.store, request.into_inner())
            .await
            .map(Response::new)
    }

    type ReadStream = read::Pieces;

    async fn read(
        &self,
        request: Request<v1::ReadRequest>,
    ) -> Result<Response<read::Pieces>, Status> {
        read::read(&self.store, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn write(
        &self,
        request: Request<Streaming<v1::WriteRequest>>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        write::write(&self.store, &self.uploads, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn query_write(
        &self,
        request: Request<v1::QueryWriteRequest>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        write::query(&self.store, &self.uploads, request.into_inner())
            .await
            .map(Response::new)
    }
}

fn named(digest: Option<&v1::Digest>) -> Result<Digest, Status> {
    let digest = digest.ok_or_else(|| Status::invalid_argument("the request names no blob"))?;
    Digest::try_from(digest).map_err(|e| Status::invalid_argument(e.to_string()))
}

fn understood(digests: &[v1::Digest]) -> Result<Vec<Digest>, Status> {
    if digests.len() > QUESTION {
        return Err(Status::invalid_argument(format!(
            "{} digests in one call; ask for at most {QUESTION}",
            digests.len()
        )));
    }
    digests.iter().map(|d| named(Some(d))).collect()
}

/// Runs what moves bytes where it does not hold up the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::ShuttingDown),
    }
}
