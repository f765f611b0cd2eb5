//! The state of the whole farm, looked at every few seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::v1::farm_server::Farm;
use gofarm_proto::v1::{Worker, WorkersRequest};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tonic::Request;

use super::Metrics;
use gofarm_queue::{LeaseQueue, QueueStats};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolState {
    pool: String,
    state: &'static str,
}

/// What the shared state says. Cheap to clone.
#[derive(Clone, Default)]
pub struct FarmGauges {
    tasks: Family<State, Gauge>,
    workers: Family<PoolState, Gauge>,
    slots: Family<PoolState, Gauge>,
}

impl FarmGauges {
    pub(super) fn registered(registry: &mut Registry) -> FarmGauges {
        let farm = FarmGauges::default();
        registry.register(
            "farm_tasks",
            "Tasks of the farm that wait (state queued) or run (state leased)",
            farm.tasks.clone(),
        );
        registry.register(
            "farm_workers",
            "Workers by pool: state active, or aside (given nothing until they have proved themselves)",
            farm.workers.clone(),
        );
        registry.register(
            "farm_slots",
            "Slots of all workers by pool: state busy or free",
            farm.slots.clone(),
        );
        farm
    }

    /// What the queue says.
    pub fn queue(&self, stats: QueueStats) {
        for (state, count) in [("queued", stats.queued), ("leased", stats.leased)] {
            self.tasks.get_or_create(&State { state }).set(count as i64);
        }
    }

    /// All workers that have shown themselves lately.
    pub fn workers(&self, workers: &[Worker]) {
        let mut pools: BTreeMap<&str, [i64; 4]> = BTreeMap::new();
        for worker in workers {
            let [active, aside, busy, free] = pools.entry(&worker.pool).or_default();
            if worker.set_aside.is_empty() {
                *active += 1;
            } else {
                *aside += 1;
            }
            *busy += i64::from(worker.running);
            *free += i64::from(worker.slots.saturating_sub(worker.running));
        }
        // Pools whose last worker has gone are no longer told of.
        self.workers.clear();
        self.slots.clear();
        for (pool, [active, aside, busy, free]) in pools {
            let of = |state| PoolState {
                pool: pool.to_owned(),
                state,
            };
            self.workers.get_or_create(&of("active")).set(active);
            self.workers.get_or_create(&of("aside")).set(aside);
            self.slots.get_or_create(&of("busy")).set(busy);
            self.slots.get_or_create(&of("free")).set(free);
        }
    }
}

/// Keeps [`FarmGauges`] up to date; never ends. What cannot be read stays as it was, and the queue's errors are counted.
pub async fn sample(
    metrics: Arc<Metrics>,
    queue: Arc<dyn LeaseQueue>,
    farm: Arc<impl Farm>,
    every: Duration,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(stats) = queue.stats().await {
            metrics.farm.queue(stats);
        }
        if let Ok(answer) = farm.workers(Request::new(WorkersRequest {})).await {
            metrics.farm.workers(&answer.into_inner().workers);
        }
    }
}
