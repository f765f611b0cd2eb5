//! What happens to a Redis in its life. Each test has a server of its own to do it to.

use std::time::{Duration, Instant};

use super::{RedisQueue, connect};
use gofarm_engine::core::Task;
use gofarm_queue::conformance::{OPTIONS, fixture};
use gofarm_queue::{LeaseId, LeaseQueue, LeaseRequest, News, QueueError, QueueOptions, Renewal};
use gofarm_testkit::RedisServer;

use fixture::{LONG, ends, numbers, owner, request, success, task};

/// Leases that nothing in these tests outlasts.
const PATIENT: QueueOptions = QueueOptions {
    lease_ttl: Duration::from_secs(60),
    worker_ttl: Duration::from_secs(60),
    placement_grace: Duration::from_secs(60),
    owner_ttl: Duration::from_secs(60),
    ..OPTIONS
};

/// No call of the queue takes longer; a little is for a machine that is busy with other tests.
const BOUND: Duration = Duration::from_millis(6_500);

async fn start() -> (RedisServer, RedisQueue) {
    let server = RedisServer::start();
    let queue = connect(&server, 0, PATIENT).await;
    (server, queue)
}

/// Calls until Redis can be reached again.
async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, QueueError>) -> T {
    let begin = Instant::now();
    loop {
        let attempt = Instant::now();
        match call().await {
            Ok(answer) => return answer,
            Err(QueueError::Unavailable { reason }) => {
                assert!(attempt.elapsed() < BOUND, "{:?}", attempt.elapsed());
                assert!(begin.elapsed() < LONG, "{reason}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

async fn enqueue(queue: &RedisQueue, number: u8) {
    insist(async || queue.enqueue(&owner(), vec![task(number)]).await).await;
}

async fn lease(queue: &RedisQueue, worker: &str) -> LeaseId {
    let leases = insist(async || queue.lease(request(worker)).await).await;
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases[0].id
}

/// The task goes through once, to its end.
async fn goes_through(queue: &RedisQueue, number: u8) {
    enqueue(queue, number).await;
    let id = lease(queue, "w1").await;
    assert_eq!(id.key.0[0], number);
    insist(async || queue.complete(&id, success(None)).await).await;
    let news = insist(async || queue.news(&owner(), 100, Duration::ZERO).await).await;
    let ends = ends(news);
    assert!(ends.iter().any(|end| end.0 == number), "{ends:?}");
}

/// Nothing that was before matters: old tokens are refused, even those whose counter is given again.
async fn is_another_life(queue: &RedisQueue, before: u64, old: LeaseId) {
    assert_ne!(insist(async || queue.incarnation().await).await, before);
    assert_eq!(queue.stats().await.unwrap().leased, 0);
    assert_eq!(queue.renew(&[old]).await.unwrap(), [Renewal::Lost]);
    enqueue(queue, old.key.0[0]).await;
    let new = lease(queue, "w2").await;
    assert_ne!(new.token, old.token);
    let refused = queue.complete(&old, success(None)).await;
    assert!(matches!(refused, Err(QueueError::Stolen)), "{refused:?}");
    assert_eq!(queue.renew(&[old]).await.unwrap(), [Renewal::Stolen]);
    queue.complete(&new, success(None)).await.unwrap();
}

#[tokio::test]
async fn flushall_with_a_task_under_lease() {
    let (server, queue) = start().await;
    let before = queue.incarnation().await.unwrap();
    enqueue(&queue, 1).await;
    let old = lease(&queue, "w1").await;
    redis::cmd("FLUSHALL")
        .exec(&mut server.connection(0))
        .unwrap();
    is_another_life(&queue, before, old).await;
    goes_through(&queue, 2).await;
}

#[tokio::test]
async fn killed_and_started_empty() {
    let (mut server, queue) = start().await;
    let before = queue.incarnation().await.unwrap();
    enqueue(&queue, 1).await;
    let old = lease(&queue, "w1").await;
    server.kill_and_restart_empty();
    is_another_life(&queue, before, old).await;
    goes_through(&queue, 2).await;
}

#[tokio::test]
async fn killed_and_started_with_older_data() {
    let (mut server, queue) = start().await;
    let before = queue.incarnation().await.unwrap();
    enqueue(&queue, 1).await;
    redis::cmd("SAVE").exec(&mut server.connection(0)).unwrap();
    // Its counter will be given again by the data that was saved before it.
    let old = lease(&queue, "w1").await;
    server.kill_and_restart();
    is_another_life(&queue, before, old).await;
    goes_through(&queue, 2).await;
}

#[tokio::test]
async fn data_rolled_back_under_a_running_server() {
    let (server, queue) = start().await;
    let before = queue.incarnation().await.unwrap();
    let mut connection = server.connection(0);
    let life = "test0:{default}:life";
    let dump: Vec<u8> = redis::cmd("DUMP").arg(life).query(&mut connection).unwrap();
    enqueue(&queue, 1).await;
    lease(&queue, "w1").await;
    assert_eq!(queue.incarnation().await.unwrap(), before);
    let mut restore = redis::cmd("RESTORE");
    restore.arg(life).arg(0).arg(dump).arg("REPLACE");
    restore.exec(&mut connection).unwrap();
    assert_ne!(queue.incarnation().await.unwrap(), before);
}

#[tokio::test]
async fn client_pause_ends_no_lease_and_hangs_no_call() {
    let (server, queue) = start().await;
    enqueue(&queue, 1).await;
    let held = lease(&queue, "w1").await;
    let mut connection = server.connection(0);
    let mut pause = redis::cmd("CLIENT");
    pause
        .arg("PAUSE")
        .arg(5_500)
        .arg("ALL")
        .exec(&mut connection)
        .unwrap();
    let begin = Instant::now();
    let refused = queue.stats().await;
    assert!(
        matches!(refused, Err(QueueError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    insist(async || queue.renew(&[held]).await).await;
    insist(async || queue.complete(&held, success(None)).await).await;
    goes_through(&queue, 2).await;
}

#[tokio::test]
async fn stopped_and_continued() {
    let (server, queue) = start().await;
    enqueue(&queue, 1).await;
    let held = lease(&queue, "w1").await;
    server.signal("STOP");
    let (me, begin) = (owner(), Instant::now());
    let all = [held];
    let waits = tokio::join!(
        queue.stats(),
        queue.renew(&all),
        queue.news(&me, 1, Duration::from_secs(1)),
        queue.lease(request("w2")),
        queue.complete(&held, success(None)),
    );
    assert!(begin.elapsed() < BOUND * 2, "{:?}", begin.elapsed());
    assert!(matches!(waits.0, Err(QueueError::Unavailable { .. })));
    assert!(matches!(waits.1, Err(QueueError::Unavailable { .. })));
    assert!(matches!(waits.2, Err(QueueError::Unavailable { .. })));
    assert!(matches!(waits.3, Err(QueueError::Unavailable { .. })));
    assert!(matches!(waits.4, Err(QueueError::Unavailable { .. })));
    server.signal("CONT");
    // Whether the completion was carried out when Redis went on is not known, but its end is told either way.
    insist(async || match queue.complete(&held, success(None)).await {
        Err(QueueError::Lost) => Ok(()),
        other => other.map(drop),
    })
    .await;
    let news = insist(async || queue.news(&owner(), 100, Duration::ZERO).await).await;
    assert_eq!(ends(news).len(), 1);
    goes_through(&queue, 2).await;
}

#[tokio::test]
async fn a_forgotten_script_is_sent_again() {
    let (server, queue) = start().await;
    for number in 1..=3 {
        goes_through(&queue, number).await;
        let mut flush = redis::cmd("SCRIPT");
        flush
            .arg("FLUSH")
            .arg("SYNC")
            .exec(&mut server.connection(0))
            .unwrap();
    }
}

#[tokio::test]
async fn doorbells_ring_again_after_a_restart() {
    let (mut server, _) = start().await;
    let options = QueueOptions {
        poll_interval: LONG,
        ..PATIENT
    };
    let queue = std::sync::Arc::new(connect(&server, 0, options).await);
    server.kill_and_restart_empty();
    insist(async || queue.incarnation().await).await;
    // Longer than the greatest time between two attempts to subscribe.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let waiting = {
        let queue = queue.clone();
        tokio::spawn(async move {
            let wait = gofarm_queue::LeaseRequest {
                wait: LONG,
                ..request("w1")
            };
            queue.lease(wait).await.unwrap()
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begin = Instant::now();
    enqueue(&queue, 1).await;
    assert_eq!(numbers(&waiting.await.unwrap()), [1]);
    assert!(begin.elapsed() < LONG / 4, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn news_whose_answer_was_lost_is_told_again() {
    let (server, queue) = start().await;
    goes_through(&queue, 1).await;
    enqueue(&queue, 2).await;
    let id = lease(&queue, "w1").await;
    queue.complete(&id, success(None)).await.unwrap();
    // What another call has read without anyone hearing of it is still there.
    let mut connection = server.connection(0);
    let mut pause = redis::cmd("CLIENT");
    pause
        .arg("PAUSE")
        .arg(300)
        .arg("ALL")
        .exec(&mut connection)
        .unwrap();
    let me = owner();
    let gone = tokio::time::timeout(
        Duration::from_millis(100),
        queue.news(&me, 100, Duration::ZERO),
    );
    assert!(
        gone.await.is_err(),
        "the caller went away before the answer"
    );
    let news = queue.news(&owner(), 100, Duration::ZERO).await.unwrap();
    assert!(matches!(news.last(), Some(News::Done { .. })), "{news:?}");
    assert_eq!(queue.news(&owner(), 100, Duration::ZERO).await.unwrap(), []);
}

/// What an attacker or an older scheduler has left in the set of pools: one whose tokens have the number of another's, and names
/// that are none. No scheduler fails for it, and both pools are served.
#[tokio::test]
async fn pools_that_collide_are_both_served_and_bad_names_stop_no_scheduler() {
    let server = RedisServer::start();
    let mut connection = server.connection(0);
    redis::cmd("SADD")
        .arg(&["test0:pools", "default", "p28020864", "a{b}c", "a:b", ""])
        .exec(&mut connection)
        .unwrap();
    let queue = connect(&server, 0, PATIENT).await;
    let pools = ["default", "p28020864"];
    let tasks = pools.map(|pool| Task {
        pool: pool.into(),
        ..task(pool.len() as u8)
    });
    queue.enqueue(&owner(), tasks.to_vec()).await.unwrap();
    // Another process knows the leases by their tokens alone.
    let other = connect(&server, 0, PATIENT).await;
    for task in tasks {
        let ask = LeaseRequest {
            pools: [task.pool.clone()].into(),
            ..request("w1")
        };
        let leases = queue.lease(ask).await.unwrap();
        assert_eq!(leases.len(), 1);
        let renewed = other.renew(&[leases[0].id]).await.unwrap();
        assert!(matches!(renewed[..], [Renewal::Held { .. }]), "{renewed:?}");
        other.complete(&leases[0].id, success(None)).await.unwrap();
    }
    assert_eq!(
        ends(queue.news(&owner(), 100, Duration::ZERO).await.unwrap()).len(),
        2
    );
}

#[tokio::test]
async fn a_task_for_a_pool_that_is_no_name_is_refused_for_good() {
    let (_server, queue) = start().await;
    let bad = Task {
        pool: "a{b:linux/amd64".into(),
        ..task(1)
    };
    let refused = queue.enqueue(&owner(), vec![bad]).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused { .. }), "{refused}");
    goes_through(&queue, 2).await;
}

/// Tasks whose texts take megabytes each do not become one call of gigabytes.
#[tokio::test]
async fn large_tasks_go_into_calls_of_bounded_size() {
    let (server, queue) = start().await;
    for (setting, size) in [
        ("proto-max-bulk-len", "8mb"),
        ("client-query-buffer-limit", "16mb"),
    ] {
        redis::cmd("CONFIG")
            .arg(&["SET", setting, size])
            .exec(&mut server.connection(0))
            .unwrap();
    }
    let large = |number: u8| Task {
        label: "x".repeat(3 << 20).into(),
        ..task(number)
    };
    queue
        .enqueue(&owner(), (1..9).map(large).collect())
        .await
        .unwrap();
    assert_eq!(queue.stats().await.unwrap().queued, 8);
    let larger = Task {
        label: "x".repeat(65 << 20).into(),
        ..task(9)
    };
    let refused = queue.enqueue(&owner(), vec![larger]).await.unwrap_err();
    assert!(matches!(refused, QueueError::Refused { .. }));
}

/// Tokens are read as they were written when the number of a pool alone said which one it is.
#[tokio::test]
async fn a_lease_of_an_earlier_version_is_held_on() {
    let (server, queue) = start().await;
    queue.enqueue(&owner(), vec![task(1)]).await.unwrap();
    let lease = queue.lease(request("w1")).await.unwrap().remove(0);
    assert_eq!(lease.id.token.counter, 0xf78761 << 40 | 1);
    let other = connect(&server, 0, PATIENT).await;
    let renewed = other.renew(&[lease.id]).await.unwrap();
    assert!(matches!(renewed[..], [Renewal::Held { .. }]), "{renewed:?}");
    other.complete(&lease.id, success(None)).await.unwrap();
}

/// Whoever may submit can name as many pools as they like.
#[tokio::test]
async fn pools_that_nobody_uses_are_let_go_of() {
    let (server, queue) = start().await;
    let mut redis = server.connection(0);
    let mut now = 1_000_000_u64;
    let mut it_is = |passed: Duration| {
        now += passed.as_millis() as u64;
        redis::cmd("SET")
            .arg("test0:{p}:clock")
            .arg(now)
            .exec(&mut server.connection(0))
            .unwrap();
    };
    it_is(Duration::ZERO);
    let of_pool = |number: u8| Task {
        pool: "p:linux/amd64".into(),
        ..task(number)
    };
    queue.enqueue(&owner(), vec![of_pool(1)]).await.unwrap();
    let other = connect(&server, 0, PATIENT).await;
    it_is(PATIENT.placement_grace / 2);
    // Its owner is there.
    queue.news(&owner(), 100, Duration::ZERO).await.unwrap();
    it_is(PATIENT.placement_grace / 2);
    assert_eq!(other.reap(100).await.unwrap().unplaceable, 1);
    let told = queue.news(&owner(), 100, LONG).await.unwrap();
    assert!(matches!(told[..], [.., News::Done { .. }]), "{told:?}");
    // Read, so that it is not told again.
    queue.news(&owner(), 100, Duration::ZERO).await.unwrap();
    // Its owner is not heard of any more.
    it_is(PATIENT.owner_ttl);
    other.reap(100).await.unwrap();
    let parts = |redis: &mut redis::Connection| -> bool {
        let mut asked = redis::cmd("EXISTS");
        asked.arg("test0:{p}:parts").query(redis).unwrap()
    };
    assert!(!parts(&mut redis), "a part that never had a worker is gone");
    let known = |redis: &mut redis::Connection| -> bool {
        let mut asked = redis::cmd("SISMEMBER");
        asked.arg("test0:pools").arg("p").query(redis).unwrap()
    };
    assert!(known(&mut redis));
    it_is(super::super::pools::UNUSED);
    other.reap(100).await.unwrap();
    assert!(!known(&mut redis), "nobody knows it");
    let lives = |redis: &mut redis::Connection| -> i64 {
        let mut asked = redis::cmd("TTL");
        asked.arg("test0:{p}:life").query(redis).unwrap()
    };
    assert!(lives(&mut redis) > 0, "nothing of it is left in a day");
    // Who has used it lately uses it on.
    queue.enqueue(&owner(), vec![of_pool(2)]).await.unwrap();
    queue.incarnation().await.unwrap();
    assert!(known(&mut redis));
    assert_eq!(lives(&mut redis), -1);
    let ask = LeaseRequest {
        pools: ["p:linux/amd64".into()].into(),
        ..request("w1")
    };
    assert_eq!(other.lease(ask).await.unwrap().len(), 1);
}
