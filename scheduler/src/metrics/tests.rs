//! What a queue has seen is what the metrics say.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::{ActionKey, Digest, v1};

use super::{Ending, MeteredQueue, Metrics};
use gofarm_engine::core::{ActionResult, BuildId, Outcome, Priority, RunId, Share, Task};
use gofarm_queue::{
    BlobPresence, InProcessQueue, LeaseQueue, LeaseRequest, MonotonicClock, Owner, QueueOptions,
};

struct Everything;

#[async_trait]
impl BlobPresence for Everything {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

fn task(number: u8, kind: v1::Kind) -> Task {
    Task {
        key: ActionKey([number; 32]),
        run: RunId(number.into()),
        definition: Digest::of(&[number]),
        produced: [].into(),
        label: "compile fmt".into(),
        package: "fmt".into(),
        kind,
        pool: "default:linux/amd64".into(),
        share: Share {
            user: "ann".into(),
            build: BuildId(1),
        },
        priority: Priority::of_remaining_path(number.into()),
        duration_estimate: None,
        memory_estimate: Some(1),
        near: None,
        exclusive: false,
        attempt: 1,
    }
}

fn request() -> LeaseRequest {
    LeaseRequest {
        worker: "w1".into(),
        pools: ["default:linux/amd64".into()].into(),
        max: 1,
        wait: Duration::ZERO,
        running: 0,
        free_memory: 1 << 30,
        total_memory: 1 << 30,
        ahead: false,
    }
}

struct Farm {
    queue: Arc<dyn LeaseQueue>,
    metrics: Arc<Metrics>,
}

impl Farm {
    fn new() -> Farm {
        let metrics = Arc::new(Metrics::new());
        let clock = Arc::new(MonotonicClock::new());
        let inner = InProcessQueue::new(QueueOptions::default(), clock, Arc::new(Everything));
        Farm {
            queue: Arc::new(MeteredQueue::new(Arc::new(inner), metrics.clone())),
            metrics,
        }
    }

    /// This replica, seen as another process that shares the queue.
    fn other(&self) -> Farm {
        let metrics = Arc::new(Metrics::new());
        Farm {
            queue: Arc::new(MeteredQueue::new(self.queue.clone(), metrics.clone())),
            metrics,
        }
    }

    async fn hear(&self, owner: &Owner) {
        let news = self.queue.news(owner, 100, Duration::ZERO).await;
        assert!(!news.unwrap().is_empty());
    }

    fn says(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|other| other == line)
    }

    fn assert_says(&self, line: &str) {
        assert!(
            self.says(line),
            "{line} is not in\n{}",
            self.metrics.render()
        );
    }
}

#[tokio::test]
async fn a_task_is_followed_from_the_queue_to_its_end() {
    let farm = Farm::new();
    let owner: Owner = "one".into();
    let tasks = vec![task(1, v1::Kind::Link), task(2, v1::Kind::Compile)];
    farm.queue.enqueue(&owner, tasks).await.unwrap();
    farm.assert_says(r#"gofarm_tasks{pool="default:linux/amd64",state="queued"} 2"#);

    let lease = farm.queue.lease(request()).await.unwrap().remove(0);
    farm.hear(&owner).await;
    farm.assert_says(r#"gofarm_tasks{pool="default:linux/amd64",state="queued"} 1"#);
    farm.assert_says(r#"gofarm_tasks{pool="default:linux/amd64",state="leased"} 1"#);
    farm.assert_says(r#"gofarm_leases_given_total{pool="default:linux/amd64"} 1"#);
    farm.assert_says(r#"gofarm_task_wait_seconds_count{pool="default:linux/amd64"} 1"#);

    let usage = v1::Usage {
        wall_ms: 1500,
        ..v1::Usage::default()
    };
    let result = ActionResult {
        usage,
        ..ActionResult::default()
    };
    let outcome = Outcome::Succeeded(Arc::new(result));
    farm.queue.complete(&lease.id, outcome).await.unwrap();
    farm.hear(&owner).await;
    farm.assert_says(r#"gofarm_tasks{pool="default:linux/amd64",state="leased"} 0"#);
    farm.assert_says(r#"gofarm_task_runs_total{kind="compile",how="succeeded"} 1"#);
    farm.assert_says(r#"gofarm_task_run_seconds_sum{kind="compile"} 1.5"#);

    // Told twice: refused, and counted.
    let outcome = Outcome::OutOfMemory {
        alone: true,
        reason: "link".into(),
    };
    let again = farm.queue.complete(&lease.id, outcome).await;
    assert!(again.is_err());
    farm.assert_says(r#"gofarm_lease_refusals_total{call="complete",reason="lost"} 1"#);
}

#[tokio::test]
async fn a_shared_run_counts_once_and_one_that_is_taken_back_not_at_all() {
    let farm = Farm::new();
    let other = farm.other();
    let (one, two): (Owner, Owner) = ("one".into(), "two".into());
    let shared = task(1, v1::Kind::Compile);
    farm.queue
        .enqueue(&one, vec![shared.clone()])
        .await
        .unwrap();
    other.queue.enqueue(&two, vec![shared]).await.unwrap();
    let lease = farm.queue.lease(request()).await.unwrap().remove(0);
    let crash = Outcome::Crashed {
        reason: "gone".into(),
    };
    farm.queue.complete(&lease.id, crash).await.unwrap();
    farm.hear(&one).await;
    other.hear(&two).await;
    let line = r#"gofarm_task_runs_total{kind="compile",how="crashed"} 1"#;
    farm.assert_says(line);
    assert!(!other.says(line));

    let mut again = task(1, v1::Kind::Compile);
    again.attempt = 2;
    let key = (again.key, again.run);
    farm.queue.enqueue(&one, vec![again]).await.unwrap();
    farm.assert_says(r#"gofarm_task_retries_total{kind="compile"} 1"#);
    farm.queue.cancel(&one, &[key]).await.unwrap();
    farm.hear(&one).await;
    farm.assert_says(r#"gofarm_tasks{pool="default:linux/amd64",state="queued"} 0"#);
    assert!(!farm.metrics.render().contains("cancelled"));
}

#[test]
fn workers_are_told_by_pool_and_forgotten() {
    let metrics = Metrics::new();
    let worker = |name: &str, running| v1::Worker {
        name: name.to_owned(),
        pool: "default".to_owned(),
        slots: 4,
        running,
        ..v1::Worker::default()
    };
    let aside = v1::Worker {
        set_aside: "it crashes".to_owned(),
        ..worker("w3", 0)
    };
    metrics
        .farm
        .workers(&[worker("w1", 1), worker("w2", 4), aside]);
    let text = metrics.render();
    for line in [
        r#"gofarm_farm_workers{pool="default",state="active"} 2"#,
        r#"gofarm_farm_workers{pool="default",state="aside"} 1"#,
        r#"gofarm_farm_slots{pool="default",state="busy"} 5"#,
        r#"gofarm_farm_slots{pool="default",state="free"} 7"#,
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "{line} is not in\n{text}"
        );
    }
    metrics.farm.workers(&[]);
    assert!(!metrics.render().contains(r#"pool="default""#));
}

#[test]
fn actions_are_counted_by_kind_and_ending() {
    let metrics = Metrics::new();
    metrics
        .tasks
        .actions_ended(v1::Kind::Compile, Ending::Cached, 2);
    let line = r#"gofarm_actions_total{kind="compile",how="cached"} 2"#;
    assert!(metrics.render().contains(line), "{}", metrics.render());
}

#[tokio::test]
async fn hits_and_misses_and_what_was_removed_are_counted() {
    let metrics = Metrics::new();
    let folder = tempfile::tempdir().unwrap();
    let disk = gofarm_store::DiskStore::open(folder.path(), Default::default()).unwrap();
    let store = gofarm_store::FarmStore::on_disk(disk);
    let store = super::MeteredStore::new(store, metrics.store.clone(), metrics.room.clone());
    let store = store.counting(metrics.lookups.clone());
    let blob = store.put_bytes(b"blob".to_vec()).await.unwrap();
    let asked = vec![blob, Digest::of(b"1"), Digest::of(b"2")];
    assert_eq!(store.missing(asked).await.unwrap().len(), 2);
    assert_eq!(store.action(ActionKey([1; 32])).await.unwrap(), None);
    metrics.collections.collected(&gofarm_store::Collected {
        before: gofarm_store::Amount {
            blobs: 5,
            blob_bytes: 500,
            results: 2,
            result_bytes: 20,
        },
        removed: gofarm_store::Amount {
            blobs: 3,
            blob_bytes: 300,
            results: 0,
            result_bytes: 0,
        },
        ..gofarm_store::Collected::default()
    });
    let text = metrics.render();
    for line in [
        r#"gofarm_store_lookups_total{kind="blob",found="yes"} 1"#,
        r#"gofarm_store_lookups_total{kind="blob",found="no"} 2"#,
        r#"gofarm_store_lookups_total{kind="result",found="no"} 1"#,
        r#"gofarm_store_objects{kind="blob"} 2"#,
        r#"gofarm_store_bytes{kind="blob"} 200"#,
        r#"gofarm_store_objects{kind="result"} 2"#,
        r#"gofarm_store_removed_total{kind="blob"} 3"#,
        r#"gofarm_store_removed_bytes_total{kind="blob"} 300"#,
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "{line} is not in\n{text}"
        );
    }
}
