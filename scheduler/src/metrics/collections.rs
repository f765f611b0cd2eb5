//! How much a farm's store has, what of it was asked for, and what was removed.

use gofarm_store::{Amount, Collected};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Lookup {
    kind: &'static str,
    found: &'static str,
}

/// Whether the store had what it was asked for. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lookups {
    asked: Family<Lookup, Counter>,
}

impl Lookups {
    pub(super) fn registered(registry: &mut Registry) -> Lookups {
        let lookups = Lookups::default();
        registry.register(
            "store_lookups",
            "Blobs and results that were asked for, and whether the store had them",
            lookups.asked.clone(),
        );
        lookups
    }

    /// So many blobs were asked for, and so many of them were missing.
    pub(super) fn blobs(&self, asked: usize, missing: usize) {
        self.count("blob", asked.saturating_sub(missing), missing);
    }

    /// A result was asked for.
    pub(super) fn result(&self, found: bool) {
        self.count("result", usize::from(found), usize::from(!found));
    }

    fn count(&self, kind: &'static str, found: usize, missing: usize) {
        for (found, count) in [("yes", found), ("no", missing)] {
            if count > 0 {
                let lookup = self.asked.get_or_create(&Lookup { kind, found });
                lookup.inc_by(count as u64);
            }
        }
    }
}

/// Known by the replica that collected last: the greatest counts for what there is. Cheap to clone.
#[derive(Clone, Default)]
pub struct Collections {
    objects: Family<Kind, Gauge>,
    bytes: Family<Kind, Gauge>,
    removed: Family<Kind, Counter>,
    removed_bytes: Family<Kind, Counter>,
}

impl Collections {
    pub(super) fn registered(registry: &mut Registry) -> Collections {
        let collections = Collections::default();
        registry.register(
            "store_objects",
            "Blobs (kind blob) and results (kind result) in the store after its last collection",
            collections.objects.clone(),
        );
        registry.register("store_bytes", "Their bytes", collections.bytes.clone());
        registry.register(
            "store_removed",
            "Blobs and results that this replica has removed from the store, by kind",
            collections.removed.clone(),
        );
        registry.register(
            "store_removed_bytes",
            "Their bytes",
            collections.removed_bytes.clone(),
        );
        collections
    }

    /// The store was collected.
    pub fn collected(&self, collected: &Collected) {
        let parts = |amount: &Amount| {
            [
                ("blob", amount.blobs, amount.blob_bytes),
                ("result", amount.results, amount.result_bytes),
            ]
        };
        let parts = parts(&collected.before)
            .into_iter()
            .zip(parts(&collected.removed));
        for ((kind, count, bytes), (_, gone, gone_bytes)) in parts {
            let kind = Kind { kind };
            let left = |before: u64, gone: u64| before.saturating_sub(gone) as i64;
            self.objects.get_or_create(&kind).set(left(count, gone));
            self.bytes.get_or_create(&kind).set(left(bytes, gone_bytes));
            self.removed.get_or_create(&kind).inc_by(gone);
            self.removed_bytes.get_or_create(&kind).inc_by(gone_bytes);
        }
    }
}
