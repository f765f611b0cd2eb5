//! What a farm asks its clients for: blobs that no action makes and that it has lost.

use gofarm_proto::{Digest, v1};
use gofarm_rpc::{BlobError, RpcError, Source};
use tokio::time::Instant;

use super::{PATIENCE, Remote};
use crate::farm::supply::Supply;

impl Remote {
    /// Uploads what was asked for and says so; says of the rest that it is not to be had. Returns what the user should
    /// know.
    pub(super) async fn provide(
        &self,
        build: String,
        wanted: Vec<Digest>,
        supply: &Supply,
    ) -> Result<Option<String>, RpcError> {
        let mut warning = None;
        let mut have: Vec<(Digest, Source)> = wanted
            .iter()
            .filter_map(|digest| Some((*digest, supply.source(digest)?)))
            .collect();
        loop {
            let deadline = Instant::now() + PATIENCE;
            let uploaded = self.blobs.upload(have.clone(), deadline, &|_| {}).await;
            let count = have.len();
            match uploaded {
                Ok(_) => break,
                Err(BlobError::Rpc(error)) => return Err(error),
                Err(error) => {
                    match &error {
                        BlobError::Changed { digest, .. } | BlobError::Refused { digest, .. } => {
                            have.retain(|(other, _)| other != digest);
                        }
                        BlobError::Unreadable { path, .. } => {
                            have.retain(|(_, source)| !is_file(source, path));
                        }
                        BlobError::Rpc(_) | BlobError::Store(_) => have.clear(),
                    }
                    if have.len() == count {
                        have.clear();
                    }
                    warning = Some(error.to_string());
                }
            }
        }
        let (provided, unavailable): (Vec<Digest>, Vec<Digest>) = wanted
            .iter()
            .partition(|digest| have.iter().any(|(other, _)| other == *digest));
        let message = |digests: Vec<Digest>| digests.into_iter().map(v1::Digest::from).collect();
        let request = v1::ProvideRequest {
            build,
            provided: message(provided),
            unavailable: message(unavailable),
        };
        self.connection
            .retry("provide blobs", Instant::now() + PATIENCE, || {
                let (mut client, request) = (self.connection.builds(), request.clone());
                async move { client.provide(request).await }
            })
            .await?;
        Ok(warning)
    }
}

fn is_file(source: &Source, path: &std::path::Path) -> bool {
    matches!(source, Source::File(file) if file == path)
}
