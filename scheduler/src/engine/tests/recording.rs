//! Results that were accepted, and that nobody recorded whom a worker told them to.

use gofarm_engine::core::{ActionResult, Outcome, OutputFile};
use gofarm_proto::ActionKey;

use super::*;

/// An action is made, and the replica that its worker tells dies when the queue has accepted it.
async fn made_and_not_recorded(world: &World) -> ActionKey {
    let lease = world.lease("w").await;
    let made = world.store.put_bytes(b"made".to_vec()).await.unwrap();
    let result = ActionResult {
        outputs: [OutputFile {
            name: "out".into(),
            digest: made,
            executable: false,
        }]
        .into(),
        ..ActionResult::default()
    };
    let outcome = Outcome::Succeeded(Arc::new(result));
    world.queue.complete(&lease.id, outcome).await.unwrap();
    lease.id.key
}

#[tokio::test]
async fn a_result_whose_replica_died_is_recorded_by_the_owner_of_its_build() {
    let world = World::without_workers();
    let registry = memory();
    let engine = world.engine("a", &registry);
    engine.submit(world.chain(1, &["one"]).await).await.unwrap();
    let key = made_and_not_recorded(&world).await;
    until(|| async { world.store.entry(key).await.unwrap().is_some() }).await;
    let made = world.store.entry(key).await.unwrap().unwrap().made.unwrap();
    assert_eq!((&*made.worker, &*made.replica), ("w", "a"));
    assert!(made.lease.is_some());
}

#[tokio::test]
async fn an_owner_that_goes_away_at_once_records_it_before() {
    let world = World::without_workers();
    let registry = memory();
    let engine = world.engine("a", &registry);
    engine.submit(world.chain(1, &["one"]).await).await.unwrap();
    let key = made_and_not_recorded(&world).await;
    to_the_end(&*registry, 1, 0).await;
    engine.shutdown().await;
    assert!(world.store.entry(key).await.unwrap().is_some());
}
