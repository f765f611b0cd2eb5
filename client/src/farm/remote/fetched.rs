//! What a build has made, fetched when it is needed.

use std::sync::atomic::{AtomicU64, Ordering};

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, StoreError};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Remote};
use crate::blobs::Blobs;

/// The command was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// The blobs of a farm by way of the local store. To be read outside of the runtime.
#[derive(Debug)]
pub struct Fetched<'a> {
    remote: &'a Remote,
    store: &'a DiskStore,
    runtime: Handle,
    cancel: CancellationToken,
    bytes: AtomicU64,
}

impl<'a> Fetched<'a> {
    /// Fetches into `store` until `cancel` is cancelled.
    pub fn new(
        remote: &'a Remote,
        store: &'a DiskStore,
        runtime: Handle,
        cancel: CancellationToken,
    ) -> Fetched<'a> {
        Fetched {
            remote,
            store,
            runtime,
            cancel,
            bytes: AtomicU64::new(0),
        }
    }

    /// Bytes that were fetched because they were not in the local store.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    async fn fetch(&self, digest: &Digest) -> anyhow::Result<()> {
        let lacking = loop {
            let moved = AtomicU64::new(0);
            let tell =
                |progress: gofarm_rpc::Progress| moved.store(progress.done, Ordering::Relaxed);
            let deadline = Instant::now() + PATIENCE;
            let blobs = [*digest];
            let download = self
                .remote
                .blobs
                .download(&blobs, self.store, deadline, &tell);
            let downloaded = tokio::select! {
                downloaded = download => downloaded,
                () = self.cancel.cancelled() => return Err(Stopped.into()),
            };
            let moved = moved.into_inner();
            self.bytes.fetch_add(moved, Ordering::Relaxed);
            match downloaded {
                Ok(lacking) => break lacking,
                // The time was up, but bytes came through: a slow line, not a dead one.
                Err(error) if error.is_unreachable() && moved > 0 => {}
                Err(error) => return Err(error.into()),
            }
        };
        if lacking.is_empty() {
            return Ok(());
        }
        Err(StoreError::Missing { digest: *digest }.into())
    }
}

impl Blobs for Fetched<'_> {
    fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        match self.store.read(digest) {
            Err(error) if error.is_lost_blob() => {}
            other => return Ok(other?),
        }
        self.runtime.block_on(self.fetch(digest))?;
        Ok(self.store.read(digest)?)
    }
}
