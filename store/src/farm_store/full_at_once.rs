//! An object store that is full says so at once.
//!
//! The HTTP client tries every answer of the 5xx again, for up to 20 seconds. With 507, *insufficient storage*, that is time in
//! which nobody hears that somebody has to make room, and it changes nothing. So this answer is taken out of the client's sight,
//! as an error that it does not try again.

use async_trait::async_trait;
use futures::StreamExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

/// The status *insufficient storage* (RFC 4918).
const INSUFFICIENT_STORAGE: u16 = 507;

/// What of the answer is told, bytes.
const TOLD: usize = 1024;

/// Connects as usual, to a store that may be full.
#[derive(Debug, Default)]
pub(super) struct FullAtOnce(ReqwestConnector);

impl HttpConnector for FullAtOnce {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.0.connect(options)?;
        Ok(HttpClient::new(Service(client)))
    }
}

#[derive(Debug)]
struct Service(HttpClient);

/// The object store has no room. [`StoreError::is_full`](crate::StoreError::is_full) knows it by its text.
#[derive(Debug, thiserror::Error)]
#[error("507 Insufficient Storage: {0}")]
struct Full(String);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        if response.status().as_u16() != INSUFFICIENT_STORAGE {
            return Ok(response);
        }
        let mut body = response.into_body().bytes_stream();
        let mut said = Vec::new();
        while said.len() < TOLD
            && let Some(Ok(piece)) = body.next().await
        {
            said.extend_from_slice(&piece);
        }
        said.truncate(TOLD);
        let full = Full(String::from_utf8_lossy(&said).into_owned());
        Err(HttpError::new(HttpErrorKind::Unknown, full))
    }
}
