//! Tasks as they wait and run, and actions as they end.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use gofarm_proto::v1;

use gofarm_engine::core::Outcome;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByPool {
    pool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InPool {
    pool: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    how: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Refused {
    call: &'static str,
    reason: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Where an action's result is from, or why it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its build had it executed.
    Executed,
    /// The action cache had it.
    Cached,
    /// It was executed for another, and shared.
    Joined,
    /// It failed.
    Failed,
    /// Something that it needs failed.
    Skipped,
    /// Its build ended before.
    Cancelled,
}

/// Metrics of tasks and actions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    open: Family<InPool, Gauge>,
    wait: Histograms<ByPool>,
    run: Histograms<ByKind>,
    ended: Family<Ended, Counter>,
    retries: Family<ByKind, Counter>,
    leases: Family<ByPool, Counter>,
    refusals: Family<Refused, Counter>,
    actions: Family<Ended, Counter>,
}

/// Counts for nobody.
impl Default for Tasks {
    fn default() -> Tasks {
        Tasks {
            open: Family::default(),
            wait: Family::new_with_constructor(span),
            run: Family::new_with_constructor(span),
            ended: Family::default(),
            retries: Family::default(),
            leases: Family::default(),
            refusals: Family::default(),
            actions: Family::default(),
        }
    }
}

impl Tasks {
    pub(super) fn registered(registry: &mut Registry) -> Tasks {
        let tasks = Tasks::default();
        registry.register(
            "tasks",
            "Tasks of this replica's builds that wait (state queued) or run (state leased)",
            tasks.open.clone(),
        );
        registry.register(
            "task_wait_seconds",
            "From when a task was put into the queue until a worker had it",
            tasks.wait.clone(),
        );
        registry.register(
            "task_run_seconds",
            "How long the tools of a task ran on its worker",
            tasks.run.clone(),
        );
        registry.register(
            "task_runs",
            "Runs of tasks by how they ended; what several builds share counts once",
            tasks.ended.clone(),
        );
        registry.register(
            "task_retries",
            "Tasks that were put into the queue again",
            tasks.retries.clone(),
        );
        registry.register(
            "leases_given",
            "Leases given to workers by this replica",
            tasks.leases.clone(),
        );
        registry.register(
            "lease_refusals",
            "What workers said about leases that they no longer had",
            tasks.refusals.clone(),
        );
        registry.register(
            "actions",
            "Actions of builds by how they ended; how=cached are hits of the action cache",
            tasks.actions.clone(),
        );
        tasks
    }

    /// Actions of a build ended. Told by the engine.
    pub fn actions_ended(&self, kind: v1::Kind, how: Ending, count: u32) {
        let how = match how {
            Ending::Executed => "executed",
            Ending::Cached => "cached",
            Ending::Joined => "joined",
            Ending::Failed => "failed",
            Ending::Skipped => "skipped",
            Ending::Cancelled => "cancelled",
        };
        let kind = kind.word();
        let ended = self.actions.get_or_create(&Ended { kind, how });
        ended.inc_by(count.into());
    }

    pub(super) fn open(&self, pool: &str, state: &'static str, change: i64) {
        let pool = label(pool);
        self.open
            .get_or_create(&InPool { pool, state })
            .inc_by(change);
    }

    pub(super) fn waited(&self, pool: &str, time: Duration) {
        let pool = label(pool);
        let wait = self.wait.get_or_create(&ByPool { pool });
        wait.observe(time.as_secs_f64());
    }

    pub(super) fn run_ended(&self, kind: v1::Kind, outcome: &Outcome) {
        let kind = kind.word();
        if let Outcome::Succeeded(result) | Outcome::Failed(result) = outcome {
            let seconds = Duration::from_millis(result.usage.wall_ms).as_secs_f64();
            self.run.get_or_create(&ByKind { kind }).observe(seconds);
        }
        let how = match outcome {
            Outcome::Succeeded(_) => "succeeded",
            Outcome::Failed(_) => "failed",
            Outcome::Crashed { .. } => "crashed",
            Outcome::LostLease => "lost_lease",
            Outcome::OutOfMemory { .. } => "out_of_memory",
            Outcome::BlobsMissing(_) => "blobs_missing",
            Outcome::Released => "released",
            Outcome::Cancelled => "cancelled",
            Outcome::Unplaceable { .. } => "unplaceable",
        };
        self.ended.get_or_create(&Ended { kind, how }).inc();
    }

    pub(super) fn retried(&self, kind: v1::Kind) {
        let kind = kind.word();
        self.retries.get_or_create(&ByKind { kind }).inc();
    }

    pub(super) fn leased(&self, pool: &str) {
        let pool = label(pool);
        self.leases.get_or_create(&ByPool { pool }).inc();
    }

    pub(super) fn refused(&self, call: &'static str, reason: &'static str) {
        self.refusals.get_or_create(&Refused { call, reason }).inc();
    }
}

/// A part of a pool as the value of a label: of the identities of C toolchains, which are hashes, the first digits, by which
/// `gofarm workers` tells them apart as well.
fn label(part: &str) -> String {
    const DIGITS: usize = 8;
    let Some((at, _)) = part.match_indices('/').nth(1) else {
        return part.to_owned();
    };
    let identities = part[at + 1..].split('+');
    let short = identities.map(|identity| identity.get(..DIGITS).unwrap_or(identity));
    format!("{}/{}", &part[..at], short.collect::<Vec<_>>().join("+"))
}

/// For waiting and running: from a millisecond to 17 minutes.
fn span() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 21))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_no_whole_hashes() {
        let (c, cpp) = ("0123456789abcdef".repeat(4), "f".repeat(64));
        for (part, short) in [
            ("default", "default".to_owned()),
            ("default:linux/amd64", "default:linux/amd64".to_owned()),
            (
                &format!("default:linux/amd64/{c}+{cpp}"),
                "default:linux/amd64/01234567+ffffffff".to_owned(),
            ),
        ] {
            assert_eq!(label(part), short);
        }
    }
}
