//! Owners that die, and a Redis that loses what it knows.

use super::*;
use crate::metrics::Metrics;
use crate::redis::RedisRegistry;
use gofarm_testkit::RedisServer;

fn on(server: &RedisServer) -> Arc<dyn Registry> {
    Arc::new(RedisRegistry::connect(server.url(0), "test").unwrap())
}

fn flushed(server: &RedisServer) {
    redis::cmd("FLUSHALL")
        .exec(&mut server.connection(0))
        .unwrap();
}

fn times(events: &[v1::BuildEvent], what: &str) -> usize {
    let words = words(events);
    words.iter().filter(|word| *word == what).count()
}

/// A replica of two ends while an action runs.
async fn taken_over(no_cache: bool, end: impl AsyncFnOnce(&EngineHandle)) {
    let server = RedisServer::start();
    let world = World::start();
    let (one, two) = (on(&server), on(&server));
    let first = world.engine("a", &one);
    let metrics = Arc::new(Metrics::new());
    let _second = world.counted_engine("b", &two, &metrics);
    let mut request = world.chain(1, &["one", "two", "hold", "four"]).await;
    request.options = Some(v1::BuildOptions {
        no_cache,
        ..v1::BuildOptions::default()
    });
    first.submit(request).await.unwrap();
    world.until_executing("hold").await;
    // What it has told is in the registry; its last words may not be.
    until(|| async {
        let events = two.events(BuildId(1), 0, 100, Duration::ZERO).await;
        events.unwrap().is_some_and(|events| events.len() >= 10)
    })
    .await;
    end(&first).await;
    until(|| async {
        let record = two.get(BuildId(1)).await.unwrap().unwrap();
        record.owner == "b"
    })
    .await;
    // It reads what there was, and then joins the task that runs. What ends before it joins, it finds in the cache, or executes
    // once more where the build does not use the cache.
    until(|| async {
        let enqueued = r#"gofarm_queue_call_seconds_count{call="enqueue"}"#;
        metrics.render().contains(enqueued)
    })
    .await;
    world.gate.send_replace(true);

    let events = to_the_end(&*two, 1, 0).await;
    assert_eq!(times(&events, "accepted 4"), 1);
    assert_eq!(words(&events)[0], "accepted 4");
    for node in 0..4 {
        assert_eq!(
            times(&events, &format!("{node} executed")),
            1,
            "{:?}",
            words(&events)
        );
    }
    assert_eq!(times(&events, "0 started"), 1, "{:?}", words(&events));
    let finished = finished(&events);
    assert_eq!(finished.result(), v1::BuildResult::Succeeded);
    assert_eq!(finished.counts.unwrap().executed, 4);
    // All of the chain took its recorded time, whoever saw it.
    assert_eq!(finished.critical_path_ms, 4 * 700);
    for label in ["one", "two", "hold", "four"] {
        assert_eq!(world.executions(label), 1, "{label}");
    }
    // The task that ran on is one attempt, told once.
    let printed: Vec<&v1::BuildEvent> = events
        .iter()
        .filter(|event| word(event).starts_with("2 prints"))
        .collect();
    assert_eq!(printed.len(), 1);
}

#[tokio::test]
async fn a_dead_owner_is_replaced_and_watchers_see_nothing_twice() {
    taken_over(false, async |engine| engine.kill()).await;
}

#[tokio::test]
async fn what_was_executed_without_the_cache_is_not_executed_again() {
    taken_over(true, async |engine| engine.kill()).await;
}

#[tokio::test]
async fn an_owner_that_goes_away_hands_over_at_once() {
    taken_over(false, async |engine| {
        engine.shutdown().await;
        let record = engine.registry().get(BuildId(1)).await.unwrap().unwrap();
        // Nobody's, or taken already; not left to run out.
        assert_ne!(record.owner, "a");
    })
    .await;
}

#[tokio::test]
async fn a_build_submitted_again_after_a_loss_is_the_same_build() {
    let server = RedisServer::start();
    let world = World::start();
    let registry = on(&server);
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "hold"]).await;
    engine.submit(request.clone()).await.unwrap();
    world.until_executing("hold").await;
    flushed(&server);
    engine.submit(request).await.unwrap();
    world.gate.send_replace(true);
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(times(&events, "accepted 2"), 1);
    assert_eq!(finished(&events).counts.unwrap().executed, 2);
    assert_eq!(world.executions("one"), 1);
}

#[tokio::test]
async fn a_redis_that_loses_everything_is_told_again_and_watchers_go_on() {
    let server = RedisServer::start();
    let world = World::start();
    let registry = on(&server);
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "hold", "three"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    until(|| async {
        let events = registry.events(BuildId(1), 0, 100, Duration::ZERO).await;
        events.unwrap().is_some_and(|events| events.len() >= 7)
    })
    .await;
    flushed(&server);
    world.queue.reset();
    world.gate.send_replace(true);
    // One who had seen a part, and one who comes now.
    let rest = to_the_end(&*registry, 1, 4).await;
    let all = to_the_end(&*registry, 1, 0).await;
    assert_eq!(all[4..], rest);
    assert_eq!(finished(&all).result(), v1::BuildResult::Succeeded);
    assert_eq!(finished(&all).counts.unwrap().executed, 3);
    assert_eq!(times(&all, "0 executed"), 1);
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_delay() {
    let mut server = RedisServer::start();
    let world = World::start();
    let registry = on(&server);
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "hold", "three"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    server.kill_and_restart_empty();
    server.signal("STOP");
    world.gate.send_replace(true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.signal("CONT");
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Succeeded);
    assert_eq!(times(&events, "accepted 3"), 1);
}

#[tokio::test]
async fn an_owner_that_lost_a_build_touches_it_no_more() {
    let server = RedisServer::start();
    let world = World::start();
    let registry = on(&server);
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["hold", "two"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    let mut connection = server.connection(0);
    let key = format!("{{test:registry}}:build:{}", BuildId(1));
    redis::cmd("HSET")
        .arg(&key)
        .arg("owner")
        .arg("b")
        .arg("epoch")
        .arg(2)
        .exec(&mut connection)
        .unwrap();
    // The other one renews.
    redis::cmd("ZADD")
        .arg("{test:registry}:open")
        .arg("1e15")
        .arg(BuildId(1).to_string())
        .exec(&mut connection)
        .unwrap();
    let seen = |after: u64| registry.events(BuildId(1), after, 100, Duration::ZERO);
    let before = seen(0).await.unwrap().unwrap().len();
    // Nobody here wants the task any more, and the other owner has not put it into the queue.
    until(|| async {
        let stats = world.queue.stats().await.unwrap();
        (stats.queued, stats.leased) == (0, 0)
    })
    .await;
    assert!(seen(before as u64).await.unwrap().unwrap().is_empty());
    assert_eq!(world.executions("two"), 0);
    let record = registry.get(BuildId(1)).await.unwrap().unwrap();
    assert_eq!((record.owner.as_str(), record.finished_ms), ("b", 0));
    engine.shutdown().await;
    let owner: String = redis::cmd("HGET")
        .arg(&key)
        .arg("owner")
        .query(&mut connection)
        .unwrap();
    assert_eq!(owner, "b");
}
