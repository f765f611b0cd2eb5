//! Results that are taken back while a build uses them.

use gofarm_proto::ActionKey;
use gofarm_store::TakeBack;

use super::*;

#[tokio::test]
async fn a_build_under_way_makes_again_what_was_taken_back() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "hold"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;

    // Who heard of it from the worker has recorded it, and knows who made it.
    let key = ActionKey::new(&Digest::of(&action("one")), []);
    until(|| async { world.store.entry(key).await.unwrap().is_some() }).await;
    let made = world.store.entry(key).await.unwrap().unwrap().made.unwrap();
    assert_eq!(made.worker, "worker");
    // Its owner, if that was slow.
    assert!(["replica", "a"].contains(&&*made.replica), "{made:?}");
    assert!(made.lease.is_some());

    let what = TakeBack::Key(key);
    let took = world.store.take_back(&what, false, |_| {}).await.unwrap();
    assert_eq!(took.results.len(), 1);
    engine
        .taken_back(world.store.notice_invalidations().await.unwrap())
        .await;
    let second = world.engine("b", &registry);
    // Who comes later gets what is made now.
    let request = world.chain(2, &["one"]).await;
    second.submit(request).await.unwrap();
    world.gate.send_replace(true);
    for build in [1, 2] {
        let events = to_the_end(&*registry, build, 0).await;
        let finished = finished(&events);
        assert_eq!(finished.result(), v1::BuildResult::Succeeded);
    }
    assert_eq!(world.executions("one"), 2);
    // Recording goes on beside the build.
    until(|| async { world.store.entry(key).await.unwrap().is_some() }).await;
}

#[tokio::test]
async fn who_made_two_different_results_of_one_action_is_told() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["random", "hold"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    let key = ActionKey::new(&Digest::of(&action("random")), []);
    until(|| async { world.store.entry(key).await.unwrap().is_some() }).await;
    let made = world.store.entry(key).await.unwrap().unwrap().made.unwrap();
    let what = TakeBack::Key(key);
    world.store.take_back(&what, false, |_| {}).await.unwrap();
    engine
        .taken_back(world.store.notice_invalidations().await.unwrap())
        .await;
    world.gate.send_replace(true);
    let events = to_the_end(&*registry, 1, 0).await;
    let differing: Vec<v1::Nondeterministic> = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(v1::build_event::Event::Node(node)) => node.event.clone(),
            _ => None,
        })
        .filter_map(|event| match event {
            v1::node_event::Event::Nondeterministic(differing) => Some(differing),
            _ => None,
        })
        .collect();
    assert_eq!(differing.len(), 1, "{:?}", words(&events));
    let (first, second) = (&differing[0].first, &differing[0].second);
    let first = first.as_ref().unwrap();
    assert_eq!((&first.worker, &first.lease), (&made.worker, &made.lease));
    let second = second.as_ref().unwrap();
    assert_eq!(second.worker, "worker");
    assert!(second.lease.is_some() && second.lease != made.lease);
}
