//! Keeps the farm's store within its bounds, by one replica at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gofarm_store::{FarmStore, Retention};

use super::metrics::Collections;
use super::registry::{Duty, Registry, now_ms};

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
            && let Err(error) = registry.duty_done(COLLECT, &replica, &duty).await
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
