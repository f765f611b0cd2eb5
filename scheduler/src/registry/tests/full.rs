//! A Redis whose memory is used up.

use super::*;

#[tokio::test]
async fn a_full_registry_takes_no_new_build_and_lets_open_ones_end() {
    let server = RedisServer::start();
    let registry = RedisRegistry::connect(server.url(0), "test").unwrap();
    let held = submitted(&registry, 1, "a").await;
    server.limit_memory(1);
    let refused = registry.submit(&owner("a"), &build(2)).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Full { .. }), "{refused}");
    assert!(refused.to_string().contains("maxmemory"), "{refused}");

    assert!(registry.cancel(BuildId(1)).await.unwrap());
    let tenures = registry.renew(std::slice::from_ref(&held)).await.unwrap();
    assert!(matches!(
        tenures[..],
        [Tenure::Held {
            cancelled: true,
            ..
        }]
    ));
    // Another replica takes it over, and ends it.
    registry.release(&[held]).await.unwrap();
    let taken = registry.take_over(&owner("b"), 10).await.unwrap();
    let mut end = append(&taken[0], 0, 2);
    end.record.finished_ms = now_ms();
    assert_eq!(registry.append(&end).await.unwrap(), Appended::Done);
    registry.archive(&taken[0], &end.record).await.unwrap();
    assert_eq!(cursors(&registry, BuildId(1), 0).await.len(), 0);

    server.limit_memory(0);
    submitted(&registry, 2, "a").await;
}
