//! Reading the local cache in idle time, so that damage is found before a build meets it.

use std::time::{Duration, Instant};

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, Scrubbed, StoreError};

use super::options::ScrubOptions;
use super::shared::Shared;

/// How often a worker that has work looks whether it has any still.
const BUSY: Duration = Duration::from_secs(1);

/// After a pass it is asked again which blobs are due when the first may be, but neither rarely nor all the time: that looks
/// at every file.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10 * 60));

/// What one pass over the cache has found.
#[derive(Debug, Default)]
struct Pass {
    blobs: u64,
    bytes: u64,
    damaged: u64,
}

/// Scrubs whenever no lease is held, for as long as the worker lives.
pub(super) async fn scrub_on(shared: &Shared) {
    let options = shared.options.scrub;
    if options.rate == 0 {
        return;
    }
    loop {
        shared.rest().await;
        match pass(shared, options).await {
            Ok(pass) if pass.blobs > 0 => tracing::info!(
                blobs = pass.blobs,
                bytes = pass.bytes,
                damaged = pass.damaged,
                "scrubbed the local cache"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot scrub the local cache"),
        }
        tokio::time::sleep(options.after.clamp(LOOK.0, LOOK.1)).await;
    }
}

async fn pass(shared: &Shared, options: ScrubOptions) -> Result<Pass, StoreError> {
    let mut pass = Pass::default();
    let due = on_store(shared, move |store| {
        store.due_for_scrub(options.after, Instant::now())
    });
    for digest in due.await? {
        shared.rest().await;
        pass.take(digest, scrub(shared, digest).await?);
        let pause = digest.size as f64 / options.rate as f64;
        tokio::time::sleep(Duration::from_secs_f64(pause)).await;
    }
    Ok(pass)
}

async fn scrub(shared: &Shared, digest: Digest) -> Result<Scrubbed, StoreError> {
    on_store(shared, move |store| store.scrub(&digest, Instant::now())).await
}

impl Pass {
    fn take(&mut self, digest: Digest, found: Scrubbed) {
        if found != Scrubbed::Gone {
            self.blobs += 1;
            self.bytes += digest.size;
        }
        if let Scrubbed::Damaged(aside) = found {
            self.damaged += 1;
            tracing::warn!(
                %digest,
                aside = %aside.display(),
                "a blob of the local cache was damaged and has been set aside; check the disk and the memory of this machine"
            );
        }
    }
}

impl Shared {
    /// Waits until no lease is held.
    async fn rest(&self) {
        while self.held.any() {
            tokio::time::sleep(BUSY).await;
        }
    }
}

async fn on_store<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&DiskStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = shared.cache.store().clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::ShuttingDown),
    }
}
