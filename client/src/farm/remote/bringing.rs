//! Bringing the blobs of a build to the farm, beside its other affairs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::anyhow;
use gofarm_amount::Size;
use gofarm_proto::Digest;
use gofarm_rpc::{BlobClient, BlobError, Progress, Source};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::farm::build::BuildWatch;
use crate::farm::upload::UploadError;

/// How often the user is told how far an upload has come.
const TICK: Duration = Duration::from_millis(100);

/// A build is submitted while this much of its upload is still to come, by the speed so far. What its actions read comes in
/// the order in which they are reached, so most find it there; an action that is early waits, and its client is asked for
/// what it misses. That is for moments: over a slow line everything but the last seconds' worth is brought before.
const SOON: Duration = Duration::from_secs(5);

/// Blobs with where they are.
pub(super) type Sourced = Vec<(Digest, Source)>;

/// What the farm's word that it has a blob is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Enough: a blob that turns out damaged is asked for again.
    Presence,
    /// Nothing unless it has compared the bytes.
    Bytes,
}

/// An upload under way. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Bringing {
    task: JoinSet<Result<(), BlobError>>,
    far: Arc<Far>,
}

impl Bringing {
    /// Brings what the farm lacks of these: all of `first` before `rest`, each in its order. Must be called on a runtime.
    pub fn start(blobs: BlobClient, first: Sourced, rest: Sourced, trust: Trust) -> Bringing {
        let far: Arc<Far> = Arc::default();
        let told = far.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let brought = bring(&blobs, first, trust, &told).await;
            if brought.is_ok() {
                told.last.store(true, Ordering::Relaxed);
                return bring(&blobs, rest, trust, &told).await;
            }
            brought
        });
        Bringing { task, far }
    }

    /// Bytes that the farm lacked and has now.
    pub fn bytes(&self) -> u64 {
        self.far.done()
    }

    /// Waits until so much has been brought that the build can be submitted. False when cancelled before.
    ///
    /// # Errors
    /// Something cannot be brought.
    pub async fn enough(
        &mut self,
        watch: &mut dyn BuildWatch,
        cancel: &CancellationToken,
    ) -> anyhow::Result<bool> {
        self.wait(watch, cancel, Far::is_near).await
    }

    /// Waits until all is there. False when cancelled before.
    ///
    /// # Errors
    /// Something cannot be brought.
    pub async fn all(
        &mut self,
        watch: &mut dyn BuildWatch,
        cancel: &CancellationToken,
    ) -> anyhow::Result<bool> {
        self.wait(watch, cancel, |_| false).await
    }

    async fn wait(
        &mut self,
        watch: &mut dyn BuildWatch,
        cancel: &CancellationToken,
        enough: fn(&Far) -> bool,
    ) -> anyhow::Result<bool> {
        let far = self.far.clone();
        let mut ticks = tokio::time::interval(TICK);
        loop {
            if enough(&far) {
                return Ok(true);
            }
            tokio::select! {
                brought = self.rest() => return brought.map(|()| true),
                () = cancel.cancelled() => return Ok(false),
                () = far.moved.notified() => {}
                _ = ticks.tick() => far.show(watch),
            }
        }
    }

    /// Waits for the end. Cancel safe; at once when it has been waited for before.
    ///
    /// # Errors
    /// Something cannot be brought.
    pub async fn rest(&mut self) -> anyhow::Result<()> {
        match self.task.join_next().await {
            None => Ok(()),
            Some(Ok(brought)) => brought.map_err(in_our_words),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(error)) => Err(anyhow!("the upload ended early: {error}")),
        }
    }
}

async fn bring(
    client: &BlobClient,
    blobs: Sourced,
    trust: Trust,
    far: &Far,
) -> Result<(), BlobError> {
    loop {
        let before = far.done();
        let tell = |progress: Progress| far.at(before, progress);
        let deadline = Instant::now() + PATIENCE;
        let blobs = blobs.iter().cloned();
        let uploaded = match trust {
            Trust::Presence => client.upload(blobs, deadline, &tell).await,
            Trust::Bytes => client.upload_unsound(blobs, deadline, &tell).await,
        };
        match uploaded {
            Ok(_) => return Ok(()),
            // The time was up, but bytes came through: a slow line, not a dead one.
            Err(error) if error.is_unreachable() && far.done() > before => {}
            Err(error) => return Err(error),
        }
    }
}

/// As an embedded build says it.
fn in_our_words(error: BlobError) -> anyhow::Error {
    match error {
        BlobError::Changed { name, .. } => UploadError::Changed { path: name.into() }.into(),
        error => error.into(),
    }
}

/// How far an upload has come.
#[derive(Debug, Default)]
struct Far {
    done: AtomicU64,
    total: AtomicU64,
    /// `total` will be that of everything, as soon as it is told.
    last: AtomicBool,
    /// `total` is that of everything.
    whole: AtomicBool,
    begun: OnceLock<Instant>,
    moved: Notify,
}

impl Far {
    fn at(&self, before: u64, progress: Progress) {
        self.begun.get_or_init(Instant::now);
        self.done.store(before + progress.done, Ordering::Relaxed);
        self.total.store(before + progress.total, Ordering::Relaxed);
        if self.last.load(Ordering::Relaxed) {
            self.whole.store(true, Ordering::Release);
        }
        self.moved.notify_one();
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether little is left to do.
    fn is_near(&self) -> bool {
        let begun = self.begun.get();
        begun.is_some_and(|begun| self.is_near_after(begun.elapsed()))
    }

    fn is_near_after(&self, elapsed: Duration) -> bool {
        let whole = self.whole.load(Ordering::Acquire);
        let (done, total) = (self.done(), self.total.load(Ordering::Relaxed));
        let left = total.saturating_sub(done) as f64;
        whole && done > 0 && elapsed.as_secs_f64() * left <= SOON.as_secs_f64() * done as f64
    }

    fn show(&self, watch: &mut dyn BuildWatch) {
        let total = self.total.load(Ordering::Relaxed);
        if total > 0 {
            watch.stage(&format!(
                "uploading {} of {}",
                Size(self.done()),
                Size(total)
            ));
        }
        watch.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_submitted_when_the_rest_is_a_matter_of_seconds() {
        let far = Far::default();
        let at = |before, done, total| far.at(before, Progress { done, total });
        let near = |seconds| far.is_near_after(Duration::from_secs(seconds));
        at(0, 0, 10);
        at(0, 10, 10);
        assert!(!near(1), "nobody knows yet what is to come");
        far.last.store(true, Ordering::Relaxed);
        at(10, 0, 90);
        assert!(!near(1), "nine seconds are left");
        at(10, 50, 90);
        assert!(near(6), "four seconds are left");
        assert!(!near(60), "forty seconds are left");
        at(10, 90, 90);
        assert!(near(60));
    }
}
