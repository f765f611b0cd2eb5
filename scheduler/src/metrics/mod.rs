//! What is counted and measured, for Prometheus.
//!
//! Everything counts what this replica has seen, so that sums over the replicas are the farm's; what is read from the shared
//! state (`gofarm_farm_*`) is the same at every replica, and the greatest counts.

mod calls;
mod collections;
mod farm;
mod panics;
mod queue;
mod registry;
mod room;
mod rpc;
mod store;
#[cfg(test)]
mod store_test;
mod tasks;
#[cfg(test)]
mod tests;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use calls::Calls;
pub use collections::{Collections, Lookups};
pub use farm::{FarmGauges, sample};
pub use queue::MeteredQueue;
pub use registry::MeteredRegistry;
pub use room::Room;
pub use rpc::{MeteredRpc, Rpc, RpcLayer};
pub use store::MeteredStore;
pub use tasks::{Ending, Tasks};

/// All of a scheduler's metrics. Handles are cheap to use and to clone.
pub struct Metrics {
    all: Registry,
    /// Tasks and actions.
    pub tasks: Tasks,
    /// The lease queue; with Redis, round trips to it.
    pub queue: Calls,
    /// The registry; with Redis, round trips to it.
    pub registry: Calls,
    /// The store.
    pub store: Calls,
    /// Whether the store has room.
    pub room: Room,
    /// Hits and misses of the store.
    pub lookups: Lookups,
    /// What the store has, and what was removed from it.
    pub collections: Collections,
    /// Calls of clients and workers.
    pub rpc: Rpc,
    /// The state of the whole farm.
    pub farm: FarmGauges,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let mut all = Registry::with_prefix("gofarm");
        panics::register(&mut all);
        Metrics {
            tasks: Tasks::registered(&mut all),
            queue: Calls::registered(&mut all, "queue", "the lease queue (Redis)"),
            registry: Calls::registered(&mut all, "registry", "the registry (Redis)"),
            store: Calls::registered(&mut all, "store", "the store"),
            room: Room::registered(&mut all),
            lookups: Lookups::registered(&mut all),
            collections: Collections::registered(&mut all),
            rpc: Rpc::registered(&mut all),
            farm: FarmGauges::registered(&mut all),
            all,
        }
    }

    /// What [`render`](Self::render) writes.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All of them in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail; what could is a label of ours that cannot be encoded.
        if let Err(error) = encode(&mut text, &self.all) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}
