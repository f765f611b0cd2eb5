//! Which worker gets what, and what gets a second one. The tests are the workers here.

use super::*;
use gofarm_engine::core::{ActionResult, Near, Outcome, OutputFile};
use gofarm_queue::{Lease, LeaseRequest, QueueError, Renewal};

/// What an action makes that is worth being near to, bytes.
const LARGE: usize = 20 << 20;

impl World {
    /// One task for this worker.
    pub(super) async fn lease(&self, worker: &str) -> Lease {
        let request = LeaseRequest {
            worker: worker.into(),
            pools: ["default".into()].into(),
            max: 1,
            wait: LONG,
            running: 0,
            free_memory: 8 << 30,
            total_memory: 8 << 30,
            ahead: false,
        };
        let mut leases = self.queue.lease(request).await.unwrap();
        assert_eq!(leases.len(), 1, "nothing came for {worker}");
        leases.remove(0)
    }

    /// The task of this lease, which is kept meanwhile, for another worker.
    async fn second(&self, first: &Lease, worker: &str) -> Lease {
        let keep = async {
            loop {
                let renewed = self.queue.renew(&[first.id]).await.unwrap();
                assert!(matches!(renewed[..], [Renewal::Held { .. }]));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let second = tokio::select! {
            second = self.lease(worker) => second,
            () = keep => unreachable!("it is kept for ever"),
        };
        assert_eq!(second.id.key, first.id.key);
        second
    }

    /// The action is done: it has made so many bytes.
    async fn made(&self, lease: &Lease, bytes: usize) -> Outcome {
        let mut content = vec![0; bytes];
        content[..32].copy_from_slice(&lease.task.key.0);
        let digest = self.store.put_bytes(content).await.unwrap();
        Outcome::Succeeded(Arc::new(ActionResult {
            outputs: [OutputFile {
                name: "out".into(),
                digest,
                executable: false,
            }]
            .into(),
            usage: v1::Usage {
                wall_ms: 5,
                ..v1::Usage::default()
            },
            ..ActionResult::default()
        }))
    }

    /// Executes what this worker is given next.
    async fn execute(&self, worker: &str, bytes: usize) -> Lease {
        let lease = self.lease(worker).await;
        let made = self.made(&lease, bytes).await;
        let ended = complete(&self.queue, &self.store, &lease, made).await;
        ended.unwrap();
        lease
    }
}

#[tokio::test]
async fn a_task_with_large_inputs_is_kept_for_the_worker_that_made_them() {
    let world = World::without_workers();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["small", "large", "link"]).await;
    engine.submit(request).await.unwrap();
    let small = world.execute("w1", 40).await;
    assert_eq!(small.task.near, None);
    // Little is fetched from anywhere, so anybody may have the next one.
    let large = world.execute("w2", LARGE).await;
    assert_eq!(large.task.near, None);
    let link = world.execute("w2", 40).await;
    let near = Near {
        worker: "w2".into(),
        patience: Duration::from_millis(200),
    };
    assert_eq!(link.task.near, Some(near));
    to_the_end(&*registry, 1, 0).await;

    // Another replica has not seen who made it.
    engine.shutdown().await;
    let engine = world.engine("b", &registry);
    let request = world.chain(2, &["small", "large", "another"]).await;
    engine.submit(request).await.unwrap();
    let another = world.execute("w1", 40).await;
    assert_eq!((&*another.task.label, another.task.near), ("another", None));
    let counts = finished(&to_the_end(&*registry, 2, 0).await).counts;
    assert_eq!(counts.unwrap().cached, 2);
}

/// A farm that knows how long `slow` takes, and a second build of it that is with the worker `w1`.
async fn begun(world: &World, registry: &Arc<dyn Registry>) -> (EngineHandle, Lease) {
    let options = ReplicaOptions {
        stragglers: StragglerOptions {
            slack: Duration::from_millis(300),
            ..StragglerOptions::default()
        },
        ..ReplicaOptions::new("a")
    };
    let engine = world.engine_with(options, registry);
    let request = world.chain(1, &["slow"]).await;
    engine.submit(request.clone()).await.unwrap();
    world.execute("w1", 40).await;
    to_the_end(&**registry, 1, 0).await;
    let asked = [("slow".into(), v1::Kind::Compile)];
    until(|| async {
        let recorded = registry.estimates("default", &asked).await.unwrap();
        recorded[0].is_some()
    })
    .await;
    let again = v1::SubmitRequest {
        build: BuildId(2).to_string(),
        options: Some(v1::BuildOptions {
            no_cache: true,
            ..v1::BuildOptions::default()
        }),
        ..request
    };
    engine.submit(again).await.unwrap();
    let lease = world.lease("w1").await;
    assert_eq!(lease.task.duration_estimate, Some(5));
    (engine, lease)
}

fn count(events: &[v1::BuildEvent], what: &str) -> usize {
    let words = words(events);
    words.iter().filter(|word| *word == what).count()
}

#[tokio::test]
async fn a_straggler_is_run_a_second_time_and_the_first_result_counts() {
    let world = World::without_workers();
    let registry = memory();
    let (_engine, first) = begun(&world, &registry).await;
    let second = world.second(&first, "w2").await;
    let made = world.made(&second, 40).await;
    world
        .queue
        .complete(&second.id, made.clone())
        .await
        .unwrap();
    let late = world.queue.complete(&first.id, made).await;
    assert!(matches!(late, Err(QueueError::Lost)), "{late:?}");

    let events = to_the_end(&*registry, 2, 0).await;
    let ended = finished(&events);
    assert_eq!(ended.result(), v1::BuildResult::Succeeded);
    assert_eq!(ended.counts.unwrap().executed, 1);
    assert_eq!(count(&events, "0 started"), 1, "{:?}", words(&events));
    assert_eq!(count(&events, "0 executed"), 1, "{:?}", words(&events));
}

#[tokio::test]
async fn a_straggler_that_comes_first_after_all_counts() {
    let world = World::without_workers();
    let registry = memory();
    let (_engine, first) = begun(&world, &registry).await;
    let second = world.second(&first, "w2").await;
    // The second comes to nothing, and nobody hears of it.
    let crashed = Outcome::Crashed {
        reason: "launcher died".into(),
    };
    world.queue.complete(&second.id, crashed).await.unwrap();
    let made = world.made(&first, 40).await;
    world.queue.complete(&first.id, made).await.unwrap();

    let events = to_the_end(&*registry, 2, 0).await;
    assert_eq!(finished(&events).counts.unwrap().executed, 1);
    assert_eq!(count(&events, "0 queued"), 1, "{:?}", words(&events));
    let stats = world.queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.leased), (0, 0));
}
