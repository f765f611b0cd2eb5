//! Bringing blobs to the farm.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::{Digest, v1};
use tokio::time::Instant;

use super::compression::pack;
use super::error::BlobError;
use super::progress::{Meter, Progress};
use super::source::Source;
use super::split::{LARGE, Transfer, split};
use super::{BlobClient, TRANSFERS, Uploaded, blocking, write};

type Sourced = (Digest, Source);

/// Which blobs the farm is asked about before they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    All,
    /// All, and it compares their bytes.
    Verified,
    /// Those that are sent as streams, and it compares their bytes. The others are sent, and compared on their arrival.
    Large,
}

pub(super) async fn upload(
    client: &BlobClient,
    sources: impl IntoIterator<Item = Sourced>,
    ask: Ask,
    deadline: Instant,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Uploaded, BlobError> {
    let sources: Vec<Sourced> = sources.into_iter().collect();
    let digests = sources.iter().map(|(digest, _)| *digest);
    let (asked, unasked): (Vec<Digest>, Vec<Digest>) =
        digests.partition(|digest| ask != Ask::Large || digest.size > LARGE);
    let missing = match ask {
        _ if asked.is_empty() => Vec::new(),
        Ask::All => client.missing(&asked, deadline).await?,
        Ask::Verified | Ask::Large => client.unsound(&asked, deadline).await?,
    };
    let mut wanted: HashSet<Digest> = missing.into_iter().chain(unasked).collect();
    let uploaded = Uploaded {
        blobs: wanted.len() as u64,
        bytes: wanted.iter().map(|digest| digest.size).sum(),
    };
    let sources = sources
        .into_iter()
        .filter(|(digest, _)| wanted.remove(digest));
    let transfers = split(sources, |(digest, _)| *digest);
    let meter = Meter::new(uploaded.bytes, tell);
    stream::iter(transfers)
        .map(Ok)
        .try_for_each_concurrent(TRANSFERS, |transfer| async {
            match transfer {
                Transfer::Batch(batch) => write_batch(client, batch, deadline, &meter).await,
                Transfer::Stream((digest, source)) => {
                    write::write(client, digest, &source, deadline, &meter).await
                }
            }
        })
        .await?;
    Ok(uploaded)
}

async fn write_batch(
    client: &BlobClient,
    batch: Vec<Sourced>,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<(), BlobError> {
    let bytes = batch.iter().map(|(digest, _)| digest.size).sum();
    let zstd = client.zstd;
    let (batch, blobs) = blocking(move || {
        let load = |(digest, source): &Sourced| {
            let (data, zstd) = pack(source.load(*digest)?, zstd);
            Ok(v1::Blob {
                digest: Some((*digest).into()),
                data,
                zstd,
            })
        };
        let blobs: Result<Vec<_>, BlobError> = batch.iter().map(load).collect();
        blobs.map(|blobs| (batch, blobs))
    })
    .await?;
    let request = v1::BatchWriteRequest { blobs };
    let answer = client
        .connection
        .retry("store blobs", deadline, || {
            // The bytes are shared, not copied.
            let (mut blobs, request) = (client.connection.blobs(), request.clone());
            async move { blobs.batch_write(request).await }
        })
        .await?
        .into_inner();
    if let Some(refused) = answer.refused.into_iter().next() {
        let digest = client.understood("store blobs", &refused.digest.unwrap_or_default())?;
        let source = batch.iter().find(|(of, _)| *of == digest);
        return Err(BlobError::Refused {
            address: client.connection.addresses().clone(),
            name: source.map_or_else(String::new, |(_, source)| source.name()),
            digest,
            reason: refused.reason,
        });
    }
    meter.add(bytes);
    Ok(())
}
