//! Keeps the farm's store within its bounds, by one replica at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gofarm_store::{FarmStore, Retention};
use gofarm_timing::now_ms;

use super::metrics::Collections;
use super::registry::{Duty, Registry};

/// How often the store is collected, by whoever has the duty.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How often a replica looks whether it is time.
const LOOK: Duration = Duration::from_secs(60);
/// How long the duty stays with a replica that is not heard of. Steps of a collection are shorter.
const TTL: Duration = Duration::from_secs(120);
/// How often it says that it is there.
const RENEW: Duration = Duration::from_secs(20);

/// The name of the duty.
const COLLECT: &str = "collect";

/// Collects when it is time and nobody else does; never ends.
///
/// Two replicas collect at once only when one was cut off from the registry for longer than the duty lasts and has not come to
/// its next step: each looks at every thing before it removes it, so that does no harm.
pub async fn collect(
    store: FarmStore,
    registry: Arc<dyn Registry>,
    replica: Arc<str>,
    retention: Retention,
    collections: Collections,
) {
    collect_by(store, registry, replica, retention, collections, now_ms).await
}

/// By a clock that tells the milliseconds since the epoch.
async fn collect_by(
    store: FarmStore,
    registry: Arc<dyn Registry>,
    replica: Arc<str>,
    retention: Retention,
    collections: Collections,
    now_ms: impl Fn() -> u64,
) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Without the registry somebody else may be collecting.
        let Ok(Some(duty)) = registry.take_duty(COLLECT, &replica, TTL).await else {
            continue;
        };
        if now_ms() < duty.done_ms.saturating_add(EVERY.as_millis() as u64) {
            continue;
        }
        if once(&store, &registry, &replica, &duty, retention, &collections).await
            && let Err(error) = registry.duty_done(COLLECT, &replica, &duty, now_ms()).await
        {
            tracing::debug!(%error, "that the store was collected is not noted; it is done once more");
        }
    }
}

/// One collection; false when it did not come to its end.
async fn once(
    store: &FarmStore,
    registry: &Arc<dyn Registry>,
    replica: &Arc<str>,
    duty: &Duty,
    retention: Retention,
    collections: &Collections,
) -> bool {
    let held = Arc::new(AtomicBool::new(true));
    let going = held.clone();
    let renewing = async {
        loop {
            tokio::time::sleep(RENEW).await;
            let renewed = registry.take_duty(COLLECT, replica, TTL).await;
            if !matches!(renewed, Ok(Some(Duty { epoch, .. })) if epoch == duty.epoch) {
                // The next step is not taken.
                held.store(false, Ordering::Relaxed);
                return std::future::pending::<()>().await;
            }
        }
    };
    let collecting = store.collect(retention, false, move |_, _| going.load(Ordering::Relaxed));
    let collected = tokio::select! {
        collected = collecting => collected,
        () = renewing => return false,
    };
    match collected {
        Ok(collected) => {
            let (removed, before) = (collected.removed, collected.before);
            collections.collected(&collected);
            tracing::info!(
                blobs = removed.blobs,
                results = removed.results,
                bytes = removed.bytes(),
                of_bytes = before.bytes(),
                above_bound = collected.above_bound,
                ended = collected.ended,
                "the store was brought within its bounds"
            );
            !collected.ended
        }
        Err(error) => {
            tracing::warn!(%error, "the store was not brought within its bounds; trying again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::SystemTime;

    use gofarm_proto::Digest;
    use gofarm_store::{DiskStore, DiskStoreOptions};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::super::registry::MemoryRegistry;
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Replicas over one store, whose hours pass as fast as they have nothing to do.
    struct Farm {
        store: FarmStore,
        registry: Arc<dyn Registry>,
        born: Instant,
        _folder: tempfile::TempDir,
    }

    impl Farm {
        fn new() -> Farm {
            let folder = tempfile::tempdir().unwrap();
            let local = DiskStore::open(folder.path(), DiskStoreOptions::default()).unwrap();
            Farm {
                store: FarmStore::on_disk(local),
                registry: Arc::new(MemoryRegistry::new()),
                born: Instant::now(),
                _folder: folder,
            }
        }

        fn replica(&self, name: &str) -> JoinHandle<()> {
            let born = self.born;
            let retention = Retention {
                age: Some(DAY),
                bytes: None,
            };
            tokio::spawn(collect_by(
                self.store.clone(),
                self.registry.clone(),
                name.into(),
                retention,
                Collections::default(),
                move || 1_000_000_000_000 + born.elapsed().as_millis() as u64,
            ))
        }

        /// A blob that nobody has used for three days.
        async fn old_blob(&self, text: &str) -> Digest {
            let digest = self.store.put_bytes(text.as_bytes().to_vec()).await;
            let digest = digest.unwrap();
            let times = FileTimes::new().set_accessed(SystemTime::now() - 3 * DAY);
            let file = File::open(self.store.local().path(&digest)).unwrap();
            file.set_times(times).unwrap();
            digest
        }

        /// Without using it.
        fn has(&self, digest: &Digest) -> bool {
            self.store.local().path(digest).exists()
        }
    }

    impl Farm {
        /// When a blob that is too old was seen to be gone.
        async fn collected(&self, text: &str) -> Duration {
            let blob = self.old_blob(text).await;
            while self.has(&blob) {
                sleep(MINUTE).await;
                assert!(self.born.elapsed() < DAY, "never collected");
            }
            self.born.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_collected_once_an_hour_by_one_of_its_replicas() {
        let farm = Farm::new();
        let first = farm.old_blob("first").await;
        let replicas = ["a", "b", "c"].map(|name| farm.replica(name));
        sleep(2 * MINUTE).await;
        assert!(!farm.has(&first), "at once, when nobody has ever done it");
        let mut last = Duration::ZERO;
        for hour in 1..6 {
            let now = farm.collected(&format!("{hour}")).await;
            // A replica looks once a minute, and so does the test.
            let between = now - last;
            assert!(between >= EVERY - 2 * MINUTE, "{hour}: {between:?}");
            assert!(between <= EVERY + 3 * MINUTE, "{hour}: {between:?}");
            last = now;
        }
        for replica in replicas {
            replica.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_schedule_outlives_the_replica_that_has_the_duty() {
        let farm = Farm::new();
        let first = farm.old_blob("first").await;
        let one = farm.replica("a");
        sleep(2 * MINUTE).await;
        assert!(!farm.has(&first));
        let other = farm.replica("b");
        sleep(28 * MINUTE).await;
        let mine = farm.registry.take_duty(COLLECT, &"a".into(), TTL).await;
        assert!(mine.unwrap().is_some(), "the first that looked has it");
        one.abort();
        // Nobody's for as long as the duty lasts, and then the other's; the hour is the same.
        let now = farm.collected("second").await;
        assert!(now >= EVERY, "{now:?}");
        assert!(now <= EVERY + 3 * MINUTE, "{now:?}");
        other.abort();
    }
}
