//! A Redis whose memory is used up.

use std::time::Duration;

use super::connect;
use gofarm_queue::conformance::OPTIONS;
use gofarm_queue::conformance::fixture::{LONG, ends, owner, request, success, task};
use gofarm_queue::{LeaseQueue, QueueError, QueueOptions, Renewal, TaskOutput};
use gofarm_testkit::RedisServer;

#[tokio::test]
async fn a_full_queue_takes_no_new_task_and_lets_the_others_end() {
    let options = QueueOptions {
        lease_ttl: LONG,
        worker_ttl: LONG,
        owner_ttl: LONG,
        ..OPTIONS
    };
    let server = RedisServer::start();
    let queue = connect(&server, 0, options).await;
    let tasks = (1..=4).map(task).collect();
    queue.enqueue(&owner(), tasks).await.unwrap();
    server.limit_memory(1);
    let refused = queue.enqueue(&owner(), vec![task(5)]).await.unwrap_err();
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");

    // Also a process that comes now.
    let other = connect(&server, 0, options).await;
    let mut ask = request("w1");
    ask.max = 2;
    let leases = other.lease(ask).await.unwrap();
    assert_eq!(leases.len(), 2);
    let renewed = other.renew(&[leases[0].id, leases[1].id]).await.unwrap();
    let held = |renewal: &Renewal| matches!(renewal, Renewal::Held { .. });
    assert!(renewed.iter().all(held), "{renewed:?}");
    let output = TaskOutput {
        lease: leases[0].id,
        offset: 0,
        data: b"output".to_vec().into(),
    };
    let printed = other.append_log(&[output]).await.unwrap();
    assert!(printed.iter().all(held), "{printed:?}");
    other.complete(&leases[0].id, success(None)).await.unwrap();
    other.release(&leases[1].id).await.unwrap();
    queue
        .cancel(
            &owner(),
            &[1, 2].map(|number| (task(number).key, task(number).run)),
        )
        .await
        .unwrap();
    queue.reap(100).await.unwrap();
    queue.incarnation().await.unwrap();
    let news = queue.news(&owner(), 100, Duration::ZERO).await.unwrap();
    assert_eq!(ends(news).len(), 4);
    assert_eq!(queue.stats().await.unwrap().queued, 0);

    server.limit_memory(0);
    queue.enqueue(&owner(), vec![task(5)]).await.unwrap();
}
