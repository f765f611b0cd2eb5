//! Blobs that only clients have.

use super::*;

fn wanted(events: &[v1::BuildEvent]) -> Vec<v1::Digest> {
    let wanted = events.iter().filter_map(|event| match &event.event {
        Some(v1::build_event::Event::Wanted(wanted)) => Some(wanted.digests.clone()),
        _ => None,
    });
    wanted.flatten().collect()
}

async fn until_wanted(registry: &dyn Registry) -> Vec<v1::BuildEvent> {
    until(|| async { !wanted(&read(registry).await).is_empty() }).await;
    read(registry).await
}

async fn read(registry: &dyn Registry) -> Vec<v1::BuildEvent> {
    let found = registry.events(BuildId(1), 0, 100, Duration::ZERO).await;
    let found = found.unwrap().unwrap().into_iter();
    found
        .map(|bytes| gofarm_proto::Message::decode(bytes).unwrap())
        .collect()
}

#[tokio::test]
async fn a_lost_source_is_asked_for_and_the_build_goes_on_when_it_comes() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "lost"]).await;
    engine.submit(request).await.unwrap();
    let lost = action("lost");
    let digest: v1::Digest = Digest::of(&lost).into();
    let asked = wanted(&until_wanted(&*registry).await);
    assert_eq!(asked, std::slice::from_ref(&digest));
    world.store.put_bytes(lost).await.unwrap();
    let provided = v1::ProvideRequest {
        build: BuildId(1).to_string(),
        provided: vec![digest],
        unavailable: Vec::new(),
    };
    assert!(registry.provide(BuildId(1), &provided).await.unwrap());
    let events = to_the_end(&*registry, 1, 0).await;
    assert_eq!(finished(&events).result(), v1::BuildResult::Succeeded);
    assert_eq!(wanted(&events).len(), 1);
}

#[tokio::test]
async fn a_source_that_nobody_has_fails_the_build_by_its_name() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    let request = world.chain(1, &["one", "lost"]).await;
    engine.submit(request).await.unwrap();
    until_wanted(&*registry).await;
    let digest = Digest::of(&action("lost"));
    let provided = v1::ProvideRequest {
        build: BuildId(1).to_string(),
        provided: Vec::new(),
        unavailable: vec![digest.into()],
    };
    registry.provide(BuildId(1), &provided).await.unwrap();
    let events = to_the_end(&*registry, 1, 0).await;
    assert!(
        words(&events).contains(&format!("1 lacks {digest}")),
        "{:?}",
        words(&events)
    );
    assert_eq!(finished(&events).result(), v1::BuildResult::Failed);
}

#[tokio::test]
async fn nobody_waits_for_ever_for_a_source() {
    let world = World::start();
    let registry = memory();
    let engine = world.engine("a", &registry);
    engine
        .submit(world.chain(1, &["lost"]).await)
        .await
        .unwrap();
    let events = to_the_end(&*registry, 1, 0).await;
    let digest = Digest::of(&action("lost"));
    assert!(
        words(&events).contains(&format!("0 lacks {digest}")),
        "{:?}",
        words(&events)
    );
}
