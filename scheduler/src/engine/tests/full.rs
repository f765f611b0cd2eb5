//! A Redis whose memory is used up.

use super::*;
use crate::redis::RedisRegistry;
use gofarm_testkit::RedisServer;

#[tokio::test]
async fn a_build_that_finds_no_room_is_refused_and_those_that_run_come_to_their_end() {
    let server = RedisServer::start();
    let world = World::start();
    let registry: Arc<dyn Registry> =
        Arc::new(RedisRegistry::connect(server.url(0), "test").unwrap());
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "hold", "three"]).await;
    engine.submit(request).await.unwrap();
    world.until_executing("hold").await;
    server.limit_memory(1);
    let request = world.chain(2, &["one"]).await;
    let refused = engine.submit(request.clone()).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Full(_)), "{refused}");
    world.gate.send_replace(true);
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Succeeded);
    server.limit_memory(0);
    assert!(engine.submit(request).await.unwrap());
}
