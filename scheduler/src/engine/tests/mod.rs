//! Engines over a queue and a store in this process, and a registry in memory or on a real redis-server.

mod full;
mod keeping;
mod placement;
mod recording;
mod recovery;
mod sources;
mod taking_back;
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use self::world::*;
use super::*;
use crate::registry::MemoryRegistry;
use gofarm_engine::core::BuildId;
use gofarm_queue::LeaseQueue as _;

fn memory() -> Arc<dyn Registry> {
    Arc::new(MemoryRegistry::new())
}

#[tokio::test]
async fn a_build_runs_to_its_end_and_the_next_one_finds_its_results() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "two"]).await;
    assert!(engine.submit(request.clone()).await.unwrap());
    assert!(!engine.submit(request).await.unwrap());
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(
        words(&events),
        [
            "accepted 2",
            "0 queued",
            "0 started",
            "0 prints one is made\n",
            "0 executed",
            "1 queued",
            "1 started",
            "1 prints two is made\n",
            "1 executed",
            "build_result_succeeded",
        ]
        .map(|word| word.replace("build_result_", "").to_owned())
    );
    let request = world.chain(2, &["one", "two", "three"]).await;
    engine.submit(request).await.unwrap();
    let counts = finished(&to_the_end(&*registry, 2, 0).await)
        .counts
        .unwrap();
    assert_eq!((counts.cached, counts.executed), (2, 1));
    let record = registry.get(BuildId(2)).await.unwrap().unwrap();
    assert_eq!(record.counts.unwrap().cached, 2);
    assert_eq!(record.result(), v1::BuildResult::Succeeded);
    assert!(record.finished_ms >= record.submitted_ms && record.owner.is_empty());
    engine.shutdown().await;
}

#[tokio::test]
async fn two_builds_at_once_execute_each_action_once() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    for build in [1, 2] {
        let request = world.chain(build, &["hold", "two"]).await;
        engine.submit(request).await.unwrap();
    }
    world.until_executing("hold").await;
    world.gate.send_replace(true);
    let mut executed = 0;
    for build in [1, 2] {
        let counts = finished(&to_the_end(&*registry, build, 0).await)
            .counts
            .unwrap();
        executed += counts.executed;
        assert_eq!(counts.executed + counts.joined + counts.cached, 2);
    }
    assert_eq!(executed, 2);
    assert_eq!((world.executions("hold"), world.executions("two")), (1, 1));
}

#[tokio::test]
async fn what_was_measured_is_expected_the_next_time() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    engine.submit(world.chain(1, &["one"]).await).await.unwrap();
    to_the_end(&*registry, 1, 0).await;
    let asked = [("one".into(), v1::Kind::Compile)];
    until(|| async {
        let estimates = registry.estimates("default", &asked).await.unwrap();
        estimates[0].is_some_and(|estimate| estimate.duration_ms == 700)
    })
    .await;
    let owner: gofarm_queue::Owner = "seen".into();
    let mut again = world.chain(2, &["one"]).await;
    again.options = Some(v1::BuildOptions {
        no_cache: true,
        pool: "default".to_owned(),
        ..v1::BuildOptions::default()
    });
    let record = reading::record(again).unwrap();
    let store = world.store.clone().into();
    let graph = reading::read_graph(&store, &record).await.unwrap();
    let spec = reading::spec(&*registry, BuildId(2), &record, graph)
        .await
        .unwrap();
    let mut core = gofarm_engine::core::Core::new(CoreOptions::default());
    let event = gofarm_engine::core::Event::Submit(Box::new(spec));
    let effects = core.step(event, gofarm_engine::core::Millis(0));
    let task = effects.into_iter().find_map(|effect| match effect {
        gofarm_engine::core::Effect::Enqueue(task) => Some(task),
        _ => None,
    });
    let task = task.unwrap();
    assert_eq!(task.memory_estimate, Some(123 << 20));
    assert_eq!(
        task.priority,
        gofarm_engine::core::Priority::of_remaining_path(700)
    );
    // Nobody but the engine has asked the queue for news.
    assert!(
        world
            .queue
            .news(&owner, 1, Duration::ZERO)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_cancelled_build_ends_what_runs_for_it() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["hold", "two"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    assert!(registry.cancel(BuildId(1)).await.unwrap());
    let events = to_the_end(&*registry, 1, 0).await;
    let finished = finished(&events);
    assert_eq!(finished.result(), v1::BuildResult::Cancelled);
    assert_eq!(finished.counts.unwrap().cancelled, 2);
    until(|| async {
        let stats = world.queue.stats().await.unwrap();
        (stats.queued, stats.leased) == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one"]).await;
    let lost = v1::SubmitRequest {
        graph: Some(Digest::of(b"lost").into()),
        ..request.clone()
    };
    let error = engine.submit(lost).await.unwrap_err();
    assert!(matches!(error, SubmitError::NoGraph(_)), "{error}");
    let no_graph = world.store.put_bytes(b"no graph".to_vec()).await.unwrap();
    for bad in [
        v1::SubmitRequest {
            build: "1".to_owned(),
            ..request.clone()
        },
        v1::SubmitRequest {
            graph: None,
            ..request.clone()
        },
        v1::SubmitRequest {
            graph: Some(no_graph.into()),
            ..request
        },
    ] {
        let error = engine.submit(bad).await.unwrap_err();
        assert!(matches!(error, SubmitError::Invalid(_)), "{error}");
    }
    assert!(registry.list(10, false).await.unwrap().is_empty());
}
