//! Fetching blobs from the farm.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, future, stream};
use gofarm_proto::{Digest, v1};
use gofarm_store::{DiskStore, StoreError};
use tokio::time::{Instant, timeout_at};

use super::compression::unpack;
use super::error::BlobError;
use super::flight::{Flight, Joined};
use super::progress::{Meter, Progress};
use super::split::{LARGE, Transfer, split};
use super::{BlobClient, TRANSFERS, blocking, read, unique};

const WHAT: &str = "fetch blobs";

pub(super) async fn download(
    client: &BlobClient,
    digests: &[Digest],
    into: &DiskStore,
    deadline: Instant,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Digest>, BlobError> {
    let mut wanted = absent(into, unique(digests.iter().copied())).await?;
    let meter = Meter::new(wanted.iter().map(|digest| digest.size).sum(), tell);
    let mut lacking = Vec::new();
    while !wanted.is_empty() {
        let (mine, others) = client.flights.claim(&wanted, into);
        let (lost, joined) = future::try_join(
            fetch(client, mine, into, deadline, &meter),
            wait(client, others, deadline, &meter),
        )
        .await?;
        lacking.extend(lost);
        wanted.clear();
        for (digest, outcome) in joined {
            match outcome {
                Some(true) => {}
                Some(false) => lacking.push(digest),
                None => wanted.push(digest),
            }
        }
    }
    Ok(lacking)
}

async fn absent(store: &DiskStore, digests: Vec<Digest>) -> Result<Vec<Digest>, BlobError> {
    let store = store.clone();
    blocking(move || store.missing(&digests)).await
}

async fn wait(
    client: &BlobClient,
    others: Vec<Joined>,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<Vec<(Digest, Option<bool>)>, BlobError> {
    let mut outcomes = Vec::with_capacity(others.len());
    for mut joined in others {
        let outcome = timeout_at(deadline, joined.landed())
            .await
            .map_err(|_| client.connection.too_late(WHAT))?;
        if outcome == Some(true) {
            meter.add(joined.digest().size);
        }
        outcomes.push((joined.digest(), outcome));
    }
    Ok(outcomes)
}

/// Fetches what this call has taken on. Returns what the farm lacks.
async fn fetch(
    client: &BlobClient,
    mine: Vec<Flight>,
    into: &DiskStore,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<Vec<Digest>, BlobError> {
    // Between the first look and the claim, another call may have ended that fetched them.
    let digests = mine.iter().map(Flight::digest).collect();
    let absent: std::collections::HashSet<Digest> =
        absent(into, digests).await?.into_iter().collect();
    let (mine, there): (Vec<_>, Vec<_>) = mine
        .into_iter()
        .partition(|flight| absent.contains(&flight.digest()));
    for flight in there {
        meter.add(flight.digest().size);
        flight.land(true);
    }
    let lost: Vec<Vec<Digest>> = stream::iter(split(mine, Flight::digest))
        .map(|transfer| async {
            match transfer {
                Transfer::Batch(batch) => read_batch(client, batch, into, deadline, meter).await,
                Transfer::Stream(flight) => read_one(client, flight, into, deadline, meter).await,
            }
        })
        .buffer_unordered(TRANSFERS)
        .try_collect()
        .await?;
    Ok(lost.concat())
}

async fn read_one(
    client: &BlobClient,
    flight: Flight,
    into: &DiskStore,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<Vec<Digest>, BlobError> {
    let digest = flight.digest();
    let found = read::read(client, digest, into, deadline, meter).await?;
    flight.land(found);
    Ok(if found { Vec::new() } else { vec![digest] })
}

async fn read_batch(
    client: &BlobClient,
    batch: Vec<Flight>,
    into: &DiskStore,
    deadline: Instant,
    meter: &Meter<'_>,
) -> Result<Vec<Digest>, BlobError> {
    let request = v1::BatchReadRequest {
        digests: batch.iter().map(|f| f.digest().into()).collect(),
        zstd: client.zstd,
    };
    let answer = client
        .connection
        .retry(WHAT, deadline, || {
            let (mut blobs, request) = (client.connection.blobs(), request.clone());
            async move { blobs.batch_read(request).await }
        })
        .await?
        .into_inner();
    let store = into.clone();
    let stored = blocking(move || store_all(&store, answer.blobs)).await?;

    let mut flights: HashMap<Digest, Flight> = batch.into_iter().map(|f| (f.digest(), f)).collect();
    for digest in stored {
        if let Some(flight) = flights.remove(&digest) {
            meter.add(digest.size);
            flight.land(true);
        }
    }
    // Left out, or spoilt on the way: not there, or to be read alone.
    let left: Vec<Digest> = flights.keys().copied().collect();
    let mut lost = client.missing(&left, deadline).await?;
    for digest in &lost {
        if let Some(flight) = flights.remove(digest) {
            flight.land(false);
        }
    }
    for flight in flights.into_values() {
        lost.extend(read_one(client, flight, into, deadline, meter).await?);
    }
    Ok(lost)
}

/// Stores the blobs that are what they say they are. Blocks.
fn store_all(store: &DiskStore, blobs: Vec<v1::Blob>) -> Result<Vec<Digest>, BlobError> {
    let mut stored = Vec::with_capacity(blobs.len());
    for blob in blobs {
        let digest = blob.digest.as_ref().map(Digest::try_from);
        let Some(Ok(digest)) = digest else {
            continue;
        };
        // No more than was asked for, whatever the answer says.
        let most = usize::try_from(digest.size.min(LARGE)).unwrap_or(0);
        let whole = match unpack(blob.data, blob.zstd, most) {
            Ok(bytes) => store_one(store, digest, &bytes)?,
            Err(_) => false,
        };
        match whole {
            true => stored.push(digest),
            false => tracing::warn!(%digest, "a blob came damaged"),
        }
    }
    Ok(stored)
}

/// False when these are not the bytes of the digest.
fn store_one(store: &DiskStore, digest: Digest, bytes: &[u8]) -> Result<bool, StoreError> {
    let mut incoming = store.incoming(digest)?;
    let stored = incoming.write(bytes).and_then(|()| incoming.finish());
    match stored {
        Ok(_) => Ok(true),
        Err(StoreError::WrongBytes { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
