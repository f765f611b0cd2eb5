//! Several processes over one Redis.

use std::sync::Arc;
use std::time::Duration;

use super::{OnRedis, connect, database, shared};
use gofarm_engine::core::Task;
use gofarm_queue::conformance::fixture::{
    LONG, ends, leave_nothing, numbers, owner, request, success, task,
};
use gofarm_queue::conformance::{OPTIONS, Subject};
use gofarm_queue::{LeaseQueue, LeaseRequest, QueueError, QueueOptions, Renewal};

/// One enqueues, another leases, a third completes a lease of a pool that it has never seen.
#[tokio::test]
async fn any_process_serves_any_worker() {
    let (server, database) = (shared(), database());
    let one = connect(&server, database, OPTIONS).await;
    let two = connect(&server, database, OPTIONS).await;
    let three = connect(&server, database, OPTIONS).await;
    let big = Task {
        pool: "big:linux/amd64".into(),
        ..task(1)
    };
    one.enqueue(&owner(), vec![big.clone()]).await.unwrap();
    let asked = LeaseRequest {
        pools: ["big:linux/amd64".into()].into(),
        ..request("w1")
    };
    let leases = two.lease(asked).await.unwrap();
    assert_eq!(leases[0].task, big);
    assert_eq!(
        one.incarnation().await.unwrap(),
        two.incarnation().await.unwrap()
    );
    let renewals = three.renew(&[leases[0].id]).await.unwrap();
    assert!(
        matches!(renewals[..], [Renewal::Held { .. }]),
        "{renewals:?}"
    );
    three.complete(&leases[0].id, success(None)).await.unwrap();
    let again = one.complete(&leases[0].id, success(None)).await;
    assert!(matches!(again, Err(QueueError::Lost)), "{again:?}");
    let news = one.news(&owner(), 10, Duration::ZERO).await.unwrap();
    assert_eq!(ends(news).len(), 1);
    assert_eq!(two.stats().await.unwrap().leased, 0);
}

/// A doorbell reaches those who wait in other processes.
#[tokio::test]
async fn doorbells_ring_in_every_process() {
    let (server, database) = (shared(), database());
    let options = QueueOptions {
        poll_interval: LONG,
        ..OPTIONS
    };
    let one = connect(&server, database, options).await;
    let two = Arc::new(connect(&server, database, options).await);
    let waiting = tokio::spawn({
        let two = two.clone();
        async move {
            let wait = LeaseRequest {
                wait: LONG / 2,
                ..request("w1")
            };
            two.lease(wait).await.unwrap()
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    one.enqueue(&owner(), vec![task(1)]).await.unwrap();
    assert_eq!(numbers(&waiting.await.unwrap()), [1]);
}

/// A hundred workers that wait cost next to nothing, and one of them is woken for a task.
#[tokio::test]
async fn idle_workers_cost_almost_nothing() {
    let (server, database) = (gofarm_testkit::RedisServer::start(), 0);
    let queue = Arc::new(connect(&server, database, QueueOptions::default()).await);
    let workers: Vec<_> = (0..100)
        .map(|number| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let wait = LeaseRequest {
                    wait: Duration::from_secs(5),
                    ..request(&format!("w{number}"))
                };
                queue.lease(wait).await.unwrap().len()
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let calls = || {
        let mut connection = server.connection(database);
        let info: redis::InfoDict = redis::cmd("INFO")
            .arg("stats")
            .query(&mut connection)
            .unwrap();
        info.get::<u64>("total_commands_processed").unwrap()
    };
    let before = calls();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let per_second = (calls() - before) / 2;
    assert!(per_second < 200, "{per_second} commands/s");
    queue.enqueue(&owner(), vec![task(1)]).await.unwrap();
    let mut got = 0;
    for worker in workers {
        got += worker.await.unwrap();
    }
    assert_eq!(got, 1);
}

/// Of tasks, leases and shares; workers, parts and owners stay known for a while.
#[tokio::test]
async fn nothing_is_left_when_everything_has_ended() {
    let subject = OnRedis::start(OPTIONS).await;
    leave_nothing(&subject).await;
    let queue = subject.queue();
    let read = queue.news(&owner(), 1000, Duration::ZERO).await.unwrap();
    assert!(!read.is_empty());
    queue.news(&owner(), 1000, Duration::ZERO).await.unwrap();
    let mut connection = subject.server.connection(subject.database);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let prefix = format!("test{}:{{default}}:", subject.database);
    let mut left: Vec<&str> = keys
        .iter()
        .filter_map(|k| k.strip_prefix(&*prefix))
        .collect();
    left.sort_unstable();
    let stays = [
        "life",
        "listening",
        "owners",
        "parts",
        "seen",
        "serving:default",
        "workers",
    ];
    assert_eq!(left, stays);
}

/// A key of each of the scripts is on the shard of its pool.
#[tokio::test]
async fn all_keys_of_a_pool_bear_its_hash_tag() {
    let (server, database) = (shared(), database());
    let queue = connect(&server, database, OPTIONS).await;
    let alone = Task {
        exclusive: true,
        ..task(2)
    };
    queue
        .enqueue(&owner(), vec![task(1), alone, task(3)])
        .await
        .unwrap();
    queue.lease(request("w1")).await.unwrap();
    queue.reap(10).await.unwrap();
    let mut connection = server.connection(database);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let names = format!("test{database}:pools");
    let prefix = format!("test{database}:{{default}}:");
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        assert!(key == names || key.starts_with(&prefix), "{key}");
    }
}
